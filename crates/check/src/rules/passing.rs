//! Two actions that hand permissions to services: iam:PassRole and iam:CreateServiceLinkedRole.

use super::resources::fields;
use crate::glob::{has_wildcard, matches};
use crate::rule::{Findings, Kinds, Rule, Run, Subject};
use crate::tree::{Item, Statement};

macro_rules! rules {
    ($($constructor:ident $code:literal $action:ident $shape:ident $title:literal,)*) => {
        &[$(Rule::$constructor(
            $code,
            $title,
            Kinds::IDENTITY,
            (|subject, findings| report(subject, findings, &$action, Shape::$shape)) as Run,
        ),)*]
    };
}

pub(super) static RULES: &[Rule] = rules! {
    security_warning "PASS_ROLE_WITH_STAR_IN_RESOURCE" PASS_ROLE StarInResource "iam:PassRole for any role",
    security_warning "PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE" PASS_ROLE StarInActionAndResource
        "iam:PassRole for any role through a wildcard",
    security_warning "PASS_ROLE_WITH_STAR_IN_RESOURCE_AND_NOT_ACTION" PASS_ROLE StarInResourceAndNotAction
        "iam:PassRole for any role through NotAction",
    security_warning "PASS_ROLE_WITH_NOT_RESOURCE" PASS_ROLE NotResource "iam:PassRole for all roles but some",
    security_warning "PASS_ROLE_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE" PASS_ROLE StarInActionAndNotResource
        "iam:PassRole for all roles but some through a wildcard",
    security_warning "PASS_ROLE_WITH_NOT_ACTION_AND_NOT_RESOURCE" PASS_ROLE NotActionAndNotResource
        "iam:PassRole for all roles but some through NotAction",
    warning "CREATE_SLR_WITH_STAR_IN_RESOURCE" CREATE_SLR StarInResource
        "service-linked roles of any service",
    warning "CREATE_SLR_WITH_STAR_IN_ACTION_AND_RESOURCE" CREATE_SLR StarInActionAndResource
        "service-linked roles of any service through a wildcard",
    warning "CREATE_SLR_WITH_STAR_IN_RESOURCE_AND_NOT_ACTION" CREATE_SLR StarInResourceAndNotAction
        "service-linked roles of any service through NotAction",
    warning "CREATE_SLR_WITH_NOT_RESOURCE" CREATE_SLR NotResource "service-linked roles of all services but some",
    warning "CREATE_SLR_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE" CREATE_SLR StarInActionAndNotResource
        "service-linked roles of all services but some through a wildcard",
    warning "CREATE_SLR_WITH_NOT_ACTION_AND_NOT_RESOURCE" CREATE_SLR NotActionAndNotResource
        "service-linked roles of all services but some through NotAction",
};

/// One of the two actions.
struct Hand {
    action: &'static str,
    /// The condition key that restricts it to services.
    key: &'static str,
    /// What can happen.
    danger: &'static str,
    /// Whether a resource names roles of any kind.
    is_wide: fn(&str) -> bool,
}

static PASS_ROLE: Hand = Hand {
    action: "iam:PassRole",
    key: "iam:PassedToService",
    danger: "any role can be given to a service, and its permissions used through it",
    is_wide: |resource| {
        // The role's name is open from its beginning.
        let name = match fields(resource) {
            Some(arn) => arn.resource.strip_prefix("role/").unwrap_or(arn.resource).to_owned(),
            None => resource.to_owned(),
        };
        name.starts_with(['*', '?']) || (has_wildcard(resource) && fields(resource).is_none())
    },
};

static CREATE_SLR: Hand = Hand {
    action: "iam:CreateServiceLinkedRole",
    key: "iam:AWSServiceName",
    danger: "roles of services that nobody thought of can be made",
    is_wide: |resource| {
        let Some(arn) = fields(resource) else {
            return has_wildcard(resource);
        };
        let name = arn.resource.strip_prefix("role/").unwrap_or(arn.resource);
        let service = name.strip_prefix("aws-service-role/").unwrap_or(name);
        service.split('/').next().is_some_and(has_wildcard)
    },
};

/// How a statement comes to allow the action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    StarInResource,
    StarInActionAndResource,
    StarInResourceAndNotAction,
    NotResource,
    StarInActionAndNotResource,
    NotActionAndNotResource,
}

enum Means {
    Name,
    Star,
    NotAction,
}

fn means<'s, 't>(statement: &'s Statement<'t>, action: &str) -> Option<(Means, Option<&'s Item<'t>>)> {
    if let Some(list) = &statement.action {
        let named = list.items.iter().find(|item| item.text.eq_ignore_ascii_case(action));
        if let Some(item) = named {
            return Some((Means::Name, Some(item)));
        }
        let star = list.items.iter().find(|item| matches(&item.text, action, true))?;
        return Some((Means::Star, Some(star)));
    }
    let list = statement.not_action.as_ref()?;
    let excluded = list.items.iter().any(|item| matches(&item.text, action, true));
    (!excluded).then_some((Means::NotAction, None))
}

fn report(subject: &Subject<'_, '_>, findings: &mut Findings, hand: &Hand, wanted: Shape) {
    for statement in subject.tree.statements.iter().filter(|statement| statement.allows()) {
        let Some((means, item)) = means(statement, hand.action) else {
            continue;
        };
        if let Some(resources) = &statement.resource {
            let wide = resources.items.iter().find(|item| (hand.is_wide)(&item.text));
            let restricted = statement.conditions_on(hand.key).next().is_some();
            let Some(wide) = wide.filter(|_| !restricted) else {
                continue;
            };
            let (shape, how) = match means {
                Means::Name => (Shape::StarInResource, String::new()),
                Means::Star => {
                    let star = item.map_or("", |item| &item.text);
                    (
                        Shape::StarInActionAndResource,
                        format!("`{star}` is also {}: ", hand.action),
                    )
                }
                Means::NotAction => (
                    Shape::StarInResourceAndNotAction,
                    format!("`NotAction` does not exclude {}: ", hand.action),
                ),
            };
            if shape == wanted {
                findings
                    .at(wide, format!("{how}{}", hand.danger))
                    .fix(format!("name the roles, or add a condition on `{}`", hand.key));
            }
        } else if let Some(resources) = &statement.not_resource {
            let (shape, how) = match means {
                Means::Name => (Shape::NotResource, String::new()),
                Means::Star => {
                    let star = item.map_or("", |item| &item.text);
                    (
                        Shape::StarInActionAndNotResource,
                        format!("`{star}` is also {}: ", hand.action),
                    )
                }
                Means::NotAction => (
                    Shape::NotActionAndNotResource,
                    format!("`NotAction` does not exclude {}: ", hand.action),
                ),
            };
            if shape == wanted {
                findings
                    .at_name(&resources.name, format!("{how}{}", hand.danger))
                    .fix("name in `Resource` the roles that are meant");
            }
        }
    }
}
