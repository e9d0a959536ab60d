use super::*;

const ALLOW_ROLE: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/app"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-bucket/*"}}"#;
const PUBLIC: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
    "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-bucket/*"}}"#;

#[tokio::test]
async fn a_policy_comes_and_goes() {
    let server = Server::with_bucket().await;
    let none = refusal(404, "NoSuchBucketPolicy", "The bucket policy does not exist");
    for query in ["policy", "policyStatus"] {
        assert_eq!(refused(&server, "GET", query, "").await, none);
    }
    let answer = send(&server, "PUT", "policy", ALLOW_ROLE).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NO_CONTENT, ""));
    let answer = send(&server, "GET", "policy", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ALLOW_ROLE));
    assert_eq!(answer.header("content-type"), "application/json");
    let status = send(&server, "GET", "policyStatus", "").await;
    assert_eq!(status.element("IsPublic"), "false", "{}", status.text);
    let record = server.buckets.get("my-bucket").unwrap();
    assert_eq!(
        record.settings.policy.as_ref().unwrap().principals,
        [crate::BoundPrincipal {
            arn: "arn:aws:iam::111122223333:role/app".to_owned(),
            id: "AROAEXAMPLE1234567890".to_owned()
        }]
    );
    let answer = send(&server, "DELETE", "policy", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(refused(&server, "GET", "policy", "").await, none);
    // What is gone can be removed again.
    assert_eq!(
        send(&server, "DELETE", "policy", "").await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn texts_that_are_no_policy_for_this_bucket() {
    let server = Server::with_bucket().await;
    put(&server, "policy", ALLOW_ROLE).await;
    for (text, message) in [
        (
            "",
            "Policies must be valid JSON and the first byte must be &apos;{&apos;",
        ),
        (
            "<Policy/>",
            "Policies must be valid JSON and the first byte must be &apos;{&apos;",
        ),
        (&ALLOW_ROLE.replace("my-bucket", "other"), "Policy has invalid resource"),
        (
            &ALLOW_ROLE.replace("role/app", "role/none"),
            "Invalid principal in policy",
        ),
        (
            &ALLOW_ROLE.replace("s3:GetObject", "s3:Nothing"),
            "Policy has invalid action",
        ),
    ] {
        let expected = refusal(400, "MalformedPolicy", message);
        assert_eq!(refused(&server, "PUT", "policy", text).await, expected, "{text}");
    }
    assert_eq!(send(&server, "GET", "policy", "").await.text, ALLOW_ROLE);
}

#[tokio::test]
async fn a_public_policy_waits_for_the_public_access_block_to_go() {
    let server = Server::with_bucket().await;
    let answer = send(&server, "GET", "publicAccessBlock", "").await;
    for setting in [
        "BlockPublicAcls",
        "BlockPublicPolicy",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    ] {
        assert_eq!(answer.element(setting), "true", "a new bucket has all: {}", answer.text);
    }
    assert_eq!(
        refused(&server, "PUT", "policy", PUBLIC).await,
        refusal(
            403,
            "AccessDenied",
            "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: s3:PutBucketPolicy on resource: \
             &quot;arn:aws:s3:::my-bucket&quot; because public policies are blocked by the BlockPublicPolicy block public access setting."
        )
    );
    let document = format!(
        "<PublicAccessBlockConfiguration {NAMESPACE}><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"
    );
    put(&server, "publicAccessBlock", &document).await;
    let answer = send(&server, "GET", "publicAccessBlock", "").await;
    assert_eq!(answer.element("BlockPublicAcls"), "true");
    assert_eq!(answer.element("BlockPublicPolicy"), "false", "what is not said is off");
    put(&server, "policy", PUBLIC).await;
    let status = send(&server, "GET", "policyStatus", "").await;
    assert_eq!(status.element("IsPublic"), "true");
    let answer = send(&server, "DELETE", "publicAccessBlock", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        refused(&server, "GET", "publicAccessBlock", "").await,
        refusal(
            404,
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found"
        )
    );
}

#[tokio::test]
async fn the_policy_is_not_the_business_of_other_accounts() {
    let server = Server::with_bucket().await;
    put(&server, "policy", ALLOW_ROLE).await;
    for account in [Some(account(444_455_556_666)), None] {
        let script = Arc::new(Script {
            account,
            allow: Box::new(|_| true),
            asked: Mutex::default(),
        });
        for (method, body) in [("GET", ""), ("PUT", ALLOW_ROLE), ("DELETE", "")] {
            let answer = server.call(&script, method, "/my-bucket?policy", body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
                "{method}"
            );
        }
    }
    assert_eq!(send(&server, "GET", "policy", "").await.text, ALLOW_ROLE);
}

#[tokio::test]
async fn changes_at_the_same_time_all_count() {
    let server = Arc::new(Server::with_bucket().await);
    let versioning = format!("<VersioningConfiguration {NAMESPACE}><Status>Enabled</Status></VersioningConfiguration>");
    let (_, _, _) = tokio::join!(
        put(&server, "policy", ALLOW_ROLE),
        put(&server, "versioning", &versioning),
        async { assert_eq!(send(&server, "DELETE", "publicAccessBlock", "").await.status, 204) },
    );
    let settings = server.buckets.get("my-bucket").unwrap().settings.clone();
    assert!(settings.policy.is_some() && settings.public_access_block.is_none());
    assert_eq!(settings.versioning, crate::Versioning::Enabled);
    // Of settings that were read before, none can be written over newer ones.
    let old = server.buckets.get("my-bucket").unwrap();
    send(&server, "DELETE", "policy", "").await;
    let result = server.buckets.update(&old, BucketSettings::default()).await;
    assert!(matches!(result, Err(crate::BucketsError::Changed)), "{result:?}");
}
