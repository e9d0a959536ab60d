use irsa_webhook::Settings;
use irsa_webhook::configured::ServedAccounts;
use serde_json::json;

use super::*;
use crate::testing::{ROLE, blocked, fixture, fixture_of, fixture_with, pod, review, rules};

fn served(text: &str) -> ServedAccounts {
    ServedAccounts::read(text).unwrap().0
}

#[tokio::test]
async fn a_pod_of_an_account_with_a_role_is_injected() {
    let fixture = fixture();
    let said = fixture.admit("app", &pod("reader")).await;
    let applied = said.applied(&pod("reader"));
    assert_eq!(
        applied["spec"]["containers"][0]["env"][0],
        json!({"name": "AWS_ROLE_ARN", "value": ROLE})
    );
    assert_eq!(applied["spec"]["volumes"][0]["name"], "aws-iam-token");
    assert_eq!(
        said.0["response"]["auditAnnotations"],
        json!({"decision": "injected", "reason": "role"})
    );
    assert_eq!(*fixture.cluster.look_ups.lock().unwrap(), 0);
    let again = fixture.admit("app", &applied).await;
    assert!(again.allowed() && again.patch().is_none());
    assert_eq!(again.0["response"]["auditAnnotations"]["decision"], "unchanged");
}

#[tokio::test]
async fn the_answers_to_pods_that_are_none_of_our_business_have_nothing_but_the_uid() {
    let fixture = fixture();
    let mut opted_out = pod("reader");
    opted_out["metadata"]["labels"] = json!({"eks.amazonaws.com/skip-pod-identity-webhook": "x"});
    let mut mirror = pod("reader");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    for pod in [
        pod("plain"),
        pod(""),
        opted_out,
        mirror,
        json!({"spec": {"containers": []}}),
        json!({}),
    ] {
        for entry in [Entry::Default, Entry::FailClosed] {
            let said = fixture.ask(entry, &review("app", &pod)).await;
            assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}), "{pod}");
        }
    }
    assert_eq!(*fixture.cluster.look_ups.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_pod_that_cannot_get_its_role_is_refused_with_the_reason() {
    let fixture = fixture();
    for entry in [Entry::Default, Entry::FailClosed] {
        let said = fixture.ask(entry, &review("app", &blocked("reader"))).await;
        assert!(!said.allowed() && said.patch().is_none());
        assert_eq!(
            said.message(),
            format!(
                "service account `reader` in `app` asks for role `{ROLE}`, which this pod can't get: container `c` gets no credentials: volume `aws-iam-token` does not hold this role's token"
            )
        );
        assert_eq!(said.reason(), "foreign_volume");
    }
    assert!(fixture.reports().is_empty(), "who made the pod is told by the refusal");
    assert!(fixture.admit("app", &blocked("plain")).await.allowed());
}

#[tokio::test]
async fn where_an_operator_says_so_it_is_let_through_and_reported() {
    let lenient = Rules {
        on_refusal: OnRefusal::Warn,
        ..rules()
    };
    let fixture = fixture_with(Settings::default(), lenient);
    let mut dry = review("app", &blocked("reader"));
    dry["request"]["dryRun"] = json!(true);
    assert!(fixture.ask(Entry::Default, &dry).await.allowed());
    assert!(fixture.reports().is_empty(), "a dry run has no effects");
    let said = fixture.admit("app", &blocked("reader")).await;
    assert!(said.allowed() && said.patch().is_none());
    assert!(said.warnings()[0].contains("volume `aws-iam-token` does not hold this role's token"));
    let reports = fixture.reports();
    let [report] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (report.namespace.as_str(), report.service_account.as_str()),
        ("app", "reader")
    );
    assert_eq!(
        (report.name.as_deref(), report.generate_name.as_deref()),
        (None, Some("p-"))
    );
    assert_eq!(report.owner.as_ref().map(|owner| owner.name.as_str()), Some("rs"));
    assert_eq!(report.reason, "foreign_volume");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_lets_pods_through_unless_their_owner_chose_otherwise() {
    let fixture = fixture();
    fixture.cluster.away();
    let said = fixture.admit("app", &pod("unknown")).await;
    assert!(said.allowed());
    assert_eq!(
        said.warnings(),
        ["whether service account `unknown` in `app` has a role can't be told: the API server can't be asked"]
    );
    assert_eq!((said.reason(), fixture.reports().len()), ("look_up_failed", 1));
    let said = fixture.fail_closed("app", &pod("unknown")).await;
    assert!(!said.allowed() && said.message().contains("can't be told"), "{said:?}");
    assert!(
        !said.0.to_string().contains("10.1.2.3"),
        "addresses are for the operator alone"
    );
    // What is known goes on as before.
    assert!(fixture.fail_closed("app", &pod("plain")).await.allowed());
    assert!(fixture.fail_closed("app", &pod("reader")).await.patch().is_some());
}

#[tokio::test(start_paused = true)]
async fn adv_wh_17_control_plane_own_namespace_and_static_pods_are_never_blocked() {
    let fixture = fixture();
    fixture.cluster.away();
    for namespace in ["kube-system", "kube-public", "kube-node-lease", "webhook"] {
        for pod in [pod("unknown"), pod("plain"), pod("reader"), blocked("reader")] {
            let said = fixture.fail_closed(namespace, &pod).await;
            assert!(said.allowed(), "{namespace} {pod} {said:?}");
        }
    }
    // They are injected all the same.
    assert!(fixture.admit("kube-system", &pod("reader")).await.patch().is_some());
    let mut mirror = blocked("reader");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "hash"});
    assert!(fixture.fail_closed("app", &mirror).await.allowed());
}

