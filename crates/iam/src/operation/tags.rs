//! Tags of roles, users, managed policies and providers.

use irsa_store::Transaction;
use irsa_wire::{Params, Validator};

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, Managed, checked};
use crate::operation::holder::{self, Holder};
use crate::operation::page::Page;
use crate::operation::render::Members;
use crate::operation::tag_rules::{self, KeyCase};
use crate::operation::{Execution, Operation, Outcome, Question, change, policies, providers, read};
use crate::record::{PolicyRecord, ProviderRecord, RoleRecord, Tag, UserRecord};

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("TagRole", tag_holder_targets::<RoleRecord>, tag_holder::<RoleRecord>),
    change!(
        "UntagRole",
        untag_holder_targets::<RoleRecord>,
        untag_holder::<RoleRecord>
    ),
    read!(
        "ListRoleTags",
        holder::named_list::<RoleRecord>,
        list_holder::<RoleRecord>
    ),
    change!("TagUser", tag_holder_targets::<UserRecord>, tag_holder::<UserRecord>),
    change!(
        "UntagUser",
        untag_holder_targets::<UserRecord>,
        untag_holder::<UserRecord>
    ),
    read!(
        "ListUserTags",
        holder::named_list::<UserRecord>,
        list_holder::<UserRecord>
    ),
    change!("TagPolicy", tag_policy_targets, tag_policy),
    change!("UntagPolicy", untag_policy_targets, untag_policy),
    read!("ListPolicyTags", list_policy_targets, list_policy),
    change!("TagOpenIDConnectProvider", tag_provider_targets, tag_provider),
    change!("UntagOpenIDConnectProvider", untag_provider_targets, untag_provider),
    read!("ListOpenIDConnectProviderTags", list_provider_targets, list_provider),
];

/// Reads what is tagged, and the tags.
fn tagging<'a, T>(
    params: &'a Params,
    case: KeyCase,
    named: impl FnOnce(&mut Validator, &'a Params) -> T,
) -> Result<(T, Vec<Tag>), IamError> {
    let (name, tags) =
        checked(|validator| Ok((named(validator, params), tag_rules::read_required(validator, params)?)))?;
    tag_rules::check_some(&tags, case)?;
    Ok((name, tags))
}

/// Reads what is untagged, and the keys.
fn untagging<'a, T>(
    params: &'a Params,
    named: impl FnOnce(&mut Validator, &'a Params) -> T,
) -> Result<(T, Vec<String>), IamError> {
    checked(|validator| Ok((named(validator, params), tag_rules::read_keys(validator, params)?)))
}

/// Adds `aws:TagKeys`.
fn with_keys(target: Target, keys: Vec<String>) -> Vec<Target> {
    vec![if keys.is_empty() {
        target
    } else {
        target.with_list("aws:TagKeys", keys)
    }]
}

fn list(tags: &[Tag], page: &Page) -> Outcome {
    let mut tags: Vec<&Tag> = tags.iter().collect();
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    let (tags, marker) = page.cut_counted(tags);
    let tags: Vec<Tag> = tags.into_iter().cloned().collect();
    Outcome::read(Members::new().tags(&tags).page(marker).xml())
}

fn holder_name<'a, T: Holder>(validator: &mut Validator, params: &'a Params) -> &'a str {
    validator.required(params, T::PARAMETER, T::NAME)
}

fn tag_holder_targets<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (name, tags) = tagging(params, KeyCase::Ignored, holder_name::<T>)?;
    Ok(vec![holder::target::<T>(question, name).with_request_tags(&tags)])
}

fn tag_holder<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, tags) = tagging(params, KeyCase::Ignored, holder_name::<T>)?;
    let account = execution.account()?;
    let held = holder::find::<T>(account, name)?;
    let mut record = held.record.clone();
    tag_rules::merge(
        record.tags_mut(),
        tags,
        KeyCase::Ignored,
        T::TITLE,
        execution.quotas.tags,
    )?;
    Ok(Outcome::change(holder::update(account.id, &held, &record)?))
}

fn untag_holder_targets<T: Holder>(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (name, keys) = untagging(params, holder_name::<T>)?;
    Ok(with_keys(holder::target::<T>(question, name), keys))
}

