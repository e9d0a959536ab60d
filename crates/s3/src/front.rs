mod body;
mod cors;
mod direct;
mod error;
mod private;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, Full};
use irsa_core::Clock;
use s3s::S3Result;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{Range, Timestamp as WireTimestamp, TimestampFormat};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};

pub(crate) use body::{Arrival, MAX_OBJECT};
pub use body::{Body, BodyError, BoxError};
pub(crate) use error::{ErrorDocument, INCOMPLETE, INTERNAL, TOO_LARGE, escape};

use crate::access::{Door, Recorder, RefuseCredentials};
use crate::backend::Backend;
use crate::backend::versions::ListingOrder;
use crate::bucket::Buckets;
use crate::operation::Operation;
use crate::question::{Questioner, S3Refusal};
use crate::route::{bucket_of_host, host_name};
use crate::store::ObjectStore;
use crate::target::Target;
use body::Metered;
use cors::Cors;
pub use cors::Visitor;
use direct::Direct;

/// What [`Front::new`] needs.
pub struct FrontOptions {
    /// Where the objects are.
    pub store: ObjectStore,
    /// Which buckets there are.
    pub buckets: Arc<dyn Buckets>,
    /// The time for new objects and buckets.
    pub clock: Arc<dyn Clock>,
    /// The region of this server, where buckets are made unless the client names another.
    pub region: String,
    /// Host names, without port, whose subdomains are buckets: with `s3.example`, `logs.s3.example` is the bucket `logs`. May be empty.
    pub domains: Vec<String>,
    /// How long a multipart upload may go on before it is ended and what has arrived of it goes; `None`: for ever.
    pub upload_lifetime: Option<Duration>,
}

/// The S3 service.
///
/// A request that comes here is authenticated: its signature was checked, its `aws-chunked` encoding removed, and its body is checked
/// against the signed hash while it is read (a mismatch is a [`BodyError`] of the body). The extensions of the request hold an
/// `Arc<dyn Authorizer>`, without which everything is refused, and [`Identifiers`]. Trailing headers, if any, come as a trailer frame of
/// the body. The extensions of the response hold an [`S3Outcome`].
pub struct Front {
    service: S3Service,
    direct: Direct,
    cors: Cors,
    expiry: Option<Expiry>,
}

/// Ends uploads that nobody completes. It looks once an hour, when a request comes by.
struct Expiry {
    store: ObjectStore,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    /// When to look again: Unix milliseconds.
    next: AtomicI64,
}

impl Expiry {
    const INTERVAL_SECONDS: i64 = 3600;

    fn look(&self) {
        let now = self.clock.now();
        let next = self.next.load(Ordering::Relaxed);
        if now.unix_millis() < next {
            return;
        }
        let after = now.plus_seconds(Self::INTERVAL_SECONDS).unix_millis();
        // One of those who come at the same time does it.
        let mine = self
            .next
            .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
            let (store, before) = (self.store.clone(), now.plus_seconds(lifetime.saturating_neg()));
            tokio::spawn(async move {
                match store.expire_uploads(before).await {
                    Ok(0) => {}
                    Ok(ended) => tracing::info!(ended, "ended multipart uploads that nobody completed in time"),
                    Err(error) => tracing::warn!(%error, "multipart uploads that are too old stay for an hour more"),
                }
            });
        }
    }
}

/// The ids that the response carries; put one into the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Identifiers {
    /// For `x-amz-request-id` and the error document.
    pub request_id: String,
    /// For `x-amz-id-2` and the error document.
    pub host_id: String,
}

