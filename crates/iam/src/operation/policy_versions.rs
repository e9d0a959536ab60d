//! Versions of managed policies. Numbers are never used twice.

use irsa_store::Transaction;
use irsa_wire::Params;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, Managed, checked};
use crate::operation::page::Page;
use crate::operation::policies::{self, by_arn, find};
use crate::operation::render::{self, Members};
use crate::operation::{Execution, Operation, Outcome, Question, change, read};
use crate::record::{PolicyRecord, PolicyVersion};
use crate::state::Policy;

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreatePolicyVersion", create_targets, create),
    read!("GetPolicyVersion", version_targets, get),
    read!("ListPolicyVersions", list_targets, list),
    change!("SetDefaultPolicyVersion", version_targets, set_default),
    change!("DeletePolicyVersion", version_targets, delete),
];

fn read_new(params: &Params) -> Result<(&str, &str, bool), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, "PolicyArn", common::ARN),
            validator.required(params, "PolicyDocument", common::DOCUMENT),
            params.boolean("SetAsDefault")?.unwrap_or(false),
        ))
    })
}

fn create_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::policy_target(question, read_new(params)?.0)?])
}

fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, document, set_as_default) = read_new(params)?;
    let policy = own(execution, "iam:CreatePolicyVersion", arn)?;
    policies::check_document(document, execution)?;
    let limit = execution.quotas.policy_versions;
    if policy.record.versions.len() >= limit {
        let message = format!(
            "A managed policy can have up to {limit} versions. Before you create a new version, you must delete an existing version."
        );
        return Err(IamError::LimitExceeded(message));
    }
    let mut record = policy.record.clone();
    let now = execution.now.unix_millis();
    let version = PolicyVersion {
        number: record.next_version,
        document: document.to_owned(),
        created: now,
    };
    record.next_version = record.next_version.saturating_add(1);
    if set_as_default {
        record.default_version = version.number;
    }
    record.updated = now;
    let answer = Members::new().members(
        "PolicyVersion",
        render::policy_version(&version, record.default_version, false),
    );
    record.versions.push(version);
    Ok(Outcome::changed(update(policy, &record)?, answer.xml(), answer.json()))
}

fn read_version(params: &Params) -> Result<(&str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, "PolicyArn", common::ARN),
            validator.required(params, "VersionId", common::VERSION_ID),
        ))
    })
}

fn version_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::policy_target(question, read_version(params)?.0)?])
}

fn no_such_version(arn: &str, id: &str) -> IamError {
    IamError::NoSuchEntity(format!(
        "Policy {arn} version {id} does not exist or is not attachable."
    ))
}

/// A version by its id. `v1.x`, which the model's expression allows, names none.
fn version<'a>(policy: &'a Policy, id: &str) -> Result<&'a PolicyVersion, IamError> {
    let number = id.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
    let found = policy
        .record
        .versions
        .iter()
        .find(|version| Some(version.number) == number);
    found.ok_or_else(|| no_such_version(&policy.arn, id))
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, id) = read_version(params)?;
    let shape = match find(execution.account()?, arn)? {
        Managed::Aws(policy) if policy.version == id => render::aws_policy_version(policy, true),
        Managed::Aws(_) => return Err(no_such_version(arn, id)),
        Managed::Own(policy) => render::policy_version(version(policy, id)?, policy.record.default_version, true),
    };
    Ok(Outcome::read(Members::new().members("PolicyVersion", shape).xml()))
}

fn list_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    checked(|validator| Page::check(validator, params))?;
    by_arn(params, question)
}

/// Newest first.
fn list(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let arn = policies::read_arn(params)?;
    let policy = find(execution.account()?, arn)?;
    let page = Page::read(params, execution, &["versions", arn])?;
    let (versions, marker) = match policy {
        Managed::Aws(policy) => page.cut_counted([render::aws_policy_version(policy, false)]),
        Managed::Own(policy) => {
            let shape = |version: &PolicyVersion| render::policy_version(version, policy.record.default_version, false);
            // Keys that descend as numbers rise: a version that is deleted between two pages moves none of the others.
            let newest_first = policy.record.versions.iter().rev();
            page.cut(newest_first.map(|version| (format!("{:010}", u32::MAX - version.number), shape(version))))
        }
    };
    Ok(Outcome::read(
        Members::new().list("Versions", versions).page(marker).xml(),
    ))
}

fn set_default(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, id) = read_version(params)?;
    let policy = own(execution, "iam:SetDefaultPolicyVersion", arn)?;
    let default_version = version(policy, id)?.number;
    let record = PolicyRecord {
        default_version,
        updated: execution.now.unix_millis(),
        ..policy.record.clone()
    };
    Ok(Outcome::change(update(policy, &record)?))
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, id) = read_version(params)?;
    let policy = own(execution, "iam:DeletePolicyVersion", arn)?;
    let number = version(policy, id)?.number;
    if number == policy.record.default_version {
        return Err(IamError::DeleteConflict(
            "Cannot delete the default version of a policy.".to_owned(),
        ));
    }
    let mut record = policy.record.clone();
    record.versions.retain(|version| version.number != number);
    record.updated = execution.now.unix_millis();
    Ok(Outcome::change(update(policy, &record)?))
}

/// A policy that may be changed: one of the account's own.
fn own<'a>(execution: &'a Execution<'_>, action: &str, arn: &str) -> Result<&'a Policy, IamError> {
    match find(execution.account()?, arn)? {
        Managed::Aws(_) => Err(common::not_yours(execution, action, arn)),
        Managed::Own(policy) => Ok(policy),
    }
}

fn update(policy: &Policy, record: &PolicyRecord) -> Result<Transaction, IamError> {
    let key = key::policy(policy.account, &record.name);
    common::save(
        Transaction::default().when_modified_at(key.clone(), policy.revision),
        key,
        record,
    )
}
