//! What `irsa webhook policy` prints, run by the admission plugins of a Kubernetes API server 1.36, beside what the webhook does with the same pods.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{ControlPlane, binary, finish};
use irsa_webhook::{
    RoleArnCheck, SessionName, Settings, WindowsDetection, apply, identity_of, is_opted_out, mutate,
    policy::{FAIL_CLOSED_LABEL, PolicyOptions, policy_objects},
};
use proptest::{prelude::*, sample::select, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value, json};

const FOLDER: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
const ROLE: &str = "arn:aws:iam::111122223333:role/s3-reader";

/// What became of each pod; `Err`: why it was refused.
fn admit(settings: &Settings, accounts: &[Value], pods: &[Value]) -> Result<Vec<Result<Value, String>>> {
    let clients =
        std::env::var_os("IRSA_CONFORMANCE_CLIENTS").context("IRSA_CONFORMANCE_CLIENTS names no folder of clients")?;
    let objects = policy_objects(settings, &PolicyOptions::default());
    let input = json!({"objects": objects, "accounts": accounts, "pods": pods}).to_string();
    let mut child = Command::new(PathBuf::from(clients).join("policy-plugins"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the admission plugins are not built: `cargo xtask clients` does that")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // The input is read to its end before anything is written.
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the plugins end with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let mut answers = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut answer: Value = serde_json::from_str(line)?;
        answers.push(match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["pod"].take()),
        });
    }
    ensure!(
        answers.len() == pods.len(),
        "{} answers for {} pods",
        answers.len(),
        pods.len()
    );
    Ok(answers)
}

/// What the webhook makes of the pod, as the API server then has it; `Err`: it fails closed and lacks something.
fn expected(settings: &Settings, account: &Value, pod: &Value) -> Result<Value, ()> {
    let mut patched = pod.clone();
    if is_opted_out(pod) {
        return Ok(patched);
    }
    if let Some(identity) = identity_of(account, settings).unwrap() {
        apply(&mut patched, &mutate(pod, &identity, settings).patch).unwrap();
    }
    let closed = pod["metadata"]["labels"]
        .get(FAIL_CLOSED_LABEL)
        .is_some_and(|value| value != "false");
    if !closed || pod["metadata"]["namespace"] == "kube-system" {
        return Ok(patched);
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let volumes = list(&patched["spec"]["volumes"]);
    let token = volumes
        .iter()
        .any(|volume| volume["name"] == "aws-iam-token" && volume.get("projected").is_some());
    let annotations = &pod["metadata"]["annotations"];
    let chosen = ["skip-containers", "include-containers"].iter().any(|name| {
        annotations
            .get(format!("{}/{name}", settings.annotation_prefix))
            .is_some()
    });
    let containers = [
        list(&patched["spec"]["containers"]),
        list(&patched["spec"]["initContainers"]),
    ]
    .concat();
    let everywhere = containers.iter().all(|container| {
        list(&container["env"])
            .iter()
            .any(|variable| variable["name"] == "AWS_ROLE_ARN" || variable["name"] == "AWS_WEB_IDENTITY_TOKEN_FILE")
    });
    if token && (settings.account_lists || chosen || everywhere) {
        Ok(patched)
    } else {
        Err(())
    }
}

/// A pod without what the API's types add to it.
fn plain(mut pod: Value) -> Value {
    pod.as_object_mut().unwrap().remove("status");
    for key in ["containers", "initContainers"] {
        for container in pod["spec"]
            .get_mut(key)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            container.as_object_mut().unwrap().remove("resources");
        }
    }
    pod
}

fn variables() -> impl Strategy<Value = Vec<Value>> {
    let names = [
        "A",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_ROLE_SESSION_NAME",
    ];
    let one = (select(names.to_vec()), any::<bool>()).prop_map(|(name, from)| {
        if from {
            json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}})
        } else {
            json!({"name": name, "value": "own"})
        }
    });
    prop::collection::vec(one, 0..4)
}

