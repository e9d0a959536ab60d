//! One request on its way to a store.

use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use irsa_core::Timestamp;
use irsa_s3::relay::{
    DeletedKey, check_digest, content_md5, encode, read_buckets, read_deletion, write_bucket_place, write_deleted,
    write_deletion, write_tags,
};
use irsa_s3::{
    Asked, Body, BodyError, Buckets as _, Denied, Document, Head, Integrity, KeyOutcome, KeyQuestions, Question,
    ResourceKind, S3Refusal,
};
use irsa_sigv4::{ChecksumAlgorithm, Payload};
use irsa_upstream::{ResponseBody, Sign};

use super::body::{Fate, Guarded};
use super::tags::UpstreamTags;
use super::{Behind, Desk, S3Upstreams, answer, between_stores};
use crate::body::full;

/// The largest document of a request, as the embedded store has it.
const MAX_DOCUMENT: usize = 4 << 20;
/// The largest object that one request may bring.
const MAX_OBJECT: u64 = 5 << 30;
/// The region whose buckets are made without saying where.
const CLASSIC_REGION: &str = "us-east-1";

/// Headers of a content that is written.
const OF_CONTENT: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];
/// Headers that ask for a part of an object, or for it only if.
const OF_READING: [&str; 5] = [
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
];
/// Headers that make a write depend on what is there.
const OF_WRITING: [&str; 4] = [
    "if-match",
    "if-none-match",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
];
/// Headers of a row that are between the caller and us: who owns what, and what is decided here.
const OURS: [&str; 6] = [
    "x-amz-bucket-object-lock-enabled",
    "x-amz-copy-source",
    "x-amz-expected-bucket-owner",
    "x-amz-mfa",
    "x-amz-object-ownership",
    "x-amz-source-expected-bucket-owner",
];

/// Headers of answers that the records of writes have.
const VERSION_HEADERS: [&str; 3] = [
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-copy-source-version-id",
];

/// One request, its store, and what is known of it.
pub(super) struct Relay<'a> {
    pub(super) upstreams: &'a S3Upstreams,
    pub(super) behind: &'a Behind,
    pub(super) desk: &'a Desk,
    pub(super) head: &'a Head<'a>,
    pub(super) extensions: &'a Extensions,
}

/// What is sent besides the head.
struct Cargo {
    body: Body,
    payload: Payload,
    headers: HeaderMap,
    /// Of a content that streams.
    fate: Option<Fate>,
    /// Of a multi-object delete.
    keys: Option<Keys>,
}

/// The keys of a multi-object delete: what was decided about each, and whether only failures are told.
struct Keys {
    keys: Vec<(KeyQuestions, Option<(String, String)>)>,
    quiet: bool,
}

impl Cargo {
    fn document(body: Bytes) -> Result<Self, S3Refusal> {
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            let md5 = HeaderValue::from_str(&content_md5(&body)).map_err(|_| S3Refusal::new("InternalError", ""))?;
            headers.insert("content-md5", md5);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        Ok(Self {
            payload: Payload::Sha256(crate::pipeline::digest_of(&body)),
            body: full(body),
            headers,
            fate: None,
            keys: None,
        })
    }
}

