//! What the table of services knows: actions, resource types and condition keys that there are.
//!
//! Nothing here is an error, but what is about the language's own global condition keys: the table can be older than a
//! service.

use std::collections::{BTreeSet, HashMap, HashSet};

use irsa_metadata::{Action, ConditionKey, Metadata, ResourceType, ValueType};
use irsa_policy::syntax::{Predicate, Quantifier};

use super::actions::actions;
use super::conditions::conditions;
use super::resources::{fields, resources};
use super::trust::issuer_key;
use crate::finding::FindingType;
use crate::glob::{has_wildcard, matches};
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item, Statement};

const REFERENCE: &str = "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html";

pub(super) static RULES: &[Rule] = &[
    Rule::doubt(
        "INVALID_ACTION",
        "an action that does not exist",
        Kinds::ALL,
        unknown_action,
    ),
    Rule::doubt(
        "INVALID_SERVICE_IN_ACTION",
        "an action of no known service",
        Kinds::ALL,
        unknown_service_in_action,
    ),
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
    Rule::own(
        FindingType::Warning,
        "IRSA_RESOURCE_NOT_FOR_ACTIONS",
        "a resource that none of the actions is about",
        REFERENCE,
        Kinds::ALL.without(Kinds::TRUST),
        resource_not_for_actions,
    ),
    Rule::own(
        FindingType::Warning,
        "IRSA_ACTION_NEEDS_STAR",
        "an action that only works with the resource `*`",
        REFERENCE,
        Kinds::ALL.without(Kinds::TRUST),
        action_needs_star,
    ),
    Rule::doubt(
        "INVALID_GLOBAL_CONDITION_KEY",
        "an unknown global condition key",
        Kinds::ALL,
        unknown_global_key,
    ),
    Rule::doubt(
        "INVALID_SERVICE_CONDITION_KEY",
        "a condition key that its service does not have",
        Kinds::ALL,
        unknown_key,
    ),
    Rule::warning(
        "TYPE_MISMATCH",
        "an operator that does not fit the condition key",
        Kinds::ALL,
        type_mismatch,
    ),
    Rule::security_warning(
        "STRING_LIKE_OPERATOR_WITH_ARN_CONDITION_KEYS",
        "an ARN compared as a text with wildcards",
        Kinds::ALL,
        string_like_arn,
    ),
    Rule::error(
        "MISSING_QUALIFIER",
        "a condition key with several values without a set qualifier",
        Kinds::ALL,
        missing_qualifier,
    ),
    Rule::security_warning(
        "FORALLVALUES_WITH_SINGLE_VALUED_KEY",
        "ForAllValues with a condition key of one value",
        Kinds::ALL,
        for_all_with_single,
    ),
    Rule::own(
        FindingType::Suggestion,
        "IRSA_FORANYVALUE_WITH_SINGLE_VALUED_KEY",
        "ForAnyValue with a condition key of one value",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html",
        Kinds::ALL,
        for_any_with_single,
    ),
    Rule::doubt(
        "UNSUPPORTED_ACTION_FOR_CONDITION_KEY",
        "a condition key that requests for the action never have",
        Kinds::ALL.without(Kinds::TRUST),
        unsupported_action,
    ),
    Rule::security_warning(
        "DENY_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Deny by a tag that a service does not tell",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Deny", false),
    ),
    Rule::security_warning(
        "DENY_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Deny by a tag for all actions but some",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Deny", true),
    ),
    Rule::suggestion(
        "ALLOW_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Allow by a tag that a service does not tell",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Allow", false),
    ),
    Rule::suggestion(
        "ALLOW_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "Allow by a tag for all actions but some",
        Kinds::ALL.without(Kinds::TRUST),
        |subject, findings| unsupported_tag(subject, findings, "Allow", true),
    ),
];

/// Questions to the table that a document is worth. A text that needs more was not written by hand.
const WORK: usize = 20_000;

/// The two halves of a well-formed action.
fn halves(action: &str) -> Option<(&str, &str)> {
    let (service, name) = action.split_once(':')?;
    let plain = !service.is_empty() && !has_wildcard(service) && !name.contains(':') && !action.contains("${");
    plain.then_some((service, name))
}

