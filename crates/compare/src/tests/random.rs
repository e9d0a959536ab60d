//! Generated pairs of policies: what is said to be nothing is nothing, and what the engine can tell apart is told apart.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use irsa_policy::syntax;
use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request, decision};
use proptest::prelude::*;

use super::super::*;
use super::policy;

/// Patterns over few letters, so that they meet.
fn pattern() -> impl Strategy<Value = String> {
    "[abA*?]{0,4}"
}

fn action() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "s:[abA*?]{1,3}",
        1 => Just("*".to_owned()),
        1 => Just("s:*".to_owned()),
        1 => Just("sts:Get*".to_owned()),
    ]
}

fn resource(variables: bool) -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        3 => "arn:aws:s:::[ab*?]{0,4}",
        1 => Just("*".to_owned()),
        1 => Just("arn:*".to_owned()),
        1 => "arn:a*s:[s*?]{0,2}:[*?]{0,1}:[1*?]{0,2}:[ab*]{0,2}",
        1 => "arn:aws:[s*]{1,2}",
    ];
    if variables {
        prop_oneof![
            1 => plain,
            1 => "arn:aws:s:::[ab*?]{0,1}\\$\\{(p|q|p,'a'|Q)\\}[ab*?]{0,1}",
        ]
        .boxed()
    } else {
        plain.boxed()
    }
}

