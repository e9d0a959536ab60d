use std::sync::Arc;

use crate::{Context, Layers, Policy, PolicyKind, Principal, Request, explain};

const APP: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Read",
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:List*"],
      "Resource": "arn:aws:s3:::my-bucket/*"
    },
    {
      "Sid": "Write",
      "Effect": "Allow",
      "Action": "s3:PutObject",
      "Resource": "arn:aws:s3:::my-bucket/home/${aws:PrincipalTag/user}/*",
      "Condition": {"StringEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    },
    {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*",
     "Condition": {"Bool": {"aws:SecureTransport": "false"}, "NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
  ]
}"#;

fn ask(action: &str, resource: &str, context: &Context) -> super::Explanation {
    let identity = [Arc::new(
        Policy::parse("inline policy `app`", PolicyKind::Identity, APP).unwrap(),
    )];
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    let request = Request {
        principal: Principal::RoleSession {
            session_arn: "arn:aws:sts::111122223333:assumed-role/app/s1",
            role_arn: "arn:aws:iam::111122223333:role/app",
            role_unique_id: "AROAEXAMPLE1234567890",
            account: "111122223333".parse().unwrap(),
        },
        action,
        resource,
        resource_account: None,
        context,
    };
    explain(&layers, &request)
}

fn context() -> Context {
    let mut context = Context::new();
    context.set("aws:PrincipalTag/user", "ann");
    context.set("aws:SourceIp", "203.0.113.1");
    context.set("aws:SecureTransport", "false");
    context
}

#[test]
fn a_denied_write_names_the_condition_that_was_missing() {
    let explanation = ask("s3:PutObject", "arn:aws:s3:::my-bucket/home/ann/x", &context());
    insta::assert_snapshot!("missing_condition_text", explanation.to_string());
    insta::assert_snapshot!(
        "missing_condition_json",
        serde_json::to_string_pretty(&explanation.to_json()).unwrap()
    );
    let (trace, _) = explanation.nearest_miss().unwrap();
    assert_eq!(trace.statement.sid(), Some("Write"));
}

#[test]
fn a_wrong_resource_shows_the_variable_filled_in() {
    let explanation = ask("s3:PutObject", "arn:aws:s3:::my-bucket/home/bob/x", &context());
    insta::assert_snapshot!("wrong_resource_text", explanation.to_string());
}

#[test]
fn an_explicit_denial_names_its_statement() {
    let explanation = ask("s3:DeleteObject", "arn:aws:s3:::my-bucket/x", &context());
    insta::assert_snapshot!("explicit_denial_text", explanation.to_string());
    let statement = explanation.verdict.statement.unwrap();
    assert_eq!(
        (statement.index(), statement.sid(), statement.line(), statement.column()),
        (2, None, 17, 5)
    );
    assert_eq!(statement.end(), (18, 110));
}

#[test]
fn lists_and_nonsense_are_told_apart_from_plain_differences() {
    let mut odd = context();
    odd.set_list("aws:SecureTransport", ["false"]);
    let miss = ask("s3:DeleteObject", "arn:aws:s3:::b", &odd);
    assert!(
        miss.to_string()
            .contains("found the list `false`, which needs ForAllValues or ForAnyValue"),
        "{miss}"
    );
    odd.set("aws:SecureTransport", "perhaps");
    let miss = ask("s3:DeleteObject", "arn:aws:s3:::b", &odd);
    assert!(
        miss.to_string().contains("found `perhaps`, which cannot be compared"),
        "{miss}"
    );
    odd.set("aws:SecureTransport", "false");
    odd.set("aws:SourceIp", "10.1.2.3");
    let miss = ask("s3:DeleteObject", "arn:aws:s3:::b", &odd);
    assert!(
        miss.to_string()
            .contains("expected none of `10.0.0.0/8`, found `10.1.2.3`"),
        "{miss}"
    );
}

#[test]
fn principals_are_named() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/a"},
        "Action":"sts:AssumeRoleWithWebIdentity"}}"#;
    let trust = Policy::parse("trust policy of `app`", PolicyKind::Trust, text).unwrap();
    let context = Context::new();
    let request = Request {
        principal: Principal::WebIdentity {
            provider: "arn:aws:iam::111122223333:oidc-provider/b",
        },
        action: "sts:AssumeRoleWithWebIdentity",
        resource: "arn:aws:iam::111122223333:role/app",
        resource_account: None,
        context: &context,
    };
    let layers = Layers {
        resource: Some(&trust),
        ..Layers::default()
    };
    insta::assert_snapshot!("foreign_provider_text", explain(&layers, &request).to_string());
}
