//! What kind of policy a text is, if nobody says.

use irsa_policy::PolicyKind;

use crate::tree::Tree;

/// A document with principals is a trust policy if it is about assuming roles, else a resource-based one; any other is
/// identity-based.
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
    if is_trust {
        PolicyKind::Trust
    } else {
        PolicyKind::Resource
    }
}
