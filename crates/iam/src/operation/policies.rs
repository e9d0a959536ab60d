//! Managed policies.

use irsa_core::IdPrefix;
use irsa_store::{Compare, Transaction};
use irsa_wire::Params;

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::managed::{AWS_MANAGED, AwsManagedPolicy};
use crate::operation::common::{self, Managed, checked};
use crate::operation::page::Page;
use crate::operation::render::{self, Members, PolicyView, Uses};
use crate::operation::tag_rules::{self, KeyCase};
use crate::operation::{Execution, Operation, Outcome, Question, change, documents, read};
use crate::record::{PolicyRecord, PolicyVersion, Tag};
use crate::state::{Account, arn_of};

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreatePolicy", create_targets, create),
    read!("GetPolicy", by_arn, get),
    read!("ListPolicies", list_targets, list),
    change!("DeletePolicy", by_arn, delete),
    read!("ListEntitiesForPolicy", list_entities_targets, list_entities),
];

struct NewPolicy<'a> {
    name: &'a str,
    path: &'a str,
    document: &'a str,
    description: Option<&'a str>,
    tags: Vec<Tag>,
}

impl<'a> NewPolicy<'a> {
    fn read(params: &'a Params) -> Result<Self, IamError> {
        let new = checked(|validator| {
            Ok(Self {
                name: validator.required(params, "PolicyName", common::POLICY_NAME),
                path: validator.optional(params, "Path", common::POLICY_PATH).unwrap_or("/"),
                document: validator.required(params, "PolicyDocument", common::DOCUMENT),
                description: validator.optional(params, "Description", common::POLICY_DESCRIPTION),
                tags: tag_rules::read_optional(validator, params)?,
            })
        })?;
        tag_rules::check(&new.tags, KeyCase::Significant)?;
        Ok(new)
    }
}

fn create_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let new = NewPolicy::read(params)?;
    let account = question.caller.account;
    let target = Target::new(question.action, arn_of(account, "policy", new.path, new.name), account)
        .shown_as(format!("policy {}", new.name))
        .with_request_tags(&new.tags);
    Ok(common::and_tagging(target, "iam:TagPolicy", &new.tags))
}

fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let new = NewPolicy::read(params)?;
    let account = execution.account()?;
    check_document(new.document, execution)?;
    let key = key::policy(account.id, new.name);
    if account.policies.contains_key(&new.name.to_ascii_lowercase()) {
        let message = format!(
            "A policy called {} already exists. Duplicate names are not allowed.",
            new.name
        );
        return Err(IamError::EntityAlreadyExists(message));
    }
    if account.policies.size() >= execution.quotas.policies {
        return Err(IamError::quota("PoliciesPerAccount", execution.quotas.policies));
    }
    let mut tags = Vec::new();
    tag_rules::merge(
        &mut tags,
        new.tags,
        KeyCase::Significant,
        "Policy",
        execution.quotas.tags,
    )?;
    let now = execution.now.unix_millis();
    let record = PolicyRecord {
        name: new.name.to_owned(),
        path: new.path.to_owned(),
        id: execution.unique_id(IdPrefix::ManagedPolicy).to_string(),
        created: now,
        updated: now,
        description: new.description.map(str::to_owned),
        versions: vec![PolicyVersion {
            number: 1,
            document: new.document.to_owned(),
            created: now,
        }],
        default_version: 1,
        next_version: 2,
        tags,
    };
    let transaction = common::save(Transaction::default().when_absent(key.clone()), key, &record)?;
    let arn = arn_of(account.id, "policy", &record.path, &record.name);
    let answer = Members::new().members("Policy", render::policy(&record, &arn, (0, 0), PolicyView::Created));
    Ok(Outcome::changed(transaction, answer.xml(), answer.json()))
}

/// Checks the document of a managed policy, and its size.
pub(crate) fn check_document(document: &str, execution: &Execution<'_>) -> Result<(), IamError> {
    documents::check_identity(document)?;
    let limit = execution.quotas.policy_size;
    if documents::size(document) > limit {
        Err(IamError::quota("PolicySize", limit))
    } else {
        Ok(())
    }
}

