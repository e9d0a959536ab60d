use super::*;

fn document(content: &str) -> String {
    format!("<VersioningConfiguration {NAMESPACE}>{content}</VersioningConfiguration>")
}

#[tokio::test]
async fn versioning_is_off_then_enabled_then_suspended() {
    let server = Server::with_bucket().await;
    let off = send(&server, "GET", "versioning", "").await;
    assert_eq!(
        (off.status, off.element("Status")),
        (StatusCode::OK, ""),
        "{}",
        off.text
    );
    for status in ["Enabled", "Suspended", "Enabled"] {
        put(&server, "versioning", &document(&format!("<Status>{status}</Status>"))).await;
        let now = send(&server, "GET", "versioning", "").await;
        assert_eq!(now.element("Status"), status, "{}", now.text);
        assert_eq!(now.element("MfaDelete"), "");
    }
    put(
        &server,
        "versioning",
        &document("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"),
    )
    .await;
    let now = send(&server, "GET", "versioning", "").await;
    assert_eq!(now.element("MfaDelete"), "Disabled", "{}", now.text);
}

#[tokio::test]
async fn what_is_no_versioning_is_refused() {
    let server = Server::with_bucket().await;
    let malformed = "The XML you provided was not well-formed or did not validate against our published schema";
    for (content, expected) in [
        (
            "",
            refusal(
                400,
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
            ),
        ),
        ("<Status>Off</Status>", refusal(400, "MalformedXML", malformed)),
        (
            "<Status>Enabled</Status><MfaDelete>On</MfaDelete>",
            refusal(400, "MalformedXML", malformed),
        ),
        (
            "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>",
            refusal(403, "AccessDenied", "Mfa Authentication must be used for this request"),
        ),
    ] {
        assert_eq!(
            refused(&server, "PUT", "versioning", &document(content)).await,
            expected,
            "{content}"
        );
    }
    assert_eq!(
        send(&server, "GET", "versioning", "").await.element("Status"),
        "",
        "nothing was changed"
    );
}

#[tokio::test]
async fn versioning_is_decided_by_its_own_actions() {
    let server = Server::with_bucket().await;
    for (method, action, body) in [
        ("GET", "s3:GetBucketVersioning", String::new()),
        ("PUT", "s3:PutBucketVersioning", document("<Status>Enabled</Status>")),
    ] {
        let script = Script::new(move |target| target.action != action);
        let answer = server.call(&script, method, "/my-bucket?versioning", &body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "AccessDenied"));
        assert_eq!(script.questions(), [(action, "arn:aws:s3:::my-bucket".to_owned())]);
    }
    assert_eq!(send(&server, "GET", "versioning", "").await.element("Status"), "");
}

#[tokio::test]
async fn a_document_that_did_not_arrive_as_it_was_sent_changes_nothing() {
    let server = Server::with_bucket().await;
    let body = document("<Status>Enabled</Status>");
    let answer = server
        .send(
            &Script::all(),
            request(
                "PUT",
                "/my-bucket?versioning",
                &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")],
                &body,
            ),
        )
        .await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "BadDigest"));
    assert_eq!(send(&server, "GET", "versioning", "").await.element("Status"), "");
}
