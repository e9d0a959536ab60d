//! Users.

use irsa_core::IdPrefix;
use irsa_store::Transaction;
use irsa_wire::{Params, WireError};

use crate::authorize::Target;
use crate::caller::{Caller, Identity};
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, checked};
use crate::operation::holder::{self, Held};
use crate::operation::page::Page;
use crate::operation::render::{self, Members, UserView};
use crate::operation::tag_rules::{self, KeyCase};
use crate::operation::{Execution, Operation, Outcome, Question, change, read};
use crate::record::{AccessKeyRecord, Tag, UserRecord};
use crate::state::{AccessKey, Account, arn_of};

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreateUser", create_targets, create),
    read!("GetUser", get_targets, get),
    read!("ListUsers", list_targets, list),
    change!("UpdateUser", update_targets, update),
    change!("DeleteUser", holder::named::<UserRecord>, delete),
    read!("ListGroupsForUser", holder::named_list::<UserRecord>, list_groups),
];

struct NewUser<'a> {
    name: &'a str,
    path: &'a str,
    permissions_boundary: Option<&'a str>,
    tags: Vec<Tag>,
}

impl<'a> NewUser<'a> {
    fn read(params: &'a Params) -> Result<Self, IamError> {
        let new = checked(|validator| {
            Ok(Self {
                name: validator.required(params, "UserName", common::USER_NAME),
                path: validator.optional(params, "Path", common::PATH).unwrap_or("/"),
                permissions_boundary: validator.optional(params, "PermissionsBoundary", common::ARN),
                tags: tag_rules::read_optional(validator, params)?,
            })
        })?;
        tag_rules::check(&new.tags, KeyCase::Ignored)?;
        new.permissions_boundary.map(common::policy_arn).transpose()?;
        Ok(new)
    }
}

fn create_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let new = NewUser::read(params)?;
    let account = question.caller.account;
    let mut target = Target::new(question.action, arn_of(account, "user", new.path, new.name), account)
        .shown_as(format!("user {}", new.name))
        .with_request_tags(&new.tags);
    if let Some(boundary) = new.permissions_boundary {
        target = target.with("iam:PermissionsBoundary", boundary);
    }
    Ok(common::and_tagging(target, "iam:TagUser", &new.tags))
}

fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let new = NewUser::read(params)?;
    let account = execution.account()?;
    if account.user(new.name).is_some() {
        return Err(already_exists(new.name));
    }
    if account.users.size() >= execution.quotas.users {
        return Err(IamError::quota("UsersPerAccount", execution.quotas.users));
    }
    let boundary = new
        .permissions_boundary
        .map(|arn| common::boundary(account, arn))
        .transpose()?;
    let mut tags = Vec::new();
    tag_rules::merge(&mut tags, new.tags, KeyCase::Ignored, "User", execution.quotas.tags)?;
    let record = UserRecord {
        name: new.name.to_owned(),
        path: new.path.to_owned(),
        id: execution.unique_id(IdPrefix::User).to_string(),
        created: execution.now.unix_millis(),
        permissions_boundary: new.permissions_boundary.map(str::to_owned),
        inline_policies: Vec::new(),
        attached_policies: Vec::new(),
        tags,
    };
    let key = key::user(account.id, new.name);
    let mut transaction = common::save(Transaction::default().when_absent(key.clone()), key, &record)?;
    if let Some(boundary) = boundary {
        transaction = common::attach(transaction, account.id, boundary, "user-boundary", new.name);
    }
    let arn = arn_of(account.id, "user", &record.path, &record.name);
    let answer = Members::new().members("User", render::user(&record, &arn, UserView::Whole));
    Ok(Outcome::changed(transaction, answer.xml(), answer.json()))
}

fn already_exists(name: &str) -> IamError {
    IamError::EntityAlreadyExists(format!("User with name {name} already exists."))
}

/// The user that a call is about when its name may be left out.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// The account itself.
    Root,
    /// A user, by the name as sent or as created.
    User(&'a str),
}

