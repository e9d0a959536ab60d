//! Which operation a request is, and which bucket and object it names: told from its head alone, and as `s3s` tells it.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, Uri, Version, header};
use percent_encoding::percent_decode_str;
use s3s::S3Result;
use s3s::path::{ParseS3PathError, S3Path, parse_virtual_hosted_style};

use crate::access::error;
use crate::operation::{COMMON_HEADERS, Marker, NOT_IMPLEMENTED, Operation, ResourceKind, Values, operations};

/// Bucket and key of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The bucket of the path or of the host name.
    pub bucket: Option<String>,
    /// The key, decoded.
    pub key: Option<String>,
}

impl Place {
    pub(crate) fn of(path: &S3Path) -> Self {
        Self {
            bucket: path.get_bucket_name().map(str::to_owned),
            key: path.get_object_key().map(str::to_owned),
        }
    }

    /// Whether operations on this kind of resource are about such a place.
    fn is_of(&self, resource: ResourceKind) -> bool {
        match resource {
            ResourceKind::Service => self.bucket.is_none(),
            ResourceKind::NewBucket | ResourceKind::Bucket | ResourceKind::Keys => {
                self.bucket.is_some() && self.key.is_none()
            }
            ResourceKind::Object | ResourceKind::Copy | ResourceKind::Tagged => self.key.is_some(),
        }
    }
}

/// A request's head, read: what it would do, to what.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The operation.
    pub operation: &'static Operation,
    /// What it names.
    pub place: Place,
    /// The parameters of the query, decoded, each of them once.
    pub query: Vec<(String, String)>,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    /// Reads a head whose signature is checked and gone, and that [`crate::prepare`] has seen.
    pub(crate) fn of_parts(parts: &'a Parts, domains: &[String]) -> S3Result<Self> {
        let place = place(&parts.uri, parts.version, &parts.headers, domains)?;
        let operation = operation(parts.method.as_str(), &place, &parts.uri, &parts.headers)
            .ok_or_else(|| error("NotImplemented", NOT_IMPLEMENTED))?;
        Self::of(operation, place, &parts.uri, &parts.headers)
    }

    /// Reads what remains when operation and place are known.
    pub(crate) fn of(operation: &'static Operation, place: Place, uri: &Uri, headers: &'a HeaderMap) -> S3Result<Self> {
        let query = query_of(operation, uri)?;
        check_headers(operation, headers)?;
        Ok(Self {
            operation,
            place,
            query,
            headers,
        })
    }

    /// Parameters that say which thing is meant, for the record.
    #[must_use]
    pub fn recorded(&self) -> Vec<(&'static str, String)> {
        let given = |name: &&'static str| Some((*name, self.parameter(name)?.to_owned()));
        RECORDED.iter().filter_map(given).collect()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Whether the operation has this `x-amz-` header besides those of every request.
    #[must_use]
    pub fn takes_header(&self, name: &str) -> bool {
        self.operation.headers.iter().any(|(known, _)| *known == name)
    }

    /// A parameter of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(given, _)| given == name)?;
        Some(value)
    }
}

/// Parameters that are part of the record.
const RECORDED: [&str; 3] = ["partNumber", "uploadId", "versionId"];

/// The bucket that a host name begins with, in lower case.
pub(crate) fn bucket_of_host(host: &str, domains: &[String]) -> Option<String> {
    let name = host_name(host);
    let bucket = domains.iter().find_map(|domain| {
        let (bucket, rest) = name.split_at_checked(name.len().checked_sub(domain.len())?)?;
        rest.eq_ignore_ascii_case(domain)
            .then(|| bucket.strip_suffix('.'))
            .flatten()
    })?;
    (!bucket.is_empty()).then(|| bucket.to_ascii_lowercase())
}

