//! The mutation as a MutatingAdmissionPolicy: what API servers that have it do in their own process, so that no webhook need run.
//!
//! The policy's parameters are the service accounts of the pod's namespace, and its match conditions pick the pod's own. Everything that a policy can see it does as
//! [`mutate`](crate::mutate) does; a suite holds the two together, with the API server's own evaluator. What it cannot see or say is in `docs/webhook.md`.
//!
//! See <https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/>.

mod expression;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Settings;

/// The versions of the API that know the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyVersion {
    /// Kubernetes 1.36 and later.
    V1,
    /// Kubernetes 1.34 and later, where it is switched on.
    V1Beta1,
}

impl PolicyVersion {
    /// As `apiVersion` has it.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admissionregistration.k8s.io/v1",
            Self::V1Beta1 => "admissionregistration.k8s.io/v1beta1",
        }
    }
}

/// What is chosen for the policy, beside the [`Settings`] of the mutation.
#[derive(Clone, Debug)]
pub struct PolicyOptions {
    /// The name of its objects.
    pub name: String,
    /// The version of its objects.
    pub version: PolicyVersion,
    /// Labels of the service accounts that are looked at; none: all are. An API server looks at every account of a pod's namespace, one after the other.
    pub account_labels: BTreeMap<String, String>,
    /// Namespaces whose pods are never refused, beside those of the control plane.
    pub exempt_namespaces: Vec<String>,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self {
            name: "pod-identity-webhook".into(),
            version: PolicyVersion::V1,
            account_labels: BTreeMap::new(),
            exempt_namespaces: Vec::new(),
        }
    }
}

/// Pods with this label, and the value not `false`, start with credentials or not at all.
pub const FAIL_CLOSED_LABEL: &str = "eks.amazonaws.com/pod-identity-fail-closed";
/// The namespaces that hold the control plane: nothing there is refused on our account.
pub const CONTROL_PLANE_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
const SKIP_LABEL: &str = "eks.amazonaws.com/skip-pod-identity-webhook";

/// The objects to apply.
///
/// One policy with its binding, which refuses a pod of an account with a role if it cannot be evaluated; the same again for the control plane's namespaces, which lets
/// pods through then; and a ValidatingAdmissionPolicy with its binding, which refuses pods that are to fail closed and have got nothing.
#[must_use]
pub fn policy_objects(settings: &Settings, options: &PolicyOptions) -> Vec<Value> {
    let mut exempt: Vec<&str> = CONTROL_PLANE_NAMESPACES.to_vec();
    exempt.extend(options.exempt_namespaces.iter().map(String::as_str));
    let mut objects = Vec::new();
    let exempt_name = format!("{}-exempt", options.name);
    for (name, failure_policy, operator) in [(&options.name, "Fail", "NotIn"), (&exempt_name, "Ignore", "In")] {
        objects.push(policy(name, failure_policy, settings, options));
        objects.push(json!({
            "apiVersion": options.version.api_version(),
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "paramRef": {"selector": account_selector(options), "parameterNotFoundAction": "Allow"},
                "matchResources": {"namespaceSelector": namespaces(operator, &exempt)},
            },
        }));
    }
    objects.extend(fail_closed(settings, options, &exempt));
    objects
}

fn policy(name: &str, failure_policy: &str, settings: &Settings, options: &PolicyOptions) -> Value {
    let conditions = expression::conditions(settings);
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(name, text)| json!({"name": name, "expression": text}))
        .collect();
    let variables: Vec<Value> = expression::variables(settings)
        .iter()
        .map(|(name, text)| json!({"name": name, "expression": text}))
        .collect();
    json!({
        "apiVersion": options.version.api_version(),
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ServiceAccount"},
            "matchConstraints": new_pods(&[json!({"key": SKIP_LABEL, "operator": "DoesNotExist"})]),
            "failurePolicy": failure_policy,
            "reinvocationPolicy": "IfNeeded",
            "matchConditions": conditions,
            "variables": variables,
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression::patch(settings)}}],
        },
    })
}

/// What refuses pods that were to fail closed.
fn fail_closed(settings: &Settings, options: &PolicyOptions, exempt: &[&str]) -> [Value; 2] {
    // Of this kind every server that has the other has the final version.
    let api_version = PolicyVersion::V1.api_version();
    let name = format!("{}-fail-closed", options.name);
    let selected = [
        json!({"key": SKIP_LABEL, "operator": "DoesNotExist"}),
        json!({"key": FAIL_CLOSED_LABEL, "operator": "Exists"}),
        json!({"key": FAIL_CLOSED_LABEL, "operator": "NotIn", "values": ["false"]}),
    ];
    let validations: Vec<Value> = expression::fail_closed(settings)
        .into_iter()
        .map(|(expression, message)| json!({"expression": expression, "message": message, "reason": "Forbidden"}))
        .collect();
    [
        json!({
            "apiVersion": api_version,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": new_pods(&selected),
                "failurePolicy": "Fail",
                "validations": validations,
            },
        }),
        json!({
            "apiVersion": api_version,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": namespaces("NotIn", exempt)},
            },
        }),
    ]
}

fn new_pods(labels: &[Value]) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "objectSelector": {"matchExpressions": labels},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}],
    })
}

fn namespaces(operator: &str, names: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": operator, "values": names}]})
}

fn account_selector(options: &PolicyOptions) -> Value {
    let labels: Map<String, Value> = options
        .account_labels
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    if labels.is_empty() {
        json!({})
    } else {
        json!({"matchLabels": labels})
    }
}

#[cfg(test)]
mod tests;
