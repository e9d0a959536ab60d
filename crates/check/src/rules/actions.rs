//! What an action must look like, whatever services there are.

use irsa_policy::PolicyKind;
use irsa_policy::validate::TRUST_ACTIONS;

use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Item;

const ACTION_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_ACTION",
        "an action that does not exist",
        Kinds::ALL,
        invalid_action,
    ),
    Rule::suggestion(
        "WILDCARD_IN_SERVICE_NAME",
        "a wildcard in the name of a service",
        Kinds::ALL,
        wildcard_in_service_name,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_CHARACTER_IN_ACTION",
        "an action with characters that no action has",
        ACTION_PAGE,
        Kinds::ALL,
        strange_character,
    ),
    Rule::error(
        "UNSUPPORTED_ACTION_IN_POLICY",
        "an action of another service than the resource's",
        Kinds::RESOURCE.and(Kinds::TRUST),
        unsupported_action,
    ),
];

/// All entries of `Action` and `NotAction`.
pub(super) fn actions<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Item<'t>> {
    subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.action_lists())
        .flat_map(|list| &list.items)
}

fn invalid_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for action in actions(subject) {
        let text = &*action.text;
        if text == "*" {
            continue;
        }
        match text.split(':').count() {
            1 if text.contains(['*', '?']) && text.bytes().all(|byte| matches!(byte, b'*' | b'?')) => {
                findings
                    .at(action, "every action is written `*`")
                    .fix("write `*`")
                    .retext(&action.bytes, "*");
            }
            1 => {
                let finding = findings.at(action, format!("`{}` names no service", clip(text)));
                match service_of(subject, text) {
                    Some(whole) => finding.fix(format!("write `{whole}`")).retext(&action.bytes, &whole),
                    None => finding.fix("write `service:Action`, such as `s3:GetObject`"),
                };
            }
            2 => {
                if text.starts_with(':') {
                    findings
                        .at(action, format!("`{}` names no service", clip(text)))
                        .fix("write `service:Action`, such as `s3:GetObject`");
                }
            }
            _ => {
                findings
                    .at(action, format!("`{}` has more than one colon", clip(text)))
                    .fix("write `service:Action`, such as `s3:GetObject`; resources belong into `Resource`");
            }
        }
    }
}

/// The whole name of an action that is written without its service, if the statement's other actions or the kind of
/// policy say which it is.
fn service_of(subject: &Subject<'_, '_>, name: &str) -> Option<String> {
    let services = subject.options.services;
    let mut prefixes: Vec<&str> = actions(subject)
        .filter_map(|action| action.text.split_once(':').map(|(prefix, _)| prefix))
        .filter(|prefix| !has_wildcard(prefix))
        .collect();
    if subject.kind == PolicyKind::Trust {
        prefixes.push("sts");
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut known = prefixes
        .into_iter()
        .filter_map(|prefix| services.action(&format!("{prefix}:{name}")));
    let first = known.next()?;
    known.next().is_none().then(|| first.to_string())
}

fn wildcard_in_service_name(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let what = "a wildcard in the name of a service also means services that do not exist yet";
    for action in actions(subject) {
        let Some((service, _)) = action.text.split_once(':') else {
            continue;
        };
        if !has_wildcard(service) {
            continue;
        }
        let finding = findings.at(action, what);
        if service != "*" && Kinds::HELD.contain(subject.kind) {
            finding.as_type(FindingType::Error);
            finding.message = format!(
                "`{}` is no name of a service: a wildcard may not stand there",
                clip(service)
            );
        }
        finding.fix("name the service");
    }
    for resource in super::resources::resources(subject) {
        let service = resource.text.split(':').nth(2);
        let is_arn = resource.text.starts_with("arn:");
        if is_arn && service.is_some_and(has_wildcard) {
            let finding = findings.at(resource, what);
            if Kinds::HELD.contain(subject.kind) {
                finding.as_type(FindingType::Error);
                finding.message = "an ARN must name its service without wildcards".to_owned();
            }
            finding.fix("name the service");
        }
    }
}

fn strange_character(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for action in actions(subject) {
        let Some((service, name)) = action.text.split_once(':') else {
            continue;
        };
        if name.contains(':') || name.contains("${") {
            continue;
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'?' | b'-' | b'_' | b'.');
        if service.bytes().chain(name.bytes()).all(fits) {
            continue;
        }
        let trimmed = action.text.trim();
        let foreign_service = !service.bytes().all(|byte| fits(byte) && byte != b'_');
        let finding = findings.at(
            action,
            format!(
                "no action has the characters of `{}`, so this matches nothing",
                clip(&action.text)
            ),
        );
        if foreign_service && Kinds::HELD.contain(subject.kind) {
            finding.as_type(FindingType::Error);
        }
        if trimmed.len() < action.text.len() && trimmed.bytes().all(|byte| fits(byte) || byte == b':') {
            finding.fix("remove the white space").retext(&action.bytes, trimmed);
        }
    }
}

/// The services whose actions the policy of a resource can have.
fn services_of(resource_type: &str) -> Option<&'static [&'static str]> {
    Some(match resource_type {
        "AWS::S3::Bucket" | "AWS::S3::AccessPoint" | "AWS::S3::MultiRegionAccessPoint" => &["s3"],
        "AWS::S3ObjectLambda::AccessPoint" => &["s3-object-lambda"],
        "AWS::S3Express::DirectoryBucket" => &["s3express"],
        "AWS::IAM::AssumeRolePolicyDocument" => &["sts"],
        "AWS::DynamoDB::Table" => &["dynamodb"],
        "AWS::KMS::Key" => &["kms"],
        "AWS::SQS::Queue" => &["sqs"],
        "AWS::SNS::Topic" => &["sns"],
        "AWS::Lambda::Function" => &["lambda"],
        "AWS::SecretsManager::Secret" => &["secretsmanager"],
        "AWS::ECR::Repository" => &["ecr"],
        _ => return None,
    })
}

fn unsupported_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let trust = subject.kind == PolicyKind::Trust;
    let resource_type = match subject.options.resource_type {
        None if trust => "AWS::IAM::AssumeRolePolicyDocument",
        None => return,
        Some(resource_type) => resource_type,
    };
    let Some(services) = services_of(resource_type) else {
        return;
    };
    for action in actions(subject) {
        let of_service = |service: &&str| {
            let prefix = action.text.split_once(':').map(|(prefix, _)| prefix);
            prefix.is_some_and(|prefix| crate::glob::matches(prefix, service, true))
        };
        let every = action.text == "*" && !trust;
        let known = trust && !TRUST_ACTIONS.contains(&&*action.text);
        if !every && (known || !services.iter().any(of_service)) && action.text.contains([':', '*']) {
            let whose = if trust {
                "a trust policy".to_owned()
            } else {
                format!("the policy of a resource of type {resource_type}")
            };
            let finding = findings.at(action, format!("{whose} cannot have `{}`", clip(&action.text)));
            if trust {
                let meant = TRUST_ACTIONS
                    .into_iter()
                    .find(|known| known.eq_ignore_ascii_case(&action.text));
                match meant {
                    Some(meant) => finding.fix(format!("write `{meant}`")).retext(&action.bytes, meant),
                    None => finding.fix("a trust policy names `sts:AssumeRole…` actions, without wildcards"),
                };
            }
        }
    }
}