fn list(texts: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(texts, 1..=most).prop_map(|texts| {
        format!(
            "[{}]",
            texts
                .iter()
                .map(|text| format!("{text:?}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    })
}

/// An operator on one of a few keys, with values of its type. Every key has one family of types, unless `mixed`.
fn condition(variables: bool, sets: bool, mixed: bool) -> impl Strategy<Value = (String, String, String)> {
    let quantifier = if sets {
        prop::sample::select(vec!["", "", "ForAllValues:", "ForAnyValue:"]).boxed()
    } else {
        Just("").boxed()
    };
    let key = move |own: &'static str| {
        if mixed {
            prop::sample::select(vec!["k", "n", "d", "i"]).boxed()
        } else {
            Just(own).boxed()
        }
    };
    let text = if variables {
        prop_oneof![2 => pattern(), 2 => "[ab*?]{0,1}\\$\\{(p|q|p,'a')\\}[ab*?]{0,1}"].boxed()
    } else {
        pattern().boxed()
    };
    let arn = if variables {
        prop_oneof![2 => "a:[b*?]{0,2}:::[1*]{0,1}:[ab*?]{0,2}", 1 => "a:\\$\\{p\\}:::[1*]{0,1}:[ab*?]{0,1}\\$\\{q\\}",
            1 => "(a:[b*]:)?\\$\\{p\\}(:[*?]{0,1}){0,3}"]
        .boxed()
    } else {
        prop_oneof![4 => "a:[b*?]{0,2}:::[1*]{0,1}:[ab*?]{0,2}", 1 => Just("*".to_owned())].boxed()
    };
    let strings = prop::sample::select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
    ]);
    let string_key = if variables {
        prop::sample::select(vec!["k", "K", "p"]).boxed()
    } else {
        prop::sample::select(vec!["k", "l"]).boxed()
    };
    let base = prop_oneof![
        4 => (strings, string_key, list(text, 2)),
        1 => (prop::sample::select(vec!["ArnLike", "ArnNotEquals"]), key("k"), list(arn, 2)),
        1 => (Just("Bool"), key("k"), list("true|false|x", 2)),
        1 => (Just("BinaryEquals"), key("k"), list("YQ==|YWI=|/w==|!|aaaa", 2)),
        1 => (Just("Null"), key("k"), list("true|false", 2)),
        2 => (
            prop::sample::select(vec![
                "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
                "NumericGreaterThanEquals",
            ]),
            key("n"),
            list("-?[0-3](\\.5)?|x", 2),
        ),
        2 => (
            prop::sample::select(vec![
                "DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
                "DateGreaterThanEquals",
            ]),
            key("d"),
            list("[0-3]|1970-01-01T00:00:0[0-3](\\.5)?Z|x", 2),
        ),
        2 => (
            prop::sample::select(vec!["IpAddress", "NotIpAddress"]),
            key("i"),
            list("10\\.0\\.0\\.[0-3](/(30|31|32|0))?|::1|::/0|x", 2),
        ),
    ];
    (base, quantifier, prop::bool::weighted(0.2)).prop_map(|((operator, key, values), quantifier, if_exists)| {
        if operator == "Null" {
            return (operator.to_owned(), key.to_owned(), values);
        }
        let suffix = if if_exists { "IfExists" } else { "" };
        (format!("{quantifier}{operator}{suffix}"), key.to_owned(), values)
    })
}

trait Named {
    /// Whether statements of this kind name principals.
    fn names(self) -> bool;
}

impl Named for PolicyKind {
    fn names(self) -> bool {
        matches!(
            self,
            Self::Resource | Self::Trust | Self::VpcEndpoint | Self::ResourceControl
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    variables: bool,
    sets: bool,
    mixed: bool,
    kind: PolicyKind,
}

fn principal() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(r#""*""#.to_owned()),
        6 => list(
            prop::sample::select(vec![
                "111122223333",
                "444455556666",
                "arn:aws:iam::111122223333:root",
                "arn:aws:iam::111122223333:user/a",
                "arn:aws:iam::111122223333:role/r",
                "arn:aws:sts::111122223333:assumed-role/r/s",
                "arn:aws:sts::111122223333:federated-user/f",
                "AIDAEXAMPLE",
                "AROAEXAMPLE",
            ])
            .prop_map(str::to_owned),
            2,
        )
        .prop_map(|texts| format!(r#"{{"AWS":{texts}}}"#)),
        1 => Just(r#"{"Service":["a.amazonaws.com","a.eu.amazonaws.com"]}"#.to_owned()),
        1 => Just(r#"{"Service":"a.amazonaws.com"}"#.to_owned()),
        1 => Just(r#"{"Federated":"idp.example.com"}"#.to_owned()),
        1 => Just(r#"{"Federated":"*","CanonicalUser":"f00"}"#.to_owned()),
    ]
}

fn statement(shape: Shape) -> impl Strategy<Value = String> {
    let conditions = prop::collection::vec(condition(shape.variables, shape.sets, shape.mixed), 0..3);
    (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.15),
        list(action(), 2),
        prop::bool::weighted(0.15),
        list(resource(shape.variables), 2),
        conditions,
        (prop::bool::weighted(0.2), principal()),
    )
        .prop_map(
            move |(deny, not_action, actions, not_resource, resources, conditions, (not_principal, principal))| {
                let not = |no: bool| if no { "Not" } else { "" };
                let mut members = vec![
                    format!(r#""Effect":"{}""#, if deny { "Deny" } else { "Allow" }),
                    format!(
                        r#""{}Action":{actions}"#,
                        not(not_action && shape.kind != PolicyKind::ResourceControl)
                    ),
                ];
                if shape.kind != PolicyKind::Trust {
                    members.push(format!(r#""{}Resource":{resources}"#, not(not_resource)));
                }
                if shape.kind.names() {
                    let not =
                        not(not_principal && matches!(shape.kind, PolicyKind::Resource | PolicyKind::VpcEndpoint));
                    members.push(format!(r#""{not}Principal":{principal}"#));
                }
                let mut operators: BTreeSet<String> = BTreeSet::new();
                let conditions: Vec<String> = conditions
                    .iter()
                    .filter(|(operator, ..)| operators.insert(operator.clone()))
                    .map(|(operator, key, values)| format!(r#""{operator}":{{"{key}":{values}}}"#))
                    .collect();
                members.push(format!(r#""Condition":{{{}}}"#, conditions.join(",")));
                format!("{{{}}}", members.join(","))
            },
        )
}

fn document(shape: Shape) -> impl Strategy<Value = String> {
    prop::collection::vec(statement(shape), 1..4).prop_map(|statements| policy(&statements.join(",")))
}

/// Two policies that have something in common.
fn pair(shape: Shape) -> impl Strategy<Value = (String, String)> {
    let statements = || prop::collection::vec(statement(shape), 0..3);
    (
        prop::collection::vec(statement(shape), 1..3),
        statements(),
        statements(),
        any::<bool>(),
    )
        .prop_map(|(common, old, new, apart)| {
            let of = |own: Vec<String>| {
                let mut all = own;
                if !apart || all.is_empty() {
                    all.extend(common.iter().cloned());
                }
                policy(&all.join(","))
            };
            (of(old), of(new))
        })
}

/// A value of a key for sampling.
fn value(shape: Shape) -> impl Strategy<Value = Option<Result<String, Vec<String>>>> {
    let one = prop_oneof![
        4 => "[abAx]{0,4}",
        1 => "-?[0-4](\\.5|\\.25)?",
        1 => "1970-01-01T00:00:0[0-3](\\.5)?Z|[0-4]",
        1 => "10\\.0\\.0\\.[0-4]|::[0-2]|11\\.0\\.0\\.0",
        1 => "true|FALSE|x",
        1 => "a:[ab]{0,2}:::[1]{0,1}:[ab:]{0,3}",
        1 => "[ab]{0,1}(:[ab]{0,1}){1,3}",
    ];
    let _ = shape;
    prop_oneof![
        1 => Just(None),
        4 => one.clone().prop_map(|value| Some(Ok(value))),
        2 => prop::collection::vec(one, 1..3).prop_map(|values| Some(Err(values))),
    ]
}

#[derive(Clone, Debug)]
struct Sample {
    caller: usize,
    action: String,
    resource: String,
    values: Vec<Option<Result<String, Vec<String>>>>,
    bounded: bool,
    cross: bool,
    /// All keys have the value of the first, as they do where a variable matches.
    same: bool,
}

const KEYS: [&str; 7] = ["k", "l", "p", "q", "n", "d", "i"];

fn sample(shape: Shape) -> impl Strategy<Value = Sample> {
    (
        0_usize..14,
        prop_oneof![4 => "s:[abA]{1,3}", 1 => "[a-b:*]{0,3}", 1 => Just("sts:GetCallerIdentity".to_owned())],
        prop_oneof![
            5 => "arn:aws:s:::[abx]{0,5}",
            1 => Just("*".to_owned()),
            1 => "arn:a[a:]?s:s{0,2}:[u:]?:[1:]{0,2}:[ab]{0,2}",
            1 => "[a:*]{0,3}",
        ],
        prop::collection::vec(value(shape), KEYS.len()),
        prop::bool::weighted(0.2),
        any::<bool>(),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(caller, action, resource, values, bounded, cross, same)| Sample {
            caller,
            action,
            resource,
            values,
            bounded,
            cross,
            same,
        })
}

fn callers() -> Vec<Caller> {
    let account = "111122223333".parse().unwrap();
    let user = |arn: &str, unique_id: &str| Caller::User {
        arn: arn.to_owned(),
        unique_id: unique_id.to_owned(),
        account,
    };
    let session = |name: &str, session: &str, id: &str| Caller::RoleSession {
        session_arn: format!("arn:aws:sts::111122223333:assumed-role/{name}/{session}"),
        role_arn: format!("arn:aws:iam::111122223333:role/{name}"),
        role_unique_id: id.to_owned(),
        account,
    };
    let federated = |name: &str, user: &str| Caller::FederatedUser {
        arn: format!("arn:aws:sts::111122223333:federated-user/{name}"),
        user_arn: format!("arn:aws:iam::111122223333:user/{user}"),
        account,
    };
    vec![
        Caller::Anonymous,
        Caller::Root { account },
        Caller::Root {
            account: "444455556666".parse().unwrap(),
        },
        user("arn:aws:iam::111122223333:user/a", "AIDAX"),
        user("arn:aws:iam::111122223333:user/z", "AIDAEXAMPLE"),
        session("r", "s", "AROAX"),
        session("r", "t", "AROAEXAMPLE"),
        session("z", "s", "AROAX"),
        federated("f", "a"),
        federated("z", "z"),
        Caller::WebIdentity {
            provider: "idp.example.com".to_owned(),
        },
        Caller::WebIdentity {
            provider: "other.example.com".to_owned(),
        },
        Caller::Service {
            names: vec!["a.eu.amazonaws.com".to_owned(), "a.amazonaws.com".to_owned()],
        },
        Caller::Service {
            names: vec!["b.amazonaws.com".to_owned()],
        },
    ]
}

fn context(sample: &Sample) -> Context {
    let mut context = Context::new();
    for (key, value) in KEYS.iter().zip(&sample.values) {
        match if sample.same { &sample.values[0] } else { value } {
            None => {}
            Some(Ok(value)) => context.set(key, value),
            Some(Err(values)) => context.set_list(key, values),
        }
    }
    context
}

static CALLERS: LazyLock<Vec<Caller>> = LazyLock::new(callers);

/// What allows everything, and what leaves everything to identity policies.
static AROUND: LazyLock<([Arc<Policy>; 1], Policy, Policy)> = LazyLock::new(|| {
    let parse = |kind, text| Policy::parse("around", kind, text).unwrap();
    let everything = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let open = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":["111122223333","444455556666"]},"Action":"*","Resource":"*"}}"#;
    let all = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*","Federated":["idp.example.com","other.example.com"]},"Action":"*","Resource":"*"}}"#;
    (
        [Arc::new(parse(PolicyKind::Identity, everything))],
        parse(PolicyKind::Resource, open),
        parse(PolicyKind::Resource, all),
    )
});

/// The decisions of the engine in several surroundings: nothing else allows, or everything else does.
fn decisions(kind: PolicyKind, policy: &Arc<Policy>, sample: &Sample, context: &Context) -> Vec<Decision> {
    let (everything, open, all) = &*AROUND;
    let policies = [Arc::clone(policy)];
    let levels = [policies.to_vec()];
    let callers = &*CALLERS;
    let caller = if kind.names() {
        &callers[sample.caller % callers.len()]
    } else {
        &callers[3]
    };
    let boundary = sample.bounded.then_some(&*everything[0]);
    let base = Layers {
        boundary,
        ..Layers::default()
    };
    let layers: Vec<Layers<'_>> = match kind {
        PolicyKind::Identity => vec![Layers {
            identity: &policies,
            resource: Some(open),
            ..base
        }],
        PolicyKind::ServiceControl => vec![Layers {
            identity: everything,
            service_control: &levels,
            resource: Some(open),
            ..base
        }],
        PolicyKind::VpcEndpoint => vec![Layers {
            vpc_endpoint: Some(&policies),
            resource: Some(all),
            ..base
        }],
        PolicyKind::ResourceControl => vec![Layers {
            resource_control: &levels,
            resource: Some(all),
            ..base
        }],
        _ => {
            let resource = Some(&**policy);
            vec![
                Layers { resource, ..base },
                Layers {
                    resource,
                    session: Some(&[]),
                    ..base
                },
                Layers {
                    resource,
                    identity: everything,
                    session: Some(everything),
                    ..base
                },
            ]
        }
    };
    caller.with(|principal: Principal<'_>| {
        let owner = if sample.cross && matches!(kind, PolicyKind::Resource | PolicyKind::Trust) {
            "777788889999".parse().ok()
        } else {
            principal.account()
        };
        layers
            .iter()
            .map(|layers| {
                decision(
                    layers,
                    &Request {
                        principal,
                        action: &sample.action,
                        resource: &sample.resource,
                        resource_account: owner,
                        context,
                    },
                )
            })
            .collect()
    })
}

/// Nothing gained means: whatever the new policy makes allowed, the old one does too, wherever the policy itself is what
/// allows (identity policies that allow everything may be freed from a denial, which is another question).
fn is_gain(kind: PolicyKind, old: &[Decision], new: &[Decision]) -> bool {
    let several = matches!(kind, PolicyKind::Resource | PolicyKind::Trust);
    old.iter().zip(new).enumerate().any(|(number, (old, new))| {
        let counts = !several || number < 2;
        counts && *new == Decision::Allowed && *old != Decision::Allowed
    })
}

/// The samples again, each with texts in the place of some of its own that the policies' patterns match, or nearly.
fn aimed(old: &str, new: &str, samples: &[Sample]) -> Vec<Sample> {
    let documents = [old, new].map(|text| syntax::Document::parse(text).unwrap());
    let statements = || documents.iter().flat_map(|document| &document.statements);
    let resources: Vec<String> = statements()
        .flat_map(|statement| statement.resource.iter().chain(&statement.not_resource))
        .flat_map(|element| element.value.iter().map(|text| text.value.to_string()))
        .collect();
    let conditions: Vec<(usize, String)> = statements()
        .flat_map(|statement| statement.conditions.iter().flatten())
        .filter_map(|condition| {
            let key = KEYS.iter().position(|key| key.eq_ignore_ascii_case(&condition.key))?;
            Some((key, condition))
        })
        .flat_map(|(key, condition)| condition.values.iter().map(move |value| (key, value.value.to_string())))
        .collect();
    samples
        .iter()
        .enumerate()
        .map(|(number, sample)| {
            let mut sample = sample.clone();
            let fill = |pattern: &str, sample: &Sample| {
                let mut text = pattern.to_owned();
                for (name, at) in [("p", 2), ("P", 2), ("q", 3), ("Q", 3), ("p,'a'", 2)] {
                    let value = match &sample.values[at] {
                        Some(Ok(value)) => value.as_str(),
                        _ => "a",
                    };
                    text = text.replace(&format!("${{{name}}}"), value);
                }
                let run = ["", "a", "b:", "AB"][number % 4];
                text.replace('*', run).replace('?', "b")
            };
            // Several values at once: what is found often needs them together.
            for (turn, (key, pattern)) in conditions.iter().enumerate() {
                if (number >> (turn % 6)) & 1 == 1 {
                    let value = fill(pattern, &sample);
                    sample.values[*key] = Some(if number % 5 == 0 { Err(vec![value]) } else { Ok(value) });
                }
            }
            if let Some(pattern) = resources.get(number % (resources.len() + 1)) {
                sample.resource = fill(pattern, &sample);
            }
            sample
        })
        .collect()
}

fn check(shape: Shape, old: &str, new: &str, samples: &[Sample]) -> Result<Comparison, TestCaseError> {
    let samples: Vec<Sample> = samples.iter().cloned().chain(aimed(old, new, samples)).collect();
    let comparison = compare_texts(shape.kind, old, new).map_err(|error| TestCaseError::fail(error.to_string()))?;
    for (answer, old, new) in [(&comparison.gained, old, new), (&comparison.lost, new, old)] {
        let (old_policy, new_policy) = (
            Arc::new(Policy::parse("old", shape.kind, old).unwrap()),
            Arc::new(Policy::parse("new", shape.kind, new).unwrap()),
        );
        match answer {
            Answer::None => {
                for sample in &samples {
                    let context = context(sample);
                    // The root user of its own account is allowed by rule, not by a policy.
                    let by = |policy| decisions(shape.kind, policy, sample, &context);
                    let (before, after) = (by(&old_policy), by(&new_policy));
                    let root = sample.caller % 14 == 1 || sample.caller % 14 == 2;
                    if root && !sample.cross && shape.kind == PolicyKind::Resource {
                        continue;
                    }
                    prop_assert!(
                        !is_gain(shape.kind, &before, &after),
                        "none, but {sample:?}: {before:?} {after:?}\nold {old}\nnew {new}"
                    );
                }
            }
            Answer::Witness(witness) => {
                prop_assert!(witness.under_new.verdict.is_allowed());
                prop_assert!(!witness.under_old.verdict.is_allowed());
            }
            Answer::Unknown(why) => {
                prop_assert!(
                    shape.variables || shape.mixed,
                    "{why:?} where all can be decided\nold {old}\nnew {new}"
                );
                prop_assert!(!why.contains(&Why::Unconfirmed), "{why:?}\nold {old}\nnew {new}");
            }
        }
    }
    let policies = [old, new].map(|text| Arc::new(Policy::parse("p", shape.kind, text).unwrap()));
    match &comparison.undenied {
        Answer::None => {
            for sample in &samples {
                let context = context(sample);
                let [before, after] = policies
                    .each_ref()
                    .map(|policy| decisions(shape.kind, policy, sample, &context));
                let denied = |decisions: &[Decision]| decisions[0] == Decision::ExplicitlyDenied;
                prop_assert!(!denied(&before) || denied(&after), "{sample:?}\nold {old}\nnew {new}");
            }
        }
        Answer::Witness(witness) => {
            prop_assert_eq!(witness.under_old.verdict.decision, Decision::ExplicitlyDenied);
            prop_assert!(witness.under_new.verdict.decision != Decision::ExplicitlyDenied);
        }
        Answer::Unknown(_) => prop_assert!(shape.variables || shape.mixed),
    }
    Ok(comparison)
}

const PLAIN: Shape = Shape {
    variables: false,
    sets: false,
    mixed: false,
    kind: PolicyKind::Identity,
};
const SETS: Shape = Shape { sets: true, ..PLAIN };
const VARIABLES: Shape = Shape {
    variables: true,
    ..SETS
};
const MIXED: Shape = Shape { mixed: true, ..SETS };
const RESOURCE: Shape = Shape {
    kind: PolicyKind::Resource,
    ..PLAIN
};
const TRUST: Shape = Shape {
    kind: PolicyKind::Trust,
    ..VARIABLES
};
const CONTROL: Shape = Shape {
    kind: PolicyKind::ServiceControl,
    ..SETS
};

const ENDPOINT: Shape = Shape {
    kind: PolicyKind::VpcEndpoint,
    ..PLAIN
};
const RESOURCE_CONTROL: Shape = Shape {
    kind: PolicyKind::ResourceControl,
    ..SETS
};

fn samples(shape: Shape) -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec(sample(shape), 48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn plain((old, new) in pair(PLAIN), samples in samples(PLAIN)) {
        check(PLAIN, &old, &new, &samples)?;
    }

    #[test]
    fn sets((old, new) in pair(SETS), samples in samples(SETS)) {
        check(SETS, &old, &new, &samples)?;
    }

    #[test]
    fn variables((old, new) in pair(VARIABLES), samples in samples(VARIABLES)) {
        check(VARIABLES, &old, &new, &samples)?;
    }

    #[test]
    fn mixed((old, new) in pair(MIXED), samples in samples(MIXED)) {
        check(MIXED, &old, &new, &samples)?;
    }

    #[test]
    fn resource_policies((old, new) in pair(RESOURCE), samples in samples(RESOURCE)) {
        check(RESOURCE, &old, &new, &samples)?;
    }

    #[test]
    fn trust_policies((old, new) in pair(TRUST), samples in samples(TRUST)) {
        check(TRUST, &old, &new, &samples)?;
    }

    #[test]
    fn service_control_policies((old, new) in pair(CONTROL), samples in samples(CONTROL)) {
        check(CONTROL, &old, &new, &samples)?;
    }

    #[test]
    fn endpoint_policies((old, new) in pair(ENDPOINT), samples in samples(ENDPOINT)) {
        check(ENDPOINT, &old, &new, &samples)?;
    }

    #[test]
    fn resource_control_policies((old, new) in pair(RESOURCE_CONTROL), samples in samples(RESOURCE_CONTROL)) {
        check(RESOURCE_CONTROL, &old, &new, &samples)?;
    }

    /// A policy is equivalent to itself in any order, and says so even where variables are at play.
    #[test]
    fn itself(statements in prop::collection::vec(statement(VARIABLES), 1..5)) {
        let mut turned = statements.clone();
        turned.reverse();
        let comparison = compare_texts(PolicyKind::Identity, &policy(&statements.join(",")), &policy(&turned.join(","))).unwrap();
        prop_assert_eq!(comparison.is_equivalent(), Some(true));
    }

    /// A denial more gains nothing, a grant more loses nothing.
    #[test]
    fn one_statement_more(document in document(VARIABLES), more in statement(VARIABLES)) {
        let longer = document.replacen("[{", &format!("[{more},{{"), 1);
        let comparison = compare_texts(PolicyKind::Identity, &document, &longer).unwrap();
        let answer = if more.contains(r#""Effect":"Deny""#) { comparison.gained } else { comparison.lost };
        prop_assert!(matches!(answer, Answer::None), "{answer:?}\n{document}\n{more}");
    }

    #[test]
    fn any_texts(old in ".{0,60}", new in document(MIXED)) {
        let _ = compare_texts(PolicyKind::Identity, &old, &new);
        let _ = compare_texts(PolicyKind::Identity, &new, &new);
    }
}
