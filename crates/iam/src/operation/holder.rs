//! What roles and users have in common: inline policies, attached policies, a permissions boundary, tags.

use irsa_core::AccountId;
use irsa_store::Transaction;
use irsa_wire::{Params, Text};
use serde::Serialize;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, checked};
use crate::operation::page::Page;
use crate::operation::render::{self, Members};
use crate::operation::{Execution, Outcome, Question, documents};
use crate::quota::Quotas;
use crate::record::{InlinePolicy, RoleRecord, Tag, UserRecord};
use crate::state::Account;

/// A record that holds policies: a role's or a user's.
pub(crate) trait Holder: Clone + Serialize + 'static {
    /// `role` or `user`: in ARNs, in messages and in the index of attachments.
    const WORD: &'static str;
    /// The same with a capital, as quotas spell it.
    const TITLE: &'static str;
    /// The parameter that names it.
    const PARAMETER: &'static str;
    /// The constraint on an existing name.
    const NAME: Text;
    /// How the index of attachments calls boundaries of this kind.
    const BOUNDARY: &'static str;

    /// Looks it up, in any case of its name.
    fn find<'a>(account: &'a Account, name: &str) -> Option<Held<'a, Self>>;
    /// The key of the record.
    fn key(account: AccountId, name: &str) -> String;
    /// The quota on all inline policies together.
    fn inline_limit(quotas: &Quotas) -> usize;
    /// The name as created.
    fn name(&self) -> &str;
    /// Inline policies.
    fn inline(&self) -> &[InlinePolicy];
    /// Inline policies, to be changed.
    fn inline_mut(&mut self) -> &mut Vec<InlinePolicy>;
    /// ARNs of attached policies.
    fn attached(&self) -> &[String];
    /// ARNs of attached policies, to be changed.
    fn attached_mut(&mut self) -> &mut Vec<String>;
    /// ARN of the permissions boundary.
    fn boundary(&self) -> Option<&str>;
    /// The place of the permissions boundary.
    fn boundary_mut(&mut self) -> &mut Option<String>;
    /// Tags.
    fn tags(&self) -> &[Tag];
    /// Tags, to be changed.
    fn tags_mut(&mut self) -> &mut Vec<Tag>;
}

/// A holder as it stands in the state.
pub(crate) struct Held<'a, T> {
    pub(crate) record: &'a T,
    pub(crate) arn: &'a str,
    pub(crate) revision: u64,
}

macro_rules! accessors {
    () => {
        fn name(&self) -> &str {
            &self.name
        }
        fn inline(&self) -> &[InlinePolicy] {
            &self.inline_policies
        }
        fn inline_mut(&mut self) -> &mut Vec<InlinePolicy> {
            &mut self.inline_policies
        }
        fn attached(&self) -> &[String] {
            &self.attached_policies
        }
        fn attached_mut(&mut self) -> &mut Vec<String> {
            &mut self.attached_policies
        }
        fn boundary(&self) -> Option<&str> {
            self.permissions_boundary.as_deref()
        }
        fn boundary_mut(&mut self) -> &mut Option<String> {
            &mut self.permissions_boundary
        }
        fn tags(&self) -> &[Tag] {
            &self.tags
        }
        fn tags_mut(&mut self) -> &mut Vec<Tag> {
            &mut self.tags
        }
    };
}

impl Holder for RoleRecord {
    const WORD: &'static str = "role";
    const TITLE: &'static str = "Role";
    const PARAMETER: &'static str = "RoleName";
    const NAME: Text = common::ROLE_NAME;
    const BOUNDARY: &'static str = "role-boundary";

    fn find<'a>(account: &'a Account, name: &str) -> Option<Held<'a, Self>> {
        account.role(name).map(|role| Held {
            record: &role.record,
            arn: &role.arn,
            revision: role.revision,
        })
    }

    fn key(account: AccountId, name: &str) -> String {
        key::role(account, name)
    }

    fn inline_limit(quotas: &Quotas) -> usize {
        quotas.role_policies_size
    }

    accessors!();
}

impl Holder for UserRecord {
    const WORD: &'static str = "user";
    const TITLE: &'static str = "User";
    const PARAMETER: &'static str = "UserName";
    const NAME: Text = common::EXISTING_USER_NAME;
    const BOUNDARY: &'static str = "user-boundary";

