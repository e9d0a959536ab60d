use serde_json::{Value, json};

use super::*;

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/s1";
const OBJECT: &str = "arn:aws:s3:::bucket/key";

fn answer(line: &str) -> Value {
    let mut answers = String::new();
    Simulator::new().answer(line.as_bytes(), &mut answers);
    assert!(!answers.contains('\n'));
    serde_json::from_str(&answers).unwrap()
}

fn case(policies: &Value, principal: &str, action: &str, resource: &str, more: &Value) -> Value {
    let mut request = json!({"principal": principal, "action": action, "resource": resource});
    for (name, value) in more.as_object().into_iter().flatten() {
        request[name] = value.clone();
    }
    let answer = answer(&json!({"id": "c", "policies": policies, "request": request}).to_string());
    assert_eq!(answer["id"], "c");
    answer
}

#[track_caller]
fn decided(answer: &Value, decision: &str) {
    assert_eq!(answer["decision"], decision, "{answer}");
    assert!(
        answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
        "{answer}"
    );
}

fn allow() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
}

fn deny() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Sid": "no", "Effect": "Deny", "Action": "*", "Resource": "*"}]})
}

fn other() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]})
}

fn of(principal: &Value, effect: &str) -> Value {
    json!({"Version": "2012-10-17",
           "Statement": [{"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*"}]})
}

fn user(policies: &Value) -> Value {
    case(policies, USER, "s3:GetObject", OBJECT, &json!({}))
}

#[test]
fn every_layer() {
    let null = Value::Null;
    for (policies, decision) in [
        (json!({}), "ImplicitlyDenied"),
        (null.clone(), "ImplicitlyDenied"),
        (json!({"identity": null}), "ImplicitlyDenied"),
        (json!({"identity": [allow()]}), "Allowed"),
        (json!({"identity": [allow(), deny()]}), "ExplicitlyDenied"),
        (
            json!({"identity": [allow()], "boundary": null, "session": null, "resource": null, "scp": null, "rcp": null, "vpce": null}),
            "Allowed",
        ),
        (
            json!({"identity": [allow()], "scp": [], "rcp": [], "vpce": []}),
            "Allowed",
        ),
        (json!({"identity": [allow()], "boundary": other()}), "ImplicitlyDenied"),
        (json!({"identity": [allow()], "boundary": deny()}), "ExplicitlyDenied"),
        (json!({"identity": [allow()], "boundary": allow()}), "Allowed"),
        (json!({"identity": [allow()], "session": other()}), "ImplicitlyDenied"),
        (json!({"identity": [allow()], "session": allow()}), "Allowed"),
        (
            json!({"identity": [allow()], "scp": [[allow()], [other()]]}),
            "ImplicitlyDenied",
        ),
        (
            json!({"identity": [allow()], "scp": [[allow()], []]}),
            "ImplicitlyDenied",
        ),
        (
            json!({"identity": [allow()], "scp": [[allow()], [other(), allow()]]}),
            "Allowed",
        ),
        (
            json!({"identity": [allow()], "scp": [[allow(), deny()]]}),
            "ExplicitlyDenied",
        ),
        (json!({"identity": [allow()], "rcp": [[]]}), "Allowed"),
        (
            json!({"identity": [allow()], "rcp": [[of(&json!("*"), "Deny")]]}),
            "ExplicitlyDenied",
        ),
        (
            json!({"identity": [allow()], "vpce": [of(&json!("*"), "Allow")]}),
            "Allowed",
        ),
        (json!({"identity": [allow()], "vpce": [other()]}), "ImplicitlyDenied"),
        (json!({"identity": [allow()], "vpce": [allow()]}), "Allowed"),
        (
            json!({"identity": [allow()], "vpce": [allow(), deny()]}),
            "ExplicitlyDenied",
        ),
        (json!({"resource": of(&json!({"AWS": USER}), "Allow")}), "Allowed"),
        (
            json!({"resource": of(&json!({"AWS": "111122223333"}), "Allow")}),
            "ImplicitlyDenied",
        ),
        (
            json!({"resource": of(&json!({"AWS": USER}), "Allow"), "identity": [deny()]}),
            "ExplicitlyDenied",
        ),
    ] {
        decided(&user(&policies), decision);
        let mut strings = policies.clone();
        // The same with documents in strings.
        for name in ["boundary", "session", "resource"] {
            if let Some(document) = policies.get(name).filter(|document| document.is_object()) {
                strings[name] = json!(document.to_string());
            }
        }
        decided(&user(&strings), decision);
    }
}

