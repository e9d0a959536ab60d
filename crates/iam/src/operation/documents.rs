//! Policy documents on their way in and out.

use irsa_core::{AccountId, Arn};
use irsa_policy::PolicyKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::error::IamError;
use crate::operation::Execution;
use crate::record::TrustedPrincipal;
use crate::state::{Account, State};

/// RFC 3986, section 2.3: everything but unreserved characters is encoded, a space as `%20`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A document as answers show it. Clients decode it by hand, so every character matters.
pub(crate) fn encode(document: &str) -> String {
    utf8_percent_encode(document, ENCODED).to_string()
}

/// What quotas count of a document: white space is free.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
pub(crate) fn size(document: &str) -> usize {
    irsa_policy::validate::non_whitespace_len(document)
}

/// Checks a permissions policy.
pub(crate) fn check_identity(document: &str) -> Result<(), IamError> {
    check(PolicyKind::Identity, document)
}

/// Checks a trust policy: its text, its size, and that the principals of this account that it names exist. Gives back
/// who they are.
pub(crate) fn check_trust(document: &str, execution: &Execution<'_>) -> Result<Vec<TrustedPrincipal>, IamError> {
    check(PolicyKind::Trust, document)?;
    let limit = execution.quotas.trust_policy_size;
    if size(document) > limit {
        return Err(IamError::quota("ACLSizePerRole", limit));
    }
    let account = execution.account()?;
    let mut trusted: Vec<TrustedPrincipal> = Vec::new();
    for principal in principals(document) {
        if !exists(&principal, account) {
            return Err(IamError::MalformedPolicyDocument(format!(
                "Invalid principal in policy: \"AWS\":\"{principal}\""
            )));
        }
        if let Some(id) = unique_id(&principal, execution.state)
            && !trusted.iter().any(|known| known.arn == principal)
        {
            trusted.push(TrustedPrincipal { arn: principal, id });
        }
    }
    Ok(trusted)
}

fn check(kind: PolicyKind, document: &str) -> Result<(), IamError> {
    irsa_policy::validate::document(kind, document)
        .map_err(|malformed| IamError::MalformedPolicyDocument(malformed.message))?;
    // What the store takes must compile when it is read again.
    let compiled = irsa_policy::Policy::parse("document", kind, document);
    compiled
        .map(drop)
        .map_err(|_| IamError::MalformedPolicyDocument("Syntax errors in policy.".to_owned()))
}

/// The AWS principals that a document names.
fn principals(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let statements = elements(document.get("Statement"));
    let principals = statements
        .flat_map(|statement| elements(statement.get("Principal").and_then(|principal| principal.get("AWS"))));
    principals.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The id of the user or role that an ARN names now, in whatever account of this server.
fn unique_id(principal: &str, state: &State) -> Option<String> {
    let arn: Arn = principal.parse().ok()?;
    let account = state.account(arn.account_id()?)?;
    let user = account
        .user(arn.resource_name())
        .filter(|user| user.arn == principal)
        .map(|user| &user.record.id);
    let role = || {
        account
            .role(arn.resource_name())
            .filter(|role| role.arn == principal)
            .map(|role| &role.record.id)
    };
    user.or_else(role).cloned()
}

/// Whether there is an AWS principal of this name, in whatever account of this server: an account's number, an ARN or a unique id.
/// For users and roles that an ARN names, also who that is now.
#[must_use]
pub fn find_principal(name: &str, state: &State) -> Option<FoundPrincipal> {
    let account = match name.parse::<AccountId>() {
        Ok(account) => return state.account(account).map(|_| FoundPrincipal { unique_id: None }),
        Err(_) => name.parse::<Arn>().ok().map(|arn| arn.account_id()),
    };
    let found = match account {
        Some(account) => exists(name, state.account(account?)?),
        None => state.accounts().any(|account| exists(name, account)),
    };
    found.then(|| FoundPrincipal {
        unique_id: unique_id(name, state),
    })
}

/// A principal that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundPrincipal {
    /// The id of the user or role that the ARN names.
    pub unique_id: Option<String>,
}

/// A value that may be written alone or as a list.
fn elements(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
    .iter()
}

/// Whether a principal exists, as far as this account can tell: principals of other accounts are theirs to know.
fn exists(principal: &str, account: &Account) -> bool {
    if principal == "*" || principal.parse::<AccountId>().is_ok() {
        return true;
    }
    let Ok(arn) = principal.parse::<Arn>() else {
        let role = || account.roles.values().any(|role| role.record.id == principal);
        return role() || account.users.values().any(|user| user.record.id == principal);
    };
    if arn.account_id() != Some(account.id) {
        return true;
    }
    let user = || {
        arn.resource_of_kind("user")
            .and_then(|_| account.user(arn.resource_name()))
    };
    let role = || {
        arn.resource_of_kind("role")
            .and_then(|_| account.role(arn.resource_name()))
    };
    match arn.service() {
        "iam" if arn.resource() == "root" => true,
        "iam" => user().is_some_and(|user| user.arn == principal) || role().is_some_and(|role| role.arn == principal),
        // The ARN of a session has the role's name without its path.
        "sts" => match arn
            .resource_of_kind("assumed-role")
            .and_then(|rest| rest.split_once('/'))
        {
            Some((name, _)) => account.role(name).is_some_and(|role| role.record.name == name),
            None => arn.resource_of_kind("federated-user").is_some(),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(
            encode("{\"A\": [\"s3:Get*\", \"a-b.c_d~e/é\"]}"),
            "%7B%22A%22%3A%20%5B%22s3%3AGet%2A%22%2C%20%22a-b.c_d~e%2F%C3%A9%22%5D%7D"
        );
    }

    #[test]
    fn white_space_is_free() {
        assert_eq!(size("{ \"a\" :\n\t\"é\" }\r\n"), 9);
    }
}
