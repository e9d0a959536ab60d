use super::*;
use crate::{RoleArnCheck, WindowsDetection, identity_of};

mod collisions;
mod env_from;

const ROLE: &str = "arn:aws:iam::111122223333:role/s3-reader";
const TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
const FOLDER: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount";

fn role() -> Identity {
    Identity::new(ROLE, &Settings::default())
}

fn run(pod: &Value) -> Mutation {
    mutate(pod, &role(), &Settings::default())
}

fn operations(mutation: &Mutation) -> Value {
    serde_json::to_value(&mutation.patch).unwrap()
}

fn patched(pod: &Value, mutation: &Mutation) -> Value {
    let mut pod = pod.clone();
    apply(&mut pod, &mutation.patch).unwrap();
    pod
}

fn pod(container: &Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}})
}

fn token_volume(name: &str, audience: &str) -> Value {
    json!({"name": name, "projected": {"sources": [
        {"serviceAccountToken": {"audience": audience, "expirationSeconds": 86400, "path": "token"}}]}})
}

fn token_mount() -> Value {
    json!({"name": "aws-iam-token", "readOnly": true, "mountPath": FOLDER})
}

/// Names of a container's variables after the mutation.
fn variables(pod: &Value, list: &str, index: usize) -> Vec<String> {
    let env = pod["spec"][list][index]["env"].as_array().cloned().unwrap_or_default();
    env.iter()
        .map(|variable| variable["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_documents_deployment_pod() {
    let service_account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "s3-reader", "namespace": "app",
            "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/S3ReadRole"}},
    });
    let pod = json!({
        "metadata": {"labels": {"app": "reader"}},
        "spec": {"serviceAccountName": "s3-reader", "containers": [
            {"name": "app", "image": "amazonlinux", "command": ["sh", "-c", "aws s3 ls s3://my-bucket"]}]},
    });
    let settings = Settings::default();
    let identity = identity_of(&service_account, &settings).unwrap().unwrap();
    let mutation = mutate(&pod, &identity, &settings);
    assert_eq!((mutation.decision, &mutation.warnings), (Decision::Injected, &vec![]));
    insta::assert_snapshot!("seed_deployment_patch", format!("{:#}", mutation.patch));
    insta::assert_snapshot!(
        "seed_deployment_pod",
        serde_json::to_string_pretty(&patched(&pod, &mutation)).unwrap()
    );
}