fn unknown_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for action in actions(subject).take(WORK) {
        let Some((prefix, name)) = halves(&action.text) else {
            continue;
        };
        let Some(service) = services.service(prefix) else {
            continue;
        };
        if has_wildcard(name) {
            if name.bytes().all(|byte| byte == b'*') || service.actions().any(|known| matches(name, known.name(), true))
            {
                continue;
            }
            findings
                .at(
                    action,
                    format!("no action of {} matches `{}`", service.name(), clip(&action.text)),
                )
                .fix("correct the pattern, or remove it");
        } else if service.action(name).is_none() {
            let finding = findings.at(action, format!("{} has no action `{}`", service.name(), clip(name)));
            match subject.near_action(&action.text) {
                Some(near) => finding.fix(format!("write `{near}`")).retext(&action.bytes, &near),
                None => finding.fix("correct the name, or remove the action"),
            };
        }
    }
}

fn unknown_service_in_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for action in actions(subject).take(WORK) {
        let Some((prefix, name)) = halves(&action.text) else {
            continue;
        };
        if services.service(prefix).is_some() {
            continue;
        }
        let finding = findings.at(action, format!("no service has the prefix `{}`", clip(prefix)));
        let near = subject.near_services(prefix);
        let best = near
            .iter()
            .find(|near| services.action(&format!("{near}:{name}")).is_some())
            .or(near.first());
        match best {
            Some(near) => finding
                .fix(format!(
                    "write `{near}:{name}`, or register the service if it is one of your own"
                ))
                .retext(&action.bytes, &format!("{near}:{name}")),
            None => finding.fix("correct the prefix, or register the service if it is one of your own"),
        };
    }
}

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

/// The actions of a statement, if all of them are known; at most so many.
fn known_actions<'m>(services: &'m Metadata, statement: &Statement<'_>) -> Option<Vec<Action<'m>>> {
    const MOST: usize = 2_000;
    let mut known = Vec::new();
    for item in &statement.action.as_ref()?.items {
        let (prefix, name) = halves(&item.text)?;
        if has_wildcard(name) {
            let before = known.len();
            services.service(prefix)?;
            known.extend(services.actions_matching(&item.text).take(MOST));
            if known.len() == before {
                return None;
            }
        } else {
            known.push(services.action(&item.text)?);
        }
        if known.len() >= MOST {
            return None;
        }
    }
    Some(known)
}

fn resource_not_for_actions(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in &subject.tree.statements {
        let Some(list) = &statement.resource else {
            continue;
        };
        let Some(mut actions) = known_actions(services, statement) else {
            continue;
        };
        // Those about no resource at all have a finding of their own.
        actions.retain(|action| !action.is_wildcard_only());
        if actions.is_empty() {
            continue;
        }
        let prefixes: BTreeSet<&str> = actions.iter().map(|action| action.service().prefix()).collect();
        for item in &list.items {
            let Some(arn) = fields(&item.text) else {
                continue;
            };
            // An ARN that is wrong in itself has a finding.
            let Some(service) = services.service(arn.service).filter(|_| !has_wildcard(arn.service)) else {
                continue;
            };
            if arn.resource.is_empty() || service.resource_types_named_by(&item.text).is_empty() {
                continue;
            }
            work = work.saturating_sub(actions.len());
            if work == 0 {
                return;
            }
            // A service's table can name types of another service's ARNs.
            let foreign = !prefixes.contains(service.prefix());
            let accepted = actions.iter().any(|action| {
                action.accepts_resource(&item.text)
                    || action
                        .resource_types()
                        .any(|accepted| accepted.resource_type().overlaps(&item.text))
            });
            if !accepted {
                let what = if foreign && prefixes.len() == 1 {
                    format!(
                        "this is a resource of {}, the actions are those of {}",
                        service.prefix(),
                        prefixes.iter().next().copied().unwrap_or_default()
                    )
                } else {
                    "none of the actions here is about such a resource".to_owned()
                };
                findings
                    .at(item, what)
                    .fix("name resources that the actions are about, or add the actions that this one is meant for");
            }
        }
    }
}

