use serde_json::{Value, json};

use super::*;
use crate::fake::{Reply, api_server, refusal};

fn page(names: &[&str], more: &str) -> Reply {
    let items: Vec<_> = names
        .iter()
        .map(|name| json!({"metadata": {"namespace": "app", "name": name, "uid": format!("u-{name}")}}))
        .collect();
    Reply::Json(
        200,
        json!({"metadata": {"continue": more, "resourceVersion": "7"}, "items": items}),
    )
}

fn gone() -> Reply {
    Reply::Json(410, refusal(410, "Expired"))
}

/// The names that are listed of these answers, and what was asked.
async fn listed(answers: Vec<Reply>) -> (Result<Vec<String>, CallError>, Vec<String>) {
    let mut answers = answers.into_iter();
    let (cluster, requests) = api_server(move |_, _| answers.next().unwrap()).await;
    let listed = list_all_service_accounts(&cluster, "irsa").await;
    let asked = requests.lock().unwrap().iter().map(|(head, _)| head.clone()).collect();
    (
        listed.map(|accounts| accounts.into_iter().map(|account| account.name).collect()),
        asked,
    )
}

#[tokio::test]
async fn all_pages_and_the_token_as_it_was_sent() {
    let (names, asked) = listed(vec![page(&["b", "c"], "a+b/c=&d"), page(&["a"], "")]).await;
    assert_eq!(names.unwrap(), ["a", "b", "c"]);
    assert_eq!(
        asked,
        [
            "GET /api/v1/serviceaccounts?limit=500",
            "GET /api/v1/serviceaccounts?limit=500&continue=a%2Bb%2Fc%3D%26d"
        ]
    );
}

#[tokio::test]
async fn a_list_that_became_too_old_begins_anew_and_repeats_nothing() {
    let (names, asked) = listed(vec![
        page(&["a"], "t1"),
        gone(),
        page(&["a", "b"], "t2"),
        page(&["c"], ""),
    ])
    .await;
    assert_eq!(names.unwrap(), ["a", "b", "c"]);
    assert!(asked[2].ends_with("?limit=500"), "{asked:?}");
}

#[tokio::test]
async fn a_list_that_is_always_too_old_is_asked_for_whole() {
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend([page(&["a"], "t"), gone()]);
    }
    answers.push(page(&["a", "b"], ""));
    let (names, asked) = listed(answers).await;
    assert_eq!(names.unwrap(), ["a", "b"]);
    assert!(asked.last().unwrap().ends_with("?limit=0"), "{asked:?}");
    let (names, _) = listed(
        [
            [page(&["a"], "t"), gone()].as_slice(),
            &[page(&["a"], "t"), gone()],
            &[page(&["a"], "t"), gone()],
            &[gone()],
        ]
        .concat(),
    )
    .await;
    assert!(matches!(names, Err(CallError::Refused { code: 410, .. })), "{names:?}");
}

#[tokio::test]
async fn pages_that_go_in_circles_are_an_error() {
    let (names, _) = listed(vec![page(&["a"], "t"), page(&["a"], "t")]).await;
    assert!(matches!(names, Err(CallError::Unreachable(_))), "{names:?}");
}

#[tokio::test]
async fn a_list_of_nothing() {
    let (names, _) = listed(vec![Reply::Json(200, json!({"metadata": {}, "items": null}))]).await;
    assert_eq!(names.unwrap(), Vec::<String>::new());
}

fn read(metadata: Value) -> AccountMetadata {
    AccountMetadata::read(serde_json::from_value(metadata).unwrap(), "irsa")
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[test]
fn owned_is_what_our_manager_applied_and_nothing_else() {
    let account = read(json!({
        "namespace": "app", "name": "reader", "uid": "u-1",
        "labels": {"app.kubernetes.io/managed-by": "irsa", "team": "x"},
        "annotations": {"eks.amazonaws.com/role-arn": "arn"},
        "managedFields": [
            {"manager": "irsa", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {
                "f:metadata": {
                    "f:labels": {"f:app.kubernetes.io/managed-by": {}, ".": {}},
                    "f:annotations": {"f:eks.amazonaws.com/role-arn": {}, "f:f:odd": {}}}}},
            {"manager": "irsa", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
            {"manager": "irsa", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:team": {}}}, "f:secrets": {"k:{\"name\":\"s\"}": {".": {}}}}},
            {"manager": "irsa-2", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
        ],
    }));
    assert_eq!(account.owned_labels, set(&["app.kubernetes.io/managed-by"]));
    assert_eq!(account.owned_annotations, set(&["eks.amazonaws.com/role-arn", "f:odd"]));
    assert_eq!(account.labels.len(), 2);
    assert_eq!((account.uid.as_str(), account.name.as_str()), ("u-1", "reader"));
}

#[test]
fn what_is_left_out_or_null_is_nothing() {
    for metadata in [
        json!({"namespace": "app", "name": "reader"}),
        json!({"namespace": "app", "name": "reader", "labels": null, "annotations": null, "managedFields": null}),
        json!({"namespace": "app", "name": "reader", "managedFields": [{}, {"manager": "irsa", "operation": "Apply", "fieldsV1": {}},
            {"manager": "irsa", "operation": "Apply", "fieldsV1": {"f:metadata": {}, "f:secrets": {}}}]}),
        json!({"namespace": "app", "name": "reader", "managedFields": [{"manager": "irsa", "operation": "Apply", "fieldsV1": null}]}),
    ] {
        let account = read(metadata);
        assert_eq!(account.name, "reader");
        assert!(account.owned_labels.is_empty() && account.owned_annotations.is_empty());
    }
}

#[tokio::test]
async fn one_account_is_looked_up() {
    let (cluster, requests) = api_server(|head, _| match head {
        "GET /api/v1/namespaces/app/serviceaccounts/reader" => Reply::Json(
            200,
            json!({"metadata": {"namespace": "app", "name": "reader", "uid": "u-1"}}),
        ),
        _ => Reply::Json(404, refusal(404, "NotFound")),
    })
    .await;
    let found = look_up_account(&cluster, "app", "reader", "irsa")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.uid, "u-1");
    assert_eq!(look_up_account(&cluster, "app", "writer", "irsa").await, Ok(None));
    assert_eq!(look_up_account(&cluster, "app", "../x", "irsa").await, Ok(None));
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn namespaces_by_name() {
    let (cluster, _) = api_server(|_, _| {
        Reply::Json(
            200,
            json!({"items": [{"metadata": {"name": "b"}}, {"metadata": {"name": "a"}}]}),
        )
    })
    .await;
    assert_eq!(list_namespaces(&cluster).await.unwrap(), set(&["a", "b"]));
}
