//! Requests that no client would send: AWS's error, a record of it, and a server that goes on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use irsa_conformance::{
    Answer, Client, Cluster, Server, Transport, exchange,
    sigv4::{self, Scope, Unsigned},
};
use serde_json::Value;
use time::{OffsetDateTime, macros::format_description};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::aws_cli::records;

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

/// The id that every answer carries.
fn request_id(answer: &Answer) -> Result<String> {
    let id = ["x-amzn-requestid", "x-amz-request-id"]
        .iter()
        .find_map(|name| answer.headers.get(*name));
    Ok(id
        .with_context(|| format!("no request id: {answer:?}"))?
        .to_str()?
        .to_owned())
}

/// The one record of a request; it says the same error as the answer did.
fn record(server: &Server, answer: &Answer) -> Result<Value> {
    let id = request_id(answer)?;
    let found = records(&server.run_json(&["audit", "lookup", "--request-id", &id])?);
    assert_eq!(
        found.len(),
        1,
        "records of the request answered with {}: {found:?}",
        answer.text()
    );
    let record = found.into_iter().next().context("a record")?;
    // CloudTrail writes IAM's codes with a suffix that IAM's answers do not have: `NoSuchEntityException`.
    let code = record
        .get("errorCode")
        .and_then(Value::as_str)
        .context("the record of a refusal has no error code")?;
    let answered = answer.error_code().context("a refusal has a code")?;
    assert_eq!(
        code.trim_end_matches("Exception"),
        answered.trim_end_matches("Exception"),
        "{record}"
    );
    Ok(record)
}

async fn alive(root: &Client) -> Result<()> {
    root.must("sts", &[("Action", "GetCallerIdentity")]).await?;
    Ok(())
}

#[tokio::test]
async fn unknown_operations_are_invalid_actions() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    for service in ["sts", "iam"] {
        for action in ["Nothing", "createrole", "CreateRole\u{0}", "<CreateRole/>"] {
            let answer = root.query(service, &[("Action", action)]).await?;
            assert_eq!(
                (answer.status, answer.error_code().as_deref()),
                (400, Some("InvalidAction")),
                "{}",
                answer.text()
            );
            record(&server, &answer)?;
        }
    }
    let unsigned = root.with(None).query("sts", &[("Action", "Nothing")]).await?;
    assert!((400..500).contains(&unsigned.status), "{}", unsigned.text());
    alive(&root).await
}

#[tokio::test]
async fn malformed_forms_are_refused() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let anonymous = root.with(None);
    let bodies: [&[u8]; 12] = [
        b"",
        b"&&&&",
        b"Action",
        b"Action=",
        b"Action=%",
        b"Action=%zz&Version=2011-06-15",
        b"Action=AssumeRoleWithWebIdentity",
        b"Action=AssumeRoleWithWebIdentity&Version=1999-01-01",
        b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=%ff%fe&RoleSessionName=s&WebIdentityToken=eyJh.b.c",
        b"Action=GetCallerIdentity&Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
        b"\xff\xfe\xfd",
        b"{\"Action\":\"AssumeRoleWithWebIdentity\"}",
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(body).into_owned();
        let answer = anonymous.call("sts", "POST", "/", &[], &FORM, body.into()).await?;
        assert!(
            (400..500).contains(&answer.status),
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(answer.error_code().is_some(), "{shown}: {}", answer.text());
        record(&server, &answer).with_context(|| shown)?;
    }
    // What does not say that it is a form is none: nothing of it is carried out.
    let plain = [("content-type", "text/plain")];
    let parameters = "Action=CreateRole&Version=2010-05-08&RoleName=plain";
    let other = root.call("iam", "POST", "/", &[], &plain, parameters.into()).await?;
    assert!(other.status >= 400 && other.error_code().is_some(), "{}", other.text());
    record(&server, &other)?;
    alive(&root).await
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_and_recorded() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let good = cluster.token(&root, "app", "reader").await?;
    let (signed, signature) = good.rsplit_once('.').context("a JWS")?;
    let (header, payload) = signed.split_once('.').context("a JWS")?;
    let long = "a".repeat(20_001);
    let stripped = format!("{signed}.");
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let foreign = format!("{header}.{payload}.{}", signature.chars().rev().collect::<String>());
    for token in [
        "nonsense",
        "a.b.c",
        "....",
        long.as_str(),
        &stripped,
        &unsigned,
        &foreign,
        &format!("{good} "),
        "\u{0}\u{0}\u{0}\u{0}",
    ] {
        let answer = root.with(None).query("sts", &exchange(&role, "session", token)).await?;
        let shown = token.get(..20).unwrap_or(token);
        assert!((400..500).contains(&answer.status), "{shown}: {}", answer.text());
        let record = record(&server, &answer).with_context(|| shown.to_owned())?;
        assert!(!record.to_string().contains(payload), "a token stands in the journal");
    }
    assert_eq!(
        root.with(None)
            .query("sts", &exchange(&role, "session", &good))
            .await?
            .status,
        200
    );
    // Neither tokens nor secrets nor session tokens lie on disk in the clear.
    let issued = root
        .with(None)
        .must("sts", &exchange(&role, "session", &good))
        .await?
        .credentials()?;
    let needles = [
        payload.to_owned(),
        issued.secret_access_key,
        issued.session_token.context("a session token")?,
    ];
    for entry in std::fs::read_dir(server.data().join("audit"))? {
        let text = String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned();
        assert!(needles.iter().all(|needle| !text.contains(needle.as_str())));
    }
    assert!(needles.iter().all(|needle| !server.log().contains(needle.as_str())));
    Ok(())
}

