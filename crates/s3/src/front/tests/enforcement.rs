use super::table::rows;
use super::*;

mod conditions;
mod heads;

#[tokio::test]
async fn pe_27_each_operation_asks_for_exactly_its_action_and_resource() {
    let mut covered = BTreeSet::new();
    for (name, method, uri, headers, body, questions) in rows() {
        let server = Server::with_bucket().await;
        let script = Script::all();
        let answer = server.send(&script, request(method, uri, headers, body)).await;
        let expected: Vec<_> = questions
            .iter()
            .map(|(action, arn)| (*action, (*arn).to_owned()))
            .collect();
        assert_eq!(script.questions(), expected, "{name}");
        assert_eq!(answer.outcome.operation.unwrap().name, *name);
        let decided: Vec<_> = answer
            .outcome
            .targets
            .iter()
            .map(|(target, allowed)| (target.action, *allowed))
            .collect();
        assert!(decided.iter().all(|(_, allowed)| *allowed), "{name}");
        assert_eq!(decided.len(), questions.len());
        covered.insert(*name);
    }
    covered.extend(settings::TABLE.iter().map(|(name, ..)| *name));
    let all: BTreeSet<_> = operations().map(|operation| operation.name).collect();
    assert_eq!(covered, all, "an operation of the table has no test");
}

#[tokio::test]
async fn pe_27_one_denied_question_denies_the_request() {
    for (name, method, uri, headers, body, questions) in rows() {
        for (denied, arn) in *questions {
            let server = Server::with_bucket().await;
            server.put("from%20here", "secret").await;
            server.put("a", "old").await;
            let script = Script::new(move |target| (target.action, target.resource_arn.as_str()) != (denied, arn));
            let answer = server.send(&script, request(method, uri, headers, body)).await;
            if *name == "DeleteObjects" {
                assert_eq!(answer.elements("Error").len(), 1, "{}", answer.text);
                continue;
            }
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {}", answer.text);
            let (code, message) = answer.outcome.error.clone().unwrap();
            assert_eq!(code, "AccessDenied");
            assert!(message.contains(denied) && message.contains(arn), "{message}");
            if *method != "HEAD" {
                assert_eq!(answer.element("RequestId"), "REQ1");
                assert_eq!(answer.element("HostId"), "HOST1");
            }
            assert!(
                answer
                    .outcome
                    .targets
                    .iter()
                    .any(|(target, allowed)| target.action == *denied && !allowed)
            );
            // Nothing was done.
            let a = server.call(&Script::all(), "GET", "/my-bucket/a", "").await;
            assert_eq!(a.text, "old");
            let to = server.call(&Script::all(), "GET", "/my-bucket/to", "").await;
            assert_eq!(to.code(), "NoSuchKey");
            assert!(server.buckets.get("new-bucket").is_none());
            assert!(server.buckets.get("my-bucket").is_some());
        }
    }
}

#[tokio::test]
async fn an_unanswered_or_wrongly_answered_question_is_a_refusal() {
    /// Allows something else than what it is asked.
    struct Confused;
    impl Authorizer for Confused {
        fn account(&self) -> Option<AccountId> {
            None
        }
        fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
            let mut other = (**target).clone();
            other.key = Some("public".to_owned());
            Ok(Allowed::decided(&Arc::new(other)))
        }
        fn permits(&self, _target: &Target) -> Result<(), Denied> {
            Ok(())
        }
    }
    let server = Server::with_bucket().await;
    server.put("a", "secret").await;
    // Nobody decides.
    let bare = server.front.handle(request("GET", "/my-bucket/a", &[], "")).await;
    let bare = Answer::of(bare).await;
    assert_eq!((bare.status, bare.code()), (StatusCode::FORBIDDEN, "AccessDenied"));
    assert!(!bare.text.contains("secret"));
    // Somebody decides something else.
    let mut confused = request("GET", "/my-bucket/a", &[], "");
    confused
        .extensions_mut()
        .insert(Arc::new(Confused) as Arc<dyn Authorizer>);
    let confused = Answer::of(server.front.handle(confused).await).await;
    assert_eq!(
        (confused.status, confused.code()),
        (StatusCode::FORBIDDEN, "AccessDenied")
    );
}