#[test]
fn everything_at_once_in_the_references_order() {
    let settings = Settings {
        default_region: Some("us-west-2".into()),
        regional_sts: true,
        ..Settings::default()
    };
    let pod = json!({"spec": {
        "volumes": [{"name": "mine"}],
        "initContainers": [{"name": "setup", "restartPolicy": "Always", "env": null}],
        "containers": [{"name": "a", "env": [{"name": "X", "value": "1"}], "volumeMounts": [{"name": "mine", "mountPath": "/m"}]},
                       {"name": "b"}],
    }});
    let mutation = mutate(&pod, &Identity::new(ROLE, &settings), &settings);
    insta::assert_snapshot!("all_variables_patch", format!("{:#}", mutation.patch));
    let all = [
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    let injected = Outcome::Injected {
        variables: all.to_vec(),
        mount: true,
    };
    assert!(
        mutation
            .containers
            .iter()
            .all(|container| container.outcome == injected),
        "{:?}",
        mutation.containers
    );
    assert_eq!(mutation.containers[2].list, ContainerList::InitContainers);
    let result = patched(&pod, &mutation);
    assert_eq!(result["spec"]["initContainers"][0]["restartPolicy"], "Always");
    assert_eq!(result["spec"]["volumes"][0]["name"], "aws-iam-token");
}

#[test]
fn volumes_absent_null_empty() {
    for (volumes, path) in [
        (None, "/spec/volumes"),
        (Some(json!(null)), "/spec/volumes"),
        (Some(json!([])), "/spec/volumes/0"),
    ] {
        let mut pod = pod(&json!({"name": "a"}));
        if let Some(volumes) = volumes {
            pod["spec"]["volumes"] = volumes;
        }
        let mutation = run(&pod);
        assert_eq!(operations(&mutation)[0]["path"], path);
        assert_eq!(
            patched(&pod, &mutation)["spec"]["volumes"],
            json!([token_volume("aws-iam-token", "sts.amazonaws.com")])
        );
    }
}

#[test]
fn what_a_container_sets_itself_stays() {
    let settings = Settings {
        default_region: Some("us-west-2".into()),
        regional_sts: true,
        ..Settings::default()
    };
    let sts = "AWS_STS_REGIONAL_ENDPOINTS";
    let (region, default_region) = ("AWS_REGION", "AWS_DEFAULT_REGION");
    let (arn, file) = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE");
    let cases: [(&[&str], &[&str], bool); 7] = [
        (&[], &[sts, default_region, region, arn, file], true),
        (&[sts], &[default_region, region, arn, file], true),
        (&[region], &[sts, arn, file], true),
        (&[default_region, sts], &[arn, file], true),
        (&[arn, file], &[sts, default_region, region], true),
        // One credential variable is enough to be left alone in that respect.
        (&[arn], &[sts, default_region, region], true),
        // Credentials, region and STS endpoint: left alone wholly, without a mount.
        (&[file, default_region, sts], &[], false),
    ];
    for (own, added, mounted) in cases {
        // `valueFrom` counts as much as `value`.
        let env: Vec<Value> = own.iter().map(|name| json!({"name": name, "valueFrom": {}})).collect();
        let pod = pod(&json!({"name": "a", "env": env}));
        let mutation = mutate(&pod, &Identity::new(ROLE, &settings), &settings);
        let result = patched(&pod, &mutation);
        let expected: Vec<&str> = own.iter().chain(added).copied().collect();
        assert_eq!(variables(&result, "containers", 0), expected, "{own:?}");
        assert_eq!(
            result["spec"]["containers"][0].get("volumeMounts").is_some(),
            mounted,
            "{own:?}"
        );
        // The volume is there in any case, as with the reference.
        assert_eq!(result["spec"]["volumes"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_half_set_pair_is_never_completed_with_our_half_and_always_warned_of() {
    for (present, missing) in [
        ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ] {
        let pod = pod(&json!({"name": "a", "env": [{"name": present, "value": "own"}]}));
        let mutation = run(&pod);
        assert_eq!(variables(&patched(&pod, &mutation), "containers", 0), [present]);
        assert_eq!(
            mutation.warnings,
            [Warning::HalfCredentials {
                container: "a".into(),
                present,
                missing
            }]
        );
    }
}

#[test]
fn env_from_cannot_hide_a_half() {
    let pod = pod(&json!({"name": "a", "envFrom": [{"configMapRef": {"name": "has-aws-role-arn"}}]}));
    let result = patched(&pod, &run(&pod));
    assert_eq!(
        variables(&result, "containers", 0),
        ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]
    );
}

#[test]
fn fields_from_the_future_stay() {
    let pod = json!({
        "spec": {"newList": [1, {"deep": null}], "containers": [
            {"zeta": 1, "name": "a", "restartPolicy": "Always", "readinessProbe": {"grpc": {"port": 1}}, "alpha": {}}]},
        "status": {}, "unknown": {"x": 1.50},
    });
    let text = serde_json::to_string(&patched(&pod, &run(&pod))).unwrap();
    for kept in [
        r#""newList":[1,{"deep":null}]"#,
        r#"{"zeta":1,"name":"a","restartPolicy":"Always","readinessProbe":{"grpc":{"port":1}},"alpha":{},"env":["#,
        r#""status":{},"unknown":{"x":1.5}"#,
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[test]
fn a_second_run_reaches_only_a_new_sidecar() {
    let pod = pod(&json!({"name": "a"}));
    let mut once = patched(&pod, &run(&pod));
    assert_eq!(operations(&run(&once)), json!([]));
    assert_eq!(run(&once).decision, Decision::Unchanged);
    once["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "sidecar"}));
    let mutation = run(&once);
    assert!(
        mutation
            .patch
            .iter()
            .all(|operation| operation.path().as_str().starts_with("/spec/containers/0/"))
    );
    let twice = patched(&once, &mutation);
    assert_eq!(
        twice["spec"]["containers"][0]["env"],
        twice["spec"]["containers"][1]["env"]
    );
}

#[test]
fn token_expiration_of_the_pod() {
    for (annotation, expected, warns) in [
        (json!("3600"), 3600, false),
        (json!("0"), 600, true),
        (json!("-9223372036854775809"), 7200, true),
        (json!("1e9"), 7200, true),
        (json!("99999999999"), 4_294_967_296_i64, true),
        (json!(3600), 7200, true),
    ] {
        let mut pod = pod(&json!({"name": "a"}));
        pod["metadata"]["annotations"] = json!({"eks.amazonaws.com/token-expiration": annotation});
        let identity = Identity {
            token_expiration_seconds: 7200,
            ..role()
        };
        let mutation = mutate(&pod, &identity, &Settings::default());
        let token = &operations(&mutation)[0]["value"][0]["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(token["expirationSeconds"], expected, "{annotation}");
        assert_eq!(!mutation.warnings.is_empty(), warns, "{annotation}");
    }
}

#[test]
fn an_identity_from_elsewhere_keeps_the_limits() {
    for (seconds, expected) in [(100, 600), (i64::MAX, 4_294_967_296_i64)] {
        let identity = Identity {
            token_expiration_seconds: seconds,
            ..role()
        };
        let mutation = mutate(&pod(&json!({})), &identity, &Settings::default());
        let token = &operations(&mutation)[0]["value"][0]["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(token["expirationSeconds"], expected);
    }
}

#[test]
fn an_empty_audience_is_left_out() {
    let identity = Identity {
        audience: String::new(),
        ..role()
    };
    let pod = pod(&json!({"name": "a"}));
    let mutation = mutate(&pod, &identity, &Settings::default());
    let token = &operations(&mutation)[0]["value"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token, &json!({"expirationSeconds": 86400, "path": "token"}));
    let once = patched(&pod, &mutation);
    assert_eq!(
        mutate(&once, &identity, &Settings::default()).decision,
        Decision::Unchanged
    );
}

#[test]
fn skipped_containers() {
    let cases: [(&str, &[bool], usize); 10] = [
        ("a", &[true, false, false], 0),
        ("a,c", &[true, false, true], 0),
        ("a, c", &[true, false, false], 1),
        ("\"b,x\"", &[false, true, false], 0),
        ("a,a,a", &[true, false, false], 0),
        ("*", &[false, false, false], 1),
        ("A", &[false, false, false], 1),
        ("", &[false, false, false], 0),
        ("\"a", &[false, false, false], 1),
        ("zz\na", &[false, false, false], 1),
    ];
    for (list, skipped, warnings) in cases {
        let pod = json!({
            "metadata": {"annotations": {"eks.amazonaws.com/skip-containers": list}},
            "spec": {"containers": [{"name": "a"}, {"name": "b,x"}], "initContainers": [{"name": "c"}]},
        });
        let mutation = run(&pod);
        let outcomes: Vec<bool> = mutation
            .containers
            .iter()
            .map(|container| container.outcome == Outcome::Skipped)
            .collect();
        assert_eq!(outcomes, skipped, "{list}");
        assert_eq!(mutation.warnings.len(), warnings, "{list}: {:?}", mutation.warnings);
        let result = patched(&pod, &mutation);
        assert_eq!(
            result["spec"]["containers"][0] == pod["spec"]["containers"][0],
            skipped[0],
            "{list}"
        );
    }
}

#[test]
fn paths_are_cleaned_for_variables_but_not_for_mounts() {
    let settings = Settings {
        token_mount_path: "/var//creds/".into(),
        ..Settings::default()
    };
    let pod = pod(&json!({"name": "a"}));
    let mutation = mutate(&pod, &role(), &settings);
    let container = &patched(&pod, &mutation)["spec"]["containers"][0];
    assert_eq!(container["env"][1]["value"], "/var/creds/token");
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/var//creds/");
}

#[test]
fn windows_pods() {
    let affinity = |operator: &str, values: Value| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/os", "operator": operator, "values": values}]}]}}}})
    };
    // Specification, by node selector alone, by anything declared.
    let cases = [
        (json!({"nodeSelector": {"kubernetes.io/os": "windows"}}), true, true),
        (
            json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}),
            true,
            true,
        ),
        (json!({"nodeSelector": {"kubernetes.io/os": "linux"}}), false, false),
        (json!({"nodeSelector": "windows"}), false, false),
        (json!({"os": {"name": "windows"}}), false, true),
        (json!({"os": {"name": "linux"}}), false, false),
        (affinity("In", json!(["windows"])), false, true),
        (affinity("In", json!(["windows", "linux"])), false, false),
        (affinity("In", json!([])), false, false),
        (affinity("NotIn", json!(["windows"])), false, false),
    ];
    for (spec, selector, declared) in cases {
        for (detection, expected) in [
            (WindowsDetection::NodeSelector, selector),
            (WindowsDetection::Declared, declared),
        ] {
            let mut pod = json!({"spec": spec});
            pod["spec"]["containers"] = json!([{"name": "a"}]);
            let settings = Settings {
                windows_detection: detection,
                ..Settings::default()
            };
            let container = &patched(&pod, &mutate(&pod, &role(), &settings))["spec"]["containers"][0];
            let path = if expected {
                "C:\\var\\run\\secrets\\eks.amazonaws.com\\serviceaccount\\token"
            } else {
                TOKEN
            };
            assert_eq!(container["env"][1]["value"], path, "{spec} {detection:?}");
            assert_eq!(container["volumeMounts"][0]["mountPath"], FOLDER);
        }
    }
}

#[test]
fn bad_role_arns() {
    let identity = Identity {
        role_arn: "arn:aws:iam::123456789012:instance-profile/x\n".into(),
        ..role()
    };
    let pod = pod(&json!({"name": "a"}));
    let lax = mutate(&pod, &identity, &Settings::default());
    assert_eq!(
        patched(&pod, &lax)["spec"]["containers"][0]["env"][0]["value"],
        identity.role_arn
    );
    assert_eq!(
        lax.warnings,
        [Warning::RoleArn {
            role_arn: identity.role_arn.clone()
        }]
    );
    let strict = Settings {
        role_arn_check: RoleArnCheck::Refuse,
        ..Settings::default()
    };
    let refused = mutate(&pod, &identity, &strict);
    assert_eq!(
        (operations(&refused), refused.decision),
        (json!([]), Decision::Refused(Refusal::RoleArn))
    );
    assert_eq!(refused.warnings, lax.warnings);
}

#[test]
fn settings_of_the_token_automount_and_the_network_do_not_matter() {
    let pod =
        json!({"spec": {"automountServiceAccountToken": false, "hostNetwork": true, "containers": [{"name": "a"}]}});
    assert_eq!(run(&pod).decision, Decision::Injected);
}

#[test]
fn ephemeral_containers_are_left_alone() {
    let pod = json!({"spec": {"ephemeralContainers": [{"name": "debug"}], "containers": [{"name": "a"}]}});
    assert_eq!(
        patched(&pod, &run(&pod))["spec"]["ephemeralContainers"],
        pod["spec"]["ephemeralContainers"]
    );
}

#[test]
fn not_a_pod() {
    for (pod, field) in [
        (json!(null), "spec"),
        (json!("pod"), "spec"),
        (json!([]), "spec"),
        (json!({}), "spec"),
        (json!({"spec": []}), "spec"),
        (json!({"spec": {"volumes": {}}}), "spec.volumes"),
        (json!({"spec": {"containers": "x"}}), "spec.containers"),
        (json!({"spec": {"initContainers": 1}}), "spec.initContainers"),
    ] {
        let mutation = run(&pod);
        assert_eq!(
            (operations(&mutation), mutation.decision),
            (json!([]), Decision::Refused(Refusal::Malformed)),
            "{pod}"
        );
        assert_eq!(mutation.warnings, [Warning::Malformed { field: field.into() }]);
    }
}

#[test]
fn a_malformed_container_is_left_alone() {
    let pod = json!({"spec": {"containers": ["x", {"name": "a", "env": {}}, {"name": "b", "volumeMounts": 1}, {"name": "c"}]}});
    let mutation = run(&pod);
    let fields: Vec<String> = mutation.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        fields,
        [
            "`spec.containers[0]` has the wrong type, left alone",
            "`spec.containers[1].env` has the wrong type, left alone",
            "`spec.containers[2].volumeMounts` has the wrong type, left alone",
        ]
    );
    let result = patched(&pod, &mutation);
    assert_eq!(
        result["spec"]["containers"].as_array().unwrap()[..3],
        pod["spec"]["containers"].as_array().unwrap()[..3]
    );
    assert_eq!(variables(&result, "containers", 3).len(), 2);
}

#[test]
fn a_thousand_containers_with_hostile_skip_list() {
    let containers: Vec<Value> = (0..1000).map(|index| json!({"name": format!("c{index}")})).collect();
    let list: Vec<String> = (0..30_000).map(|index| format!("x{index}")).collect();
    let pod = json!({
        "metadata": {"annotations": {"eks.amazonaws.com/skip-containers": list.join(",")}},
        "spec": {"containers": containers},
    });
    let mutation = run(&pod);
    assert_eq!(mutation.patch.len(), 2001);
    assert_eq!(mutation.warnings.len(), 1);
    assert_eq!(run(&patched(&pod, &mutation)).decision, Decision::Unchanged);
}

#[test]
fn opting_out_by_label() {
    let label = |value: Value| json!({"metadata": {"labels": {"eks.amazonaws.com/skip-pod-identity-webhook": value}}});
    assert!(is_opted_out(&label(json!("true"))));
    assert!(is_opted_out(&label(json!(""))));
    assert!(!is_opted_out(&json!({"metadata": {"labels": {}}})));
    assert!(!is_opted_out(&json!([])));
}

mod additions;
