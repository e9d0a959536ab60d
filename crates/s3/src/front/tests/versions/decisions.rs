//! What is asked where a request names a version.

use super::*;

#[tokio::test]
async fn s3_06_a_version_is_read_and_removed_by_its_own_action() {
    let server = enabled().await;
    let version = put(&server, "a", "x").await;
    let uri = format!("/my-bucket/a?versionId={version}");
    for (method, plain, versioned) in [
        ("GET", "s3:GetObject", "s3:GetObjectVersion"),
        ("HEAD", "s3:GetObject", "s3:GetObjectVersion"),
        ("DELETE", "s3:DeleteObject", "s3:DeleteObjectVersion"),
    ] {
        let denied = Script::new(move |target| target.action == plain);
        assert_eq!(
            server.call(&denied, method, &uri, "").await.status,
            StatusCode::FORBIDDEN,
            "{method}"
        );
        // And the other way round.
        let denied = Script::new(move |target| target.action == versioned);
        assert_eq!(
            server.call(&denied, method, "/my-bucket/a", "").await.status,
            StatusCode::FORBIDDEN
        );
    }
    // What is asked says which version.
    let script = Script::all();
    server.call(&script, "GET", &uri, "").await;
    let asked = script.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.version.as_deref(), Some(version.as_str()));
    assert_eq!(asked.condition("s3:VersionId"), Some(version.as_str()));
    let script = Script::all();
    server.call(&script, "GET", "/my-bucket/a", "").await;
    assert_eq!(script.asked.lock().unwrap()[0].condition("s3:VersionId"), None);
    // An answer about another version is no answer.
    struct Confused;
    impl Authorizer for Confused {
        fn account(&self) -> Option<AccountId> {
            None
        }
        fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
            let mut other = (**target).clone();
            other.version = Some("null".to_owned());
            Ok(Allowed::decided(&Arc::new(other)))
        }
        fn permits(&self, _target: &Target) -> Result<(), Denied> {
            Ok(())
        }
    }
    let mut confused = request("GET", &uri, &[], "");
    confused
        .extensions_mut()
        .insert(Arc::new(Confused) as Arc<dyn Authorizer>);
    let confused = Answer::of(server.front.handle(confused).await).await;
    assert_eq!(confused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn decisions_see_the_tags_of_the_very_version() {
    let server = enabled().await;
    let public = send(
        &server,
        "PUT",
        "/my-bucket/a",
        &[("x-amz-tagging", "is=public")],
        "public",
    )
    .await;
    let public = public.header("x-amz-version-id").to_owned();
    let secret = send(
        &server,
        "PUT",
        "/my-bucket/a",
        &[("x-amz-tagging", "is=secret")],
        "secret",
    )
    .await;
    let secret = secret.header("x-amz-version-id").to_owned();
    let script = || Script::new(|target| target.condition("s3:ExistingObjectTag/is") == Some("public"));
    let read = async |query: &str| server.call(&script(), "GET", &format!("/my-bucket/a{query}"), "").await;
    assert_eq!(read("").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        read(&format!("?versionId={secret}")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(read(&format!("?versionId={public}")).await.text, "public");
    let headers = [("x-amz-object-attributes", "ETag")];
    for (version, status) in [(&public, StatusCode::OK), (&secret, StatusCode::FORBIDDEN)] {
        let uri = format!("/my-bucket/a?attributes&versionId={version}");
        assert_eq!(
            server.send(&script(), request("GET", &uri, &headers, "")).await.status,
            status
        );
        let uri = format!("/my-bucket/a?tagging&versionId={version}");
        assert_eq!(server.call(&script(), "GET", &uri, "").await.status, status);
        let source = format!("my-bucket/a?versionId={version}");
        let script = Script::new(|target| {
            target.action.starts_with("s3:Put") || target.condition("s3:ExistingObjectTag/is") == Some("public")
        });
        let copy = request("PUT", "/my-bucket/b", &[("x-amz-copy-source", &source)], "");
        assert_eq!(server.send(&script, copy).await.status, status);
        let asked: Vec<_> = script.questions().into_iter().map(|(action, _)| action).collect();
        assert_eq!(asked[0], "s3:GetObjectVersion");
        if status == StatusCode::OK {
            assert_eq!(
                asked[1..],
                ["s3:PutObject", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"]
            );
        }
    }
}

#[tokio::test]
async fn who_may_not_list_learns_nothing_of_what_is_not_there() {
    let server = enabled().await;
    put(&server, "a", "x").await;
    let gone = put(&server, "a", "y").await;
    send(&server, "DELETE", &format!("/my-bucket/a?versionId={gone}"), &[], "").await;
    delete(&server, "hidden").await;
    for method in ["GET", "HEAD"] {
        let version = format!("/my-bucket/a?versionId={gone}");
        for (actions, uri, status) in [
            (&["s3:GetObjectVersion"][..], version.as_str(), StatusCode::FORBIDDEN),
            (
                &["s3:GetObjectVersion", "s3:ListBucketVersions"],
                &version,
                StatusCode::NOT_FOUND,
            ),
            (
                &["s3:GetObjectVersion", "s3:ListBucket"],
                &version,
                StatusCode::NOT_FOUND,
            ),
            (&["s3:GetObject"], "/my-bucket/hidden", StatusCode::FORBIDDEN),
            (
                &["s3:GetObject", "s3:ListBucket"],
                "/my-bucket/hidden",
                StatusCode::NOT_FOUND,
            ),
        ] {
            let actions = actions.to_vec();
            let script = Script::new(move |target| actions.contains(&target.action));
            let answer = server.call(&script, method, uri, "").await;
            assert_eq!(answer.status, status, "{method} {uri}");
            let told = uri.ends_with("hidden") && status == StatusCode::NOT_FOUND;
            assert_eq!(answer.header("x-amz-delete-marker"), if told { "true" } else { "" });
        }
    }
}
