//! ARNs as the table of services knows them.

use std::collections::HashMap;

use irsa_metadata::{Metadata, ResourceType};

use super::conditions::conditions;
use super::issuers::issuer_key;
use super::resources::{fields, resources};
use super::services::WORK;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};

pub(super) static RULES: &[Rule] = &[
    Rule::doubt(
        "INVALID_SERVICE",
        "an ARN or a condition key of no known service",
        Kinds::ALL,
        unknown_service,
    ),
    Rule::doubt(
        "INVALID_ARN_RESOURCE",
        "an ARN of no known type of resource",
        Kinds::ALL,
        |subject, findings| {
            arn_fault(subject, findings, ArnFault::Resource);
        },
    ),
    Rule::doubt(
        "MISSING_ARN_REGION",
        "an ARN without the Region that its type has",
        Kinds::ALL,
        |subject, findings| {
            arn_fault(subject, findings, ArnFault::NeedsRegion);
        },
    ),
    Rule::doubt(
        "MISSING_ARN_ACCOUNT",
        "an ARN without the account that its type has",
        Kinds::ALL,
        |subject, findings| {
            arn_fault(subject, findings, ArnFault::NeedsAccount);
        },
    ),
    Rule::doubt(
        "ARN_REGION_NOT_ALLOWED",
        "an ARN with a Region that its type has not",
        Kinds::ALL,
        |subject, findings| {
            arn_fault(subject, findings, ArnFault::HasRegion);
        },
    ),
    Rule::doubt(
        "ARN_ACCOUNT_NOT_ALLOWED",
        "an ARN with an account that its type has not",
        Kinds::ALL,
        |subject, findings| {
            arn_fault(subject, findings, ArnFault::HasAccount);
        },
    ),
];

/// Services as ARNs name them: mostly their prefixes, but not always.
struct Vendors<'m> {
    services: &'m Metadata,
    types: HashMap<&'m str, Vec<ResourceType<'m>>>,
}

impl<'m> Vendors<'m> {
    fn new(services: &'m Metadata) -> Self {
        let mut types: HashMap<&str, Vec<ResourceType<'_>>> = HashMap::new();
        for resource_type in services.services().flat_map(|service| service.resource_types()) {
            for pattern in resource_type.arn_patterns() {
                let vendor = pattern.split(':').nth(2).unwrap_or_default();
                let known = types.entry(vendor).or_default();
                if known.last() != Some(&resource_type) {
                    known.push(resource_type);
                }
            }
        }
        Self { services, types }
    }

    fn of(&self, vendor: &str) -> &[ResourceType<'m>] {
        self.types.get(vendor).map_or(&[], Vec::as_slice)
    }

    fn knows(&self, vendor: &str) -> bool {
        self.types.contains_key(vendor) || self.services.service(vendor).is_some()
    }
}

/// Whether a key's prefix is that of a service, or of something else that has condition keys.
fn is_known_prefix(services: &Metadata, prefix: &str) -> bool {
    const OTHERS: [&str; 6] = ["aws", "saml", "ec2", "sts", "iam", "identitystore"];
    OTHERS.iter().any(|known| prefix.eq_ignore_ascii_case(known)) || services.service(prefix).is_some()
}

fn unknown_service(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut vendors: Option<Vendors<'_>> = None;
    for resource in resources(subject).take(WORK) {
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        let vendor = arn.service;
        let open = vendor.is_empty() || has_wildcard(vendor) || vendor.contains("${");
        if open || services.service(vendor).is_some() || vendor.bytes().any(|byte| byte.is_ascii_uppercase()) {
            continue;
        }
        let vendors = vendors.get_or_insert_with(|| Vendors::new(services));
        if vendors.knows(vendor) {
            continue;
        }
        let finding = findings.at(resource, format!("no service is called `{}` in ARNs", clip(vendor)));
        match subject.near_services(vendor).first() {
            Some(near) => finding.fix(format!("if `{near}` is meant, write that")),
            None => finding.fix("correct it, or register the service if it is one of your own"),
        };
    }
    for condition in conditions(subject).take(WORK) {
        let key = &*condition.key.text;
        let Some((prefix, _)) = key.split_once(':') else {
            continue;
        };
        if prefix.is_empty() || is_known_prefix(services, prefix) || issuer_key(key).is_some() {
            continue;
        }
        if services.condition_key(key).is_some() {
            continue;
        }
        let finding = findings.at_name(&condition.key, format!("no service has the prefix `{}`", clip(prefix)));
        match subject.near_key(key) {
            Some(near) => finding
                .fix(format!("write `{near}`"))
                .retext(&condition.key.bytes, &near),
            None => finding.fix("correct the prefix, or register the service if it is one of your own"),
        };
    }
}

