//! The rows of the list of attacks that need no cluster.

use irsa_webhook::{RoleArnCheck, SessionName, Settings, WindowsDetection};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Entry;
use crate::testing::{fixture, fixture_with, pod, review, rules};

fn volume(applied: &Value) -> &Value {
    &applied["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
}

#[tokio::test]
async fn adv_wh_03_fields_that_nobody_knows_stay_as_they_are() {
    let future = json!({"metadata": {"name": "p", "futureMetadata": {"a": [1, 2.50, null]}},
        "spec": {"serviceAccountName": "reader", "futureField": {"deep": [[{}]]},
            "initContainers": [{"name": "i", "restartPolicy": "Always", "startupProbe": {"grpc": {"port": 1, "service": null}}}],
            "containers": [{"name": "c", "env": [{"name": "A", "value": "\u{1f980}", "future": true}], "resizePolicy": [{"x": 1e30}], "big": 18_446_744_073_709_551_615_u64}]}});
    let fixture = fixture();
    let said = fixture.admit("app", &future).await;
    let patch = said.patch().unwrap();
    assert!(
        patch
            .0
            .iter()
            .all(|operation| operation.to_string().contains("\"op\":\"add\"")),
        "{patch}"
    );
    let mut applied = said.applied(&future);
    // Taking the additions away leaves the pod.
    applied["spec"].as_object_mut().unwrap().remove("volumes");
    for list in ["containers", "initContainers"] {
        let container = applied["spec"][list][0].as_object_mut().unwrap();
        container.remove("volumeMounts");
        let variables = container["env"].as_array_mut().unwrap();
        variables.retain(|variable| !variable["name"].as_str().unwrap().starts_with("AWS_"));
        if list == "initContainers" {
            container.remove("env");
        }
    }
    assert_eq!(applied, future);
}

#[tokio::test]
async fn adv_wh_05_never_half_of_the_credentials() {
    let fixture = fixture();
    for preset in [
        json!({"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/own"}),
        json!({"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
    ] {
        let mut own = pod("reader");
        own["spec"]["containers"][0]["env"] = json!([preset]);
        let said = fixture.admit("app", &own).await;
        let applied = said.applied(&own);
        let variables = applied["spec"]["containers"][0]["env"].as_array().unwrap();
        assert_eq!(
            variables
                .iter()
                .filter(|variable| variable["name"] == preset["name"])
                .count(),
            1
        );
        assert_eq!(variables.len(), 1, "{applied}");
        assert!(
            said.warnings()
                .iter()
                .any(|warning| warning.contains("is not injected")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn adv_wh_06_a_volume_of_an_attacker_is_never_the_identity() {
    let fixture = fixture();
    let mount = "/var/run/secrets/eks.amazonaws.com/serviceaccount";
    for (volume, mounts) in [
        (
            json!({"name": "aws-iam-token", "hostPath": {"path": "/tmp"}}),
            json!([]),
        ),
        (json!({"name": "aws-iam-token", "emptyDir": {}}), json!(null)),
        (
            json!({"name": "aws-iam-token", "projected": {"sources": [{"configMap": {"name": "x"}}]}}),
            json!([]),
        ),
        (
            json!({"name": "x", "hostPath": {"path": "/tmp"}}),
            json!([{"name": "x", "mountPath": mount}]),
        ),
        (
            json!({"name": "x", "emptyDir": {}}),
            json!([{"name": "x", "mountPath": format!("{mount}/./")}]),
        ),
    ] {
        let mut spoofed = pod("reader");
        spoofed["spec"]["volumes"] = json!([volume]);
        spoofed["spec"]["containers"][0]["volumeMounts"] = mounts;
        let said = fixture.admit("app", &spoofed).await;
        assert!(!said.allowed(), "{spoofed} {said:?}");
    }
}

#[tokio::test]
async fn adv_wh_07_a_role_that_is_none_is_refused_where_arns_are_checked() {
    let strict = Settings {
        role_arn_check: RoleArnCheck::Refuse,
        default_region: Some("us-east-1".to_owned()),
        ..Settings::default()
    };
    let (strict, lax) = (fixture_with(strict, rules()), fixture());
    for arn in [
        "reader",
        "arn:aws:iam::111122223333:instance-profile/x",
        "arn:aws:iam::111122223333:role/x ",
        "arn:aws:iam::111122223333:role/x\n",
        "arn:aws:iam::11112222333:role/x",
        "arn:aws-cn:iam::111122223333:role/x",
        "arn:aws:iam:us-east-1:111122223333:role/x",
    ] {
        for fixture in [&strict, &lax] {
            let accounts = &fixture.admission.sources.accounts;
            accounts.upsert(accounts.read("app", "bad", [("eks.amazonaws.com/role-arn", arn)]));
        }
        let said = strict.admit("app", &pod("bad")).await;
        assert_eq!((said.allowed(), said.reason()), (false, "role_arn"), "{arn:?}");
        assert!(!said.message().contains('\n'));
        // The reference injects it as it is; whoever made the pod hears of it.
        let said = lax.admit("app", &pod("bad")).await;
        assert!(said.allowed() && said.patch().is_some(), "{arn:?}");
        assert!(
            arn.starts_with("arn:aws-cn") || said.warnings().len() == 1,
            "{arn:?} {said:?}"
        );
    }
}

#[tokio::test]
async fn adv_wh_08_a_tokens_life_stays_in_its_limits() {
    let settings = Settings {
        max_token_expiration_seconds: 43_200,
        token_expiration_seconds: 3_600,
        ..Settings::default()
    };
    let fixture = fixture_with(settings, rules());
    for (text, expected) in [
        ("86400", 43_200),
        ("599", 600),
        ("-1", 600),
        ("99999999999999999999", 3_600),
        ("1e9", 3_600),
        ("", 3_600),
        ("7200", 7_200),
    ] {
        let mut asking = pod("reader");
        asking["metadata"]["annotations"] = json!({"eks.amazonaws.com/token-expiration": text});
        let said = fixture.admit("app", &asking).await;
        assert_eq!(
            volume(&said.applied(&asking))["expirationSeconds"],
            expected,
            "{text:?}"
        );
        assert_eq!(said.warnings().len(), usize::from(text != "7200"), "{text:?}");
    }
}

#[tokio::test]
async fn adv_wh_09_skip_lists_are_csv_and_nothing_else() {
    let fixture = fixture();
    for (text, injected, warned) in [
        ("c", false, false),
        ("\"c\",\"c\"", false, false),
        ("*", true, true),
        (" c", true, true),
        ("\"c", true, true),
        ("c\nd", false, false),
        ("nobody,c", false, true),
    ] {
        let mut skipping = pod("reader");
        skipping["metadata"]["annotations"] = json!({"eks.amazonaws.com/skip-containers": text});
        let said = fixture.admit("app", &skipping).await;
        let applied = said.applied(&skipping);
        assert_eq!(
            applied["spec"]["containers"][0].get("env").is_some(),
            injected,
            "{text:?}"
        );
        assert_eq!(!said.warnings().is_empty(), warned, "{text:?} {said:?}");
    }
}

#[tokio::test]
async fn adv_wh_10_ephemeral_containers_are_left_alone() {
    let fixture = fixture();
    let mut ephemeral = pod("reader");
    ephemeral["spec"]["ephemeralContainers"] = json!([{"name": "debugger"}]);
    let applied = fixture.admit("app", &ephemeral).await.applied(&ephemeral);
    assert_eq!(applied["spec"]["ephemeralContainers"], json!([{"name": "debugger"}]));
    let mut update = review("app", &ephemeral);
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["subResource"] = json!("ephemeralcontainers");
    let said = fixture.ask(Entry::FailClosed, &update).await;
    assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}));
}

#[tokio::test]
async fn adv_wh_12_windows_by_all_three_declarations() {
    let declared = Settings {
        windows_detection: WindowsDetection::Declared,
        ..Settings::default()
    };
    let fixture = fixture_with(declared, rules());
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]}]}}});
    for (field, value) in [
        ("nodeSelector", json!({"kubernetes.io/os": "windows"})),
        ("os", json!({"name": "windows"})),
        ("affinity", affinity),
    ] {
        let mut windows = pod("reader");
        windows["spec"][field] = value;
        let applied = fixture.admit("app", &windows).await.applied(&windows);
        let file = &applied["spec"]["containers"][0]["env"][1]["value"];
        assert_eq!(
            file, "C:\\var\\run\\secrets\\eks.amazonaws.com\\serviceaccount\\token",
            "{field}"
        );
    }
}

