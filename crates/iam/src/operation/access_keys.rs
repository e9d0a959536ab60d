//! Long-term access keys. A secret leaves once, in the answer that made it; no call reads it again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_core::{AccessKeyId, AccountId};
use irsa_store::Transaction;
use irsa_wire::Params;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, checked};
use crate::operation::holder;
use crate::operation::page::Page;
use crate::operation::render::{self, Members, Node};
use crate::operation::users::{Subject, access_keys_of, optional_name};
use crate::operation::{Execution, Operation, Outcome, Question, change, read};
use crate::record::{AccessKeyRecord, AccessKeyStatus, UserRecord};
use crate::state::{AccessKey, Account};

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreateAccessKey", create_targets, create),
    read!("ListAccessKeys", list_targets, list),
    change!("UpdateAccessKey", update_targets, update),
    change!("DeleteAccessKey", delete_targets, delete),
    read!("GetAccessKeyLastUsed", last_used_targets, last_used),
];

fn create_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![
        Subject::of(optional_name(params)?, question.caller)?.target(question),
    ])
}

/// The owner's name as created; `None` for the root.
fn owner<'a>(account: &'a Account, subject: Subject<'_>) -> Result<Option<&'a str>, IamError> {
    match subject {
        Subject::Root => Ok(None),
        Subject::User(name) => Ok(Some(holder::find::<UserRecord>(account, name)?.record.name.as_str())),
    }
}

fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let owner = owner(account, Subject::of(optional_name(params)?, execution.caller)?)?;
    let limit = execution.quotas.access_keys;
    if access_keys_of(account, owner).count() >= limit {
        return Err(IamError::quota("AccessKeysPerUser", limit));
    }
    let mut random = [0; 5];
    execution.random.fill(&mut random);
    let id = AccessKeyId::long_term(account.id, random);
    let internal = |error: &dyn std::fmt::Display| IamError::Internal(format!("no access key can be made: {error}"));
    let secret = irsa_credentials::generate_long_term_secret().map_err(|error| internal(&error))?;
    let sealed = execution
        .kek
        .seal(id.as_str().as_bytes(), secret.as_bytes())
        .map_err(|error| internal(&error))?;
    let record = AccessKeyRecord {
        id: id.to_string(),
        sealed_secret: STANDARD.encode(sealed),
        user: owner.map(str::to_owned),
        status: AccessKeyStatus::Active,
        created: execution.now.unix_millis(),
    };
    let key = key::access_key(account.id, &record.id);
    let transaction = touch_owner(Transaction::default().when_absent(key.clone()), account, owner)?;
    let transaction = common::save(transaction, key, &record)?;
    let shape = render::access_key(&record).with("SecretAccessKey", Node::Secret(secret.expose().to_owned()));
    let answer = Members::new().members("AccessKey", shape);
    Ok(Outcome::changed(transaction, answer.xml(), answer.json()))
}

/// Writes the owner's record as it is: of two keys made at once, or a key made while its owner is deleted or renamed,
/// only one succeeds.
fn touch_owner(transaction: Transaction, account: &Account, owner: Option<&str>) -> Result<Transaction, IamError> {
    match owner {
        Some(name) => {
            let user = holder::find::<UserRecord>(account, name)?;
            let key = key::user(account.id, name);
            common::save(
                transaction.when_modified_at(key.clone(), user.revision),
                key,
                user.record,
            )
        }
        // The root's keys are few and its account is never deleted.
        None => Ok(transaction),
    }
}

fn read_list(params: &Params) -> Result<Option<&str>, IamError> {
    checked(|validator| Page::check(validator, params))?;
    optional_name(params)
}

fn list_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![Subject::of(read_list(params)?, question.caller)?.target(question)])
}

fn list(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let owner = owner(account, Subject::of(read_list(params)?, execution.caller)?)?;
    let page = Page::read(params, execution, &["access keys", owner.unwrap_or_default()])?;
    let (keys, marker) = page.cut(access_keys_of(account, owner).map(|key| (key.record.id.clone(), &key.record)));
    let answer = Members::new()
        .list("AccessKeyMetadata", keys.into_iter().map(render::access_key))
        .page(marker);
    Ok(Outcome::read(answer.xml()))
}

