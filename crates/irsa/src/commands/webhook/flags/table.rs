/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Its name, without dashes.
    pub(crate) name: &'static str,
    /// One letter for it.
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    /// Its value where it is not given, as one would write it.
    pub(crate) default: &'static str,
    /// What it is for, in one line.
    pub(crate) help: &'static str,
    pub(crate) group: Group,
}

/// What a flag's value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// True or false; alone it means true, and the word after it is not its value.
    Switch,
    /// A whole number.
    Number,
    /// Any text; what it is called.
    Text(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Such as `1m30s`.
    Duration,
}

/// How the help text is ordered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    Serving,
    Cluster,
    Roles,
    PodIdentity,
    Decisions,
    Own,
    Klog,
}

impl Group {
    pub(crate) const ALL: [Self; 7] = [
        Self::Serving,
        Self::Cluster,
        Self::Roles,
        Self::PodIdentity,
        Self::Decisions,
        Self::Own,
        Self::Klog,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Serving => "Serving",
            Self::Cluster => "The cluster",
            Self::Roles => "Roles for service accounts",
            Self::PodIdentity => "EKS Pod Identity",
            Self::Decisions => "Decisions",
            Self::Own => "A certificate authority of its own, with --in-cluster",
            Self::Klog => {
                "Accepted for manifests that pass them; only -v has an effect: from 4 on, debug messages are logged"
            }
        }
    }
}

const fn flag(group: Group, name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        kind,
        default,
        help,
        group,
    }
}

const fn klog(name: &'static str, kind: Kind, default: &'static str) -> Flag {
    flag(Group::Klog, name, kind, default, "")
}

use Group::{Cluster, Decisions, Own, PodIdentity, Roles, Serving};
use Kind::{Duration, Number, Switch, Text, Word};

