//! Requests.

use super::Random;
use super::words::{self, ACCOUNTS, KEYS, NAMES, PATHS, Type};
use crate::case::set_key;
use crate::evaluator::{Caller, Keys, Request, Values};

pub(super) fn request(random: &mut Random) -> Request {
    let services = if random.one_in(10) {
        &words::SERVICES[..]
    } else {
        &words::SERVICES[..8]
    };
    let (actions, resources) = random.pick(services);
    let action = random.pick(actions);
    let caller = match (action, random.percent(70)) {
        ("sts:AssumeRoleWithWebIdentity", true) => Caller::WebIdentity {
            provider: random.pick(&words::WEB_PROVIDERS).to_owned(),
        },
        ("sts:AssumeRoleWithSAML", true) => Caller::Saml {
            provider: random.pick(&words::SAML_PROVIDERS).to_owned(),
        },
        _ => caller(random),
    };
    let owner = match caller.account() {
        Some(account) if random.percent(65) => account.to_owned(),
        _ => random.pick(&ACCOUNTS).to_owned(),
    };
    let resource = if random.one_in(15) {
        let (_, others) = words::SERVICES[random.below(9)];
        random.pick(others)
    } else {
        random.pick(resources)
    };
    let mut keys = keys(random, &caller);
    random.shuffle(&mut keys);
    Request {
        action: action.to_owned(),
        resource: resource.replace('@', &owner),
        resource_account: random.percent(75).then_some(owner),
        keys,
        caller,
    }
}

pub(super) fn caller(random: &mut Random) -> Caller {
    let accounts = if random.one_in(3) {
        &ACCOUNTS[..]
    } else {
        &ACCOUNTS[..1]
    };
    let account = random.pick(accounts).to_owned();
    let name = random.pick(&NAMES);
    let path = random.pick(&PATHS);
    let partition = if random.one_in(12) { "aws-cn" } else { "aws" };
    match random.below(20) {
        0..=5 => {
            let arn = format!("arn:{partition}:iam::{account}:user/{path}{name}");
            Caller::User {
                id: unique_id(&arn),
                arn,
                account,
            }
        }
        6..=11 => Caller::RoleSession {
            arn: format!(
                "arn:{partition}:sts::{account}:assumed-role/{name}/s{}",
                random.below(2)
            ),
            role_arn: format!("arn:{partition}:iam::{account}:role/{path}{name}"),
            role_id: unique_id(&format!("arn:{partition}:iam::{account}:role/{path}{name}")),
            account,
        },
        12..=13 => Caller::FederatedUser {
            arn: format!("arn:{partition}:sts::{account}:federated-user/{}", random.pick(&NAMES)),
            user_arn: format!("arn:{partition}:iam::{account}:user/{path}{name}"),
            account,
        },
        14..=15 => Caller::Root { account },
        16 => Caller::Anonymous,
        17 => Caller::WebIdentity {
            provider: random.pick(&words::WEB_PROVIDERS).to_owned(),
        },
        18 => Caller::Saml {
            provider: random.pick(&words::SAML_PROVIDERS).to_owned(),
        },
        _ => {
            let first = random.below(words::CALLING_SERVICES.len());
            let last = (first + 1 + random.below(2)).min(words::CALLING_SERVICES.len());
            let names = &words::CALLING_SERVICES[first..last];
            Caller::Service {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
            }
        }
    }
}

/// The unique id of a user or role: another one for each ARN.
pub(super) fn unique_id(arn: &str) -> String {
    let prefix = if arn.contains(":role/") { "AROA" } else { "AIDA" };
    let hash = arn.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{prefix}X{hash:016X}")
}

fn keys(random: &mut Random, caller: &Caller) -> Keys {
    let mut keys = Keys::new();
    for (name, kind, is_list) in KEYS {
        if random.percent(40) {
            keys.push((recased(name, random), values(random, kind, is_list)));
        }
    }
    let own = match caller {
        Caller::User { arn, .. } | Caller::FederatedUser { arn, .. } => Some(arn.clone()),
        Caller::RoleSession { role_arn, .. } => Some(role_arn.clone()),
        _ => None,
    };
    if let Some(arn) = own
        && random.percent(60)
    {
        set_key(&mut keys, "aws:PrincipalArn", Some(Values::One(arn)));
    }
    keys
}

/// A key's name; its case counts for nothing.
pub(super) fn recased(name: &str, random: &mut Random) -> String {
    match random.below(8) {
        0 => name.to_ascii_lowercase(),
        1 => name.to_ascii_uppercase(),
        _ => name.to_owned(),
    }
}

fn values(random: &mut Random, kind: Type, is_list: bool) -> Values {
    // Now and then a key has one value where it should have several, or several where it should have one.
    if is_list != random.one_in(12) {
        let count = [0, 1, 1, 2, 2, 3, 4][random.below(7)];
        Values::List((0..count).map(|_| value(random, kind)).collect())
    } else {
        Values::One(value(random, kind))
    }
}

/// A value of a key.
pub(super) fn value(random: &mut Random, kind: Type) -> String {
    let kind = if random.one_in(15) { Type::Text } else { kind };
    let words: &[&str] = match kind {
        Type::Text | Type::Binary => &words::TEXTS,
        Type::Number => &words::NUMBERS,
        Type::Date => &words::DATES,
        Type::Bool => &words::BOOLS,
        Type::Ip => &words::ADDRESSES,
        Type::Arn => &words::ARNS,
    };
    // The first words of each list are the usual ones.
    let usual = if random.one_in(2) {
        words.len()
    } else {
        words.len().div_ceil(3)
    };
    words[random.below(usual)].to_owned()
}

/// Changes something about a request.
pub(super) fn bend(request: &mut Request, random: &mut Random) {
    match random.below(7) {
        0 => request.action = super::text::bent(&request.action, random),
        1 => request.resource = super::text::bent(&request.resource, random),
        2 => request.resource_account = Some(random.pick(&ACCOUNTS).to_owned()),
        3 => request.caller = caller(random),
        4 if !request.keys.is_empty() => {
            let at = random.below(request.keys.len());
            request.keys.remove(at);
        }
        5 if !request.keys.is_empty() => {
            let at = random.below(request.keys.len());
            let values = match &request.keys[at].1 {
                Values::One(value) if random.one_in(2) => Values::List(vec![value.clone()]),
                Values::One(value) => Values::One(super::text::bent(value, random)),
                Values::List(values) if values.len() == 1 => Values::One(values[0].clone()),
                Values::List(_) => Values::List(vec![String::new()]),
            };
            request.keys[at].1 = values;
        }
        _ => request.resource = "*".to_owned(),
    }
}