#[test]
fn reasons_name_the_statement() {
    let reason = |policies: Value| user(&policies)["reason"].as_str().unwrap().to_owned();
    assert_eq!(
        reason(json!({"identity": [other(), allow()]})),
        "because statement 1 of identity[1], line 1, column 38 allows the s3:GetObject action"
    );
    assert_eq!(
        reason(json!({"identity": [allow()], "scp": [[allow()], [deny()]]})),
        "with an explicit deny in a service control policy: statement 1 (`no`) of scp[1][0], line 1, column 38"
    );
    assert_eq!(
        reason(json!({"identity": []})),
        "because no identity-based policy allows the s3:GetObject action"
    );
}

#[test]
fn every_kind_of_caller() {
    let ask = |caller: &str, principal: Value, action: &str| {
        let resource = if action.starts_with("sts:") {
            "arn:aws:iam::111122223333:role/target"
        } else {
            OBJECT
        };
        let mut policy = of(&principal, "Allow");
        if action.starts_with("sts:") {
            policy["Statement"][0].as_object_mut().unwrap().remove("Resource");
        }
        case(&json!({"resource": policy}), caller, action, resource, &json!({}))
    };
    for (caller, principal, action) in [
        ("anonymous", json!("*"), "s3:GetObject"),
        ("anonymous", json!({"AWS": "*"}), "s3:GetObject"),
        (
            "arn:aws:iam::111122223333:root",
            json!({"AWS": "111122223333"}),
            "s3:GetObject",
        ),
        (
            "111122223333",
            json!({"AWS": "arn:aws:iam::111122223333:root"}),
            "s3:GetObject",
        ),
        (
            "arn:aws:iam::111122223333:user/x/ann",
            json!({"AWS": "arn:aws:iam::111122223333:user/x/ann"}),
            "s3:GetObject",
        ),
        (SESSION, json!({"AWS": SESSION}), "s3:GetObject"),
        (
            SESSION,
            json!({"AWS": "arn:aws:iam::111122223333:role/app"}),
            "s3:GetObject",
        ),
        (
            SESSION,
            json!({"AWS": "arn:aws:iam::111122223333:role/path/app"}),
            "s3:GetObject",
        ),
        (
            "arn:aws:iam::111122223333:role/path/app",
            json!({"AWS": "arn:aws:iam::111122223333:role/path/app"}),
            "s3:GetObject",
        ),
        (
            "lambda.amazonaws.com",
            json!({"Service": "lambda.amazonaws.com"}),
            "sts:AssumeRole",
        ),
        (
            "arn:aws:iam::111122223333:oidc-provider/h/id/A",
            json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/h/id/A"}),
            "sts:AssumeRoleWithWebIdentity",
        ),
        (
            "accounts.google.com",
            json!({"Federated": "accounts.google.com"}),
            "sts:AssumeRoleWithWebIdentity",
        ),
        (
            "arn:aws:iam::111122223333:saml-provider/corp",
            json!({"Federated": "arn:aws:iam::111122223333:saml-provider/corp"}),
            "sts:AssumeRoleWithSAML",
        ),
    ] {
        decided(&ask(caller, principal, action), "Allowed");
    }
    for (caller, principal, action) in [
        ("anonymous", json!({"AWS": "111122223333"}), "s3:GetObject"),
        (
            USER,
            json!({"AWS": "arn:aws:iam::111122223333:user/bob"}),
            "s3:GetObject",
        ),
        (
            SESSION,
            json!({"AWS": "arn:aws:sts::111122223333:assumed-role/app/s2"}),
            "s3:GetObject",
        ),
        (
            SESSION,
            json!({"AWS": "arn:aws:iam::444455556666:role/app"}),
            "s3:GetObject",
        ),
        (
            "lambda.amazonaws.com",
            json!({"Service": "ec2.amazonaws.com"}),
            "sts:AssumeRole",
        ),
        (
            "accounts.google.com",
            json!({"Federated": "www.amazon.com"}),
            "sts:AssumeRoleWithWebIdentity",
        ),
        (USER, json!({"AWS": "111122223333"}), "sts:AssumeRole"),
    ] {
        decided(&ask(caller, principal, action), "ImplicitlyDenied");
    }
    // A federated user has what its session policy allows.
    let federated = "arn:aws:sts::111122223333:federated-user/ann";
    let by_user = of(&json!({"AWS": USER}), "Allow");
    decided(
        &case(
            &json!({"resource": by_user}),
            federated,
            "s3:GetObject",
            OBJECT,
            &json!({}),
        ),
        "ImplicitlyDenied",
    );
    decided(
        &case(
            &json!({"resource": by_user, "session": allow()}),
            federated,
            "s3:GetObject",
            OBJECT,
            &json!({}),
        ),
        "Allowed",
    );
    assert!(
        ask("ann", json!("*"), "s3:GetObject")["error"]
            .as_str()
            .unwrap()
            .contains("`ann`")
    );
}

