//! What is sent besides the head: a content that streams, or a document made anew.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use irsa_s3::relay::{check_digest, check_md5, content_md5, write_bucket_place, write_deletion, write_tags};
use irsa_s3::{Asked, Body, BodyError, Document, Integrity, KeyQuestions, S3Refusal};
use irsa_sigv4::{ChecksumAlgorithm, Payload};

use super::{Relay, two_readings};
use crate::body::full;
use crate::s3_upstream::body::{Fate, Guarded};
use crate::s3_upstream::tags::UpstreamTags;

/// The largest document of a request, as the embedded store has it.
const MAX_DOCUMENT: usize = 4 << 20;
/// The largest object that one request may bring.
const MAX_OBJECT: u64 = 5 << 30;
/// The text of S3's `NotImplemented`.
const NOT_IMPLEMENTED: &str = "A header you provided implies functionality that is not implemented";
/// The region whose buckets are made without saying where.
const CLASSIC_REGION: &str = "us-east-1";

/// What is sent besides the head.
pub(super) struct Cargo {
    pub(super) body: Body,
    pub(super) payload: Payload,
    pub(super) headers: HeaderMap,
    /// Of a content that streams.
    pub(super) fate: Option<Fate>,
    /// Of a multi-object delete.
    pub(super) keys: Option<Keys>,
}

/// The keys of a multi-object delete: what was decided about each, and whether only failures are told.
pub(super) struct Keys {
    pub(super) keys: Vec<(KeyQuestions, Option<(String, String)>)>,
    pub(super) quiet: bool,
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
    /// What the body asks, and what is sent of it.
    pub(super) async fn cargo(&self, asked: &Asked, tags: &UpstreamTags<'_>, body: Body) -> Result<Cargo, S3Refusal> {
        let operation = self.head.operation;
        if operation.object_body {
            return self.content(body).await;
        }
        let (document, trailers) = self.read(body).await?;
        if !asked.awaits_body {
            // Other operations have no document, and what a caller sends all the same goes nowhere.
            return match operation.name {
                // Its checksums are those of the object.
                "CompleteMultipartUpload" => {
                    check_md5(self.head.headers(), &document)?;
                    Cargo::document(document)
                }
                "PutBucketVersioning" => {
                    check_digest(self.head.headers(), trailers.as_ref(), &document)?;
                    Cargo::document(document)
                }
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
            Document::NewBucket(place, questions) => {
                for question in &questions {
                    self.desk.decide(question)?;
                }
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
                        let refused = refused.map(|denied| (denied.code.to_owned(), denied.message));
                        // It would be deleted without its condition.
                        let unheeded = key
                            .is_unheeded
                            .then(|| ("NotImplemented".to_owned(), NOT_IMPLEMENTED.to_owned()));
                        let ambiguous = (!self.upstreams.takes(&key.key)).then(|| {
                            let refused = two_readings();
                            (refused.code, refused.message)
                        });
                        (key, refused.or(unheeded).or(ambiguous))
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
}
