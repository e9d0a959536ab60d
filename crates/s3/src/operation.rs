//! The table: which action on which resource, under which condition keys, each operation is.
//!
//! Actions and condition keys: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>.
//! Required permissions: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>.

/// One operation of the S3 API as we enforce it. What has no entry is refused, and so is a query parameter or an `x-amz-` header that
/// the entry does not name: it would ask for something that we do not do.
#[derive(Debug)]
pub struct Operation {
    /// The name in the API model, such as `ListObjectsV2`.
    pub name: &'static str,
    /// The name in CloudTrail, such as `ListObjects`.
    pub event_name: &'static str,
    /// The IAM action that must be allowed on the resource.
    pub action: &'static str,
    /// What the action is asked for.
    pub resource: ResourceKind,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// Whether CloudTrail has it among the data events; else among the management events.
    pub data_event: bool,
    /// Whether its body is the content of an object; else it is a document, and a short one.
    pub(crate) object_body: bool,
    /// Query parameters that it takes.
    pub(crate) query: &'static [&'static str],
    /// `x-amz-` headers that it takes besides those of every request.
    pub(crate) headers: &'static [(&'static str, Values)],
    /// Condition keys of the operation, and where their values are.
    pub(crate) conditions: &'static [(&'static str, Source)],
}

/// What an operation's action is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceKind {
    /// All of S3: `arn:aws:s3:::*`.
    Service,
    /// A bucket that must not exist yet; decided when the body, which holds condition values, is known.
    NewBucket,
    /// The bucket of the path.
    Bucket,
    /// The object of the path.
    Object,
    /// The object of the path, and before it `s3:GetObject` on the object that `x-amz-copy-source` names.
    Copy,
    /// Each object that the body names, one by one.
    Keys,
    /// The object of the path; decided when the body, which holds the tags, is known.
    Tagged,
}

/// Values of a header that we can honour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    Any,
    /// One of these; else this error code and message.
    Only(&'static [&'static str], &'static str, &'static str),
}

/// Where the value of a condition key is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Query(&'static str),
    Header(&'static str),
    Constant(&'static str),
}

/// The entry of an operation by its name in the API model.
pub(crate) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// `x-amz-` headers that any request may have: they are part of authentication, of integrity, or only tell about the client.
pub(crate) const COMMON_HEADERS: [&str; 18] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",
    "x-amz-user-agent",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-optional-object-attributes",
];

/// The text of S3's `NotImplemented` for a header.
pub(crate) const NOT_IMPLEMENTED: &str = "A header you provided implies functionality that is not implemented";

