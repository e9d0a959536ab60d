//! SimulateCustomPolicy, SimulatePrincipalPolicy, and the condition keys that policies ask for.

mod parameters;

use crate::harness::{READ, Server, TRUST, allow, lines, policy, text, texts};

const BUCKET: &str = "arn:aws:s3:::bucket/key";

/// The parameters of a list.
fn list(name: &str, values: &[&str]) -> Vec<(String, String)> {
    let member = |(index, value): (usize, &&str)| (format!("{name}.member.{}", index + 1), (*value).to_owned());
    values.iter().enumerate().map(member).collect()
}

/// The parameters of the condition keys: name, type, values.
fn entries(entries: &[(&str, &str, &[&str])]) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for (index, (name, kind, values)) in entries.iter().enumerate() {
        let place = format!("ContextEntries.member.{}", index + 1);
        params.push((format!("{place}.ContextKeyName"), (*name).to_owned()));
        params.push((format!("{place}.ContextKeyType"), (*kind).to_owned()));
        params.extend(list(&format!("{place}.ContextKeyValues"), values));
    }
    params
}

fn borrowed(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// The texts of a list.
fn members(xml: &str, name: &str) -> Vec<String> {
    texts(text(xml, name), "member")
}

struct Asked(Vec<(String, String)>);

impl Asked {
    fn new(actions: &[&str]) -> Self {
        Self(list("ActionNames", actions))
    }

    fn list(mut self, name: &str, values: &[&str]) -> Self {
        self.0.extend(list(name, values));
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    fn context(mut self, context: &[(&str, &str, &[&str])]) -> Self {
        self.0.extend(entries(context));
        self
    }

    #[track_caller]
    fn custom(&self, server: &mut Server) -> String {
        server.ok("SimulateCustomPolicy", &borrowed(&self.0))
    }

    fn custom_error(&self, server: &mut Server) -> String {
        server.error("SimulateCustomPolicy", &borrowed(&self.0))
    }

    #[track_caller]
    fn principal(self, server: &mut Server, arn: &str) -> String {
        let asked = self.with("PolicySourceArn", arn);
        server.ok("SimulatePrincipalPolicy", &borrowed(&asked.0))
    }

    fn principal_error(self, server: &mut Server, arn: &str) -> String {
        let asked = self.with("PolicySourceArn", arn);
        server.error("SimulatePrincipalPolicy", &borrowed(&asked.0))
    }
}

/// A server with the user `ann`, who has an inline policy, one of AWS's, one of the account's, and a boundary.
fn server() -> Server {
    let mut server = Server::new();
    server.ok("CreateUser", &[("UserName", "ann"), ("Path", "/team/")]);
    let inline = policy(
        r#"{"Sid":"Own","Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:*:*:table/${aws:username}"}"#,
    );
    server.ok(
        "PutUserPolicy",
        &[
            ("UserName", "ann"),
            ("PolicyName", "Tables"),
            ("PolicyDocument", &inline),
        ],
    );
    let keep = policy(
        r#"{"Sid":"Keep","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}"#,
    );
    server.ok("CreatePolicy", &[("PolicyName", "keep"), ("PolicyDocument", &keep)]);
    let limit = policy(r#"{"Effect":"Allow","Action":["s3:*","dynamodb:GetItem"],"Resource":"*"}"#);
    server.ok("CreatePolicy", &[("PolicyName", "limit"), ("PolicyDocument", &limit)]);
    for arn in [
        "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        "arn:aws:iam::111122223333:policy/keep",
    ] {
        server.ok("AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", arn)]);
    }
    server.ok(
        "PutUserPermissionsBoundary",
        &[
            ("UserName", "ann"),
            ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/limit"),
        ],
    );
    server
}

const ANN: &str = "arn:aws:iam::111122223333:user/team/ann";

#[test]
fn the_example_of_the_reference() {
    let mut server = Server::new();
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}"#;
    let asked = |time: &str| {
        Asked::new(&["dynamodb:CreateBackup"])
            .list("PolicyInputList", &[document])
            .context(&[("aws:CurrentTime", "date", &[time])])
    };
    let after = asked("2019-04-25T11:00:00Z").custom(&mut server);
    insta::assert_snapshot!("simulated_allowed", lines(&after));
    let before = asked("2014-04-25T11:00:00Z").custom(&mut server);
    assert_eq!(text(&before, "EvalDecision"), "implicitDeny");
    assert!(before.contains("<MatchedStatements></MatchedStatements><MissingContextValues></MissingContextValues>"));
    // Without the key, the answer says what is missing.
    let absent = Asked::new(&["dynamodb:CreateBackup"])
        .list("PolicyInputList", &[document])
        .custom(&mut server);
    assert_eq!(members(&absent, "MissingContextValues"), ["aws:CurrentTime"]);
}

