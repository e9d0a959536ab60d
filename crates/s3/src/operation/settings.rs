//! Operations on the settings of buckets.

use super::{Marker, Operation, ResourceKind, Values};

pub(super) const OPERATIONS: &[Operation] = &[
    read(
        "GetBucketVersioning",
        "s3:GetBucketVersioning",
        &["versioning"],
        &[Marker::Query("versioning")],
    ),
    Operation {
        headers: &[("x-amz-mfa", Values::Any)],
        ..write(
            "PutBucketVersioning",
            "s3:PutBucketVersioning",
            &["versioning"],
            &[Marker::Query("versioning")],
        )
    },
];

const fn read(
    name: &'static str,
    action: &'static str,
    query: &'static [&'static str],
    markers: &'static [Marker],
) -> Operation {
    Operation {
        name,
        method: "GET",
        markers,
        event_name: name,
        action,
        resource: ResourceKind::Bucket,
        read_only: true,
        data_event: false,
        object_body: false,
        query,
        headers: &[],
        conditions: &[],
    }
}

const fn write(
    name: &'static str,
    action: &'static str,
    query: &'static [&'static str],
    markers: &'static [Marker],
) -> Operation {
    Operation {
        method: "PUT",
        read_only: false,
        ..read(name, action, query, markers)
    }
}
