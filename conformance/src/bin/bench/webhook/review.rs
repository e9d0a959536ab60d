//! The reviews that are measured, as an API server sends them.

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

/// A typical pod and a large one, by name.
pub(super) fn all() -> Result<Vec<(&'static str, Bytes)>> {
    let typical = review(&(0..3).map(|number| container(number, 2)).collect::<Vec<_>>(), 0);
    let large = review(
        &(0..100).map(|number| container(number, 16)).collect::<Vec<_>>(),
        12 * 1024,
    );
    anyhow::ensure!(
        (3_500..6_000).contains(&typical.len()),
        "the typical review has {} bytes",
        typical.len()
    );
    anyhow::ensure!(
        (180_000..230_000).contains(&large.len()),
        "the large review has {} bytes",
        large.len()
    );
    Ok(vec![
        ("3 containers, 4 KiB", typical),
        ("100 containers, 200 KiB", large),
    ])
}

fn container(number: usize, variables: usize) -> Value {
    let variables: Vec<Value> = (0..variables)
        .map(|variable| json!({"name": format!("SETTING_{variable}"), "value": format!("the value of setting {variable} of container {number}")}))
        .collect();
    json!({"name": format!("container-{number}"), "image": format!("registry.example/team/image-{number}:1.2.3"),
        "command": ["/bin/server", "--config=/etc/server/config.yaml"], "env": variables,
        "ports": [{"name": format!("port-{number}"), "containerPort": 8000 + number, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "kube-api-access", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10},
        "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"})
}

fn review(containers: &[Value], annotation: usize) -> Bytes {
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {
            "generateName": "service-7-6d4cf56db6-", "namespace": "team-7", "creationTimestamp": null,
            "labels": {"app": "service-7", "pod-template-hash": "6d4cf56db6"},
            "annotations": {"checksum/config": "0123456789abcdef".repeat(4), "example.com/settings": "s".repeat(annotation)},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "service-7-6d4cf56db6",
                "uid": "00000000-0000-4000-8000-000000000007", "controller": true, "blockOwnerDeletion": true}]},
        "spec": {
            "volumes": [{"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
            "containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "service-7", "serviceAccount": "service-7", "securityContext": {"fsGroup": 1000},
            "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {}});
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"}, "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "team-7", "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "uid": "00000000-0000-4000-8000-000000000001",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]},
        "object": pod, "oldObject": null, "dryRun": false,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}});
    Bytes::from(review.to_string())
}
