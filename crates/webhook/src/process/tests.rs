use super::*;
use crate::{Identity, Settings, apply, mutate};

const FOLDER: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
const CONTEXT: PodContext<'static> = PodContext {
    name: "reader-0",
    namespace: "app",
    service_account: "s3-reader",
};

fn process_of(container: &Value) -> Result<LocalProcess, ProcessError> {
    let pod =
        json!({"metadata": {"labels": {"app": "reader"}}, "spec": {"volumes": volumes(), "containers": [container]}});
    local_process(&pod, container, ContainerKind::Main, &CONTEXT)
}

fn volumes() -> Value {
    json!([
        {"name": "aws-iam-token", "projected": {"sources": [
            {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}}]}},
        {"name": "two", "projected": {"sources": [
            {"serviceAccountToken": {"path": "a/b"}}, {"configMap": {}},
            {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600, "path": "./vault"}}]}},
        {"name": "escaping", "projected": {"sources": [{"serviceAccountToken": {"path": "a/../../../etc/passwd"}}]}},
        {"name": "cache", "emptyDir": {}},
    ])
}

fn env_of(env: &Value) -> Result<Vec<(String, String)>, ProcessError> {
    process_of(&json!({"name": "c", "command": ["x"], "env": env})).map(|process| process.env)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_mutated_pod_as_a_process() {
    let mut pod = json!({"spec": {"containers": [{"name": "app", "workingDir": "/code",
        "command": ["sh", "-c", "cat $AWS_WEB_IDENTITY_TOKEN_FILE"], "args": ["$(AWS_WEB_IDENTITY_TOKEN_FILE)"]}]}});
    let settings = Settings::default();
    let identity = Identity::new("arn:aws:iam::123456789012:role/S3ReadRole", &settings);
    let mutation = mutate(&pod, &identity, &settings);
    apply(&mut pod, &mutation.patch).unwrap();
    let mut process = local_processes(&pod, &CONTEXT).unwrap().pop().unwrap();
    process.relocate(Path::new("/tmp/pods/reader-0/")).unwrap();

    let token = format!("/tmp/pods/reader-0{FOLDER}/token");
    assert_eq!(process.argv, ["sh", "-c", "cat $AWS_WEB_IDENTITY_TOKEN_FILE", &token]);
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/S3ReadRole");
    assert_eq!(process.env, pairs(&[role, ("AWS_WEB_IDENTITY_TOKEN_FILE", &token)]));
    assert_eq!(process.working_dir.as_deref(), Some("/code"));
    assert_eq!(
        process.token_mounts.iter().map(TokenMount::path).collect::<Vec<_>>(),
        [token]
    );
    assert_eq!(
        (
            process.token_mounts[0].audience.as_str(),
            process.token_mounts[0].expiration_seconds
        ),
        ("sts.amazonaws.com", 86400)
    );
}

#[test]
fn order_of_start() {
    let command = json!(["x"]);
    let pod = json!({"spec": {
        "containers": [{"name": "app", "command": command}],
        "initContainers": [{"name": "proxy", "command": command, "restartPolicy": "Always"}, {"name": "setup", "command": command}],
    }});
    let order: Vec<(String, ContainerKind)> = local_processes(&pod, &CONTEXT)
        .unwrap()
        .into_iter()
        .map(|process| (process.container, process.kind))
        .collect();
    let expected = [
        ("proxy", ContainerKind::Sidecar),
        ("setup", ContainerKind::Init),
        ("app", ContainerKind::Main),
    ];
    assert_eq!(order, expected.map(|(name, kind)| (name.to_owned(), kind)));
}

#[test]
fn variables_see_the_earlier_ones_and_replace_their_like() {
    let env = env_of(&json!([
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)$$(A)"},
        {"name": "C", "value": "3"},
        {"name": "A", "value": "$(A)2"},
        {"name": "EMPTY"},
        {"name": "NULL", "value": null, "valueFrom": null},
    ]));
    assert_eq!(
        env.unwrap(),
        pairs(&[("A", "12"), ("B", "1$(C)$(A)"), ("C", "3"), ("EMPTY", ""), ("NULL", "")])
    );
}

#[test]
fn arguments_see_all_variables() {
    let container = json!({"command": ["$(A)", "$(A)$(A)"], "args": ["$(NONE)", "$$(A)"], "env": [{"name": "A", "value": "$$(A)"}]});
    assert_eq!(
        process_of(&container).unwrap().argv,
        ["$(A)", "$(A)$(A)", "$(NONE)", "$(A)"]
    );
}

