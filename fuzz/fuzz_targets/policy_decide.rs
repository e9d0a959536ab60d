//! Any policies and any request: the decision ends, its explanation says the same, and a session policy or a boundary
//! never adds to what an identity policy allows.
#![no_main]

use std::sync::Arc;

use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request, decide, decision, explain};
use libfuzzer_sys::fuzz_target;

/// Between the parts of an input: the identity policies' parts stand in one text, so that a corpus can be written by hand.
const SEPARATOR: char = '\u{1e}';

struct Case<'a> {
    action: &'a str,
    resource: &'a str,
    caller: u8,
    foreign: bool,
    trust: bool,
    identity: &'a str,
    second: Option<&'a str>,
    boundary: Option<&'a str>,
    session: Option<&'a str>,
    resource_policy: Option<&'a str>,
    context: &'a str,
}

impl<'a> Case<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(SEPARATOR);
        let flags = parts.next()?.as_bytes();
        let flag = |index: usize| flags.get(index).copied().unwrap_or_default();
        let mut optional = Vec::new();
        let (action, resource, context, identity) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        for _ in 0..4 {
            optional.push(parts.next().filter(|part| !part.is_empty()));
        }
        Some(Self {
            action,
            resource,
            caller: flag(0),
            foreign: flag(1) == b'f',
            trust: flag(2) == b't',
            identity,
            second: optional[0],
            boundary: optional[1],
            session: optional[2],
            resource_policy: optional[3],
            context,
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(case) = std::str::from_utf8(bytes).ok().and_then(Case::read) else {
        return;
    };
    // `key=value` or `key=one,two` a line.
    let mut context = Context::new();
    for line in case.context.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if value.contains(',') {
            context.set_list(key, value.split(','));
        } else {
            context.set(key, value);
        }
    }
    let account = "111122223333".parse().expect("twelve digits");
    let principal = match case.caller % 7 {
        0 => Principal::Anonymous,
        1 => Principal::Root { account },
        2 => Principal::User {
            arn: "arn:aws:iam::111122223333:user/ann",
            unique_id: "AIDAEXAMPLE1234567890",
            account,
        },
        3 => Principal::RoleSession {
            session_arn: "arn:aws:sts::111122223333:assumed-role/app/s1",
            role_arn: "arn:aws:iam::111122223333:role/path/app",
            role_unique_id: "AROAEXAMPLE1234567890",
            account,
        },
        4 => Principal::FederatedUser {
            arn: "arn:aws:sts::111122223333:federated-user/ann",
            user_arn: "arn:aws:iam::111122223333:user/ann",
            account,
        },
        5 => Principal::WebIdentity {
            provider: "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A",
        },
        _ => Principal::Service {
            names: &["s3.amazonaws.com"],
        },
    };
    let request = Request {
        principal,
        action: case.action,
        resource: case.resource,
        resource_account: Some(if case.foreign { "444455556666" } else { "111122223333" }.parse().expect("twelve digits")),
        context: &context,
    };
    let parse = |kind, text: &str| Policy::parse("fuzz", kind, text).ok().map(Arc::new);
    let identity: Vec<Arc<Policy>> = [Some(case.identity), case.second]
        .into_iter()
        .flatten()
        .filter_map(|text| parse(PolicyKind::Identity, text))
        .collect();
    let boundary = case.boundary.and_then(|text| parse(PolicyKind::Boundary, text));
    let session = case.session.and_then(|text| parse(PolicyKind::Session, text)).map(|policy| vec![policy]);
    let kind = if case.trust { PolicyKind::Trust } else { PolicyKind::Resource };
    let resource = case.resource_policy.and_then(|text| parse(kind, text));
    let layers = Layers {
        identity: &identity,
        boundary: boundary.as_deref(),
        session: session.as_deref(),
        resource: resource.as_deref(),
        ..Layers::default()
    };
    let verdict = decide(&layers, &request);
    assert_eq!(verdict.decision, decision(&layers, &request));
    let explanation = explain(&layers, &request);
    assert_eq!(verdict.decision, explanation.verdict.decision);
    let _ = explanation.to_string().len() + explanation.to_json().to_string().len();
    let _ = explanation.nearest_miss();
    // Ceilings only take away, apart from a resource policy that names the session itself.
    if resource.is_none() && verdict.decision == Decision::Allowed && case.caller % 7 != 4 {
        let open = Layers {
            boundary: None,
            session: None,
            ..layers
        };
        assert_eq!(decision(&open, &request), Decision::Allowed);
    }
});