#[tokio::test]
async fn operations_without_an_entry_are_refused_and_ask_nothing() {
    let server = Server::with_bucket().await;
    server.put("a", "x").await;
    let cases = [
        ("GET", "/my-bucket/a?legal-hold"),
        ("GET", "/my-bucket/a?retention"),
        ("GET", "/my-bucket/a?torrent"),
        ("POST", "/my-bucket/a?restore"),
        ("POST", "/my-bucket/a?select&select-type=2"),
        ("PUT", "/my-bucket?abac"),
        ("GET", "/my-bucket?metrics"),
        ("PUT", "/my-bucket?inventory&id=1"),
        ("PUT", "/my-bucket/a?renameObject"),
        ("PUT", "/my-bucket/a?versionId=null"),
        ("POST", "/my-bucket/a?uploads&versionId=null"),
        ("PATCH", "/my-bucket/a"),
        ("POST", "/"),
    ];
    for (method, uri) in cases {
        let script = Script::all();
        let answer = server.call(&script, method, uri, "").await;
        assert_eq!(
            answer.status,
            StatusCode::NOT_IMPLEMENTED,
            "{method} {uri}: {}",
            answer.text
        );
        assert_eq!(script.questions(), [], "{method} {uri}");
        assert_eq!(answer.outcome.error.unwrap().0, "NotImplemented");
    }
    let kept = server.call(&Script::all(), "GET", "/my-bucket/a", "").await;
    assert_eq!(kept.text, "x");
}

#[tokio::test]
async fn form_uploads_are_refused_before_their_file_is_read() {
    let server = Server::with_bucket().await;
    let form = [("content-type", "Multipart/Form-Data; boundary=b")];
    let answer = server
        .send(
            &Script::all(),
            request("POST", "/my-bucket", &form, "--b\r\n\r\nx\r\n--b--\r\n"),
        )
        .await;
    assert_eq!(answer.code(), "NotImplemented");
    assert_eq!(answer.outcome.bytes_in, 0);
}

#[tokio::test]
async fn s3_01_a_copy_needs_both_sides() {
    let server = Server::with_bucket().await;
    server.bucket("other", 444_455_556_666).await;
    server.put("source", "secret").await;
    let copy = |source: &'static str| request("PUT", "/my-bucket/to", &[("x-amz-copy-source", source)], "");
    let answer = server
        .send(&Script::only(&["s3:PutObject"]), copy("my-bucket/source"))
        .await;
    assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "AccessDenied"));
    let answer = server
        .send(&Script::only(&["s3:GetObject"]), copy("my-bucket/source"))
        .await;
    assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "AccessDenied"));
    let answer = server.send(&Script::all(), copy("my-bucket/source?versionId=1")).await;
    assert_eq!(answer.code(), "InvalidArgument");
    let answer = server
        .send(
            &Script::all(),
            copy("arn:aws:s3:us-east-1:111122223333:accesspoint/my-point/object/k"),
        )
        .await;
    assert_eq!(answer.code(), "NotImplemented");
    for bad in ["my-bucket", "my-bucket/", "/"] {
        assert_eq!(
            server.send(&Script::all(), copy(bad)).await.code(),
            "InvalidArgument",
            "{bad}"
        );
    }
    // Two sources: which one was decided?
    let twice = request(
        "PUT",
        "/my-bucket/to",
        &[
            ("x-amz-copy-source", "my-bucket/source"),
            ("x-amz-copy-source", "other/x"),
        ],
        "",
    );
    assert_eq!(server.send(&Script::all(), twice).await.code(), "InvalidArgument");
    // The source's owner and the condition keys of the destination are told.
    let script = Script::all();
    let answer = server.send(&script, copy("other/x%2By")).await;
    assert_eq!(answer.code(), "NoSuchKey", "{}", answer.text);
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked[0].resource_account, Some(account(444_455_556_666)));
    assert_eq!(asked[0].resource_arn, "arn:aws:s3:::other/x+y");
    assert_eq!(asked[0].condition("s3:x-amz-copy-source"), None);
    assert_eq!(asked[1].resource_account, Some(account(111_122_223_333)));
    assert_eq!(asked[1].condition("s3:x-amz-copy-source"), Some("other/x+y"));

    let answer = server.send(&Script::all(), copy("my-bucket/source")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(
        server.call(&Script::all(), "GET", "/my-bucket/to", "").await.text,
        "secret"
    );
}