    fn find<'a>(account: &'a Account, name: &str) -> Option<Held<'a, Self>> {
        account.user(name).map(|user| Held {
            record: &user.record,
            arn: &user.arn,
            revision: user.revision,
        })
    }

    fn key(account: AccountId, name: &str) -> String {
        key::user(account, name)
    }

    fn inline_limit(quotas: &Quotas) -> usize {
        quotas.user_policies_size
    }

    accessors!();
}

/// Finds a holder, or says that it is not there.
pub(crate) fn find<'a, T: Holder>(account: &'a Account, name: &str) -> Result<Held<'a, T>, IamError> {
    let missing = || IamError::NoSuchEntity(format!("The {} with name {name} cannot be found.", T::WORD));
    T::find(account, name).ok_or_else(missing)
}

/// The transaction that replaces a holder's record, if nobody was faster.
pub(crate) fn update<T: Holder>(account: AccountId, held: &Held<'_, T>, record: &T) -> Result<Transaction, IamError> {
    let key = T::key(account, held.record.name());
    common::save(
        Transaction::default().when_modified_at(key.clone(), held.revision),
        key,
        record,
    )
}

/// The question about a holder: its stored ARN and tags if it exists, else the ARN that the name alone makes.
pub(crate) fn target<T: Holder>(question: &Question<'_>, name: &str) -> Target {
    let account = question.caller.account;
    let held = question
        .state
        .account(account)
        .and_then(|account| T::find(account, name));
    let arn = held.as_ref().map_or_else(
        || format!("arn:aws:iam::{account}:{}/{name}", T::WORD),
        |held| held.arn.to_owned(),
    );
    let target = Target::new(question.action, arn, account).shown_as(format!("{} {name}", T::WORD));
    held.map_or_else(
        || target.clone(),
        |held| target.clone().with_resource_tags("iam", held.record.tags()),
    )
}

/// The same for changes of what the holder may do: `iam:PermissionsBoundary` is the boundary that it has.
fn guarded<T: Holder>(question: &Question<'_>, name: &str) -> Target {
    let target = target::<T>(question, name);
    let account = question.state.account(question.caller.account);
    match account
        .and_then(|account| T::find(account, name))
        .and_then(|held| held.record.boundary())
    {
        Some(boundary) => target.with("iam:PermissionsBoundary", boundary),
        None => target,
    }
}

/// Reads the holder's name alone.
pub(crate) fn name<T: Holder>(params: &Params) -> Result<&str, IamError> {
    checked(|validator| Ok(validator.required(params, T::PARAMETER, T::NAME)))
}

/// The question of calls that take a name and nothing else that needs a check.
pub(crate) fn named<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![target::<T>(question, name::<T>(params)?)])
}

/// The question of calls that take a name and a page.
pub(crate) fn named_list<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let name = checked(|validator| {
        Page::check(validator, params)?;
        Ok(validator.required(params, T::PARAMETER, T::NAME))
    })?;
    Ok(vec![target::<T>(question, name)])
}

fn policy_name<T: Holder>(params: &Params) -> Result<(&str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, T::PARAMETER, T::NAME),
            validator.required(params, "PolicyName", common::POLICY_NAME),
        ))
    })
}

fn new_policy<T: Holder>(params: &Params) -> Result<(&str, &str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, T::PARAMETER, T::NAME),
            validator.required(params, "PolicyName", common::POLICY_NAME),
            validator.required(params, "PolicyDocument", common::DOCUMENT),
        ))
    })
}

fn attachment<T: Holder>(params: &Params) -> Result<(&str, &str), IamError> {
    let (name, arn) = checked(|validator| {
        Ok((
            validator.required(params, T::PARAMETER, T::NAME),
            validator.required(params, "PolicyArn", common::ARN),
        ))
    })?;
    common::policy_arn(arn)?;
    Ok((name, arn))
}

fn new_boundary<T: Holder>(params: &Params) -> Result<(&str, &str), IamError> {
    let (name, arn) = checked(|validator| {
        Ok((
            validator.required(params, T::PARAMETER, T::NAME),
            validator.required(params, "PermissionsBoundary", common::ARN),
        ))
    })?;
    common::policy_arn(arn)?;
    Ok((name, arn))
}

