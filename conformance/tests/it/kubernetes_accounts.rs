//! What `irsa-kubernetes` asks and changes, on a real kube-apiserver: whose fields are whose is decided there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use irsa_conformance::ControlPlane;
use irsa_kubernetes::{
    BearerToken, CallError, Cluster, ClusterOptions, Location, TokenSource, apply_service_account, create_namespace,
    delete_service_account, issuer, list_all_service_accounts, list_namespaces, look_up_account,
    release_service_account, signing_keys,
};
use serde_json::{Value, json};

const MANAGER: &str = "irsa";
const ROLE: &str = "eks.amazonaws.com/role-arn";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The administrator's way, by address, authority and token, as EKS describes a cluster.
async fn administrator(control_plane: &ControlPlane) -> Result<Cluster> {
    with_token(control_plane, control_plane.token()).await
}

async fn with_token(control_plane: &ControlPlane, token: &str) -> Result<Cluster> {
    let token = token.to_owned();
    let options = ClusterOptions {
        location: Location::Address {
            server: control_plane.url(),
            certificate_authority: Some(std::fs::read_to_string(control_plane.authority())?),
            token: TokenSource::new(move || {
                let token = BearerToken::new(token.as_str(), None);
                async { Ok(token) }
            }),
        },
        calls_per_second: 0,
        ..ClusterOptions::default()
    };
    Ok(Cluster::connect(&options).await?)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn keys(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

/// One control plane for all, since its start is what takes time; each has a namespace of its own.
#[tokio::test(flavor = "multi_thread")]
async fn service_accounts_on_a_real_api_server() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    tokio::try_join!(
        an_applied_account_keeps_what_is_others_and_a_release_takes_only_what_is_ours(&control_plane),
        no_other_account_of_the_name_is_changed_deleted_or_made(&control_plane),
        refusals_name_what_is_missing_and_a_namespace_that_goes_is_told_of(&control_plane),
        the_issuer_tells_which_cluster_it_is_by_whatever_way_it_is_reached(&control_plane),
        hundreds_of_accounts_are_applied_listed_in_pages_and_released(&control_plane),
    )?;
    Ok(())
}

/// The account as the API server has it, without what changes by itself.
async fn account(control_plane: &ControlPlane, name: &str) -> Result<Value> {
    let path = format!("/api/v1/namespaces/keep/serviceaccounts/{name}");
    let mut object = control_plane.api()?.get(&path).await?;
    let metadata = object["metadata"].as_object_mut().context("no metadata")?;
    metadata.retain(|key, _| ["labels", "annotations", "uid"].contains(&key.as_str()));
    Ok(object)
}

async fn an_applied_account_keeps_what_is_others_and_a_release_takes_only_what_is_ours(
    control_plane: &ControlPlane,
) -> Result<()> {
    control_plane.namespace("keep")?;
    let theirs = json!({"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
        "metadata": {"name": "reader", "labels": {"team": "x", "shared": "theirs"}, "annotations": {"note.example/a.b": "kept"}},
        "secrets": [{"name": "s-1"}], "imagePullSecrets": [{"name": "pull"}]});
    let path = "/api/v1/namespaces/keep/serviceaccounts";
    control_plane.api()?.must("POST", path, Some(&theirs)).await?;
    let cluster = administrator(control_plane).await?;
    let before = account(control_plane, "reader").await?;
    let uid = before["metadata"]["uid"].as_str().context("no uid")?.to_owned();

    let labels = map(&[(MANAGED_BY, "irsa"), ("tier", "1")]);
    let annotations = map(&[(ROLE, "arn:aws:iam::111122223333:role/reader"), ("deep/k.e-y_1", "v")]);
    let apply = async |labels: &BTreeMap<String, String>, uid: Option<&str>| {
        apply_service_account(&cluster, "keep", "reader", labels, &annotations, uid, MANAGER).await
    };
    apply(&labels, Some(&uid)).await?;
    let mut expected = before.clone();
    expected["metadata"]["labels"][MANAGED_BY] = json!("irsa");
    expected["metadata"]["labels"]["tier"] = json!("1");
    expected["metadata"]["annotations"][ROLE] = json!("arn:aws:iam::111122223333:role/reader");
    expected["metadata"]["annotations"]["deep/k.e-y_1"] = json!("v");
    assert_eq!(account(control_plane, "reader").await?, expected);

    let found = look_up_account(&cluster, "keep", "reader", MANAGER)
        .await?
        .context("it is there")?;
    assert_eq!(found.owned_labels, keys(&[MANAGED_BY, "tier"]));
    assert_eq!(found.owned_annotations, keys(&[ROLE, "deep/k.e-y_1"]));
    assert_eq!(found.uid, uid);
    let listed = list_all_service_accounts(&cluster, MANAGER).await?;
    assert!(listed.contains(&found));
    assert!(
        listed
            .iter()
            .any(|account| account.name == "default" && account.owned_labels.is_empty())
    );

    // The same again is nothing new, and what is left out goes: a label of ours, none of theirs. Theirs that is asked for with another value is taken.
    apply(&labels, None).await?;
    assert_eq!(account(control_plane, "reader").await?, expected);
    apply(&map(&[(MANAGED_BY, "irsa"), ("shared", "ours")]), Some(&uid)).await?;
    expected["metadata"]["labels"] = json!({"team": "x", "shared": "ours", MANAGED_BY: "irsa"});
    assert_eq!(account(control_plane, "reader").await?, expected);
    let found = look_up_account(&cluster, "keep", "reader", MANAGER)
        .await?
        .context("it is there")?;
    assert_eq!(found.owned_labels, keys(&[MANAGED_BY, "shared"]));

    // Another's field manager that wants the same keeps it when we let go.
    let theirs = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "keep",
        "labels": {"shared": "ours"}}});
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), theirs.to_string())?;
    let words = ["apply", "--server-side", "--field-manager", "other", "-f"];
    control_plane.must(&[&words[..], &[&*file.path().to_string_lossy()]].concat())?;
    release_service_account(&cluster, "keep", "reader", &uid, MANAGER).await?;
    let mut expected = before;
    expected["metadata"]["labels"]["shared"] = json!("ours");
    assert_eq!(account(control_plane, "reader").await?, expected);
    let found = look_up_account(&cluster, "keep", "reader", MANAGER)
        .await?
        .context("it is there")?;
    assert!(found.owned_labels.is_empty() && found.owned_annotations.is_empty());
    // Twice is once.
    release_service_account(&cluster, "keep", "reader", &uid, MANAGER).await?;
    assert_eq!(account(control_plane, "reader").await?, expected);
    Ok(())
}

