//! The user or role whose policies are simulated.

use irsa_core::Arn;
use std::sync::Arc;

use super::exclusion::Exclusion;
use super::invalid;
use super::source::Source;
use crate::authorization_message::managed_document;
use crate::authorize::Target;
use crate::error::IamError;
use crate::operation::holder::Holder;
use crate::operation::{Execution, Question};
use crate::record::{InlinePolicy, Tag};
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

/// The question about a principal's policies.
pub(super) fn target(question: &Question<'_>, source: &str) -> Result<Target, IamError> {
    let (kind, arn) = entity_arn(source)?;
    let own = question.caller.account;
    let found = question
        .state
        .account(own)
        .and_then(|account| find(account, kind, &arn));
    let target = Target::new(question.action, source, own);
    Ok(match found {
        Some(entity) => target.with_resource_tags("iam", entity.tags()),
        None => target,
    })
}

/// The entity that has exactly this ARN.
fn find(account: &Account, kind: Kind, arn: &Arn) -> Option<Entity> {
    let name = arn.resource_name();
    let entity = match kind {
        Kind::User => Entity::User(Arc::clone(account.user(name)?)),
        Kind::Role => Entity::Role(Arc::clone(account.role(name)?)),
        // There are no groups here.
        Kind::Group => return None,
    };
    (entity.arn() == arn.as_str()).then_some(entity)
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
        find(account, kind, &arn).ok_or_else(|| {
            let name = arn.resource_name();
            IamError::NoSuchEntity(format!("The {} with name {name} cannot be found.", kind.word()))
        })
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

    pub(super) fn tags(&self) -> &[Tag] {
        match self {
            Self::User(user) => &user.record.tags,
            Self::Role(role) => &role.record.tags,
        }
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
        if exclusions.iter().any(Exclusion::is_boundary) {
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
        let is_excluded = |exclusion: &Exclusion| exclusion.is_inline(T::WORD, holder, &policy.name);
        !exclusions.iter().any(is_excluded)
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
    let is_attached = |arn: &&String| !exclusions.iter().any(|exclusion| exclusion.is_attached(arn));
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
    let name = arn.rsplit('/').next().unwrap_or_default();
    Some(Source::stored(name.to_owned(), managed_document(account, arn)?, policy))
}