#[test]
fn a_principal_with_all_its_policies() {
    let mut server = server();
    let answer = Asked::new(&[
        "s3:GetObject",
        "s3:DeleteObject",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
    ])
    .list("PolicyInputList", &[&allow("s3:DeleteObject")])
    .context(&[("aws:MultiFactorAuthPresent", "boolean", &["false"])])
    .principal(&mut server, ANN);
    insta::assert_snapshot!("simulated_principal", lines(&answer));
    // The user's name is known to variables without being sent.
    let table = |name: &str| format!("arn:aws:dynamodb:us-east-1:111122223333:table/{name}");
    let answer = Asked::new(&["dynamodb:GetItem", "dynamodb:PutItem"])
        .list("ResourceArns", &[&table("ann"), &table("bob")])
        .principal(&mut server, ANN);
    insta::assert_snapshot!("simulated_resources", lines(&answer));
}

#[test]
fn an_arn_names_a_user_or_role_of_the_account() {
    let mut server = server();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let asked = || Asked::new(&["s3:GetObject"]);
    let found = asked().principal(&mut server, ANN);
    assert_eq!(text(&found, "EvalDecision"), "allowed");
    let role = asked().principal(&mut server, "arn:aws:iam::111122223333:role/App");
    assert_eq!(text(&role, "EvalDecision"), "implicitDeny");
    for (arn, error) in [
        (
            "arn:aws:iam::111122223333:user/ann",
            "NoSuchEntity 404: The user with name ann cannot be found.",
        ),
        (
            "arn:aws:iam::111122223333:user/none",
            "NoSuchEntity 404: The user with name none cannot be found.",
        ),
        (
            "arn:aws:iam::111122223333:role/none",
            "NoSuchEntity 404: The role with name none cannot be found.",
        ),
        (
            "arn:aws:iam::111122223333:group/none",
            "NoSuchEntity 404: The group with name none cannot be found.",
        ),
        (
            "arn:aws:sts::111122223333:assumed-role/App/session",
            "InvalidInput 400: Invalid Entity Arn: arn:aws:sts::111122223333:assumed-role/App/session does not clearly define entity \
             type and name.",
        ),
        (
            "arn:aws:iam::111122223333:root",
            "InvalidInput 400: Invalid Entity Arn: arn:aws:iam::111122223333:root does not clearly define entity type and name.",
        ),
        (
            "arn:aws:iam::444455556666:role/App",
            "InvalidInput 400: Invalid Policy Source Arn: caller's account 111122223333 does not have access to policies in account \
             444455556666",
        ),
    ] {
        assert_eq!(asked().principal_error(&mut server, arn), error);
        let keys = server.error("GetContextKeysForPrincipalPolicy", &[("PolicySourceArn", arn)]);
        assert_eq!(keys, error);
    }
}

#[test]
fn the_question_is_about_the_principal() {
    let mut server = server();
    server.ok("CreateUser", &[("UserName", "eve")]);
    server.ok(
        "TagUser",
        &[
            ("UserName", "ann"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "red"),
        ],
    );
    let document = policy(
        r#"{"Effect":"Allow","Action":["iam:SimulatePrincipalPolicy","iam:GetContextKeysForPrincipalPolicy"],"Resource":"arn:aws:iam::111122223333:user/open/*"},
           {"Effect":"Allow","Action":"iam:SimulatePrincipalPolicy","Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/team":"blue"}}}"#,
    );
    server.ok(
        "PutUserPolicy",
        &[("UserName", "eve"), ("PolicyName", "p"), ("PolicyDocument", &document)],
    );
    let eve = server.user("eve");
    // A path that is not the user's own opens nothing: there is no such user.
    let params = [
        ("PolicySourceArn", "arn:aws:iam::111122223333:user/open/ann"),
        ("ActionNames.member.1", "s3:GetObject"),
    ];
    assert_eq!(server.refusal(&eve, "SimulatePrincipalPolicy", &params), None);
    assert_eq!(
        server.error("SimulatePrincipalPolicy", &params),
        "NoSuchEntity 404: The user with name ann cannot be found."
    );
    let sent = ANN;
    for action in ["SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"] {
        let params = [("PolicySourceArn", sent), ("ActionNames.member.1", "s3:GetObject")];
        let refusal = server.refusal(&eve, action, &params).unwrap();
        assert_eq!(
            refusal,
            format!(
                "User: arn:aws:iam::111122223333:user/eve is not authorized to perform: iam:{action} on resource: {sent} because no \
                 identity-based policy allows the iam:{action} action"
            )
        );
    }
    let custom = [
        ("PolicyInputList.member.1", READ),
        ("ActionNames.member.1", "s3:GetObject"),
    ];
    let refusal = server.refusal(&eve, "SimulateCustomPolicy", &custom).unwrap();
    assert!(refusal.contains("on resource: * because"), "{refusal}");
}