#[test]
fn downward_fields() {
    let field = |path: &str| json!([{"name": "F", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}]);
    for (path, expected) in [
        ("metadata.name", "reader-0"),
        ("metadata.namespace", "app"),
        ("spec.serviceAccountName", "s3-reader"),
        ("metadata.labels['app']", "reader"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['none']", ""),
    ] {
        assert_eq!(env_of(&field(path)).unwrap(), pairs(&[("F", expected)]), "{path}");
    }
    for path in [
        "status.podIP",
        "metadata.uid",
        "metadata.labels",
        "metadata.finalizers['x']",
        "",
    ] {
        let error = env_of(&field(path)).unwrap_err();
        assert!(error.to_string().contains("variable `F`"), "{path}: {error}");
    }
}

#[test]
fn references_that_cannot_be_followed() {
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let reference = |optional: bool| json!([{"name": "A", "value": "1"}, {"name": "S", "valueFrom": {kind: {"name": "x", "key": "y", "optional": optional}}}]);
        assert_eq!(env_of(&reference(true)).unwrap(), pairs(&[("A", "1")]));
        assert_eq!(
            env_of(&reference(false)).unwrap_err().to_string(),
            format!("container `c`: variable `S` takes its value from `{kind}`, which is not available here")
        );
    }
    for source in [
        json!({"resourceFieldRef": {"resource": "limits.cpu"}}),
        json!({"newRef": {}}),
        json!({}),
    ] {
        assert!(
            env_of(&json!([{"name": "S", "valueFrom": source}])).is_err(),
            "{source}"
        );
    }
    // A value beside a reference wins, as in the kubelet.
    assert_eq!(
        env_of(&json!([{"name": "S", "value": "v", "valueFrom": {"newRef": {}}}])).unwrap(),
        pairs(&[("S", "v")])
    );
}

#[test]
fn whole_sets_of_variables() {
    let container = |optional: bool| json!({"name": "c", "command": ["x"], "envFrom": [{"prefix": "P_", "secretRef": {"name": "keys", "optional": optional}}]});
    assert_eq!(process_of(&container(true)).unwrap().env, []);
    assert_eq!(
        process_of(&container(false)).unwrap_err().to_string(),
        "container `c`: `envFrom` refers to secretRef `keys`, which is not available here"
    );
}

#[test]
fn no_command_no_process() {
    for container in [
        json!({"name": "c"}),
        json!({"name": "c", "command": [], "args": ["x"]}),
        json!({"name": "c", "command": null}),
    ] {
        assert_eq!(
            process_of(&container),
            Err(ProcessError::NoCommand { container: "c".into() })
        );
    }
}

#[test]
fn malformed_containers() {
    let base = json!({"name": "c", "command": ["x"]});
    for (key, value) in [
        ("command", json!("x")),
        ("command", json!([1])),
        ("command", json!(["a\u{0}b"])),
        ("args", json!({})),
        ("env", json!({})),
        ("env", json!([{}])),
        ("env", json!([{"name": ""}])),
        ("env", json!([{"name": "A=B"}])),
        ("env", json!([{"name": "A", "value": 1}])),
        ("env", json!([{"name": "A", "value": "\u{0}"}])),
        ("env", json!([{"name": "A", "valueFrom": {"fieldRef": {}}}])),
        ("envFrom", json!("x")),
        ("volumeMounts", json!("x")),
        ("workingDir", json!(1)),
    ] {
        let mut container = base.clone();
        container[key] = value.clone();
        let error = process_of(&container).unwrap_err();
        assert!(
            matches!(error, ProcessError::Malformed { field, .. } if field == key),
            "{key} {value}: {error}"
        );
    }
}

#[test]
fn variables_that_double_themselves_end() {
    let mut env = vec![json!({"name": "V0", "value": "x".repeat(1000)})];
    for index in 1..60 {
        let previous = index - 1;
        env.push(json!({"name": format!("V{index}"), "value": format!("$(V{previous})$(V{previous})")}));
    }
    assert_eq!(
        env_of(&json!(env)),
        Err(ProcessError::TooLong {
            container: "c".into(),
            field: "env"
        })
    );
}

