use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{Context, Layers, Policy, PolicyKind, Principal, Request, decide, decision, explain};

const ACTIONS: [&str; 16] = [
    "*",
    "s3:*",
    "S3:GET*",
    "s3:GetObject",
    "s3:getobject",
    "s3:PutObject",
    "s3:?etObject",
    "s3:*Object",
    "s3:List*",
    "sqs:SendMessage",
    "sqs:*",
    "kms:Decrypt",
    "*:Get*",
    "s3:GetObjectTagging",
    "s*",
    "ec2:Describe*",
];
const ASKED: [&str; 7] = [
    "s3:GetObject",
    "S3:PUTOBJECT",
    "s3:ListBucket",
    "sqs:SendMessage",
    "kms:Decrypt",
    "ec2:DescribeInstances",
    "s",
];
const RESOURCES: [&str; 16] = [
    "*",
    "**",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/a*",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::bu*",
    "arn:aws:s3:::?/a",
    "arn:aws:s3",
    "arn:aws:sqs:*:*:q",
    "arn:aws:s3:::${aws:username}/*",
    "arn:aws:s3:::b/${aws:username}/*",
    "arn:aws:s3:::${aws:absent}",
    "arn:aws:s3:::b/${",
    "arn:*",
    "arn:aws:s3:::b/ann/x",
];
const THINGS: [&str; 8] = [
    "*",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/ann/x",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::ann/x",
    "arn:aws:sqs:us-east-1:111122223333:q",
    "arn:aws:s3:::",
    "other",
];
const CONDITIONS: [&str; 6] = [
    "",
    r#","Condition":{"StringEquals":{"aws:username":"ann"}}"#,
    r#","Condition":{"StringEquals":{"aws:username":"bob"}}"#,
    r#","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringLike":{"aws:username":"a*"}}"#,
    r#","Condition":{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8","::1"]}}"#,
    r#","Condition":{"Null":{"aws:absent":"true"}}"#,
];

fn statement() -> impl Strategy<Value = String> {
    let list = |from: &'static [&'static str]| prop::collection::vec(select(from), 1..4);
    (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.15),
        list(&ACTIONS),
        prop::bool::weighted(0.15),
        list(&RESOURCES),
        select(&CONDITIONS[..]),
    )
        .prop_map(|(denies, not_action, actions, not_resource, resources, condition)| {
            format!(
                r#"{{"Effect":"{}","{}Action":{actions:?},"{}Resource":{resources:?}{condition}}}"#,
                if denies { "Deny" } else { "Allow" },
                if not_action { "Not" } else { "" },
                if not_resource { "Not" } else { "" },
            )
        })
}

fn policy(statements: &[String]) -> Arc<Policy> {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    Arc::new(Policy::parse("p", PolicyKind::Identity, &text).unwrap())
}

fn context() -> Context {
    let mut context = Context::new();
    context.set("aws:username", "ann");
    context.set("aws:SourceIp", "10.1.2.3");
    context
}

/// The indexed answers against the complete scan that explains.
fn check(identity: &[Arc<Policy>]) -> Result<(), TestCaseError> {
    let context = context();
    let layers = Layers {
        identity,
        session: Some(identity),
        boundary: identity.first().map(|policy| &**policy),
        ..Layers::default()
    };
    for action in ASKED {
        for resource in THINGS {
            let request = Request {
                principal: Principal::User {
                    arn: "arn:aws:iam::111122223333:user/ann",
                    unique_id: "AIDAEXAMPLE1234567890",
                    account: "111122223333".parse().unwrap(),
                },
                action,
                resource,
                resource_account: None,
                context: &context,
            };
            let verdict = decide(&layers, &request);
            let explained = explain(&layers, &request).verdict;
            prop_assert_eq!(decision(&layers, &request), explained.decision);
            prop_assert_eq!(verdict.decision, explained.decision);
            prop_assert_eq!(verdict.layer, explained.layer);
            prop_assert_eq!(verdict.statement, explained.statement, "{} {}", action, resource);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn few_statements(statements in prop::collection::vec(statement(), 1..30)) {
        check(&[policy(&statements)])?;
    }

    #[test]
    fn several_policies(one in prop::collection::vec(statement(), 1..6), other in prop::collection::vec(statement(), 1..6)) {
        check(&[policy(&one), policy(&other), policy(&one)])?;
    }

    #[test]
    fn masks_are_exact(statements in prop::collection::vec(statement(), 1..=64)) {
        let policy = policy(&statements);
        let masks = Masks::new(&policy.statements);
        let context = context();
        for action in ASKED.iter().chain(&ACTIONS) {
            let action = Action::new(action);
            let about = masks.about(&policy.statements, &action);
            for (number, statement) in policy.statements.iter().enumerate() {
                prop_assert_eq!(about >> number & 1 == 1, statement.actions.cover(&action));
            }
            for resource in THINGS {
                let candidates = masks.candidates(&policy.statements, &action, resource);
                prop_assert_eq!(candidates & !about, 0);
                for (number, statement) in policy.statements.iter().enumerate() {
                    let covers = statement.resources.as_ref().unwrap().cover(resource, &context);
                    prop_assert!(!covers || candidates >> number & 1 == about >> number & 1);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn many_statements(statements in prop::collection::vec(statement(), 60..200)) {
        check(&[policy(&statements)])?;
    }

    /// Whatever a statement matches, the tree shows it.
    #[test]
    fn the_tree_hides_nothing(statements in prop::collection::vec(statement(), 1..200)) {
        let policy = policy(&statements);
        let tree = Tree::new(&policy.statements);
        let context = context();
        for asked in ASKED {
            let action = Action::new(asked);
            for resource in THINGS {
                let mut shown = BTreeSet::new();
                tree.candidates(action.hash, resource, |number| { shown.insert(number); });
                for (number, statement) in (0_u32..).zip(&policy.statements) {
                    let resources = statement.resources.as_ref().unwrap();
                    if statement.actions.cover(&action) && resources.cover(resource, &context) {
                        prop_assert!(shown.contains(&number), "{} {} {}", asked, resource, statements[number as usize]);
                    }
                }
            }
        }
    }
}

/// A large policy of disjoint resources or actions shows next to nothing.
#[test]
fn the_tree_shows_few() {
    let resources: Vec<String> = (0..2000)
        .map(|number| {
            format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket-{number}/*"}}"#)
        })
        .collect();
    let actions: Vec<String> = (0..2000)
        .map(|number| format!(r#"{{"Effect":"Allow","Action":"x:Action{number}","Resource":"arn:aws:s3:::b/*"}}"#))
        .collect();
    for (statements, action, resource, expected) in [
        (&resources, "s3:GetObject", "arn:aws:s3:::bucket-1234/key", vec![1234]),
        (&resources, "s3:GetObject", "arn:aws:s3:::bucket-1234", vec![]),
        (&resources, "s3:GetObject", "arn:aws:s3:::bucket-12345/key", vec![]),
        (&actions, "X:ACTION77", "arn:aws:s3:::b/x", vec![77]),
        (&actions, "x:Action", "arn:aws:s3:::b/x", vec![]),
    ] {
        let policy = policy(statements);
        let Index::Tree(tree) = &policy.index else {
            panic!("no tree");
        };
        let mut shown = Vec::new();
        tree.candidates(Action::new(action).hash, resource, |number| shown.push(number));
        assert_eq!(shown, expected, "{action} {resource}");
    }
}
