//! What the manifests of `deploy/` must be, however they were made: as they stand, by Kustomize, by Helm.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The label with which owners of pods and namespaces choose to fail closed.
pub const FAIL_CLOSED: &str = "eks.amazonaws.com/pod-identity-fail-closed";
/// The label with which owners of pods keep them away from the webhook.
pub const SKIP: &str = "eks.amazonaws.com/skip-pod-identity-webhook";

/// The objects of a YAML text, without empty documents.
///
/// # Errors
/// It is no YAML.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("the manifests are no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// What differs between installations.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// The namespace that the webhook runs in.
    pub namespace: &'a str,
    /// The name of its objects.
    pub name: &'a str,
    /// Whether it has an authority of its own.
    pub own_authority: bool,
    /// Whether it reads the ConfigMap.
    pub config_map: bool,
    /// Whether it looks for pods that were missed.
    pub backstop: bool,
    /// Whether it deletes them.
    pub evicts: bool,
    /// Whether it reads the keys of ConfigMaps that containers take variables from.
    pub env_from: bool,
    /// Whether it could be allowed to read those of Secrets.
    pub env_from_secrets: bool,
}

/// What is wrong with an installation's objects; nothing if all is well.
#[must_use]
pub fn faults(objects: &[Value], installation: Installation<'_>) -> Vec<String> {
    let mut faults = Faults::default();
    permissions(objects, installation, &mut faults);
    deployment(objects, installation, &mut faults);
    configuration(objects, installation, &mut faults);
    faults.0
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    fn equal(&mut self, place: &str, found: Option<&Value>, expected: &Value) {
        self.expect(found == Some(expected), || {
            format!("{place} is {}, not {expected}", found.unwrap_or(&Value::Null))
        });
    }
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn permissions(objects: &[Value], installation: Installation<'_>, faults: &mut Faults) {
    let core = json!([""]);
    let mut expected = BTreeSet::from([
        json!(["ClusterRole", core, ["serviceaccounts"], null, ["get", "list", "watch"]]).to_string(),
        json!(["ClusterRole", core, ["events"], null, ["create", "patch"]]).to_string(),
    ]);
    if installation.own_authority {
        let name = installation.name;
        let configurations = json!(["admissionregistration.k8s.io"]);
        expected.extend([
            json!([
                "ClusterRole",
                configurations,
                ["mutatingwebhookconfigurations"],
                [name],
                ["get", "list", "watch", "patch"]
            ])
            .to_string(),
            json!(["Role", core, ["secrets"], [name], ["get", "list", "watch", "update"]]).to_string(),
        ]);
    }
    if installation.config_map {
        let rule = json!([
            "Role",
            core,
            ["configmaps"],
            ["pod-identity-webhook"],
            ["get", "list", "watch"]
        ]);
        expected.insert(rule.to_string());
    }
    for (is, verb) in [(installation.backstop, "list"), (installation.evicts, "delete")] {
        if is {
            expected.insert(json!(["ClusterRole", core, ["pods"], null, [verb]]).to_string());
        }
    }
    for (is, resource) in [
        (installation.env_from, "configmaps"),
        (installation.env_from_secrets, "secrets"),
    ] {
        if is {
            expected.insert(json!(["ClusterRole", core, [resource], null, ["get"]]).to_string());
        }
    }
    let reads_secrets = |binding: &&Value| {
        let role = binding["roleRef"]["name"].as_str().unwrap_or_default();
        role.ends_with("-env-from-secrets")
    };
    faults.expect(
        of_kind(objects, "ClusterRoleBinding").find(reads_secrets).is_none(),
        || "the Secrets of all namespaces may be read".to_owned(),
    );
    let mut found = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for role in of_kind(objects, kind) {
            faults.expect(
                kind == "ClusterRole" || role["metadata"]["namespace"] == installation.namespace,
                || format!("the {kind} stands in {}", role["metadata"]["namespace"]),
            );
            for rule in role["rules"].as_array().into_iter().flatten() {
                let rule = json!([
                    kind,
                    rule["apiGroups"],
                    rule["resources"],
                    rule["resourceNames"],
                    rule["verbs"]
                ]);
                faults.expect(found.insert(rule.to_string()), || format!("{rule} stands twice"));
            }
        }
    }
    for rule in found.difference(&expected) {
        faults.0.push(format!("{rule} is allowed and not needed"));
    }
    for rule in expected.difference(&found) {
        faults.0.push(format!("{rule} is needed and not allowed"));
    }
    for kind in ["ClusterRoleBinding", "RoleBinding"] {
        for binding in of_kind(objects, kind) {
            let account =
                json!([{"kind": "ServiceAccount", "name": installation.name, "namespace": installation.namespace}]);
            faults.equal(&format!("{kind} subjects"), binding.get("subjects"), &account);
        }
    }
    for secret in of_kind(objects, "Secret") {
        faults.expect(
            secret.get("data").is_none() && secret.get("stringData").is_none(),
            || "a Secret with contents would be put in the place of the webhook's own".to_owned(),
        );
    }
}

