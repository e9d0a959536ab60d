//! Policies for a request.

use super::Random;
use super::access::{self, unique_id};
use super::condition::{self, fields_widened};
use super::text;
use super::words::{self, ACCOUNTS, NAMES, PATHS};
use crate::case::{Draft, DraftStatement, Element};
use crate::evaluator::{Caller, Effect, Kind, Request};

pub(super) struct Maker<'r> {
    pub(super) request: &'r Request,
}

/// The part of a statement that is to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failing {
    None,
    Action,
    Resource,
    Principal,
    Condition,
    Random,
}

impl Maker<'_> {
    /// The policies of some levels of an organization.
    pub(super) fn levels(&self, random: &mut Random, kind: Kind) -> Vec<Vec<Draft>> {
        let levels = 1 + random.below(3);
        (0..levels)
            .map(|_| {
                let count = if random.one_in(25) { 0 } else { 1 + random.below(2) };
                (0..count).map(|_| self.draft(random, kind)).collect()
            })
            .collect()
    }

    pub(super) fn draft(&self, random: &mut Random, kind: Kind) -> Draft {
        let version = match random.below(10) {
            _ if kind == Kind::ResourceControl => Some("2012-10-17"),
            0 => None,
            1 => Some("2008-10-17"),
            _ => Some("2012-10-17"),
        };
        let has_variables = version == Some("2012-10-17");
        let count = 1 + random.below(3);
        let statements = (0..count)
            .map(|at| {
                // Each policy should have something that allows, or else little is ever allowed.
                let effect = match kind {
                    Kind::ResourceControl => Effect::Deny,
                    _ if at == 0 || !random.one_in(3) => Effect::Allow,
                    _ => Effect::Deny,
                };
                self.statement(random, kind, effect, has_variables)
            })
            .collect();
        let mut draft = Draft {
            kind,
            version,
            id: random.one_in(20).then(|| "An id".to_owned()),
            statements,
            style: if random.one_in(3) { random.next() } else { 0 },
            spoiled: None,
        };
        if random.one_in(500) {
            draft.spoiled = Some(text::bent(&draft.text(), random));
        }
        draft
    }

    fn statement(&self, random: &mut Random, kind: Kind, effect: Effect, has_variables: bool) -> DraftStatement {
        let matches = if effect == Effect::Allow { 72 } else { 6 };
        let failing = if random.percent(matches) {
            Failing::None
        } else {
            random.pick(&[
                Failing::Action,
                Failing::Resource,
                Failing::Principal,
                Failing::Condition,
                Failing::Condition,
                Failing::Random,
            ])
        };
        let names_principal = matches!(kind, Kind::Trust | Kind::Resource | Kind::VpcEndpoint);
        let principal = match kind {
            Kind::ResourceControl => Some((false, vec![("AWS", "*".to_owned())])),
            _ if names_principal => Some(self.principal(random, kind, effect, failing)),
            _ => None,
        };
        let may_negate = kind != Kind::ResourceControl;
        let wanted = wants(failing, Failing::Action, random);
        let action = self.names(random, may_negate, wanted, &self.request.action, action);
        let wanted = wants(failing, Failing::Resource, random);
        let near = |random: &mut Random, given: &str| self.resource(random, given);
        let may_lack_resource = kind == Kind::Resource && random.one_in(30);
        let resource = (kind != Kind::Trust && !may_lack_resource)
            .then(|| self.names(random, true, wanted, &self.request.resource, near));
        let mut statement = DraftStatement {
            sid: random.one_in(4).then(|| format!("S{}", random.below(9))),
            effect,
            principal,
            action,
            resource,
            conditions: Vec::new(),
        };
        let count = match failing {
            Failing::Condition => 1 + random.below(2),
            _ => [0, 0, 1, 1, 2, 3][random.below(6)],
        };
        for at in 0..count {
            let wanted = match failing {
                Failing::Condition => at > 0,
                Failing::Random => random.one_in(2),
                _ => true,
            };
            let made = condition::condition(random, &self.request.keys, has_variables, wanted);
            let is_new = |old: &crate::case::DraftCondition| old.operator != made.operator || old.key != made.key;
            if statement.conditions.iter().all(is_new) {
                statement.conditions.push(made);
            }
        }
        statement
    }

    /// A list, or a negated list, made of what the request says.
    fn names(
        &self,
        random: &mut Random,
        may_negate: bool,
        wanted: bool,
        given: &str,
        near: impl Fn(&mut Random, &str) -> String,
    ) -> Element<String> {
        let negated = may_negate && random.one_in(6);
        let lists_it = wanted != negated;
        let count = if random.one_in(60) { 0 } else { 1 + random.below(3) };
        let entries = (0..count)
            .map(|_| match (lists_it, random.below(10)) {
                (true, 0) | (false, 0..=6) => text::bent(&near(random, given), random),
                (true, _) => near(random, given),
                (false, 7) => near(random, given),
                (false, _) => {
                    let (actions, resources) = words::SERVICES[random.below(9)];
                    random
                        .pick(if given.starts_with("arn:") { resources } else { actions })
                        .replace('@', ACCOUNTS[0])
                }
            })
            .collect();
        (negated, entries)
    }

    fn resource(&self, random: &mut Random, given: &str) -> String {
        match random.below(12) {
            0..=1 => given.to_owned(),
            2 => "*".to_owned(),
            3..=4 => fields_widened(given, random),
            5..=6 => text::widened(given, random),
            7 => text::escaped(given),
            8 => {
                let wide = text::widened(given, random);
                text::with_variable(&wide, &self.request.keys, random)
            }
            9..=10 => {
                // A variable is of use after the fifth colon only.
                let start = given.match_indices(':').nth(4).map_or(0, |(at, _)| at + 1);
                let (head, tail) = given.split_at(start);
                format!("{head}{}", text::with_variable(tail, &self.request.keys, random))
            }
            _ => match given.match_indices(':').nth(4) {
                Some((at, _)) => format!("{}:*", &given[..at]),
                None => given.to_owned(),
            },
        }
    }

    fn principal(
        &self,
        random: &mut Random,
        kind: Kind,
        effect: Effect,
        failing: Failing,
    ) -> Element<(&'static str, String)> {
        let caller = &self.request.caller;
        let may_negate = kind != Kind::Trust;
        let negated = may_negate && random.one_in(6);
        let wanted = wants(failing, Failing::Principal, random);
        let mut entries = Vec::new();
        if wanted == negated {
            // Not the caller, or for the negation everything about the caller.
            if negated && effect == Effect::Deny {
                entries.extend(everything(caller));
                if random.one_in(3) {
                    let at = random.below(entries.len().max(1));
                    entries.truncate(at);
                }
            } else if negated {
                entries.push(self.own_entry(random));
            }
            for _ in 0..=random.below(2) {
                let other = access::caller(random);
                entries.push(entry(&other, random));
            }
        } else if negated {
            for _ in 0..=random.below(2) {
                let other = access::caller(random);
                entries.push(entry(&other, random));
            }
        } else {
            for _ in 0..random.below(2) {
                let other = access::caller(random);
                entries.push(entry(&other, random));
            }
            entries.push(self.own_entry(random));
        }
        random.shuffle(&mut entries);
        (negated, entries)
    }

    fn own_entry(&self, random: &mut Random) -> (&'static str, String) {
        if random.one_in(6) {
            ("AWS", "*".to_owned())
        } else {
            entry(&self.request.caller, random)
        }
    }
}

