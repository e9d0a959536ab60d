//! Volumes and mounts that are in the way of ours.

use super::*;

#[test]
fn a_foreign_volume_of_the_tokens_name_is_never_used() {
    let foreign = [
        json!({"name": "aws-iam-token", "emptyDir": {}}),
        json!({"name": "aws-iam-token", "hostPath": {"path": "/tmp/token"}}),
        json!({"name": "aws-iam-token"}),
        json!({"name": "aws-iam-token", "projected": {"sources": [{"configMap": {"name": "x"}}]}}),
        json!({"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "other"}}]}}),
        token_volume("aws-iam-token", "vault"),
        json!({"name": "aws-iam-token", "projected": {"sources": [
            {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}},
            {"serviceAccountToken": {"audience": "vault", "path": "token"}}]}}),
        json!({"name": "aws-iam-token", "projected": {"sources": [
            {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}, {"configMap": {"name": "has-a-key-token"}}]}}),
    ];
    for volume in foreign {
        let pod = json!({"spec": {"volumes": [volume], "containers": [
            {"name": "plain"},
            {"name": "mounts-it", "volumeMounts": [{"name": "aws-iam-token", "mountPath": "/x"}]},
            {"name": "own", "env": [{"name": "AWS_ROLE_ARN"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE"}]},
        ]}});
        let mutation = run(&pod);
        let result = patched(&pod, &mutation);
        assert_eq!(result["spec"]["volumes"], pod["spec"]["volumes"], "{volume}");
        assert_eq!(
            result["spec"]["containers"][0], pod["spec"]["containers"][0],
            "{volume}"
        );
        assert_eq!(
            result["spec"]["containers"][2], pod["spec"]["containers"][2],
            "{volume}"
        );
        // Its owner mounted it there: the reference's variables, and a word about it.
        assert_eq!(
            result["spec"]["containers"][1]["volumeMounts"],
            pod["spec"]["containers"][1]["volumeMounts"]
        );
        assert_eq!(
            variables(&result, "containers", 1),
            ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        );
        assert_eq!(mutation.decision, Decision::Refused(Refusal::ForeignVolume));
        assert_eq!(
            mutation.warnings,
            [
                Warning::ForeignVolume {
                    container: "plain".into(),
                    volume: "aws-iam-token".into()
                },
                Warning::ForeignVolumeMounted {
                    container: "mounts-it".into(),
                    volume: "aws-iam-token".into()
                },
            ]
        );
    }
}

#[test]
fn another_volume_in_the_tokens_place() {
    for mount_path in [
        FOLDER.to_owned(),
        format!("{FOLDER}/"),
        format!("{FOLDER}//"),
        TOKEN.into(),
        format!("{TOKEN}/x"),
    ] {
        let pod = json!({"spec": {"volumes": [{"name": "cache", "emptyDir": {}}], "containers": [
            {"name": "a", "volumeMounts": [{"name": "cache", "mountPath": mount_path}]}, {"name": "b"}]}});
        let mutation = run(&pod);
        let result = patched(&pod, &mutation);
        assert_eq!(
            result["spec"]["containers"][0], pod["spec"]["containers"][0],
            "{mount_path}"
        );
        assert_eq!(
            mutation.containers[0].outcome,
            Outcome::Refused(Refusal::MountPathTaken)
        );
        assert_eq!(
            mutation.warnings,
            [Warning::MountPathTaken {
                container: "a".into(),
                volume: "cache".into()
            }]
        );
        // The other container is not made to suffer.
        assert_eq!(result["spec"]["containers"][1]["volumeMounts"], json!([token_mount()]));
    }
    for mount_path in [
        "/var/run/secrets",
        "/var/run/secrets/eks.amazonaws.com/serviceaccount2",
        "/",
    ] {
        let pod = pod(&json!({"name": "a", "volumeMounts": [{"name": "cache", "mountPath": mount_path}]}));
        assert_eq!(run(&pod).decision, Decision::Injected, "{mount_path}");
    }
}

#[test]
fn the_same_token_by_another_name_is_good_enough() {
    let mount = |extra: Value| {
        let mut mount = json!({"name": "hand-made", "mountPath": FOLDER});
        mount
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"spec": {"volumes": [token_volume("hand-made", "sts.amazonaws.com")],
            "containers": [{"name": "a", "volumeMounts": [mount]}]}})
    };
    let pod = mount(json!({}));
    let result = patched(&pod, &run(&pod));
    assert_eq!(
        variables(&result, "containers", 0),
        ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]
    );
    assert_eq!(
        result["spec"]["containers"][0]["volumeMounts"],
        pod["spec"]["containers"][0]["volumeMounts"]
    );
    assert_eq!(run(&result).decision, Decision::Unchanged);
    // Mounted in part, it may not be there.
    assert_eq!(
        run(&mount(json!({"subPath": "x"}))).decision,
        Decision::Refused(Refusal::MountPathTaken)
    );
}

#[test]
fn a_container_with_its_own_credentials_keeps_its_mounts() {
    let env = json!([{"name": "AWS_ROLE_ARN", "value": "x"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "y"}]);
    let pod = pod(&json!({"name": "a", "env": env, "volumeMounts": [{"name": "mine", "mountPath": FOLDER}]}));
    let settings = Settings {
        default_region: Some("us-west-2".into()),
        ..Settings::default()
    };
    let mutation = mutate(&pod, &role(), &settings);
    let variables = vec!["AWS_DEFAULT_REGION", "AWS_REGION"];
    assert_eq!(
        mutation.containers[0].outcome,
        Outcome::Injected {
            variables,
            mount: false
        }
    );
    assert_eq!(mutation.warnings, []);
}

#[test]
fn the_token_volume_mounted_elsewhere() {
    let pod = json!({"spec": {"volumes": [token_volume("aws-iam-token", "sts.amazonaws.com")],
        "containers": [{"name": "a", "volumeMounts": [{"name": "aws-iam-token", "mountPath": "/x"}]}]}});
    let mutation = run(&pod);
    assert_eq!(
        patched(&pod, &mutation)["spec"]["containers"][0]["volumeMounts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        mutation.warnings,
        [Warning::MountedElsewhere {
            container: "a".into(),
            mount_path: "/x".into()
        }]
    );
}