/// What is wrong with an ARN, if its type would fit otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ArnFault {
    Resource,
    NeedsRegion,
    NeedsAccount,
    HasRegion,
    HasAccount,
}

fn classify(vendors: &Vendors<'_>, text: &str) -> Option<ArnFault> {
    let arn = fields(text)?;
    let open =
        arn.service.is_empty() || has_wildcard(arn.service) || text.contains("${aws:") && arn.resource.is_empty();
    if open || arn.resource == "*" {
        return None;
    }
    let types = vendors.of(arn.service);
    if types.is_empty() {
        return None;
    }
    let fits = |region: &str, account: &str| {
        let whole = format!(
            "arn:{}:{}:{region}:{account}:{}",
            arn.partition, arn.service, arn.resource
        );
        types.iter().any(|resource_type| resource_type.overlaps(&whole))
    };
    if fits(arn.region, arn.account) {
        return None;
    }
    if arn.region.is_empty() && fits("*", arn.account) {
        return Some(ArnFault::NeedsRegion);
    }
    if arn.account.is_empty() && fits(arn.region, "*") {
        return Some(ArnFault::NeedsAccount);
    }
    if !arn.region.is_empty() && fits("", arn.account) {
        return Some(ArnFault::HasRegion);
    }
    if !arn.account.is_empty() && fits(arn.region, "") {
        return Some(ArnFault::HasAccount);
    }
    if arn.region.is_empty() && fits("*", "*") {
        return Some(ArnFault::NeedsRegion);
    }
    if !arn.region.is_empty() && fits("", "") {
        return Some(ArnFault::HasRegion);
    }
    Some(ArnFault::Resource)
}

/// ARNs of a document that are compared with all types.
const MOST_ARNS: usize = 2_000;

fn arn_fault(subject: &Subject<'_, '_>, findings: &mut Findings, wanted: ArnFault) {
    let mut vendors: Option<Vendors<'_>> = None;
    for resource in resources(subject).take(MOST_ARNS) {
        // Quickly through those whose service has a type that fits.
        let Some(arn) = fields(&resource.text) else {
            continue;
        };
        let own = subject.options.services.service(arn.service);
        let fits = |service: irsa_metadata::Service<'_>| {
            service
                .resource_types()
                .any(|resource_type| resource_type.overlaps(&resource.text))
        };
        if resource.text.len() > 2_048 || own.is_some_and(fits) {
            continue;
        }
        // What IAM refuses has a finding of its own.
        let known = matches!(arn.service, "iam") || (arn.service == "s3" && wanted != ArnFault::Resource);
        let vendors = vendors.get_or_insert_with(|| Vendors::new(subject.options.services));
        if known || classify(vendors, &resource.text) != Some(wanted) {
            continue;
        }
        let service = clip(arn.service);
        let (message, fix) = match wanted {
            ArnFault::Resource => (
                format!("`{service}` has no resources like `{}`", clip(arn.resource)),
                "correct what is behind the fifth colon",
            ),
            ArnFault::NeedsRegion => (
                format!("such resources of `{service}` have a Region, so this matches nothing"),
                "write the Region, or `*` for all",
            ),
            ArnFault::NeedsAccount => (
                format!("such resources of `{service}` have an account, so this matches nothing"),
                "write the account's number, or `*` for all",
            ),
            ArnFault::HasRegion => (
                format!("such resources of `{service}` have no Region, so this matches nothing"),
                "leave the Region empty",
            ),
            ArnFault::HasAccount => (
                format!("such resources of `{service}` have no account, so this matches nothing"),
                "leave the account empty",
            ),
        };
        findings.at(resource, message).fix(fix);
    }
}