impl Relay<'_> {
    pub(super) async fn run(&self, method: &Method, body: Body) -> Result<Response<Body>, S3Refusal> {
        {
            let mut outcome = self.desk.outcome();
            outcome.operation = Some(self.head.operation);
            outcome.bucket.clone_from(&self.head.place.bucket);
            outcome.key.clone_from(&self.head.place.key);
            outcome.parameters = self.head.recorded();
        }
        let mut headers = self.headers()?;
        let tags = UpstreamTags::new(self.upstreams, self.behind, self.desk);
        let asked = self.upstreams.questioner.of_head(self.head, &tags).await?;
        for question in &asked.questions {
            self.desk.decide(question)?;
        }
        if self.head.operation.resource == ResourceKind::Copy {
            let source = asked
                .questions
                .first()
                .ok_or_else(|| S3Refusal::new("InternalError", ""))?;
            headers.insert("x-amz-copy-source", self.copy_source(source)?);
        }
        let cargo = self.cargo(&asked, &tags, body).await?;
        if let Some(Keys { keys, quiet }) = &cargo.keys
            && keys.iter().all(|(_, refused)| refused.is_some())
        {
            return Ok(self.deleted(keys, Vec::new(), *quiet));
        }
        let (response, keys) = self.send(method, headers, cargo).await?;
        self.answer(response, keys, &asked).await
    }

    /// What the body asks, and what is sent of it.
    async fn cargo(&self, asked: &Asked, tags: &UpstreamTags<'_>, body: Body) -> Result<Cargo, S3Refusal> {
        let operation = self.head.operation;
        if operation.object_body {
            return self.content(body).await;
        }
        let (document, trailers) = self.read(body).await?;
        if !asked.awaits_body {
            // Other operations have no document, and what a caller sends all the same goes nowhere.
            return match operation.name {
                "CompleteMultipartUpload" | "PutBucketVersioning" => Cargo::document(document),
                _ => Cargo::document(Bytes::new()),
            };
        }
        let account = self.desk.authorizer.account();
        let document_asked = self
            .upstreams
            .questioner
            .of_document(self.head, asked, &document, account, tags)
            .await?;
        let digest = || check_digest(self.head.headers(), trailers.as_ref(), &document);
        match document_asked {
            Document::NewBucket(place, question) => {
                self.desk.decide(&question)?;
                digest()?;
                if account != Some(self.behind.account) {
                    tracing::info!("buckets of the S3 store behind the server are its own account's");
                    return Err(S3Refusal::new("AccessDenied", "Access Denied"));
                }
                Cargo::document(self.place_of_bucket(place.as_deref()))
            }
            Document::Tagged(given, question) => {
                self.desk.decide(&question)?;
                let given = given?;
                digest()?;
                Cargo::document(write_tags(&given))
            }
            Document::Keys { keys, quiet } => {
                digest()?;
                let keys: Vec<_> = keys
                    .into_iter()
                    .map(|key| {
                        let refused = key
                            .questions
                            .iter()
                            .find_map(|question| self.desk.decide(question).err());
                        (key, refused.map(|denied| (denied.code.to_owned(), denied.message)))
                    })
                    .collect();
                let allowed: Vec<&KeyQuestions> = keys
                    .iter()
                    .filter(|(_, refused)| refused.is_none())
                    .map(|(key, _)| key)
                    .collect();
                let mut cargo = Cargo::document(write_deletion(&allowed))?;
                cargo.keys = Some(Keys { keys, quiet });
                Ok(cargo)
            }
        }
    }

    /// The document that says where a bucket is made. Our region stands for that of the store.
    fn place_of_bucket(&self, place: Option<&str>) -> Bytes {
        let upstreams = self.upstreams;
        let region = match place {
            Some(place) if place != upstreams.own_region => place,
            _ => &upstreams.region,
        };
        if region == CLASSIC_REGION {
            Bytes::new()
        } else {
            write_bucket_place(region)
        }
    }

    /// Reads a document, or makes sure that there is none.
    async fn read(&self, mut body: Body) -> Result<(Bytes, Option<HeaderMap>), S3Refusal> {
        let (mut document, mut trailers) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.downcast::<BodyError>() {
                Ok(error) => S3Refusal::new(&error.code, error.message),
                Err(_) => S3Refusal::new("IncompleteBody", "The request body terminated unexpectedly"),
            })?;
            match frame.into_data() {
                Ok(data) => {
                    self.desk.outcome().bytes_in += data.len() as u64;
                    if document.len().saturating_add(data.len()) > MAX_DOCUMENT {
                        return Err(S3Refusal::new("MaxMessageLengthExceeded", "Your request was too big."));
                    }
                    document.extend_from_slice(&data);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok((document.freeze(), trailers))
    }

    /// A content that streams.
    async fn content(&self, body: Body) -> Result<Cargo, S3Refusal> {
        let declared = self.extensions.get::<Payload>().copied().unwrap_or(Payload::Unsigned);
        let length = self.head.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let Some(length) = length else {
            return Err(S3Refusal::new(
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ));
        };
        if length > MAX_OBJECT {
            return Err(S3Refusal::new(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            ));
        }
        let integrity = Integrity::of(self.head.headers())?;
        let trailer = match declared {
            Payload::StreamingSignedTrailer | Payload::StreamingUnsignedTrailer => self.trailer(),
            _ => None,
        };
        let fate = Fate::default();
        let mut guarded = Guarded::new(body, integrity, length, trailer, fate.clone());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(guarded.sent_length()));
        let payload = match (trailer, declared) {
            (Some(trailer), _) => {
                headers.insert("x-amz-decoded-content-length", HeaderValue::from(length));
                headers.insert("x-amz-trailer", HeaderValue::from_static(trailer.header()));
                headers.insert(header::CONTENT_ENCODING, self.chunked_encoding()?);
                Payload::StreamingUnsignedTrailer
            }
            (None, Payload::Sha256(hash)) => Payload::Sha256(hash),
            (None, _) => Payload::Unsigned,
        };
        // Nobody would look at the body of an empty content.
        let body = if guarded.sent_length() == 0 {
            while let Some(frame) = guarded.frame().await {
                if frame.is_err() {
                    return Err(fate.error().unwrap_or_else(|| S3Refusal::new("IncompleteBody", "")));
                }
            }
            full("")
        } else {
            guarded.boxed_unsync()
        };
        Ok(Cargo {
            body,
            payload,
            headers,
            fate: Some(fate),
            keys: None,
        })
    }

    /// The checksum that comes behind the content.
    fn trailer(&self) -> Option<ChecksumAlgorithm> {
        let named = self.head.headers().get("x-amz-trailer")?.to_str().ok()?;
        named
            .split(',')
            .find_map(|name| ChecksumAlgorithm::from_header(name.trim()))
    }

    /// The encoding of the object, and that of the transfer before it.
    fn chunked_encoding(&self) -> Result<HeaderValue, S3Refusal> {
        let own = self
            .single(&header::CONTENT_ENCODING)?
            .and_then(|value| value.to_str().ok());
        let text = own.map_or_else(|| "aws-chunked".to_owned(), |own| format!("aws-chunked,{own}"));
        HeaderValue::from_str(&text)
            .map_err(|_| S3Refusal::new("InvalidArgument", "The Content-Encoding is not valid."))
    }

    /// A header that may come once.
    fn single(&self, name: &HeaderName) -> Result<Option<&HeaderValue>, S3Refusal> {
        let mut given = self.head.headers().get_all(name).iter();
        match (given.next(), given.next()) {
            (_, Some(_)) => Err(S3Refusal::new("InvalidArgument", "A header was given more than once")),
            (given, None) => Ok(given),
        }
    }

    /// The headers that go on: those that the operation has, and nothing that somebody could take for more.
    fn headers(&self) -> Result<HeaderMap, S3Refusal> {
        let name = self.head.operation.name;
        let writes_content = matches!(name, "PutObject" | "CopyObject" | "CreateMultipartUpload");
        let has_content = matches!(name, "PutObject" | "UploadPart");
        let reads = matches!(name, "GetObject" | "HeadObject");
        let writes_if = matches!(name, "PutObject" | "CompleteMultipartUpload" | "DeleteObject");
        let is_document = matches!(
            self.head.operation.resource,
            ResourceKind::NewBucket | ResourceKind::Keys | ResourceKind::Tagged
        );
        let mut kept = HeaderMap::new();
        for header in self.head.headers().keys() {
            let text = header.as_str();
            let passes = if let Some(rest) = text.strip_prefix("x-amz-") {
                if OURS.contains(&text) || is_document && rest.starts_with("checksum-") {
                    false
                } else if rest.starts_with("meta-") {
                    writes_content
                } else {
                    let of_checksums = rest.starts_with("checksum-") || rest == "sdk-checksum-algorithm" && has_content;
                    of_checksums || rest == "optional-object-attributes" || self.head.takes_header(text)
                }
            } else {
                let unheeded = OF_WRITING.contains(&text) && !writes_if && !reads && !self.head.operation.read_only;
                if unheeded {
                    return Err(S3Refusal::new(
                        "NotImplemented",
                        "A header you provided implies functionality that is not implemented",
                    ));
                }
                OF_CONTENT.contains(&text) && writes_content
                    || OF_READING.contains(&text) && reads
                    || OF_WRITING.contains(&text) && writes_if
                    || text == "content-md5" && has_content
                    || text == "user-agent"
            };
            if passes && let Some(value) = self.single(header)? {
                // Stores read other conditions in their own ways, and some not at all.
                let is_other = text == "if-none-match" && !self.head.operation.read_only && value != "*";
                if is_other || text == "x-amz-tagging" && self.is_copy_with_its_tags() {
                    return Err(S3Refusal::new(
                        "NotImplemented",
                        "A header you provided implies functionality that is not implemented",
                    ));
                }
                kept.insert(header.clone(), value.clone());
            }
        }
        Ok(kept)
    }

    /// Whether it copies tags along, so that those of its own were not asked about.
    fn is_copy_with_its_tags(&self) -> bool {
        let directive = self.head.headers().get("x-amz-tagging-directive");
        self.head.operation.name == "CopyObject" && directive.is_none_or(|directive| directive != "REPLACE")
    }

    /// The source of a copy as it was decided, written in one way.
    fn copy_source(&self, source: &Question) -> Result<HeaderValue, S3Refusal> {
        let target = &source.target;
        let bucket = target.bucket.as_deref().unwrap_or_default();
        let key = target.key.as_deref().unwrap_or_default();
        let there = self.upstreams.places.of(bucket);
        if there.is_none_or(|there| there.upstream.endpoint() != self.behind.upstream.endpoint()) {
            return Err(between_stores());
        }
        let mut text = format!("/{bucket}/{}", encode(key, true));
        if let Some(version) = &target.version {
            text.push_str("?versionId=");
            text.push_str(&encode(version, false));
        }
        HeaderValue::from_str(&text).map_err(|_| S3Refusal::new("InvalidArgument", "The copy source is not valid."))
    }

    /// Sends what was decided, and gives the answer's head.
    async fn send(
        &self,
        method: &Method,
        mut headers: HeaderMap,
        cargo: Cargo,
    ) -> Result<(Response<ResponseBody>, Option<Keys>), S3Refusal> {
        headers.extend(cargo.headers);
        let place = &self.head.place;
        let path = match (&place.bucket, &place.key) {
            (Some(bucket), Some(key)) => format!("/{bucket}/{}", encode(key, true)),
            (Some(bucket), None) => format!("/{bucket}"),
            (None, _) => "/".to_owned(),
        };
        let query: Vec<String> = self
            .head
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        let request = request(method.clone(), &path, &query.join("&"), headers, cargo.body)?;
        let sent = self.upstreams.send(self.behind, request, cargo.payload).await;
        let (bytes, wrong) = match &cargo.fate {
            Some(fate) => (fate.bytes(), fate.error()),
            None => (0, None),
        };
        self.desk.outcome().bytes_in += bytes;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let response = sent?;
        // A store that says yes before it has everything says nothing.
        if let Some(fate) = &cargo.fate
            && response.status().is_success()
            && !fate.is_whole()
        {
            return Err(answer::unreadable("it answered before it had the whole content"));
        }
        Ok((response, cargo.keys))
    }

    /// The answer for the caller.
    async fn answer(
        &self,
        response: Response<ResponseBody>,
        keys: Option<Keys>,
        asked: &Asked,
    ) -> Result<Response<Body>, S3Refusal> {
        let (parts, body) = response.into_parts();
        let name = self.head.operation.name;
        let status = parts.status;
        if !(status.is_success() || status == StatusCode::NOT_MODIFIED) {
            let document = answer::read_failure(body).await;
            let refused = answer::failed(status, &document, self.head);
            *self.desk.error_headers() = answer::of_markers(&parts.headers);
            return Err(self.missing(refused, asked));
        }
        let mut headers = answer::passed_on(&parts.headers);
        let mut answered = match name {
            "DeleteObjects" => {
                let Some(Keys { keys, quiet }) = keys else {
                    return Err(answer::unreadable("it has no keys"));
                };
                let document = answer::read(body, answer::MAX_DOCUMENT).await?;
                let found = read_deletion(&document).ok_or_else(|| answer::unreadable("it is no list of keys"))?;
                return Ok(self.deleted(&keys, found, quiet));
            }
            "CopyObject" | "UploadPartCopy" | "CompleteMultipartUpload" => {
                let (document, rest) = answer::read_patiently(body).await?;
                if rest.is_none() && irsa_s3::relay::read_error(&document).is_some() {
                    return Err(self.missing(answer::failed(status, &document, self.head), asked));
                }
                headers.remove(header::CONTENT_LENGTH);
                let document = self.own_location(document);
                Response::new(match rest {
                    None => full(document),
                    Some(rest) => followed_by(document, rest),
                })
            }
            "CreateBucket" => {
                let _ = answer::read(body, answer::MAX_DOCUMENT).await?;
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::CONTENT_TYPE);
                let location = format!("/{}", self.head.place.bucket.as_deref().unwrap_or_default());
                if let Ok(location) = HeaderValue::from_str(&location) {
                    headers.insert(header::LOCATION, location);
                }
                Response::new(full(""))
            }
            "DeleteBucket" => {
                // What was set for it goes with it, before its name may be taken again.
                if let Some(record) = &asked.bucket {
                    self.upstreams.buckets.delete(record).await.map_err(|error| {
                        tracing::error!(%error, "the settings of a bucket that is deleted could not be removed");
                        S3Refusal::new("InternalError", "We encountered an internal error. Please try again.")
                    })?;
                }
                Response::new(body.boxed_unsync())
            }
            _ => Response::new(body.boxed_unsync()),
        };
        if name == "HeadBucket"
            && let Ok(region) = HeaderValue::from_str(&self.upstreams.own_region)
        {
            headers.insert("x-amz-bucket-region", region);
        }
        if let Some((name, count)) = answer::tag_count(&parts.headers)
            && self.may_read_tags(asked)
        {
            headers.insert(name, count);
        }
        if !self.head.operation.read_only {
            let told = |name: &&'static str| Some((*name, headers.get(*name)?.to_str().ok()?.to_owned()));
            self.desk.outcome().elements = VERSION_HEADERS.iter().filter_map(told).collect();
        }
        *answered.status_mut() = status;
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        self.desk.outcome().bytes_out = match length {
            _ if name.starts_with("Head") || status == StatusCode::NOT_MODIFIED => 0,
            Some(length) => length,
            None => answered.body().size_hint().exact().unwrap_or_default(),
        };
        *answered.headers_mut() = headers;
        Ok(answered)
    }

    /// What a caller learns who asked for an object that is not there: that it is not there if the caller may list the bucket, else nothing.
    fn missing(&self, refused: S3Refusal, asked: &Asked) -> S3Refusal {
        let actions: &[&'static str] = match refused.code.as_str() {
            "NoSuchKey" => &["s3:ListBucket"],
            "NoSuchVersion" => &["s3:ListBucketVersions", "s3:ListBucket"],
            _ => return refused,
        };
        // A copy misses its source.
        let bucket = match self.head.operation.resource {
            ResourceKind::Copy => asked.questions.first().and_then(|question| question.bucket.as_ref()),
            _ => asked.bucket.as_ref(),
        };
        let Some(bucket) = bucket else { return refused };
        let mut denied = Denied::bare();
        for action in actions {
            let question = self.upstreams.questioner.unasked(self.head, action, bucket, None);
            match self.desk.authorizer.permits(&question) {
                Ok(()) => return refused,
                Err(why) => denied = why,
            }
        }
        self.desk.error_headers().clear();
        denied.into()
    }

    /// Whether the caller may know how many tags an object has whose content is told.
    fn may_read_tags(&self, asked: &Asked) -> bool {
        let Some(read) = asked.questions.first() else {
            return false;
        };
        let question = self.upstreams.questioner.of_tags(&read.target);
        // How many there are is not told on the strength of tags that were not looked at.
        !self.desk.authorizer.depends_on_tags(&question) && self.desk.authorizer.permits(&question).is_ok()
    }

    /// The answer to a multi-object delete, of what was decided here and what was done there, in the order of the request.
    fn deleted(
        &self,
        keys: &[(KeyQuestions, Option<(String, String)>)],
        mut found: Vec<DeletedKey>,
        quiet: bool,
    ) -> Response<Body> {
        let mut told = Vec::with_capacity(keys.len());
        for (key, refused) in keys {
            let version = key.version.clone();
            let known = found
                .iter()
                .position(|found| found.key == key.key && (version.is_none() || found.version == version))
                .map(|index| found.swap_remove(index));
            told.push(match (refused, known) {
                (None, Some(known)) => known,
                (refused, _) => DeletedKey {
                    key: key.key.clone(),
                    version,
                    error: Some(refused.clone().unwrap_or_else(|| {
                        let text = "We encountered an internal error. Please try again.";
                        ("InternalError".to_owned(), text.to_owned())
                    })),
                    ..DeletedKey::default()
                },
            });
        }
        let document = write_deleted(&told, quiet);
        let mut outcome = self.desk.outcome();
        outcome.bytes_out = document.len() as u64;
        outcome.keys = told
            .into_iter()
            .zip(keys)
            .map(|(told, (asked, _))| key_outcome(told, asked))
            .collect();
        let mut response = Response::new(full(document));
        let xml = HeaderValue::from_static("application/xml");
        response.headers_mut().insert(header::CONTENT_TYPE, xml);
        response
    }

    /// A completed upload is told where it is; the store's own address is nobody's business.
    fn own_location(&self, document: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&document);
        let (Some((before, rest)), (Some(bucket), Some(key))) = (
            text.split_once("<Location>"),
            (&self.head.place.bucket, &self.head.place.key),
        ) else {
            return document;
        };
        let Some((_, after)) = rest.split_once("</Location>") else {
            return document;
        };
        let own = format!("/{bucket}/{}", encode(key, true));
        format!("{before}<Location>{own}</Location>{after}").into()
    }
}

