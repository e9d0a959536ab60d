//! What many operations share: constraints of the service model, ARNs, looking things up, writing records.

use irsa_core::{AccountId, Arn, Timestamp};
use irsa_store::Transaction;
use irsa_wire::{Params, Text, Validator, WireError, patterns};
use serde::Serialize;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::managed::AwsManagedPolicy;
use crate::operation::{Execution, Question};
use crate::record::Tag;
use crate::state::{Account, Policy};

/// `roleNameType`.
pub(crate) const ROLE_NAME: Text = Text::new(1, 64, patterns::NAME);
/// `userNameType`: the name of a user that is to be made.
pub(crate) const USER_NAME: Text = Text::new(1, 64, patterns::NAME);
/// `existingUserNameType`.
pub(crate) const EXISTING_USER_NAME: Text = Text::new(1, 128, patterns::NAME);
/// `policyNameType`.
pub(crate) const POLICY_NAME: Text = Text::new(1, 128, patterns::NAME);
/// `pathType`.
pub(crate) const PATH: Text = Text::new(1, 512, patterns::PATH);
/// `pathPrefixType`.
pub(crate) const PATH_PREFIX: Text = Text::new(1, 512, patterns::PATH_PREFIX);
/// `policyPathType`.
pub(crate) const POLICY_PATH: Text = Text::new(1, 512, patterns::POLICY_PATH);
/// `arnType`.
pub(crate) const ARN: Text = Text::new(20, 2048, patterns::ANY);
/// `policyDocumentType`.
pub(crate) const DOCUMENT: Text = Text::new(1, 131_072, patterns::DOCUMENT);
/// `roleDescriptionType`.
pub(crate) const ROLE_DESCRIPTION: Text = Text::new(0, 1000, patterns::DESCRIPTION);
/// `policyDescriptionType`.
pub(crate) const POLICY_DESCRIPTION: Text = Text::new(0, 1000, patterns::ANY);
/// `policyVersionIdType`.
pub(crate) const VERSION_ID: Text = Text::new(0, 2048, patterns::VERSION_ID);
/// `accessKeyIdType`.
pub(crate) const ACCESS_KEY_ID: Text = Text::new(16, 128, patterns::ACCESS_KEY_ID);
/// `clientIDType`.
pub(crate) const CLIENT_ID: Text = Text::new(1, 255, patterns::ANY);

/// The greatest record in bytes: one transaction of the store takes two of them and what belongs to them. Only
/// documents full of white space, which quotas don't count, get near it.
const MAX_RECORD: usize = 480 * 1024;

/// Reads parameters, and reports everything that is wrong with them at once.
pub(crate) fn checked<T>(read: impl FnOnce(&mut Validator) -> Result<T, WireError>) -> Result<T, IamError> {
    let mut validator = Validator::new();
    let value = read(&mut validator)?;
    validator.finish()?;
    Ok(value)
}

/// A list of texts, each under the constraint; `None` if the parameter was not sent.
pub(crate) fn texts(
    validator: &mut Validator,
    params: &Params,
    name: &str,
    constraint: Text,
) -> Result<Option<Vec<String>>, WireError> {
    let Some(elements) = params.strings(name)? else {
        return Ok(None);
    };
    let length_fits = |text: &str| (constraint.min..=constraint.max).contains(&text.chars().count());
    let fits = |element: &Option<String>| {
        element
            .as_deref()
            .is_some_and(|text| length_fits(text) && (constraint.pattern.matches)(text))
    };
    if !elements.iter().all(fits) {
        let shown: Vec<&str> = elements
            .iter()
            .map(|element| element.as_deref().unwrap_or("null"))
            .collect();
        let mut rules = vec![
            format!("Member must have length less than or equal to {}", constraint.max),
            format!("Member must have length greater than or equal to {}", constraint.min),
        ];
        if constraint.pattern.text != patterns::ANY.text {
            rules.push(format!(
                "Member must satisfy regular expression pattern: {}",
                constraint.pattern.text
            ));
        }
        let member = member(name);
        let shown = format!("[{}]", shown.join(", "));
        validator.fail(
            &member,
            &shown,
            false,
            &format!("Member must satisfy constraint: [{}]", rules.join(", ")),
        );
    }
    Ok(Some(elements.into_iter().flatten().collect()))
}

/// `RoleName` → `roleName`: how messages name a parameter.
pub(crate) fn member(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}

/// An ARN that was sent as the name of something.
pub(crate) fn parse_arn(text: &str) -> Result<Arn, IamError> {
    text.parse()
        .map_err(|_| WireError::validation("Invalid ARN:  Could not be parsed!").into())
}

/// The ARN of a managed policy, whether it exists or not.
pub(crate) fn policy_arn(text: &str) -> Result<Arn, IamError> {
    let arn = parse_arn(text)?;
    let owner_is_known = arn.account() == "aws" || arn.account_id().is_some();
    let is_policy =
        arn.service() == "iam" && arn.region().is_empty() && owner_is_known && arn.resource_of_kind("policy").is_some();
    if is_policy {
        Ok(arn)
    } else {
        Err(IamError::InvalidInput(format!("ARN {text} is not valid.")))
    }
}