fn mounts() -> impl Strategy<Value = Vec<Value>> {
    let paths = vec![
        FOLDER.to_owned(),
        format!("{FOLDER}/"),
        format!("{FOLDER}/token"),
        format!("{FOLDER}/token/deeper"),
        format!("{FOLDER}x"),
        format!("{FOLDER}/tokens"),
        "//var/run//secrets/./eks.amazonaws.com/serviceaccount/.".into(),
        "/var/run/secrets/eksXamazonaws.com/serviceaccount".into(),
        "/x".into(),
    ];
    let one = (
        select(vec!["aws-iam-token", "hand-made", "cache"]),
        select(paths),
        prop::option::weighted(0.2, Just("part")),
    );
    let one = one.prop_map(|(name, path, part)| {
        let mut mount = json!({"name": name, "mountPath": path});
        if let Some(part) = part {
            mount["subPath"] = json!(part);
        }
        mount
    });
    prop::collection::vec(one, 0..3)
}

fn volumes() -> impl Strategy<Value = Vec<Value>> {
    let token = |audience: &str, path: &str| json!({"serviceAccountToken": {"audience": audience, "expirationSeconds": 3600, "path": path}});
    let kinds = vec![
        json!({"projected": {"sources": [token("sts.amazonaws.com", "token")]}}),
        json!({"projected": {"sources": [token("vault", "token")]}}),
        json!({"projected": {"sources": [token("sts.amazonaws.com", "other")]}}),
        json!({"projected": {"sources": [token("vault", "other"), token("sts.amazonaws.com", "token")]}}),
        json!({"projected": {"sources": [token("sts.amazonaws.com", "token"), {"configMap": {"name": "x"}}]}}),
        json!({"projected": {"sources": null}}),
        json!({"emptyDir": {}}),
    ];
    let one = prop::option::of(select(kinds));
    [one.clone(), one.clone(), one].prop_map(|kinds| {
        let names = ["cache", "aws-iam-token", "hand-made"];
        let volumes = names.iter().zip(kinds).filter_map(|(name, kind)| {
            let mut volume = kind?;
            volume["name"] = json!(name);
            Some(volume)
        });
        volumes.collect()
    })
}

fn containers(names: &'static [&'static str]) -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec((variables(), mounts()), 0..=names.len()).prop_map(|parts| {
        let containers = names.iter().zip(parts).map(|(name, (env, mounts))| {
            let mut container = json!({"name": name});
            for (key, values) in [("env", env), ("volumeMounts", mounts)] {
                if !values.is_empty() {
                    container[key] = values.into();
                }
            }
            container
        });
        containers.collect()
    })
}

/// Annotations of which each is there or not.
fn annotations(prefix: &'static str, of: Vec<(&'static str, Vec<&'static str>)>) -> impl Strategy<Value = Value> {
    let each: Vec<_> = of
        .into_iter()
        .map(|(name, values)| prop::option::weighted(0.4, select(values)).prop_map(move |value| (name, value)))
        .collect();
    each.prop_map(move |chosen| {
        let chosen = chosen
            .into_iter()
            .filter_map(|(name, value)| Some((format!("{prefix}/{name}"), json!(value?))));
        Value::Object(chosen.collect())
    })
}

const LISTS: [&str; 13] = [
    "a",
    "a,b",
    "\"a\",b",
    "\"c,d\",a",
    "\"",
    "x",
    "",
    "a, b",
    "\n\na\nb",
    "a\r\nb",
    "b\r",
    "a\"b,a",
    "\"a\"\"b\",b",
];
const SECONDS: [&str; 13] = [
    "3600",
    "599",
    "-1",
    "+700",
    "1e9",
    "",
    " 3600",
    "100000",
    "4294967296",
    "4294967297",
    "000601",
    "999999999999999999",
    "x",
];

