use super::*;
use crate::{Decision, Identity, Settings, mutate};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "reader", "namespace": "app"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "reader"}},
            "template": {
                "metadata": {"labels": {"app": "reader"}},
                "spec": {"serviceAccountName": "s3-reader", "containers": [
                    {"name": "app", "image": "amazonlinux", "command": ["sh", "-c", "aws s3 ls s3://my-bucket"]}]},
            },
        },
    })
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "a"}]}})
}

fn workloads(documents: &[Value]) -> Vec<Workload> {
    let objects = read(documents, "default").unwrap();
    objects
        .into_iter()
        .filter_map(|object| match object {
            Object::Workload(workload) => Some(*workload),
            _ => None,
        })
        .collect()
}

fn error(document: Value) -> String {
    read(&[Value::Null, document], "default").unwrap_err().to_string()
}

#[test]
fn the_documents_manifest() {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s3-reader", "namespace": "app",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/S3ReadRole"}}});
    let objects = read(&[account.clone(), Value::Null, deployment()], "default").unwrap();
    let [Object::ServiceAccount(service_account), Object::Workload(workload)] = &objects[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(
        (
            service_account.document,
            service_account.namespace.as_str(),
            service_account.name.as_str()
        ),
        (0, "app", "s3-reader")
    );
    assert_eq!(service_account.value, account);
    assert_eq!(
        (workload.document, workload.kind, workload.replicas),
        (2, WorkloadKind::Deployment, 3)
    );
    assert_eq!(
        (
            workload.namespace.as_str(),
            workload.name.as_str(),
            workload.service_account.as_str()
        ),
        ("app", "reader", "s3-reader")
    );
    assert_eq!(workload.template_pointer, "/spec/template");
    assert_eq!(
        workload.pod,
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"labels": {"app": "reader"}, "namespace": "app"},
            "spec": deployment()["spec"]["template"]["spec"],
        })
    );
}

#[test]
fn the_mutation_lands_in_the_document_and_nowhere_else() {
    let settings = Settings::default();
    let identity = Identity::new("arn:aws:iam::123456789012:role/S3ReadRole", &settings);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [pod("other"), deployment()]});
    let workload = workloads(std::slice::from_ref(&list)).pop().unwrap();
    assert_eq!(workload.template_pointer, "/items/1/spec/template");
    let mutation = mutate(&workload.pod, &identity, &settings);
    assert_eq!(mutation.decision, Decision::Injected);

    let mut mutated = list.clone();
    workload.apply(&mut mutated, &mutation.patch).unwrap();
    let template = &mutated["items"][1]["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["env"][0]["name"], "AWS_ROLE_ARN");
    assert_eq!(template["metadata"], json!({"labels": {"app": "reader"}}));
    let mut restored = mutated.clone();
    restored["items"][1]["spec"]["template"] = list["items"][1]["spec"]["template"].clone();
    assert_eq!(restored, list);

    assert!(workload.apply(&mut json!({}), &mutation.patch).is_err());
}

#[test]
fn every_kind_with_a_template() {
    let spec = json!({"serviceAccount": "old-name", "containers": [{"name": "a"}]});
    let template = json!({"spec": spec});
    let cases = [
        ("v1", "Pod", spec.clone(), "", 1),
        (
            "apps/v1",
            "Deployment",
            json!({"template": template}),
            "/spec/template",
            1,
        ),
        (
            "apps/v1",
            "ReplicaSet",
            json!({"replicas": 0, "template": template}),
            "/spec/template",
            0,
        ),
        (
            "apps/v1",
            "StatefulSet",
            json!({"replicas": 2, "template": template}),
            "/spec/template",
            2,
        ),
        (
            "apps/v1",
            "DaemonSet",
            json!({"template": template}),
            "/spec/template",
            1,
        ),
        (
            "batch/v1",
            "Job",
            json!({"parallelism": 4, "completions": 8, "template": template}),
            "/spec/template",
            4,
        ),
        (
            "batch/v1",
            "CronJob",
            json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"parallelism": 2, "template": template}}}),
            "/spec/jobTemplate/spec/template",
            2,
        ),
    ];
    for (api_version, kind, spec, pointer, replicas) in cases {
        let document = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "w"}, "spec": spec});
        let workload = workloads(&[document]).pop().unwrap();
        assert_eq!((workload.kind.as_str(), workload.replicas), (kind, replicas));
        assert_eq!(workload.template_pointer, pointer, "{kind}");
        assert_eq!(
            (workload.service_account.as_str(), workload.namespace.as_str()),
            ("old-name", "default")
        );
        assert_eq!(workload.pod["spec"]["containers"], json!([{"name": "a"}]), "{kind}");
        assert_eq!(workload.pod["metadata"]["namespace"], "default", "{kind}");
    }
}

#[test]
fn service_account_names() {
    for (spec, expected) in [
        (json!({}), "default"),
        (json!({"serviceAccountName": ""}), "default"),
        (json!({"serviceAccountName": null, "serviceAccount": "old"}), "old"),
        (json!({"serviceAccountName": "new", "serviceAccount": "old"}), "new"),
    ] {
        let mut document = pod("p");
        document["spec"]
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        assert_eq!(workloads(&[document])[0].service_account, expected, "{spec}");
    }
}