/// All flags: the reference webhook's with its defaults, and ours.
pub(crate) const TABLE: &[Flag] = &[
    flag(Serving, "port", Number, "443", "The HTTPS port of reviews and health"),
    flag(
        Serving,
        "metrics-port",
        Number,
        "9999",
        "The plain HTTP port of metrics and health",
    ),
    flag(
        Serving,
        "bind-address",
        Text("ADDRESS"),
        "",
        "The address of both ports; all if not given",
    ),
    flag(
        Serving,
        "tls-cert",
        Text("FILE"),
        "/etc/webhook/certs/tls.crt",
        "The serving certificate with its chain, read again when it changes",
    ),
    flag(
        Serving,
        "tls-key",
        Text("FILE"),
        "/etc/webhook/certs/tls.key",
        "Its key",
    ),
    flag(
        Serving,
        "tls-min-version",
        Text("VERSION"),
        "",
        "1.2 or 1.3; 1.0 and 1.1 are accepted and mean 1.2",
    ),
    flag(
        Serving,
        "tls-cipher-suites",
        Text("NAMES"),
        "",
        "The suites of TLS 1.2, by Go's names; those without forward secrecy are passed over",
    ),
    flag(
        Serving,
        "client-ca-file",
        Text("FILE"),
        "",
        "Authorities of API servers: reviews are answered only to those who show a certificate of theirs",
    ),
    flag(
        Serving,
        "max-connections",
        Number,
        "1024",
        "How many connections are served at a time",
    ),
    flag(
        Serving,
        "drain-period",
        Duration,
        "10s",
        "How long reviews are still answered after SIGTERM, while /readyz says no",
    ),
    flag(
        Serving,
        "enable-debugging-handlers",
        Switch,
        "false",
        "Serve /debug/alpha/…: the cache on the metrics port, failures on the HTTPS port",
    ),
    flag(Serving, "version", Switch, "false", "Print the version and end"),
    flag(
        Cluster,
        "kubeconfig",
        Text("FILE"),
        "",
        "How to reach the API server; if neither this nor --kube-api is given, as a pod does",
    ),
    flag(
        Cluster,
        "kube-api",
        Text("URL"),
        "",
        "The API server, instead of the one in the kubeconfig",
    ),
    flag(
        Cluster,
        "in-cluster",
        Switch,
        "true",
        "Take the serving certificate from a certificate authority of its own, instead of files",
    ),
    flag(
        Cluster,
        "namespace",
        Text("NAME"),
        "eks",
        "The namespace of the webhook, its Secret and its ConfigMap",
    ),
    flag(
        Cluster,
        "service-name",
        Text("NAME"),
        "pod-identity-webhook",
        "The Service for which the authority certifies",
    ),
    flag(
        Cluster,
        "watch-config-map",
        Switch,
        "false",
        "Also read roles from the ConfigMap `pod-identity-webhook`",
    ),
    flag(
        Cluster,
        "resync-period",
        Duration,
        "1m0s",
        "How often everything is compared again with what the watch told",
    ),
    flag(
        Cluster,
        "backstop-period",
        Duration,
        "10m",
        "How often pods are looked for that run without the credentials of their role; 0 for never",
    ),
    flag(
        Cluster,
        "evict-uninjected",
        Switch,
        "false",
        "Delete such pods where a controller makes them again",
    ),
    flag(
        Cluster,
        "evict-uninjected-younger-than",
        Duration,
        "1h",
        "Only those that are younger",
    ),
    flag(
        Roles,
        "annotation-prefix",
        Text("PREFIX"),
        "eks.amazonaws.com",
        "The part before the slash of all annotations",
    ),
    flag(
        Roles,
        "token-audience",
        Text("AUDIENCE"),
        "sts.amazonaws.com",
        "The token's audience where the account names none",
    ),
    flag(
        Roles,
        "token-mount-path",
        Text("PATH"),
        "/var/run/secrets/eks.amazonaws.com/serviceaccount",
        "Where the token is mounted",
    ),
    flag(
        Roles,
        "token-expiration",
        Number,
        "86400",
        "The token's life in seconds where nobody names one, at least 600",
    ),
    flag(
        Roles,
        "max-token-expiration",
        Number,
        "4294967296",
        "The longest life in seconds that annotations may ask for",
    ),
    flag(
        Roles,
        "aws-default-region",
        Text("REGION"),
        "",
        "The region that pods get as AWS_DEFAULT_REGION and AWS_REGION",
    ),
    flag(
        Roles,
        "sts-regional-endpoint",
        Switch,
        "false",
        "Tell SDKs to use the regional STS endpoint where the account does not say",
    ),
    flag(
        Roles,
        "compose-role-arn",
        Switch,
        "false",
        "Accept role names in place of ARNs; account and region come from the instance's metadata",
    ),
    flag(
        Roles,
        "role-arn-account",
        Text("ID"),
        "",
        "The account for --compose-role-arn, so that no metadata are needed",
    ),
    flag(
        Roles,
        "role-arn-region",
        Text("REGION"),
        "",
        "Any region of its partition; --aws-default-region if not given",
    ),
    flag(
        Roles,
        "role-arn-check",
        Word(&["warn", "refuse"]),
        "warn",
        "What happens to a pod whose role ARN is malformed or of another partition",
    ),
    flag(
        Roles,
        "account-lists",
        Switch,
        "false",
        "Read skip-containers and include-containers on accounts too, not on pods alone",
    ),
    flag(
        Roles,
        "session-name",
        Word(&["sdk", "pod"]),
        "sdk",
        "Who names sessions: the SDK, or the pod's name by AWS_ROLE_SESSION_NAME",
    ),
    flag(
        Roles,
        "env-from",
        Word(&["ignore", "config-maps", "all"]),
        "ignore",
        "Whose variables of envFrom count as the container's own: nobody's, those of ConfigMaps, those of Secrets too",
    ),
    flag(
        Roles,
        "windows-detection",
        Word(&["node-selector", "declared"]),
        "node-selector",
        "By what a pod is known to run on Windows; declared: also by spec.os and node affinity",
    ),
    flag(
        PodIdentity,
        "watch-container-credentials-config",
        Text("FILE"),
        "",
        "The file that names the accounts; without it the mode is off",
    ),
    flag(
        PodIdentity,
        "container-credentials-audience",
        Text("AUDIENCE"),
        "pods.eks.amazonaws.com",
        "The token's audience",
    ),
    flag(
        PodIdentity,
        "container-credentials-token-mount-path",
        Text("PATH"),
        "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
        "Where the token is mounted",
    ),
    flag(
        PodIdentity,
        "container-credentials-token-volume-name",
        Text("NAME"),
        "eks-pod-identity-token",
        "The volume's name",
    ),
    flag(
        PodIdentity,
        "container-credentials-token-path",
        Text("FILE"),
        "eks-pod-identity-token",
        "The token's file name in the volume",
    ),
    flag(
        PodIdentity,
        "container-credentials-full-uri",
        Text("URL"),
        "http://169.254.170.23/v1/credentials",
        "Where SDKs get credentials",
    ),
    flag(
        PodIdentity,
        "association-grace-period",
        Duration,
        "0",
        "How long a pod of an account without a role waits for that file to name it: every such pod is held up so long",
    ),
    flag(
        Decisions,
        "on-refusal",
        Word(&["deny", "warn"]),
        "deny",
        "What happens to a pod that cannot get its credentials as it is written",
    ),
    flag(
        Decisions,
        "exempt-namespaces",
        Text("NAMES"),
        "",
        "Namespaces whose pods are never refused, beside kube-system, kube-public, kube-node-lease and our own",
    ),
    flag(
        Decisions,
        "service-account-lookup-grace-period",
        Duration,
        "3s",
        "How long an account that does not exist yet is waited for; one look-up is made in any case",
    ),
    flag(
        Own,
        "tls-secret",
        Text("NAME"),
        "pod-identity-webhook",
        "The Secret that holds authority and certificate",
    ),
    flag(
        Own,
        "webhook-configuration",
        Text("NAME"),
        "pod-identity-webhook",
        "The MutatingWebhookConfiguration whose caBundle is kept",
    ),
    flag(
        Own,
        "certificate-names",
        Text("NAMES"),
        "",
        "Further DNS names and addresses in the certificate, for a configuration with a URL: a comma list",
    ),
    flag(
        Own,
        "certificate-lifetime",
        Duration,
        "2160h",
        "How long a certificate lives; it is renewed long before",
    ),
    flag(
        Own,
        "certificate-overlap",
        Duration,
        "10m",
        "How long a new authority is trusted before it certifies",
    ),
    klog("add_dir_header", Switch, "false"),
    klog("alsologtostderr", Switch, "false"),
    klog("log_backtrace_at", Text("LINE"), ""),
    klog("log_dir", Text("DIR"), ""),
    klog("log_file", Text("FILE"), ""),
    klog("log_file_max_size", Number, "1800"),
    klog("logtostderr", Switch, "true"),
    klog("one_output", Switch, "false"),
    klog("skip_headers", Switch, "false"),
    klog("skip_log_headers", Switch, "false"),
    klog("stderrthreshold", Text("LEVEL"), "2"),
    klog("legacy_stderr_threshold_behavior", Switch, "true"),
    Flag {
        short: Some('v'),
        ..klog("v", Number, "0")
    },
    klog("vmodule", Text("PATTERNS"), ""),
];