#[tokio::test]
async fn s3_02_a_batch_is_decided_key_by_key() {
    let server = Server::with_bucket().await;
    for key in ["a", "b", "c"] {
        server.put(key, key).await;
    }
    let script = Script::new(|target| target.key.as_deref() != Some("b"));
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Object><Key>missing</Key></Object></Delete>";
    let answer = server.call(&script, "POST", "/my-bucket?delete", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let deleted: Vec<_> = answer.elements("Deleted").into_iter().map(str::to_owned).collect();
    assert_eq!(deleted, ["<Key>a</Key>", "<Key>missing</Key>"], "{}", answer.text);
    assert!(answer.element("Error").contains("<Key>b</Key>") && answer.element("Error").contains("AccessDenied"));
    assert_eq!(answer.outcome.targets.len(), 3);
    let left = server.call(&Script::all(), "GET", "/my-bucket?list-type=2", "").await;
    assert_eq!(left.elements("Key"), ["b", "c"]);
    for bad in ["", "<Delete/>", "<Delete></Delete>", "<Delete><Object>", "nonsense"] {
        let answer = server.call(&Script::all(), "POST", "/my-bucket?delete", bad).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text);
    }
    let many = format!("<Delete>{}</Delete>", "<Object><Key>x</Key></Object>".repeat(1001));
    assert_eq!(
        server
            .call(&Script::all(), "POST", "/my-bucket?delete", &many)
            .await
            .code(),
        "MalformedXML"
    );
    let huge = format!("<Delete>{}</Delete>", " ".repeat(5 * 1024 * 1024));
    assert_eq!(
        server
            .call(&Script::all(), "POST", "/my-bucket?delete", &huge)
            .await
            .code(),
        "MaxMessageLengthExceeded"
    );
}

