//! What a resource's ARN must look like, whatever services there are.

use irsa_core::AccountId;
use irsa_policy::PolicyKind;
use irsa_policy::validate::{IAM_PATHS, PARTITIONS};

use crate::finding::FindingType;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::Item;

const RESOURCE_PAGE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html";
const VARIABLE_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_ARN_PREFIX",
        "a resource that is no ARN",
        Kinds::ALL,
        invalid_prefix,
    ),
    Rule::error(
        "MISSING_ARN_FIELD",
        "an ARN with too few fields",
        Kinds::ALL,
        missing_field,
    ),
    Rule::error(
        "INVALID_PARTITION",
        "an ARN of an unknown partition",
        Kinds::ALL,
        invalid_partition,
    ),
    Rule::error(
        "INVALID_ARN_SERVICE_CASE",
        "an ARN whose service is not in lower case",
        Kinds::ALL,
        service_case,
    ),
    Rule::doubt(
        "INVALID_ARN_REGION",
        "an ARN of something that is no Region",
        Kinds::ALL,
        invalid_region,
    ),
    Rule::error(
        "INVALID_ARN_ACCOUNT",
        "an ARN of something that is no account",
        Kinds::ALL,
        invalid_account,
    ),
    Rule::error(
        "ARN_REGION_NOT_ALLOWED",
        "an ARN with a Region that its type has not",
        Kinds::ALL,
        region_not_allowed,
    ),
    Rule::error(
        "ARN_ACCOUNT_NOT_ALLOWED",
        "an ARN with an account that its type has not",
        Kinds::ALL,
        account_not_allowed,
    ),
    Rule::error(
        "INVALID_ARN_RESOURCE",
        "an ARN of no known type of resource",
        Kinds::ALL,
        iam_path,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_VARIABLE_IN_ARN_FIELD",
        "a policy variable before the resource part of an ARN",
        VARIABLE_PAGE,
        Kinds::ALL.without(Kinds::TRUST),
        variable_in_field,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_SPACE_IN_ARN",
        "white space at the ends of a resource",
        RESOURCE_PAGE,
        Kinds::ALL.without(Kinds::TRUST),
        white_space,
    ),
    Rule::error(
        "UNSUPPORTED_RESOURCE_ARN_IN_POLICY",
        "a resource of another service than the policy's",
        Kinds::RESOURCE,
        unsupported_resource,
    ),
];

/// All entries of `Resource` and `NotResource`.
pub(super) fn resources<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Item<'t>> {
    subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.resource_lists())
        .flat_map(|list| &list.items)
}

/// An ARN's fields behind `arn`, as far as they are there.
pub(super) struct Fields<'a> {
    pub(super) partition: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

/// A whole ARN, split at its first five colons.
pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    let mut parts = text.splitn(6, ':');
    if parts.next() != Some("arn") {
        return None;
    }
    Some(Fields {
        partition: parts.next()?,
        service: parts.next()?,
        region: parts.next()?,
        account: parts.next()?,
        resource: parts.next()?,
    })
}

/// Whether a field is fixed text: only then it can be wrong.
fn is_plain(field: &str) -> bool {
    !has_wildcard(field) && !field.contains("${")
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

fn invalid_prefix(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let text = &*resource.text;
        if text == "*" || is_arn(text) {
            continue;
        }
        let finding = findings.at(resource, format!("`{}` is no ARN", clip(text)));
        if text == "arn" || text.trim() != text {
            finding.fix("write an ARN, or `*` for all resources");
        } else if let Some(rest) = text
            .get(..4)
            .filter(|head| head.eq_ignore_ascii_case("arn:"))
            .and(text.get(4..))
        {
            let whole = format!("arn:{rest}");
            finding
                .fix(format!("write `{}`", clip(&whole)))
                .retext(&resource.bytes, &whole);
        } else if let Some(rest) = text.strip_prefix("s3://") {
            let whole = format!("arn:aws:s3:::{}", rest.trim_end_matches('/'));
            finding
                .fix(format!("write `{}`", clip(&whole)))
                .retext(&resource.bytes, &whole);
        } else if PARTITIONS.iter().any(|partition| {
            text.strip_prefix(partition).is_some_and(|rest| rest.starts_with(':')) && text.matches(':').count() >= 4
        }) {
            let whole = format!("arn:{text}");
            finding
                .fix(format!("write `{}`", clip(&whole)))
                .retext(&resource.bytes, &whole);
        } else {
            finding.fix("write an ARN, or `*` for all resources");
        }
    }
}

