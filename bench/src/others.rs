//! The same questions to other engines, prepared as far as their interfaces allow.

use std::hint::black_box;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression};
use iam_rs::{Arn, ContextValue, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};

use crate::cases;

/// A decision of each.
pub struct Others {
    /// By iam-rs.
    pub iam_rs: Box<dyn FnMut()>,
    /// By Cedar.
    pub cedar: Box<dyn FnMut()>,
}

/// An object is read under two statements.
pub(crate) fn two() -> Others {
    let policies = r#"
        permit (principal, action in [Action::"s3:GetObject", Action::"s3:PutObject", Action::"s3:DeleteObject"], resource)
        when { context.arn like "arn:aws:s3:::my-bucket/data/*" };
        permit (principal, action == Action::"s3:ListBucket", resource)
        when { context.arn == "arn:aws:s3:::my-bucket" && context.prefix like "data/*" };
    "#;
    Others {
        iam_rs: iam_rs(cases::TWO, cases::GET.1),
        cedar: cedar(policies, cases::GET.1),
    }
}

/// An object is read under ten statements of three actions, two resources and two conditions each.
pub(crate) fn ten() -> Others {
    let policies: Vec<String> = (0..10)
        .map(|number| {
            let (effect, block) = if number == 3 { ("forbid", "192.0.2.0/24") } else { ("permit", "10.0.0.0/8") };
            format!(
                r#"{effect} (principal, action in [Action::"s3:GetObject", Action::"s3:PutObject", Action::"s3:ListBucket"], resource)
                   when {{ (context.arn == "arn:aws:s3:::bucket-{number}" || context.arn like "arn:aws:s3:::bucket-{number}/*")
                       && context.ip.isInRange(ip("{block}")) && context.team == "blue" }};"#
            )
        })
        .collect();
    Others {
        iam_rs: iam_rs(&cases::ten(), cases::IN_BUCKET_9),
        cedar: cedar(&policies.join("\n"), cases::IN_BUCKET_9),
    }
}

fn iam_rs(policy: &str, resource: &str) -> Box<dyn FnMut()> {
    let policy: IAMPolicy = serde_json::from_str(policy).expect("iam-rs reads the policy");
    let evaluator = PolicyEvaluator::with_policies(vec![policy]);
    let mut context = iam_rs::Context::new();
    for (key, value) in cases::context().iter() {
        if let irsa_policy::Values::Single(value) = value {
            context.insert(key.to_owned(), ContextValue::String(value.to_owned()));
        }
    }
    let request = IAMRequest::new_with_context(
        Principal::Aws(PrincipalId::String("arn:aws:iam::111122223333:role/app".to_owned())),
        cases::GET.0,
        Arn::parse(resource).expect("an ARN"),
        context,
    );
    let result = evaluator.evaluate(&request).expect("iam-rs evaluates");
    assert_eq!(result.decision, iam_rs::Decision::Allow);
    Box::new(move || {
        black_box(black_box(&evaluator).evaluate(black_box(&request)).is_ok());
    })
}

fn cedar(policies: &str, resource: &str) -> Box<dyn FnMut()> {
    let policies: PolicySet = policies.parse().expect("Cedar reads the policies");
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let context = Context::from_pairs([
        ("arn".to_owned(), text(resource)),
        ("prefix".to_owned(), text("data/2026/")),
        ("team".to_owned(), text("blue")),
        ("ip".to_owned(), RestrictedExpression::new_ip("10.1.2.3")),
    ])
    .expect("a context");
    let entity = |text: &str| text.parse::<EntityUid>().expect("an entity");
    let request = Request::new(
        entity(r#"Role::"app""#),
        entity(r#"Action::"s3:GetObject""#),
        entity(r#"Object::"report""#),
        context,
        None,
    )
    .expect("a request");
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    let answer = authorizer.is_authorized(&request, &policies, &entities);
    assert_eq!(answer.decision(), Decision::Allow);
    Box::new(move || {
        let answer = authorizer.is_authorized(black_box(&request), black_box(&policies), &entities);
        black_box(answer.decision());
    })
}
