//! Identity-based policies, permissions boundaries and session policies.

use super::{Malformed, SYNTAX, dates_are_readable, read, sids_are_unique};
use crate::syntax::{Element, Statement, Text, Version};

const LEGACY: &str = "The policy failed legacy parsing";

/// The partitions that IAM takes; see <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>.
pub const PARTITIONS: [&str; 8] = [
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];

/// How the last part of an IAM resource's ARN may begin: the kinds of resources that IAM has.
pub const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// The resource types of S3 that live in a region; buckets and objects do not.
const S3_REGIONAL: [&str; 7] = [
    "accesspoint/",
    "job/",
    "storage-lens/",
    "storage-lens-group/",
    "access-grants/",
    "async-request/",
    "*",
];

/// The order of the checks is IAM's: it decides which of several faults is reported.
pub(super) fn check(text: &str, needs_version: bool) -> Result<(), Malformed> {
    let syntax = || Malformed::new(SYNTAX);
    let document = read(text).map_err(|_| syntax())?;
    for statement in &document.statements {
        let known = statement
            .effect
            .as_ref()
            .is_some_and(|effect| ["allow", "deny"].contains(&effect.value.to_ascii_lowercase().as_str()));
        if !known {
            return Err(syntax());
        }
    }
    if needs_version && document.version != Some(Version::V2012) {
        return Err(Malformed::new("Policy document must be version 2012-10-17 or greater."));
    }
    let resource_error = legacy(&document.statements)?;
    if !sids_are_unique(&document.statements) {
        return Err(Malformed::new("Statement IDs (SID) in a single policy must be unique."));
    }
    let alphanumeric = |sid: &Text<'_>| sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !document
        .statements
        .iter()
        .flat_map(|statement| &statement.sid)
        .all(alphanumeric)
    {
        return Err(Malformed::new(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        ));
    }
    let given = |element: &Option<Element<Vec<Text<'_>>>>| element.as_ref().is_some_and(|list| !list.value.is_empty());
    if !document
        .statements
        .iter()
        .all(|statement| given(&statement.action) || given(&statement.not_action))
    {
        return Err(Malformed::new("Policy statement must contain actions."));
    }
    if let Some(message) = resource_error {
        return Err(Malformed::new(message));
    }
    for statement in &document.statements {
        for action in [&statement.action, &statement.not_action]
            .into_iter()
            .flatten()
            .flat_map(|list| &list.value)
        {
            check_action(action)?;
        }
    }
    if !document
        .statements
        .iter()
        .all(|statement| given(&statement.resource) || given(&statement.not_resource))
    {
        return Err(Malformed::new("Policy statement must contain resources."));
    }
    if document
        .statements
        .iter()
        .any(|statement| statement.principal.is_some() || statement.not_principal.is_some())
    {
        return Err(Malformed::new("Policy document should not specify a principal."));
    }
    Ok(())
}

/// The oldest parser of IAM, which has one sentence for everything; and the first fault of a resource's form, which is
/// reported later.
fn legacy(statements: &[Statement<'_>]) -> Result<Option<String>, Malformed> {
    let failed = || Malformed::new(LEGACY);
    for statement in statements {
        let effect = statement.effect.as_ref().map(|effect| &*effect.value);
        let dates = statement.conditions.as_deref().is_none_or(dates_are_readable);
        if !matches!(effect, Some("Allow" | "Deny")) || !dates {
            return Err(failed());
        }
    }
    let mut found = None;
    for statement in statements {
        for list in [&statement.resource, &statement.not_resource].into_iter().flatten() {
            // Of several faulty resources the one that sorts first is named.
            let mut resources: Vec<&str> = list.value.iter().map(|resource| &**resource).collect();
            resources.sort_unstable();
            if found.is_none() {
                found = resources.iter().find_map(|resource| resource_fault(resource));
            }
            if found.is_none() {
                let parses = |resource: &&str| {
                    let colons = resource.bytes().filter(|byte| *byte == b':').count();
                    **resource == *"*"
                        || ((colons >= 5 || !resource.contains("::"))
                            && resource.split(':').nth(2).is_some_and(|vendor| !vendor.is_empty()))
                };
                if !resources.iter().all(parses) {
                    return Err(failed());
                }
            }
        }
    }
    Ok(found)
}

/// What is wrong with a resource's form, in IAM's words.
fn resource_fault(resource: &str) -> Option<String> {
    if resource == "*" {
        return None;
    }
    let Some((_, rest)) = resource.split_once(':') else {
        return Some(format!("Resource {resource} must be in ARN format or \"*\"."));
    };
    let (partition, rest) = match rest.split_once(':') {
        Some((partition, rest)) => (partition, Some(rest)),
        None => (rest, None),
    };
    // The documentation rules wildcards out in the service only, and policies of AWS have them here.
    if !PARTITIONS.contains(&partition) && !partition.contains(['*', '?']) {
        return Some(partition_fault(partition, rest.unwrap_or_default()));
    }
    let vendor = rest.map(|rest| {
        rest.split_once(':')
            .map_or((rest, None), |(vendor, rest)| (vendor, Some(rest)))
    });
    let Some((service, rest)) = vendor else {
        return Some("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    };
    if service.contains(['*', '?']) {
        return Some("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    }
    let mut fields = rest.unwrap_or_default().splitn(3, ':');
    let region = fields.next().unwrap_or_default();
    let path = fields.nth(1);
    match service {
        "iam" if !region.is_empty() => Some(format!("IAM resource {resource} cannot contain region information.")),
        "s3" if !region.is_empty()
            && !path.is_some_and(|path| S3_REGIONAL.iter().any(|regional| path.starts_with(regional))) =>
        {
            Some(format!("Resource {resource} can not contain region information."))
        }
        "iam" if path.is_some_and(|path| path != "*" && !IAM_PATHS.iter().any(|start| path.starts_with(start))) => {
            Some(format!(
                "IAM resource path must either be \"*\" or start with {}.",
                IAM_PATHS.join(", ")
            ))
        }
        _ => None,
    }
}

/// IAM prints the ARN as it completes it: missing fields as `*`.
fn partition_fault(partition: &str, rest: &str) -> String {
    let mut fields = rest.splitn(4, ':');
    let first = fields.next().unwrap_or_default();
    let first = if first.is_empty() && !rest.contains(':') {
        "*"
    } else {
        first
    };
    let [second, third, fourth] = std::array::from_fn(|_| fields.next().unwrap_or("*"));
    format!(
        "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{first}:{second}:{third}:{fourth}\"."
    )
}

fn check_action(action: &str) -> Result<(), Malformed> {
    let mut parts = action.split(':');
    let vendor = parts.next().unwrap_or_default();
    match (parts.next(), parts.next()) {
        (None, _) if vendor != "*" => {
            return Err(Malformed::new(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Malformed::new("Actions/Condition can contain only one colon."));
        }
        _ => {}
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if vendor != "*" && !vendor.bytes().all(valid) {
        return Err(Malformed::new(format!("Vendor {vendor} is not valid")));
    }
    Ok(())
}