fn action_needs_star(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let (Some(resources), Some(actions)) = (&statement.resource, &statement.action) else {
            continue;
        };
        if resources.items.is_empty() || resources.items.iter().any(|item| item.text == "*") {
            continue;
        }
        for item in &actions.items {
            work = work.saturating_sub(1);
            let Some(action) = halves(&item.text)
                .and_then(|_| services.action(&item.text))
                .filter(|_| work > 0)
            else {
                continue;
            };
            if action.is_wildcard_only() {
                findings
                    .at(
                        item,
                        format!("{action} is about no particular resource: only `\"Resource\": \"*\"` allows it"),
                    )
                    .fix("put it into a statement with `\"Resource\": \"*\"`");
            }
        }
    }
}

fn unknown_global_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for condition in conditions(subject).take(WORK) {
        let key = &*condition.key.text;
        let is_global = key
            .split_once(':')
            .is_some_and(|(prefix, _)| prefix.eq_ignore_ascii_case("aws"));
        // Retired and bare ones have findings of their own.
        let bare = ["aws:ARN", "aws:ResourceTag", "aws:RequestTag", "aws:PrincipalTag"];
        let trimmed = key.trim_end_matches('/');
        if !is_global
            || bare.iter().any(|known| known.eq_ignore_ascii_case(trimmed))
            || services.condition_key(key).is_some()
        {
            continue;
        }
        let finding = findings.at_name(
            &condition.key,
            format!(
                "there is no global condition key `{}`, so {}",
                clip(key),
                effect(condition)
            ),
        );
        match subject.near_key(key) {
            Some(near) => finding
                .fix(format!("write `{near}`"))
                .retext(&condition.key.bytes, &near),
            None => finding.fix("see the global condition keys that there are"),
        };
    }
}

fn effect(condition: &Condition<'_>) -> &'static str {
    if condition.holds_when_absent() {
        "this is always met"
    } else {
        "this is never met"
    }
}

fn unknown_key(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    for condition in conditions(subject).take(WORK) {
        let key = &*condition.key.text;
        let Some((prefix, _)) = key.split_once(':') else {
            continue;
        };
        let other = prefix.eq_ignore_ascii_case("aws") || prefix.eq_ignore_ascii_case("saml");
        if other || issuer_key(key).is_some() || services.condition_key(key).is_some() {
            continue;
        }
        let Some(service) = services.service(prefix) else {
            continue;
        };
        let finding = findings.at_name(
            &condition.key,
            format!(
                "{} has no condition key `{}`, so {}",
                service.name(),
                clip(key),
                effect(condition)
            ),
        );
        match subject.near_key(key) {
            Some(near) => finding
                .fix(format!("write `{near}`"))
                .retext(&condition.key.bytes, &near),
            None => finding.fix("correct the key, or remove it"),
        };
    }
}

/// The conditions on known keys.
fn known_keys<'s, 't, 'm>(subject: &'s Subject<'m, 't>) -> impl Iterator<Item = (&'s Condition<'t>, ConditionKey<'m>)> {
    let services = subject.options.services;
    conditions(subject)
        .take(WORK)
        .filter_map(move |condition| Some((condition, services.condition_key(&condition.key.text)?)))
}

/// The operators of a type, for a message.
fn operators(value: ValueType) -> &'static str {
    match value {
        ValueType::String => "a String operator",
        ValueType::Numeric => "a Numeric operator",
        ValueType::Bool => "Bool",
        ValueType::Date => "a Date operator",
        ValueType::Arn => "an Arn operator",
        ValueType::IpAddress => "IpAddress or NotIpAddress",
        ValueType::Binary => "BinaryEquals",
    }
}

fn is_text(predicate: Predicate) -> bool {
    matches!(
        predicate,
        Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike
    )
}

