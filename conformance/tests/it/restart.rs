//! Starts, stops, crashes, damage.

use std::{
    os::unix::fs::FileExt as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use irsa_conformance::{Cluster, Server, binary, exchange, finish};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.example"},"Action":"sts:AssumeRoleWithWebIdentity"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    for round in 0..3 {
        let server = Server::start_in(&data, &[])?;
        let root = server.root()?;
        let bucket = format!("/round-{round}");
        assert_eq!(root.call("s3", "PUT", &bucket, &[], &[], "".into()).await?.status, 200);
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut lanes = Vec::new();
        for lane in 0..8 {
            let (root, bucket, acknowledged) = (root.clone(), bucket.clone(), Arc::clone(&acknowledged));
            lanes.push(tokio::spawn(async move {
                let (mut roles, mut objects) = (Vec::new(), Vec::new());
                for number in 0.. {
                    let role = format!("role-{round}-{lane}-{number}");
                    let parameters = [
                        ("Action", "CreateRole"),
                        ("RoleName", role.as_str()),
                        ("AssumeRolePolicyDocument", TRUST),
                    ];
                    match root.query("iam", &parameters).await {
                        Ok(answer) if answer.status == 200 => roles.push(role),
                        _ => break,
                    }
                    let (key, body) = (
                        format!("{bucket}/{lane}/{number}"),
                        format!("{lane} {number} ").repeat(2_000),
                    );
                    match root.call("s3", "PUT", &key, &[], &[], body.clone().into()).await {
                        Ok(answer) if answer.status == 200 => objects.push((key, body)),
                        _ => break,
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (roles, objects)
            }));
        }
        while acknowledged.load(Ordering::Relaxed) < 60 {
            tokio::task::yield_now().await;
        }
        server.kill()?;
        let (mut roles, mut objects) = (Vec::new(), Vec::new());
        for lane in lanes {
            let (some, others) = lane.await?;
            roles.extend(some);
            objects.extend(others);
        }
        assert!(roles.len() >= 60 && objects.len() >= 60);

        let server = Server::start_in(&data, &[])?;
        let root = server.root()?;
        for role in &roles {
            let answer = root.query("iam", &[("Action", "GetRole"), ("RoleName", role)]).await?;
            assert_eq!(answer.status, 200, "{role} is lost: {}", answer.text());
        }
        for (key, body) in &objects {
            let answer = root.call("s3", "GET", key, &[], &[], "".into()).await?;
            assert!(
                answer.status == 200 && answer.text() == *body,
                "{key} is lost or torn: {}",
                answer.status
            );
        }
        // The record of what was acknowledged is there as well, and unbroken.
        server.run(&["audit", "verify"])?;
        let last = roles.last().cloned().unwrap_or_default();
        let found = server.run_json(&["audit", "lookup", "--event-name", "CreateRole", "--limit", "100000"])?;
        assert!(
            found.to_string().contains(&last),
            "the creation of {last} has no record"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_second_start_finds_everything_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start_in(&data, &[])?;
    let root = server.root()?;
    let account = server.account()?.to_owned();
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let token = cluster.token(&root, "app", "reader").await?;
    let session = root
        .with(None)
        .must("sts", &exchange(&role, "before", &token))
        .await?
        .credentials()?;
    assert_eq!(root.call("s3", "PUT", "/kept", &[], &[], "".into()).await?.status, 200);
    assert_eq!(
        root.call("s3", "PUT", "/kept/a/b", &[], &[], "content".into())
            .await?
            .status,
        200
    );
    assert!(
        server.log().contains(
            &root
                .credentials
                .as_ref()
                .map(|keys| keys.secret_access_key.clone())
                .unwrap_or_default()
        )
    );
    let status = server.stop()?;
    assert_eq!(status.code(), Some(0));
    assert!(!data.join("server.json").exists());

    let server = Server::start_in(&data, &[])?;
    assert_eq!(server.account()?, account);
    // The root key is said once.
    let again = server.root()?;
    let secret = again
        .credentials
        .as_ref()
        .map(|keys| keys.secret_access_key.clone())
        .unwrap_or_default();
    assert!(!secret.is_empty() && !server.log().contains(&secret));
    assert_eq!(
        again
            .must("iam", &[("Action", "GetRole"), ("RoleName", "app")])
            .await?
            .xml("Arn")
            .as_deref(),
        Some(role.as_str())
    );
    assert_eq!(
        again.call("s3", "GET", "/kept/a/b", &[], &[], "".into()).await?.text(),
        "content"
    );
    let cluster_now = again.json("eks", "GET", "/clusters/one", None).await?;
    assert!(cluster_now.text().contains(&cluster.issuer), "{}", cluster_now.text());
    // Tokens and sessions of before are still good: keys and epochs are kept.
    assert_eq!(
        again
            .with(None)
            .query("sts", &exchange(&role, "after", &token))
            .await?
            .status,
        200
    );
    let identity = again
        .with(Some(session))
        .must("sts", &[("Action", "GetCallerIdentity")])
        .await?;
    assert!(
        identity.text().contains("assumed-role/app/before"),
        "{}",
        identity.text()
    );
    Ok(())
}

#[tokio::test]
async fn instances_run_side_by_side_and_apart() -> Result<()> {
    let (one, other) = (Server::start()?, Server::start()?);
    let (root, stranger) = (one.root()?, other.root()?);
    root.must(
        "iam",
        &[
            ("Action", "CreateRole"),
            ("RoleName", "here"),
            ("AssumeRolePolicyDocument", TRUST),
        ],
    )
    .await?;
    let missing = stranger
        .query("iam", &[("Action", "GetRole"), ("RoleName", "here")])
        .await?;
    assert_eq!(missing.error_code().as_deref(), Some("NoSuchEntity"));
    // The key of one opens nothing at the other.
    let mistaken = stranger
        .with(root.credentials.clone())
        .query("sts", &[("Action", "GetCallerIdentity")])
        .await?;
    assert_eq!(
        (mistaken.status, mistaken.error_code().as_deref()),
        (403, Some("InvalidClientTokenId"))
    );
    Ok(())
}

#[test]
fn a_folder_has_one_server() -> Result<()> {
    let server = Server::start()?;
    let refused = finish(
        Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--data"])
            .arg(server.data()),
    )?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("in use") || refused.stderr.contains("another"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[test]
fn a_taken_port_is_said() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let taken = server.endpoint()?.trim_start_matches("http://");
    let refused = finish(
        Command::new(binary()?)
            .args(["up", "--listen", taken, "--tls-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data")),
    )?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains(taken), "{}", refused.stderr);
    Ok(())
}

#[tokio::test]
async fn a_damaged_database_stops_the_start_with_advice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start_in(&data, &[])?;
    let root = server.root()?;
    for number in 0..40 {
        let role = format!("role-{number}");
        root.must(
            "iam",
            &[
                ("Action", "CreateRole"),
                ("RoleName", &role),
                ("AssumeRolePolicyDocument", TRUST),
            ],
        )
        .await?;
    }
    server.stop()?;
    let store = data.join("store.db");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&store)?;
    let length = file.metadata()?.len();
    // Every page but the first is struck in its middle: whichever the start reads, it meets damage.
    let mut offset = 4096 + 2000;
    while offset + 500 < length {
        file.write_all_at(&[0xa5; 500], offset)?;
        offset += 4096;
    }
    drop(file);
    let before = std::fs::read(&store)?;
    let refused = finish(
        Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--data"])
            .arg(&data),
    )?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let said = refused.stderr.to_lowercase();
    assert!(
        said.contains("store.db") && (said.contains("damaged") || said.contains("malformed")),
        "{}",
        refused.stderr
    );
    assert!(
        said.contains("backup") || said.contains("restore") || said.contains("move"),
        "no advice in: {}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
    assert!(std::fs::read(&store)? == before, "the damaged file was changed");
    Ok(())
}