#[test]
fn several_resources_have_results_of_their_own() {
    let mut server = Server::new();
    let documents = [
        policy(r#"{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/a/*"}"#),
        policy(r#"{"Sid":"D","Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::bucket/a/secret"}"#),
    ];
    let answer = Asked::new(&["s3:GetObject"])
        .list("PolicyInputList", &[&documents[0], &documents[1]])
        .list(
            "ResourceArns",
            &[
                "arn:aws:s3:::bucket/a/x",
                "arn:aws:s3:::bucket/a/secret",
                "arn:aws:s3:::bucket/b",
            ],
        )
        .custom(&mut server);
    insta::assert_snapshot!("simulated_mixed", lines(&answer));
}

#[test]
fn a_boundary_is_told_apart() {
    let mut server = Server::new();
    let boundary = |document: &str, server: &mut Server| {
        let answer = Asked::new(&["s3:GetObject"])
            .list("PolicyInputList", &[READ])
            .list("PermissionsBoundaryPolicyInputList", &[document])
            .custom(server);
        (
            text(&answer, "EvalDecision").to_owned(),
            text(&answer, "AllowedByPermissionsBoundary").to_owned(),
            answer,
        )
    };
    let (decision, within, _) = boundary(&allow("s3:*"), &mut server);
    assert_eq!((decision.as_str(), within.as_str()), ("allowed", "true"));
    let (decision, within, _) = boundary(&allow("iam:*"), &mut server);
    assert_eq!((decision.as_str(), within.as_str()), ("implicitDeny", "false"));
    let deny = policy(r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#);
    let (decision, within, answer) = boundary(&deny, &mut server);
    assert_eq!((decision.as_str(), within.as_str()), ("explicitDeny", "false"));
    assert_eq!(text(&answer, "SourcePolicyType"), "Permissions Boundary Policy");
    assert_eq!(text(&answer, "SourcePolicyId"), "PermissionsBoundaryPolicyInputList.1");
    // A boundary that is sent stands in the place of the user's own.
    let mut server = self::server();
    let answer = Asked::new(&["s3:GetObject"])
        .list("PermissionsBoundaryPolicyInputList", &[&allow("iam:*")])
        .principal(&mut server, ANN);
    assert_eq!(text(&answer, "EvalDecision"), "implicitDeny");
}

#[test]
fn resource_policies_within_an_account_and_across() {
    let mut server = Server::new();
    let bucket = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/mateo"},"Action":["s3:List*","s3:Put*"],"Resource":"arn:aws:s3:::production/*"}}"#;
    let mateo = "arn:aws:iam::111122223333:user/mateo";
    let asked = |owner: &str| {
        Asked::new(&["s3:PutObject"])
            .list("PolicyInputList", &[&allow("iam:*")])
            .list("PermissionsBoundaryPolicyInputList", &[&allow("iam:*")])
            .list("ResourceArns", &["arn:aws:s3:::production/Test"])
            .with("ResourcePolicy", bucket)
            .with("CallerArn", mateo)
            .with("ResourceOwner", &format!("arn:aws:iam::{owner}:root"))
    };
    let same = asked("111122223333").custom(&mut server);
    insta::assert_snapshot!("simulated_same_account", lines(&same));
    let across = asked("444455556666").custom(&mut server);
    insta::assert_snapshot!("simulated_across_accounts", lines(&across));
    // With the caller's own policies behind it, it goes through.
    let both = Asked::new(&["s3:PutObject"])
        .list("PolicyInputList", &[&allow("s3:*")])
        .list("ResourceArns", &["arn:aws:s3:::production/Test"])
        .with("ResourcePolicy", bucket)
        .with("CallerArn", mateo)
        .with("ResourceOwner", "arn:aws:iam::444455556666:root")
        .custom(&mut server);
    assert_eq!(text(&both, "EvalDecision"), "allowed");
    assert_eq!(both.matches("<SourcePolicyId>").count(), 4, "{both}");
    // A denial by the resource's policy, whatever the caller may do.
    let deny =
        r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::production/*"}}"#;
    let denied = Asked::new(&["s3:PutObject"])
        .list("PolicyInputList", &[&allow("s3:*")])
        .list("ResourceArns", &["arn:aws:s3:::production/Test"])
        .with("ResourcePolicy", deny)
        .with("CallerArn", mateo)
        .custom(&mut server);
    assert_eq!(text(&denied, "EvalDecision"), "explicitDeny");
    assert_eq!(text(&denied, "SourcePolicyId"), "ResourcePolicy");
    assert_eq!(text(&denied, "SourcePolicyType"), "Resource Policy");
}

#[test]
fn without_a_resource_policy_only_the_callers_own_count() {
    let mut server = Server::new();
    for (action, resource) in [
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/app"),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/app"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:444455556666:key/1"),
        ("s3:GetObject", BUCKET),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:444455556666:queue"),
    ] {
        let decide = |document: &str, server: &mut Server| {
            let answer = Asked::new(&[action])
                .list("PolicyInputList", &[document])
                .list("ResourceArns", &[resource])
                .custom(server);
            assert_eq!(answer.matches("ResourcePolicy").count(), 0, "{answer}");
            text(&answer, "EvalDecision").to_owned()
        };
        assert_eq!(decide(&allow(action), &mut server), "allowed", "{action} {resource}");
        assert_eq!(
            decide(&allow("iam:GetUser"), &mut server),
            "implicitDeny",
            "{action} {resource}"
        );
    }
}

#[test]
fn organizations_are_simulated_level_by_level() {
    let mut server = Server::new();
    let all = policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let deny = policy(
        r#"{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}}"#,
    );
    let level =
        |number: usize| format!("OrderedOrganizationPolicyInputList.member.{number}.ServiceControlPolicyInputList");
    let simulate = |levels: &[&[&str]], server: &mut Server| {
        let mut asked = Asked::new(&["s3:GetObject"]).list("PolicyInputList", &[READ]);
        for (index, documents) in levels.iter().enumerate() {
            asked = asked.list(&level(index + 1), documents);
        }
        asked.custom(server)
    };
    let answer = simulate(&[&[&all], &[&all, READ]], &mut server);
    assert_eq!(text(&answer, "EvalDecision"), "allowed");
    assert_eq!(text(&answer, "AllowedByOrganizations"), "true");
    let answer = simulate(&[&[&all], &[&all, &deny]], &mut server);
    assert_eq!(text(&answer, "EvalDecision"), "explicitDeny");
    assert_eq!(text(&answer, "AllowedByOrganizations"), "false");
    // What organizations say is not taken apart, and their keys are not asked for.
    assert!(answer.contains("<MatchedStatements></MatchedStatements><MissingContextValues></MissingContextValues>"));
    let answer = simulate(&[&[&all], &[&allow("ec2:*")]], &mut server);
    assert_eq!(text(&answer, "EvalDecision"), "implicitDeny");
    assert_eq!(text(&answer, "AllowedByOrganizations"), "false");
}

#[test]
fn the_caller_is_known_to_conditions_and_what_is_sent_stands_above_it() {
    let mut server = server();
    let document = policy(
        r#"{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/team/ann","aws:username":"ann"}}}"#,
    );
    let decide = |server: &mut Server, asked: Asked| {
        let answer = asked.list("PolicyInputList", &[&document]).principal(server, ANN);
        text(&answer, "EvalDecision").to_owned()
    };
    let all = policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let asked = || Asked::new(&["a:b"]).list("PermissionsBoundaryPolicyInputList", &[&all]);
    assert_eq!(decide(&mut server, asked()), "allowed");
    let other = asked().context(&[("aws:principalarn", "string", &["arn:aws:iam::111122223333:role/app"])]);
    assert_eq!(decide(&mut server, other), "implicitDeny");
    // Tags of the principal are known, and its id.
    server.ok(
        "TagUser",
        &[
            ("UserName", "ann"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "red"),
        ],
    );
    let tagged = policy(
        r#"{"Effect":"Allow","Action":"c:d","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"},"StringLike":{"aws:userid":"AIDA*"}}}"#,
    );
    let know = |server: &mut Server, caller: &str| {
        let answer = Asked::new(&["c:d"])
            .list("PermissionsBoundaryPolicyInputList", &[&all])
            .list("PolicyInputList", &[&tagged])
            .with("CallerArn", caller)
            .principal(server, ANN);
        (
            text(&answer, "EvalDecision").to_owned(),
            members(&answer, "MissingContextValues"),
        )
    };
    let (decision, missing) = know(&mut server, ANN);
    assert_eq!(
        (decision.as_str(), missing.as_slice()),
        ("allowed", &["aws:MultiFactorAuthPresent".to_owned()][..])
    );
    // Of another caller, who was not asked about, only the ARN is: its tags stay its own.
    server.ok(
        "CreateUser",
        &[
            ("UserName", "bob"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "red"),
        ],
    );
    let (decision, missing) = know(&mut server, "arn:aws:iam::111122223333:user/bob");
    assert_eq!(decision, "implicitDeny");
    assert_eq!(
        missing,
        ["aws:MultiFactorAuthPresent", "aws:PrincipalTag/team", "aws:userid"]
    );
    // As somebody else, with this one's policies.
    let bob = asked().with("CallerArn", "arn:aws:iam::111122223333:user/bob");
    assert_eq!(decide(&mut server, bob), "implicitDeny");
}

#[test]
fn pages_count_actions() {
    let mut server = Server::new();
    let asked = |marker: Option<&str>, server: &mut Server| {
        let asked = Asked::new(&["s3:GetObject", "s3:PutObject", "s3:GetObject"])
            .list("PolicyInputList", &[READ])
            .with("MaxItems", "2");
        let asked = match marker {
            Some(marker) => asked.with("Marker", marker),
            None => asked,
        };
        asked.custom(server)
    };
    let first = asked(None, &mut server);
    assert_eq!(first.matches("<EvalActionName>").count(), 2);
    assert_eq!(text(&first, "IsTruncated"), "true");
    let second = asked(Some(text(&first, "Marker")), &mut server);
    assert_eq!(second.matches("<EvalActionName>").count(), 1);
    assert_eq!(text(&second, "IsTruncated"), "false");
    assert_eq!(text(&second, "EvalActionName"), "s3:GetObject");
    // A marker is of its operation.
    server.ok("CreateUser", &[("UserName", "ann")]);
    let foreign = Asked::new(&["s3:GetObject"])
        .with("Marker", text(&first, "Marker"))
        .principal_error(&mut server, "arn:aws:iam::111122223333:user/ann");
    assert_eq!(foreign, "ValidationError 400: Invalid Marker.");
}

#[test]
fn large_simulations_come_in_more_pages_and_immense_ones_not_at_all() {
    let mut server = Server::new();
    let statement = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket/*"}"#;
    let document = policy(&vec![statement; 1500].join(","));
    let resources: Vec<String> = (0..60).map(|number| format!("arn:aws:s3:::bucket/{number}")).collect();
    let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let simulate = |resources: &[&str]| {
        Asked::new(&actions)
            .list("PolicyInputList", &[&document])
            .list("ResourceArns", resources)
    };
    let answer = simulate(&resources).custom(&mut server);
    assert_eq!(text(&answer, "IsTruncated"), "true");
    assert_eq!(answer.matches("<EvalActionName>").count(), 1);
    let more: Vec<&str> = resources.iter().copied().cycle().take(120).collect();
    assert_eq!(
        simulate(&more).custom_error(&mut server),
        "InvalidInput 400: The simulation is too large: send fewer or shorter policies, or fewer resources."
    );
}

#[test]
fn condition_keys_of_policies() {
    let mut server = server();
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:us-west-2:123456789012:table/${aws:username}","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2015-08-16T12:00:00Z"}}}}"#;
    let answer = server.ok(
        "GetContextKeysForCustomPolicy",
        &[
            ("PolicyInputList.member.1", document),
            ("PolicyInputList.member.2", &document.replace("aws:", "AWS:")),
        ],
    );
    insta::assert_snapshot!("context_keys", lines(&answer));
    let answer = server.ok("GetContextKeysForPrincipalPolicy", &[("PolicySourceArn", ANN)]);
    assert_eq!(
        members(&answer, "ContextKeyNames"),
        ["aws:username", "aws:MultiFactorAuthPresent"]
    );
    let answer = server.ok(
        "GetContextKeysForPrincipalPolicy",
        &[("PolicySourceArn", ANN), ("PolicyInputList.member.1", document)],
    );
    assert_eq!(
        members(&answer, "ContextKeyNames"),
        ["aws:username", "aws:MultiFactorAuthPresent", "aws:CurrentTime"]
    );
    assert_eq!(
        server.error("GetContextKeysForCustomPolicy", &[("PolicyInputList.member.1", "[]")]),
        "InvalidInput 400: Syntax errors in policy. policy 1: line 1, column 1: `the document` must be an object"
    );
}