struct Change<'a> {
    user: Option<&'a str>,
    id: &'a str,
}

fn read_change(params: &Params) -> Result<Change<'_>, IamError> {
    checked(|validator| {
        Ok(Change {
            user: validator.optional(params, "UserName", common::EXISTING_USER_NAME),
            id: validator.required(params, "AccessKeyId", common::ACCESS_KEY_ID),
        })
    })
}

fn read_update(params: &Params) -> Result<(Change<'_>, AccessKeyStatus), IamError> {
    checked(|validator| {
        let change = Change {
            user: validator.optional(params, "UserName", common::EXISTING_USER_NAME),
            id: validator.required(params, "AccessKeyId", common::ACCESS_KEY_ID),
        };
        let status = validator.choice(params, "Status", &["Active", "Inactive"]);
        if status.is_none() {
            validator.missing("status");
        }
        Ok((
            change,
            if status == Some("Active") {
                AccessKeyStatus::Active
            } else {
                AccessKeyStatus::Inactive
            },
        ))
    })
}

fn update_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![
        Subject::of(read_update(params)?.0.user, question.caller)?.target(question),
    ])
}

fn delete_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![
        Subject::of(read_change(params)?.user, question.caller)?.target(question),
    ])
}

/// The key that a call names, if it is its owner's: the right to change one user's keys is none to change another's.
fn find<'a>(change: &Change<'_>, execution: &'a Execution<'_>) -> Result<&'a AccessKey, IamError> {
    let account = execution.account()?;
    let owner = owner(account, Subject::of(change.user, execution.caller)?)?;
    let found = access_keys_of(account, owner).find(|key| key.record.id == change.id);
    found.ok_or_else(|| no_such_key(change.id))
}

fn no_such_key(id: &str) -> IamError {
    IamError::NoSuchEntity(format!("The Access Key with id {id} cannot be found."))
}

fn update(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (change, status) = read_update(params)?;
    let access_key = find(&change, execution)?;
    let record = AccessKeyRecord {
        status,
        ..access_key.record.clone()
    };
    let (transaction, key) = changed(access_key.account, access_key);
    Ok(Outcome::change(common::save(transaction, key, &record)?))
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let access_key = find(&read_change(params)?, execution)?;
    let (transaction, key) = changed(access_key.account, access_key);
    Ok(Outcome::change(transaction.delete(key)))
}

fn changed(account: AccountId, access_key: &AccessKey) -> (Transaction, String) {
    let key = key::access_key(account, &access_key.record.id);
    (
        Transaction::default().when_modified_at(key.clone(), access_key.revision),
        key,
    )
}

fn read_id(params: &Params) -> Result<&str, IamError> {
    checked(|validator| Ok(validator.required(params, "AccessKeyId", common::ACCESS_KEY_ID)))
}

/// The question is about the key's owner; about everything if the key is not the account's.
fn last_used_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let id = read_id(params)?;
    let account = question.state.account(question.caller.account);
    let key = account.and_then(|account| account.access_keys.get(id));
    Ok(vec![match key.map(|key| key.record.user.as_deref()) {
        Some(Some(user)) => Subject::User(user).target(question),
        Some(None) => Subject::Root.target(question),
        None => Target::new(question.action, "*", question.caller.account),
    }])
}

/// When keys were used is not kept: the answer is the one for a key that was not used yet.
fn last_used(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let id = read_id(params)?;
    let key = execution
        .account()?
        .access_keys
        .get(id)
        .ok_or_else(|| no_such_key(id))?;
    let answer = Members::new().maybe("UserName", key.record.user.as_deref()).members(
        "AccessKeyLastUsed",
        Members::new().text("ServiceName", "N/A").text("Region", "N/A"),
    );
    Ok(Outcome::read(answer.xml()))
}
