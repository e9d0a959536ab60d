//! GetAccountAuthorizationDetails: every user, role and policy of the account with everything that says what they may
//! do.

use irsa_wire::{Params, Text};

use crate::authorize::Target;
use crate::error::IamError;
use crate::operation::common::{self, Managed, checked};
use crate::operation::page::Page;
use crate::operation::policies::{self, ENTITIES};
use crate::operation::render::{self, Members, PolicyView};
use crate::operation::{Execution, Operation, Outcome, Question, read};
use crate::state::{Account, Role, User};

pub(crate) const OPERATIONS: &[Operation] = &[read!("GetAccountAuthorizationDetails", targets, get)];

const ENTITY: Text = Text::new(
    0,
    32,
    irsa_wire::Pattern {
        text: "User|Role|Group|LocalManagedPolicy|AWSManagedPolicy",
        matches: |text| ENTITIES.contains(&text),
    },
);

/// Which kinds are wanted; all without a filter.
fn read_filter(params: &Params) -> Result<Vec<String>, IamError> {
    checked(|validator| {
        Page::check(validator, params)?;
        let filter = common::texts(validator, params, "Filter", ENTITY)?.unwrap_or_default();
        Ok(if filter.is_empty() {
            ENTITIES.iter().map(|entity| (*entity).to_owned()).collect()
        } else {
            filter
        })
    })
}

fn targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    read_filter(params)?;
    Ok(vec![Target::new(question.action, "*", question.caller.account)])
}

enum Entity<'a> {
    User(&'a User),
    Role(&'a Role),
    Policy(Managed<'a>),
}

/// Users, roles and policies in the order of the pages.
fn entities<'a>(account: &'a Account, filter: &[String]) -> impl Iterator<Item = (String, Entity<'a>)> {
    let wants = |kind: &str| filter.iter().any(|wanted| wanted == kind);
    let users = wants("User").then(|| {
        account
            .users
            .iter()
            .map(|(name, user)| (format!("1/{name}"), Entity::User(user)))
    });
    let roles = wants("Role").then(|| {
        account
            .roles
            .iter()
            .map(|(name, role)| (format!("2/{name}"), Entity::Role(role)))
    });
    let managed = policies::all(account, wants("LocalManagedPolicy"), wants("AWSManagedPolicy"));
    let managed = managed.map(|(key, policy)| (format!("3/{key}"), Entity::Policy(policy)));
    users
        .into_iter()
        .flatten()
        .chain(roles.into_iter().flatten())
        .chain(managed)
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let filter = read_filter(params)?;
    let account = execution.account()?;
    let page = Page::read(params, execution, &["authorization details"])?;
    let (shown, marker) = page.cut(entities(account, &filter));
    let (mut users, mut roles, mut policies) = (Vec::new(), Vec::new(), Vec::new());
    for entity in shown {
        match entity {
            Entity::User(user) => users.push(render::user_detail(&user.record, &user.arn)),
            Entity::Role(role) => roles.push(render::role_detail(&role.record, &role.arn)),
            Entity::Policy(policy) => policies.push(policy_detail(account, policy)),
        }
    }
    let answer = Members::new()
        .list("UserDetailList", users)
        .list("GroupDetailList", [])
        .list("RoleDetailList", roles)
        .list("Policies", policies)
        .page(marker);
    Ok(Outcome::read(answer.xml()))
}

fn policy_detail(account: &Account, policy: Managed<'_>) -> Members {
    let versions = match policy {
        Managed::Aws(policy) => vec![render::aws_policy_version(policy, true)],
        Managed::Own(policy) => {
            let newest_first = policy.record.versions.iter().rev();
            newest_first
                .map(|version| render::policy_version(version, policy.record.default_version, true))
                .collect()
        }
    };
    policies::render_policy(account, policy, PolicyView::Listed).list("PolicyVersionList", versions)
}
