//! One request on its way to a store.

mod cargo;
mod headers;
mod reply;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode};
use irsa_core::Timestamp;
use irsa_s3::relay::{encode, read_buckets};
use irsa_s3::{Body, Head, ResourceKind, S3Refusal};
use irsa_sigv4::Payload;
use irsa_upstream::{ResponseBody, Sign};

use cargo::{Cargo, Keys};

use super::tags::UpstreamTags;
use super::{Behind, Desk, S3Upstreams, answer};
use crate::body::full;

/// One request, its store, and what is known of it.
pub(super) struct Relay<'a> {
    pub(super) upstreams: &'a S3Upstreams,
    pub(super) behind: &'a Behind,
    pub(super) desk: &'a Desk,
    pub(super) head: &'a Head<'a>,
    pub(super) extensions: &'a Extensions,
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
