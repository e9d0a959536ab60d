//! Versions of objects. Operations that take a version beside other things are where those things are.

use super::{Marker, Operation, ResourceKind, Source};

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "ListObjectVersions",
    method: "GET",
    markers: &[Marker::Query("versions")],
    event_name: "ListObjectVersions",
    action: "s3:ListBucketVersions",
    resource: ResourceKind::Bucket,
    read_only: true,
    data_event: true,
    object_body: false,
    query: &[
        "versions",
        "prefix",
        "delimiter",
        "key-marker",
        "version-id-marker",
        "max-keys",
        "encoding-type",
    ],
    headers: &[],
    conditions: &[
        ("s3:prefix", Source::Query("prefix")),
        ("s3:delimiter", Source::Query("delimiter")),
        ("s3:max-keys", Source::Query("max-keys")),
    ],
}];
