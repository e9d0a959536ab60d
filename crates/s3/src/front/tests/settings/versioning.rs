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