/// A managed policy that exists and that the account may use.
#[derive(Clone, Copy)]
pub(crate) enum Managed<'a> {
    /// One of AWS's.
    Aws(&'static AwsManagedPolicy),
    /// One of the account's own.
    Own(&'a Policy),
}

impl<'a> Managed<'a> {
    pub(crate) fn find(account: &'a Account, arn: &str) -> Option<Self> {
        let own = || account.policy(arn).map(|policy| Self::Own(policy));
        AwsManagedPolicy::find(arn).map(Self::Aws).or_else(own)
    }

    /// What the index of attachments calls it.
    pub(crate) fn attachment_name(self) -> String {
        match self {
            Self::Aws(policy) => aws_attachment_name(policy.name),
            Self::Own(policy) => policy.record.name.clone(),
        }
    }
}

/// A colon can't stand in the name of a customer's policy, so the two kinds of names never meet.
fn aws_attachment_name(name: &str) -> String {
    format!("aws:{name}")
}

/// The name of a policy in the index of attachments, by an ARN that was checked when it was attached.
pub(crate) fn attachment_name(arn: &str) -> String {
    let name = arn.rsplit('/').next().unwrap_or_default();
    if arn.starts_with("arn:aws:iam::aws:") {
        aws_attachment_name(name)
    } else {
        name.to_owned()
    }
}

/// Puts one use of a managed policy into a transaction. An own policy must not change under our hands: it could be
/// deleted.
pub(crate) fn attach(
    transaction: Transaction,
    account: AccountId,
    policy: Managed<'_>,
    kind: &str,
    name: &str,
) -> Transaction {
    let transaction = match policy {
        Managed::Aws(_) => transaction,
        Managed::Own(policy) => {
            transaction.when_modified_at(key::policy(account, &policy.record.name), policy.revision)
        }
    };
    transaction.put(
        key::attachment(account, &policy.attachment_name(), kind, name),
        Vec::new(),
    )
}

/// Takes one use of a managed policy out.
pub(crate) fn detach(transaction: Transaction, account: AccountId, arn: &str, kind: &str, name: &str) -> Transaction {
    transaction.delete(key::attachment(account, &attachment_name(arn), kind, name))
}

/// The policy that is to become a permissions boundary.
pub(crate) fn boundary<'a>(account: &'a Account, arn: &str) -> Result<Managed<'a>, IamError> {
    policy_arn(arn)?;
    Managed::find(account, arn)
        .ok_or_else(|| IamError::NoSuchEntity(format!("Scope ARN: {arn} does not exist or is not attachable.")))
}

/// Adds a record to a transaction.
pub(crate) fn save(transaction: Transaction, key: String, record: &impl Serialize) -> Result<Transaction, IamError> {
    let value = serde_json::to_vec(record)
        .map_err(|error| IamError::Internal(format!("the record `{key}` can't be written: {error}")))?;
    if value.len() > MAX_RECORD {
        return Err(IamError::LimitExceeded(format!(
            "Cannot exceed quota for EntitySize: {MAX_RECORD}"
        )));
    }
    Ok(transaction.put(key, value))
}

/// The question about a managed policy named by its ARN. A policy of another account is asked for in that account's
/// name, which nobody outside of it may answer with yes; AWS's own policies are everybody's.
pub(crate) fn policy_target(question: &Question<'_>, arn: &str) -> Result<Target, IamError> {
    let parsed = policy_arn(arn)?;
    let own = question.caller.account;
    let target =
        Target::new(question.action, arn, parsed.account_id().unwrap_or(own)).shown_as(format!("policy {arn}"));
    let policy = question.state.account(own).and_then(|account| account.policy(arn));
    Ok(match policy {
        Some(policy) => target.with_resource_tags("iam", &policy.record.tags),
        None => target,
    })
}

/// The question of a list call: AWS asks about the path that is listed.
pub(crate) fn list_target(question: &Question<'_>, kind: &str, path_prefix: Option<&str>) -> Target {
    let account = question.caller.account;
    Target::new(
        question.action,
        format!("arn:aws:iam::{account}:{kind}{}", path_prefix.unwrap_or("/")),
        account,
    )
}

/// Checks a path prefix that may be absent.
pub(crate) fn path_prefix<'a>(validator: &mut Validator, params: &'a Params, constraint: Text) -> Option<&'a str> {
    validator.optional(params, "PathPrefix", constraint)
}

/// A stored time as answers show it.
pub(crate) fn time(millis: i64) -> String {
    Timestamp::from_unix_millis(millis).iso8601()
}

/// The refusal to change what belongs to AWS; the owner's own administrators get it as well.
pub(crate) fn not_yours(execution: &Execution<'_>, action: &str, arn: &str) -> IamError {
    let caller = execution.caller.arn();
    let message = format!("User: {caller} is not authorized to perform: {action} on resource: policy {arn}");
    IamError::Wire(WireError::new("AccessDenied", 403, message).because("policies of AWS can't be changed"))
}

/// A create call that sends tags asks twice: for the creation, and for the tagging.
pub(crate) fn and_tagging(target: Target, tag_action: &'static str, tags: &[Tag]) -> Vec<Target> {
    if tags.is_empty() {
        return vec![target];
    }
    let tagging = Target {
        action: tag_action.into(),
        ..target.clone()
    };
    vec![target, tagging]
}