fn untag_holder<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, keys) = untagging(params, holder_name::<T>)?;
    let account = execution.account()?;
    let held = holder::find::<T>(account, name)?;
    let mut record = held.record.clone();
    tag_rules::remove(record.tags_mut(), &keys, KeyCase::Ignored);
    Ok(Outcome::change(holder::update(account.id, &held, &record)?))
}

fn list_holder<T: Holder>(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let held = holder::find::<T>(execution.account()?, holder::name::<T>(params)?)?;
    let page = Page::read(params, execution, &["tags", T::WORD, held.record.name()])?;
    Ok(list(held.record.tags(), &page))
}

fn policy_arn<'a>(validator: &mut Validator, params: &'a Params) -> &'a str {
    validator.required(params, "PolicyArn", common::ARN)
}

fn tag_policy_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (arn, tags) = tagging(params, KeyCase::Significant, policy_arn)?;
    Ok(vec![common::policy_target(question, arn)?.with_request_tags(&tags)])
}

fn tag_policy(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, new) = tagging(params, KeyCase::Significant, policy_arn)?;
    change_policy_tags(execution, "iam:TagPolicy", arn, |tags| {
        tag_rules::merge(tags, new, KeyCase::Significant, "Policy", execution.quotas.tags)
    })
}

fn untag_policy_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (arn, keys) = untagging(params, policy_arn)?;
    Ok(with_keys(common::policy_target(question, arn)?, keys))
}

fn untag_policy(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, keys) = untagging(params, policy_arn)?;
    change_policy_tags(execution, "iam:UntagPolicy", arn, |tags| {
        tag_rules::remove(tags, &keys, KeyCase::Significant);
        Ok(())
    })
}

fn change_policy_tags(
    execution: &Execution<'_>,
    action: &str,
    arn: &str,
    edit: impl FnOnce(&mut Vec<Tag>) -> Result<(), IamError>,
) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let policy = match policies::find(account, arn)? {
        Managed::Aws(_) => return Err(common::not_yours(execution, action, arn)),
        Managed::Own(policy) => policy,
    };
    let mut record: PolicyRecord = policy.record.clone();
    edit(&mut record.tags)?;
    let key = key::policy(account.id, &record.name);
    let transaction = Transaction::default().when_modified_at(key.clone(), policy.revision);
    Ok(Outcome::change(common::save(transaction, key, &record)?))
}

fn list_policy_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    checked(|validator| Page::check(validator, params))?;
    policies::by_arn(params, question)
}

fn list_policy(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let arn = policies::read_arn(params)?;
    let page = Page::read(params, execution, &["tags", arn])?;
    Ok(match policies::find(execution.account()?, arn)? {
        Managed::Aws(_) => list(&[], &page),
        Managed::Own(policy) => list(&policy.record.tags, &page),
    })
}

fn provider_arn<'a>(validator: &mut Validator, params: &'a Params) -> &'a str {
    validator.required(params, providers::ARN_PARAMETER, common::ARN)
}

fn tag_provider_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (arn, tags) = tagging(params, KeyCase::Significant, provider_arn)?;
    Ok(vec![providers::target(question, arn)?.with_request_tags(&tags)])
}

fn tag_provider(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, new) = tagging(params, KeyCase::Significant, provider_arn)?;
    let provider = providers::find(execution, arn)?;
    let mut record: ProviderRecord = provider.record.clone();
    tag_rules::merge(
        &mut record.tags,
        new,
        KeyCase::Significant,
        "OpenIdConnectProvider",
        execution.quotas.tags,
    )?;
    providers::update(provider, &record)
}

fn untag_provider_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (arn, keys) = untagging(params, provider_arn)?;
    Ok(with_keys(providers::target(question, arn)?, keys))
}

fn untag_provider(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, keys) = untagging(params, provider_arn)?;
    let provider = providers::find(execution, arn)?;
    let mut record = provider.record.clone();
    tag_rules::remove(&mut record.tags, &keys, KeyCase::Significant);
    providers::update(provider, &record)
}

fn list_provider_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    checked(|validator| Page::check(validator, params))?;
    providers::by_arn(params, question)
}

fn list_provider(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let arn = providers::read_arn(params)?;
    let provider = providers::find(execution, arn)?;
    let page = Page::read(params, execution, &["tags", arn])?;
    Ok(list(&provider.record.tags, &page))
}