async fn no_other_account_of_the_name_is_changed_deleted_or_made(control_plane: &ControlPlane) -> Result<()> {
    let cluster = administrator(control_plane).await?;
    create_namespace(&cluster, "other").await?;
    create_namespace(&cluster, "other").await?;
    assert!(list_namespaces(&cluster).await?.contains("other"));
    let annotations = map(&[(ROLE, "arn")]);
    let apply = async |uid: Option<&str>| {
        apply_service_account(&cluster, "other", "reader", &map(&[]), &annotations, uid, MANAGER).await
    };
    let look = async || look_up_account(&cluster, "other", "reader", MANAGER).await;

    apply(None).await?;
    let first = look().await?.context("it was made")?;
    let uid = first.uid.as_str();
    assert_eq!(first.owned_annotations, keys(&[ROLE]));

    // Deleted and made again by somebody else.
    delete_service_account(&cluster, "other", "reader", uid).await?;
    delete_service_account(&cluster, "other", "reader", uid).await?;
    assert_eq!(look().await?, None);
    let gone = apply(Some(uid)).await;
    assert!(gone.as_ref().is_err_and(CallError::is_conflict), "{gone:?}");
    release_service_account(&cluster, "other", "reader", uid, MANAGER).await?;
    assert_eq!(look().await?, None, "nothing is made");

    control_plane.must(&["create", "serviceaccount", "reader", "--namespace", "other"])?;
    let other = look().await?.context("it is there")?;
    assert_ne!(other.uid, uid);
    let refused = delete_service_account(&cluster, "other", "reader", uid).await;
    assert!(refused.as_ref().is_err_and(CallError::is_conflict), "{refused:?}");
    let refused = apply(Some(uid)).await;
    assert!(refused.as_ref().is_err_and(CallError::is_conflict), "{refused:?}");
    release_service_account(&cluster, "other", "reader", uid, MANAGER).await?;
    assert_eq!(look().await?, Some(other));

    // What the API server takes for wrong is told as it says it.
    let bad = map(&[("not a label", "x")]);
    for uid in [None, Some("00000000-0000-0000-0000-000000000000")] {
        let error = apply_service_account(&cluster, "other", "new", &bad, &annotations, uid, MANAGER).await;
        assert!(error.is_err(), "{error:?}");
        assert_eq!(look_up_account(&cluster, "other", "new", MANAGER).await?, None);
    }
    let error = apply_service_account(&cluster, "nowhere", "reader", &map(&[]), &annotations, None, MANAGER).await;
    let error = error.err().context("there is no such namespace")?;
    assert!(error.is_not_found() && error.to_string().contains("nowhere"), "{error}");
    Ok(())
}

