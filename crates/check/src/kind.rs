//! What kind of policy a text is, if nobody says.

use irsa_policy::PolicyKind;

use crate::tree::Tree;

/// A document with principals is a trust policy if it is about assuming roles, else a resource-based one; any other is
/// identity-based. A resource control policy looks like a resource-based one, unless it is about STS.
pub(crate) fn detect(tree: &Tree<'_>) -> PolicyKind {
    let names_principals = tree
        .statements
        .iter()
        .any(|statement| statement.principals().next().is_some());
    if !names_principals {
        return PolicyKind::Identity;
    }
    let mut actions = tree
        .statements
        .iter()
        .flat_map(|statement| statement.action_lists())
        .flat_map(|list| &list.items)
        .peekable();
    let of_sts = |action: &str| {
        action
            .get(..4)
            .is_some_and(|service| service.eq_ignore_ascii_case("sts:"))
    };
    let has_resources = tree
        .statements
        .iter()
        .any(|statement| statement.resource_lists().next().is_some());
    let is_trust = if actions.peek().is_none() {
        !has_resources
    } else {
        actions.all(|action| of_sts(&action.text))
    };
    // No trust policy has `"*"` for its principal, or resources.
    let is_control = tree.statements.iter().all(|statement| {
        let text = statement
            .principal
            .as_ref()
            .and_then(|principal| principal.text.as_ref());
        let everyone = text.is_some_and(|text| text.text == "*");
        statement.denies() && everyone && statement.resource_lists().next().is_some()
    });
    if is_trust && is_control {
        PolicyKind::ResourceControl
    } else if is_trust {
        PolicyKind::Trust
    } else {
        PolicyKind::Resource
    }
}