#[tokio::test]
async fn s3_04_only_who_may_list_learns_that_a_key_is_missing() {
    let server = Server::with_bucket().await;
    server.put("there", "x").await;
    for method in ["GET", "HEAD"] {
        let reader = Script::only(&["s3:GetObject"]);
        let answer = server.call(&reader, method, "/my-bucket/missing", "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let (code, message) = answer.outcome.error.unwrap();
        assert_eq!(code, "AccessDenied");
        assert!(
            message.contains("s3:ListBucket on resource: \"arn:aws:s3:::my-bucket\""),
            "{message}"
        );
        // The second question is not part of the record.
        assert_eq!(answer.outcome.targets.len(), 1);

        let lister = Script::only(&["s3:GetObject", "s3:ListBucket"]);
        let answer = server.call(&lister, method, "/my-bucket/missing", "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.outcome.error.unwrap().0, "NoSuchKey");

        // Who may not read learns nothing from the difference.
        let nobody = Script::only(&["s3:ListBucket"]);
        let missing = server.call(&nobody, method, "/my-bucket/missing", "").await;
        let there = server.call(&nobody, method, "/my-bucket/there", "").await;
        assert_eq!(
            (missing.status, there.status),
            (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN)
        );
    }
    let copy = request(
        "PUT",
        "/my-bucket/to",
        &[("x-amz-copy-source", "my-bucket/missing")],
        "",
    );
    let answer = server
        .send(&Script::only(&["s3:GetObject", "s3:PutObject"]), copy)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn s3_05_the_authorized_key_is_the_stored_key() {
    let server = Server::with_bucket().await;
    let long = "k".repeat(1024);
    let cases = [
        ("../x", "../x"),
        ("a/../../b", "a/../../b"),
        ("%2e%2e/x", "../x"),
        ("a%2Fb", "a/b"),
        ("a%2fb%2Fc", "a/b/c"),
        ("/x", "/x"),
        ("//", "//"),
        ("a//b", "a//b"),
        ("./a", "./a"),
        ("a/.", "a/."),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("a%252e", "a%2e"),
        ("a%00b", "a\0b"),
        ("a%5Cb", "a\\b"),
        ("%C3%A4", "ä"),
        ("a:b?x-id=1", "a:b"),
        ("dir/", "dir/"),
        ("dir", "dir"),
        (long.as_str(), long.as_str()),
    ];
    let mut keys = BTreeSet::new();
    for (number, (path, key)) in cases.iter().enumerate() {
        let script = Script::all();
        let uri = format!("/my-bucket/{path}");
        let answer = server.call(&script, "PUT", &uri, &format!("content {number}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        let arn = format!("arn:aws:s3:::my-bucket/{key}");
        assert_eq!(script.questions(), [("s3:PutObject", arn.clone())]);
        let script = Script::all();
        let answer = server.call(&script, "GET", &uri, "").await;
        assert_eq!(answer.text, format!("content {number}"), "{path}");
        assert_eq!(script.questions(), [("s3:GetObject", arn)]);
        keys.insert((*key).to_owned());
    }
    // The listing names exactly those keys.
    let listed = server
        .call(&Script::all(), "GET", "/my-bucket?list-type=2&encoding-type=url", "")
        .await;
    let listed: BTreeSet<String> = listed
        .elements("Key")
        .into_iter()
        .map(|key| {
            percent_encoding::percent_decode_str(key)
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    assert_eq!(listed, keys);
    // Control characters do not break the document for those who did not ask for the encoding.
    let plain = server.call(&Script::all(), "GET", "/my-bucket?list-type=2", "").await;
    assert!(plain.text.contains("a&#x0;b") && !plain.text.contains('\0'));

    let too_long = server
        .call(&Script::all(), "PUT", &format!("/my-bucket/{long}k"), "x")
        .await;
    assert_eq!(too_long.code(), "KeyTooLongError");
    for bad in ["/my-bucket/%FF", "/my-bucket/a%C0%AF"] {
        let answer = server.call(&Script::all(), "PUT", bad, "x").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text);
    }
    for bad in ["/..%2fmy-bucket/a", "/My-Bucket/a", "/a/b", "/../my-bucket/a"] {
        let answer = server.call(&Script::all(), "GET", bad, "").await;
        assert_eq!(answer.code(), "InvalidBucketName", "{bad}");
    }
}

#[tokio::test]
async fn s3_08_what_is_listed_is_the_prefix_that_was_decided() {
    let server = Server::with_bucket().await;
    for key in ["team-a/1", "team-a/2", "team-b/1"] {
        server.put(key, "x").await;
    }
    let script = Script::new(|target| {
        target
            .condition("s3:prefix")
            .is_some_and(|prefix| prefix.starts_with("team-a/"))
    });
    let answer = server
        .call(
            &script,
            "GET",
            "/my-bucket?list-type=2&prefix=team-a%2F&max-keys=1&delimiter=",
            "",
        )
        .await;
    assert_eq!(answer.elements("Key"), ["team-a/1"], "{}", answer.text);
    {
        let asked = script.asked.lock().unwrap();
        assert_eq!(asked[0].condition("s3:prefix"), Some("team-a/"));
        assert_eq!(asked[0].condition("s3:max-keys"), Some("1"));
        assert_eq!(asked[0].condition("s3:delimiter"), Some(""));
        assert_eq!(asked[0].condition("s3:ResourceAccount"), Some("111122223333"));
    }
    for uri in [
        "/my-bucket?list-type=2",
        "/my-bucket?list-type=2&prefix=",
        "/my-bucket?list-type=2&prefix=team-",
        "/my-bucket?prefix=team-b/",
        "/my-bucket?list-type=2&start-after=team-a/",
    ] {
        let answer = server.call(&script, "GET", uri, "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{uri}");
    }
    // Two prefixes: which one was decided?
    for uri in [
        "/my-bucket?list-type=2&prefix=team-a/&prefix=team-b/",
        "/my-bucket?prefix=team-b/&prefix=team-a/",
    ] {
        let answer = server.call(&script, "GET", uri, "").await;
        assert_eq!(answer.code(), "InvalidArgument", "{uri}");
    }
    // A token of one prefix does not reach into another.
    let token = answer.element("NextContinuationToken").to_owned();
    assert!(!token.is_empty());
    let uri = format!("/my-bucket?list-type=2&prefix=team-b%2F&continuation-token={token}");
    assert_eq!(
        server.call(&Script::all(), "GET", &uri, "").await.code(),
        "InvalidArgument"
    );
}

#[tokio::test]
async fn the_expected_owner_is_checked() {
    let server = Server::with_bucket().await;
    server.put("a", "x").await;
    let wrong = [("x-amz-expected-bucket-owner", "444455556666")];
    let script = Script::all();
    let answer = server.send(&script, request("GET", "/my-bucket/a", &wrong, "")).await;
    assert_eq!(answer.code(), "AccessDenied");
    let right = [("x-amz-expected-bucket-owner", "111122223333")];
    let answer = server.send(&script, request("GET", "/my-bucket/a", &right, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let copy = [
        ("x-amz-copy-source", "my-bucket/a"),
        ("x-amz-source-expected-bucket-owner", "444455556666"),
    ];
    let answer = server.send(&script, request("PUT", "/my-bucket/b", &copy, "")).await;
    assert_eq!(answer.code(), "AccessDenied");
}

#[test]
fn every_kind_of_resource_is_in_the_table() {
    for kind in [
        ResourceKind::Service,
        ResourceKind::NewBucket,
        ResourceKind::Bucket,
        ResourceKind::Object,
        ResourceKind::Copy,
        ResourceKind::Keys,
    ] {
        assert!(operations().any(|operation| operation.resource == kind), "{kind:?}");
    }
}

/// What the record of a batch says: each key, and its error code.
fn codes(answer: &Answer) -> Vec<(&str, Option<&str>)> {
    let keys = answer.outcome.keys.iter();
    keys.map(|key| (key.key.as_str(), key.error.as_ref().map(|(code, _)| code.as_str())))
        .collect()
}