fn missing_field(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let text = &*resource.text;
        if !is_arn(text) || fields(text).is_some() {
            continue;
        }
        let finding = findings.at(
            resource,
            format!(
                "`{}` has less than six fields: arn:partition:service:region:account:resource",
                clip(text)
            ),
        );
        finding.fix("write all six fields; empty ones between their colons");
        let colons = text.matches(':').count();
        // IAM pads such an ARN with `*`, so it is taken and means more than it says.
        let is_padded = Kinds::HELD.contain(subject.kind) && colons >= 2 && !text.contains("::");
        if is_padded || text.contains('*') {
            let stars = ":*".repeat(5_usize.saturating_sub(colons));
            finding.as_type(FindingType::Warning);
            finding.message = format!(
                "`{}` has less than six fields; IAM reads the missing ones as `*`, so it means `{}`",
                clip(text),
                clip(&format!("{text}{stars}"))
            );
        }
    }
}

fn invalid_partition(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let text = &*resource.text;
        let Some(partition) = text
            .strip_prefix("arn:")
            .map(|rest| rest.split(':').next().unwrap_or_default())
        else {
            continue;
        };
        // Only the service may have no wildcard.
        if PARTITIONS.contains(&partition) || !is_plain(partition) {
            continue;
        }
        let finding = findings.at(resource, format!("there is no partition `{}`", clip(partition)));
        finding.fix(format!("the partitions are {}", PARTITIONS.join(", ")));
        let whole = text.replacen(&format!("arn:{partition}:"), "arn:aws:", 1);
        if whole != text && (partition.is_empty() || partition.eq_ignore_ascii_case("aws")) {
            finding.retext(&resource.bytes, &whole);
        }
    }
}

fn service_case(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let text = &*resource.text;
        let Some(service) = is_arn(text).then(|| text.split(':').nth(2)).flatten() else {
            continue;
        };
        if !service.bytes().any(|byte| byte.is_ascii_uppercase()) || service.contains("${") {
            continue;
        }
        let lower = service.to_ascii_lowercase();
        let whole = text.replacen(&format!(":{service}"), &format!(":{lower}"), 1);
        findings
            .at(
                resource,
                format!(
                    "services in ARNs are in lower case: `{}` matches nothing",
                    clip(service)
                ),
            )
            .fix(format!("write `{}`", clip(&lower)))
            .retext(&resource.bytes, &whole);
    }
}

/// `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`: words and a number.
pub(super) fn is_region(text: &str) -> bool {
    let mut words = text.split('-').rev();
    let number = words.next().unwrap_or_default();
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let letters = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    is_number && words.clone().count() >= 2 && words.all(letters)
}

fn invalid_region(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        if arn.region.is_empty() || !is_plain(arn.region) || is_region(arn.region) {
            continue;
        }
        findings
            .at(resource, format!("`{}` is not the name of a Region", clip(arn.region)))
            .fix("write a Region such as `eu-central-1`, or `*` for all");
    }
}

fn invalid_account(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        // Resources that AWS shares have the account `aws`, or that of a marketplace or a public image.
        let is_known = matches!(
            arn.account,
            "" | "aws" | "aws-marketplace" | "third-party" | "amazon" | "cloudfront" | "aws-managed"
        );
        if is_known || !is_plain(arn.account) || arn.account.parse::<AccountId>().is_ok() {
            continue;
        }
        findings
            .at(
                resource,
                format!("`{}` is no account: accounts have twelve digits", clip(arn.account)),
            )
            .fix("write the account's twelve digits, or `*` for all");
    }
}

/// What S3 resources may be in a Region; buckets and objects have none.
fn is_bucket(arn: &Fields<'_>) -> bool {
    const REGIONAL: [&str; 8] = [
        "accesspoint/",
        "job/",
        "storage-lens/",
        "storage-lens-group/",
        "access-grants/",
        "async-request/",
        "accesspoint:",
        "*",
    ];
    arn.service == "s3" && !REGIONAL.iter().any(|start| arn.resource.starts_with(start))
}

