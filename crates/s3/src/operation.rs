//! The table: which action on which resource, under which condition keys, each operation is.
//!
//! Actions and condition keys: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>.
//! Required permissions: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>.

mod buckets;
mod objects;
mod settings;
mod uploads;
mod versions;

/// One operation of the S3 API as we enforce it. What has no entry is refused, and so is a query parameter or an `x-amz-` header that
/// the entry does not name: it would ask for something that we do not do.
#[derive(Debug)]
pub struct Operation {
    /// The name in the API model, such as `ListObjectsV2`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// What tells it from other operations with this method on this kind of thing. Of two operations whose markers are all there, the one
    /// with more of them is meant.
    pub markers: &'static [Marker],
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
    pub object_body: bool,
    /// Query parameters that it takes.
    pub(crate) query: &'static [&'static str],
    /// `x-amz-` headers that it takes besides those of every request.
    pub(crate) headers: &'static [(&'static str, Values)],
    /// Condition keys of the operation, and where their values are.
    pub(crate) conditions: &'static [(&'static str, Source)],
}

impl Operation {
    /// The parameter of the query that names a setting of a bucket, such as `policy`; `None` for all other operations.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        settings::OPERATIONS
            .iter()
            .find(|row| row.name == self.name)
            .and_then(|row| row.query.first().copied())
    }
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

/// A part of a request that tells which operation it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marker {
    /// A query parameter, whatever its value.
    Query(&'static str),
    /// A query parameter with this value.
    QueryIs(&'static str, &'static str),
    /// A header.
    Header(&'static str),
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
    operations().find(|operation| operation.name == name)
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

const TABLES: [&[Operation]; 5] = [
    buckets::OPERATIONS,
    objects::OPERATIONS,
    settings::OPERATIONS,
    uploads::OPERATIONS,
    versions::OPERATIONS,
];

pub(crate) use settings::PREFLIGHT;

/// All operations that we answer.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    TABLES.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_an_operation_and_no_empty_action() {
        let mut names: Vec<_> = operations().map(|operation| operation.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for operation in operations() {
            assert!(
                operation.action.starts_with("s3:") && operation.action.len() > 3,
                "{}",
                operation.name
            );
        }
    }
}
