use irsa_webhook::{EnvFrom, Settings};
use serde_json::{Value, json};

use crate::LookUpError;
use crate::testing::{Fixture, fixture_with, pod, rules};

/// A pod whose container takes variables from these.
fn taking(env_from: Value) -> Value {
    let mut pod = pod("reader");
    pod["spec"]["containers"][0]["envFrom"] = env_from;
    pod
}

fn config_map(name: &str) -> Value {
    json!([{"configMapRef": {"name": name}}])
}

/// A cluster with sources of all kinds.
fn fixture(env_from: EnvFrom) -> Fixture {
    let settings = Settings {
        env_from,
        ..Settings::default()
    };
    let fixture = fixture_with(settings, rules());
    let role = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "OTHER"];
    let away = LookUpError::Unavailable {
        reason: "10.1.2.3 is away".to_owned(),
    };
    *fixture.cluster.env_keys.lock().unwrap() = [
        ("role", Ok(Some(role.map(str::to_owned).to_vec()))),
        ("plain", Ok(Some(vec!["OTHER".to_owned()]))),
        ("closed", Err(LookUpError::Forbidden)),
        ("away", Err(away)),
    ]
    .into();
    fixture
}

fn is_injected(pod: &Value) -> bool {
    pod.pointer("/spec/containers/0/env/0/name") == Some(&json!("AWS_ROLE_ARN"))
}

#[tokio::test]
async fn what_a_config_map_sets_is_left_to_it() {
    let fixture = fixture(EnvFrom::ConfigMaps);
    for (name, injected) in [("role", false), ("plain", true)] {
        let pod = taking(config_map(name));
        for said in [fixture.admit("app", &pod).await, fixture.fail_closed("app", &pod).await] {
            assert!(said.allowed() && said.warnings().is_empty(), "{said:?}");
            assert_eq!(is_injected(&said.applied(&pod)), injected, "{name}");
        }
    }
    // Secrets are not read, and a pod that has everything needs no look-up.
    let secret = taking(json!([{"secretRef": {"name": "role"}}]));
    let injected = fixture.admit("app", &secret).await.applied(&secret);
    assert!(is_injected(&injected));
    assert!(fixture.admit("app", &injected).await.patch().is_none());
    let asked = fixture.cluster.env_asked.lock().unwrap().clone();
    let maps = ["ConfigMap role", "ConfigMap role", "ConfigMap plain", "ConfigMap plain"];
    assert_eq!(asked, maps);
}

#[tokio::test]
async fn secrets_where_an_operator_says_so() {
    let fixture = fixture(EnvFrom::All);
    let pod = taking(json!([{"configMapRef": {"name": "plain"}}, {"secretRef": {"name": "role"}}]));
    let said = fixture.admit("app", &pod).await;
    assert!(!is_injected(&said.applied(&pod)));
}

#[tokio::test]
async fn without_the_flag_nothing_is_asked() {
    let fixture = fixture(EnvFrom::Ignore);
    let pod = taking(config_map("role"));
    assert!(is_injected(&fixture.admit("app", &pod).await.applied(&pod)));
    assert!(fixture.cluster.env_asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_is_not_read_sets_nothing_and_is_told_of() {
    let fixture = fixture(EnvFrom::ConfigMaps);
    for (name, why, refused) in [
        ("gone", "it is not there", true),
        ("away", "it can't be read", true),
        ("closed", "the webhook may not read it", false),
    ] {
        let pod = taking(config_map(name));
        let said = fixture.admit("app", &pod).await;
        assert!(is_injected(&said.applied(&pod)), "{name}");
        let warning = format!("what ConfigMap `{name}` sets is not known, so what is injected goes before it: {why}");
        assert_eq!(said.warnings(), [warning.as_str()]);

        // Who chose to wait until it is certain waits, where waiting can help.
        let said = fixture.fail_closed("app", &pod).await;
        assert_eq!(!said.allowed(), refused, "{name}");
        if refused {
            assert_eq!(said.reason(), "env_from_unread");
            assert!(said.message().ends_with(&warning), "{}", said.message());
        }
        assert!(fixture.fail_closed("kube-system", &pod).await.allowed());
    }
    assert!(fixture.reports().is_empty(), "the pod has its credentials");
    let optional = taking(json!([{"configMapRef": {"name": "gone", "optional": true}}]));
    let said = fixture.fail_closed("app", &optional).await;
    assert!(said.allowed() && said.warnings().is_empty());
}

#[tokio::test]
async fn the_sources_of_a_pod_that_names_a_thousand_are_not_all_read() {
    let fixture = fixture(EnvFrom::ConfigMaps);
    let names = (0..1_000).map(|number| json!({"configMapRef": {"name": format!("m-{number}"), "optional": true}}));
    let pod = taking(names.collect());
    let said = fixture.fail_closed("app", &pod).await;
    assert!(said.allowed() && is_injected(&said.applied(&pod)));
    assert_eq!(said.warnings().len(), 16, "as many as an answer holds");
    assert_eq!(fixture.cluster.env_asked.lock().unwrap().len(), super::MAX_SOURCES);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_a_second() {
    let sources = super::EnvSources::new(std::sync::Arc::new(Silent));
    let source = irsa_webhook::EnvSource {
        kind: irsa_webhook::EnvSourceKind::Secret,
        name: "aws".to_owned(),
        is_optional: true,
    };
    let start = tokio::time::Instant::now();
    let read = sources.read("app", &[source], std::time::Duration::from_secs(9)).await;
    assert_eq!(start.elapsed(), super::LONGEST);
    assert!(read.undecided.is_some() && read.warnings.len() == 1);
}

/// A cluster that says nothing.
struct Silent;

impl crate::Cluster for Silent {
    fn look_up<'a>(&'a self, _: &'a str, _: &'a str, _: std::time::Duration) -> crate::LookUp<'a> {
        Box::pin(std::future::pending())
    }

    fn env_keys<'a>(
        &'a self,
        _: &'a str,
        _: irsa_webhook::EnvSourceKind,
        _: &'a str,
        _: std::time::Duration,
    ) -> crate::EnvLookUp<'a> {
        Box::pin(std::future::pending())
    }

    fn report(&self, _: crate::Report) {}
}
