//! What is measured: policies and requests, with the figures to reach. Shared with the comparison in `bench/`.

use std::sync::Arc;

use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request};

/// A request under its policies.
pub(crate) struct Case {
    /// What a table calls it.
    pub(crate) name: &'static str,
    /// How many nanoseconds a decision may take; `None` where only a proportion counts.
    pub(crate) limit: Option<f64>,
    identity: Vec<Arc<Policy>>,
    boundary: Option<Arc<Policy>>,
    session: Option<Vec<Arc<Policy>>>,
    service_control: Vec<Vec<Arc<Policy>>>,
    context: Context,
    action: &'static str,
    resource: String,
    /// What must come out.
    pub(crate) expected: Decision,
}

impl Case {
    fn new(name: &'static str, limit: Option<f64>, policy: &str, action: &'static str, resource: &str) -> Self {
        Self {
            name,
            limit,
            identity: vec![parse(PolicyKind::Identity, policy)],
            boundary: None,
            session: None,
            service_control: Vec::new(),
            context: context(),
            action,
            resource: resource.to_owned(),
            expected: Decision::Allowed,
        }
    }

    /// Its policies.
    pub(crate) fn layers(&self) -> Layers<'_> {
        Layers {
            identity: &self.identity,
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
            service_control: &self.service_control,
            ..Layers::default()
        }
    }

    /// Its request.
    pub(crate) fn request(&self) -> Request<'_> {
        request(self.action, &self.resource, &self.context)
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        match self.limit {
            Some(limit) => write!(f, " (at most {limit} ns)"),
            None => Ok(()),
        }
    }
}

fn parse(kind: PolicyKind, text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse("bench", kind, text).expect("a policy"))
}

fn document(statements: &[String]) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#,
        statements.join(",")
    )
}

/// Get, put and delete under a prefix; list with a condition on the prefix.
pub(crate) const TWO: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "Objects", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
   "Resource": "arn:aws:s3:::my-bucket/data/*"},
  {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::my-bucket",
   "Condition": {"StringLike": {"s3:prefix": "data/*"}}}]}"#;

/// Ten statements of three actions, two resources and two conditions each, one of them a denial: a bucket for each.
pub(crate) fn ten() -> String {
    let statements: Vec<String> = (0..10)
        .map(|number| {
            let effect = if number == 3 { "Deny" } else { "Allow" };
            let ip = if number == 3 { "192.0.2.0/24" } else { "10.0.0.0/8" };
            format!(
                r#"{{"Effect": "{effect}", "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                    "Resource": ["arn:aws:s3:::bucket-{number}", "arn:aws:s3:::bucket-{number}/*"],
                    "Condition": {{"IpAddress": {{"aws:SourceIp": "{ip}"}}, "StringEquals": {{"aws:PrincipalTag/team": "blue"}}}}}}"#
            )
        })
        .collect();
    document(&statements)
}

/// As [`ten`], with wildcards inside of resources and of some actions.
fn ten_with_wildcards() -> String {
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
    document(&statements)
}

/// As [`ten`], but no two conditions are alike: what cannot be shared.
fn ten_unlike() -> String {
    let statements: Vec<String> = (0..10)
        .map(|number| {
            let effect = if number == 3 { "Deny" } else { "Allow" };
            format!(
                r#"{{"Effect": "{effect}", "Action": ["s3:PutObject", "s3:GetObject", "s3:Delete{number}"],
                    "Resource": ["arn:aws:s3:::bucket-{number}/*", "arn:aws:s3:::my-bucket/data/{number}*"],
                    "Condition": {{"IpAddress": {{"aws:SourceIp": "10.{number}.0.0/16"}}, "StringEquals": {{"aws:PrincipalTag/team": "blue{number}"}}}}}}"#
            )
        })
        .collect();
    document(&statements)
}