#[test]
fn the_owner_of_the_resource() {
    let policies = json!({"identity": [allow()]});
    let queue = "arn:aws:sqs:us-east-1:444455556666:q";
    let ask = |resource: &str, more: Value| case(&policies, USER, "sqs:SendMessage", resource, &more);
    decided(&ask(queue, json!({})), "ImplicitlyDenied");
    decided(&ask(queue, json!({"resourceAccount": null})), "ImplicitlyDenied");
    decided(&ask(queue, json!({"resourceAccount": "111122223333"})), "Allowed");
    decided(&ask(OBJECT, json!({})), "Allowed");
    decided(
        &ask(OBJECT, json!({"resourceAccount": "444455556666"})),
        "ImplicitlyDenied",
    );
    decided(&ask("*", json!({})), "Allowed");
    assert!(ask(OBJECT, json!({"resourceAccount": "12"}))["error"].is_string());
}

#[test]
fn trust_and_key_policies_are_always_needed() {
    let policies = json!({"identity": [allow()]});
    let role = "arn:aws:iam::111122223333:role/target";
    decided(
        &case(&policies, USER, "sts:AssumeRole", role, &json!({})),
        "ImplicitlyDenied",
    );
    decided(
        &case(&policies, USER, "sts:GetCallerIdentity", "*", &json!({})),
        "Allowed",
    );
    let key = "arn:aws:kms:us-east-1:111122223333:key/1";
    decided(
        &case(&policies, USER, "kms:Decrypt", key, &json!({})),
        "ImplicitlyDenied",
    );
    let policies = json!({"identity": [allow()], "resource": of(&json!({"AWS": "111122223333"}), "Allow")});
    decided(&case(&policies, USER, "kms:Decrypt", key, &json!({})), "Allowed");
    // With `Resource`, as recorded cases have it.
    decided(&case(&policies, USER, "sts:AssumeRole", role, &json!({})), "Allowed");
}

#[test]
fn the_context_is_what_the_case_says() {
    let policy = |operator: &str, key: &str, values: Value| {
        json!({"identity": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                             "Condition": {operator: {key: values}}}}]})
    };
    let ask =
        |policies: Value, context: Value| case(&policies, USER, "s3:GetObject", OBJECT, &json!({"context": context}));
    decided(
        &ask(
            policy("Bool", "aws:SecureTransport", json!("true")),
            json!({"AWS:securetransport": true}),
        ),
        "Allowed",
    );
    // A number keeps its digits.
    let big = r#"{"policies":{"identity":[{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"k":9007199254740993}}}}]},
        "request":{"principal":"111122223333","action":"a:b","resource":"*","context":{"k":9007199254740992}}}"#;
    let line = big
        .replace("\"111122223333\"", &format!("\"{USER}\""))
        .replace('\n', " ");
    decided(&answer(&line), "ImplicitlyDenied");
    decided(&answer(&line.replace("992", "993")), "Allowed");
    decided(
        &ask(
            policy("ForAnyValue:StringEquals", "aws:TagKeys", json!("b")),
            json!({"aws:TagKeys": ["a", "b"]}),
        ),
        "Allowed",
    );
    decided(
        &ask(
            policy("StringEquals", "aws:TagKeys", json!("b")),
            json!({"aws:TagKeys": ["b"]}),
        ),
        "ImplicitlyDenied",
    );
    // Nothing is added to the request.
    decided(
        &ask(policy("Null", "aws:PrincipalArn", json!("true")), json!({})),
        "Allowed",
    );
    decided(
        &ask(policy("Null", "aws:PrincipalArn", json!("true")), Value::Null),
        "Allowed",
    );
    let twice = ask(policy("Null", "k", json!("true")), json!({"K": 1, "k": 2}));
    assert!(twice["error"].as_str().unwrap().contains("there twice"), "{twice}");
    assert_eq!(twice["id"], "c");
}