#[tokio::test]
async fn policies_that_are_none_leave_nothing_behind() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let documents = [
        "{",
        "null",
        "[]",
        "\"Allow\"",
        "{\"Version\":\"2012-10-17\"}",
        "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Maybe\",\"Action\":\"*\",\"Resource\":\"*\"}}",
        "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"nothing\",\"Principal\":{\"AWS\":\"*\"}}}",
        "<Policy/>",
        deep.as_str(),
    ];
    for document in documents {
        let shown = document.get(..60).unwrap_or(document);
        let parameters = [
            ("Action", "CreateRole"),
            ("RoleName", "half"),
            ("AssumeRolePolicyDocument", document),
        ];
        let answer = root.query("iam", &parameters).await?;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        record(&server, &answer)?;
        let role = root
            .query("iam", &[("Action", "GetRole"), ("RoleName", "half")])
            .await?;
        assert_eq!(role.error_code().as_deref(), Some("NoSuchEntity"), "{shown}");
        let parameters = [
            ("Action", "CreatePolicy"),
            ("PolicyName", "half"),
            ("PolicyDocument", document),
        ];
        let answer = root.query("iam", &parameters).await?;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let listed = root
            .must("iam", &[("Action", "ListPolicies"), ("Scope", "Local")])
            .await?;
        assert!(!listed.text().contains("half"), "{shown}");
    }
    Ok(())
}

/// Sends bytes as they are and reads what comes until the server closes or `patience` is over.
async fn raw(transport: &Transport, bytes: &[u8], patience: Duration) -> Result<String> {
    let stream = TcpStream::connect(transport.authority()).await?;
    let (mut reader, mut writer) = stream.into_split();
    let bytes = bytes.to_vec();
    // The server may answer and close before it has read all: writing then fails, which is its right.
    let writing = tokio::spawn(async move { writer.write_all(&bytes).await });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(patience, async {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut buffer).await {
            answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if answer.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
    })
    .await;
    writing.abort();
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn oversized_bodies_are_refused_unread() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let host = root.transport.authority();
    let patience = Duration::from_secs(20);
    let head = |rest: &str| {
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n{rest}\r\n")
    };
    // Announced: refused at once, without one byte of it.
    let announced = raw(
        &root.transport,
        head("content-length: 999999999999\r\n").as_bytes(),
        patience,
    )
    .await?;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    // Unannounced: refused when it has become too much.
    let mut chunked = head("transfer-encoding: chunked\r\n").into_bytes();
    for _ in 0..64 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend_from_slice(&vec![b'a'; 0x10_0000]);
        chunked.extend_from_slice(b"\r\n");
    }
    let endless = raw(&root.transport, &chunked, patience).await?;
    assert!(endless.starts_with("HTTP/1.1 413"), "{endless}");
    // Heads have a limit too.
    let long = raw(
        &root.transport,
        format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "a".repeat(1 << 20)).as_bytes(),
        patience,
    )
    .await?;
    assert!(long.starts_with("HTTP/1.1 4"), "{long}");
    let garbage = raw(
        &root.transport,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        patience,
    )
    .await?;
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 4"), "{garbage}");
    alive(&root).await
}

#[tokio::test]
async fn xml_bombs_do_not_go_off() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    assert_eq!(
        root.call("s3", "PUT", "/bucket", &[], &[], "".into()).await?.status,
        200
    );
    let mut laughs = String::from("<!DOCTYPE lolz [<!ENTITY l0 \"lol\">");
    for level in 1..12 {
        let below = format!("&l{};", level - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY l{level} \"{below}\">"));
    }
    laughs.push_str("]>");
    let nested = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let documents = [
        format!("{laughs}<CreateBucketConfiguration><LocationConstraint>&l11;</LocationConstraint></CreateBucketConfiguration>"),
        "<!DOCTYPE x [<!ENTITY file SYSTEM \"file:///etc/passwd\">]><CreateBucketConfiguration><LocationConstraint>&file;</LocationConstraint></CreateBucketConfiguration>".to_owned(),
        nested,
        "<CreateBucketConfiguration>".to_owned(),
        "not xml".to_owned(),
    ];
    for document in documents {
        let shown = document.get(..40).unwrap_or(&document).to_owned();
        let start = Instant::now();
        let answer = root
            .call(
                "s3",
                "PUT",
                "/other",
                &[],
                &[("content-type", "application/xml")],
                document.into(),
            )
            .await?;
        assert!(
            (400..500).contains(&answer.status),
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("root:"), "{shown}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{shown} took {:?}",
            start.elapsed()
        );
        record(&server, &answer).with_context(|| shown)?;
        let head = root.call("s3", "HEAD", "/other", &[], &[], "".into()).await?;
        assert_eq!(head.status, 404);
    }
    alive(&root).await
}

