//! What the webhook knows of its cluster, and asks of it.

use std::sync::Arc;
use std::time::Duration;

use irsa_admission::{EnvLookUp, Listed, LookUp, LookUpError, Report, ServingCertificate, Sources, certified_key};
use irsa_kubernetes::{
    CallError, CertificateOptions, Change, Cluster, ClusterError, ClusterOptions, Events, KeysOf, ObjectReference,
    Rotation, Warning, WatchOptions, keep_certificate, look_up_keys, look_up_service_account, service_names,
    watch_config_map, watch_service_accounts,
};
use irsa_webhook::EnvSourceKind;

use super::backstop;
use super::flags::Flags;

/// The reference's ConfigMap, and the key of its text.
const CONFIG_MAP: (&str, &str) = ("pod-identity-webhook", "config");
/// Whose Events these are.
const COMPONENT: &str = "pod-identity-webhook";
/// Calls a second, and at once: a look-up an account that was made a moment ago, and little else.
const CALLS: (u32, u32) = (100, 200);

/// Accounts a page: what was read of one lies in memory as a whole for a moment, and some of that moment stays.
const PAGE: u32 = 250;

/// What an operator chooses of it.
pub(super) struct Options {
    kubeconfig: String,
    kube_api: String,
    watch: WatchOptions,
    namespace: String,
    watch_config_map: bool,
    own_certificate: Option<CertificateOptions>,
    backstop: backstop::Options,
}

/// `exempt_namespaces`: where nothing is touched, beside the control plane's.
pub(super) fn options(flags: &Flags, exempt_namespaces: Vec<String>) -> Options {
    let text = |name: &str| flags.text(name).to_owned();
    let watch = WatchOptions {
        resync: flags.duration("resync-period"),
        page_size: PAGE,
    };
    let own_certificate = || {
        let mut names = service_names(flags.text("service-name"), flags.text("namespace"));
        let more = flags.text("certificate-names").split(',').map(str::trim);
        names.extend(more.filter(|name| !name.is_empty()).map(str::to_owned));
        CertificateOptions {
            namespace: text("namespace"),
            secret: text("tls-secret"),
            names,
            webhook_configuration: text("webhook-configuration"),
            rotation: Rotation {
                lifetime: flags.duration("certificate-lifetime"),
                overlap: flags.duration("certificate-overlap"),
            },
            watch,
        }
    };
    Options {
        kubeconfig: text("kubeconfig"),
        kube_api: text("kube-api"),
        watch,
        namespace: text("namespace"),
        watch_config_map: flags.switch("watch-config-map"),
        own_certificate: flags.switch("in-cluster").then(own_certificate),
        backstop: backstop::Options {
            period: flags.duration("backstop-period"),
            evict: flags.switch("evict-uninjected"),
            evict_younger_than: flags.duration("evict-uninjected-younger-than"),
            exempt_namespaces,
        },
    }
}

/// Begins to follow the cluster; an API server that is away is waited for.
pub(super) async fn start(
    options: Options,
    sources: Arc<Sources>,
    certificate: Arc<ServingCertificate>,
) -> Result<Arc<dyn irsa_admission::Cluster>, ClusterError> {
    let (calls_per_second, burst) = CALLS;
    let cluster = Cluster::connect(&ClusterOptions {
        calls_per_second,
        burst,
        ..ClusterOptions::from_flags(&options.kubeconfig, &options.kube_api)
    })
    .await?;
    let watch = options.watch;
    let (follower, fed) = (cluster.clone(), Arc::clone(&sources));
    tokio::spawn(async move { follow(&follower, &fed, watch).await });
    if options.watch_config_map {
        let (follower, fed) = (cluster.clone(), Arc::clone(&sources));
        tokio::spawn(async move {
            let (name, key) = CONFIG_MAP;
            let read = |text: Option<&str>| fed.read_configured(text);
            watch_config_map(&follower, &options.namespace, name, key, watch, read).await;
        });
    }
    if let Some(own) = options.own_certificate {
        // Its own calls must not stand in the row behind look-ups.
        let keeper = Cluster::connect(&ClusterOptions::from_flags(&options.kubeconfig, &options.kube_api)).await?;
        tokio::spawn(async move {
            let show = |chain: &str, key: &str| {
                certified_key(chain.as_bytes(), key.as_bytes()).map(|certified| certificate.set(certified))
            };
            keep_certificate(&keeper, &own, show).await;
        });
    }
    let events = Events::start(&cluster, COMPONENT);
    tokio::spawn(backstop::run(
        cluster.clone(),
        Arc::clone(&sources),
        events.clone(),
        options.backstop,
    ));
    Ok(Arc::new(Asked {
        cluster,
        sources,
        events,
    }))
}

