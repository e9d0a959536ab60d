//! Roles.

use irsa_core::IdPrefix;
use irsa_store::Transaction;
use irsa_wire::Params;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, checked};
use crate::operation::holder::{self, Held};
use crate::operation::page::Page;
use crate::operation::render::{self, Members, RoleView};
use crate::operation::tag_rules::{self, KeyCase};
use crate::operation::{Execution, Operation, Outcome, Question, change, documents, read};
use crate::record::{RoleRecord, Tag};
use crate::state::arn_of;

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreateRole", create_targets, create),
    read!("GetRole", holder::named::<RoleRecord>, get),
    read!("ListRoles", list_targets, list),
    change!("DeleteRole", holder::named::<RoleRecord>, delete),
    change!("UpdateRole", update_targets, update),
    change!("UpdateRoleDescription", update_description_targets, update_description),
    change!("UpdateAssumeRolePolicy", update_trust_targets, update_trust),
    read!(
        "ListInstanceProfilesForRole",
        holder::named_list::<RoleRecord>,
        list_instance_profiles
    ),
];

/// `roleMaxSessionDurationType`.
const DURATIONS: (i32, i32) = (3600, 43_200);

struct NewRole<'a> {
    name: &'a str,
    path: &'a str,
    trust_policy: &'a str,
    description: Option<&'a str>,
    max_session_duration: i32,
    permissions_boundary: Option<&'a str>,
    tags: Vec<Tag>,
}

impl<'a> NewRole<'a> {
    fn read(params: &'a Params) -> Result<Self, IamError> {
        let new = checked(|validator| {
            Ok(Self {
                name: validator.required(params, "RoleName", common::ROLE_NAME),
                path: validator.optional(params, "Path", common::PATH).unwrap_or("/"),
                trust_policy: validator.required(params, "AssumeRolePolicyDocument", common::DOCUMENT),
                description: validator.optional(params, "Description", common::ROLE_DESCRIPTION),
                max_session_duration: validator
                    .integer(params, "MaxSessionDuration", DURATIONS.0, DURATIONS.1)?
                    .unwrap_or(DURATIONS.0),
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
    let new = NewRole::read(params)?;
    let account = question.caller.account;
    let mut target = Target::new(question.action, arn_of(account, "role", new.path, new.name), account)
        .shown_as(format!("role {}", new.name))
        .with_request_tags(&new.tags);
    if let Some(boundary) = new.permissions_boundary {
        target = target.with("iam:PermissionsBoundary", boundary);
    }
    Ok(common::and_tagging(target, "iam:TagRole", &new.tags))
}

fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let new = NewRole::read(params)?;
    let account = execution.account()?;
    let trusted_principals = documents::check_trust(new.trust_policy, execution)?;
    if account.role(new.name).is_some() {
        return Err(IamError::EntityAlreadyExists(format!(
            "Role with name {} already exists.",
            new.name
        )));
    }
    if account.roles.size() >= execution.quotas.roles {
        return Err(IamError::quota("RolesPerAccount", execution.quotas.roles));
    }
    let boundary = new
        .permissions_boundary
        .map(|arn| common::boundary(account, arn))
        .transpose()?;
    let mut tags = Vec::new();
    tag_rules::merge(&mut tags, new.tags, KeyCase::Ignored, "Role", execution.quotas.tags)?;
    let record = RoleRecord {
        name: new.name.to_owned(),
        path: new.path.to_owned(),
        id: execution.unique_id(IdPrefix::Role).to_string(),
        created: execution.now.unix_millis(),
        trust_policy: new.trust_policy.to_owned(),
        trusted_principals,
        description: new.description.map(str::to_owned),
        max_session_duration: new.max_session_duration,
        permissions_boundary: new.permissions_boundary.map(str::to_owned),
        inline_policies: Vec::new(),
        attached_policies: Vec::new(),
        tags,
    };
    let key = key::role(account.id, new.name);
    let mut transaction = common::save(Transaction::default().when_absent(key.clone()), key, &record)?;
    if let Some(boundary) = boundary {
        transaction = common::attach(transaction, account.id, boundary, "role-boundary", new.name);
    }
    let arn = arn_of(account.id, "role", &record.path, &record.name);
    let answer = Members::new().members("Role", render::role(&record, &arn, RoleView::Created));
    Ok(Outcome::changed(transaction, answer.xml(), answer.json()))
}

fn find<'a>(params: &Params, execution: &'a Execution<'_>) -> Result<Held<'a, RoleRecord>, IamError> {
    holder::find(execution.account()?, holder::name::<RoleRecord>(params)?)
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let role = find(params, execution)?;
    let answer = Members::new().members("Role", render::role(role.record, role.arn, RoleView::Whole));
    Ok(Outcome::read(answer.xml()))
}

fn read_list(params: &Params) -> Result<Option<&str>, IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        Ok(common::path_prefix(validator, params, common::PATH_PREFIX))
    })
}

fn list_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::list_target(question, "role", read_list(params)?)])
}