/// Whether a part of a statement is to match.
fn wants(failing: Failing, part: Failing, random: &mut Random) -> bool {
    match failing {
        Failing::Random => random.one_in(2),
        failing => failing != part,
    }
}

fn action(random: &mut Random, given: &str) -> String {
    let (service, name) = given.split_once(':').unwrap_or((given, ""));
    match random.below(10) {
        0 => "*".to_owned(),
        1 => format!("{service}:*"),
        2..=3 => format!("{service}:{}", text::widened(name, random)),
        4 => text::widened(given, random),
        5 => text::swapped_case(given, random),
        6 => {
            let wide = text::widened(given, random);
            text::swapped_case(&wide, random)
        }
        _ => given.to_owned(),
    }
}

/// Every entry that names a link of a caller.
fn everything(caller: &Caller) -> Vec<(&'static str, String)> {
    let account = caller
        .account()
        .map(|account| ("AWS", format!("arn:aws:iam::{account}:root")));
    let links = match caller {
        Caller::Anonymous => vec![("AWS", "*".to_owned())],
        Caller::Root { .. } => vec![],
        Caller::User { arn, .. } => vec![("AWS", arn.clone())],
        Caller::RoleSession { arn, role_arn, .. } => vec![("AWS", arn.clone()), ("AWS", role_arn.clone())],
        Caller::FederatedUser { arn, user_arn, .. } => vec![("AWS", arn.clone()), ("AWS", user_arn.clone())],
        Caller::WebIdentity { provider } | Caller::Saml { provider } => vec![("Federated", provider.clone())],
        Caller::Service { names } => names.iter().map(|name| ("Service", name.clone())).collect(),
    };
    account.into_iter().chain(links).collect()
}

