//! What the APIs refuse when a policy is written, in their words.

use irsa_policy::validate::{self, non_whitespace_len};
use irsa_policy::{Policy, PolicyKind};

use crate::MAX_TEXT_LEN;
use crate::finding::FindingType;
use crate::rule::{Findings, Kinds, Rule, Subject};

const QUOTAS: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html";
const GRAMMAR: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html";

pub(super) static RULES: &[Rule] = &[
    Rule::own(
        FindingType::Error,
        "MalformedPolicyDocument",
        "a policy that is refused when it is written",
        GRAMMAR,
        Kinds::IAM,
        malformed,
    ),
    Rule::own(
        FindingType::Error,
        "MalformedPolicy",
        "a policy that S3 refuses when it is written",
        GRAMMAR,
        Kinds::RESOURCE,
        malformed,
    ),
    Rule::own(
        FindingType::Error,
        "InvalidPolicyDocument",
        "a policy that EC2 refuses when it is written",
        GRAMMAR,
        Kinds::VPC_ENDPOINT,
        malformed,
    ),
    Rule::own(
        FindingType::Error,
        "MalformedPolicyDocumentException",
        "a policy that Organizations refuses when it is written",
        GRAMMAR,
        Kinds::SERVICE_CONTROL.and(Kinds::RESOURCE_CONTROL),
        malformed,
    ),
    Rule::own(
        FindingType::Error,
        "LimitExceeded",
        "a policy that is larger than IAM takes",
        QUOTAS,
        Kinds::IDENTITY.and(Kinds::BOUNDARY).and(Kinds::TRUST),
        limit_exceeded,
    ),
    Rule::own(
        FindingType::Error,
        "ValidationError",
        "a text that an API does not take as a policy",
        QUOTAS,
        Kinds::IAM,
        validation_error,
    ),
    Rule::own(
        FindingType::Error,
        TOO_LONG,
        "a text longer than any policy",
        QUOTAS,
        Kinds::ALL,
        too_long,
    ),
    Rule::warning(
        "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA",
        "an identity-based policy that is too large for a managed one",
        Kinds::IDENTITY,
        identity_size,
    ),
    Rule::warning(
        "POLICY_SIZE_EXCEEDS_ROLE_TRUST_POLICY_QUOTA",
        "a trust policy above the default quota",
        Kinds::TRUST,
        trust_size,
    ),
    Rule::warning(
        "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA",
        "a resource-based policy above its resource's quota",
        Kinds::RESOURCE,
        resource_size,
    ),
    Rule::error(
        "POLICY_SIZE_EXCEEDS_SCP_QUOTA",
        "a service control policy above the quota",
        Kinds::SERVICE_CONTROL,
        service_control_size,
    ),
    Rule::error(
        "POLICY_SIZE_EXCEEDS_RCP_QUOTA",
        "a resource control policy above the quota",
        Kinds::RESOURCE_CONTROL,
        resource_control_size,
    ),
];

/// The rule for texts that are not looked into.
pub(crate) const TOO_LONG: &str = "IRSA_TEXT_TOO_LONG";

/// Characters that IAM counts.
const MANAGED: usize = 6_144;
/// All inline policies of a role together.
const INLINE: usize = 10_240;
pub(super) const TRUST: usize = 2_048;
/// The highest that Service Quotas gives.
const TRUST_ADJUSTED: usize = 4_096;
/// Characters of any kind, for STS and for APIs.
const SESSION: usize = 2_048;
const FIELD: usize = 131_072;
/// The quota of service control policies was doubled in 2025; see
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>.
const SERVICE_CONTROL: usize = 10_240;
const RESOURCE_CONTROL: usize = 5_120;

/// What IAM's Organizations sibling says of everything that it refuses.
const ORGANIZATIONS: &str = "The provided policy document does not meet the requirements of the specified policy type.";

const NO_RESOURCE: &str = "Missing required field Resource";

fn malformed(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let message = match validate::document(subject.kind, subject.text) {
        Ok(()) => return,
        // These words are S3's, which other services do not use.
        Err(malformed) if malformed.message == NO_RESOURCE && subject.names_no_resource() => {
            match Policy::parse("", subject.kind, subject.text) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            }
        }
        Err(malformed) => malformed.message,
    };
    let organizations = matches!(subject.kind, PolicyKind::ServiceControl | PolicyKind::ResourceControl);
    let message = if organizations {
        // Its own reader's reason helps more, so both.
        let reason = Policy::parse("", subject.kind, subject.text).err();
        reason.map_or_else(
            || ORGANIZATIONS.to_owned(),
            |reason| format!("{ORGANIZATIONS} ({reason})"),
        )
    } else {
        message
    };
    findings.add(&subject.tree_path(), &subject.first_byte(), message);
}

