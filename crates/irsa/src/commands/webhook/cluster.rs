//! What the webhook knows of its cluster, and asks of it.

use std::sync::Arc;
use std::time::Duration;

use irsa_admission::{Account, LookUp, LookUpError, Report, ServingCertificate, Sources};
use irsa_kubernetes::{
    CallError, Change, Cluster, ClusterError, ClusterOptions, WatchOptions, look_up_service_account, watch_config_map,
    watch_service_accounts,
};

use super::flags::Flags;

/// The reference's ConfigMap, and the key of its text.
const CONFIG_MAP: (&str, &str) = ("pod-identity-webhook", "config");

/// What an operator chooses of it.
pub(super) struct Options {
    kubeconfig: String,
    kube_api: String,
    resync: Duration,
    namespace: String,
    watch_config_map: bool,
}

pub(super) fn options(flags: &Flags) -> Options {
    let text = |name: &str| flags.text(name).to_owned();
    Options {
        kubeconfig: text("kubeconfig"),
        kube_api: text("kube-api"),
        resync: flags.duration("resync-period"),
        namespace: text("namespace"),
        watch_config_map: flags.switch("watch-config-map"),
    }
}

/// Begins to follow the cluster; an API server that is away is waited for.
pub(super) async fn start(
    options: Options,
    sources: Arc<Sources>,
    _certificate: Arc<ServingCertificate>,
) -> Result<Arc<dyn irsa_admission::Cluster>, ClusterError> {
    let cluster = Cluster::connect(&ClusterOptions::from_flags(&options.kubeconfig, &options.kube_api)).await?;
    let watching = WatchOptions {
        resync: options.resync,
        ..WatchOptions::default()
    };
    let (follower, fed) = (cluster.clone(), Arc::clone(&sources));
    tokio::spawn(async move { follow(&follower, &fed, watching).await });
    if options.watch_config_map {
        let (follower, fed) = (cluster.clone(), Arc::clone(&sources));
        tokio::spawn(async move {
            let (name, key) = CONFIG_MAP;
            let read = |text: Option<&str>| fed.read_configured(text);
            watch_config_map(&follower, &options.namespace, name, key, watching, read).await;
        });
    }
    Ok(Arc::new(Asked { cluster, sources }))
}

/// Keeps the accounts true.
async fn follow(cluster: &Cluster, sources: &Sources, options: WatchOptions) {
    let accounts = &sources.accounts;
    let mut listed: Option<Vec<Account>> = None;
    let prefix = sources.settings.annotation_prefix.as_str();
    watch_service_accounts(cluster, prefix, options, |change| match change {
        Change::Relisting => listed = Some(Vec::new()),
        Change::Present(account) => {
            let annotations = account.annotations.iter();
            let annotations = annotations.map(|(key, value)| (key.as_str(), value.as_str()));
            let read = accounts.read(&account.namespace, &account.name, annotations);
            match &mut listed {
                Some(listed) => listed.push(read),
                None => accounts.upsert(read),
            }
        }
        Change::Complete => {
            if let Some(listed) = listed.take() {
                accounts.replace(listed);
            }
        }
        Change::Removed(account) => accounts.remove(&account.namespace, &account.name),
        Change::Lost => accounts.mark_lagging(),
        Change::Found => accounts.mark_synced(),
    })
    .await;
}

struct Asked {
    cluster: Cluster,
    sources: Arc<Sources>,
}

impl irsa_admission::Cluster for Asked {
    fn look_up<'a>(&'a self, namespace: &'a str, name: &'a str, deadline: Duration) -> LookUp<'a> {
        Box::pin(async move {
            let prefix = self.sources.settings.annotation_prefix.as_str();
            match look_up_service_account(&self.cluster, namespace, name, prefix, deadline).await {
                Ok(found) => Ok(found.map(|account| account.annotations.into_iter().collect())),
                Err(CallError::Deadline(_)) => Err(LookUpError::Deadline),
                Err(error) => Err(LookUpError::Unavailable {
                    reason: error.to_string(),
                }),
            }
        })
    }

    fn report(&self, report: Report) {
        tracing::warn!(
            namespace = ?report.namespace,
            account = ?report.service_account,
            owner = ?report.owner.map(|owner| owner.name),
            reason = report.reason,
            "a pod is left without credentials"
        );
    }
}