/// An entry about a caller, or almost.
fn entry(caller: &Caller, random: &mut Random) -> (&'static str, String) {
    let account = caller.account().unwrap_or(ACCOUNTS[0]);
    if random.one_in(40) {
        return (random.pick(&["Service", "Federated", "CanonicalUser"]), "*".to_owned());
    }
    let partition = if random.one_in(12) { "aws-cn" } else { "aws" };
    let text = match (random.below(8), caller) {
        (0, _) => account.to_owned(),
        (1, _) => format!("arn:{partition}:iam::{account}:root"),
        (2, Caller::User { id, .. }) => id.clone(),
        (2, Caller::RoleSession { role_id, .. }) => role_id.clone(),
        (3, Caller::RoleSession { role_arn, .. }) => role_arn.clone(),
        (4, Caller::RoleSession { role_arn, .. }) => {
            // The role without its path is another role.
            let (head, name) = role_arn.rsplit_once('/').unwrap_or((role_arn, ""));
            format!("{}/{name}", head.split('/').next().unwrap_or(head))
        }
        (2 | 3, Caller::FederatedUser { user_arn, .. }) => user_arn.clone(),
        (_, Caller::User { arn, .. } | Caller::FederatedUser { arn, .. }) => arn.clone(),
        (_, Caller::RoleSession { arn, role_arn, .. }) => {
            if random.one_in(2) {
                role_arn.clone()
            } else {
                arn.clone()
            }
        }
        (_, Caller::Root { .. }) => account.to_owned(),
        (5, _) => {
            let part = random.pick(&["user/ann", "role/app", "role/team/app"]);
            unique_id(&format!("arn:aws:iam::{}:{part}", random.pick(&ACCOUNTS)))
        }
        (6, _) => format!(
            "arn:aws:iam::{account}:{}{}{}",
            random.pick(&["user/", "role/"]),
            random.pick(&PATHS),
            random.pick(&NAMES)
        ),
        (_, Caller::Service { names }) => return ("Service", names[random.below(names.len())].clone()),
        (7, Caller::Anonymous) => {
            return (
                "CanonicalUser",
                "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be".to_owned(),
            );
        }
        (_, Caller::WebIdentity { provider } | Caller::Saml { provider }) => return ("Federated", provider.clone()),
        (_, Caller::Anonymous) => "*".to_owned(),
    };
    ("AWS", text)
}