#[tokio::test]
async fn adv_wh_14_reviews_of_any_shape_have_a_defined_answer() {
    let fixture = fixture();
    for entry in [Entry::Default, Entry::FailClosed] {
        for (document, allowed) in [
            (json!({}), false),
            (
                json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}),
                false,
            ),
            (json!({"request": null}), false),
            (json!({"request": {"uid": "u", "object": null}}), false),
            (json!({"request": {"uid": "u", "object": "pod"}}), false),
            (
                json!({"request": {"uid": "u", "object": {"spec": {"serviceAccountName": 7}}}}),
                true,
            ),
            (
                json!({"request": {"uid": "u", "kind": {"kind": "Deployment"}, "object": {}}}),
                true,
            ),
            (
                json!({"request": {"uid": "u", "operation": "DELETE", "object": null}}),
                true,
            ),
            (
                json!({"request": {"uid": 7, "namespace": 7, "object": {"metadata": 7, "spec": 7}}}),
                true,
            ),
        ] {
            let said = fixture.ask(entry, &document).await;
            assert_eq!(said.allowed(), allowed, "{document}");
            for name in ["kind", "apiVersion"] {
                assert_eq!(said.0.get(name), document.get(name), "{document}");
            }
            let uid = document["request"]["uid"].as_str().unwrap_or_default();
            assert_eq!(said.0["response"]["uid"], uid);
        }
        // The other version is answered in its own words.
        let mut beta = review("app", &pod("reader"));
        beta["apiVersion"] = json!("admission.k8s.io/v1beta1");
        let said = fixture.ask(entry, &beta).await;
        assert_eq!(said.0["apiVersion"], "admission.k8s.io/v1beta1");
        assert!(said.patch().is_some());
    }
}