fn list(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let prefix = read_list(params)?.unwrap_or("/");
    let page = Page::read(params, execution, &["roles"])?;
    let roles = execution
        .account()?
        .roles
        .iter()
        .filter(|(_, role)| role.record.path.starts_with(prefix));
    let (roles, marker) = page.cut(roles.map(|(key, role)| (key.clone(), role)));
    let roles = roles
        .into_iter()
        .map(|role| render::role(&role.record, &role.arn, RoleView::Listed));
    Ok(Outcome::read(Members::new().list("Roles", roles).page(marker).xml()))
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let role = find(params, execution)?;
    let conflict = |what: &str| {
        Err(IamError::DeleteConflict(format!(
            "Cannot delete entity, must {what} first."
        )))
    };
    if !role.record.attached_policies.is_empty() {
        return conflict("detach all policies");
    }
    if !role.record.inline_policies.is_empty() {
        return conflict("delete policies");
    }
    let key = key::role(account.id, &role.record.name);
    let mut transaction = Transaction::default()
        .when_modified_at(key.clone(), role.revision)
        .delete(key);
    if let Some(boundary) = &role.record.permissions_boundary {
        transaction = common::detach(transaction, account.id, boundary, "role-boundary", &role.record.name);
    }
    Ok(Outcome::change(transaction))
}

struct Update<'a> {
    name: &'a str,
    description: Option<&'a str>,
    max_session_duration: Option<i32>,
}

fn read_update(params: &Params) -> Result<Update<'_>, IamError> {
    checked(|validator| {
        Ok(Update {
            name: validator.required(params, "RoleName", common::ROLE_NAME),
            description: validator.optional(params, "Description", common::ROLE_DESCRIPTION),
            max_session_duration: validator.integer(params, "MaxSessionDuration", DURATIONS.0, DURATIONS.1)?,
        })
    })
}

fn update_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![holder::target::<RoleRecord>(question, read_update(params)?.name)])
}

/// UpdateRole: what is not sent stays; the result is an empty element.
fn update(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let update = read_update(params)?;
    let account = execution.account()?;
    let role = holder::find::<RoleRecord>(account, update.name)?;
    let mut record = role.record.clone();
    if let Some(description) = update.description {
        record.description = Some(description.to_owned());
    }
    record.max_session_duration = update.max_session_duration.unwrap_or(record.max_session_duration);
    let mut outcome = Outcome::change(holder::update(account.id, &role, &record)?);
    outcome.answer.result = Some(String::new());
    Ok(outcome)
}

fn read_description(params: &Params) -> Result<(&str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, "RoleName", common::ROLE_NAME),
            validator.required(params, "Description", common::ROLE_DESCRIPTION),
        ))
    })
}

fn update_description_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![holder::target::<RoleRecord>(
        question,
        read_description(params)?.0,
    )])
}

fn update_description(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, description) = read_description(params)?;
    let account = execution.account()?;
    let role = holder::find::<RoleRecord>(account, name)?;
    let record = RoleRecord {
        description: Some(description.to_owned()),
        ..role.record.clone()
    };
    let answer = Members::new().members("Role", render::role(&record, role.arn, RoleView::Described));
    Ok(Outcome::changed(
        holder::update(account.id, &role, &record)?,
        answer.xml(),
        answer.json(),
    ))
}

fn read_trust(params: &Params) -> Result<(&str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, "RoleName", common::ROLE_NAME),
            validator.required(params, "PolicyDocument", common::DOCUMENT),
        ))
    })
}

fn update_trust_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![holder::target::<RoleRecord>(question, read_trust(params)?.0)])
}

fn update_trust(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (name, document) = read_trust(params)?;
    let account = execution.account()?;
    let role = holder::find::<RoleRecord>(account, name)?;
    let trusted_principals = documents::check_trust(document, execution)?;
    let record = RoleRecord {
        trust_policy: document.to_owned(),
        trusted_principals,
        ..role.record.clone()
    };
    Ok(Outcome::change(holder::update(account.id, &role, &record)?))
}

/// There are no instance profiles here, so a role has none.
fn list_instance_profiles(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let role = find(params, execution)?;
    Page::read(params, execution, &["instance profiles", &role.record.name])?;
    Ok(Outcome::read(
        Members::new().list("InstanceProfiles", []).page(None).xml(),
    ))
}