fn pod(prefix: &'static str) -> impl Strategy<Value = Value> {
    let own = vec![
        ("token-expiration", SECONDS.to_vec()),
        ("skip-containers", LISTS.to_vec()),
        ("include-containers", LISTS.to_vec()),
    ];
    let labels = vec![
        json!(null),
        json!(null),
        json!({FAIL_CLOSED_LABEL: "true"}),
        json!({FAIL_CLOSED_LABEL: "false"}),
        json!({"eks.amazonaws.com/skip-pod-identity-webhook": ""}),
    ];
    let term =
        |values: Value| json!({"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": values}]});
    let affinity = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    let systems = vec![
        json!({}),
        json!({}),
        json!({"nodeSelector": {"kubernetes.io/os": "windows"}}),
        json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}),
        json!({"nodeSelector": {"kubernetes.io/os": "linux"}}),
        json!({"os": {"name": "windows"}}),
        affinity(json!([term(json!(["windows"]))])),
        affinity(json!([term(json!(["windows"])), term(json!(["windows", "linux"]))])),
        affinity(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}])),
    ];
    let parts = (
        containers(&["a", "b", "e"]),
        containers(&["c", "d"]),
        volumes(),
        annotations(prefix, own),
        select(labels),
        select(systems),
    );
    parts.prop_map(|(containers, init_containers, volumes, annotations, labels, system)| {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": system});
        for (key, values) in [("initContainers", init_containers), ("volumes", volumes)] {
            if !values.is_empty() {
                pod["spec"][key] = values.into();
            }
        }
        pod["spec"]["containers"] = if containers.is_empty() {
            json!([{"name": "a"}])
        } else {
            containers.into()
        };
        if annotations
            .as_object()
            .is_some_and(|annotations| !annotations.is_empty())
        {
            pod["metadata"]["annotations"] = annotations;
        }
        if !labels.is_null() {
            pod["metadata"]["labels"] = labels;
        }
        pod
    })
}

fn account(prefix: &'static str) -> impl Strategy<Value = Value> {
    let others = vec![
        ("audience", vec!["sts.amazonaws.com", "vault", ""]),
        ("sts-regional-endpoints", vec!["true", "F", "yes", ""]),
        ("token-expiration", SECONDS.to_vec()),
        ("region", vec!["eu-west-1", "cn-north-1", "BAD", ""]),
        ("skip-containers", LISTS.to_vec()),
        ("include-containers", LISTS.to_vec()),
    ];
    let roles = vec![
        Some(ROLE),
        Some(ROLE),
        Some(ROLE),
        Some("team/app"),
        Some("arn:aws-cn:iam::111122223333:role/x"),
        Some("no role\n"),
        Some(""),
        None,
    ];
    (annotations(prefix, others), select(roles)).prop_map(move |(mut annotations, role)| {
        if let Some(role) = role {
            annotations[format!("{prefix}/role-arn")] = json!(role);
        }
        json!({"metadata": {"annotations": annotations}})
    })
}

/// Puts pods to both; the first is one that is changed.
fn compare(settings: &Settings, prefix: &'static str, cases: usize) -> Result<()> {
    let mut runner = TestRunner::deterministic();
    let mut accounts = vec![json!({"metadata": {"annotations": {format!("{prefix}/role-arn"): ROLE}}})];
    let mut pods = vec![json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}})];
    for _ in 0..cases {
        accounts.push(account(prefix).new_tree(&mut runner).unwrap().current());
        pods.push(pod(prefix).new_tree(&mut runner).unwrap().current());
    }
    for (number, (account, pod)) in accounts.iter_mut().zip(&mut pods).enumerate() {
        // A few accounts to a namespace, for the policy to find the right one.
        let namespace = if number % 16 == 15 {
            "kube-system".to_owned()
        } else {
            format!("n{}", number / 4)
        };
        let name = format!("s{number}");
        pod["metadata"]["namespace"] = json!(namespace);
        pod["spec"]["serviceAccountName"] = json!(name);
        account["metadata"]["namespace"] = json!(namespace);
        account["metadata"]["name"] = json!(name);
    }
    let answers = admit(settings, &accounts, &pods)?;
    let (mut changed, mut refused) = (0, 0);
    for ((account, pod), answer) in accounts.iter().zip(&pods).zip(answers) {
        match (expected(settings, account, pod), answer) {
            (Ok(expected), Ok(found)) => {
                changed += usize::from(expected != *pod);
                assert_eq!(plain(found), plain(expected), "account {account}\npod {pod}");
            }
            (Err(()), Err(error)) => {
                refused += 1;
                assert!(error.contains("the pod is to fail closed"), "{error}");
            }
            (expected, found) => panic!("expected {expected:?}\nfound {found:?}\naccount {account}\npod {pod}"),
        }
    }
    assert!(
        changed > cases / 5 && refused > 0,
        "{changed} were changed and {refused} refused of {cases}"
    );
    Ok(())
}