impl<'a> Subject<'a> {
    /// Whoever `UserName` names; without it, whoever signed.
    pub(crate) fn of(name: Option<&'a str>, caller: &'a Caller) -> Result<Self, IamError> {
        match (name, &caller.identity) {
            (Some(name), _) => Ok(Self::User(name)),
            (None, Identity::Root) => Ok(Self::Root),
            (None, Identity::User(user)) => Ok(Self::User(&user.record.name)),
            (None, Identity::Role(_)) => {
                Err(WireError::validation("Must specify userName when calling with non-User credentials").into())
            }
        }
    }

    /// The question about the subject.
    pub(crate) fn target(self, question: &Question<'_>) -> Target {
        let account = question.caller.account;
        match self {
            Self::Root => Target::new(question.action, format!("arn:aws:iam::{account}:root"), account),
            Self::User(name) => holder::target::<UserRecord>(question, name),
        }
    }
}

/// Reads `UserName` where it may be left out.
pub(crate) fn optional_name(params: &Params) -> Result<Option<&str>, IamError> {
    checked(|validator| Ok(validator.optional(params, "UserName", common::EXISTING_USER_NAME)))
}

fn get_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![
        Subject::of(optional_name(params)?, question.caller)?.target(question),
    ])
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let user = match Subject::of(optional_name(params)?, execution.caller)? {
        Subject::Root => Members::new()
            .text("UserId", account.id.to_string())
            .text("Arn", format!("arn:aws:iam::{}:root", account.id))
            .text(
                "CreateDate",
                common::time(account.record.as_ref().map_or(0, |record| record.created)),
            ),
        Subject::User(name) => {
            let user = holder::find::<UserRecord>(account, name)?;
            render::user(user.record, user.arn, UserView::Whole)
        }
    };
    Ok(Outcome::read(Members::new().members("User", user).xml()))
}

fn read_list(params: &Params) -> Result<Option<&str>, IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        Ok(common::path_prefix(validator, params, common::PATH_PREFIX))
    })
}

fn list_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::list_target(question, "user", read_list(params)?)])
}

fn list(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let prefix = read_list(params)?.unwrap_or("/");
    let page = Page::read(params, execution, &["users"])?;
    let users = execution
        .account()?
        .users
        .iter()
        .filter(|(_, user)| user.record.path.starts_with(prefix));
    let (users, marker) = page.cut(users.map(|(key, user)| (key.clone(), user)));
    let users = users
        .into_iter()
        .map(|user| render::user(&user.record, &user.arn, UserView::Listed));
    Ok(Outcome::read(Members::new().list("Users", users).page(marker).xml()))
}

struct Update<'a> {
    name: &'a str,
    new_name: Option<&'a str>,
    new_path: Option<&'a str>,
}

fn read_update(params: &Params) -> Result<Update<'_>, IamError> {
    checked(|validator| {
        Ok(Update {
            name: validator.required(params, "UserName", common::EXISTING_USER_NAME),
            new_name: validator.optional(params, "NewUserName", common::USER_NAME),
            new_path: validator.optional(params, "NewPath", common::PATH),
        })
    })
}

/// Whoever moves a user must be allowed to change it where it is and where it goes.
fn update_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let update = read_update(params)?;
    let account = question.caller.account;
    let source = holder::target::<UserRecord>(question, update.name);
    let old = question
        .state
        .account(account)
        .and_then(|account| account.user(update.name));
    let path = update
        .new_path
        .or_else(|| old.map(|user| user.record.path.as_str()))
        .unwrap_or("/");
    let name = update
        .new_name
        .or_else(|| old.map(|user| user.record.name.as_str()))
        .unwrap_or(update.name);
    let target = Target {
        resource: arn_of(account, "user", path, name),
        ..source.clone()
    }
    .shown_as(format!("user {name}"));
    Ok(if target.resource == source.resource {
        vec![source]
    } else {
        vec![source, target]
    })
}