const NO_ACL: Values = Values::Only(
    &["bucket-owner-full-control"],
    "AccessControlListNotSupported",
    "The bucket does not allow ACLs",
);
const STANDARD: Values = Values::Only(
    &["STANDARD"],
    "InvalidStorageClass",
    "The storage class you specified is not valid",
);
const LIST_CONDITIONS: &[(&str, Source)] = &[
    ("s3:prefix", Source::Query("prefix")),
    ("s3:delimiter", Source::Query("delimiter")),
    ("s3:max-keys", Source::Query("max-keys")),
];
const READ_QUERY: &[&str] = &[
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
/// Of what only prepares an object.
const UPLOAD_CONDITIONS: &[(&str, Source)] = &[
    ("s3:x-amz-acl", Source::Header("x-amz-acl")),
    ("s3:x-amz-storage-class", Source::Header("x-amz-storage-class")),
    ("s3:x-amz-copy-source", Source::Header("x-amz-copy-source")),
    ("s3:ObjectCreationOperation", Source::Constant("false")),
];
const WRITE_CONDITIONS: &[(&str, Source)] = &[
    ("s3:x-amz-acl", Source::Header("x-amz-acl")),
    ("s3:x-amz-storage-class", Source::Header("x-amz-storage-class")),
    ("s3:x-amz-copy-source", Source::Header("x-amz-copy-source")),
    (
        "s3:x-amz-metadata-directive",
        Source::Header("x-amz-metadata-directive"),
    ),
    ("s3:if-match", Source::Header("if-match")),
    ("s3:if-none-match", Source::Header("if-none-match")),
    ("s3:ObjectCreationOperation", Source::Constant("true")),
];

/// All operations that we answer.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "ListBuckets",
        event_name: "ListBuckets",
        action: "s3:ListAllMyBuckets",
        resource: ResourceKind::Service,
        read_only: true,
        data_event: false,
        object_body: false,
        query: &["max-buckets", "continuation-token", "prefix", "bucket-region"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "CreateBucket",
        event_name: "CreateBucket",
        action: "s3:CreateBucket",
        resource: ResourceKind::NewBucket,
        read_only: false,
        data_event: false,
        object_body: false,
        query: &[],
        headers: &[
            (
                "x-amz-acl",
                Values::Only(
                    &["private"],
                    "InvalidBucketAclWithObjectOwnership",
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
                ),
            ),
            (
                "x-amz-object-ownership",
                Values::Only(&["BucketOwnerEnforced"], "NotImplemented", NOT_IMPLEMENTED),
            ),
            (
                "x-amz-bucket-object-lock-enabled",
                Values::Only(&["false", "False"], "NotImplemented", NOT_IMPLEMENTED),
            ),
        ],
        conditions: &[
            ("s3:x-amz-acl", Source::Header("x-amz-acl")),
            ("s3:x-amz-object-ownership", Source::Header("x-amz-object-ownership")),
        ],
    },
    Operation {
        name: "HeadBucket",
        event_name: "HeadBucket",
        action: "s3:ListBucket",
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &[],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "DeleteBucket",
        event_name: "DeleteBucket",
        action: "s3:DeleteBucket",
        resource: ResourceKind::Bucket,
        read_only: false,
        data_event: false,
        object_body: false,
        query: &[],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "GetBucketLocation",
        event_name: "GetBucketLocation",
        action: "s3:GetBucketLocation",
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: false,
        object_body: false,
        query: &["location"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "ListObjects",
        event_name: "ListObjects",
        action: "s3:ListBucket",
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &["prefix", "delimiter", "max-keys", "marker", "encoding-type"],
        headers: &[],
        conditions: LIST_CONDITIONS,
    },
    Operation {
        name: "ListObjectsV2",
        event_name: "ListObjects",
        action: "s3:ListBucket",
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &[
            "list-type",
            "prefix",
            "delimiter",
            "max-keys",
            "start-after",
            "continuation-token",
            "encoding-type",
            "fetch-owner",
        ],
        headers: &[],
        conditions: LIST_CONDITIONS,
    },
    Operation {
        name: "GetObject",
        event_name: "GetObject",
        action: "s3:GetObject",
        resource: ResourceKind::Object,
        read_only: true,
        data_event: true,
        object_body: false,
        query: READ_QUERY,
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "HeadObject",
        event_name: "HeadObject",
        action: "s3:GetObject",
        resource: ResourceKind::Object,
        read_only: true,
        data_event: true,
        object_body: false,
        query: READ_QUERY,
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "PutObject",
        event_name: "PutObject",
        action: "s3:PutObject",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: true,
        query: &[],
        headers: &[
            ("x-amz-acl", NO_ACL),
            ("x-amz-storage-class", STANDARD),
            ("x-amz-tagging", Values::Any),
        ],
        conditions: WRITE_CONDITIONS,
    },
    Operation {
        name: "CopyObject",
        event_name: "CopyObject",
        action: "s3:PutObject",
        resource: ResourceKind::Copy,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &[],
        headers: &[
            ("x-amz-acl", NO_ACL),
            ("x-amz-storage-class", STANDARD),
            ("x-amz-copy-source", Values::Any),
            ("x-amz-copy-source-if-match", Values::Any),
            ("x-amz-copy-source-if-none-match", Values::Any),
            ("x-amz-copy-source-if-modified-since", Values::Any),
            ("x-amz-copy-source-if-unmodified-since", Values::Any),
            ("x-amz-metadata-directive", Values::Any),
            ("x-amz-tagging", Values::Any),
            ("x-amz-tagging-directive", Values::Any),
            ("x-amz-source-expected-bucket-owner", Values::Any),
        ],
        conditions: WRITE_CONDITIONS,
    },
    Operation {
        name: "DeleteObject",
        event_name: "DeleteObject",
        action: "s3:DeleteObject",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &[],
        headers: &[],
        conditions: &[("s3:if-match", Source::Header("if-match"))],
    },
    Operation {
        name: "DeleteObjects",
        event_name: "DeleteObjects",
        action: "s3:DeleteObject",
        resource: ResourceKind::Keys,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["delete"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "CreateMultipartUpload",
        event_name: "CreateMultipartUpload",
        action: "s3:PutObject",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["uploads"],
        headers: &[
            ("x-amz-acl", NO_ACL),
            ("x-amz-storage-class", STANDARD),
            ("x-amz-tagging", Values::Any),
        ],
        conditions: UPLOAD_CONDITIONS,
    },
    Operation {
        name: "UploadPart",
        event_name: "UploadPart",
        action: "s3:PutObject",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: true,
        query: &["partNumber", "uploadId"],
        headers: &[],
        conditions: UPLOAD_CONDITIONS,
    },
    Operation {
        name: "UploadPartCopy",
        event_name: "UploadPartCopy",
        action: "s3:PutObject",
        resource: ResourceKind::Copy,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["partNumber", "uploadId"],
        headers: &[
            ("x-amz-copy-source", Values::Any),
            ("x-amz-copy-source-range", Values::Any),
            ("x-amz-copy-source-if-match", Values::Any),
            ("x-amz-copy-source-if-none-match", Values::Any),
            ("x-amz-copy-source-if-modified-since", Values::Any),
            ("x-amz-copy-source-if-unmodified-since", Values::Any),
            ("x-amz-source-expected-bucket-owner", Values::Any),
        ],
        conditions: UPLOAD_CONDITIONS,
    },
    Operation {
        name: "CompleteMultipartUpload",
        event_name: "CompleteMultipartUpload",
        action: "s3:PutObject",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["uploadId"],
        headers: &[("x-amz-mp-object-size", Values::Any)],
        conditions: &[
            ("s3:if-match", Source::Header("if-match")),
            ("s3:if-none-match", Source::Header("if-none-match")),
            ("s3:ObjectCreationOperation", Source::Constant("true")),
        ],
    },
    Operation {
        name: "AbortMultipartUpload",
        event_name: "AbortMultipartUpload",
        action: "s3:AbortMultipartUpload",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["uploadId"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "ListParts",
        event_name: "ListParts",
        action: "s3:ListMultipartUploadParts",
        resource: ResourceKind::Object,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &["uploadId", "max-parts", "part-number-marker"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "GetObjectAttributes",
        event_name: "GetObjectAttributes",
        action: "s3:GetObjectAttributes",
        resource: ResourceKind::Object,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &["attributes"],
        headers: &[
            ("x-amz-object-attributes", Values::Any),
            ("x-amz-max-parts", Values::Any),
            ("x-amz-part-number-marker", Values::Any),
        ],
        conditions: &[],
    },
    Operation {
        name: "GetObjectTagging",
        event_name: "GetObjectTagging",
        action: "s3:GetObjectTagging",
        resource: ResourceKind::Object,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &["tagging"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "PutObjectTagging",
        event_name: "PutObjectTagging",
        action: "s3:PutObjectTagging",
        resource: ResourceKind::Tagged,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["tagging"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "DeleteObjectTagging",
        event_name: "DeleteObjectTagging",
        action: "s3:DeleteObjectTagging",
        resource: ResourceKind::Object,
        read_only: false,
        data_event: true,
        object_body: false,
        query: &["tagging"],
        headers: &[],
        conditions: &[],
    },
    Operation {
        name: "ListMultipartUploads",
        event_name: "ListMultipartUploads",
        action: "s3:ListBucketMultipartUploads",
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: true,
        object_body: false,
        query: &[
            "uploads",
            "prefix",
            "delimiter",
            "key-marker",
            "upload-id-marker",
            "max-uploads",
            "encoding-type",
        ],
        headers: &[],
        conditions: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_an_operation_and_no_empty_action() {
        let mut names: Vec<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for operation in OPERATIONS {
            assert!(
                operation.action.starts_with("s3:") && operation.action.len() > 3,
                "{}",
                operation.name
            );
        }
    }
}