pub(crate) fn put_policy_targets<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (name, _, _) = new_policy::<T>(params)?;
    Ok(vec![guarded::<T>(question, name)])
}

pub(crate) fn get_policy_targets<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![target::<T>(question, policy_name::<T>(params)?.0)])
}

pub(crate) fn delete_policy_targets<T: Holder>(
    params: &Params,
    question: &Question<'_>,
) -> Result<Vec<Target>, IamError> {
    Ok(vec![guarded::<T>(question, policy_name::<T>(params)?.0)])
}

pub(crate) fn attachment_targets<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (name, arn) = attachment::<T>(params)?;
    Ok(vec![guarded::<T>(question, name).with("iam:PolicyARN", arn)])
}

pub(crate) fn put_boundary_targets<T: Holder>(
    params: &Params,
    question: &Question<'_>,
) -> Result<Vec<Target>, IamError> {
    let (name, arn) = new_boundary::<T>(params)?;
    Ok(vec![target::<T>(question, name).with("iam:PermissionsBoundary", arn)])
}

pub(crate) fn delete_boundary_targets<T: Holder>(
    params: &Params,
    question: &Question<'_>,
) -> Result<Vec<Target>, IamError> {
    Ok(vec![guarded::<T>(question, name::<T>(params)?)])
}

/// Put…Policy: the name is looked up without regard to case, and keeps the case of its first writing.
pub(crate) fn put_policy<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, policy_name, document) = new_policy::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    documents::check_identity(document)?;
    let mut record = held.record.clone();
    match record
        .inline_mut()
        .iter_mut()
        .find(|policy| policy.name.eq_ignore_ascii_case(policy_name))
    {
        Some(policy) => document.clone_into(&mut policy.document),
        None => record.inline_mut().push(InlinePolicy {
            name: policy_name.to_owned(),
            document: document.to_owned(),
        }),
    }
    let limit = T::inline_limit(execution.quotas);
    let size: usize = record
        .inline()
        .iter()
        .map(|policy| documents::size(&policy.document))
        .sum();
    if size > limit {
        let message = format!(
            "Maximum policy size of {limit} bytes exceeded for {} {}",
            T::WORD,
            record.name()
        );
        return Err(IamError::LimitExceeded(message));
    }
    Ok(Outcome::change(update(account.id, &held, &record)?))
}

fn no_such_policy<T: Holder>(name: &str) -> IamError {
    IamError::NoSuchEntity(format!("The {} policy with name {name} cannot be found.", T::WORD))
}

/// Get…Policy: the answer echoes the name as it was asked for.
pub(crate) fn get_policy<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, policy_name) = policy_name::<T>(params)?;
    let held = find::<T>(execution.account()?, name)?;
    let found = held
        .record
        .inline()
        .iter()
        .find(|policy| policy.name.eq_ignore_ascii_case(policy_name));
    let policy = found.ok_or_else(|| no_such_policy::<T>(policy_name))?;
    let answer = Members::new()
        .text(T::PARAMETER, held.record.name())
        .text("PolicyName", policy_name)
        .text("PolicyDocument", documents::encode(&policy.document));
    Ok(Outcome::read(answer.xml()))
}

pub(crate) fn delete_policy<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, policy_name) = policy_name::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    let mut record = held.record.clone();
    record
        .inline_mut()
        .retain(|policy| !policy.name.eq_ignore_ascii_case(policy_name));
    if record.inline().len() == held.record.inline().len() {
        return Err(no_such_policy::<T>(policy_name));
    }
    Ok(Outcome::change(update(account.id, &held, &record)?))
}

pub(crate) fn list_policies<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let held = find::<T>(execution.account()?, name::<T>(params)?)?;
    let page = Page::read(params, execution, &["inline policies", T::WORD, held.record.name()])?;
    let mut names: Vec<(String, &str)> = held
        .record
        .inline()
        .iter()
        .map(|policy| (policy.name.to_ascii_lowercase(), policy.name.as_str()))
        .collect();
    names.sort_unstable();
    let (names, marker) = page.cut(names);
    Ok(Outcome::read(
        Members::new().texts("PolicyNames", names).page(marker).xml(),
    ))
}