async fn refusals_name_what_is_missing_and_a_namespace_that_goes_is_told_of(
    control_plane: &ControlPlane,
) -> Result<()> {
    let cluster = administrator(control_plane).await?;
    control_plane.namespace("refused")?;
    control_plane.must(&["create", "serviceaccount", "nobody", "--namespace", "refused"])?;
    let token = control_plane.must(&["create", "token", "nobody", "--namespace", "refused"])?;
    let nobody = with_token(control_plane, token.trim()).await?;
    let none = map(&[]);
    let annotations = map(&[(ROLE, "arn")]);
    let words = [
        list_all_service_accounts(&nobody, MANAGER).await.err(),
        list_namespaces(&nobody).await.err(),
        create_namespace(&nobody, "new").await.err(),
        apply_service_account(&nobody, "refused", "reader", &none, &annotations, None, MANAGER)
            .await
            .err(),
        delete_service_account(&nobody, "refused", "nobody", "u-1").await.err(),
    ];
    let missing = [
        "no permission to list serviceaccounts: ",
        "no permission to list namespaces: ",
        "no permission to create namespaces: ",
        "no permission to patch serviceaccounts in the namespace `refused`: ",
        "no permission to delete serviceaccounts in the namespace `refused`: ",
    ];
    for (error, missing) in words.into_iter().zip(missing) {
        let error = error.context("nobody may do that")?;
        assert!(error.is_forbidden());
        assert!(error.to_string().starts_with(missing), "{error}");
        assert!(
            error.to_string().contains("system:serviceaccount:refused:nobody"),
            "{error}"
        );
    }
    // Who may change accounts, and not make them, is told so.
    control_plane.must(&[
        "create",
        "role",
        "changer",
        "--verb=patch,get",
        "--resource=serviceaccounts",
        "-n",
        "refused",
    ])?;
    control_plane.must(&[
        "create",
        "rolebinding",
        "changer",
        "--role=changer",
        "--serviceaccount=refused:nobody",
        "-n",
        "refused",
    ])?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        // The API server learns of roles a moment later.
        let error = apply_service_account(&nobody, "refused", "reader", &none, &annotations, None, MANAGER)
            .await
            .err()
            .context("nobody may do that")?;
        if !error.to_string().starts_with("no permission to patch") || Instant::now() > deadline {
            break error;
        }
    };
    let missing = "no permission to create serviceaccounts in the namespace `refused`: ";
    assert!(error.to_string().starts_with(missing), "{error}");

    let stranger = with_token(control_plane, "no-such-token").await?;
    let error = list_namespaces(&stranger).await.err().context("who is that")?;
    assert!(
        matches!(error, CallError::Unauthenticated(_)) && error.is_forbidden(),
        "{error}"
    );

    // Something in it holds the namespace back.
    control_plane.apply(
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}, "spec": {"finalizers": ["kubernetes", "example.com/held"]}}"#,
    )?;
    control_plane.must(&["delete", "namespace", "going", "--wait=false"])?;
    let error = create_namespace(&cluster, "going").await;
    assert_eq!(error, Err(CallError::NamespaceTerminating("going".to_owned())));
    let error = apply_service_account(&cluster, "going", "reader", &none, &annotations, None, MANAGER).await;
    assert_eq!(error, Err(CallError::NamespaceTerminating("going".to_owned())));
    Ok(())
}