/// UpdateUser. A new name takes the keys and the uses of policies with it.
fn update(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let update = read_update(params)?;
    let account = execution.account()?;
    let user = holder::find::<UserRecord>(account, update.name)?;
    let mut record = user.record.clone();
    if let Some(path) = update.new_path {
        path.clone_into(&mut record.path);
    }
    let Some(new_name) = update.new_name.filter(|name| *name != record.name) else {
        return Ok(Outcome::change(holder::update(account.id, &user, &record)?));
    };
    let old_name = std::mem::replace(&mut record.name, new_name.to_owned());
    let (old_key, new_key) = (key::user(account.id, &old_name), key::user(account.id, new_name));
    let mut transaction = Transaction::default().when_modified_at(old_key.clone(), user.revision);
    if new_key != old_key {
        if account.user(new_name).is_some() {
            return Err(already_exists(new_name));
        }
        transaction = move_uses(
            transaction.when_absent(new_key.clone()).delete(old_key),
            account,
            &user,
            new_name,
        );
    }
    for access_key in access_keys_of(account, Some(&old_name)) {
        let renamed = AccessKeyRecord {
            user: Some(new_name.to_owned()),
            ..access_key.record.clone()
        };
        let key = key::access_key(account.id, &renamed.id);
        transaction = common::save(
            transaction.when_modified_at(key.clone(), access_key.revision),
            key,
            &renamed,
        )?;
    }
    Ok(Outcome::change(common::save(transaction, new_key, &record)?))
}

fn move_uses(
    mut transaction: Transaction,
    account: &Account,
    user: &Held<'_, UserRecord>,
    new_name: &str,
) -> Transaction {
    let attached = user.record.attached_policies.iter().map(|arn| (arn, "user"));
    let boundary = user
        .record
        .permissions_boundary
        .iter()
        .map(|arn| (arn, "user-boundary"));
    for (arn, kind) in attached.chain(boundary) {
        let policy = common::attachment_name(arn);
        transaction = common::detach(transaction, account.id, arn, kind, &user.record.name)
            .put(key::attachment(account.id, &policy, kind, new_name), Vec::new());
    }
    transaction
}

/// The long-term keys of a user, or of the root, by their ids.
pub(crate) fn access_keys_of<'a>(account: &'a Account, user: Option<&'a str>) -> impl Iterator<Item = &'a AccessKey> {
    let is_theirs = move |key: &&AccessKey| match (key.record.user.as_deref(), user) {
        (Some(owner), Some(user)) => owner.eq_ignore_ascii_case(user),
        (owner, user) => owner.is_none() && user.is_none(),
    };
    account.access_keys.values().map(AsRef::as_ref).filter(is_theirs)
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let user = holder::find::<UserRecord>(account, holder::name::<UserRecord>(params)?)?;
    let conflict = |what: &str| {
        Err(IamError::DeleteConflict(format!(
            "Cannot delete entity, must {what} first."
        )))
    };
    if !user.record.attached_policies.is_empty() {
        return conflict("detach all policies");
    }
    if !user.record.inline_policies.is_empty() {
        return conflict("delete policies");
    }
    if access_keys_of(account, Some(&user.record.name)).next().is_some() {
        return conflict("delete access keys");
    }
    let key = key::user(account.id, &user.record.name);
    let mut transaction = Transaction::default()
        .when_modified_at(key.clone(), user.revision)
        .delete(key);
    if let Some(boundary) = &user.record.permissions_boundary {
        transaction = common::detach(transaction, account.id, boundary, "user-boundary", &user.record.name);
    }
    Ok(Outcome::change(transaction))
}

/// There are no groups here, so a user is in none.
fn list_groups(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let user = holder::find::<UserRecord>(execution.account()?, holder::name::<UserRecord>(params)?)?;
    Page::read(params, execution, &["groups", &user.record.name])?;
    Ok(Outcome::read(Members::new().list("Groups", []).page(None).xml()))
}