#[test]
fn the_policy_does_what_the_webhook_does() -> Result<()> {
    compare(&Settings::default(), "eks.amazonaws.com", 400)
}

#[test]
fn the_policy_does_what_the_webhook_does_with_every_setting() -> Result<()> {
    let settings = Settings {
        annotation_prefix: "irsa.example".into(),
        token_audience: "other \"audience\"".into(),
        token_mount_path: "/var//run/secrets/./eks.amazonaws.com/serviceaccount/".into(),
        token_expiration_seconds: 5,
        max_token_expiration_seconds: 50_000,
        default_region: Some("eu-central-1".into()),
        regional_sts: true,
        role_arn_prefix: Some("arn:aws:iam::111122223333:role/".into()),
        role_arn_check: RoleArnCheck::Refuse,
        windows_detection: WindowsDetection::Declared,
        account_lists: true,
        session_name: SessionName::Pod,
        ..Settings::default()
    };
    compare(&settings, "irsa.example", 400)
}

#[test]
fn a_pod_of_a_thousand_containers_is_within_the_budget() -> Result<()> {
    let settings = Settings::default();
    let accounts =
        [json!({"metadata": {"name": "s", "namespace": "app", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}})];
    let pod = |containers: usize, variables: usize| {
        let env: Vec<Value> = (0..variables)
            .map(|number| json!({"name": format!("V{number}"), "value": "x"}))
            .collect();
        let containers: Vec<Value> = (0..containers)
            .map(|number| json!({"name": format!("c{number}"), "env": env}))
            .collect();
        json!({"metadata": {"name": "p", "namespace": "app"}, "spec": {"serviceAccountName": "s", "containers": containers}})
    };
    for (containers, variables) in [(10, 50), (100, 50), (1000, 10)] {
        let pods = [pod(1, 1), pod(containers, variables)];
        let answer = admit(&settings, &accounts, &pods)?.remove(1);
        let expected = expected(&settings, &accounts[0], &pods[1]).unwrap();
        assert_eq!(
            answer.map(plain),
            Ok(plain(expected)),
            "{containers} containers with {variables} variables"
        );
    }
    Ok(())
}

/// In a cluster that has such policies; older ones must at least say that they have none, instead of taking half of it.
#[tokio::test]
async fn a_cluster_with_the_policy_needs_no_webhook() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    let policy = finish(Command::new(binary()?).args(["webhook", "policy"]))?;
    ensure!(policy.code == Some(0), "`irsa webhook policy` says {}", policy.stderr);
    let applied = control_plane.apply(&policy.stdout);
    if control_plane.version() < (1, 36) {
        let error = applied
            .err()
            .context("a server that is too old took the policy")?
            .to_string();
        assert!(error.contains("MutatingAdmissionPolicy"), "{error}");
        return Ok(());
    }
    applied?;
    control_plane.namespace("app")?;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "reader", "namespace": "app", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}});
    control_plane.apply(&account.to_string())?;
    let pod = |name: &str, account: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "app"},
            "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "x"}]}})
    };
    // The policy is in force when the API server's own watches have shown it.
    let started = std::time::Instant::now();
    for number in 0.. {
        let name = format!("reader-{number}");
        control_plane.apply(&pod(&name, "reader").to_string())?;
        let made: Value =
            serde_json::from_str(&control_plane.must(&["get", "pod", &name, "-n", "app", "-o", "json"])?)?;
        let env = &made["spec"]["containers"][0]["env"];
        if *env
            == json!([{"name": "AWS_ROLE_ARN", "value": ROLE}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": format!("{FOLDER}/token")}])
        {
            break;
        }
        ensure!(
            started.elapsed().as_secs() < 60,
            "the policy does not come into force: {made}"
        );
    }
    control_plane.apply(&pod("other", "default").to_string())?;
    let other = control_plane.must(&["get", "pod", "other", "-n", "app", "-o", "json"])?;
    assert!(
        !other.contains("AWS_ROLE_ARN") && !other.contains("aws-iam-token"),
        "{other}"
    );
    Ok(())
}