/// Attach…Policy: attaching what is attached succeeds.
pub(crate) fn attach_policy<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, arn) = attachment::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    let missing = || IamError::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."));
    let policy = common::Managed::find(account, arn).ok_or_else(missing)?;
    if held.record.attached().iter().any(|attached| attached == arn) {
        return Ok(Outcome::change(Transaction::default()));
    }
    let mut record = held.record.clone();
    record.attached_mut().push(arn.to_owned());
    let limit = execution.quotas.attached_policies;
    if record.attached().len() > limit {
        return Err(IamError::quota(&format!("PoliciesPer{}", T::TITLE), limit));
    }
    let transaction = update(account.id, &held, &record)?;
    Ok(Outcome::change(common::attach(
        transaction,
        account.id,
        policy,
        T::WORD,
        record.name(),
    )))
}

pub(crate) fn detach_policy<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, arn) = attachment::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    let mut record = held.record.clone();
    record.attached_mut().retain(|attached| attached != arn);
    if record.attached().len() == held.record.attached().len() {
        return Err(IamError::NoSuchEntity(format!("Policy {arn} was not found.")));
    }
    let transaction = update(account.id, &held, &record)?;
    Ok(Outcome::change(common::detach(
        transaction,
        account.id,
        arn,
        T::WORD,
        record.name(),
    )))
}

fn read_attached<T: Holder>(params: &Params) -> Result<(&str, Option<&str>), IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        let name = validator.required(params, T::PARAMETER, T::NAME);
        Ok((name, common::path_prefix(validator, params, common::POLICY_PATH)))
    })
}

pub(crate) fn list_attached_targets<T: Holder>(
    params: &Params,
    question: &Question<'_>,
) -> Result<Vec<Target>, IamError> {
    Ok(vec![target::<T>(question, read_attached::<T>(params)?.0)])
}

pub(crate) fn list_attached<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, prefix) = read_attached::<T>(params)?;
    let held = find::<T>(execution.account()?, name)?;
    let page = Page::read(params, execution, &["attached policies", T::WORD, held.record.name()])?;
    // `…:policy` is left of the path, the name right of it.
    let path = |arn: &str| {
        arn.split_once(":policy")
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default()
    };
    let fits = |arn: &&String| prefix.is_none_or(|prefix| path(arn).starts_with(prefix));
    let mut attached: Vec<(String, &String)> = held
        .record
        .attached()
        .iter()
        .filter(fits)
        .map(|arn| (arn.clone(), arn))
        .collect();
    attached.sort_unstable();
    let (attached, marker) = page.cut(attached);
    let policies = attached.into_iter().map(|arn| render::attached_policy(arn));
    Ok(Outcome::read(
        Members::new().list("AttachedPolicies", policies).page(marker).xml(),
    ))
}

/// Put…PermissionsBoundary: replaces the one that is there.
pub(crate) fn put_boundary<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, arn) = new_boundary::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    let policy = common::boundary(account, arn)?;
    let mut record = held.record.clone();
    let old = record.boundary_mut().replace(arn.to_owned());
    if old.as_deref() == Some(arn) {
        return Ok(Outcome::change(Transaction::default()));
    }
    let mut transaction = update(account.id, &held, &record)?;
    if let Some(old) = old {
        transaction = common::detach(transaction, account.id, &old, T::BOUNDARY, record.name());
    }
    Ok(Outcome::change(common::attach(
        transaction,
        account.id,
        policy,
        T::BOUNDARY,
        record.name(),
    )))
}

pub(crate) fn delete_boundary<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let name = name::<T>(params)?;
    let account = execution.account()?;
    let held = find::<T>(account, name)?;
    let mut record = held.record.clone();
    let missing = || IamError::NoSuchEntity(format!("The {} with name {name} has no permissions boundary.", T::WORD));
    let old = record.boundary_mut().take().ok_or_else(missing)?;
    let transaction = update(account.id, &held, &record)?;
    Ok(Outcome::change(common::detach(
        transaction,
        account.id,
        &old,
        T::BOUNDARY,
        record.name(),
    )))
}
