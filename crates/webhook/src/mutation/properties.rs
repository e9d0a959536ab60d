//! For any pod, the patched pod is the pod plus the specified additions; twice is once; no JSON panics.

use proptest::prelude::*;

use super::*;
use crate::process::{PodContext, local_processes};
use crate::{EnvSourceKind, manifest};

const FOLDER: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
const ROLE: &str = "arn:aws:iam::111122223333:role/s3-reader";

/// Words that mean something to the code, so that random JSON gets somewhere.
const WORDS: [&str; 44] = [
    "spec",
    "metadata",
    "annotations",
    "labels",
    "containers",
    "initContainers",
    "volumes",
    "volumeMounts",
    "env",
    "name",
    "value",
    "valueFrom",
    "fieldRef",
    "fieldPath",
    "optional",
    "mountPath",
    "subPath",
    "projected",
    "sources",
    "serviceAccountToken",
    "path",
    "audience",
    "expirationSeconds",
    "nodeSelector",
    "kubernetes.io/os",
    "affinity",
    "command",
    "args",
    "envFrom",
    "configMapRef",
    "kind",
    "apiVersion",
    "items",
    "List",
    "Deployment",
    "template",
    "replicas",
    "serviceAccountName",
    "aws-iam-token",
    "AWS_ROLE_ARN",
    "eks.amazonaws.com/skip-containers",
    "eks.amazonaws.com/token-expiration",
    "v1",
    "apps/v1",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&WORDS[..]).prop_map(ToOwned::to_owned), ".{0,12}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 200, 10, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..10)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Absent, `null`, or a list.
fn maybe_list(item: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        prop::collection::vec(item, 0..5).prop_map(|items| Some(Value::from(items))),
    ]
}

fn variable() -> impl Strategy<Value = Value> {
    let names = [
        "A",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_STS_REGIONAL_ENDPOINTS",
    ];
    (prop::sample::select(names.to_vec()), any::<bool>()).prop_map(|(name, from)| {
        if from {
            json!({"name": name, "valueFrom": {"secretKeyRef": {}}})
        } else {
            json!({"name": name, "value": "own"})
        }
    })
}

fn volume_mount() -> impl Strategy<Value = Value> {
    let paths = [
        FOLDER.to_owned(),
        format!("{FOLDER}/"),
        format!("{FOLDER}/token"),
        "/x".into(),
        String::new(),
    ];
    (
        prop::sample::select(vec!["aws-iam-token", "hand-made", "cache"]),
        prop::sample::select(paths.to_vec()),
    )
        .prop_map(|(name, path)| json!({"name": name, "mountPath": path, "recursiveReadOnly": "Enabled"}))
}

fn volume() -> impl Strategy<Value = Value> {
    let token = |audience: &str| json!({"projected": {"sources": [{"serviceAccountToken": {"audience": audience, "expirationSeconds": 3600, "path": "token"}}]}});
    let sources = vec![
        token("sts.amazonaws.com"),
        token("vault"),
        json!({"emptyDir": {}}),
        json!({"future": 1}),
    ];
    (
        prop::sample::select(vec!["aws-iam-token", "hand-made", "cache"]),
        prop::sample::select(sources),
    )
        .prop_map(|(name, mut volume)| {
            volume["name"] = json!(name);
            volume
        })
}

fn container() -> impl Strategy<Value = Value> {
    (
        prop::sample::select(vec!["a", "b", "c,d"]),
        maybe_list(variable()),
        maybe_list(volume_mount()),
        any_json(),
    )
        .prop_map(|(name, env, mounts, extra)| {
            let mut container = json!({"futureField": extra, "name": name});
            for (key, value) in [("env", env), ("volumeMounts", mounts)] {
                if let Some(value) = value {
                    container[key] = value;
                }
            }
            container
        })
}

fn pod() -> impl Strategy<Value = Value> {
    let annotation = prop::option::of(prop::sample::select(vec!["a", "a,b", "\"c,d\"", "\"", "x"]));
    (
        maybe_list(container()),
        maybe_list(container()),
        maybe_list(volume()),
        annotation,
        any_json(),
    )
        .prop_map(|(containers, init_containers, volumes, skip, extra)| {
            let mut pod = json!({"metadata": {"annotations": {}}, "spec": {"futureField": extra}, "status": {}});
            if let Some(skip) = skip {
                pod["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"] = json!(skip);
            }
            let lists = [
                ("containers", containers),
                ("initContainers", init_containers),
                ("volumes", volumes),
            ];
            for (key, value) in lists {
                if let Some(value) = value {
                    pod["spec"][key] = value;
                }
            }
            pod
        })
}