fn deployment(objects: &[Value], installation: Installation<'_>, faults: &mut Faults) {
    let deployments: Vec<&Value> = of_kind(objects, "Deployment").collect();
    let [deployment] = deployments.as_slice() else {
        faults.0.push(format!("there are {} Deployments", deployments.len()));
        return;
    };
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    for (place, expected) in [
        ("/metadata/namespace", json!(installation.namespace)),
        ("/spec/replicas", json!(2)),
        ("/spec/strategy/rollingUpdate/maxUnavailable", json!(0)),
        ("/spec/template/spec/serviceAccountName", json!(installation.name)),
        (
            "/spec/template/spec/priorityClassName",
            json!("system-cluster-critical"),
        ),
        ("/spec/template/spec/securityContext/runAsNonRoot", json!(true)),
        ("/spec/template/spec/securityContext/runAsUser", json!(65532)),
        (
            "/spec/template/spec/securityContext/seccompProfile/type",
            json!("RuntimeDefault"),
        ),
        (
            "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(false),
        ),
        (
            "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem",
            json!(true),
        ),
        (
            "/spec/template/spec/containers/0/securityContext/capabilities",
            json!({"drop": ["ALL"]}),
        ),
        (
            "/spec/template/spec/containers/0/readinessProbe/httpGet/path",
            json!("/readyz"),
        ),
        (
            "/spec/template/spec/containers/0/livenessProbe/httpGet/path",
            json!("/healthz"),
        ),
        (
            "/spec/template/spec/containers/0/startupProbe/httpGet/path",
            json!("/healthz"),
        ),
        (
            "/spec/template/spec/containers/0/ports/0",
            json!({"name": "https", "containerPort": 8443}),
        ),
    ] {
        faults.equal(place, deployment.pointer(place), &expected);
    }
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        faults.expect(template["spec"].get(field).is_none(), || format!("{field} is set"));
    }
    let labels = &template["metadata"]["labels"];
    faults.expect(labels.get(SKIP).is_some(), || {
        "the webhook would be asked about its own pods".to_owned()
    });
    faults.expect(labels.get(FAIL_CLOSED).is_none(), || {
        "the webhook's own pods fail closed".to_owned()
    });
    faults.expect(container["resources"]["limits"].get("memory").is_some(), || {
        "memory has no limit".to_owned()
    });
    let seconds = |flag: &str| {
        let arguments = container["args"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let value = arguments.filter_map(|argument| argument.strip_prefix(flag)).next()?;
        value.strip_suffix('s')?.parse::<u64>().ok()
    };
    let grace = template["spec"]["terminationGracePeriodSeconds"].as_u64();
    faults.expect(
        seconds("--drain-period=").is_some_and(|drain| grace > Some(drain + 20)),
        || "the webhook would be killed while it drains".to_owned(),
    );
    let selected = |selector: &Value| {
        let selector = selector.as_object();
        selector.is_some_and(|selector| {
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    for (kind, place) in [
        ("Service", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("Deployment", "/spec/selector/matchLabels"),
    ] {
        let mut some = false;
        for object in of_kind(objects, kind) {
            some = true;
            faults.expect(object.pointer(place).is_some_and(selected), || {
                format!("{kind}: {place} does not select the pods")
            });
        }
        faults.expect(some, || format!("there is no {kind}"));
    }
}

fn configuration(objects: &[Value], installation: Installation<'_>, faults: &mut Faults) {
    let configurations: Vec<&Value> = of_kind(objects, "MutatingWebhookConfiguration").collect();
    let [configuration] = configurations.as_slice() else {
        faults
            .0
            .push(format!("there are {} webhook configurations", configurations.len()));
        return;
    };
    faults.equal(
        "the configuration's name",
        configuration.pointer("/metadata/name"),
        &json!(installation.name),
    );
    let mut names = BTreeSet::new();
    let mut by_default = 0;
    for entry in configuration["webhooks"].as_array().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default();
        faults.expect(names.insert(name) && name.matches('.').count() >= 2, || {
            format!("`{name}` is no entry's name")
        });
        let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}]);
        for (place, expected) in [
            ("/rules", rules),
            ("/admissionReviewVersions", json!(["v1", "v1beta1"])),
            ("/matchPolicy", json!("Equivalent")),
            ("/reinvocationPolicy", json!("IfNeeded")),
            ("/sideEffects", json!("NoneOnDryRun")),
            ("/timeoutSeconds", json!(5)),
            ("/clientConfig/service/name", json!(installation.name)),
            ("/clientConfig/service/namespace", json!(installation.namespace)),
        ] {
            faults.equal(&format!("{name}: {place}"), entry.pointer(place), &expected);
        }
        // A server that does not know the field drops it, and would then ask about every pod.
        faults.expect(entry.get("matchConditions").is_none(), || {
            format!("{name} has matchConditions")
        });
        let selects = |selector: &str, wanted: &Value| {
            let expressions = entry[selector]["matchExpressions"].as_array();
            expressions.is_some_and(|expressions| expressions.contains(wanted))
        };
        let skip = json!({"key": SKIP, "operator": "DoesNotExist"});
        faults.expect(selects("objectSelector", &skip), || {
            format!("{name} sees pods that are to be skipped")
        });
        if entry["failurePolicy"] == "Ignore" {
            by_default += 1;
            faults.equal(name, entry.pointer("/clientConfig/service/path"), &json!("/mutate"));
            faults.expect(entry.get("namespaceSelector").is_none(), || {
                format!("{name} leaves namespaces out")
            });
            continue;
        }
        faults.equal(name, entry.get("failurePolicy"), &json!("Fail"));
        faults.equal(
            name,
            entry.pointer("/clientConfig/service/path"),
            &json!("/mutate/fail-closed"),
        );
        let exists = json!({"key": FAIL_CLOSED, "operator": "Exists"});
        let unless_false = json!({"key": FAIL_CLOSED, "operator": "NotIn", "values": ["false"]});
        let chosen = ["objectSelector", "namespaceSelector"];
        let chosen = chosen
            .iter()
            .any(|selector| selects(selector, &exists) && selects(selector, &unless_false));
        faults.expect(chosen, || {
            format!("{name} fails closed for pods whose owner did not choose it")
        });
        let expressions = entry["namespaceSelector"]["matchExpressions"].as_array();
        let exempt: BTreeSet<&str> = expressions
            .into_iter()
            .flatten()
            .filter(|expression| {
                expression["key"] == "kubernetes.io/metadata.name" && expression["operator"] == "NotIn"
            })
            .flat_map(|expression| expression["values"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        for namespace in ["kube-system", "kube-public", "kube-node-lease", installation.namespace] {
            faults.expect(exempt.contains(namespace), || format!("{name} could block {namespace}"));
        }
    }
    faults.expect(by_default == 1, || format!("{by_default} entries are for all pods"));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const OURS: Installation<'_> = Installation {
        namespace: "pod-identity-webhook",
        name: "pod-identity-webhook",
        own_authority: true,
        config_map: false,
        backstop: false,
        evicts: false,
        env_from: false,
        env_from_secrets: false,
    };

    /// The files of a Kustomize folder as they stand.
    fn read(folder: &str) -> Vec<Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../deploy/kustomize")
            .join(folder);
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let kustomization = objects(&text("kustomization.yaml")).unwrap();
        let resources = kustomization[0]["resources"].as_array().unwrap();
        let resources = resources.iter().map(|resource| resource.as_str().unwrap());
        resources
            .flat_map(|resource| objects(&text(resource)).unwrap())
            .collect()
    }

    #[test]
    fn the_base_is_as_it_must_be() {
        let base = read("base");
        assert_eq!(faults(&base, OURS), Vec::<String>::new());
        let kinds: BTreeSet<&str> = base.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains("Namespace") && kinds.contains("Secret"), "{kinds:?}");
        for object in &base {
            assert!(
                object["apiVersion"].is_string() && object["metadata"]["name"].is_string(),
                "{object}"
            );
        }
    }

    #[test]
    fn components_add_what_they_say() {
        let mut all = read("base");
        all.extend(read("components/config-map"));
        assert_eq!(
            faults(
                &all,
                Installation {
                    config_map: true,
                    ..OURS
                }
            ),
            Vec::<String>::new()
        );
        assert!(!faults(&all, OURS).is_empty());
        all.extend(read("components/backstop"));
        all.extend(read("components/evict"));
        all.extend(read("components/env-from"));
        all.extend(read("components/env-from-secrets"));
        let installation = Installation {
            config_map: true,
            backstop: true,
            evicts: true,
            env_from: true,
            env_from_secrets: true,
            ..OURS
        };
        assert_eq!(faults(&all, installation), Vec::<String>::new());
    }

    #[test]
    fn faults_are_found() {
        let base = read("base");
        let changed = |kind: &str, place: &str, value: Value| {
            let mut objects = base.clone();
            let object = objects.iter_mut().find(|object| object["kind"] == kind).unwrap();
            *object.pointer_mut(place).unwrap() = value;
            faults(&objects, OURS)
        };
        for (kind, place, value) in [
            ("ClusterRole", "/rules/0/verbs", json!(["*"])),
            ("ClusterRole", "/rules/2/resourceNames", json!(null)),
            (
                "Role",
                "/rules/0/verbs",
                json!(["create", "get", "list", "watch", "update"]),
            ),
            ("ClusterRoleBinding", "/subjects/0/name", json!("default")),
            (
                "Deployment",
                "/spec/template/metadata/labels",
                json!({"app.kubernetes.io/name": "pod-identity-webhook"}),
            ),
            (
                "Deployment",
                "/spec/template/spec/terminationGracePeriodSeconds",
                json!(30),
            ),
            ("Service", "/spec/selector", json!({"app.kubernetes.io/name": "other"})),
            (
                "MutatingWebhookConfiguration",
                "/webhooks/2/failurePolicy",
                json!("Fail"),
            ),
            (
                "MutatingWebhookConfiguration",
                "/webhooks/0/namespaceSelector/matchExpressions/2/values/0",
                json!("app"),
            ),
            (
                "MutatingWebhookConfiguration",
                "/webhooks/1/objectSelector/matchExpressions/1/operator",
                json!("DoesNotExist"),
            ),
            ("MutatingWebhookConfiguration", "/webhooks/1/timeoutSeconds", json!(30)),
        ] {
            assert!(!changed(kind, place, value).is_empty(), "{kind} {place}");
        }
    }
}