#[test]
fn a_generated_name() {
    let mut document = pod("x");
    document["metadata"] = json!({"generateName": "migrate-"});
    assert_eq!(workloads(&[document])[0].name, "migrate");
}

#[test]
fn other_groups_and_kinds_are_other() {
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("batch.volcano.sh/v1alpha1", "Job"),
        ("v2", "Deployment"),
        ("example.com/v1", "ServiceAccount"),
        ("example.com/v1", "AllowList"),
    ] {
        let document = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": 1});
        let other = Other {
            document: 0,
            api_version: api_version.into(),
            kind: kind.into(),
            name: "x".into(),
        };
        assert_eq!(read(&[document], "default").unwrap(), [Object::Other(other)]);
    }
}

#[test]
fn lists_are_flattened() {
    let mut bare = pod("typed");
    bare.as_object_mut()
        .unwrap()
        .retain(|key, _| key != "kind" && key != "apiVersion");
    let documents = [
        json!({"apiVersion": "v1", "kind": "List", "items": [
            pod("a"), {"apiVersion": "v1", "kind": "List", "items": [pod("b")]}]}),
        json!({"apiVersion": "v1", "kind": "PodList", "items": [bare]}),
        json!({"apiVersion": "v1", "kind": "List", "items": null}),
    ];
    let found: Vec<(String, usize, String)> = workloads(&documents)
        .into_iter()
        .map(|workload| (workload.name, workload.document, workload.template_pointer))
        .collect();
    let expected = [
        ("a", 0, "/items/0"),
        ("b", 0, "/items/1/items/0"),
        ("typed", 1, "/items/0"),
    ];
    assert_eq!(
        found,
        expected.map(|(name, document, pointer)| (name.to_owned(), document, pointer.to_owned()))
    );
}

#[test]
fn lists_in_lists_end_somewhere() {
    let mut list = pod("a");
    for _ in 0..10 {
        list = json!({"apiVersion": "v1", "kind": "List", "items": [list]});
    }
    assert_eq!(error(list), "document 2, List: `items` is nested too deeply");
}

#[test]
fn errors_name_document_object_and_field() {
    let with = |pointer: &str, value: Value| {
        let mut document = deployment();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value;
        document
    };
    let cases = [
        (json!("text"), "document 2: the object is not an object"),
        (json!({}), "document 2: `kind` is missing"),
        (json!({"kind": 1}), "document 2: `kind` is not a string"),
        (json!({"kind": "Pod"}), "document 2, Pod: `apiVersion` is missing"),
        (
            json!({"apiVersion": "v1", "kind": "PodList", "items": {}}),
            "document 2, PodList: `items` is not a list",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod"}),
            "document 2, Pod: `metadata.name` is missing",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a:b"}}),
            "document 2, ServiceAccount `a:b`: `metadata.name` is not a valid name",
        ),
        (
            with("/metadata/name", json!("../x")),
            "document 2, Deployment `../x`: `metadata.name` is not a valid name",
        ),
        (
            with("/metadata/namespace", json!("a.b")),
            "document 2, Deployment `reader`: `metadata.namespace` is not a valid name",
        ),
        (
            with("/metadata", json!([])),
            "document 2, Deployment: `metadata` is not an object",
        ),
        (
            with("/spec/replicas", json!(-1)),
            "document 2, Deployment `reader`: `spec.replicas` is not a whole number of at least 0",
        ),
        (
            with("/spec/replicas", json!("3")),
            "document 2, Deployment `reader`: `spec.replicas` is not a whole number of at least 0",
        ),
        (
            with("/spec", json!(null)),
            "document 2, Deployment `reader`: `spec` is missing",
        ),
        (
            with("/spec/template", json!(1)),
            "document 2, Deployment `reader`: `spec.template` is not an object",
        ),
        (
            with("/spec/template/metadata", json!(1)),
            "document 2, Deployment `reader`: `spec.template.metadata` is not an object",
        ),
        (
            with("/spec/template/spec", json!(null)),
            "document 2, Deployment `reader`: `spec.template.spec` is missing",
        ),
        (
            with("/spec/template/spec/serviceAccountName", json!(7)),
            "document 2, Deployment `reader`: `spec.template.spec.serviceAccountName` is not a string",
        ),
        (
            with("/spec/template/spec/serviceAccountName", json!("a/b")),
            "document 2, Deployment `reader`: `spec.template.spec.serviceAccountName` is not a valid name",
        ),
        (
            with("/spec/template/spec/containers", json!([])),
            "document 2, Deployment `reader`: `spec.template.spec.containers` is empty",
        ),
        (
            with("/spec/template/spec/containers", json!({})),
            "document 2, Deployment `reader`: `spec.template.spec.containers` is not a list",
        ),
    ];
    for (document, expected) in cases {
        assert_eq!(error(document.clone()), expected, "{document}");
    }
}

#[test]
fn names() {
    assert!(is_namespace_name("kube-system"));
    assert!(is_service_account_name("a.b-c.1"));
    for bad in ["", "-a", "a-", "A", "a_b", "a/b", "a:b", "..", "é", &"a".repeat(64)] {
        assert!(!is_namespace_name(bad), "{bad}");
    }
    for bad in ["", "a..b", ".a", "a.", "../a", "system:a", &"a".repeat(254)] {
        assert!(!is_service_account_name(bad), "{bad}");
    }
}
