//! One request on its way to a store.

mod cargo;
mod headers;
mod reply;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use irsa_core::Timestamp;
use irsa_s3::relay::{encode, is_plain_key, is_plain_prefix, read_buckets, source_key, write_acl};
use irsa_s3::{Asked, Body, Head, ResourceKind, S3Refusal};
use irsa_sigv4::Payload;
use irsa_upstream::{ResponseBody, Sign};

use cargo::{Cargo, Keys};

use super::tags::UpstreamTags;
use super::{ANSWERED, Behind, Desk, S3Upstreams, answer};
use crate::body::full;

/// One request, its store, and what is known of it.
pub(super) struct Relay<'a> {
    pub(super) upstreams: &'a S3Upstreams,
    pub(super) behind: &'a Behind,
    pub(super) desk: &'a Desk,
    pub(super) head: &'a Head<'a>,
    pub(super) extensions: &'a Extensions,
    /// Puts the headers that every answer has into one about this bucket.
    pub(super) mark: &'a (dyn Fn(Option<&str>, &mut HeaderMap) + Send + Sync),
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
        self.check_names()?;
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
        if ANSWERED.contains(&self.head.operation.name) {
            return self.acl(&asked).await;
        }
        let query = self.query()?;
        let cargo = self.cargo(&asked, &tags, body).await?;
        if let Some(Keys { keys, quiet }) = &cargo.keys
            && keys.iter().all(|(_, refused)| refused.is_some())
        {
            return Ok(self.deleted(keys, Vec::new(), *quiet));
        }
        let (response, keys) = self.send(method, &query, headers, cargo).await?;
        self.answer(response, keys, &asked).await
    }

    /// Where the bucket or the object is at the store.
    fn path(&self) -> String {
        let place = &self.head.place;
        match (&place.bucket, &place.key) {
            (Some(bucket), Some(key)) => format!("/{bucket}/{}", encode(key, true)),
            (Some(bucket), None) => format!("/{bucket}"),
            (None, _) => "/".to_owned(),
        }
    }

    /// The query as it goes on, with the ids that the store has for uploads.
    fn query(&self) -> Result<String, S3Refusal> {
        let bucket = self.head.place.bucket.as_deref().unwrap_or_default();
        let ids = &self.upstreams.uploads;
        let mut query = Vec::with_capacity(self.head.query.len());
        for (name, value) in &self.head.query {
            let value = match name.as_str() {
                "uploadId" => {
                    let key = self.head.place.key.as_deref().unwrap_or_default();
                    ids.take(bucket, key, value).ok_or_else(|| {
                        let text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                                    aborted or completed.";
                        S3Refusal::new("NoSuchUpload", text)
                    })?
                }
                // Without a key there is nothing for an upload to be after.
                "upload-id-marker" => match self.head.parameter("key-marker") {
                    None | Some("") => continue,
                    Some(_) if value.is_empty() => value,
                    Some(key) => ids
                        .take(bucket, key, value)
                        .ok_or_else(|| S3Refusal::new("InvalidArgument", "Invalid uploadId marker"))?,
                },
                _ => value,
            };
            query.push(format!("{}={}", encode(name, false), encode(value, false)));
        }
        Ok(query.join("&"))
    }

    /// Refuses what a store may take for the name of something else.
    fn check_names(&self) -> Result<(), S3Refusal> {
        let is_plain = |name: Option<&str>| name.is_none_or(|name| self.upstreams.takes(name));
        let prefix = self.head.parameter("prefix");
        let source = source_key(self.head.headers());
        let is_allowed = self.upstreams.literal_keys
            || is_plain(self.head.place.key.as_deref())
                && is_plain(source.as_deref())
                && prefix.is_none_or(is_plain_prefix);
        is_allowed.then_some(()).ok_or_else(two_readings)
    }

    /// There are no ACLs: reading one tells that, if the object is there, and none can be set.
    async fn acl(&self, asked: &Asked) -> Result<Response<Body>, S3Refusal> {
        if self.head.operation.name == "PutObjectAcl" {
            return Err(S3Refusal::new(
                "AccessControlListNotSupported",
                "The bucket does not allow ACLs",
            ));
        }
        let query = match self.head.parameter("versionId") {
            None => String::new(),
            Some(version) => format!("versionId={}", encode(version, false)),
        };
        let (status, document) = self
            .upstreams
            .ask(self.behind, Method::HEAD, &self.path(), &query)
            .await?;
        if !status.is_success() {
            return Err(self.missing(answer::failed(status, &document, self.head), asked));
        }
        let mut response = Response::new(full(write_acl(self.behind.account)));
        let xml = HeaderValue::from_static("application/xml");
        response.headers_mut().insert(header::CONTENT_TYPE, xml);
        self.desk.outcome().bytes_out = response.body().size_hint().exact().unwrap_or_default();
        Ok(response)
    }

    /// Sends what was decided, and gives the answer's head.
    async fn send(
        &self,
        method: &Method,
        query: &str,
        mut headers: HeaderMap,
        cargo: Cargo,
    ) -> Result<(Response<ResponseBody>, Option<Keys>), S3Refusal> {
        headers.extend(cargo.headers);
        let request = request(method.clone(), &self.path(), query, headers, cargo.body)?;
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
}

/// A key that is not sent on.
fn two_readings() -> S3Refusal {
    S3Refusal::new(
        "InvalidURI",
        "The key has an empty segment, one that is `.` or `..`, or a backslash, which stores may read in two ways. Such keys are for \
         servers with --s3-upstream-literal-keys.",
    )
}

impl S3Upstreams {
    /// Whether a key may go on.
    pub(super) fn takes(&self, key: &str) -> bool {
        self.literal_keys || is_plain_key(key)
    }

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