#[tokio::test]
async fn adv_wh_18_the_sessions_name_fits() {
    let named = Settings {
        session_name: SessionName::Pod,
        ..Settings::default()
    };
    let fixture = fixture_with(named, rules());
    let session = |applied: &Value| {
        let variables = applied["spec"]["containers"][0]["env"].as_array().unwrap().iter();
        let mut found = variables.filter(|variable| variable["name"] == "AWS_ROLE_SESSION_NAME");
        found.next().unwrap().clone()
    };
    let (mut generated, mut long, mut other) = (pod("reader"), pod("reader"), pod("reader"));
    generated["metadata"] = json!({"generateName": "p-"});
    long["metadata"]["name"] = json!("x".repeat(250));
    other["metadata"]["name"] = json!(format!("{}y", "x".repeat(249)));
    let from_pod = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    let applied = fixture.admit("app", &generated).await.applied(&generated);
    assert_eq!(session(&applied)["valueFrom"], from_pod);
    let long = session(&fixture.admit("app", &long).await.applied(&long));
    let other = session(&fixture.admit("app", &other).await.applied(&other));
    let text = long["value"].as_str().unwrap();
    assert!(
        text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        "{text}"
    );
    assert_ne!(long, other);
}

#[tokio::test]
async fn adv_wh_19_pods_without_a_token_of_the_api_server_or_a_network_of_their_own() {
    let fixture = fixture();
    let mut odd = pod("reader");
    odd["spec"]["automountServiceAccountToken"] = json!(false);
    odd["spec"]["hostNetwork"] = json!(true);
    let applied = fixture.admit("app", &odd).await.applied(&odd);
    assert_eq!(volume(&applied)["audience"], "sts.amazonaws.com");
    let nobody = json!({"spec": {"containers": [{"name": "c"}]}});
    assert_eq!(
        fixture.fail_closed("app", &nobody).await.0["response"],
        json!({"uid": "u-1", "allowed": true})
    );
}

#[tokio::test]
async fn adv_wh_20_new_pods_follow_the_account() {
    let fixture = fixture();
    let accounts = &fixture.admission.sources.accounts;
    let other = "arn:aws:iam::111122223333:role/other";
    accounts.upsert(accounts.read("app", "reader", [("eks.amazonaws.com/role-arn", other)]));
    let applied = fixture.admit("app", &pod("reader")).await.applied(&pod("reader"));
    assert_eq!(applied["spec"]["containers"][0]["env"][0]["value"], other);
    // The annotation is taken away, and the API server says so when it is asked.
    fixture.cluster.has(&[]);
    accounts.upsert(accounts.read("app", "reader", []));
    assert!(fixture.admit("app", &pod("reader")).await.patch().is_none());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z_/ \u{0}-\u{1f}é]{0,12}".prop_map(Value::from),
        Just(json!("aws-iam-token")),
        Just(json!("AWS_ROLE_ARN")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            Just("name".to_owned()),
            Just("env".to_owned()),
            Just("volumeMounts".to_owned()),
            Just("mountPath".to_owned()),
            Just("valueFrom".to_owned()),
            Just("projected".to_owned()),
            "[a-z]{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Over the wire: whatever the pod, the patch applies, only adds, and is empty the second time.
    #[test]
    fn adv_wh_04_any_pod_gets_its_additions_once(containers in prop::collection::vec(any_json(), 0..4), init in any_json(), volumes in any_json(),
                                                 metadata in any_json(), extra in any_json()) {
        let any = json!({"metadata": metadata, "spec": {"serviceAccountName": "reader", "containers": containers, "initContainers": init, "volumes": volumes, "x": extra}});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let fixture = fixture();
            let said = fixture.admit("app", &any).await;
            if let Some(patch) = said.patch() {
                let applied = said.applied(&any);
                prop_assert!(patch.0.iter().all(|operation| matches!(operation, irsa_webhook::PatchOperation::Add(_))));
                prop_assert_eq!(&applied["spec"]["x"], &any["spec"]["x"]);
                prop_assert_eq!(&applied["metadata"], &any["metadata"]);
                let again = fixture.admit("app", &applied).await;
                prop_assert!(again.allowed(), "{:?}", again);
                prop_assert!(again.patch().is_none(), "{:?}", again);
                // Two instances of the webhook, one after the other, are as one.
                let other = crate::testing::fixture();
                prop_assert!(other.fail_closed("app", &applied).await.patch().is_none());
            }
            prop_assert!(said.allowed() || !said.message().is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn adv_wh_14_any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let fixture = fixture();
            for entry in [Entry::Default, Entry::FailClosed] {
                let answer = fixture.admission.answer(entry, Some(b"application/json"), &body, std::time::Duration::from_secs(1)).await;
                let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
                assert!(answer["response"]["uid"].is_string() && answer["response"]["allowed"].is_boolean());
            }
        });
    }
}