/// What the event record of a request needs to know.
#[derive(Clone, Debug, Default)]
pub struct S3Outcome {
    /// The operation; `None` if the request is none that we know.
    pub operation: Option<&'static Operation>,
    /// The bucket of the path or host name.
    pub bucket: Option<String>,
    /// The key of the path.
    pub key: Option<String>,
    /// Parameters of the query that say which thing was meant, such as `uploadId`, as CloudTrail names them.
    pub parameters: Vec<(&'static str, String)>,
    /// What was decided, in order, and whether it was allowed.
    pub targets: Vec<(Arc<Target>, bool)>,
    /// What became of each key that the body names, in its order; empty for other operations, and if the request failed as a whole.
    /// That a key was allowed does not say that it was deleted.
    pub keys: Vec<KeyOutcome>,
    /// What the answer to a write told of versions: header names of S3 and their values, as CloudTrail records them.
    pub elements: Vec<(&'static str, String)>,
    /// Error code and message, if it failed.
    pub error: Option<(String, String)>,
    /// Bytes of the request's body that were read, after decoding.
    pub bytes_in: u64,
    /// Bytes that the response's body will have.
    pub bytes_out: u64,
}

/// What became of one key of a multi-object delete.
#[derive(Clone, Debug, Default)]
pub struct KeyOutcome {
    /// The key.
    pub key: String,
    /// The version that the body names.
    pub version: Option<String>,
    /// Error code and message, if it failed.
    pub error: Option<(String, String)>,
    /// As [`S3Outcome::elements`].
    pub elements: Vec<(&'static str, String)>,
}

/// Headers of answers that the records of writes have.
const VERSION_HEADERS: [&str; 3] = [
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-copy-source-version-id",
];

impl Front {
    /// Builds the service.
    #[must_use]
    pub fn new(options: FrontOptions) -> Self {
        let expiry = options.upload_lifetime.map(|lifetime| Expiry {
            store: options.store.clone(),
            clock: Arc::clone(&options.clock),
            lifetime,
            next: AtomicI64::new(0),
        });
        let backend = Backend {
            store: options.store.clone(),
            buckets: Arc::clone(&options.buckets),
            clock: options.clock,
            region: options.region.clone(),
        };
        let mut builder = S3ServiceBuilder::new(backend.clone());
        // Both or none: without an authenticator, `s3s` asks no door.
        builder.set_auth(RefuseCredentials);
        let cors = Cors {
            buckets: Arc::clone(&options.buckets),
            domains: options.domains.clone(),
        };
        let door = Door {
            questioner: Questioner::new(options.buckets, &options.region, options.domains.clone()),
            objects: options.store,
        };
        builder.set_access(door.clone());
        builder.set_host(Domains(options.domains));
        builder.set_config(configuration());
        Self {
            service: builder.build(),
            direct: Direct { door, backend },
            cors,
            expiry,
        }
    }

    /// The bucket that a request is about as a whole, by its path or host name; `None` if it is about none, or about an object.
    #[must_use]
    pub fn whole_bucket(&self, parts: &http::request::Parts) -> Option<String> {
        let place = crate::route::place(&parts.uri, parts.version, &parts.headers, &self.cors.domains).ok()?;
        place.bucket.filter(|_| place.key.is_none())
    }

    /// Answers one request.
    pub async fn handle(&self, request: http::Request<Body>) -> http::Response<Body> {
        if let Some(expiry) = &self.expiry {
            expiry.look();
        }
        let (mut parts, body) = request.into_parts();
        let identifiers = parts.extensions.get::<Identifiers>().cloned().unwrap_or_default();
        let resource = parts.uri.path().to_owned();
        let is_head = parts.method == Method::HEAD;
        let visitor = Visitor::of(&parts);
        let recorder = Recorder::default();
        let arrival = Arc::new(Arrival::default());
        let preflight = (parts.method == Method::OPTIONS).then(|| self.cors.preflight(&parts, &mut recorder.outcome()));
        let refused = read_head(&mut parts).err();
        let direct = if preflight.is_none() && refused.is_none() && body.size_hint().exact() == Some(0) {
            self.direct.answer(&parts, &recorder).await
        } else {
            None
        };
        let answer = match (preflight, refused, direct) {
            (Some(Ok(headers)), _, _) => {
                let mut response = http::Response::new(s3s::Body::empty());
                *response.headers_mut() = headers;
                Ok(Answer::Document(response))
            }
            (Some(Err(refused)), _, _) | (None, Some(refused), _) | (None, None, Some(Err(refused))) => {
                refused.to_http_response().map(Answer::Document)
            }
            (None, None, Some(Ok(response))) => Ok(Answer::Object(response)),
            // Boxed: it is much larger than the rest.
            (None, None, None) => Box::pin(self.ask_service(parts, body, &recorder, &arrival))
                .await
                .map(Answer::Document),
        };
        let (mut head, body) = match answer {
            Ok(Answer::Document(response)) => {
                let (head, body) = response.into_parts();
                (head, Err(body))
            }
            Ok(Answer::Object(response)) => {
                let (head, body) = response.into_parts();
                (head, Ok(body))
            }
            Err(_) => {
                let mut response = http::Response::new(s3s::Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                let (head, body) = response.into_parts();
                (head, Err(body))
            }
        };

        // `s3s` answers 200 to a HEAD of a part.
        if head.status == StatusCode::OK && head.headers.contains_key(header::CONTENT_RANGE) {
            head.status = StatusCode::PARTIAL_CONTENT;
        }
        let mut outcome = std::mem::take(&mut *recorder.outcome());
        outcome.bytes_in = arrival.bytes();
        let failed = head.status.is_client_error() || head.status.is_server_error();
        let body: Body = match body {
            Ok(object) => object,
            Err(body) if failed => {
                let mut document = ErrorDocument::read(&body.bytes().unwrap_or_default());
                if let Some(error) = arrival.error() {
                    head.status = error.status();
                    document = ErrorDocument::new(&error.code, &error.message);
                }
                outcome.error = Some(document.code_and_message());
                head.headers.remove(header::CONTENT_LENGTH);
                head.headers
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                let text = document.write(&resource, &outcome, &identifiers);
                full(if is_head { Bytes::new() } else { text.into() })
            }
            Err(_) if head.status == StatusCode::NOT_MODIFIED => {
                head.headers.remove(header::CONTENT_TYPE);
                full(Bytes::new())
            }
            Err(body) => match body.bytes() {
                Some(document) if is_xml(&head.headers) => {
                    let is_attributes = outcome
                        .operation
                        .is_some_and(|operation| operation.name == "GetObjectAttributes");
                    let document = match head.extensions.get::<ListingOrder>() {
                        Some(order) => order.apply(&document),
                        None if is_attributes => bare_etag(&document),
                        None => document,
                    };
                    full(error::escape_controls(document))
                }
                Some(bytes) => full(bytes),
                None => Body::new(body),
            },
        };
        self.cors.mark(&visitor, outcome.bucket.as_deref(), &mut head.headers);
        outcome.bytes_out = body.size_hint().exact().unwrap_or_default();
        if !failed && outcome.operation.is_some_and(|operation| !operation.read_only) {
            outcome.elements = VERSION_HEADERS
                .iter()
                .filter_map(|name| Some((*name, head.headers.get(*name)?.to_str().ok()?.to_owned())))
                .collect();
        }
        for (name, value) in [
            ("x-amz-request-id", &identifiers.request_id),
            ("x-amz-id-2", &identifiers.host_id),
        ] {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                head.headers.insert(name, value);
            }
        }
        head.extensions.insert(outcome);
        http::Response::from_parts(head, body)
    }
}

/// An answer that is still without its ids.
enum Answer {
    /// Of `s3s`, whose errors and documents are not yet S3's.
    Document(http::Response<s3s::Body>),
    Object(http::Response<Body>),
}

impl Front {
    /// The way that every operation can take.
    async fn ask_service(
        &self,
        mut parts: http::request::Parts,
        body: Body,
        recorder: &Recorder,
        arrival: &Arc<Arrival>,
    ) -> S3Result<http::Response<s3s::Body>> {
        if let Err(refused) = private::hide(&mut parts) {
            return refused.to_http_response();
        }
        parts.extensions.insert(recorder.clone());
        parts.extensions.insert(Arc::clone(arrival));
        let body = if body.is_end_stream() {
            s3s::Body::empty()
        } else {
            s3s::Body::http_body_unsync(Metered::new(body, Arc::clone(arrival)))
        };
        match self.service.call(http::Request::from_parts(parts, body)).await {
            Ok(response) => Ok(response),
            Err(error) => {
                let error: BoxError = error.into();
                tracing::error!(%error, "an S3 response could not be written");
                crate::access::error("InternalError", INTERNAL).to_http_response()
            }
        }
    }

    /// Says in the head of an answer that was made elsewhere what pages of other origins may do with it, by the rules of the bucket.
    pub fn mark(&self, visitor: &Visitor, bucket: Option<&str>, headers: &mut HeaderMap) {
        self.cors.mark(visitor, bucket, headers);
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

/// Brings a request's head into the form that is read and decided: parameters that stand for headers become headers, and what belonged
/// to the signature and to `aws-chunked` goes. The signature is checked before.
///
/// # Errors
/// A request that can't be read so.
pub fn prepare(parts: &mut http::request::Parts) -> Result<(), S3Refusal> {
    Ok(read_head(parts)?)
}

fn read_head(parts: &mut http::request::Parts) -> S3Result<()> {
    let hoisted = match refused_early(&parts.method, &parts.headers) {
        Some(refused) => Err(refused),
        None => hoist(parts),
    };
    normalise(&mut parts.headers);
    hoisted
}

/// Requests that `s3s` must not see: it reads the whole file of a form upload into memory before it asks anyone.
fn refused_early(method: &Method, headers: &HeaderMap) -> Option<s3s::S3Error> {
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"multipart/form-data")
    });
    (method == Method::POST && is_form)
        .then(|| crate::access::error("NotImplemented", "Browser-based uploads are not implemented."))
}

/// Turns `x-amz-` parameters of the query into the headers that they stand for. SDKs put them there when they presign, and there they are
/// signed. Checksums stand for nothing there, since SDKs presign without a body: S3 ignores them
/// (<https://github.com/aws/aws-sdk-go-v2/issues/2610>). Those of the signature itself should be gone, and lead to a refusal.
fn hoist(parts: &mut http::request::Parts) -> S3Result<()> {
    const SIGNATURE: [&str; 7] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    let Some(query) = parts.uri.query() else {
        return Ok(());
    };
    if form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| SIGNATURE.iter().any(|known| name.eq_ignore_ascii_case(known)))
    {
        return Err(crate::access::error("AccessDenied", "Access Denied"));
    }
    let is_header = |raw: &str| {
        let name = raw.split('=').next().unwrap_or_default();
        name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
    };
    if !query.split('&').any(is_header) {
        return Ok(());
    }
    let invalid = || crate::access::error("InvalidArgument", "A header in the query is not valid");
    let mut kept = Vec::new();
    for raw in query.split('&') {
        if !is_header(raw) {
            kept.push(raw);
            continue;
        }
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let name = header::HeaderName::try_from(name.to_ascii_lowercase()).map_err(|_| invalid())?;
            if is_checksum(name.as_str()) {
                continue;
            }
            let value = HeaderValue::try_from(&*value).map_err(|_| invalid())?;
            if parts.headers.contains_key(&name) {
                return Err(invalid());
            }
            parts.headers.insert(name, value);
        }
    }
    let kept = kept.join("&");
    set_query(parts, &kept)
}

