//! What a bucket without a setting answers: what Terraform and the AWS CLI ask of every bucket.

use super::*;

#[tokio::test]
async fn settings_that_no_bucket_has() {
    let server = Server::with_bucket().await;
    for (query, root) in [
        ("accelerate", "AccelerateConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("notification", "NotificationConfiguration"),
        ("versioning", "VersioningConfiguration"),
    ] {
        let answer = send(&server, "GET", query, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        let nothing = [
            format!("<{root} {NAMESPACE}></{root}>"),
            format!("<{root} {NAMESPACE}/>"),
            format!("<{root}></{root}>"),
            format!("<{root}/>"),
        ];
        assert!(
            nothing.iter().any(|nothing| answer.text.ends_with(nothing)),
            "{query}: {}",
            answer.text
        );
    }
    for (query, code, message) in [
        (
            "cors",
            "NoSuchCORSConfiguration",
            "The CORS configuration does not exist",
        ),
        (
            "lifecycle",
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        ),
        (
            "object-lock",
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
        (
            "replication",
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        ("tagging", "NoSuchTagSet", "The TagSet does not exist"),
        (
            "website",
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
    ] {
        assert_eq!(refused(&server, "GET", query, "").await, refusal(404, code, message));
    }
    let payer = send(&server, "GET", "requestPayment", "").await;
    assert_eq!(payer.element("Payer"), "BucketOwner", "{}", payer.text);
}

#[tokio::test]
async fn what_is_not_done_is_refused_and_what_switches_it_off_is_not() {
    let server = Server::with_bucket().await;
    for (query, body, what) in [
        (
            "accelerate",
            "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
            "Transfer acceleration",
        ),
        (
            "logging",
            "<BucketLoggingStatus><LoggingEnabled><TargetBucket>a</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>",
            "Server access logging",
        ),
        (
            "notification",
            "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>",
            "Event notifications",
        ),
        (
            "requestPayment",
            "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
            "Payment by the requester",
        ),
        ("website", "<WebsiteConfiguration/>", "Website hosting"),
        (
            "ownershipControls",
            "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
            "Object ownership other than BucketOwnerEnforced",
        ),
        (
            "encryption",
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
             </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
            "Encryption with keys of KMS",
        ),
    ] {
        assert_eq!(
            refused(&server, "PUT", query, body).await,
            refusal(501, "NotImplemented", &format!("{what} is not implemented.")),
            "{query}"
        );
    }
    for (query, body) in [
        (
            "accelerate",
            "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
        ),
        ("logging", "<BucketLoggingStatus/>"),
        ("notification", "<NotificationConfiguration/>"),
        (
            "requestPayment",
            "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
        ),
    ] {
        put(&server, query, body).await;
    }
    for query in ["lifecycle", "replication", "website"] {
        let answer = send(&server, "DELETE", query, "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn acls_are_off() {
    let server = Server::with_bucket().await;
    let acl = send(&server, "GET", "acl", "").await;
    assert_eq!(acl.elements("ID").len(), 2, "{}", acl.text);
    assert_eq!(acl.elements("ID")[0], acl.elements("ID")[1], "the owner has it all");
    assert_eq!(acl.element("Permission"), "FULL_CONTROL");
    assert!(acl.text.contains("xsi:type=\"CanonicalUser\""), "{}", acl.text);
    let expected = refusal(400, "AccessControlListNotSupported", "The bucket does not allow ACLs");
    for acl in ["private", "public-read"] {
        let answer = server
            .send(
                &Script::all(),
                request("PUT", "/my-bucket?acl", &[("x-amz-acl", acl)], ""),
            )
            .await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.code().to_owned(),
                answer.element("Message").to_owned()
            ),
            expected
        );
    }
    let controls = send(&server, "GET", "ownershipControls", "").await;
    assert_eq!(controls.element("ObjectOwnership"), "BucketOwnerEnforced");
    send(&server, "DELETE", "ownershipControls", "").await;
    assert_eq!(
        refused(&server, "GET", "ownershipControls", "").await,
        refusal(
            404,
            "OwnershipControlsNotFoundError",
            "The bucket ownership controls were not found"
        )
    );
    put(
        &server,
        "ownershipControls",
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
    )
    .await;
    let controls = send(&server, "GET", "ownershipControls", "").await;
    assert_eq!(controls.element("ObjectOwnership"), "BucketOwnerEnforced");
}

#[tokio::test]
async fn encryption_is_with_s3_s_own_keys() {
    let server = Server::with_bucket().await;
    let told = async |server: &Server| {
        let answer = send(server, "GET", "encryption", "").await;
        (
            answer.element("SSEAlgorithm").to_owned(),
            answer.element("BucketKeyEnabled").to_owned(),
        )
    };
    assert_eq!(told(&server).await, ("AES256".to_owned(), "false".to_owned()));
    put(
        &server,
        "encryption",
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
         </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
    )
    .await;
    assert_eq!(told(&server).await, ("AES256".to_owned(), "true".to_owned()));
    let answer = send(&server, "DELETE", "encryption", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(told(&server).await, ("AES256".to_owned(), "false".to_owned()));
}
