//! Operations on the settings of buckets. Those that we do not do are here too: they are decided and recorded before they are refused.
//!
//! Names of events: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html>.

use super::{Marker, Operation, ResourceKind, Values};

/// Rows: method, name, event, action, parameter of the query, and headers that the operation takes.
macro_rules! rows {
    ($($method:literal $name:literal $event:literal $action:literal $parameter:literal [$($header:literal)*];)*) => {
        &[$(Operation {
            name: $name,
            method: $method,
            markers: &[Marker::Query($parameter)],
            event_name: $event,
            action: $action,
            resource: ResourceKind::Bucket,
            read_only: matches!($method.as_bytes(), b"GET"),
            data_event: false,
            object_body: false,
            query: &[$parameter],
            headers: &[$(($header, Values::Any)),*],
            conditions: &[],
        }),*]
    };
}

/// What a browser asks before it sends a page's request. It has no action and is no row of the table: nobody is authorized for it, and it
/// reaches nothing but the rules that it is about.
pub(crate) static PREFLIGHT: Operation = Operation {
    name: "PreflightRequest",
    method: "OPTIONS",
    markers: &[],
    event_name: "PreflightRequest",
    action: "",
    resource: ResourceKind::Bucket,
    read_only: true,
    data_event: true,
    object_body: false,
    query: &[],
    headers: &[],
    conditions: &[],
};

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = rows! {
    "DELETE" "DeleteBucketCors" "DeleteBucketCors" "s3:PutBucketCORS" "cors" [];
    "DELETE" "DeleteBucketEncryption" "DeleteBucketEncryption" "s3:PutEncryptionConfiguration" "encryption" [];
    "DELETE" "DeleteBucketLifecycle" "DeleteBucketLifecycle" "s3:PutLifecycleConfiguration" "lifecycle" [];
    "DELETE" "DeleteBucketOwnershipControls" "DeleteBucketOwnershipControls" "s3:PutBucketOwnershipControls" "ownershipControls" [];
    "DELETE" "DeleteBucketPolicy" "DeleteBucketPolicy" "s3:DeleteBucketPolicy" "policy" [];
    "DELETE" "DeleteBucketReplication" "DeleteBucketReplication" "s3:PutReplicationConfiguration" "replication" [];
    "DELETE" "DeleteBucketTagging" "DeleteBucketTagging" "s3:PutBucketTagging" "tagging" [];
    "DELETE" "DeleteBucketWebsite" "DeleteBucketWebsite" "s3:DeleteBucketWebsite" "website" [];
    "DELETE" "DeletePublicAccessBlock" "DeleteBucketPublicAccessBlock" "s3:PutBucketPublicAccessBlock" "publicAccessBlock" [];
    "GET" "GetBucketAccelerateConfiguration" "GetAccelerateConfiguration" "s3:GetAccelerateConfiguration" "accelerate" [];
    "GET" "GetBucketAcl" "GetBucketAcl" "s3:GetBucketAcl" "acl" [];
    "GET" "GetBucketCors" "GetBucketCors" "s3:GetBucketCORS" "cors" [];
    "GET" "GetBucketEncryption" "GetBucketEncryption" "s3:GetEncryptionConfiguration" "encryption" [];
    "GET" "GetBucketLifecycleConfiguration" "GetBucketLifecycle" "s3:GetLifecycleConfiguration" "lifecycle" [];
    "GET" "GetBucketLogging" "GetBucketLogging" "s3:GetBucketLogging" "logging" [];
    "GET" "GetBucketNotificationConfiguration" "GetBucketNotification" "s3:GetBucketNotification" "notification" [];
    "GET" "GetBucketOwnershipControls" "GetBucketOwnershipControls" "s3:GetBucketOwnershipControls" "ownershipControls" [];
    "GET" "GetBucketPolicy" "GetBucketPolicy" "s3:GetBucketPolicy" "policy" [];
    "GET" "GetBucketPolicyStatus" "GetBucketPolicyStatus" "s3:GetBucketPolicyStatus" "policyStatus" [];
    "GET" "GetBucketReplication" "GetBucketReplication" "s3:GetReplicationConfiguration" "replication" [];
    "GET" "GetBucketRequestPayment" "GetBucketRequestPayment" "s3:GetBucketRequestPayment" "requestPayment" [];
    "GET" "GetBucketTagging" "GetBucketTagging" "s3:GetBucketTagging" "tagging" [];
    "GET" "GetBucketVersioning" "GetBucketVersioning" "s3:GetBucketVersioning" "versioning" [];
    "GET" "GetBucketWebsite" "GetBucketWebsite" "s3:GetBucketWebsite" "website" [];
    "GET" "GetObjectLockConfiguration" "GetBucketObjectLockConfiguration" "s3:GetBucketObjectLockConfiguration" "object-lock" [];
    "GET" "GetPublicAccessBlock" "GetBucketPublicAccessBlock" "s3:GetBucketPublicAccessBlock" "publicAccessBlock" [];
    "PUT" "PutBucketAccelerateConfiguration" "PutAccelerateConfiguration" "s3:PutAccelerateConfiguration" "accelerate" [];
    "PUT" "PutBucketAcl" "PutBucketAcl" "s3:PutBucketAcl" "acl" [
        "x-amz-acl" "x-amz-grant-full-control" "x-amz-grant-read" "x-amz-grant-read-acp" "x-amz-grant-write" "x-amz-grant-write-acp"];
    "PUT" "PutBucketCors" "PutBucketCors" "s3:PutBucketCORS" "cors" [];
    "PUT" "PutBucketEncryption" "PutBucketEncryption" "s3:PutEncryptionConfiguration" "encryption" [];
    "PUT" "PutBucketLifecycleConfiguration" "PutBucketLifecycle" "s3:PutLifecycleConfiguration" "lifecycle" [
        "x-amz-transition-default-minimum-object-size"];
    "PUT" "PutBucketLogging" "PutBucketLogging" "s3:PutBucketLogging" "logging" [];
    "PUT" "PutBucketNotificationConfiguration" "PutBucketNotification" "s3:PutBucketNotification" "notification" [
        "x-amz-skip-destination-validation"];
    "PUT" "PutBucketOwnershipControls" "PutBucketOwnershipControls" "s3:PutBucketOwnershipControls" "ownershipControls" [];
    "PUT" "PutBucketPolicy" "PutBucketPolicy" "s3:PutBucketPolicy" "policy" ["x-amz-confirm-remove-self-bucket-access"];
    "PUT" "PutBucketReplication" "PutBucketReplication" "s3:PutReplicationConfiguration" "replication" ["x-amz-bucket-object-lock-token"];
    "PUT" "PutBucketRequestPayment" "PutBucketRequestPayment" "s3:PutBucketRequestPayment" "requestPayment" [];
    "PUT" "PutBucketTagging" "PutBucketTagging" "s3:PutBucketTagging" "tagging" [];
    "PUT" "PutBucketVersioning" "PutBucketVersioning" "s3:PutBucketVersioning" "versioning" ["x-amz-mfa"];
    "PUT" "PutBucketWebsite" "PutBucketWebsite" "s3:PutBucketWebsite" "website" [];
    "PUT" "PutObjectLockConfiguration" "PutBucketObjectLockConfiguration" "s3:PutBucketObjectLockConfiguration" "object-lock" [
        "x-amz-bucket-object-lock-token"];
    "PUT" "PutPublicAccessBlock" "PutBucketPublicAccessBlock" "s3:PutBucketPublicAccessBlock" "publicAccessBlock" [];
};
