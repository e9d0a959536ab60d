use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::identity::expiration;
use crate::{ContainerIdentity, Identity, SessionName, Settings, Warning, WindowsDetection, path};

/// What one pod is to get, whichever kind of identity it comes from: one token volume, the two credential variables and
/// the variables around them. EKS Pod Identity differs from IAM roles for service accounts in these values only.
#[derive(Debug)]
pub(crate) struct Injection {
    pub(crate) volume: String,
    pub(crate) token_file: String,
    pub(crate) mount_path: String,
    pub(crate) audience: String,
    pub(crate) expiration_seconds: i64,
    /// The two variables that belong together, in the order of their injection.
    pub(crate) credentials: [(&'static str, String); 2],
    pub(crate) region: Option<String>,
    pub(crate) regional_sts: bool,
    /// The session's name: `value` or `valueFrom` of the variable.
    pub(crate) session_name: Option<Value>,
    /// A label that the pod gets.
    pub(crate) label: Option<(&'static str, &'static str)>,
}

pub(crate) const REGIONAL_STS: &str = "AWS_STS_REGIONAL_ENDPOINTS";
pub(crate) const DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
pub(crate) const REGION: &str = "AWS_REGION";
pub(crate) const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
const ROLE_ARN: &str = "AWS_ROLE_ARN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
/// The variables of a role by web identity.
pub(crate) const CREDENTIALS: [&str; 2] = [ROLE_ARN, TOKEN_FILE];
/// The volume of a role by web identity.
pub(crate) const VOLUME: &str = "aws-iam-token";
/// The token's file in it.
pub(crate) const TOKEN_FILE_NAME: &str = "token";
const CREDENTIALS_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const AUTHORIZATION_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// All variables that are ever injected.
pub(crate) const VARIABLES: [&str; 8] = [
    REGIONAL_STS,
    DEFAULT_REGION,
    REGION,
    ROLE_ARN,
    TOKEN_FILE,
    SESSION_NAME,
    CREDENTIALS_URI,
    AUTHORIZATION_FILE,
];
/// The life of a token that gets jitter.
const DAY_SECONDS: i64 = 86_400;
const MAX_JITTER_SECONDS: i64 = 7_200;

/// What a container sets itself: any one variable of a group counts for all of it.
#[derive(Clone, Copy)]
pub(crate) struct Own {
    pub(crate) credentials: bool,
    pub(crate) region: bool,
    pub(crate) regional_sts: bool,
}

impl Injection {
    /// The injection of a role by web identity.
    pub(crate) fn web_identity(
        pod: &Value,
        identity: &Identity,
        settings: &Settings,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        Self {
            volume: VOLUME.into(),
            token_file: TOKEN_FILE_NAME.into(),
            mount_path: settings.token_mount_path.clone(),
            audience: identity.audience.clone(),
            expiration_seconds: expiration_of(pod, identity.token_expiration_seconds, settings, warnings),
            credentials: [
                (ROLE_ARN, identity.role_arn.clone()),
                (
                    TOKEN_FILE,
                    token_path(pod, &settings.token_mount_path, TOKEN_FILE_NAME, settings),
                ),
            ],
            region: region_of(identity, settings).map(ToOwned::to_owned),
            regional_sts: identity.regional_sts,
            session_name: (settings.session_name == SessionName::Pod).then(|| session_name(pod)),
            label: None,
        }
    }

    /// The injection of EKS Pod Identity.
    pub(crate) fn container_credentials(
        pod: &Value,
        identity: &ContainerIdentity,
        settings: &Settings,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let ours = &settings.container_credentials;
        let mut expiration_seconds = expiration_of(pod, identity.token_expiration_seconds, settings, warnings);
        if expiration_seconds == DAY_SECONDS {
            let jitter = identity.jitter_seconds.clamp(0, MAX_JITTER_SECONDS);
            expiration_seconds = settings.clamp_expiration(expiration_seconds.saturating_sub(jitter));
        }
        let path = token_path(pod, &ours.token_mount_path, &ours.token_path, settings);
        Self {
            volume: ours.token_volume_name.clone(),
            token_file: ours.token_path.clone(),
            mount_path: ours.token_mount_path.clone(),
            audience: ours.audience.clone(),
            expiration_seconds,
            credentials: [(CREDENTIALS_URI, ours.full_uri.clone()), (AUTHORIZATION_FILE, path)],
            region: settings.region().map(ToOwned::to_owned),
            regional_sts: identity.regional_sts,
            session_name: None,
            label: Some(("eks.amazonaws.com/pod-identity", "enabled")),
        }
    }

    /// What a container with these variables sets itself.
    pub(crate) fn own(&self, names: &BTreeSet<&str>) -> Own {
        let [(first, _), (second, _)] = &self.credentials;
        Own {
            credentials: names.contains(first) || names.contains(second),
            region: names.contains(REGION) || names.contains(DEFAULT_REGION),
            regional_sts: names.contains(REGIONAL_STS),
        }
    }

    /// Whether a container that sets so much itself gets variables.
    pub(crate) fn adds_to(&self, own: Own) -> bool {
        !own.credentials || self.region.is_some() && !own.region || self.regional_sts && !own.regional_sts
    }

    /// The volume that the kubelet fills with the token, and renews.
    pub(crate) fn volume(&self) -> Value {
        let mut token = serde_json::Map::new();
        if !self.audience.is_empty() {
            token.insert("audience".into(), json!(self.audience));
        }
        token.insert("expirationSeconds".into(), json!(self.expiration_seconds));
        token.insert("path".into(), json!(self.token_file));
        json!({"name": self.volume, "projected": {"sources": [{"serviceAccountToken": token}]}})
    }

    /// Whether a volume holds a token that serves as ours: same file name, same audience. Its life may differ. Sources of
    /// another kind could put a file of their own over the token, so a volume with such a source does not count.
    pub(crate) fn is_token_volume(&self, volume: &Value) -> bool {
        let Some(sources) = volume.pointer("/projected/sources").and_then(Value::as_array) else {
            return false;
        };
        let tokens: Option<Vec<&Value>> = sources.iter().map(|source| source.get("serviceAccountToken")).collect();
        let text = |token: &Value, key: &str| token.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut ours = tokens
            .into_iter()
            .flatten()
            .filter(|token| text(token, "path") == self.token_file);
        matches!((ours.next(), ours.next()), (Some(token), None) if text(token, "audience") == self.audience)
    }

    pub(crate) fn mount(&self) -> Value {
        json!({"name": self.volume, "readOnly": true, "mountPath": self.mount_path})
    }
}

/// The region that the pods of an identity get.
pub(crate) fn region_of<'a>(identity: &'a Identity, settings: &'a Settings) -> Option<&'a str> {
    identity.region.as_deref().or_else(|| settings.region())
}

fn token_path(pod: &Value, folder: &str, file: &str, settings: &Settings) -> String {
    let path = path::join(folder, file);
    if is_windows(pod, settings.windows_detection) {
        path::windows(&path)
    } else {
        path
    }
}

/// The token's life. An identity can come from elsewhere than annotations, so its number is held to the limits here too.
fn expiration_of(pod: &Value, seconds: i64, settings: &Settings, warnings: &mut Vec<Warning>) -> i64 {
    let fallback = settings.clamp_expiration(seconds);
    let Some(text) = pod_annotation(pod, "token-expiration", settings, warnings) else {
        return fallback;
    };
    let (seconds, warning) = expiration(text, fallback, settings);
    warnings.extend(warning);
    seconds
}

/// The pod's name as a session name. A session name has 64 characters at most
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>). A name that the API server generates has 63; one
/// that somebody chose may be too long, and ends with a digest then.
fn session_name(pod: &Value) -> Value {
    const LIMIT: usize = 64;
    const DIGITS: usize = 16;
    let name = pod
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if name.len() <= LIMIT {
        return json!({"name": SESSION_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    }
    let start: String = name.chars().take(LIMIT - DIGITS - 1).collect();
    // FNV-1a: it tells names apart, and protects nothing.
    let digest = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    json!({"name": SESSION_NAME, "value": format!("{start}-{digest:016x}")})
}

/// The value of one of our annotations on a pod.
pub(crate) fn pod_annotation<'a>(
    pod: &'a Value,
    name: &str,
    settings: &Settings,
    warnings: &mut Vec<Warning>,
) -> Option<&'a str> {
    let annotation = format!("{}/{name}", settings.annotation_prefix);
    match pod.get("metadata")?.get("annotations")?.get(&annotation)? {
        Value::String(text) => Some(text),
        Value::Null => Some(""),
        _ => {
            warnings.push(Warning::AnnotationType { annotation });
            None
        }
    }
}

pub(crate) const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
const WINDOWS: &str = "windows";

fn is_windows(pod: &Value, detection: WindowsDetection) -> bool {
    let Some(spec) = pod.get("spec") else {
        return false;
    };
    let selects = |label: &&str| {
        spec.get("nodeSelector")
            .and_then(|labels| labels.get(*label))
            .is_some_and(|os| os == WINDOWS)
    };
    match detection {
        WindowsDetection::NodeSelector => OS_LABELS.iter().any(selects),
        WindowsDetection::Declared => {
            OS_LABELS.iter().any(selects)
                || spec.pointer("/os/name").is_some_and(|os| os == WINDOWS)
                || requires_windows_nodes(spec)
        }
    }
}

/// Whether every alternative of the required node affinity admits Windows nodes alone.
fn requires_windows_nodes(spec: &Value) -> bool {
    let terms = spec
        .pointer("/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms")
        .and_then(Value::as_array);
    terms.is_some_and(|terms| {
        !terms.is_empty()
            && terms.iter().all(|term| {
                let expressions = term.get("matchExpressions").and_then(Value::as_array);
                expressions.into_iter().flatten().any(|expression| {
                    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
                    let values = expression.get("values").and_then(Value::as_array);
                    OS_LABELS.contains(&key)
                        && expression.get("operator").is_some_and(|operator| operator == "In")
                        && values
                            .is_some_and(|values| !values.is_empty() && values.iter().all(|value| value == WINDOWS))
                })
            })
    })
}