pub(crate) fn read_arn(params: &Params) -> Result<&str, IamError> {
    checked(|validator| Ok(validator.required(params, "PolicyArn", common::ARN)))
}

/// The question of calls that take a policy's ARN and nothing else that needs a check.
pub(crate) fn by_arn(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::policy_target(question, read_arn(params)?)?])
}

/// Finds a policy that may be read.
pub(crate) fn find<'a>(account: &'a Account, arn: &str) -> Result<Managed<'a>, IamError> {
    common::policy_arn(arn)?;
    Managed::find(account, arn).ok_or_else(|| IamError::NoSuchEntity(format!("Policy {arn} was not found.")))
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let policy = find(account, read_arn(params)?)?;
    Ok(Outcome::read(
        Members::new()
            .members("Policy", render_policy(account, policy, PolicyView::Whole))
            .xml(),
    ))
}

/// How often a policy is used.
pub(crate) fn uses(account: &Account, policy: Managed<'_>) -> Uses {
    account.uses(&policy.attachment_name())
}

/// The `Policy` element of any policy.
pub(crate) fn render_policy(account: &Account, policy: Managed<'_>, view: PolicyView) -> Members {
    let uses = uses(account, policy);
    match policy {
        Managed::Aws(policy) => render::aws_policy(policy, uses, view),
        Managed::Own(policy) => render::policy(&policy.record, &policy.arn, uses, view),
    }
}

struct List<'a> {
    scope: &'a str,
    only_attached: bool,
    path_prefix: Option<&'a str>,
    usage: Option<&'a str>,
}

const USAGES: &[&str] = &["PermissionsPolicy", "PermissionsBoundary"];

fn read_list(params: &Params) -> Result<List<'_>, IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        Ok(List {
            scope: validator
                .choice(params, "Scope", &["All", "AWS", "Local"])
                .unwrap_or("All"),
            only_attached: params.boolean("OnlyAttached")?.unwrap_or(false),
            path_prefix: common::path_prefix(validator, params, common::POLICY_PATH),
            usage: validator.choice(params, "PolicyUsageFilter", USAGES),
        })
    })
}

fn list_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let prefix = read_list(params)?.path_prefix.unwrap_or("/");
    Ok(vec![
        common::list_target(question, "policy", Some(prefix)).shown_as(format!("policy path {prefix}")),
    ])
}

/// All policies in the order in which lists show them: the account's own by name, then AWS's.
pub(crate) fn all<'a>(account: &'a Account, own: bool, aws: bool) -> impl Iterator<Item = (String, Managed<'a>)> {
    let own = own.then(|| {
        account
            .policies
            .iter()
            .map(|(name, policy)| (format!("1/{name}"), Managed::Own(policy)))
    });
    let aws = aws.then(|| {
        AWS_MANAGED
            .iter()
            .map(|policy: &AwsManagedPolicy| (format!("2/{}", policy.name), Managed::Aws(policy)))
    });
    own.into_iter().flatten().chain(aws.into_iter().flatten())
}

fn list(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let wanted = read_list(params)?;
    let page = Page::read(params, execution, &["policies"])?;
    let account = execution.account()?;
    let fits = |policy: Managed<'_>| {
        let path = match policy {
            Managed::Aws(policy) => policy.path,
            Managed::Own(policy) => &policy.record.path,
        };
        // The filter by usage means something only for attached policies.
        let used = || match (uses(account, policy), wanted.usage) {
            ((attached, _), Some("PermissionsPolicy")) => attached > 0,
            ((_, boundary), Some(_)) => boundary > 0,
            ((attached, boundary), None) => attached + boundary > 0,
        };
        wanted.path_prefix.is_none_or(|prefix| path.starts_with(prefix)) && (!wanted.only_attached || used())
    };
    let policies = all(account, wanted.scope != "AWS", wanted.scope != "Local").filter(|(_, policy)| fits(*policy));
    let (policies, marker) = page.cut(policies);
    let policies = policies
        .into_iter()
        .map(|policy| render_policy(account, policy, PolicyView::Listed));
    Ok(Outcome::read(
        Members::new().list("Policies", policies).page(marker).xml(),
    ))
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let arn = read_arn(params)?;
    let account = execution.account()?;
    let policy = match find(account, arn)? {
        Managed::Aws(_) => return Err(common::not_yours(execution, "iam:DeletePolicy", arn)),
        Managed::Own(policy) => policy,
    };
    if account.uses(&policy.record.name) != (0, 0) {
        return Err(IamError::DeleteConflict(
            "Cannot delete a policy attached to entities.".to_owned(),
        ));
    }
    if policy.record.versions.len() > 1 {
        let message = "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
                       The default version is deleted with the policy.";
        return Err(IamError::DeleteConflict(message.to_owned()));
    }
    let key = key::policy(account.id, &policy.record.name);
    let transaction = Transaction::default()
        .when_modified_at(key.clone(), policy.revision)
        .when(Compare::PrefixEmpty {
            prefix: key::attachments(account.id, &policy.record.name),
        })
        .delete(key);
    Ok(Outcome::change(transaction))
}

