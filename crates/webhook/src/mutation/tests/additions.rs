//! What the reference webhook does not have, and the credentials of EKS Pod Identity.

use super::*;
use crate::{ContainerIdentity, SessionName, identity_with_warnings, mutate_container_credentials};

const POD_IDENTITY_FOLDER: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount";

fn served() -> ContainerIdentity {
    ContainerIdentity {
        regional_sts: false,
        token_expiration_seconds: 86_400,
        jitter_seconds: 0,
    }
}

fn account(annotations: &Value, settings: &Settings) -> (Identity, Vec<Warning>) {
    let account = json!({"metadata": {"name": "s", "annotations": annotations}});
    let (identity, warnings) = identity_with_warnings(&account, settings).unwrap();
    (identity.unwrap(), warnings)
}

#[test]
fn pod_identity_in_the_references_order() {
    let pod = json!({"metadata": {"name": "p"}, "spec": {"volumes": [{"name": "mine"}], "containers": [
        {"name": "a", "env": [{"name": "AWS_ROLE_ARN", "value": "other mode"}]}, {"name": "b"}], "initContainers": [{"name": "i"}]}});
    let settings = Settings {
        default_region: Some("us-west-2".into()),
        ..Settings::default()
    };
    let mutation = mutate_container_credentials(&pod, &served(), &settings);
    assert_eq!((mutation.decision, &mutation.warnings), (Decision::Injected, &vec![]));
    insta::assert_snapshot!("pod_identity_patch", format!("{:#}", mutation.patch));
    let patched = patched(&pod, &mutation);
    let again = mutate_container_credentials(&patched, &served(), &settings);
    assert_eq!((again.patch.0.len(), again.decision), (0, Decision::Unchanged));
}

#[test]
fn the_pod_identity_label_joins_others_and_is_not_set_twice() {
    let with_labels = |labels: Value| json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a"}]}});
    for (labels, path, value) in [
        (
            json!(null),
            "/metadata/labels",
            json!({"eks.amazonaws.com/pod-identity": "enabled"}),
        ),
        (
            json!({"app": "x"}),
            "/metadata/labels/eks.amazonaws.com~1pod-identity",
            json!("enabled"),
        ),
        (
            json!({"eks.amazonaws.com/pod-identity": "disabled"}),
            "/metadata/labels/eks.amazonaws.com~1pod-identity",
            json!("enabled"),
        ),
    ] {
        let mutation = mutate_container_credentials(&with_labels(labels), &served(), &Settings::default());
        assert_eq!(
            operations(&mutation)[0],
            json!({"op": "add", "path": path, "value": value})
        );
    }
    let labelled = with_labels(json!({"eks.amazonaws.com/pod-identity": "enabled"}));
    let mutation = mutate_container_credentials(&labelled, &served(), &Settings::default());
    assert_eq!(operations(&mutation)[0]["path"], "/spec/volumes");
}

#[test]
fn jitter_is_for_tokens_of_exactly_a_day() {
    let life = |identity: &ContainerIdentity, annotation: Option<&str>| {
        let mut pod = json!({"metadata": {"annotations": {}}, "spec": {"containers": [{"name": "a"}]}});
        if let Some(text) = annotation {
            pod["metadata"]["annotations"]["eks.amazonaws.com/token-expiration"] = json!(text);
        }
        let mutation = mutate_container_credentials(&pod, identity, &Settings::default());
        let patched = patched(&pod, &mutation);
        patched["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"]
            .as_i64()
            .unwrap()
    };
    let with = |seconds: i64, jitter: i64| ContainerIdentity {
        token_expiration_seconds: seconds,
        jitter_seconds: jitter,
        ..served()
    };
    assert_eq!(life(&with(86_400, 7_200), None), 79_200);
    assert_eq!(life(&with(86_400, 1), None), 86_399);
    assert_eq!(life(&with(86_400, i64::MAX), None), 79_200);
    assert_eq!(life(&with(86_400, i64::MIN), None), 86_400);
    assert_eq!(life(&with(86_401, 7_200), None), 86_401);
    assert_eq!(life(&with(86_400, 7_200), Some("3600")), 3_600);
    assert_eq!(life(&with(3_600, 7_200), Some("86400")), 79_200);
    assert_eq!(life(&with(10, 7_200), None), 600);
}

#[test]
fn pod_identity_never_mounts_a_foreign_volume() {
    let pod = json!({"metadata": {}, "spec": {
        "volumes": [{"name": "eks-pod-identity-token", "hostPath": {"path": "/tmp"}}], "containers": [{"name": "a"}]}});
    let mutation = mutate_container_credentials(&pod, &served(), &Settings::default());
    assert_eq!(mutation.decision, Decision::Refused(Refusal::ForeignVolume));
    let patched = patched(&pod, &mutation);
    assert!(variables(&patched, "containers", 0).is_empty());
    assert!(!patched.to_string().contains(POD_IDENTITY_FOLDER));
}

