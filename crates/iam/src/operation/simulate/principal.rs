//! The user or role whose policies are simulated.

use irsa_core::Arn;
use std::sync::Arc;

use super::input::Exclusion;
use super::invalid;
use super::source::Source;
use crate::authorization_message::managed_document;
use crate::authorize::Target;
use crate::error::IamError;
use crate::managed::AwsManagedPolicy;
use crate::operation::holder::{self, Holder};
use crate::operation::{Execution, Question};
use crate::record::{InlinePolicy, RoleRecord, UserRecord};
use crate::state::{Account, Role, User};

/// What an ARN names.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Kind {
    User,
    Role,
    Group,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Group => "group",
        }
    }
}

/// A user or role of the caller's account.
pub(super) enum Entity {
    User(Arc<User>),
    Role(Arc<Role>),
}

/// The kind of entity that an ARN names, and the ARN.
pub(super) fn entity_arn(text: &str) -> Result<(Kind, Arn), IamError> {
    let known = text.parse::<Arn>().ok().and_then(|arn| {
        let kind = [Kind::User, Kind::Role, Kind::Group]
            .into_iter()
            .find(|kind| arn.resource_of_kind(kind.word()).is_some())?;
        let is_entity = arn.service() == "iam" && arn.region().is_empty() && !arn.resource_name().is_empty();
        is_entity.then_some((kind, arn))
    });
    match known {
        Some(known) => Ok(known),
        None => invalid(format!(
            "Invalid Entity Arn: {text} does not clearly define entity type and name."
        )),
    }
}

/// The question about a principal's policies. The entity is found by its name, as AWS does, so the ARN that it really has is the one to be
/// allowed: the path that was sent may be another's.
pub(super) fn target(question: &Question<'_>, source: &str) -> Result<Target, IamError> {
    let (kind, arn) = entity_arn(source)?;
    let own = question.caller.account;
    let target = match kind {
        Kind::User if arn.account_id() == Some(own) => holder::target::<UserRecord>(question, arn.resource_name()),
        Kind::Role if arn.account_id() == Some(own) => holder::target::<RoleRecord>(question, arn.resource_name()),
        _ => Target::new(question.action, source, own),
    };
    Ok(target.shown_as(source))
}

impl Entity {
    pub(super) fn find(execution: &Execution<'_>, source: &str) -> Result<Self, IamError> {
        let (kind, arn) = entity_arn(source)?;
        let account = execution.account()?;
        if arn.account_id() != Some(account.id) {
            return invalid(format!(
                "Invalid Policy Source Arn: caller's account {} does not have access to policies in account {}",
                account.id,
                arn.account()
            ));
        }
        let name = arn.resource_name();
        let missing = || IamError::NoSuchEntity(format!("The {} with name {name} cannot be found.", kind.word()));
        match kind {
            Kind::User => account.user(name).map(|user| Self::User(Arc::clone(user))),
            Kind::Role => account.role(name).map(|role| Self::Role(Arc::clone(role))),
            // There are no groups here.
            Kind::Group => None,
        }
        .ok_or_else(missing)
    }

    pub(super) fn arn(&self) -> &str {
        match self {
            Self::User(user) => &user.arn,
            Self::Role(role) => &role.arn,
        }
    }

    pub(super) fn unique_id(&self) -> &str {
        match self {
            Self::User(user) => &user.record.id,
            Self::Role(role) => &role.record.id,
        }
    }

    pub(super) fn is_user(&self) -> bool {
        matches!(self, Self::User(_))
    }

    /// Inline and attached policies, under the names that answers give them.
    pub(super) fn identity_sources<'s>(&'s self, account: &'s Account, exclusions: &[Exclusion]) -> Vec<Source<'s>> {
        match self {
            Self::User(user) => sources(&user.record, &user.inline, account, exclusions),
            Self::Role(role) => sources(&role.record, &role.inline, account, exclusions),
        }
    }

    /// The permissions boundary.
    pub(super) fn boundary<'s>(&'s self, account: &'s Account, exclusions: &[Exclusion]) -> Option<Source<'s>> {
        let arn = match self {
            Self::User(user) => user.record.boundary(),
            Self::Role(role) => role.record.boundary(),
        }?;
        let is_excluded = |exclusion: &Exclusion| {
            exclusion.kind == "permission-boundary"
                && exclusion
                    .arn
                    .as_deref()
                    .is_none_or(|excluded| name_of(excluded) == name_of(arn))
        };
        if exclusions.iter().any(is_excluded) {
            return None;
        }
        managed(account, arn)
    }
}

fn sources<'s, T: Holder>(
    record: &'s T,
    compiled: &'s [Arc<irsa_policy::Policy>],
    account: &'s Account,
    exclusions: &[Exclusion],
) -> Vec<Source<'s>> {
    let holder = record.name();
    let is_left_in = |policy: &InlinePolicy| {
        !exclusions.iter().any(|exclusion| {
            let same = |(kind, name, excluded): &(String, String, String)| {
                kind == T::WORD && name.eq_ignore_ascii_case(holder) && excluded.eq_ignore_ascii_case(&policy.name)
            };
            exclusion.kind == "inline" && exclusion.inline.as_ref().is_none_or(same)
        })
    };
    let inline = record
        .inline()
        .iter()
        .zip(compiled)
        .filter(|(policy, _)| is_left_in(policy))
        .map(|(policy, compiled)| {
            let id = format!("{}_{holder}_{}", T::WORD, policy.name);
            Source::stored(id, &policy.document, Arc::clone(compiled))
        });
    let is_attached = |arn: &&String| {
        let kind = if AwsManagedPolicy::find(arn).is_some() {
            "aws-managed"
        } else {
            "user-managed"
        };
        !exclusions.iter().any(|exclusion| {
            exclusion.kind == kind
                && exclusion
                    .arn
                    .as_deref()
                    .is_none_or(|excluded| name_of(excluded) == name_of(arn))
        })
    };
    let attached = record
        .attached()
        .iter()
        .filter(is_attached)
        .filter_map(|arn| managed(account, arn));
    inline.chain(attached).collect()
}

/// A managed policy goes by its name.
fn managed<'s>(account: &'s Account, arn: &str) -> Option<Source<'s>> {
    let policy = account.managed_policy(arn)?;
    Some(Source::stored(
        name_of(arn).to_owned(),
        managed_document(account, arn)?,
        policy,
    ))
}

/// Recorded: exclusions are told by the name alone.
fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}
