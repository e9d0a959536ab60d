use super::*;

fn message(kind: PolicyKind, text: &str) -> String {
    document(kind, text)
        .err()
        .map_or_else(String::new, |malformed| malformed.message)
}

/// What IAM says about one statement, given without its braces.
fn identity(statement: &str) -> String {
    message(
        PolicyKind::Identity,
        &format!(r#"{{"Version":"2012-10-17","Statement":[{{{statement}}}]}}"#),
    )
}

fn of_resource(resource: &str) -> String {
    identity(&format!(r#""Effect":"Allow","Action":"s3:*","Resource":{resource}"#))
}

fn of_action(action: &str) -> String {
    identity(&format!(r#""Effect":"Allow","Action":{action},"Resource":"*""#))
}

fn trust(statement: &str) -> String {
    message(
        PolicyKind::Trust,
        &format!(r#"{{"Version":"2012-10-17","Statement":{{{statement}}}}}"#),
    )
}

#[test]
fn identity_policies_that_pass() {
    for text in [
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"A1","Effect":"Deny","NotAction":["s3:Get*"],"NotResource":["arn:aws:s3:::b"]}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":["2026-01-01T00:00:00Z",1767225600]}}}}"#,
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*"]},"Null":{"k":true}}}}"#,
    ] {
        for kind in [PolicyKind::Identity, PolicyKind::Boundary, PolicyKind::Session] {
            assert_eq!(message(kind, text), "", "{text}");
        }
    }
    for resource in [
        "arn:aws:s3:::bucket/*",
        "arn:aws-cn:s3:::bucket",
        "arn:aws:s3:us-west-2:111122223333:accesspoint/x",
        "arn:aws:iam::111122223333:role/app",
        "arn:aws:iam::*:*",
        "arn:aws:dynamodb:*:*:table/x",
        "arn:aws:sqs:*",
    ] {
        assert_eq!(of_resource(&format!("\"{resource}\"")), "", "{resource}");
    }
}

#[test]
fn syntax() {
    for text in [
        "",
        "x",
        "[]",
        "{}",
        r#"{"Version":"2012-10-17"}"#,
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        r#"{"Version":"2012-10-18","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}],"Extra":1}"#,
    ] {
        assert_eq!(message(PolicyKind::Identity, text), SYNTAX, "{text}");
    }
    for statement in [
        r#""Action":"*","Resource":"*""#,
        r#""Effect":"Maybe","Action":"*","Resource":"*""#,
        r#""Effect":"Allow","Action":1,"Resource":"*""#,
        r#""Effect":"Allow","Action":"a:b","NotAction":"a:b","Resource":"*""#,
        r#""Effect":"Allow","Action":"*","Resource":"*","NotResource":"*""#,
        r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqual":{"k":"v"}}"#,
        r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"NullIfExists":{"k":"true"}}"#,
        r#""Effect":"Allow","Action":"*","Resource":"*","Resources":"*""#,
    ] {
        assert_eq!(identity(statement), SYNTAX, "{statement}");
    }
}

#[test]
fn versions() {
    const OLD: &str = "Policy document must be version 2012-10-17 or greater.";
    for version in ["", r#""Version":"2008-10-17","#] {
        let text = format!(r#"{{{version}"Statement":{{"Effect":"Allow","Action":"*","Resource":"*"}}}}"#);
        assert_eq!(message(PolicyKind::Identity, &text), OLD);
        assert_eq!(message(PolicyKind::Boundary, &text), OLD);
        assert_eq!(message(PolicyKind::Session, &text), "");
        let text = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Principal":{{"Service":"ec2.amazonaws.com"}},"Action":"sts:AssumeRole"}}}}"#
        );
        assert_eq!(message(PolicyKind::Trust, &text), "");
    }
}

#[test]
fn legacy_parsing() {
    const LEGACY: &str = "The policy failed legacy parsing";
    assert_eq!(identity(r#""Effect":"allow","Action":"*","Resource":"*""#), LEGACY);
    assert_eq!(of_resource("\"arn:aws:s3::bucket\""), LEGACY);
    assert_eq!(of_resource("\"arn:aws:\""), LEGACY);
    for date in ["\"yesterday\"", "\"2026-13-01\"", "[\"2026-01-01\",\"\"]", "-1"] {
        let statement =
            format!(r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{{"DateLessThan":{{"k":{date}}}}}"#);
        assert_eq!(identity(&statement), LEGACY, "{date}");
    }
}

#[test]
fn sids() {
    let two = |one: &str, other: &str| {
        let statement = r#""Effect":"Allow","Action":"s3:*","Resource":"*""#;
        message(
            PolicyKind::Identity,
            &format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"{one}",{statement}}},{{"Sid":"{other}",{statement}}}]}}"#
            ),
        )
    };
    assert_eq!(two("A", "A"), "Statement IDs (SID) in a single policy must be unique.");
    assert_eq!(two("A", "a"), "");
    assert!(two("A", "b c").starts_with("Statement IDs (SID) must be alpha-numeric."));
}

#[test]
fn resources() {
    for (resource, expected) in [
        ("\"bucket\"", r#"Resource bucket must be in ARN format or "*"."#),
        (
            "\"arn:aws\"",
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            "\"arn:aws:*:::x\"",
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            "\"arn:nowhere:s3:::b\"",
            r#"Partition "nowhere" is not valid for resource "arn:nowhere:s3:::b"."#,
        ),
        (
            "\"arn:nowhere\"",
            r#"Partition "nowhere" is not valid for resource "arn:nowhere:*:*:*:*"."#,
        ),
        (
            "\"arn:x:s3\"",
            r#"Partition "x" is not valid for resource "arn:x:s3:*:*:*"."#,
        ),
        (
            "\"arn:aws:s3:us-east-1::b\"",
            "Resource arn:aws:s3:us-east-1::b can not contain region information.",
        ),
        (
            "\"arn:aws:iam:us-east-1:111122223333:user/x\"",
            "IAM resource arn:aws:iam:us-east-1:111122223333:user/x cannot contain region information.",
        ),
        ("[\"*\",\"b\",\"a\"]", r#"Resource a must be in ARN format or "*"."#),
        ("[\"arn:*:s3:::b\",\"arn:aws*:s3:::b\"]", ""),
    ] {
        assert_eq!(of_resource(resource), expected, "{resource}");
    }
    let path = of_resource("\"arn:aws:iam::111122223333:thing/x\"");
    assert!(path.starts_with(r#"IAM resource path must either be "*" or start with user/, federated-user/, role/,"#));
    assert!(path.ends_with("report/, access-report/."));
    assert_eq!(
        identity(r#""Effect":"Allow","Action":"s3:*""#),
        "Policy statement must contain resources."
    );
    assert_eq!(of_resource("[]"), "Policy statement must contain resources.");
}

#[test]
fn actions() {
    for (action, expected) in [
        (
            "\"GetObject\"",
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        ("\"s3:Get:Object\"", "Actions/Condition can contain only one colon."),
        ("\"s3*:GetObject\"", "Vendor s3* is not valid"),
        ("[\"*:*\",\"s3:Get*\",\"execute-api:Invoke\"]", ""),
        ("[]", "Policy statement must contain actions."),
    ] {
        assert_eq!(of_action(action), expected, "{action}");
    }
    assert_eq!(
        identity(r#""Effect":"Allow","Resource":"*""#),
        "Policy statement must contain actions."
    );
    // A faulty resource is reported before a faulty action.
    assert!(identity(r#""Effect":"Allow","Action":"x","Resource":"y""#).starts_with("Resource y"));
}

#[test]
fn no_principal_in_identity_policies() {
    for element in ["Principal", "NotPrincipal"] {
        assert_eq!(
            identity(&format!(
                r#""Effect":"Allow","{element}":"*","Action":"*","Resource":"*""#
            )),
            "Policy document should not specify a principal."
        );
    }
}

#[test]
fn trust_policies_of_the_usual_kinds_pass() {
    for statement in [
        r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole""#,
        r#""Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/a/b","AROAEXAMPLE1234567890"]},"Action":["sts:AssumeRole","sts:TagSession"]"#,
        r#""Effect":"Allow","Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/app/s1"},"Action":"sts:AssumeRole""#,
        r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}"#,
        r#""Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]"#,
        r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:saml-provider/corp"},"Action":"sts:AssumeRoleWithSAML""#,
        // A private issuer: with the seeds' condition, with none, and with a port and path.
        r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa"}}"#,
        r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/127.0.0.1:4701/id/A"},"Action":"sts:AssumeRoleWithWebIdentity""#,
        r#""Effect":"Allow","Principal":{"Federated":"*"},"Action":"sts:AssumeRoleWithWebIdentity""#,
        r#""Effect":"Deny","Principal":{"AWS":"*"},"NotAction":"sts:TagSession""#,
    ] {
        assert_eq!(trust(statement), "", "{statement}");
    }
}

#[test]
fn trust_policies_that_are_refused() {
    const STS: &str = "AssumeRole policy may only specify STS AssumeRole actions.";
    for (statement, expected) in [
        (
            r#""Principal":{"AWS":"*"},"Action":"sts:AssumeRole""#,
            "Missing required field Effect",
        ),
        (
            r#""Effect":"allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole""#,
            "Invalid effect: allow",
        ),
        (
            r#""Effect":"Allow","Action":"sts:AssumeRole""#,
            "Missing required field Principal",
        ),
        (
            r#""Effect":"Allow","Principal":{},"Action":"sts:AssumeRole""#,
            "Missing required field Principal cannot be empty!",
        ),
        (
            r#""Effect":"Allow","Principal":"ec2","Action":"sts:AssumeRole""#,
            "Principal must be a JSON object.",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"sts:AssumeRole""#,
            r#"AssumeRolepolicy contained an invalid principal: "STAR":"*"."#,
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"}"#,
            "Missing required field Action",
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject""#,
            STS,
        ),
        (r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"*""#, STS),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":["sts:AssumeRole","sts:Assume*"]"#,
            STS,
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Resource":"*""#,
            "Has prohibited field Resource",
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","NotResource":"*""#,
            "AssumeRole policy must not contain resources.",
        ),
        (
            r#""Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole""#,
            "Allow with NotPrincipal is not allowed.",
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"Action":"sts:AssumeRole""#,
            r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/*""#,
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:group/x"},"Action":"sts:AssumeRole""#,
            r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/x""#,
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"1234"},"Action":"sts:AssumeRole""#,
            r#"Invalid principal in policy: "AWS":"1234""#,
        ),
        (
            r#""Effect":"Allow","Principal":{"Service":"ec2"},"Action":"sts:AssumeRole""#,
            r#"Invalid principal in policy: "SERVICE":"ec2""#,
        ),
        (
            r#""Effect":"Allow","Principal":{"Federated":"https://oidc.example.com"},"Action":"sts:AssumeRoleWithWebIdentity""#,
            "Federated principals must be valid domain names or SAML metadata ARNs",
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"X":{"k":"v"}}"#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Extra":1"#,
            SYNTAX,
        ),
    ] {
        assert_eq!(trust(statement), expected, "{statement}");
    }
    assert_eq!(message(PolicyKind::Trust, "{"), "This policy contains invalid Json");
    for text in ["{}", r#"{"Version":"2012-10-17","Statement":[]}"#] {
        assert_eq!(
            message(PolicyKind::Trust, text),
            "Could not parse the policy: Statement is empty!"
        );
    }
    let one = r#"{"Sid":"A","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}"#;
    assert_eq!(
        message(PolicyKind::Trust, &format!(r#"{{"Statement":[{one},{one}]}}"#)),
        "Statement IDs (SID) in a single policy must be unique."
    );
}

/// The recorded rules, for issuers and spellings that the recordings do not have.
#[test]
fn shared_issuers_must_be_pinned_down() {
    let with = |issuer: &str, conditions: &str| {
        let principal = if issuer.contains('@') {
            issuer.replace('@', "arn:aws:iam::111122223333:oidc-provider/")
        } else {
            issuer.to_owned()
        };
        trust(&format!(
            r#""Effect":"Allow","Principal":{{"Federated":"{principal}"}},"Action":["sts:TagSession","sts:AssumeRoleWithWebIdentity"],"Condition":{conditions}"#
        ))
    };
    let ok = |issuer: &str, conditions: &str| with(issuer, conditions).is_empty();
    for (issuer, key) in [
        ("@agent.buildkite.com", "agent.buildkite.com:sub"),
        ("@api.pulumi.com/oidc", "api.pulumi.com/oidc:aud"),
        ("@oidc.vercel.com", "oidc.vercel.com:aud"),
        (
            "@sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d",
            "sts:RoleSessionName",
        ),
        ("@gitlab.com", "gitlab.com:sub"),
    ] {
        assert!(
            ok(issuer, &format!(r#"{{"StringEquals":{{"{key}":"x"}}}}"#)),
            "{issuer}"
        );
        assert!(
            ok(issuer, &format!(r#"{{"forAnyValue:stringLIKE":{{"{key}":["x*"]}}}}"#)),
            "{issuer}"
        );
        let refused = with(issuer, "{}");
        assert!(
            refused.contains(&format!("StringEqualsIgnoreCase, {key} which is not scoped to all.")),
            "{refused}"
        );
        assert!(
            !ok(issuer, &format!(r#"{{"StringLike":{{"{key}":["x","*"]}}}}"#)),
            "{issuer}"
        );
        assert!(!ok(issuer, r#"{"StringEquals":{"other:sub":"x"}}"#), "{issuer}");
    }
    // Two issuers in one statement need both their conditions.
    let both = |conditions: &str| {
        trust(&format!(
            r#""Effect":"Allow","Principal":{{"Federated":["arn:aws:iam::111122223333:oidc-provider/gitlab.com","arn:aws:iam::111122223333:oidc-provider/app.terraform.io"]}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{conditions}"#
        ))
    };
    assert_eq!(
        both(r#"{"StringEquals":{"gitlab.com:sub":"x","app.terraform.io:sub":"y"}}"#),
        ""
    );
    assert!(both(r#"{"StringEquals":{"gitlab.com:sub":"x"}}"#).contains("app.terraform.io:sub"));
    // GitHub: either claim, in any block that is wholly sound; every issuer that begins with its host.
    let github = "token.actions.githubusercontent.com";
    for (conditions, expected) in [
        (
            format!(r#"{{"StringLike":{{"{github}:job_workflow_ref":"org/repo/*"}}}}"#),
            true,
        ),
        (
            format!(r#"{{"StringEquals":{{"{github}:sub":"x"}},"StringLike":{{"{github}:sub":"*"}}}}"#),
            true,
        ),
        (
            format!(r#"{{"StringEquals":{{"{github}:sub":"*","{github}:job_workflow_ref":"x"}}}}"#),
            false,
        ),
        (
            format!(r#"{{"StringEquals":{{"{github}:aud":"sts.amazonaws.com"}}}}"#),
            false,
        ),
        (format!(r#"{{"StringEquals":{{"{github}:sub":"\t"}}}}"#), false),
        (format!(r#"{{"StringEquals":{{"{github}:SUB":"repo:o/r:*"}}}}"#), true),
    ] {
        assert_eq!(ok(&format!("@{github}"), &conditions), expected, "{conditions}");
    }
    for suffix in ["other", ".com.example.test", "/private"] {
        let issuer = format!("{github}{suffix}");
        assert!(!ok(
            &format!("@{issuer}"),
            &format!(r#"{{"StringEquals":{{"{github}:sub":"x"}}}}"#)
        ));
        assert!(ok(
            &format!("@{issuer}"),
            &format!(r#"{{"StringEquals":{{"{issuer}:sub":"x"}}}}"#)
        ));
    }
    // NotAction that leaves web identity in counts as granting it.
    let negated = |action: &str| {
        trust(&format!(
            r#""Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/gitlab.com"}},"NotAction":"{action}""#
        ))
    };
    assert_eq!(negated("sts:AssumeRoleWithWebIdentity"), "");
    assert!(!negated("sts:TagSession").is_empty());
}

#[test]
fn bucket_policies() {
    let of = |statement: &str| {
        message(
            PolicyKind::Resource,
            &format!(r#"{{"Version":"2012-10-17","Statement":[{{{statement}}}]}}"#),
        )
    };
    for (statement, expected) in [
        (
            r#""Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*""#,
            "",
        ),
        (
            r#""Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*""#,
            "",
        ),
        (
            r#""Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*""#,
            "Allow with NotPrincipal is not allowed.",
        ),
        (
            r#""Principal":"*","Action":"s3:*","Resource":"*""#,
            "Missing required field Effect",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*""#,
            "Missing required field Principal",
        ),
        (
            r#""Effect":"Allow","Principal":"me","Action":"s3:*","Resource":"*""#,
            "Invalid principal in policy",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Resource":"*""#,
            "Missing required field Action",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"Get","Resource":"*""#,
            "Policy has invalid action",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"s3:*""#,
            "Missing required field Resource",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"bucket""#,
            "Policy has invalid resource",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Foo":1"#,
            "Unknown field Foo",
        ),
        (
            r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Foo":{"k":"v"}}"#,
            "Invalid Condition type : Foo",
        ),
    ] {
        assert_eq!(of(statement), expected, "{statement}");
    }
    assert_eq!(
        message(PolicyKind::Resource, "x"),
        "Policies must be valid JSON and the first byte must be '{'"
    );
}