#[test]
fn only_the_included_containers() {
    let pod = |annotations: Value| {
        json!({"metadata": {"annotations": annotations}, "spec": {
            "containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}})
    };
    let injected = |pod: &Value, identity: &Identity, settings: &Settings| {
        let mutation = mutate(pod, identity, settings);
        let names = mutation
            .containers
            .iter()
            .filter(|container| container.outcome != Outcome::Skipped);
        let names: Vec<String> = names.map(|container| container.name.clone()).collect();
        (names.join(" "), mutation.warnings)
    };
    let settings = Settings::default();
    let include = pod(json!({"eks.amazonaws.com/include-containers": "b"}));
    assert_eq!(injected(&include, &role(), &settings), ("b".into(), vec![]));
    let both = pod(json!({"eks.amazonaws.com/include-containers": "b,i", "eks.amazonaws.com/skip-containers": "i"}));
    assert_eq!(injected(&both, &role(), &settings), ("b".into(), vec![]));
    let unknown = pod(json!({"eks.amazonaws.com/include-containers": "b,gone"}));
    assert_eq!(
        injected(&unknown, &role(), &settings),
        (
            "b".into(),
            vec![Warning::UnknownIncludedContainers {
                names: vec!["gone".into()]
            }]
        )
    );
    let broken = pod(json!({"eks.amazonaws.com/include-containers": "\"b"}));
    assert_eq!(
        injected(&broken, &role(), &settings),
        ("a b i".into(), vec![Warning::IncludeContainers { value: "\"b".into() }])
    );

    // On the account, where that is allowed; a pod's own list goes before it, and nobody is told of containers that other pods have.
    let lists = json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/skip-containers": "a,sidecar"});
    let (identity, _) = account(&lists, &settings);
    assert_eq!(
        injected(&pod(json!({})), &identity, &settings),
        ("a b i".into(), vec![])
    );
    let allowed = Settings {
        account_lists: true,
        ..Settings::default()
    };
    let (identity, _) = account(&lists, &allowed);
    assert_eq!(injected(&pod(json!({})), &identity, &allowed), ("b i".into(), vec![]));
    let own = pod(json!({"eks.amazonaws.com/skip-containers": "i"}));
    assert_eq!(injected(&own, &identity, &allowed), ("a b".into(), vec![]));
}

#[test]
fn a_session_gets_the_pods_name() {
    let settings = Settings {
        session_name: SessionName::Pod,
        ..Settings::default()
    };
    let session = |pod: &Value| {
        let mutation = mutate(pod, &role(), &settings);
        let patched = patched(pod, &mutation);
        let again = mutate(&patched, &role(), &settings);
        assert!(again.patch.0.is_empty());
        let env = patched["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        env.into_iter()
            .find(|variable| variable["name"] == "AWS_ROLE_SESSION_NAME")
    };
    let by_reference =
        json!({"name": "AWS_ROLE_SESSION_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let named = |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a"}]}});
    assert_eq!(session(&named("p")), Some(by_reference.clone()));
    assert_eq!(session(&named(&"n".repeat(64))), Some(by_reference.clone()));
    let generated = json!({"metadata": {"generateName": "g-"}, "spec": {"containers": [{"name": "a"}]}});
    assert_eq!(session(&generated), Some(by_reference));

    let text = |name: &str| session(&named(name)).unwrap()["value"].as_str().unwrap().to_owned();
    let (one, other) = (format!("{}x", "n".repeat(252)), format!("{}y", "n".repeat(252)));
    assert_eq!(text(&one).len(), 64);
    assert_ne!(text(&one), text(&other));

    // A name that the owner chose stays, and a container with credentials of its own has its own session.
    for env in [
        json!([{"name": "AWS_ROLE_SESSION_NAME", "value": "mine"}]),
        json!([{"name": "AWS_ROLE_ARN", "value": ROLE}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN}]),
    ] {
        let own = pod(&json!({"name": "a", "env": env}));
        assert_ne!(
            session(&own).map(|variable| variable["valueFrom"].clone()),
            Some(json!({"fieldRef": {"fieldPath": "metadata.name"}}))
        );
    }
}

#[test]
fn an_accounts_region_goes_before_the_settings() {
    let settings = Settings {
        default_region: Some("us-west-2".into()),
        ..Settings::default()
    };
    let region = |annotation: &str| {
        let (identity, warnings) = account(
            &json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/region": annotation}),
            &settings,
        );
        let pod = pod(&json!({"name": "a"}));
        let mutation = mutate(&pod, &identity, &settings);
        let env = patched(&pod, &mutation)["spec"]["containers"][0]["env"].clone();
        let all = warnings.len() + mutation.warnings.len();
        (env[0]["value"].as_str().unwrap().to_owned(), all)
    };
    assert_eq!(region("eu-west-1"), ("eu-west-1".into(), 0));
    // A role of another partition than the region's is told of.
    assert_eq!(region("cn-north-1"), ("cn-north-1".into(), 1));
    for bad in ["", "EU-west-1", "eu west", "evil.example/#", "a\n"] {
        assert_eq!(region(bad), ("us-west-2".into(), 1), "{bad}");
    }
}
