//! What the caller is told of a store's answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use irsa_s3::relay::{DeletedKey, encode, read_deletion, read_error, rename_uploads, write_deleted};
use irsa_s3::{Asked, Body, Buckets as _, Denied, KeyOutcome, KeyQuestions, ResourceKind, S3Refusal};
use irsa_upstream::ResponseBody;

use super::Relay;
use super::cargo::Keys;
use crate::body::full;
use crate::early::Early;
use crate::s3_upstream::answer;

/// Headers of answers that the records of writes have.
const VERSION_HEADERS: [&str; 3] = [
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-copy-source-version-id",
];

impl Relay<'_> {
    /// The answer for the caller.
    pub(super) async fn answer(
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
                headers.remove(header::CONTENT_LENGTH);
                let wait = || self.begin(&headers);
                let document = answer::read_patiently(body, self.upstreams.patience, wait).await?;
                if read_error(&document).is_some() {
                    return Err(self.missing(answer::failed(status, &document, self.head), asked));
                }
                Response::new(full(self.own_location(document)))
            }
            "CreateMultipartUpload" | "ListMultipartUploads" | "ListParts" => {
                let document = answer::read(body, answer::MAX_DOCUMENT).await?;
                headers.remove(header::CONTENT_LENGTH);
                Response::new(full(self.own_ids(&document)?))
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
    pub(super) fn missing(&self, refused: S3Refusal, asked: &Asked) -> S3Refusal {
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
    pub(super) fn deleted(
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

    /// Tells the caller that the answer takes its time: its head goes out, and blanks from now on. What it will say goes into the record
    /// before the caller sees it, as ever.
    fn begin(&self, headers: &HeaderMap) {
        if let Some(early) = self.extensions.get::<Early>() {
            early.begin(|| {
                let mut headers = headers.clone();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                (self.mark)(self.head.place.bucket.as_deref(), &mut headers);
                headers
            });
        }
    }

    /// An answer with uploads in it, under the ids that callers have.
    fn own_ids(&self, document: &[u8]) -> Result<Bytes, S3Refusal> {
        let place = &self.head.place;
        let bucket = place.bucket.as_deref().unwrap_or_default();
        let give = |key: &str, id: &str| self.upstreams.uploads.give(bucket, key, id);
        rename_uploads(document, place.key.as_deref(), give)
            .ok_or_else(|| answer::unreadable("the ids of its uploads can't be read"))
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
