//! Each operation, and what it asks.

const DELETE_TWO: &str = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";

/// Name, method, target, headers, body, and what must be asked.
pub(super) type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Each operation with a request that is it, and what it must ask: adversarial case PE-27.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(VERSIONS).chain(SETTINGS)
}

const TABLE: &[Row] = &[
    (
        "GetObjectAcl",
        "GET",
        "/my-bucket/a/b?acl",
        &[],
        "",
        &[("s3:GetObjectAcl", "arn:aws:s3:::my-bucket/a/b")],
    ),
    (
        "GetObjectAcl",
        "GET",
        "/my-bucket/a/b?acl&versionId=null",
        &[],
        "",
        &[("s3:GetObjectVersionAcl", "arn:aws:s3:::my-bucket/a/b")],
    ),
    (
        "PutObjectAcl",
        "PUT",
        "/my-bucket/a/b?acl",
        &[("x-amz-acl", "bucket-owner-full-control")],
        "",
        &[("s3:PutObjectAcl", "arn:aws:s3:::my-bucket/a/b")],
    ),
    (
        "ListBuckets",
        "GET",
        "/",
        &[],
        "",
        &[("s3:ListAllMyBuckets", "arn:aws:s3:::*")],
    ),
    (
        "CreateBucket",
        "PUT",
        "/new-bucket",
        &[],
        "",
        &[("s3:CreateBucket", "arn:aws:s3:::new-bucket")],
    ),
    (
        "HeadBucket",
        "HEAD",
        "/my-bucket",
        &[],
        "",
        &[("s3:ListBucket", "arn:aws:s3:::my-bucket")],
    ),
    (
        "DeleteBucket",
        "DELETE",
        "/my-bucket",
        &[],
        "",
        &[("s3:DeleteBucket", "arn:aws:s3:::my-bucket")],
    ),
    (
        "GetBucketLocation",
        "GET",
        "/my-bucket?location",
        &[],
        "",
        &[("s3:GetBucketLocation", "arn:aws:s3:::my-bucket")],
    ),
    (
        "ListObjects",
        "GET",
        "/my-bucket?prefix=a",
        &[],
        "",
        &[("s3:ListBucket", "arn:aws:s3:::my-bucket")],
    ),
    (
        "ListObjectsV2",
        "GET",
        "/my-bucket?list-type=2",
        &[],
        "",
        &[("s3:ListBucket", "arn:aws:s3:::my-bucket")],
    ),
    (
        "GetObject",
        "GET",
        "/my-bucket/a/b?x-id=GetObject",
        &[],
        "",
        &[("s3:GetObject", "arn:aws:s3:::my-bucket/a/b")],
    ),
    (
        "HeadObject",
        "HEAD",
        "/my-bucket/a",
        &[],
        "",
        &[("s3:GetObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "PutObject",
        "PUT",
        "/my-bucket/a",
        &[],
        "x",
        &[("s3:PutObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "PutObject",
        "PUT",
        "/my-bucket/a",
        &[("x-amz-acl", "bucket-owner-full-control")],
        "x",
        &[
            ("s3:PutObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:PutObjectAcl", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "CopyObject",
        "PUT",
        "/my-bucket/to",
        &[("x-amz-copy-source", "/my-bucket/from%20here")],
        "",
        &[
            ("s3:GetObject", "arn:aws:s3:::my-bucket/from here"),
            ("s3:PutObject", "arn:aws:s3:::my-bucket/to"),
        ],
    ),
    (
        "DeleteObject",
        "DELETE",
        "/my-bucket/a",
        &[],
        "",
        &[("s3:DeleteObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "DeleteObjects",
        "POST",
        "/my-bucket?delete",
        &[],
        DELETE_TWO,
        &[
            ("s3:DeleteObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:DeleteObject", "arn:aws:s3:::my-bucket/b"),
        ],
    ),
    (
        "CreateMultipartUpload",
        "POST",
        "/my-bucket/a?uploads",
        &[],
        "",
        &[("s3:PutObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "CreateMultipartUpload",
        "POST",
        "/my-bucket/a?uploads",
        &[("x-amz-acl", "bucket-owner-full-control")],
        "",
        &[
            ("s3:PutObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:PutObjectAcl", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "UploadPart",
        "PUT",
        "/my-bucket/a?partNumber=1&uploadId=0",
        &[],
        "x",
        &[("s3:PutObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "UploadPartCopy",
        "PUT",
        "/my-bucket/to?partNumber=1&uploadId=0",
        &[
            ("x-amz-copy-source", "/my-bucket/from%20here"),
            ("x-amz-copy-source-range", "bytes=0-1"),
        ],
        "",
        &[
            ("s3:GetObject", "arn:aws:s3:::my-bucket/from here"),
            ("s3:PutObject", "arn:aws:s3:::my-bucket/to"),
        ],
    ),
    (
        "CompleteMultipartUpload",
        "POST",
        "/my-bucket/a?uploadId=0",
        &[],
        COMPLETE,
        &[("s3:PutObject", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "CompleteMultipartUpload",
        "POST",
        "/my-bucket/a?uploadId=0",
        &[("if-match", "\"0\"")],
        COMPLETE,
        &[
            ("s3:PutObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:GetObject", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "AbortMultipartUpload",
        "DELETE",
        "/my-bucket/a?uploadId=0",
        &[],
        "",
        &[("s3:AbortMultipartUpload", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "ListParts",
        "GET",
        "/my-bucket/a?uploadId=0",
        &[],
        "",
        &[("s3:ListMultipartUploadParts", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "PutObject",
        "PUT",
        "/my-bucket/a",
        &[("x-amz-tagging", "team=blue")],
        "x",
        &[
            ("s3:PutObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:PutObjectTagging", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "CreateMultipartUpload",
        "POST",
        "/my-bucket/a?uploads",
        &[("x-amz-tagging", "team=blue")],
        "",
        &[
            ("s3:PutObject", "arn:aws:s3:::my-bucket/a"),
            ("s3:PutObjectTagging", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "CopyObject",
        "PUT",
        "/my-bucket/to",
        &[
            ("x-amz-copy-source", "/my-bucket/from%20here"),
            ("x-amz-tagging-directive", "REPLACE"),
            ("x-amz-tagging", "team=blue"),
        ],
        "",
        &[
            ("s3:GetObject", "arn:aws:s3:::my-bucket/from here"),
            ("s3:PutObject", "arn:aws:s3:::my-bucket/to"),
            ("s3:PutObjectTagging", "arn:aws:s3:::my-bucket/to"),
        ],
    ),
    (
        "GetObjectAttributes",
        "GET",
        "/my-bucket/a?attributes",
        &[("x-amz-object-attributes", "ETag")],
        "",
        &[
            ("s3:GetObjectAttributes", "arn:aws:s3:::my-bucket/a"),
            ("s3:GetObject", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "GetObjectTagging",
        "GET",
        "/my-bucket/a?tagging",
        &[],
        "",
        &[("s3:GetObjectTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "PutObjectTagging",
        "PUT",
        "/my-bucket/a?tagging",
        &[],
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        &[("s3:PutObjectTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "DeleteObjectTagging",
        "DELETE",
        "/my-bucket/a?tagging",
        &[],
        "",
        &[("s3:DeleteObjectTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "ListMultipartUploads",
        "GET",
        "/my-bucket?uploads",
        &[],
        "",
        &[("s3:ListBucketMultipartUploads", "arn:aws:s3:::my-bucket")],
    ),
];

const COMPLETE: &str =
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>0</ETag></Part></CompleteMultipartUpload>";

/// A version that is named is another thing than the object: adversarial case S3-06.
const VERSIONS: &[Row] = &[
    (
        "ListObjectVersions",
        "GET",
        "/my-bucket?versions",
        &[],
        "",
        &[("s3:ListBucketVersions", "arn:aws:s3:::my-bucket")],
    ),
    (
        "GetObject",
        "GET",
        "/my-bucket/a?versionId=null",
        &[],
        "",
        &[("s3:GetObjectVersion", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "HeadObject",
        "HEAD",
        "/my-bucket/a?versionId=null",
        &[],
        "",
        &[("s3:GetObjectVersion", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "DeleteObject",
        "DELETE",
        "/my-bucket/a?versionId=null",
        &[],
        "",
        &[("s3:DeleteObjectVersion", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "DeleteObject",
        "DELETE",
        "/my-bucket/a?versionId=null",
        &[("if-match", "\"0\"")],
        "",
        &[
            ("s3:DeleteObjectVersion", "arn:aws:s3:::my-bucket/a"),
            ("s3:GetObject", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "DeleteObjects",
        "POST",
        "/my-bucket?delete",
        &[],
        DELETE_TWO_KINDS,
        &[
            ("s3:DeleteObjectVersion", "arn:aws:s3:::my-bucket/a"),
            ("s3:DeleteObject", "arn:aws:s3:::my-bucket/b"),
        ],
    ),
    (
        "GetObjectAttributes",
        "GET",
        "/my-bucket/a?attributes&versionId=null",
        &[("x-amz-object-attributes", "ETag")],
        "",
        &[
            ("s3:GetObjectVersionAttributes", "arn:aws:s3:::my-bucket/a"),
            ("s3:GetObjectVersion", "arn:aws:s3:::my-bucket/a"),
        ],
    ),
    (
        "GetObjectTagging",
        "GET",
        "/my-bucket/a?tagging&versionId=null",
        &[],
        "",
        &[("s3:GetObjectVersionTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "PutObjectTagging",
        "PUT",
        "/my-bucket/a?tagging&versionId=null",
        &[],
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        &[("s3:PutObjectVersionTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "DeleteObjectTagging",
        "DELETE",
        "/my-bucket/a?tagging&versionId=null",
        &[],
        "",
        &[("s3:DeleteObjectVersionTagging", "arn:aws:s3:::my-bucket/a")],
    ),
    (
        "CopyObject",
        "PUT",
        "/my-bucket/to",
        &[("x-amz-copy-source", "/my-bucket/from%20here?versionId=null")],
        "",
        &[
            ("s3:GetObjectVersion", "arn:aws:s3:::my-bucket/from here"),
            ("s3:PutObject", "arn:aws:s3:::my-bucket/to"),
        ],
    ),
    (
        "UploadPartCopy",
        "PUT",
        "/my-bucket/to?partNumber=1&uploadId=0",
        &[("x-amz-copy-source", "/my-bucket/from%20here?versionId=null")],
        "",
        &[
            ("s3:GetObjectVersion", "arn:aws:s3:::my-bucket/from here"),
            ("s3:PutObject", "arn:aws:s3:::my-bucket/to"),
        ],
    ),
];

const DELETE_TWO_KINDS: &str =
    "<Delete><Object><Key>a</Key><VersionId>null</VersionId></Object><Object><Key>b</Key></Object></Delete>";

const SETTINGS: &[Row] = &[
    (
        "GetBucketVersioning",
        "GET",
        "/my-bucket?versioning",
        &[],
        "",
        &[("s3:GetBucketVersioning", "arn:aws:s3:::my-bucket")],
    ),
    (
        "PutBucketVersioning",
        "PUT",
        "/my-bucket?versioning",
        &[],
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        &[("s3:PutBucketVersioning", "arn:aws:s3:::my-bucket")],
    ),
];