fn region_not_allowed(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        if arn.region.is_empty() || !(arn.service == "iam" || is_bucket(&arn)) {
            continue;
        }
        let whole = format!(
            "arn:{}:{}::{}:{}",
            arn.partition, arn.service, arn.account, arn.resource
        );
        let what = if arn.service == "iam" {
            "resources of IAM"
        } else {
            "buckets and objects"
        };
        findings
            .at(resource, format!("ARNs of {what} have no Region"))
            .fix("leave the Region empty")
            .retext(&resource.bytes, &whole);
    }
}

fn account_not_allowed(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        if arn.account.is_empty() || !is_bucket(&arn) || has_wildcard(arn.account) {
            continue;
        }
        let whole = format!("arn:{}:{}:{}::{}", arn.partition, arn.service, arn.region, arn.resource);
        findings
            .at(
                resource,
                "ARNs of buckets and objects have no account, so this matches nothing",
            )
            .fix("leave the account empty; `s3:ResourceAccount` is the condition key for it")
            .retext(&resource.bytes, &whole);
    }
}

fn iam_path(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        let is_known = arn.resource == "*" || IAM_PATHS.iter().any(|kind| arn.resource.starts_with(kind));
        if arn.service != "iam" || is_known {
            continue;
        }
        let finding = findings.at(resource, format!("IAM has no resources like `{}`", clip(arn.resource)));
        if !Kinds::HELD.contain(subject.kind) {
            finding.as_type(FindingType::Warning);
        }
        finding.fix(format!("write `*`, or begin with one of {}", IAM_PATHS.join(", ")));
    }
}

fn variable_in_field(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has_variables() {
        return;
    }
    for resource in resources(subject) {
        let Some(at) = resource.text.find("${") else {
            continue;
        };
        let before = resource.text.get(..at).unwrap_or_default();
        if is_arn(&resource.text) && before.matches(':').count() < 5 {
            findings
                .at(
                    resource,
                    "a policy variable stands for text only behind an ARN's fifth colon, so this matches nothing",
                )
                .fix("write that field out, or compare it in a condition such as `aws:ResourceAccount`");
        }
    }
}

fn white_space(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for resource in resources(subject) {
        let trimmed = resource.text.trim();
        if trimmed.len() < resource.text.len() {
            findings
                .at(
                    resource,
                    "the white space belongs to the resource's name, so this matches hardly anything",
                )
                .fix("remove it")
                .retext(&resource.bytes, trimmed);
        }
    }
}

fn unsupported_resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    debug_assert_eq!(subject.kind, PolicyKind::Resource);
    let services: &[&str] = match subject.options.resource_type {
        Some("AWS::S3::Bucket" | "AWS::S3::AccessPoint" | "AWS::S3::MultiRegionAccessPoint") => &["s3"],
        Some("AWS::S3ObjectLambda::AccessPoint") => &["s3-object-lambda"],
        Some("AWS::S3Express::DirectoryBucket") => &["s3express"],
        Some("AWS::DynamoDB::Table") => &["dynamodb"],
        Some("AWS::KMS::Key") => &["kms"],
        Some("AWS::SQS::Queue") => &["sqs"],
        Some("AWS::SNS::Topic") => &["sns"],
        Some("AWS::Lambda::Function") => &["lambda"],
        Some("AWS::SecretsManager::Secret") => &["secretsmanager"],
        Some("AWS::ECR::Repository") => &["ecr"],
        _ => return,
    };
    for resource in resources(subject) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        if is_plain(arn.service) && !services.contains(&arn.service) {
            findings
                .at(
                    resource,
                    format!(
                        "the policy of a resource of type {} is not about `{}`",
                        subject.options.resource_type.unwrap_or_default(),
                        clip(&resource.text)
                    ),
                )
                .fix("name the resource that the policy is attached to");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions() {
        for region in [
            "us-east-1",
            "us-gov-west-1",
            "eusc-de-east-1",
            "ap-southeast-10",
            "us-iso-east-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "us-east",
            "useast1",
            "us_east_1",
            "US-EAST-1",
            "1",
            "-1",
            "us--1",
            "eu-central-1a",
            "",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }
}