fn type_mismatch(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let Some(operator) = condition.operator else {
            continue;
        };
        let value = key.key_type().value;
        let fits = match (value, operator.predicate) {
            (_, Predicate::Null) => true,
            (ValueType::String, Predicate::Arn) => is_maybe_arn(key.name()),
            (ValueType::String, predicate) => is_text(predicate),
            (ValueType::Numeric, predicate) => matches!(predicate, Predicate::Numeric(_)),
            (ValueType::Bool, predicate) => predicate == Predicate::Bool,
            (ValueType::Date, Predicate::Numeric(_)) => key.name().eq_ignore_ascii_case("aws:EpochTime"),
            (ValueType::Date, predicate) => matches!(predicate, Predicate::Date(_)),
            (ValueType::Arn, predicate) => predicate == Predicate::Arn || is_text(predicate),
            (ValueType::IpAddress, predicate) => predicate == Predicate::IpAddress,
            (ValueType::Binary, predicate) => predicate == Predicate::Binary,
        };
        if !fits {
            findings
                .at_name(
                    &condition.operator_name,
                    format!(
                        "`{}` is not for values of the type {value}, which those of `{}` are",
                        condition.operator_name.text,
                        clip(&condition.key.text)
                    ),
                )
                .fix(format!("use {}", operators(value)));
        }
    }
}

/// Keys that the table calls texts and that hold ARNs sometimes.
fn is_maybe_arn(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("arn") || lower.contains("encryptioncontext") || lower.contains("tag/")
}

fn string_like_arn(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let like = condition
            .operator
            .is_some_and(|operator| operator.predicate == Predicate::StringLike);
        let wild = condition
            .values
            .iter()
            .any(|value| has_wildcard(&value.text) && value.text != "*");
        if !like || !wild || key.key_type().value != ValueType::Arn {
            continue;
        }
        let better = condition
            .operator_name
            .text
            .replace("StringLike", "ArnLike")
            .replace("StringNotLike", "ArnNotLike");
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "under `{}` a `*` also stands for colons, so it matches ARNs of other accounts than it seems",
                condition.operator_name.text
            ),
        );
        finding.fix(format!("write `{better}`"));
        if condition.is_alone {
            finding.retext(&condition.operator_name.bytes, &better);
        }
    }
}

fn missing_qualifier(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        let plain = condition
            .operator
            .is_some_and(|operator| operator.is_plain() && operator.predicate != Predicate::Null);
        if !plain || !key.key_type().is_multivalued {
            continue;
        }
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "`{}` can have several values: without ForAllValues or ForAnyValue it matches none",
                clip(&condition.key.text)
            ),
        );
        if key.category().is_none() {
            finding.as_type(FindingType::Warning);
        }
        let better = format!("ForAnyValue:{}", condition.operator_name.text);
        finding.fix(format!("write `{better}` or `ForAllValues:…`"));
    }
}

fn qualified(condition: &Condition<'_>, quantifier: Quantifier) -> bool {
    condition
        .operator
        .is_some_and(|operator| operator.quantifier == quantifier && operator.predicate != Predicate::Null)
}

fn for_all_with_single(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        if !qualified(condition, Quantifier::All) || key.key_type().is_multivalued {
            continue;
        }
        let rest = condition
            .operator_name
            .text
            .get("ForAllValues:".len()..)
            .unwrap_or_default();
        let finding = findings.at_name(
            &condition.operator_name,
            format!(
                "`ForAllValues` is also met by requests without `{}`",
                clip(&condition.key.text)
            ),
        );
        finding.fix(format!("write `{rest}`"));
        if condition.is_alone {
            finding.retext(&condition.operator_name.bytes, rest);
        }
    }
}

fn for_any_with_single(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (condition, key) in known_keys(subject) {
        if !qualified(condition, Quantifier::Any) || key.key_type().is_multivalued {
            continue;
        }
        let rest = condition
            .operator_name
            .text
            .get("ForAnyValue:".len()..)
            .unwrap_or_default();
        findings
            .at_name(
                &condition.operator_name,
                format!(
                    "`{}` has one value, so it needs no qualifier",
                    clip(&condition.key.text)
                ),
            )
            .fix(format!("write `{rest}`"));
    }
}

