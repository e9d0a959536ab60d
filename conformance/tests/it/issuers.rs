//! Issuers that the server does not host: fetched, cached, rotated, refused.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use irsa_conformance::{AUDIENCE, Answer, Client, Issuer, Key, KeyKind, Server, StartOptions, exchange, jws};
use serde_json::json;

const UNREACHABLE: &str = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";

struct Foreign {
    issuer: Issuer,
    key: Key,
}

impl Foreign {
    fn start() -> Result<Self> {
        let (issuer, key) = (Issuer::start()?, Key::generate(KeyKind::P256)?);
        issuer.publish("one", &json!({"keys": [key.public_jwk("first")?]}));
        Ok(Self { issuer, key })
    }

    fn server(&self) -> Result<Server> {
        let authority = self.issuer.authority().to_string_lossy().into_owned();
        let arguments = ["--allow-private-issuers", "--issuer-ca", &authority]
            .map(str::to_owned)
            .to_vec();
        Server::start_with(&StartOptions {
            arguments,
            ..Default::default()
        })
    }

    /// A provider for the issuer and a role that trusts it; the role's ARN.
    async fn trusted_by(&self, root: &Client) -> Result<String> {
        let url = self.issuer.url("one");
        // A thumbprint spares the server from asking for one, which it could not without `--allow-private-issuers`.
        let parameters = [
            ("Action", "CreateOpenIDConnectProvider"),
            ("Url", url.as_str()),
            ("ClientIDList.member.1", AUDIENCE),
            ("ThumbprintList.member.1", "0123456789012345678901234567890123456789"),
        ];
        let provider = root
            .must("iam", &parameters)
            .await?
            .must_xml("OpenIDConnectProviderArn")?;
        let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{}:sub", url.trim_start_matches("https://")): "system:serviceaccount:app:reader"}}}})
        .to_string();
        let parameters = [
            ("Action", "CreateRole"),
            ("RoleName", "foreign"),
            ("AssumeRolePolicyDocument", trust.as_str()),
        ];
        root.must("iam", &parameters).await?.must_xml("Arn")
    }

    fn token(&self, key: &Key, key_id: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({"iss": self.issuer.url("one"), "aud": [AUDIENCE], "sub": "system:serviceaccount:app:reader", "iat": now, "exp": now + 600});
        jws(&json!({"alg": "ES256", "kid": key_id, "typ": "JWT"}), &claims, key)
    }

    fn fetches(&self) -> usize {
        self.issuer.requests("one/keys.json")
    }
}

async fn assume(root: &Client, role: &str, token: &str) -> Result<Answer> {
    root.with(None).query("sts", &exchange(role, "session", token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_once_for_many_and_again_for_a_new_key() -> Result<()> {
    let foreign = Foreign::start()?;
    foreign.issuer.let_keep(300)?;
    let server = foreign.server()?;
    let root = server.root()?;
    let role = foreign.trusted_by(&root).await?;
    let token = foreign.token(&foreign.key, "first")?;
    let mut callers = Vec::new();
    for _ in 0..40 {
        let (root, role, token) = (root.clone(), role.clone(), token.clone());
        callers.push(tokio::spawn(async move { assume(&root, &role, &token).await }));
    }
    for caller in callers {
        let answer = caller.await??;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(foreign.fetches(), 1);

    // Rotation: a token of the new key makes the server look again, and those of the old one stay good while it is published.
    let second = Key::generate(KeyKind::P256)?;
    foreign.issuer.publish(
        "one",
        &json!({"keys": [foreign.key.public_jwk("first")?, second.public_jwk("second")?]}),
    );
    let answer = assume(&root, &role, &foreign.token(&second, "second")?).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(assume(&root, &role, &token).await?.status, 200);
    let after_rotation = foreign.fetches();

    // Made-up key ids do not make the server fetch for each of them.
    for number in 0..30 {
        let answer = assume(&root, &role, &foreign.token(&second, &format!("made-up-{number}"))?).await?;
        assert_eq!(
            answer.error_message().as_deref(),
            Some(UNREACHABLE),
            "{}",
            answer.text()
        );
    }
    let fetches = foreign.fetches() - after_rotation;
    assert!(fetches <= 3, "{fetches} fetches for thirty made-up key ids");

    // A key under a known id that is not the issuer's signs nothing.
    let stranger = Key::generate(KeyKind::P256)?;
    let answer = assume(&root, &role, &foreign.token(&stranger, "first")?).await?;
    assert_eq!(
        (answer.status, answer.error_code().as_deref()),
        (400, Some("InvalidIdentityToken"))
    );
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_is_down_is_answered_in_aws_words_and_served_from_memory_where_keys_are_known() -> Result<()> {
    let foreign = Foreign::start()?;
    let server = foreign.server()?;
    let root = server.root()?;
    let role = foreign.trusted_by(&root).await?;
    let token = foreign.token(&foreign.key, "first")?;
    foreign
        .issuer
        .set("one/.well-known/openid-configuration", 500, "broken");
    let answer = assume(&root, &role, &token).await?;
    assert_eq!(
        answer.error_code().as_deref(),
        Some("InvalidIdentityToken"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.error_message().as_deref(), Some(UNREACHABLE));
    Ok(())
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed_and_the_operator_learns_why() -> Result<()> {
    let foreign = Foreign::start()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let authority = foreign.issuer.authority();
    let trusted = ["--issuer-ca", authority.to_str().context("a path")?];

    // The provider is registered while that is allowed; then it is not any more.
    let server = Server::start_in(&data, &[&trusted[..], &["--allow-private-issuers"]].concat())?;
    let role = foreign.trusted_by(&server.root()?).await?;
    server.stop()?;
    let server = Server::start_in(&data, &trusted)?;
    let root = server.root()?;
    let answer = assume(&root, &role, &foreign.token(&foreign.key, "first")?).await?;
    assert_eq!(
        answer.error_message().as_deref(),
        Some(UNREACHABLE),
        "{}",
        answer.text()
    );
    assert_eq!(
        (
            foreign.fetches(),
            foreign.issuer.requests("one/.well-known/openid-configuration")
        ),
        (0, 0)
    );
    let id = answer
        .headers
        .get("x-amzn-requestid")
        .context("a request id")?
        .to_str()?
        .to_owned();
    let explained = server.run_json(&["explain", &id])?;
    assert!(explained.to_string().contains("--allow-private-issuers"), "{explained}");

    // A new one is not accepted.
    let refused = root
        .query(
            "iam",
            &[
                ("Action", "CreateOpenIDConnectProvider"),
                ("Url", "https://127.0.0.1:9/two"),
            ],
        )
        .await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    Ok(())
}