/// Statements on one bucket each, all for the same action, in as many policies as they need: a text of more than
/// 262,144 bytes is no policy.
fn disjoint(count: usize) -> Vec<Arc<Policy>> {
    let statements: Vec<String> = (0..count)
        .map(|number| {
            format!(r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket-{number}/*"}}"#)
        })
        .collect();
    statements
        .chunks(2_500)
        .map(|chunk| parse(PolicyKind::Identity, &document(chunk)))
        .collect()
}

/// The policies of a service, as teams write them: eight statements, one of them a denial.
fn service(name: &str) -> String {
    let mut statements: Vec<String> = ["Get", "List", "Describe", "Create", "Update", "Delete", "Tag"]
        .iter()
        .map(|verb| {
            format!(
                r#"{{"Sid": "{verb}", "Effect": "Allow", "Action": ["{name}:{verb}Item", "{name}:{verb}Table*"],
                    "Resource": ["arn:aws:{name}:*:111122223333:table/{verb}-*", "arn:aws:{name}:us-east-1:111122223333:item/team-blue/*"],
                    "Condition": {{"StringEquals": {{"aws:PrincipalTag/team": "blue"}}}}}}"#
            )
        })
        .collect();
    statements.push(format!(
        r#"{{"Effect": "Deny", "Action": "{name}:Delete*", "Resource": "*", "Condition": {{"Bool": {{"aws:MultiFactorAuthPresent": "false"}}}}}}"#
    ));
    document(&statements)
}

/// The organization's rules at its root: everything but what is forbidden.
const ROOT_RULES: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "*", "Resource": "*"},
  {"Effect": "Deny", "Action": ["organizations:LeaveOrganization", "account:CloseAccount"], "Resource": "*"},
  {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}}}]}"#;

/// A unit's rules: some regions only.
const UNIT_RULES: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "*", "Resource": "*"},
  {"Effect": "Deny", "NotAction": ["iam:*", "sts:*", "route53:*", "support:*"], "Resource": "*",
   "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-central-1"]}}},
  {"Effect": "Deny", "Action": ["cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "config:Delete*"], "Resource": "*"}]}"#;

/// An account's rules: encrypted transport, no keys of users.
const ACCOUNT_RULES: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "*", "Resource": "*"},
  {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
  {"Effect": "Deny", "Action": ["iam:CreateUser", "iam:CreateAccessKey"], "Resource": "*"}]}"#;

const BOUNDARY: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": ["s3:*", "sqs:*", "sns:*", "dynamodb:*", "kms:Decrypt"], "Resource": "*"},
  {"Effect": "Allow", "Action": "logs:*", "Resource": "arn:aws:logs:*:111122223333:log-group:/team/*"},
  {"Effect": "Deny", "Action": ["iam:*", "organizations:*"], "Resource": "*"},
  {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::audit-*"},
  {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}},
  {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]}"#;

const SESSION: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "s3:Get*", "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"]},
  {"Effect": "Allow", "Action": "s3:List*", "Resource": "arn:aws:s3:::my-bucket"},
  {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::my-bucket/private/*"}]}"#;

/// Ten policies, a boundary, a session policy and service control policies of three levels: 100 statements.
fn hundred() -> Case {
    let services = ["dynamodb", "sqs", "sns", "ec2", "lambda", "kms", "logs", "ecr", "glue"];
    let objects: Vec<String> = (0..10)
        .map(|number| {
            let (effect, name) = if number == 9 {
                ("Deny", "private")
            } else {
                ("Allow", "data")
            };
            format!(
                r#"{{"Effect": "{effect}", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                    "Resource": "arn:aws:s3:::my-bucket/{name}/202{number}/*",
                    "Condition": {{"StringEquals": {{"aws:PrincipalTag/team": "blue"}}}}}}"#
            )
        })
        .collect();
    let mut identity: Vec<Arc<Policy>> = services
        .iter()
        .map(|name| parse(PolicyKind::Identity, &service(name)))
        .collect();
    identity.push(parse(PolicyKind::Identity, &document(&objects)));
    let level = |text| vec![parse(PolicyKind::ServiceControl, text)];
    Case {
        identity,
        boundary: Some(parse(PolicyKind::Boundary, BOUNDARY)),
        session: Some(vec![parse(PolicyKind::Session, SESSION)]),
        service_control: vec![level(ROOT_RULES), level(UNIT_RULES), level(ACCOUNT_RULES)],
        ..Case::new(
            "100 statements in ten policies, boundary, session policy, three SCP levels",
            Some(300.0),
            TWO,
            GET.0,
            GET.1,
        )
    }
}

pub(crate) const IN_BUCKET_9: &str = "arn:aws:s3:::bucket-9/data/report.csv";
pub(crate) const GET: (&str, &str) = ("s3:GetObject", "arn:aws:s3:::my-bucket/data/2026/01/report.csv");
const LIST: (&str, &str) = ("s3:ListBucket", "arn:aws:s3:::my-bucket");
const MISS: (&str, &str) = ("s3:GetObjectAcl", "arn:aws:s3:::other/data/x");

/// The decisions with a figure to reach.
pub(crate) fn decisions() -> Vec<Case> {
    let two = |name, (action, resource): (&'static str, &str)| Case::new(name, Some(25.0), TWO, action, resource);
    let ten = |name, text: &str, resource: &str| Case::new(name, Some(60.0), text, GET.0, resource);
    const NINTH: &str = "arn:aws:s3:::my-bucket/data/9/report.csv";
    vec![
        two("2 statements, an object is read", GET),
        two("2 statements, a bucket is listed (one condition)", LIST),
        Case {
            expected: Decision::ImplicitlyDenied,
            ..two("2 statements, nothing matches", MISS)
        },
        ten("10 statements with 2 conditions each", &self::ten(), IN_BUCKET_9),
        Case {
            expected: Decision::ImplicitlyDenied,
            ..ten(
                "10 statements with 2 conditions each, all different",
                &ten_unlike(),
                NINTH,
            )
        },
        ten(
            "10 statements with 2 conditions each, wildcards inside",
            &ten_with_wildcards(),
            NINTH,
        ),
        hundred(),
    ]
}

/// Ever more statements with disjoint resources.
pub(crate) fn growth() -> Vec<Case> {
    [
        ("10 statements, disjoint resources", 10),
        ("100 statements, disjoint resources", 100),
        ("1,000 statements, disjoint resources", 1_000),
        ("10,000 statements, disjoint resources", 10_000),
    ]
    .map(|(name, count)| Case {
        identity: disjoint(count),
        ..Case::new(
            name,
            None,
            TWO,
            GET.0,
            &format!("arn:aws:s3:::bucket-{}/data/report.csv", count - 3),
        )
    })
    .into()
}

/// Eight times `*a`, and something that never comes, against two kilobytes.
pub(crate) fn hostile() -> Case {
    let pattern = format!("arn:aws:s3:::{}*b*", "*a".repeat(8));
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "{pattern}"}}}}"#
    );
    let resource = format!("arn:aws:s3:::{}", "a".repeat(2048));
    Case {
        expected: Decision::ImplicitlyDenied,
        ..Case::new(
            "hostile wildcards: `*a` eight times against 2 KB",
            Some(20_000.0),
            &text,
            GET.0,
            &resource,
        )
    }
}

/// A document of 6 KB: the largest that a managed policy may be.
pub(crate) fn six_kilobytes() -> String {
    let statements: Vec<String> = (0..18)
        .map(|number| {
            format!(
                r#"{{"Sid": "Statement{number}", "Effect": "Allow",
  "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:List{number}*"],
  "Resource": ["arn:aws:s3:::bucket-{number}/*", "arn:aws:s3:::my-bucket/${{aws:PrincipalTag/team}}/{number}*"],
  "Condition": {{"IpAddress": {{"aws:SourceIp": "10.{number}.0.0/16"}}, "StringEquals": {{"aws:PrincipalTag/team": "blue"}}}}}}"#
            )
        })
        .collect();
    document(&statements)
}

/// The condition keys of a usual request.
pub(crate) fn context() -> Context {
    let mut context = Context::new();
    context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/app");
    context.set("aws:PrincipalAccount", "111122223333");
    context.set("aws:PrincipalType", "AssumedRole");
    context.set("aws:PrincipalTag/team", "blue");
    context.set("aws:userid", "AROAEXAMPLE1234567890:s1");
    context.set(
        "aws:FederatedProvider",
        "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A",
    );
    context.set("aws:SourceIp", "10.1.2.3");
    context.set("aws:SecureTransport", "true");
    context.set("aws:CurrentTime", "2026-01-02T03:04:05Z");
    context.set("aws:EpochTime", "1767323045");
    context.set("aws:UserAgent", "aws-cli/2.36.28");
    context.set("aws:RequestedRegion", "us-east-1");
    context.set("aws:TokenIssueTime", "2026-01-02T03:00:00Z");
    context.set("aws:ResourceAccount", "111122223333");
    context.set("s3:authType", "REST-HEADER");
    context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    context.set("s3:TlsVersion", "1.3");
    context.set("s3:prefix", "data/2026/");
    context
}

/// A request of a role's session.
pub(crate) fn request<'a>(action: &'a str, resource: &'a str, context: &'a Context) -> Request<'a> {
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
