//! How long one decision takes: a typical pod's policy, a larger one, and the building of a request's context.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request, decide, decision, explain};

/// Shows the allocations of what allocates; a decision must not be among it.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// Get, put and delete under a prefix; list with a condition on the prefix.
const TWO: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "Objects", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
   "Resource": "arn:aws:s3:::my-bucket/data/*"},
  {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::my-bucket",
   "Condition": {"StringLike": {"s3:prefix": "data/*"}}}]}"#;

/// Ten statements of three actions, two resources and two conditions each, one of them a denial.
fn ten() -> String {
    let statements: Vec<String> = (0..10)
        .map(|number| {
            let effect = if number == 3 { "Deny" } else { "Allow" };
            let ip = if number == 3 { "192.0.2.0/24" } else { "10.0.0.0/8" };
            let actions = if number % 3 == 0 { "s3:Get*" } else { "s3:GetObjectTagging" };
            format!(
                r#"{{"Effect": "{effect}", "Action": ["s3:PutObject", "{actions}", "s3:DeleteObject"],
                    "Resource": ["arn:aws:s3:::bucket-{number}/*", "arn:aws:s3:::my-bucket/d*/{number}*"],
                    "Condition": {{"IpAddress": {{"aws:SourceIp": "{ip}"}}, "StringEquals": {{"aws:PrincipalTag/team": "blue"}}}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#,
        statements.join(",")
    )
}

fn context() -> Context {
    let mut context = Context::new();
    for (key, value) in [
        ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/app"),
        ("aws:PrincipalAccount", "111122223333"),
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:PrincipalTag/team", "blue"),
        ("aws:userid", "AROAEXAMPLE1234567890:s1"),
        (
            "aws:FederatedProvider",
            "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A",
        ),
        ("aws:SourceIp", "10.1.2.3"),
        ("aws:SecureTransport", "true"),
        ("aws:CurrentTime", "2026-01-02T03:04:05Z"),
        ("aws:EpochTime", "1767323045"),
        ("aws:UserAgent", "aws-cli/2.36.28"),
        ("aws:RequestedRegion", "us-east-1"),
        ("aws:TokenIssueTime", "2026-01-02T03:00:00Z"),
        ("aws:ResourceAccount", "111122223333"),
        ("s3:authType", "REST-HEADER"),
        ("s3:signatureversion", "AWS4-HMAC-SHA256"),
        ("s3:TlsVersion", "1.3"),
        ("s3:prefix", "data/2026/"),
    ] {
        context.set(key, value);
    }
    context
}

fn request<'a>(action: &'a str, resource: &'a str, context: &'a Context) -> Request<'a> {
    Request {
        principal: Principal::RoleSession {
            session_arn: "arn:aws:sts::111122223333:assumed-role/app/s1",
            role_arn: "arn:aws:iam::111122223333:role/app",
            role_unique_id: "AROAEXAMPLE1234567890",
            account: "111122223333".parse().expect("twelve digits"),
        },
        action,
        resource,
        resource_account: None,
        context,
    }
}

const GET: (&str, &str, Decision) = (
    "s3:GetObject",
    "arn:aws:s3:::my-bucket/data/2026/01/report.csv",
    Decision::Allowed,
);
const LIST: (&str, &str, Decision) = ("s3:ListBucket", "arn:aws:s3:::my-bucket", Decision::Allowed);
const MISS: (&str, &str, Decision) = (
    "s3:GetObjectAcl",
    "arn:aws:s3:::other/data/x",
    Decision::ImplicitlyDenied,
);

fn bench(
    bencher: Bencher<'_, '_>,
    policy: &str,
    case: (&str, &str, Decision),
    run: impl Fn(&Layers<'_>, &Request<'_>) -> Decision + Sync,
) {
    let identity = [Arc::new(
        Policy::parse("app", PolicyKind::Identity, policy).expect("a policy"),
    )];
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    let context = context();
    let request = request(case.0, case.1, &context);
    assert_eq!(run(&layers, &request), case.2);
    bencher.bench(|| run(black_box(&layers), black_box(&request)));
}

#[divan::bench(args = [("get", GET), ("list", LIST), ("miss", MISS)].map(|(name, case)| Case(name, case)))]
fn two_statements(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, TWO, case.1, decision);
}

#[divan::bench(args = [("get", GET), ("list", LIST), ("miss", MISS)].map(|(name, case)| Case(name, case)))]
fn two_statements_with_verdict(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, TWO, case.1, |layers, request| decide(layers, request).decision);
}

#[divan::bench]
fn ten_statements(bencher: Bencher<'_, '_>) {
    bench(bencher, &ten(), TEN, decision);
}

#[divan::bench]
fn ten_statements_with_verdict(bencher: Bencher<'_, '_>) {
    bench(bencher, &ten(), TEN, |layers, request| decide(layers, request).decision);
}

#[divan::bench]
fn ten_statements_explained(bencher: Bencher<'_, '_>) {
    bench(bencher, &ten(), TEN, |layers, request| {
        explain(layers, request).verdict.decision
    });
}

#[divan::bench]
fn build_context_of_18_keys() -> Context {
    black_box(context())
}

#[divan::bench]
fn compile_ten_statements(bencher: Bencher<'_, '_>) {
    let text = ten();
    bencher.bench(|| Policy::parse("app", PolicyKind::Identity, black_box(&text)).is_ok());
}

const TEN: (&str, &str, Decision) = (
    "s3:GetObject",
    "arn:aws:s3:::my-bucket/data/9/report.csv",
    Decision::Allowed,
);

/// A case with its name for the table.
struct Case(&'static str, (&'static str, &'static str, Decision));

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