fn unsupported_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let services = subject.options.services;
    let mut work = WORK;
    for statement in &subject.tree.statements {
        let Some(list) = statement
            .action
            .as_ref()
            .filter(|_| statement.allows() || statement.denies())
        else {
            continue;
        };
        for condition in statement.conditions() {
            let Some(key) = services.condition_key(&condition.key.text) else {
                continue;
            };
            let of_service = key.name().split(':').next().unwrap_or_default();
            // Cross-service keys come with requests of other services.
            if (key.category().is_some() && !key.is_about_tags()) || condition.operator.is_none() {
                continue;
            }
            work = work.saturating_sub(list.items.len());
            if work == 0 {
                return;
            }
            let lacking: Vec<&Item<'_>> = list
                .items
                .iter()
                .filter(|item| {
                    let action = halves(&item.text).and_then(|_| services.action(&item.text));
                    action.is_some_and(|action| {
                        let told = !key.is_about_tags() || action.service().actions().any(|other| other.carries(key));
                        told && !action.carries(key)
                    })
                })
                .collect();
            let Some(first) = lacking.first() else {
                continue;
            };
            let more = match lacking.len() {
                1 => String::new(),
                2 => " and another".to_owned(),
                many => format!(" and {} others", many.saturating_sub(1)),
            };
            let absent = condition.holds_when_absent();
            let result = match (absent, statement.allows()) {
                (false, true) => "so these are never allowed here",
                (false, false) => "so these are never denied here",
                (true, true) => "so these are allowed without it",
                (true, false) => "so these are always denied here",
            };
            let finding = findings.at_name(
                &condition.key,
                format!(
                    "requests for {}{more} have no `{}`, {result}",
                    clip(&first.text),
                    clip(&condition.key.text)
                ),
            );
            if absent == statement.allows() && !of_service.is_empty() {
                finding.as_type(FindingType::SecurityWarning);
            }
            finding.fix("put these actions into a statement without the condition");
        }
    }
}

/// The tags of the resource: the key that the four rules are about.
fn tag_conditions<'s, 't>(statement: &'s Statement<'t>) -> impl Iterator<Item = &'s Condition<'t>> {
    statement.conditions().filter(|condition| {
        let head = condition.key.text.split('/').next().unwrap_or_default();
        head.eq_ignore_ascii_case("aws:ResourceTag") && condition.key.text.len() > head.len()
    })
}

fn unsupported_tag(subject: &Subject<'_, '_>, findings: &mut Findings, effect: &str, not_action: bool) {
    let services = subject.options.services;
    for statement in &subject.tree.statements {
        let has_effect = statement.effect.as_ref().is_some_and(|item| item.text == effect);
        let is_not_action = statement.not_action.is_some() && statement.action.is_none();
        if !has_effect || is_not_action != not_action {
            continue;
        }
        let Some(condition) = tag_conditions(statement).find(|condition| !condition.holds_when_absent()) else {
            continue;
        };
        let Some(key) = services.condition_key(&condition.key.text) else {
            continue;
        };
        let result = if effect == "Deny" { "not denied" } else { "not allowed" };
        if not_action {
            findings
                .at_name(
                    &condition.key,
                    format!("many actions do not tell the tags of their resources: those are {result} by this"),
                )
                .fix("list in `Action` the actions that are meant");
            continue;
        }
        let prefixes: BTreeSet<&str> = statement
            .action
            .iter()
            .flat_map(|list| &list.items)
            .filter_map(|item| halves(&item.text).map(|(prefix, _)| prefix))
            .collect();
        let mut seen: HashSet<String> = HashSet::new();
        let lacking: Vec<&str> = prefixes
            .into_iter()
            .filter(|prefix| seen.insert(prefix.to_ascii_lowercase()))
            .filter(|prefix| {
                services
                    .service(prefix)
                    .is_some_and(|service| !service.actions().any(|action| action.carries(key)))
            })
            .collect();
        if !lacking.is_empty() {
            findings
                .at_name(
                    &condition.key,
                    format!(
                        "no action of {} tells the tags of its resource: those are {result} by this",
                        lacking.join(", ")
                    ),
                )
                .fix("put these actions into a statement without the condition");
        }
    }
}
