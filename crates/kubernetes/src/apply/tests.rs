use serde_json::{Value, json};

use super::*;
use crate::fake::{Reply, Requests, api_server, refusal};

const TARGET: &str = "PATCH /api/v1/namespaces/app/serviceaccounts/reader?fieldManager=irsa&force=true";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn account(uid: &str) -> Value {
    json!({"kind": "PartialObjectMetadata", "metadata": {"namespace": "app", "name": "reader", "uid": uid}})
}

/// A cluster that answers in this order, and what it was asked.
async fn cluster(answers: Vec<Reply>) -> (Cluster, Requests) {
    let mut answers = answers.into_iter();
    api_server(move |head, _| answers.next().unwrap_or_else(|| panic!("{head}"))).await
}

fn lines(requests: &Requests) -> Vec<String> {
    requests.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
}

async fn applied(answers: Vec<Reply>, uid: Option<&str>) -> (Result<(), CallError>, Requests) {
    let (cluster, requests) = cluster(answers).await;
    let (labels, annotations) = (map(&[("a", "b")]), map(&[("eks.amazonaws.com/role-arn", "arn")]));
    let applied = apply_service_account(&cluster, "app", "reader", &labels, &annotations, uid, "irsa").await;
    (applied, requests)
}

#[tokio::test]
async fn only_labels_and_annotations_are_applied() {
    let (answer, requests) = applied(vec![Reply::Json(201, account("u-1"))], None).await;
    assert_eq!(answer, Ok(()));
    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].0, TARGET);
    assert_eq!(
        serde_json::from_str::<Value>(&requests[0].1).unwrap(),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
            "namespace": "app", "name": "reader", "labels": {"a": "b"}, "annotations": {"eks.amazonaws.com/role-arn": "arn"}}})
    );
}

#[tokio::test]
async fn a_change_at_the_same_time_is_met_with_another_try() {
    let conflict = Reply::Json(409, refusal(409, "Conflict"));
    let answers = vec![
        conflict.clone(),
        Reply::Json(200, account("u-1")),
        Reply::Json(200, account("u-1")),
    ];
    let (answer, requests) = applied(answers, Some("u-1")).await;
    assert_eq!(answer, Ok(()));
    assert_eq!(lines(&requests)[1], "GET /api/v1/namespaces/app/serviceaccounts/reader");
    assert_eq!(lines(&requests)[2], TARGET);
    let answers = vec![[conflict, Reply::Json(200, account("u-1"))]; 5].concat();
    let (answer, _) = applied(answers, None).await;
    assert!(answer.unwrap_err().is_conflict());
}

#[tokio::test]
async fn another_account_of_the_name_is_not_changed() {
    for code in [409, 422] {
        for there in [
            Reply::Json(200, account("u-2")),
            Reply::Json(404, refusal(404, "NotFound")),
        ] {
            let (answer, _) = applied(vec![Reply::Json(code, refusal(code, "Conflict")), there], Some("u-1")).await;
            let error = answer.unwrap_err();
            assert!(error.is_conflict());
            assert!(
                error
                    .to_string()
                    .ends_with("`app/reader` that was seen is not there any more"),
                "{error}"
            );
        }
    }
    // A label that is none is no conflict.
    let answers = vec![
        Reply::Json(422, refusal(422, "Invalid")),
        Reply::Json(200, account("u-1")),
    ];
    let (answer, _) = applied(answers, Some("u-1")).await;
    assert!(
        matches!(answer, Err(CallError::Refused { code: 422, .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_account_that_is_being_deleted_is_told_of() {
    let mut going = account("u-1");
    going["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    let (answer, _) = applied(vec![Reply::Json(200, going)], None).await;
    assert!(answer.unwrap_err().to_string().contains("is being deleted"));
}

#[tokio::test]
async fn letting_go_makes_nothing() {
    let (api, requests) = cluster(vec![Reply::Json(200, account("u-1"))]).await;
    release_service_account(&api, "app", "reader", "u-1", "irsa")
        .await
        .unwrap();
    let body: Value = serde_json::from_str(&requests.lock().unwrap()[0].1).unwrap();
    assert_eq!(
        body["metadata"],
        json!({"namespace": "app", "name": "reader", "uid": "u-1"})
    );

    // An API server that makes it in spite of the unique id.
    let (api, requests) = cluster(vec![Reply::Json(201, account("u-2")), Reply::Json(200, json!({}))]).await;
    release_service_account(&api, "app", "reader", "u-1", "irsa")
        .await
        .unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests[1].0, "DELETE /api/v1/namespaces/app/serviceaccounts/reader");
    let body: Value = serde_json::from_str(&requests[1].1).unwrap();
    assert_eq!(body["preconditions"], json!({"uid": "u-2"}));
}

#[tokio::test]
async fn a_namespace_that_is_there_is_well_unless_it_goes() {
    let exists = || Reply::Json(409, refusal(409, "AlreadyExists"));
    let there = |deletion: Value| Reply::Json(200, json!({"metadata": {"name": "app", "deletionTimestamp": deletion}}));
    let made = async |answers| {
        let (api, _) = cluster(answers).await;
        create_namespace(&api, "app").await
    };
    assert_eq!(made(vec![Reply::Json(201, json!({}))]).await, Ok(()));
    assert_eq!(made(vec![exists(), there(Value::Null)]).await, Ok(()));
    let going = Err(CallError::NamespaceTerminating("app".to_owned()));
    assert_eq!(made(vec![exists(), there(json!("2026-11-23T00:00:00Z"))]).await, going);
    assert_eq!(
        made(vec![exists(), Reply::Json(404, refusal(404, "NotFound"))]).await,
        going
    );
    assert_eq!(
        made(vec![exists(), Reply::Json(403, refusal(403, "Forbidden"))]).await,
        Ok(())
    );
}

#[tokio::test]
async fn only_the_account_that_was_seen_is_deleted() {
    let deleted = async |status: u16| {
        let (api, requests) = cluster(vec![Reply::Json(status, refusal(status, "Word"))]).await;
        let answer = delete_service_account(&api, "app", "reader", "u-1").await;
        let body: Value = serde_json::from_str(&requests.lock().unwrap()[0].1).unwrap();
        assert_eq!(body["preconditions"], json!({"uid": "u-1"}));
        answer
    };
    assert_eq!(deleted(200).await, Ok(()));
    assert_eq!(deleted(404).await, Ok(()));
    assert!(deleted(409).await.unwrap_err().is_conflict());
    assert!(deleted(403).await.unwrap_err().is_forbidden());
}

#[tokio::test]
async fn what_is_no_name_is_never_sent() {
    let (api, requests) = cluster(Vec::new()).await;
    let none = BTreeMap::new();
    for bad in ["", "..", "a/b", "a?b", "A", "é"] {
        assert!(
            apply_service_account(&api, "app", bad, &none, &none, None, "irsa")
                .await
                .is_err()
        );
        assert!(
            apply_service_account(&api, bad, "reader", &none, &none, None, "irsa")
                .await
                .is_err()
        );
        assert!(release_service_account(&api, "app", bad, "u", "irsa").await.is_err());
        assert!(delete_service_account(&api, bad, "reader", "u").await.is_err());
        assert!(create_namespace(&api, bad).await.is_err());
    }
    assert!(requests.lock().unwrap().is_empty());
}