/// Keeps the accounts true.
async fn follow(cluster: &Cluster, sources: &Sources, options: WatchOptions) {
    let accounts = &sources.accounts;
    let mut listed: Option<Listed> = None;
    let prefix = sources.settings.annotation_prefix.as_str();
    watch_service_accounts(cluster, prefix, options, |change| match change {
        Change::Relisting => listed = Some(Listed::default()),
        Change::Present(account) => {
            let annotations = account.annotations.iter();
            let annotations = annotations.map(|(key, value)| (key.as_str(), value.as_str()));
            let read = accounts.read(&account.namespace, &account.name, annotations);
            match &mut listed {
                Some(listed) => accounts.list(listed, read),
                None => accounts.upsert(read),
            }
        }
        Change::Complete => {
            if let Some(listed) = listed.take() {
                accounts.complete(listed);
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
    events: Events,
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

    fn env_keys<'a>(
        &'a self,
        namespace: &'a str,
        kind: EnvSourceKind,
        name: &'a str,
        deadline: Duration,
    ) -> EnvLookUp<'a> {
        Box::pin(async move {
            let of = match kind {
                EnvSourceKind::ConfigMap => KeysOf::ConfigMap,
                EnvSourceKind::Secret => KeysOf::Secret,
            };
            match look_up_keys(&self.cluster, of, namespace, name, deadline).await {
                Ok(found) => Ok(found),
                Err(CallError::Deadline(_)) => Err(LookUpError::Deadline),
                // Whoever does not know us may know us in a moment: that is another matter.
                Err(CallError::Forbidden { .. } | CallError::Refused { code: 403, .. }) => Err(LookUpError::Forbidden),
                Err(error) => Err(LookUpError::Unavailable {
                    reason: error.to_string(),
                }),
            }
        })
    }

    fn report(&self, report: Report) {
        self.events.warn(warning(report));
    }
}

/// On the pod's owner; a pod without one is not stored yet, so its account is told instead.
fn warning(report: Report) -> Warning {
    let namespace = report.namespace;
    let about = match report.owner {
        Some(owner) => ObjectReference {
            api_version: owner.api_version,
            kind: owner.kind,
            namespace,
            name: owner.name,
            uid: owner.uid,
        },
        None => ObjectReference {
            api_version: "v1".to_owned(),
            kind: "ServiceAccount".to_owned(),
            namespace,
            name: report.service_account,
            uid: String::new(),
        },
    };
    Warning {
        about,
        reason: camel_case(report.reason),
        message: report.message,
    }
}

/// `foreign_volume` as Events have it: `ForeignVolume`.
fn camel_case(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    words.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use irsa_admission::Owner;

    use super::*;

    #[test]
    fn whom_an_event_is_about() {
        let report = Report {
            namespace: "app".to_owned(),
            name: None,
            generate_name: Some("web-".to_owned()),
            owner: None,
            service_account: "reader".to_owned(),
            reason: "foreign_volume",
            message: "no".to_owned(),
        };
        let account = warning(report.clone());
        assert_eq!(
            (account.about.kind.as_str(), account.about.name.as_str()),
            ("ServiceAccount", "reader")
        );
        assert_eq!(account.reason, "ForeignVolume");
        let owner = Owner {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            name: "web".to_owned(),
            uid: "u".to_owned(),
        };
        let owned = warning(Report {
            owner: Some(owner),
            ..report
        });
        let about = owned.about;
        assert_eq!(
            (about.kind.as_str(), about.namespace.as_str(), about.uid.as_str()),
            ("ReplicaSet", "app", "u")
        );
    }
}
