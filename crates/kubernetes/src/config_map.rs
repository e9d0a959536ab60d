//! One ConfigMap, followed by its name.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;

use crate::cluster::Cluster;
use crate::watch::{WatchOptions, follow_one};

/// Tells of the text under `key` of the ConfigMap `namespace/name`, at the start and whenever the ConfigMap changes, until it is dropped; it never
/// ends. `None`: there is no such ConfigMap, or nothing under that key.
///
/// Needs `list` and `watch` of that one ConfigMap.
pub async fn watch_config_map(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    key: &str,
    options: WatchOptions,
    mut on_text: impl FnMut(Option<&str>),
) {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client(), namespace);
    follow_one("ConfigMap", cluster, api, name, options, |object| {
        let data = object.as_ref().and_then(|object| object.data.as_ref());
        on_text(data.and_then(|data| data.get(key)).map(String::as_str));
    })
    .await;
}
