//! Variables that a container takes from ConfigMaps and Secrets.

use super::*;
use crate::{ContainerIdentity, EnvSourceKind};

fn respecting(env_from: EnvFrom) -> Settings {
    Settings {
        env_from,
        default_region: Some("us-west-2".into()),
        ..Settings::default()
    }
}

fn source(kind: EnvSourceKind, name: &str, is_optional: bool) -> EnvSource {
    EnvSource {
        kind,
        name: name.into(),
        is_optional,
    }
}

fn config_map(name: &str) -> EnvSource {
    source(EnvSourceKind::ConfigMap, name, false)
}

/// What one container gets whose `envFrom` this is, where the ConfigMap `aws` has these keys.
fn added(env_from: &Value, keys: &[&str]) -> Vec<String> {
    let mut read = EnvKeys::default();
    read.insert(&config_map("aws"), keys.iter().map(|key| (*key).to_owned()));
    let pod = pod(&json!({"name": "a", "envFrom": env_from}));
    let mutation = mutate_with(&pod, &role(), &respecting(EnvFrom::ConfigMaps), &read);
    variables(&patched(&pod, &mutation), "containers", 0)
}

#[test]
fn what_a_source_sets_is_not_injected() {
    let plain = json!([{"configMapRef": {"name": "aws"}}]);
    let role = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    let region = ["AWS_DEFAULT_REGION", "AWS_REGION"];
    let all = [region, role].concat();
    assert_eq!(added(&plain, &[]), all);
    assert_eq!(added(&plain, &["OTHER", "aws_role_arn", "ROLE_ARN"]), all);
    assert_eq!(added(&plain, &role), region);
    assert_eq!(added(&plain, &["AWS_REGION"]), role);
    assert_eq!(added(&plain, &["AWS_STS_REGIONAL_ENDPOINTS"]), all);
    // A prefix stands before every key, and of another source nothing is known.
    let prefixed = json!([{"prefix": "AWS_", "configMapRef": {"name": "aws"}}]);
    assert_eq!(added(&prefixed, &["REGION"]), role);
    assert_eq!(added(&prefixed, &["AWS_REGION"]), all);
    for other in [
        json!([{"configMapRef": {"name": "other"}}]),
        json!([{"secretRef": {"name": "aws"}}]),
        json!([null, 1, {"configMapRef": null}, {"configMapRef": "aws"}]),
        json!({"configMapRef": {"name": "aws"}}),
    ] {
        assert_eq!(added(&other, &role), all, "{other}");
    }
}

#[test]
fn half_of_the_credentials_is_warned_of() {
    let mut read = EnvKeys::default();
    read.insert(&config_map("aws"), ["AWS_ROLE_ARN".to_owned()]);
    let pod = pod(&json!({"name": "a", "envFrom": [{"configMapRef": {"name": "aws"}}]}));
    let mutation = mutate_with(&pod, &role(), &respecting(EnvFrom::ConfigMaps), &read);
    assert_eq!(
        mutation.warnings,
        [Warning::HalfCredentials {
            container: "a".into(),
            present: "AWS_ROLE_ARN",
            missing: "AWS_WEB_IDENTITY_TOKEN_FILE"
        }]
    );
}

#[test]
fn only_sources_that_make_a_difference_are_read() {
    let from = json!([{"configMapRef": {"name": "aws", "optional": true}}, {"secretRef": {"name": "aws"}}]);
    let has_all = json!([{"name": "AWS_ROLE_ARN"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE"}, {"name": "AWS_REGION"}]);
    let pod = json!({
        "metadata": {"annotations": {"eks.amazonaws.com/skip-containers": "skipped"}},
        "spec": {
            "containers": [
                {"name": "a", "envFrom": from},
                {"name": "b", "envFrom": [{"configMapRef": {"name": "more"}}, {"configMapRef": {"name": ""}}]},
                {"name": "skipped", "envFrom": [{"configMapRef": {"name": "of-skipped"}}]},
                {"name": "done", "env": has_all, "envFrom": [{"configMapRef": {"name": "of-done"}}]},
                {"name": "odd", "env": 1, "envFrom": [{"configMapRef": {"name": "of-odd"}}]}],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "aws", "optional": true}}, {"configMapRef": {"name": "more", "optional": true}}]}]},
    });
    let named = |env_from| env_sources(&pod, &role(), &respecting(env_from));
    assert_eq!(named(EnvFrom::Ignore), []);
    let maps = [source(EnvSourceKind::ConfigMap, "aws", true), config_map("more")];
    assert_eq!(named(EnvFrom::ConfigMaps), maps);
    let all = named(EnvFrom::All);
    assert_eq!(all.len(), 3);
    assert!(all.contains(&source(EnvSourceKind::Secret, "aws", false)));

    // What was injected is in the way of no source.
    let mutation = mutate(&pod, &role(), &respecting(EnvFrom::All));
    let injected = patched(&pod, &mutation);
    assert_eq!(env_sources(&injected, &role(), &respecting(EnvFrom::All)), []);
}

#[test]
fn the_variables_of_pod_identity_too() {
    let identity = ContainerIdentity {
        regional_sts: false,
        token_expiration_seconds: 3_600,
        jitter_seconds: 0,
    };
    let settings = Settings {
        env_from: EnvFrom::All,
        ..Settings::default()
    };
    let pod = pod(&json!({"name": "a", "envFrom": [{"secretRef": {"name": "aws"}}]}));
    let sources = container_credentials_env_sources(&pod, &identity, &settings);
    assert_eq!(sources, [source(EnvSourceKind::Secret, "aws", false)]);
    let mut read = EnvKeys::default();
    // That of the other mode does not count.
    read.insert(&sources[0], ["AWS_ROLE_ARN".to_owned()]);
    let mutation = mutate_container_credentials_with(&pod, &identity, &settings, &read);
    assert_eq!(variables(&patched(&pod, &mutation), "containers", 0).len(), 2);
    read.insert(&sources[0], ["AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned()]);
    let mutation = mutate_container_credentials_with(&pod, &identity, &settings, &read);
    assert_eq!(variables(&patched(&pod, &mutation), "containers", 0).len(), 0);
}
