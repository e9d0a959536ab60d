//! Accounts of one server see nothing of each other.

use anyhow::{Context as _, Result};
use irsa_conformance::{Client, Cluster, Credentials, Server, exchange};
use serde_json::Value;

/// Makes an account at the command line; its id and its root.
fn another(server: &Server) -> Result<(String, Client)> {
    let made = server.run_json(&["admin", "create-account", "--name", "another"])?;
    let text = |pointers: &[&str]| {
        let found = pointers
            .iter()
            .find_map(|pointer| made.pointer(pointer))
            .and_then(Value::as_str)
            .map(str::to_owned);
        found.with_context(|| format!("none of {pointers:?} in {made}"))
    };
    let credentials = Credentials {
        access_key_id: text(&["/accessKey/accessKeyId", "/accessKeyId"])?,
        secret_access_key: text(&["/accessKey/secretAccessKey", "/secretAccessKey"])?,
        session_token: None,
    };
    let id = text(&["/account/id", "/id"])?;
    // It is a profile in the credentials file, too.
    let profile = server.credentials(&format!("account-{id}"))?;
    assert_eq!(profile.secret_access_key, credentials.secret_access_key);
    Ok((id, server.root()?.with(Some(credentials))))
}

#[tokio::test]
async fn another_account_sees_and_reaches_nothing() -> Result<()> {
    let server = Server::start()?;
    let first = server.root()?;
    let cluster = Cluster::create(&first, "one").await?;
    let role = cluster.role(&first, "app", "app", "reader").await?;
    let token = cluster.token(&first, "app", "reader").await?;
    assert_eq!(
        first
            .call("s3", "PUT", "/of-the-first", &[], &[], "".into())
            .await?
            .status,
        200
    );
    assert_eq!(
        first
            .call("s3", "PUT", "/of-the-first/key", &[], &[], "secret".into())
            .await?
            .status,
        200
    );

    let (account, second) = another(&server)?;
    let identity = second.must("sts", &[("Action", "GetCallerIdentity")]).await?;
    assert_eq!(identity.xml("Account").as_deref(), Some(account.as_str()));

    let roles = second.must("iam", &[("Action", "ListRoles")]).await?;
    assert!(!roles.text().contains("app"), "{}", roles.text());
    let missing = second
        .query("iam", &[("Action", "GetRole"), ("RoleName", "app")])
        .await?;
    assert_eq!(missing.error_code().as_deref(), Some("NoSuchEntity"));
    let providers = second.must("iam", &[("Action", "ListOpenIDConnectProviders")]).await?;
    assert_eq!(providers.xml("Arn"), None);
    // The ARN of the other account's provider is of no use here either.
    let parameters = [
        ("Action", "DeleteOpenIDConnectProvider"),
        ("OpenIDConnectProviderArn", cluster.provider_arn.as_str()),
    ];
    assert_ne!(second.query("iam", &parameters).await?.status, 200);

    assert_eq!(second.json("eks", "GET", "/clusters/one", None).await?.status, 404);
    let path = "/clusters/one/namespaces/app/serviceaccounts/reader/token";
    let body = serde_json::json!({"spec": {"audiences": ["sts.amazonaws.com"]}});
    assert_eq!(second.json("irsa", "POST", path, Some(&body)).await?.status, 404);

    for (method, path) in [
        ("GET", "/of-the-first"),
        ("GET", "/of-the-first/key"),
        ("PUT", "/of-the-first/key"),
        ("DELETE", "/of-the-first/key"),
    ] {
        let answer = second.call("s3", method, path, &[], &[], "".into()).await?;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
        assert!(!answer.text().contains("secret"));
    }
    let taken = second.call("s3", "PUT", "/of-the-first", &[], &[], "".into()).await?;
    assert_eq!(
        taken.error_code().as_deref(),
        Some("BucketAlreadyExists"),
        "{}",
        taken.text()
    );
    let buckets = second.call("s3", "GET", "/", &[], &[], "".into()).await?;
    assert!(!buckets.text().contains("of-the-first"), "{}", buckets.text());

    // A role of the same name and trust, in this account, whose provider is the other account's: the token is worth nothing.
    let trust = cluster.trust("app", "reader");
    let parameters = [
        ("Action", "CreateRole"),
        ("RoleName", "app"),
        ("AssumeRolePolicyDocument", trust.as_str()),
    ];
    let made = second.must("iam", &parameters).await?.must_xml("Arn")?;
    assert_ne!(made, role);
    let refused = second
        .with(None)
        .query("sts", &exchange(&made, "session", &token))
        .await?;
    assert_eq!(refused.error_code().as_deref(), Some("InvalidIdentityToken"));
    assert_eq!(
        refused.error_message().unwrap_or_default(),
        format!("No OpenIDConnect provider found in your account for {}", cluster.issuer)
    );

    // And nothing of that has harmed the first.
    assert_eq!(
        first
            .with(None)
            .query("sts", &exchange(&role, "session", &token))
            .await?
            .status,
        200
    );
    let kept = first
        .call("s3", "GET", "/of-the-first/key", &[], &[], "".into())
        .await?;
    assert_eq!(kept.text(), "secret");
    let accounts = server.run_json(&["admin", "list-accounts"])?;
    assert!(
        accounts.to_string().contains(&account) && accounts.to_string().contains(server.account()?),
        "{accounts}"
    );
    Ok(())
}

#[tokio::test]
async fn an_account_number_is_used_once() -> Result<()> {
    let server = Server::start()?;
    let words = ["admin", "create-account", "--account", "999988887777"];
    server.run(&words)?;
    assert!(server.run(&words).is_err());
    Ok(())
}

#[tokio::test]
async fn only_a_root_may_make_accounts() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let token = cluster.token(&root, "app", "reader").await?;
    let session = root
        .with(None)
        .must("sts", &exchange(&role, "session", &token))
        .await?
        .credentials()?;
    let answer = root
        .with(Some(session))
        .json("irsa", "POST", "/accounts", Some(&serde_json::json!({})))
        .await?;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let answer = root
        .with(None)
        .json("irsa", "POST", "/accounts", Some(&serde_json::json!({})))
        .await?;
    assert!(answer.status >= 400, "{}", answer.text());
    let accounts = server.run_json(&["admin", "list-accounts"])?.to_string();
    assert_eq!(accounts.matches("\"id\"").count(), 1, "{accounts}");
    Ok(())
}