#[test]
fn documents_that_are_none() {
    for (policies, problem) in [
        (
            json!({"identity": [allow(), {"Statement": []}]}),
            "`identity[1]`: line 1, column 1",
        ),
        (json!({"identity": ["{"]}), "`identity[0]`: line 1, column 2: not JSON"),
        (json!({"identity": [null]}), "`identity[0]`"),
        (json!({"identity": [7]}), "`identity[0]`"),
        (
            json!({"boundary": [allow(), allow()]}),
            "`boundary`: more than one document",
        ),
        (json!({"boundary": [[]]}), "`boundary`: line 1, column 1"),
        (json!({"scp": [[allow()], [{}]]}), "`scp[1][0]`"),
        (json!({"rcp": [[{"Statement": [1]}]]}), "`rcp[0][0]`"),
        (json!({"vpce": [{}]}), "`vpce[0]`"),
        (json!({"identity": {}}), "`identity[0]`"),
        (json!([]), "`policies`"),
    ] {
        let answer = user(&policies);
        assert!(answer["decision"].is_null(), "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(problem),
            "{problem}: {answer}"
        );
    }
    let twice = r#"{"id":7,"policies":{"identity":[{"Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}]},
        "request":{"principal":"anonymous","action":"a:b","resource":"*"}}"#;
    let answer = answer(twice);
    assert_eq!(answer["id"], 7);
    assert!(
        answer["error"].as_str().unwrap().contains("`Effect` stands twice"),
        "{answer}"
    );
}

#[test]
fn documents_that_iam_would_not_take() {
    let mut held = of(&json!("*"), "Allow");
    let answer = user(&json!({"identity": held}));
    decided(&answer, "Allowed");
    assert_eq!(
        answer["reason"],
        "because statement 1 of identity[0], line 1, column 38 allows the s3:GetObject action; IAM would refuse \
         `identity[0]`: line 1, column 56: `Principal` is not allowed in an identity-based policy"
    );
    let stranger = json!({"AWS": "arn:aws:iam::111122223333:user/bob"});
    decided(&user(&json!({"identity": of(&stranger, "Allow")})), "ImplicitlyDenied");
    decided(
        &user(&json!({"identity": [of(&stranger, "Deny"), allow()]})),
        "ExplicitlyDenied",
    );
    // About nobody, whatever the effect; its siblings count.
    decided(&user(&json!({"resource": allow()})), "ImplicitlyDenied");
    decided(&user(&json!({"resource": deny(), "identity": [allow()]})), "Allowed");
    held["Statement"]
        .as_array_mut()
        .unwrap()
        .push(deny()["Statement"][0].clone());
    decided(&user(&json!({"resource": held})), "Allowed");
    // A bare ARN.
    decided(&user(&json!({"resource": of(&json!(USER), "Allow")})), "Allowed");
    // An empty control policy allows nothing.
    let empty = json!({"Version": "2012-10-17", "Statement": []});
    decided(
        &user(&json!({"identity": [allow()], "scp": [[empty]]})),
        "ImplicitlyDenied",
    );
    decided(&user(&json!({"identity": [allow()], "rcp": [[empty]]})), "Allowed");
    // One for many, many for one.
    let policies = json!({"identity": allow(), "boundary": [allow()], "session": [other(), allow()], "scp": [allow()],
                          "vpce": allow(), "resource": []});
    decided(&user(&policies), "Allowed");
}

#[test]
fn requests_that_are_none() {
    let ask = |principal: &str, action: &str, resource: &str| case(&json!({}), principal, action, resource, &json!({}));
    for (answer, problem) in [
        (ask("", "a:b", "*"), "`principal`"),
        (ask(USER, "", "*"), "`action`"),
        (ask(USER, "a:b", ""), "`resource`"),
        (ask(USER, "a", "*"), "`a` is no action"),
        (ask(USER, "s3:*", "*"), "without wildcards"),
        (ask(USER, "a:b", &"x".repeat(9000)), "longer than 8192"),
        (answer(r#"{"id":"c"}"#), "`principal`"),
    ] {
        assert!(
            answer["error"].as_str().unwrap().contains(problem),
            "{problem}: {answer}"
        );
    }
}

#[test]
fn ids_come_back_letter_by_letter() {
    for id in [
        "\"a\\u0062\\/\"",
        "1",
        "-0.10",
        "1e5",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\ud800\"",
        "\"\u{2028}ü\"",
    ] {
        for rest in [
            "",
            ",\"request\":{\"principal\":\"anonymous\",\"action\":\"a:b\",\"resource\":\"*\"}",
        ] {
            let mut answers = String::new();
            Simulator::new().answer(format!("{{\"id\": {id} {rest}}}").as_bytes(), &mut answers);
            assert!(answers.starts_with(&format!("{{\"id\":{id},")), "{answers}");
        }
    }
    let request = r#""request":{"principal":"anonymous","action":"a:b","resource":"*"}"#;
    for id in ["true", "[]", "{}"] {
        let answer = answer(&format!("{{\"id\":{id},{request}}}"));
        assert!(answer["id"].is_null() && answer["error"].is_string(), "{answer}");
    }
    for start in ["{", "{\"id\":null,"] {
        let answer = answer(&format!("{start}{request}}}"));
        assert!(
            answer["id"].is_null() && answer["decision"] == "ImplicitlyDenied",
            "{answer}"
        );
    }
}

#[test]
fn a_profile_of_ones_own() {
    let case = json!({"policies": {"identity": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*",
                       "Resource": "*", "Condition": {"StringEquals": {"aws:TagKeys": "a"}}}}]},
                      "request": {"principal": USER, "action": "s3:GetObject", "resource": OBJECT,
                                  "context": {"aws:TagKeys": ["a"]}}});
    let mut profile = Profile::AWS;
    profile.lists_need_a_set_qualifier = false;
    let mut answers = String::new();
    Simulator::with_profile(profile).answer(case.to_string().as_bytes(), &mut answers);
    decided(&serde_json::from_str(&answers).unwrap(), "Allowed");
    // Who owns a resource that nobody is known to own is asked of no single policy.
    let case = json!({"policies": {"identity": [allow()]},
                      "request": {"principal": USER, "action": "s3:GetObject", "resource": OBJECT}});
    let mut profile = Profile::AWS;
    profile.unknown_account_is_the_callers = false;
    answers.clear();
    Simulator::with_profile(profile).answer(case.to_string().as_bytes(), &mut answers);
    decided(&serde_json::from_str(&answers).unwrap(), "ImplicitlyDenied");
}