/// A host without its port.
pub(crate) fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Bucket and key, from the host name and the path. Percent signs that encode nothing stand for themselves; `+` is a plus.
pub(crate) fn place(uri: &Uri, version: Version, headers: &HeaderMap, domains: &[String]) -> S3Result<Place> {
    let path = percent_decode_str(uri.path())
        .decode_utf8()
        .map_err(|_| error("InvalidURI", "Couldn't parse the specified URI."))?;
    let host = match headers.get(header::HOST) {
        Some(host) => Some(
            host.to_str()
                .map_err(|_| error("InvalidRequest", "The Host header is not valid."))?,
        ),
        None if version >= Version::HTTP_2 => uri.authority().map(http::uri::Authority::as_str),
        None => None,
    };
    let bucket = host
        .filter(|host| host.parse::<SocketAddr>().is_err() && host.parse::<IpAddr>().is_err())
        .and_then(|host| bucket_of_host(host, domains));
    let path = parse_virtual_hosted_style(bucket.as_deref(), &path).map_err(|failed| match failed {
        ParseS3PathError::InvalidPath => error("InvalidURI", "Couldn't parse the specified URI."),
        ParseS3PathError::InvalidBucketName => error("InvalidBucketName", "The specified bucket is not valid."),
        ParseS3PathError::KeyTooLong => error("KeyTooLongError", "Your key is too long"),
    })?;
    Ok(Place::of(&path))
}

/// The row of the table: of those whose markers are all there, the one with most of them. Whatever else stands in the query makes the
/// request one that we refuse, whichever operation it is.
fn operation(method: &str, place: &Place, uri: &Uri, headers: &HeaderMap) -> Option<&'static Operation> {
    let query: Vec<(_, _)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    let has = |marker: &Marker| match *marker {
        Marker::Query(name) => query.iter().any(|(given, _)| given == name),
        Marker::QueryIs(name, value) => query.iter().any(|(given, said)| given == name && said == value),
        Marker::Header(name) => headers.contains_key(name),
    };
    // Directory buckets have a service of their own, which we are not.
    if place.bucket.is_none() && has(&Marker::QueryIs("x-id", "ListDirectoryBuckets")) {
        return None;
    }
    operations()
        .filter(|row| row.method == method && place.is_of(row.resource) && row.markers.iter().all(has))
        .max_by_key(|row| row.markers.len())
}

/// The parameters of the request, each of them once and known to the operation. Names that begin with `x-` mean nothing to S3,
/// but for `x-amz-`, and of those none is left here that is written plainly.
fn query_of(operation: &Operation, uri: &Uri) -> S3Result<Vec<(String, String)>> {
    let mut seen = HashSet::new();
    let mut query = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name.starts_with("x-") && !name.starts_with("x-amz-") {
            continue;
        }
        if !operation.query.contains(&&*name) {
            return Err(error(
                "NotImplemented",
                "A parameter you provided implies functionality that is not implemented",
            ));
        }
        if !seen.insert(name.to_string()) {
            return Err(error("InvalidArgument", "A parameter was given more than once"));
        }
        query.push((name.into_owned(), value.into_owned()));
    }
    Ok(query)
}

/// Headers of HTTP that a condition key, or the operation itself, reads as one value.
const SINGLE_HEADERS: [&str; 7] = [
    "content-md5",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
];
/// Headers of S3 whose values are lists, and decide nothing.
const LIST_HEADERS: [&str; 4] = [
    "x-amz-optional-object-attributes",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];

fn check_headers(operation: &Operation, headers: &HeaderMap) -> S3Result<()> {
    for name in headers.keys() {
        let name = name.as_str();
        let is_ours = name.starts_with("x-amz-") && !name.starts_with("x-amz-meta-");
        if !is_ours && !SINGLE_HEADERS.contains(&name) || LIST_HEADERS.contains(&name) {
            continue;
        }
        let known = operation.headers.iter().find(|(known, _)| *known == name);
        if is_ours && known.is_none() && !COMMON_HEADERS.contains(&name) {
            return Err(error("NotImplemented", NOT_IMPLEMENTED));
        }
        let mut given = headers.get_all(name).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(error("InvalidArgument", "A header was given more than once"));
        };
        let Some((_, values)) = known else { continue };
        if let Values::Only(accepted, code, message) = values
            && !accepted.iter().any(|accepted| accepted.as_bytes() == value.as_bytes())
        {
            return Err(error(code, *message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
