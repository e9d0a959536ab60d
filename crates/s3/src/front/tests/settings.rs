//! Settings of buckets on the wire.

mod absent;
mod cors;
mod policy;
mod tagging;
mod versioning;

use super::*;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

async fn send(server: &Server, method: &str, query: &str, body: &str) -> Answer {
    server
        .call(&Script::all(), method, &format!("/my-bucket?{query}"), body)
        .await
}

/// Sends a document that is taken.
async fn put(server: &Server, query: &str, body: &str) {
    let answer = send(server, "PUT", query, body).await;
    assert!(answer.status.is_success(), "{query}: {}", answer.text);
}

/// Status, code and message of a request that is refused.
async fn refused(server: &Server, method: &str, query: &str, body: &str) -> (u16, String, String) {
    let answer = send(server, method, query, body).await;
    let text = |name| answer.element(name).to_owned();
    (answer.status.as_u16(), text("Code"), text("Message"))
}

fn refusal(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}

/// Name, method, parameter, document, and the action that is asked for.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &str, &str, &str, &str)] = &[
    ("DeleteBucketCors", "DELETE", "cors", "", "s3:PutBucketCORS"),
    ("DeleteBucketEncryption", "DELETE", "encryption", "", "s3:PutEncryptionConfiguration"),
    ("DeleteBucketLifecycle", "DELETE", "lifecycle", "", "s3:PutLifecycleConfiguration"),
    ("DeleteBucketOwnershipControls", "DELETE", "ownershipControls", "", "s3:PutBucketOwnershipControls"),
    ("DeleteBucketPolicy", "DELETE", "policy", "", "s3:DeleteBucketPolicy"),
    ("DeleteBucketReplication", "DELETE", "replication", "", "s3:PutReplicationConfiguration"),
    ("DeleteBucketTagging", "DELETE", "tagging", "", "s3:PutBucketTagging"),
    ("DeleteBucketWebsite", "DELETE", "website", "", "s3:DeleteBucketWebsite"),
    ("DeletePublicAccessBlock", "DELETE", "publicAccessBlock", "", "s3:PutBucketPublicAccessBlock"),
    ("GetBucketAccelerateConfiguration", "GET", "accelerate", "", "s3:GetAccelerateConfiguration"),
    ("GetBucketAcl", "GET", "acl", "", "s3:GetBucketAcl"),
    ("GetBucketCors", "GET", "cors", "", "s3:GetBucketCORS"),
    ("GetBucketEncryption", "GET", "encryption", "", "s3:GetEncryptionConfiguration"),
    ("GetBucketLifecycleConfiguration", "GET", "lifecycle", "", "s3:GetLifecycleConfiguration"),
    ("GetBucketLogging", "GET", "logging", "", "s3:GetBucketLogging"),
    ("GetBucketNotificationConfiguration", "GET", "notification", "", "s3:GetBucketNotification"),
    ("GetBucketOwnershipControls", "GET", "ownershipControls", "", "s3:GetBucketOwnershipControls"),
    ("GetBucketPolicy", "GET", "policy", "", "s3:GetBucketPolicy"),
    ("GetBucketPolicyStatus", "GET", "policyStatus", "", "s3:GetBucketPolicyStatus"),
    ("GetBucketReplication", "GET", "replication", "", "s3:GetReplicationConfiguration"),
    ("GetBucketRequestPayment", "GET", "requestPayment", "", "s3:GetBucketRequestPayment"),
    ("GetBucketTagging", "GET", "tagging", "", "s3:GetBucketTagging"),
    ("GetBucketVersioning", "GET", "versioning", "", "s3:GetBucketVersioning"),
    ("GetBucketWebsite", "GET", "website", "", "s3:GetBucketWebsite"),
    ("GetObjectLockConfiguration", "GET", "object-lock", "", "s3:GetBucketObjectLockConfiguration"),
    ("GetPublicAccessBlock", "GET", "publicAccessBlock", "", "s3:GetBucketPublicAccessBlock"),
    ("PutBucketAccelerateConfiguration", "PUT", "accelerate", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>", "s3:PutAccelerateConfiguration"),
    ("PutBucketAcl", "PUT", "acl", "", "s3:PutBucketAcl"),
    ("PutBucketCors", "PUT", "cors", "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>", "s3:PutBucketCORS"),
    ("PutBucketEncryption", "PUT", "encryption", "<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>", "s3:PutEncryptionConfiguration"),
    ("PutBucketLifecycleConfiguration", "PUT", "lifecycle", "<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>", "s3:PutLifecycleConfiguration"),
    ("PutBucketLogging", "PUT", "logging", "<BucketLoggingStatus/>", "s3:PutBucketLogging"),
    ("PutBucketNotificationConfiguration", "PUT", "notification", "<NotificationConfiguration/>", "s3:PutBucketNotification"),
    ("PutBucketOwnershipControls", "PUT", "ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>", "s3:PutBucketOwnershipControls"),
    ("PutBucketPolicy", "PUT", "policy", "{}", "s3:PutBucketPolicy"),
    ("PutBucketReplication", "PUT", "replication", "<ReplicationConfiguration><Role>a</Role><Rule><Status>Enabled</Status><Destination><Bucket>b</Bucket></Destination></Rule></ReplicationConfiguration>", "s3:PutReplicationConfiguration"),
    ("PutBucketRequestPayment", "PUT", "requestPayment", "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>", "s3:PutBucketRequestPayment"),
    ("PutBucketTagging", "PUT", "tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>", "s3:PutBucketTagging"),
    ("PutBucketVersioning", "PUT", "versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "s3:PutBucketVersioning"),
    ("PutBucketWebsite", "PUT", "website", "<WebsiteConfiguration/>", "s3:PutBucketWebsite"),
    ("PutObjectLockConfiguration", "PUT", "object-lock", "<ObjectLockConfiguration/>", "s3:PutBucketObjectLockConfiguration"),
    ("PutPublicAccessBlock", "PUT", "publicAccessBlock", "<PublicAccessBlockConfiguration/>", "s3:PutBucketPublicAccessBlock"),
];

#[tokio::test]
async fn each_setting_is_decided_by_its_own_action_and_denied_it_stays() {
    for (name, method, query, body, action) in TABLE {
        let server = Server::with_bucket().await;
        let before = server.buckets.get("my-bucket").unwrap();
        let uri = format!("/my-bucket?{query}");
        let script = Script::new(move |target| target.action != *action);
        let answer = server.call(&script, method, &uri, body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::FORBIDDEN, "AccessDenied"),
            "{name}"
        );
        assert_eq!(script.questions(), [(*action, "arn:aws:s3:::my-bucket".to_owned())]);
        assert_eq!(server.buckets.get("my-bucket").unwrap(), before, "{name}");
        // Asked and allowed, it is this operation and no other question.
        let script = Script::only(&[]);
        let all = Script::all();
        let answer = server.call(&all, method, &uri, body).await;
        assert_eq!(answer.outcome.operation.unwrap().name, *name);
        assert_eq!(all.questions(), [(*action, "arn:aws:s3:::my-bucket".to_owned())]);
        assert_ne!(answer.code(), "AccessDenied", "{name}");
        assert_ne!(answer.code(), "InternalError", "{name}: {}", answer.text);
        // What somebody else expects to own is not touched.
        let other = request(method, &uri, &[("x-amz-expected-bucket-owner", "444455556666")], body);
        let answer = server.send(&script, other).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "AccessDenied"));
        assert_eq!(script.questions(), []);
        let missing = server.call(&all, method, &format!("/no-bucket?{query}"), body).await;
        assert_eq!(missing.code(), "NoSuchBucket", "{name}");
    }
}

#[tokio::test]
async fn documents_that_did_not_arrive_as_they_were_sent_change_nothing() {
    for (name, method, query, body, _) in TABLE {
        if *method != "PUT" || body.is_empty() {
            continue;
        }
        let server = Server::with_bucket().await;
        let before = server.buckets.get("my-bucket").unwrap();
        let uri = format!("/my-bucket?{query}");
        let wrong = request(method, &uri, &[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], body);
        server.send(&Script::all(), wrong).await;
        assert_eq!(server.buckets.get("my-bucket").unwrap(), before, "{name}");
    }
}