/// A signed GetCallerIdentity (or ListBuckets) whose date is `offset` from now.
async fn dated(root: &Client, service: &str, offset: time::Duration) -> Result<Answer> {
    let date = (OffsetDateTime::now_utc() + offset)
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))?;
    let keys = root.credentials.as_ref().context("keys")?;
    let scope = Scope {
        access_key_id: &keys.access_key_id,
        secret_access_key: &keys.secret_access_key,
        session_token: None,
        region: &root.region,
        service,
    };
    let (method, body, headers) = match service {
        "s3" => ("GET", "", &[][..]),
        _ => ("POST", "Action=GetCallerIdentity&Version=2011-06-15", &FORM[..]),
    };
    let unsigned = Unsigned {
        method,
        host: root.transport.authority(),
        path: "/",
        query: &[],
        headers,
        body: body.as_bytes(),
        date: &date,
    };
    let mut request = http::Request::builder()
        .method(method)
        .uri("/")
        .header("host", root.transport.authority());
    for (name, value) in sigv4::sign(&unsigned, &scope) {
        request = request.header(name, value);
    }
    root.transport.send(request.body(body.to_owned().into())?).await
}

#[tokio::test]
async fn dates_far_from_now_are_refused() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    assert_eq!(dated(&root, "sts", time::Duration::minutes(-14)).await?.status, 200);
    assert_eq!(dated(&root, "sts", time::Duration::minutes(14)).await?.status, 200);
    for (minutes, text) in [(-16, "Signature expired: "), (16, "Signature not yet current: ")] {
        let answer = dated(&root, "sts", time::Duration::minutes(minutes)).await?;
        assert_eq!(
            (answer.status, answer.error_code().as_deref()),
            (403, Some("SignatureDoesNotMatch")),
            "{}",
            answer.text()
        );
        assert!(
            answer.error_message().unwrap_or_default().starts_with(text),
            "{}",
            answer.text()
        );
        record(&server, &answer)?;
        let answer = dated(&root, "s3", time::Duration::minutes(minutes)).await?;
        assert_eq!(
            (answer.status, answer.error_code().as_deref()),
            (403, Some("RequestTimeTooSkewed")),
            "{}",
            answer.text()
        );
        record(&server, &answer)?;
    }
    Ok(())
}

#[tokio::test]
async fn callers_that_are_not_who_they_say_are_refused_and_recorded() -> Result<()> {
    let server = Server::start()?;
    let root = server.root()?;
    let keys = root.credentials.clone().context("keys")?;
    let identity = [("Action", "GetCallerIdentity")];

    let mut wrong = keys.clone();
    wrong.secret_access_key = wrong.secret_access_key.chars().rev().collect();
    let answer = root.with(Some(wrong)).query("sts", &identity).await?;
    assert_eq!(
        (answer.status, answer.error_code().as_deref()),
        (403, Some("SignatureDoesNotMatch")),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains(&keys.secret_access_key));
    record(&server, &answer)?;

    let mut unknown = keys.clone();
    unknown.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned();
    let answer = root.with(Some(unknown)).query("sts", &identity).await?;
    assert_eq!(
        (answer.status, answer.error_code().as_deref()),
        (403, Some("InvalidClientTokenId")),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.error_message().unwrap_or_default(),
        "The security token included in the request is invalid."
    );
    record(&server, &answer)?;

    let answer = root.with(None).query("sts", &identity).await?;
    assert_eq!(
        (answer.status, answer.error_code().as_deref()),
        (403, Some("MissingAuthenticationToken")),
        "{}",
        answer.text()
    );
    record(&server, &answer)?;

    // A session's key without its token, with another session's token, with a damaged one: nothing.
    let cluster = Cluster::create(&root, "one").await?;
    let role = cluster.role(&root, "app", "app", "reader").await?;
    let token = cluster.token(&root, "app", "reader").await?;
    let session = root
        .with(None)
        .must("sts", &exchange(&role, "one", &token))
        .await?
        .credentials()?;
    let other = root
        .with(None)
        .must("sts", &exchange(&role, "two", &token))
        .await?
        .credentials()?;
    let text = session.session_token.clone().context("a session token")?;
    let damaged = text.replacen(|character: char| character.is_ascii_lowercase(), "A", 1);
    for presented in [None, other.session_token, Some(damaged), Some("x".to_owned())] {
        let mut mixed = session.clone();
        mixed.session_token = presented;
        let answer = root.with(Some(mixed)).query("sts", &identity).await?;
        assert_eq!(
            (answer.status, answer.error_code().as_deref()),
            (403, Some("InvalidClientTokenId")),
            "{}",
            answer.text()
        );
        record(&server, &answer)?;
    }
    assert_eq!(root.with(Some(session)).query("sts", &identity).await?.status, 200);
    Ok(())
}