async fn the_issuer_tells_which_cluster_it_is_by_whatever_way_it_is_reached(
    control_plane: &ControlPlane,
) -> Result<()> {
    let mut options = ClusterOptions {
        location: Location::Kubeconfig {
            path: Some(control_plane.kubeconfig()),
            context: Some("conformance".to_owned()),
        },
        ..ClusterOptions::default()
    };
    let by_file = Cluster::connect(&options).await?;
    assert_eq!(
        (by_file.server(), by_file.context()),
        (&*control_plane.url(), Some("conformance"))
    );

    // The same with a plugin for credentials in the place of the token.
    let text = std::fs::read_to_string(control_plane.kubeconfig())?;
    let mut file: Value = serde_json::from_str(&text)?;
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": control_plane.token(), "expirationTimestamp": "2999-01-01T00:00:00Z"}});
    file["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo",
        "args": [credential.to_string()], "interactiveMode": "Never"}});
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, file.to_string())?;
    options.location = Location::Kubeconfig {
        path: Some(path),
        context: None,
    };
    let by_plugin = Cluster::connect(&options).await?;

    for cluster in [by_file, by_plugin, administrator(control_plane).await?] {
        assert_eq!(issuer(&cluster).await?, control_plane.url());
        let keys = signing_keys(&cluster).await?;
        assert_eq!(keys["keys"][0]["kty"], "RSA", "{keys}");
    }
    let anonymous = Cluster::connect(&ClusterOptions {
        location: Location::Address {
            server: control_plane.url(),
            certificate_authority: None,
            token: TokenSource::new(|| async { Ok(BearerToken::new("x", None)) }),
        },
        ..ClusterOptions::default()
    })
    .await?;
    let error = issuer(&anonymous)
        .await
        .err()
        .context("its authority is not the system's")?;
    assert!(error.to_string().contains("certificate"), "{error}");
    Ok(())
}

async fn hundreds_of_accounts_are_applied_listed_in_pages_and_released(control_plane: &ControlPlane) -> Result<()> {
    const COUNT: usize = 1200;
    control_plane.namespace("many")?;
    let cluster = administrator(control_plane).await?;
    let annotations = map(&[(ROLE, "arn:aws:iam::111122223333:role/reader")]);
    let labels = map(&[(MANAGED_BY, "irsa")]);
    let mut applied = futures_util::stream::iter((0..COUNT).map(|number| {
        let (cluster, labels, annotations) = (&cluster, &labels, &annotations);
        async move {
            let name = format!("a-{number:04}");
            apply_service_account(cluster, "many", &name, labels, annotations, None, MANAGER).await
        }
    }))
    .buffer_unordered(16);
    while let Some(answer) = applied.next().await {
        answer?;
    }
    let mut accounts = list_all_service_accounts(&cluster, MANAGER).await?;
    accounts.retain(|account| account.namespace == "many" && account.name.starts_with("a-"));
    assert_eq!(accounts.len(), COUNT);
    let names: BTreeSet<_> = accounts.iter().map(|account| account.name.clone()).collect();
    assert_eq!(names.len(), COUNT);
    assert!(
        accounts
            .iter()
            .all(|account| account.owned_annotations == keys(&[ROLE]))
    );
    let mut released = futures_util::stream::iter(accounts.iter().map(|account| {
        let cluster = &cluster;
        async move { release_service_account(cluster, "many", &account.name, &account.uid, MANAGER).await }
    }))
    .buffer_unordered(16);
    while let Some(answer) = released.next().await {
        answer?;
    }
    let accounts = list_all_service_accounts(&cluster, MANAGER).await?;
    let left: Vec<_> = accounts
        .iter()
        .filter(|account| account.namespace == "many" && account.name.starts_with("a-"))
        .collect();
    assert_eq!(left.len(), COUNT);
    assert!(
        left.iter()
            .all(|account| account.annotations.is_empty() && account.labels.is_empty())
    );
    Ok(())
}