#[test]
fn what_belongs_to_aws() {
    let ask = |policies: Value, action: &str| {
        case(
            &policies,
            USER,
            action,
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            &json!({"resourceAccount": "aws"}),
        )
    };
    decided(
        &ask(json!({"identity": [allow()]}), "iam:DeletePolicy"),
        "ImplicitlyDenied",
    );
    decided(&ask(json!({"identity": [allow()]}), "iam:GetPolicy"), "Allowed");
    decided(
        &ask(json!({"identity": [allow(), deny()]}), "iam:DeletePolicy"),
        "ExplicitlyDenied",
    );
}

#[test]
fn hostile_lines() {
    let mut simulator = Simulator::new();
    let mut ask = |line: &[u8]| {
        let mut answers = String::new();
        simulator.answer(line, &mut answers);
        let answer: Value = serde_json::from_str(&answers).unwrap();
        assert!(answer["error"].is_string(), "{answer}");
        answer
    };
    assert_eq!(ask(b"{\"id\":\"x\",\"y\":\"\xff\"}")["id"], "x");
    assert!(ask(b"{\"id\":\"\xff\"}")["id"].is_null());
    assert!(ask(b"\0")["id"].is_null());
    assert!(
        ask(b"{\"id\":1,\"x\":\"\0\"}")["error"]
            .as_str()
            .unwrap()
            .contains("control character")
    );
    assert!(ask(&b"[".repeat(1_000_000))["id"].is_null());
    assert_eq!(
        ask(&[b"{\"id\":5,\"policies\":".as_slice(), &b"[".repeat(1_000_000)].concat())["id"],
        5
    );
    let long = [b"{\"id\":6,\"x\":\"".as_slice(), &b"y".repeat(MAX_LINE)].concat();
    let answer = ask(&long);
    assert_eq!(answer["id"], 6);
    assert!(
        answer["error"].as_str().unwrap().contains("longer than 8388608"),
        "{answer}"
    );
    let name = "n".repeat(1_000_000);
    let answer = ask(format!("{{\"{name}\":1,\"{name}\":2}}").as_bytes());
    assert!(answer.to_string().len() < 2000);
}

#[test]
fn a_case_does_not_depend_on_those_before_it() {
    let mut simulator = Simulator::new();
    let line = |policy: &Value, place: &str| {
        json!({"policies": {"identity": [policy], place: policy},
               "request": {"principal": USER, "action": "s3:GetObject", "resource": OBJECT}})
        .to_string()
    };
    let lines = [
        line(&allow(), "boundary"),
        line(&deny(), "session"),
        line(&other(), "boundary"),
    ];
    for line in lines.iter().chain(lines.iter().rev()) {
        let (mut kept, mut fresh) = (String::new(), String::new());
        simulator.answer(line.as_bytes(), &mut kept);
        Simulator::new().answer(line.as_bytes(), &mut fresh);
        assert_eq!(kept, fresh);
    }
}

proptest::proptest! {
    #[test]
    fn any_line_has_one_answer(line in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut answers = String::new();
        Simulator::new().answer(&line, &mut answers);
        let answer: Value = serde_json::from_str(&answers).unwrap();
        assert!(answer["error"].is_string());
    }
}
