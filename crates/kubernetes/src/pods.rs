//! Pods that run: looked at page by page, and none of them kept.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::CallError;
use crate::service_accounts::is_name;

/// Pods a page: one may be a megabyte, and most are ten kilobytes.
const PAGE: u32 = 100;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// Shows every pod of a namespace, or of all, that has not ended, as the API server has it; one page is held at a time.
///
/// Needs `list` of `pods`.
///
/// # Errors
/// A page cannot be had; what came before it was shown.
pub async fn for_each_pod(
    cluster: &Cluster,
    namespace: Option<&str>,
    mut on_pod: impl FnMut(&Value),
) -> Result<(), CallError> {
    if namespace.is_some_and(|namespace| !is_name(namespace)) {
        return Ok(());
    }
    let mut parameters = ListParams {
        field_selector: Some("status.phase!=Succeeded,status.phase!=Failed".to_owned()),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let path = match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    loop {
        let request = Request::new(path.as_str())
            .list(&parameters)
            .map_err(kube::Error::BuildRequest)?;
        let page: Page = cluster.call(cluster.client().request(request)).await?;
        page.items.iter().for_each(&mut on_pod);
        parameters.continue_token = page.metadata.token.filter(|token| !token.is_empty());
        if parameters.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// Deletes a pod, if it is still the one that was seen: of this unique id, and not changed since. `false`: it is not.
///
/// Needs `delete` of `pods`.
///
/// # Errors
/// No answer within the deadline, or a refusal.
pub async fn delete_pod(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    uid: &str,
    resource_version: &str,
) -> Result<bool, CallError> {
    if !is_name(namespace) || !is_name(name) {
        return Ok(false);
    }
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: Some(resource_version.to_owned()),
        }),
        ..DeleteParams::default()
    };
    match cluster.call(api.delete(name, &parameters)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake::{Reply, api_server, refusal};

    #[tokio::test]
    async fn every_page_is_shown() {
        let mut pages = vec![
            json!({"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a"}, "future": 1}]}),
            json!({"metadata": {}, "items": [{"metadata": {"name": "b"}}]}),
        ]
        .into_iter();
        let (cluster, requests) = api_server(move |_, _| Reply::Json(200, pages.next().unwrap())).await;
        let mut names = Vec::new();
        for_each_pod(&cluster, Some("app"), |pod| {
            names.push(pod["metadata"]["name"].as_str().unwrap().to_owned());
        })
        .await
        .unwrap();
        assert_eq!(names, ["a", "b"]);
        let asked = requests.lock().unwrap();
        assert!(asked[0].0.starts_with("GET /api/v1/namespaces/app/pods?"), "{asked:?}");
        assert!(
            asked[0].0.contains("limit=100") && asked[0].0.contains("status.phase%21%3DSucceeded"),
            "{asked:?}"
        );
        assert!(asked[1].0.contains("continue=more"), "{asked:?}");
    }

    #[tokio::test]
    async fn only_the_pod_that_was_seen_is_deleted() {
        let (cluster, requests) = api_server(|_, _| Reply::Json(409, refusal(409, "Conflict"))).await;
        assert_eq!(delete_pod(&cluster, "app", "a", "u-1", "7").await, Ok(false));
        assert_eq!(delete_pod(&cluster, "app", "../b", "u-1", "7").await, Ok(false));
        let asked = requests.lock().unwrap();
        assert_eq!(asked.len(), 1);
        assert!(
            asked[0].0.starts_with("DELETE /api/v1/namespaces/app/pods/a"),
            "{asked:?}"
        );
        let body: Value = serde_json::from_str(&asked[0].1).unwrap();
        assert_eq!(body["preconditions"], json!({"uid": "u-1", "resourceVersion": "7"}));
    }
}