/// A source with a prefix, which has keys that become variables of ours, or almost.
fn env_from() -> impl Strategy<Value = Value> {
    let prefixes = vec![json!(null), json!(""), json!("AWS_"), json!("X"), json!("AWS_ROLE_ARN")];
    let kinds = vec!["configMapRef", "secretRef", "futureRef"];
    (
        prop::sample::select(prefixes),
        prop::sample::select(kinds),
        prop::sample::select(vec!["a", "b"]),
    )
        .prop_map(|(prefix, kind, name)| json!({"prefix": prefix, kind: {"name": name}}))
}

fn env_keys() -> impl Strategy<Value = EnvKeys> {
    let keys = [
        "",
        "AWS_ROLE_ARN",
        "ROLE_ARN",
        "REGION",
        "AWS_REGION",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "OTHER",
    ];
    let keys = prop::collection::vec(prop::sample::select(keys.to_vec()), 0..4);
    let source = (any::<bool>(), prop::sample::select(vec!["a", "b"]), keys);
    prop::collection::vec(source, 0..4).prop_map(|sources| {
        let mut read = EnvKeys::default();
        for (is_secret, name, keys) in sources {
            let kind = if is_secret {
                EnvSourceKind::Secret
            } else {
                EnvSourceKind::ConfigMap
            };
            let source = EnvSource {
                kind,
                name: name.into(),
                is_optional: false,
            };
            read.insert(&source, keys.into_iter().map(ToOwned::to_owned));
        }
        read
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    (prop::option::of(Just("us-west-2".to_owned())), any::<bool>()).prop_map(|(default_region, regional_sts)| {
        Settings {
            default_region,
            regional_sts,
            ..Settings::default()
        }
    })
}

/// What the specification says of one container, written down as a rebuild of the container instead of a patch. `usable`
/// tells whether the pod's `aws-iam-token` volume, present or to come, holds the token; `in_place` whether a mount in the
/// token's place comes from a volume that holds it.
fn specified(container: &Value, settings: &Settings, usable: bool, holds_token: &dyn Fn(&str) -> bool) -> Value {
    let list = |key: &str| container[key].as_array().cloned().unwrap_or_default();
    let (mut env, mut mounts) = (list("env"), list("volumeMounts"));
    let has = |names: &[&str]| {
        env.iter()
            .any(|variable| names.iter().any(|name| variable["name"] == *name))
    };
    let own_credentials = has(&["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]);
    let own_region = has(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let own_sts = has(&["AWS_STS_REGIONAL_ENDPOINTS"]);

    let by_name = mounts.iter().any(|mount| mount["name"] == "aws-iam-token");
    let in_place = mounts
        .iter()
        .find(|mount| mount["mountPath"].as_str().is_some_and(|path| path.starts_with(FOLDER)));
    let reachable = by_name
        || match in_place {
            Some(mount) => {
                mount["mountPath"].as_str().unwrap().trim_end_matches('/') == FOLDER
                    && holds_token(mount["name"].as_str().unwrap())
            }
            None => usable,
        };
    if own_credentials && own_region && own_sts || !reachable && !own_credentials {
        return container.clone();
    }
    let mut add = |name: &str, value: &str| env.push(json!({"name": name, "value": value}));
    if settings.regional_sts && !own_sts {
        add("AWS_STS_REGIONAL_ENDPOINTS", "regional");
    }
    if let (Some(region), false) = (&settings.default_region, own_region) {
        add("AWS_DEFAULT_REGION", region);
        add("AWS_REGION", region);
    }
    if !own_credentials {
        add("AWS_ROLE_ARN", ROLE);
        add("AWS_WEB_IDENTITY_TOKEN_FILE", &format!("{FOLDER}/token"));
    }
    if !by_name && in_place.is_none() && usable {
        mounts.push(json!({"name": "aws-iam-token", "readOnly": true, "mountPath": FOLDER}));
    }
    let mut result = container.clone();
    for (key, items) in [("env", env), ("volumeMounts", mounts)] {
        if items.len() > list(key).len() {
            result[key] = Value::from(items);
        }
    }
    result
}

/// The whole pod as the specification wants it.
fn specified_pod(pod: &Value, settings: &Settings) -> Value {
    let mut result = pod.clone();
    let volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| volumes.iter().find(|volume| volume["name"] == name);
    let is_token =
        |volume: &Value| volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "sts.amazonaws.com";
    let usable = named("aws-iam-token").is_none_or(is_token);
    if named("aws-iam-token").is_none() {
        let mut all = vec![
            json!({"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken":
            {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}}]}}),
        ];
        all.extend(volumes.iter().cloned());
        result["spec"]["volumes"] = Value::from(all);
    }
    let skipped: &[&str] = match pod["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"].as_str() {
        Some("a") => &["a"],
        Some("a,b") => &["a", "b"],
        Some("\"c,d\"") => &["c,d"],
        _ => &[],
    };
    for key in ["containers", "initContainers"] {
        for container in result["spec"]
            .get_mut(key)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if !skipped.contains(&container["name"].as_str().unwrap()) {
                *container = specified(container, settings, usable, &|name| named(name).is_some_and(is_token));
            }
        }
    }
    result
}

proptest! {
    #[test]
    fn the_patched_pod_is_the_pod_plus_the_specified_additions(pod in pod(), settings in settings()) {
        let mutation = mutate(&pod, &Identity::new(ROLE, &settings), &settings);
        let mut patched = pod.clone();
        apply(&mut patched, &mutation.patch).unwrap();
        // As text, because the order of members counts too.
        prop_assert_eq!(patched.to_string(), specified_pod(&pod, &settings).to_string());
        prop_assert_eq!(mutation.decision == Decision::Unchanged, patched == pod && !mutation.containers.iter().any(|c| matches!(c.outcome, Outcome::Refused(_))));
    }

    #[test]
    fn twice_is_once(pod in pod(), settings in settings()) {
        let identity = Identity::new(ROLE, &settings);
        let mut patched = pod;
        let once = mutate(&patched, &identity, &settings);
        apply(&mut patched, &once.patch).unwrap();
        let again = mutate(&patched, &identity, &settings);
        prop_assert!(again.patch.is_empty(), "{}", again.patch);
    }

    #[test]
    fn a_variable_of_a_source_counts_as_one_of_the_container(
        mut pod in pod(), sources in prop::collection::vec(prop::collection::vec(env_from(), 0..4), 10), keys in env_keys(), settings in settings()
    ) {
        let mut sources = sources.into_iter();
        // The same pod with the variables of the sources written out.
        let mut written = pod.clone();
        for list in ["containers", "initContainers"] {
            for index in 0..pod["spec"].get(list).and_then(Value::as_array).map_or(0, Vec::len) {
                let entries = sources.next().unwrap();
                let mut env = pod["spec"][list][index]["env"].as_array().cloned().unwrap_or_default();
                env.extend(keys.set_by(&entries).into_iter().map(|name| json!({"name": name, "value": "from"})));
                written["spec"][list][index]["env"] = Value::from(env);
                pod["spec"][list][index]["envFrom"] = Value::from(entries);
            }
        }
        let identity = Identity::new(ROLE, &settings);
        let (found, expected) = (mutate_with(&pod, &identity, &settings, &keys), mutate(&written, &identity, &settings));
        prop_assert_eq!(&found.containers, &expected.containers);
        prop_assert_eq!((found.decision, &found.warnings), (expected.decision, &expected.warnings));
        let mut patched = pod;
        apply(&mut patched, &found.patch).unwrap();
        prop_assert!(mutate_with(&patched, &identity, &settings, &keys).patch.is_empty());
    }

    #[test]
    fn any_json_is_safe(value in any_json()) {
        let settings = Settings { windows_detection: crate::WindowsDetection::Declared, ..Settings::default() };
        let _ = crate::identity_with_warnings(&value, &settings);
        let respecting = Settings { env_from: EnvFrom::All, ..Settings::default() };
        let _ = env_sources(&value, &Identity::new(ROLE, &settings), &respecting);
        let mutation = mutate(&value, &Identity::new(ROLE, &settings), &settings);
        let mut patched = value.clone();
        apply(&mut patched, &mutation.patch).unwrap();
        prop_assert!(mutate(&patched, &Identity::new(ROLE, &settings), &settings).patch.is_empty());
        for warning in &mutation.warnings {
            prop_assert!(warning.to_string().chars().count() < 256);
        }
        let _ = local_processes(&value, &PodContext { name: "p", namespace: "n", service_account: "s" });
        if let Err(error) = manifest::read(std::slice::from_ref(&value), "default") {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn almost_a_pod_is_safe(mut pod in pod(), key in word(), junk in any_json()) {
        for list in ["containers", "initContainers"] {
            for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container[key.as_str()] = junk.clone();
            }
        }
        let settings = Settings::default();
        let mut patched = pod.clone();
        apply(&mut patched, &mutate(&pod, &Identity::new(ROLE, &settings), &settings).patch).unwrap();
        if let Ok(processes) = local_processes(&patched, &PodContext { name: "p", namespace: "n", service_account: "s" }) {
            for mut process in processes {
                process.relocate(std::path::Path::new("/tmp/root")).unwrap();
                prop_assert!(process.token_mounts.iter().all(|mount| mount.path().starts_with("/tmp/root/")));
            }
        }
    }
}