fn limit_exceeded(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let size = non_whitespace_len(subject.text);
    let message = match subject.kind {
        PolicyKind::Identity if size > INLINE => format!("Cannot exceed quota for PolicySize: {MANAGED}"),
        PolicyKind::Boundary if size > MANAGED => format!("Cannot exceed quota for PolicySize: {MANAGED}"),
        PolicyKind::Trust if size > TRUST => format!("Cannot exceed quota for ACLSizePerRole: {TRUST}"),
        _ => return,
    };
    findings
        .add(&subject.tree_path(), &subject.first_byte(), message)
        .fix(format!(
            "the policy has {size} characters without white space: shorten it, or divide it"
        ));
}

fn validation_error(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let root = subject.tree_path();
    let all = subject.text.chars().count();
    let (field, most) = match subject.kind {
        PolicyKind::Session => ("policy", SESSION),
        _ => ("policyDocument", FIELD),
    };
    if all > most {
        findings
            .add(
                &root,
                &subject.first_byte(),
                format!(
                    "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length \
                     less than or equal to {most}"
                ),
            )
            .fix(format!("the policy has {all} characters, white space included: shorten it"));
    }
    if all == 0 {
        findings.add(
            &root,
            &subject.first_byte(),
            format!(
                "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length \
                 greater than or equal to 1"
            ),
        );
    }
    let mut foreign = subject
        .text
        .char_indices()
        .filter(|(_, character)| !matches!(character, '\t' | '\n' | '\r' | ' '..='\u{ff}'));
    if let Some((at, character)) = foreign.next() {
        let more = match foreign.count() {
            0 => String::new(),
            more => format!(", and {more} more such characters follow"),
        };
        let end = at.saturating_add(character.len_utf8());
        findings
            .add(
                &root,
                &(at..end),
                format!(
                    "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must satisfy regular \
                     expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+"
                ),
            )
            .fix(format!(
                "policies take the characters U+0020 to U+00FF only; this is U+{:04X}{more}",
                u32::from(character)
            ));
    }
}

/// Whether a text has this one fault, and is not looked into.
pub(crate) fn is_too_long(text: &str) -> bool {
    text.len() > MAX_TEXT_LEN
}

fn too_long(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if is_too_long(subject.text) {
        findings.add(
            &subject.tree_path(),
            &subject.first_byte(),
            format!(
                "the text has more than {MAX_TEXT_LEN} bytes; no API takes such a policy, so nothing else of it was checked"
            ),
        );
    }
}

fn identity_size(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let size = non_whitespace_len(subject.text);
    if (MANAGED.saturating_add(1)..=INLINE).contains(&size) {
        findings
            .add(
                &subject.tree_path(),
                &subject.first_byte(),
                format!(
                    "the policy has {size} characters without white space: a managed policy holds at most {MANAGED}, and \
                     only a role can have it inline ({INLINE} for all of its inline policies)"
                ),
            )
            .fix("divide it into several policies");
    }
}

fn trust_size(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let size = non_whitespace_len(subject.text);
    if size > TRUST {
        let message = format!(
            "the trust policy has {size} characters without white space; the quota is {TRUST} unless it was raised, and \
             at most {TRUST_ADJUSTED}"
        );
        findings
            .add(&subject.tree_path(), &subject.first_byte(), message)
            .fix("shorten it, or have the quota raised");
    }
}

fn resource_size(subject: &Subject<'_, '_>, findings: &mut Findings) {
    // White space counts, but for key policies too: these quotas are of bytes.
    let most = match subject.options.resource_type {
        Some("AWS::KMS::Key") => 32_768,
        _ => 20_480,
    };
    let size = subject.text.len();
    if size > most {
        findings
            .add(
                &subject.tree_path(),
                &subject.first_byte(),
                format!("the policy has {size} bytes; its resource takes at most {most}"),
            )
            .fix("shorten it, white space first");
    }
}

fn service_control_size(subject: &Subject<'_, '_>, findings: &mut Findings) {
    organizations_size(subject, findings, "service", SERVICE_CONTROL);
}

fn resource_control_size(subject: &Subject<'_, '_>, findings: &mut Findings) {
    organizations_size(subject, findings, "resource", RESOURCE_CONTROL);
}

fn organizations_size(subject: &Subject<'_, '_>, findings: &mut Findings, what: &str, most: usize) {
    let size = subject.text.chars().count();
    if size > most {
        findings
            .add(
                &subject.tree_path(),
                &subject.first_byte(),
                format!("the policy has {size} characters; a {what} control policy holds at most {most}, white space included"),
            )
            .fix("remove white space, or divide it into several policies");
    }
}
