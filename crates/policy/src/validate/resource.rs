//! Policies of resources, in the words of S3.

use super::{Malformed, read, sids_are_unique};
use crate::error::PolicyProblem;
use crate::principal::Principals;
use crate::profile::Profile;
use crate::syntax::Statement;

pub(super) fn check(text: &str) -> Result<(), Malformed> {
    let document = read(text).map_err(|fault| {
        Malformed::new(match fault.problem {
            PolicyProblem::NotJson(_) | PolicyProblem::TooDeep | PolicyProblem::TooLong(_) => {
                "Policies must be valid JSON and the first byte must be '{'".to_owned()
            }
            PolicyProblem::UnknownElement(name) => format!("Unknown field {name}"),
            PolicyProblem::UnknownOperator(name) => format!("Invalid Condition type : {name}"),
            PolicyProblem::BadVersion(_) => "The policy must contain a valid version string".to_owned(),
            PolicyProblem::Missing("Statement") => "Could not parse the policy: Statement is empty!".to_owned(),
            PolicyProblem::Missing(name) => format!("Missing required field {name}"),
            _ => "Policy contains invalid elements".to_owned(),
        })
    })?;
    if !sids_are_unique(&document.statements) {
        return Err(Malformed::new("The Statement Ids in the policy are not unique"));
    }
    document.statements.iter().try_for_each(check_statement)
}

fn check_statement(statement: &Statement<'_>) -> Result<(), Malformed> {
    let missing = |name: &str| Malformed::new(format!("Missing required field {name}"));
    let effect = statement.effect.as_ref().ok_or_else(|| missing("Effect"))?;
    if !matches!(&*effect.value, "Allow" | "Deny") {
        return Err(Malformed::new(format!("Invalid effect: {}", effect.value)));
    }
    let (principal, negated) = match (&statement.principal, &statement.not_principal) {
        (Some(element), _) => (element, false),
        (None, Some(_)) if effect.value == "Allow" => {
            return Err(Malformed::new("Allow with NotPrincipal is not allowed."));
        }
        (None, Some(element)) => (element, true),
        (None, None) => return Err(missing("Principal")),
    };
    Principals::new(principal, negated, &Profile::AWS).map_err(|_| Malformed::new("Invalid principal in policy"))?;
    let actions = statement.action.as_ref().or(statement.not_action.as_ref());
    let actions = actions.ok_or_else(|| missing("Action"))?;
    if actions.value.is_empty() {
        return Err(Malformed::new("Missing required field Action cannot be empty!"));
    }
    if !actions.value.iter().all(|action| action == "*" || action.contains(':')) {
        return Err(Malformed::new("Policy has invalid action"));
    }
    let resources = statement.resource.as_ref().or(statement.not_resource.as_ref());
    let resources = resources.ok_or_else(|| missing("Resource"))?;
    if resources.value.is_empty() {
        return Err(Malformed::new("Missing required field Resource cannot be empty!"));
    }
    if !resources
        .value
        .iter()
        .all(|resource| resource == "*" || resource.starts_with("arn:"))
    {
        return Err(Malformed::new("Policy has invalid resource"));
    }
    Ok(())
}