struct ListEntities<'a> {
    arn: &'a str,
    filter: Option<&'a str>,
    path_prefix: Option<&'a str>,
    usage: Option<&'a str>,
}

/// `EntityType`.
pub(crate) const ENTITIES: &[&str] = &["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

fn read_entities(params: &Params) -> Result<ListEntities<'_>, IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        Ok(ListEntities {
            arn: validator.required(params, "PolicyArn", common::ARN),
            filter: validator.choice(params, "EntityFilter", ENTITIES),
            path_prefix: common::path_prefix(validator, params, common::PATH),
            usage: validator.choice(params, "PolicyUsageFilter", USAGES),
        })
    })
}

fn list_entities_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![common::policy_target(question, read_entities(params)?.arn)?])
}

fn list_entities(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let wanted = read_entities(params)?;
    let account = execution.account()?;
    let policy = find(account, wanted.arn)?;
    let page = Page::read(params, execution, &["entities", wanted.arn])?;
    let mut entities: Vec<(String, Entity<'_>)> = account
        .attachments_of(&policy.attachment_name())
        .filter(|(kind, _)| match wanted.usage {
            Some("PermissionsPolicy") => !kind.ends_with("-boundary"),
            Some(_) => kind.ends_with("-boundary"),
            None => true,
        })
        .filter_map(|(kind, name)| {
            let entity = Entity::find(account, kind, name)?;
            let fits = wanted.filter.is_none_or(|filter| filter == entity.kind)
                && wanted.path_prefix.is_none_or(|prefix| entity.path.starts_with(prefix));
            fits.then(|| (format!("{}/{name}", entity.kind), entity))
        })
        .collect();
    entities.sort_by(|(one, _), (other, _)| one.cmp(other));
    // An entity may use the policy both ways.
    entities.dedup_by(|(one, _), (other, _)| one == other);
    let (entities, marker) = page.cut(entities);
    let shown = |kind: &'static str, name: &'static str, id: &'static str| {
        let of_kind = entities.iter().filter(move |entity| entity.kind == kind);
        of_kind
            .map(move |entity| Members::new().text(name, entity.name).text(id, entity.id))
            .collect::<Vec<_>>()
    };
    let answer = Members::new()
        .list("PolicyGroups", [])
        .list("PolicyUsers", shown("User", "UserName", "UserId"))
        .list("PolicyRoles", shown("Role", "RoleName", "RoleId"))
        .page(marker);
    Ok(Outcome::read(answer.xml()))
}

/// A role or user that a policy is attached to.
struct Entity<'a> {
    kind: &'static str,
    name: &'a str,
    id: &'a str,
    path: &'a str,
}

impl<'a> Entity<'a> {
    fn find(account: &'a Account, kind: &str, name: &str) -> Option<Self> {
        if kind.starts_with("role") {
            let role = &account.role(name)?.record;
            Some(Self {
                kind: "Role",
                name: &role.name,
                id: &role.id,
                path: &role.path,
            })
        } else {
            let user = &account.user(name)?.record;
            Some(Self {
                kind: "User",
                name: &user.name,
                id: &user.id,
                path: &user.path,
            })
        }
    }
}
