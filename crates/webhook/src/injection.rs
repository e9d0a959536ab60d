use serde_json::{Value, json};

use crate::identity::expiration;
use crate::{Identity, Settings, Warning, WindowsDetection, path};

/// What one pod is to get, whichever kind of identity it comes from: one token volume, the two credential variables and
/// the variables around them. EKS Pod Identity differs from IAM roles for service accounts in these values only.
#[derive(Debug)]
pub(crate) struct Injection {
    pub(crate) volume: &'static str,
    pub(crate) token_file: &'static str,
    pub(crate) mount_path: String,
    pub(crate) audience: String,
    pub(crate) expiration_seconds: i64,
    /// The two variables that belong together, in the order of their injection.
    pub(crate) credentials: [(&'static str, String); 2],
    pub(crate) region: Option<String>,
    pub(crate) regional_sts: bool,
}

pub(crate) const REGIONAL_STS: &str = "AWS_STS_REGIONAL_ENDPOINTS";
pub(crate) const DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
pub(crate) const REGION: &str = "AWS_REGION";
const ROLE_ARN: &str = "AWS_ROLE_ARN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

impl Injection {
    /// The injection of a role by web identity.
    pub(crate) fn web_identity(
        pod: &Value,
        identity: &Identity,
        settings: &Settings,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let token_file = "token";
        let mut token_path = path::join(&settings.token_mount_path, token_file);
        if is_windows(pod, settings.windows_detection) {
            token_path = path::windows(&token_path);
        }
        // An identity can come from elsewhere than `identity_of`, so its number is held to the limits here too.
        let mut expiration_seconds = settings.clamp_expiration(identity.token_expiration_seconds);
        if let Some(text) = pod_annotation(pod, "token-expiration", settings, warnings) {
            let (seconds, warning) = expiration(text, expiration_seconds, settings);
            expiration_seconds = seconds;
            warnings.extend(warning);
        }
        Self {
            volume: "aws-iam-token",
            token_file,
            mount_path: settings.token_mount_path.clone(),
            audience: identity.audience.clone(),
            expiration_seconds,
            credentials: [(ROLE_ARN, identity.role_arn.clone()), (TOKEN_FILE, token_path)],
            region: settings.region().map(ToOwned::to_owned),
            regional_sts: identity.regional_sts,
        }
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

const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
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