/// What the record says of a key.
fn key_outcome(told: DeletedKey, asked: &KeyQuestions) -> KeyOutcome {
    let mut elements = Vec::new();
    if told.error.is_none() {
        if let Some(version) = told.marker_version.or(told.version) {
            elements.push(("x-amz-version-id", version));
        }
        if told.marker {
            elements.push(("x-amz-delete-marker", "true".to_owned()));
        }
    }
    KeyOutcome {
        key: told.key,
        version: asked.version.clone(),
        error: told.error,
        elements,
    }
}

impl S3Upstreams {
    /// Sends a request of our own, and reads the whole answer.
    pub(super) async fn ask(
        &self,
        behind: &Behind,
        method: Method,
        path: &str,
        query: &str,
    ) -> Result<(StatusCode, Bytes), S3Refusal> {
        let request = request(method, path, query, HeaderMap::new(), full(""))?;
        let empty = Payload::Sha256(crate::pipeline::digest_of(b""));
        let response = self.send(behind, request, empty).await?;
        let status = response.status();
        let document = answer::read(response.into_body(), answer::MAX_DOCUMENT).await?;
        Ok((status, document))
    }

    /// The buckets that a store has.
    pub(super) async fn buckets_of(&self, behind: &Behind) -> Result<Vec<(String, Option<Timestamp>)>, S3Refusal> {
        let (mut all, mut query) = (Vec::new(), String::new());
        // A store that never ends is none.
        for _ in 0..100 {
            let (status, document) = self.ask(behind, Method::GET, "/", &query).await?;
            if status != StatusCode::OK {
                return Err(answer::own_failure(status.as_u16(), None));
            }
            let page = read_buckets(&document).ok_or_else(|| answer::unreadable("it is no list of buckets"))?;
            all.extend(page.buckets);
            match page.next {
                None => return Ok(all),
                Some(token) => query = format!("continuation-token={}", encode(&token, false)),
            }
        }
        Err(answer::unreadable("its list of buckets does not end"))
    }

    async fn send(
        &self,
        behind: &Behind,
        request: Request<Body>,
        payload: Payload,
    ) -> Result<Response<ResponseBody>, S3Refusal> {
        let sign = Sign {
            service: "s3",
            region: &self.region,
            payload,
        };
        let sent = behind.upstream.send(request, &sign, self.clock.now()).await;
        sent.map_err(|error| answer::no_answer(&error))
    }
}

fn request(
    method: Method,
    path: &str,
    query: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Request<Body>, S3Refusal> {
    let target = match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target
        .parse()
        .map_err(|_| S3Refusal::new("InvalidURI", "Couldn't parse the specified URI."))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A beginning, and what comes after it.
fn followed_by(first: Bytes, rest: Body) -> Body {
    use futures_util::StreamExt;
    let first = futures_util::stream::iter([Ok(http_body::Frame::data(first))]);
    http_body_util::StreamBody::new(first.chain(http_body_util::BodyStream::new(rest))).boxed_unsync()
}