#[test]
fn mounts_of_tokens_and_others() {
    let process = process_of(&json!({"command": ["x"], "volumeMounts": [
        {"name": "two", "mountPath": "relative//path/"},
        {"name": "cache", "mountPath": "/cache"},
        {"name": "missing", "mountPath": "/missing"},
    ]}))
    .unwrap();
    let token = |file: &str, audience: &str, expiration_seconds| TokenMount {
        mount_path: "/relative/path".into(),
        file: file.into(),
        audience: audience.into(),
        expiration_seconds,
    };
    assert_eq!(
        process.token_mounts,
        [token("a/b", "", 3600), token("vault", "vault", 600)]
    );
    assert_eq!(process.other_mounts, ["/cache", "/missing"]);
}

#[test]
fn mounts_that_are_refused() {
    for mount in [
        json!({"name": "aws-iam-token", "mountPath": "/"}),
        json!({"name": "aws-iam-token", "mountPath": "/a/../.."}),
        json!({"name": "aws-iam-token"}),
        json!({"name": "aws-iam-token", "mountPath": "/x", "subPath": "token"}),
    ] {
        let error = process_of(&json!({"command": ["x"], "volumeMounts": [mount]})).unwrap_err();
        assert!(matches!(error, ProcessError::TokenMount { .. }), "{mount}: {error}");
    }
    let error =
        process_of(&json!({"command": ["x"], "volumeMounts": [{"name": "escaping", "mountPath": "/x"}]})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "token volume `escaping`: `a/../../../etc/passwd` is not a file name inside the volume"
    );
}

#[test]
fn relocated_paths() {
    let cases = [
        (format!("{FOLDER}/token"), format!("/r{FOLDER}/token")),
        (FOLDER.to_owned(), format!("/r{FOLDER}")),
        (format!("{FOLDER}/"), format!("/r{FOLDER}/")),
        (
            format!("--token={FOLDER}/token --x"),
            format!("--token=/r{FOLDER}/token --x"),
        ),
        (format!("{FOLDER}/a:{FOLDER}/b"), format!("/r{FOLDER}/a:/r{FOLDER}/b")),
        (
            format!("{{\"file\":\"{FOLDER}/token\"}}"),
            format!("{{\"file\":\"/r{FOLDER}/token\"}}"),
        ),
        (
            "/var//run/./secrets/x/../eks.amazonaws.com/serviceaccount/token".into(),
            format!("/r{FOLDER}/token"),
        ),
        (path::windows(&format!("{FOLDER}/token")), format!("/r{FOLDER}/token")),
        ("/inner/mount/x".into(), "/r/inner/mount/x".into()),
        ("/odd@/inner/x,/inner".into(), "/r/odd@/inner/x,/r/inner".into()),
    ];
    let stays = [
        format!("{FOLDER}2/token"),
        format!("{FOLDER}.old"),
        format!("/elsewhere{FOLDER}/token"),
        "/var/run/secrets/eks.amazonaws.com".into(),
        "serviceaccount/token".into(),
        "C:\\Windows".into(),
        format!("{FOLDER}é"),
        String::new(),
        "/".into(),
    ];
    let mount = |path: &str| TokenMount {
        mount_path: path.into(),
        file: "token".into(),
        audience: String::new(),
        expiration_seconds: 600,
    };
    let all = cases
        .into_iter()
        .chain(stays.into_iter().map(|text| (text.clone(), text)));
    for (text, expected) in all {
        let mut process = process_of(&json!({"command": [text], "env": [{"name": "V", "value": text}]})).unwrap();
        process.token_mounts = vec![
            mount("/inner"),
            mount(FOLDER),
            mount("/inner/mount"),
            mount("/odd@/inner"),
        ];
        process.relocate(Path::new("/r")).unwrap();
        assert_eq!(
            (process.argv[0].as_str(), process.env[0].1.as_str()),
            (expected.as_str(), expected.as_str())
        );
    }
}

#[test]
fn a_command_of_exec_is_taken_to_the_letter() {
    let argv: Vec<String> = ["sh", "-c", "echo $(date) $$ $HOME $(AWS_ROLE_ARN) $$(x)"]
        .map(ToOwned::to_owned)
        .to_vec();
    let mut pod = pod_of_command(&argv, "app", "s3-reader");
    let settings = Settings::default();
    let mutation = mutate(
        &pod,
        &Identity::new("arn:aws:iam::123456789012:role/x", &settings),
        &settings,
    );
    apply(&mut pod, &mutation.patch).unwrap();
    let process = local_processes(&pod, &CONTEXT).unwrap().pop().unwrap();
    assert_eq!(process.argv, argv);
    assert_eq!(process.env.len(), 2);
}
