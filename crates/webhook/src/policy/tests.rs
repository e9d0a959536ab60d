use super::*;
use crate::{RoleArnCheck, SessionName, WindowsDetection};

fn every_choice() -> Settings {
    Settings {
        annotation_prefix: "irsa.example".into(),
        token_audience: "other \"audience\"".into(),
        token_mount_path: "/var//creds/".into(),
        token_expiration_seconds: 5,
        max_token_expiration_seconds: 3_600,
        default_region: Some("eu-central-1".into()),
        regional_sts: true,
        role_arn_prefix: Some("arn:aws:iam::111122223333:role/".into()),
        role_arn_check: RoleArnCheck::Refuse,
        windows_detection: WindowsDetection::Declared,
        account_lists: true,
        session_name: SessionName::Pod,
        ..Settings::default()
    }
}

/// Every text under a key, at any depth.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        Value::Object(members) => {
            for (name, member) in members {
                if let (true, Value::String(text)) = (name == key, member) {
                    found.push(text);
                }
                texts(member, key, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_objects_of_the_defaults() {
    let objects = policy_objects(&Settings::default(), &PolicyOptions::default());
    insta::assert_snapshot!(serde_json::to_string_pretty(&objects).unwrap());
}

#[test]
fn the_control_plane_is_never_blocked() {
    let options = PolicyOptions {
        exempt_namespaces: vec!["mine".into()],
        ..PolicyOptions::default()
    };
    let objects = policy_objects(&Settings::default(), &options);
    let exempt = json!(["kube-system", "kube-public", "kube-node-lease", "mine"]);
    let mut failing = 0;
    for policy in &objects {
        if policy["spec"]["failurePolicy"] != "Fail" {
            continue;
        }
        failing += 1;
        let name = &policy["metadata"]["name"];
        let binding = objects
            .iter()
            .find(|object| object["spec"]["policyName"] == *name)
            .unwrap();
        let selected = &binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
        assert_eq!(
            selected,
            &json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": exempt}]),
            "{name}"
        );
    }
    assert_eq!(failing, 2);
    // And yet they get their credentials.
    let exempted = objects
        .iter()
        .find(|object| object["metadata"]["name"] == "pod-identity-webhook-exempt")
        .unwrap();
    assert_eq!(exempted["spec"]["failurePolicy"], "Ignore");
    assert_eq!(exempted["spec"]["mutations"], objects[0]["spec"]["mutations"]);
}

#[test]
fn the_version_is_that_of_the_server() {
    for (version, expected) in [
        (PolicyVersion::V1, "admissionregistration.k8s.io/v1"),
        (PolicyVersion::V1Beta1, "admissionregistration.k8s.io/v1beta1"),
    ] {
        let options = PolicyOptions {
            version,
            ..PolicyOptions::default()
        };
        for object in policy_objects(&Settings::default(), &options) {
            let validating = object["kind"].as_str().unwrap().starts_with("Validating");
            let expected = if validating {
                "admissionregistration.k8s.io/v1"
            } else {
                expected
            };
            assert_eq!(object["apiVersion"], expected, "{}", object["kind"]);
        }
    }
}

#[test]
fn accounts_can_be_narrowed_to_labelled_ones() {
    let options = PolicyOptions {
        account_labels: BTreeMap::from([("irsa.example/bound".to_owned(), "yes".to_owned())]),
        ..PolicyOptions::default()
    };
    let objects = policy_objects(&Settings::default(), &options);
    assert_eq!(
        objects[1]["spec"]["paramRef"],
        json!({"selector": {"matchLabels": {"irsa.example/bound": "yes"}}, "parameterNotFoundAction": "Allow"})
    );
    let all = policy_objects(&Settings::default(), &PolicyOptions::default());
    assert_eq!(all[1]["spec"]["paramRef"]["selector"], json!({}));
}

#[test]
fn what_is_set_stands_in_expressions_as_a_text_and_nothing_else() {
    let hostile = "\"] + [x\\\n' + string(1)";
    let settings = Settings {
        annotation_prefix: hostile.into(),
        token_audience: hostile.into(),
        token_mount_path: hostile.into(),
        default_region: Some(hostile.into()),
        role_arn_prefix: Some(hostile.into()),
        ..every_choice()
    };
    let objects = json!(policy_objects(&settings, &PolicyOptions::default()));
    let mut expressions = Vec::new();
    texts(&objects, "expression", &mut expressions);
    assert!(expressions.len() > 20);
    for expression in expressions {
        assert!(!outside_of_literals(expression).contains("x\\"), "{expression}");
    }
}

/// An expression without what stands in its literals.
fn outside_of_literals(expression: &str) -> String {
    let (mut outside, mut inside, mut characters) = (String::new(), false, expression.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => drop(characters.next()),
            _ if !inside => outside.push(character),
            _ => {}
        }
    }
    assert!(!inside, "a literal has no end: {expression}");
    outside
}

#[test]
fn every_variable_is_there_before_it_is_used() {
    for settings in [Settings::default(), every_choice()] {
        let objects = policy_objects(&settings, &PolicyOptions::default());
        let spec = &objects[0]["spec"];
        let mut known: Vec<&str> = Vec::new();
        let uses = |expression: &str, known: &[&str]| {
            for part in outside_of_literals(expression).split("variables.").skip(1) {
                let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
                assert!(known.contains(&name.as_str()), "`{name}` in {expression}");
            }
        };
        for variable in spec["variables"].as_array().unwrap() {
            uses(variable["expression"].as_str().unwrap(), &known);
            known.push(variable["name"].as_str().unwrap());
        }
        uses(
            spec["mutations"][0]["jsonPatch"]["expression"].as_str().unwrap(),
            &known,
        );
        for condition in spec["matchConditions"].as_array().unwrap() {
            uses(condition["expression"].as_str().unwrap(), &[]);
        }
    }
}