#[tokio::test(start_paused = true)]
async fn adv_wh_02_an_account_that_is_made_in_the_same_moment_is_found() {
    let fixture = fixture();
    fixture
        .cluster
        .has(&[("eks.amazonaws.com/role-arn", ROLE), ("other.example/role-arn", "x")]);
    for _ in 0..100 {
        assert!(fixture.admit("app", &pod("fresh")).await.patch().is_some());
    }
    // And one that the watch showed a moment ago, before its annotation.
    let accounts = &fixture.admission.sources.accounts;
    accounts.upsert(accounts.read("app", "annotated-later", []));
    assert!(fixture.admit("app", &pod("annotated-later")).await.patch().is_some());
    fixture.cluster.has(&[]);
    let said = fixture.admit("app", &pod("made-without")).await;
    assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}));
}

#[tokio::test(start_paused = true)]
async fn adv_wh_01_before_the_first_list_every_account_is_looked_up() {
    let fixture = fixture_of(Sources::new(Settings::default(), false, false), rules());
    assert!(fixture.admission.sources.missing().is_some());
    fixture.cluster.has(&[("eks.amazonaws.com/role-arn", ROLE)]);
    assert!(fixture.admit("app", &pod("reader")).await.patch().is_some());
    fixture.cluster.has(&[]);
    assert!(fixture.admit("app", &pod("plain")).await.patch().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_exist_is_told() {
    let fixture = fixture();
    let said = fixture.admit("app", &pod("nobody")).await;
    assert!(said.allowed() && said.warnings()[0].ends_with("there is no such service account"));
    assert!(!fixture.fail_closed("app", &pod("nobody")).await.allowed());
    let text = fixture.admission.metrics.text(&fixture.admission.sources, true);
    assert!(text.contains("\npod_identity_webhook_missing_sa_count 2\n"));
}

#[tokio::test(start_paused = true)]
async fn the_config_map_counts_where_the_account_has_no_role() {
    let sources = Sources::new(Settings::default(), true, false);
    sources.accounts.replace([
        sources
            .accounts
            .read("app", "reader", [("eks.amazonaws.com/role-arn", ROLE)]),
        sources.accounts.read("app", "plain", []),
    ]);
    let fixture = fixture_of(sources, rules());
    let sources = &fixture.admission.sources;
    // Not read yet: nobody can tell.
    let said = fixture.fail_closed("app", &pod("plain")).await;
    assert_eq!((said.allowed(), said.reason()), (false, "not_synced"));
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let text = format!(
        "{{\"app/reader\": {{\"RoleARN\": \"{0}\"}}, \"app/plain\": {{\"RoleARN\": \"{0}\"}}, \"*/any\": {{\"RoleARN\": \"{1}\"}}}}",
        role("own"),
        role("anywhere")
    );
    sources.read_configured(Some(&text));
    for (name, expected) in [
        ("reader", ROLE.to_owned()),
        ("plain", role("own")),
        ("any", role("anywhere")),
    ] {
        let said = fixture.admit("app", &pod(name)).await;
        assert_eq!(
            said.applied(&pod(name))["spec"]["containers"][0]["env"][0]["value"],
            expected
        );
    }
    // A broken text changes nothing; a map that is gone does.
    sources.read_configured(Some("{"));
    assert!(fixture.admit("app", &pod("plain")).await.patch().is_some());
    sources.read_configured(None);
    assert!(fixture.admit("app", &pod("plain")).await.patch().is_none());
}

#[tokio::test(start_paused = true)]
async fn adv_wh_22_pod_identity_goes_before_roles_with_a_warning() {
    let fixture = fixture();
    let sources = &fixture.admission.sources;
    let both = r#"{"identities": [{"namespace": "app", "serviceAccount": "reader"}, {"namespace": "app", "serviceAccount": "plain"},
        {"namespace": "app", "serviceAccount": "unheard-of"}]}"#;
    sources.set_served(served(both));
    let variables = |applied: &Value| -> Vec<String> {
        let variables = applied["spec"]["containers"][0]["env"].as_array().unwrap().iter();
        variables
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for (name, warnings) in [("reader", 1), ("plain", 0), ("unheard-of", 0)] {
        let said = fixture.admit("app", &pod(name)).await;
        let applied = said.applied(&pod(name));
        assert_eq!(
            variables(&applied),
            [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
            ]
        );
        assert_eq!(said.warnings().len(), warnings, "{said:?}");
        assert_eq!(said.reason(), "container_credentials");
        let life =
            &applied["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"];
        assert!((79_200..=86_400).contains(&life.as_i64().unwrap()), "{life}");
    }
    assert_eq!(*fixture.cluster.look_ups.lock().unwrap(), 0);
    let annotations = [
        ("eks.amazonaws.com/token-expiration", "7200"),
        ("eks.amazonaws.com/sts-regional-endpoints", "true"),
    ];
    sources
        .accounts
        .upsert(sources.accounts.read("app", "plain", annotations));
    let said = fixture.admit("app", &pod("plain")).await;
    let applied = said.applied(&pod("plain"));
    assert_eq!(variables(&applied)[0], "AWS_STS_REGIONAL_ENDPOINTS");
    let life = &applied["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"];
    assert_eq!(life, 7_200);
    let text = fixture.admission.metrics.text(sources, true);
    assert!(
        text.contains("\npod_identity_webhook_pod_count{method=\"container_credentials\"} 4\n"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_association_that_is_made_a_moment_later_is_waited_for_where_an_operator_says_so() {
    let patient = Rules {
        association_grace: Duration::from_secs(2),
        ..rules()
    };
    let fixture = Arc::new(fixture_with(Settings::default(), patient));
    let asked = Arc::clone(&fixture);
    let waiting = tokio::spawn(async move { asked.admit("app", &pod("plain")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let named = r#"{"identities": [{"namespace": "app", "serviceAccount": "plain"}]}"#;
    fixture.admission.sources.set_served(served(named));
    assert_eq!(waiting.await.unwrap().reason(), "container_credentials");
    fixture.admission.sources.set_served(ServedAccounts::default());
    let said = fixture.admit("app", &pod("plain")).await;
    assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}));
}

#[tokio::test(start_paused = true)]
async fn a_new_account_without_a_role_is_believed_when_it_cannot_be_looked_up() {
    let fixture = fixture();
    fixture.cluster.away();
    let accounts = &fixture.admission.sources.accounts;
    accounts.upsert(accounts.read("app", "new", []));
    let said = fixture.fail_closed("app", &pod("new")).await;
    assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}));
    // Not when the watch is lost as well.
    accounts.mark_lagging();
    for name in ["new", "plain"] {
        assert!(!fixture.fail_closed("app", &pod(name)).await.allowed());
        let said = fixture.admit("app", &pod(name)).await;
        assert_eq!(said.0["response"], json!({"uid": "u-1", "allowed": true}));
    }
    let reports = fixture.reports();
    assert!(reports.is_empty(), "{reports:?}");
}

#[test]
fn jitter_is_between_none_and_two_hours() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        let jitter = jitter();
        assert!((0..=7_200).contains(&jitter));
        seen.insert(jitter);
    }
    assert!(seen.len() > 500);
}

#[tokio::test]
async fn what_owners_should_know_is_bounded() {
    let fixture = fixture();
    let mut many = pod("reader");
    let containers: Vec<Value> = (0..1_000)
        .map(|number| json!({"name": format!("c{number}"), "env": [{"name": "AWS_ROLE_ARN", "value": "x"}]}))
        .collect();
    many["spec"]["containers"] = containers.into();
    let said = fixture.admit("app", &many).await;
    let warnings = said.warnings();
    assert!(said.allowed() && warnings.len() == MAX_WARNINGS);
    assert!(warnings.iter().map(|warning| warning.chars().count()).sum::<usize>() <= 4_096);
}