/// A header that holds a checksum, or says which one the SDK made.
fn is_checksum(name: &str) -> bool {
    matches!(
        name,
        "x-amz-sdk-checksum-algorithm"
            | "x-amz-checksum-crc32"
            | "x-amz-checksum-crc32c"
            | "x-amz-checksum-crc64nvme"
            | "x-amz-checksum-sha1"
            | "x-amz-checksum-sha256"
    )
}

fn set_query(parts: &mut http::request::Parts, query: &str) -> S3Result<()> {
    let invalid = || crate::access::error("InvalidURI", "Couldn't parse the specified URI.");
    let path_and_query = match query {
        "" => parts.uri.path().to_owned(),
        query => format!("{}?{query}", parts.uri.path()),
    };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(path_and_query.parse().map_err(|_| invalid())?);
    parts.uri = http::Uri::from_parts(uri).map_err(|_| invalid())?;
    Ok(())
}

/// Removes what was used up by authentication, and what HTTP says to ignore.
fn normalise(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove("x-amz-security-token");
    // The body is decoded already: its length is the decoded one, and `aws-chunked` is no encoding of the object.
    if let Some(length) = headers.remove("x-amz-decoded-content-length") {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    if let Some(encoding) = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
    {
        let kept: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty() && !part.eq_ignore_ascii_case("aws-chunked"))
            .collect();
        let kept = kept.join(",");
        match HeaderValue::from_str(&kept) {
            Ok(value) if !kept.is_empty() => drop(headers.insert(header::CONTENT_ENCODING, value)),
            _ => drop(headers.remove(header::CONTENT_ENCODING)),
        }
    }
    // A range that cannot be understood is no range (RFC 9110, 14.2), and we give several ranges no more than S3 does.
    let text = |name: &header::HeaderName, headers: &HeaderMap| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    if text(&header::RANGE, headers).is_some_and(|range| Range::parse(&range).is_err()) {
        headers.remove(header::RANGE);
    }
    // The same for dates (13.1.3, 13.1.4).
    for name in [header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
        if text(&name, headers).is_some_and(|date| WireTimestamp::parse(TimestampFormat::HttpDate, &date).is_err()) {
            headers.remove(name);
        }
    }
}

/// The answer to GetObjectAttributes is the only one whose entity tag has no quotes. The tag itself is hexadecimal.
fn bare_etag(document: &Bytes) -> Bytes {
    String::from_utf8_lossy(document)
        .replace("<ETag>\"", "<ETag>")
        .replace("\"</ETag>", "</ETag>")
        .into()
}

fn is_xml(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == b"application/xml")
}

pub(crate) fn full(bytes: Bytes) -> Body {
    if bytes.is_empty() {
        return Empty::new().map_err(|never| match never {}).boxed_unsync();
    }
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// How `s3s` reads requests.
pub(crate) fn configuration() -> Arc<StaticConfigProvider> {
    let mut config = S3Config::default();
    config.xml_max_body_size = usize::try_from(body::MAX_DOCUMENT).unwrap_or(usize::MAX);
    // Keys are names, not paths.
    config.normalize_forward_slash_path = false;
    Arc::new(StaticConfigProvider::new(Arc::new(config)))
}

/// Buckets in host names.
pub(crate) struct Domains(pub(crate) Vec<String>);

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let plain = VirtualHost::new(host_name(host));
        Ok(match bucket_of_host(host, &self.0) {
            Some(bucket) => plain.with_bucket(bucket),
            None => plain,
        })
    }
}
