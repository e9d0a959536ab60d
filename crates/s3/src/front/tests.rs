//! The front as a client meets it: requests in, responses out, with a scripted policy engine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use irsa_core::{AccountId, Clock, Timestamp};

use super::*;
use crate::bucket::{BucketRecord, BucketSettings, MemoryBuckets, NamedPrincipal};
use crate::target::{Allowed, Authorizer, Denied};
use crate::{ResourceKind, operations};

mod acl;
mod conformance;
mod direct;
mod enforcement;
mod multipart;
mod objects;
mod secrets;
mod settings;
mod table;
mod tagging;
mod versions;

/// 2026-01-02T03:04:05Z.
const NOW: i64 = 1_767_323_045;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOW)
    }
}

fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

/// A policy engine that allows what the script says, and remembers what it was asked.
struct Script {
    account: Option<AccountId>,
    allow: Box<dyn Fn(&Target) -> bool + Send + Sync>,
    asked: Mutex<Vec<Target>>,
}

impl Script {
    fn new(allow: impl Fn(&Target) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            account: Some(account(111_122_223_333)),
            allow: Box::new(allow),
            asked: Mutex::default(),
        })
    }

    fn all() -> Arc<Self> {
        Self::new(|_| true)
    }

    /// Allows these actions on everything.
    fn only(actions: &'static [&'static str]) -> Arc<Self> {
        Self::new(move |target| actions.contains(&target.action))
    }

    fn questions(&self) -> Vec<(&'static str, String)> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|target| (target.action, target.resource_arn.clone()))
            .collect()
    }
}

impl Authorizer for Script {
    fn account(&self) -> Option<AccountId> {
        self.account
    }

    fn principal(&self) -> Option<String> {
        self.account.map(|account| format!("arn:aws:iam::{account}:user/ann"))
    }

    fn find_principal(&self, name: &str) -> NamedPrincipal {
        if name.contains("none") {
            NamedPrincipal::Unknown
        } else if name.contains(":role/") {
            NamedPrincipal::Bound("AROAEXAMPLE1234567890".to_owned())
        } else {
            NamedPrincipal::Known
        }
    }

    fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
        self.asked.lock().unwrap().push((**target).clone());
        self.permits(target)?;
        Ok(Allowed::decided(target))
    }

    fn permits(&self, target: &Target) -> Result<(), Denied> {
        if (self.allow)(target) {
            return Ok(());
        }
        Err(Denied {
            code: "AccessDenied",
            message: format!(
                "User: u is not authorized to perform: {} on resource: \"{}\" because no identity-based policy allows the {} action",
                target.action, target.resource_arn, target.action
            ),
        })
    }
}

struct Server {
    front: Front,
    buckets: Arc<MemoryBuckets>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        Self::in_region("us-east-1")
    }

    fn in_region(region: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let buckets = Arc::new(MemoryBuckets::default());
        let front = Front::new(FrontOptions {
            store: ObjectStore::open(folder.path()).unwrap(),
            buckets: Arc::clone(&buckets) as Arc<dyn Buckets>,
            clock: Arc::new(FixedClock),
            region: region.to_owned(),
            domains: vec!["s3.example".to_owned()],
            upload_lifetime: None,
        });
        Self {
            front,
            buckets,
            _folder: folder,
        }
    }

    /// A server with the bucket `my-bucket` of the caller's account.
    async fn with_bucket() -> Self {
        let server = Self::new();
        server.bucket("my-bucket", 111_122_223_333).await;
        server
    }

    async fn bucket(&self, name: &str, owner: u64) {
        let record = BucketRecord {
            name: name.to_owned(),
            id: uuid::Uuid::new_v4(),
            account: account(owner),
            region: "us-east-1".to_owned(),
            created: FixedClock.now(),
            settings: BucketSettings::default(),
        };
        self.buckets.create(record).await.unwrap();
    }

    async fn send(&self, script: &Arc<Script>, request: Request<Body>) -> Answer {
        let mut request = request;
        request
            .extensions_mut()
            .insert(Arc::clone(script) as Arc<dyn Authorizer>);
        request.extensions_mut().insert(Identifiers {
            request_id: "REQ1".to_owned(),
            host_id: "HOST1".to_owned(),
        });
        Answer::of(self.front.handle(request).await).await
    }

    async fn call(&self, script: &Arc<Script>, method: &str, uri: &str, body: &str) -> Answer {
        self.send(script, request(method, uri, &[], body)).await
    }

    async fn put(&self, key: &str, content: &str) {
        let answer = self
            .call(&Script::all(), "PUT", &format!("/my-bucket/{key}"), content)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut builder = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(uri)
        .header("host", "127.0.0.1:4700");
    if !body.is_empty() || method == "PUT" || method == "POST" {
        builder = builder.header("content-length", body.len());
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(full(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    outcome: S3Outcome,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
            outcome: parts.extensions.get::<S3Outcome>().unwrap().clone(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    fn element(&self, name: &str) -> &str {
        let Some((_, rest)) = self.text.split_once(&format!("<{name}>")) else {
            return "";
        };
        rest.split_once(&format!("</{name}>")).unwrap().0
    }

    fn elements(&self, name: &str) -> Vec<&str> {
        self.text
            .split(&format!("<{name}>"))
            .skip(1)
            .map(|rest| rest.split_once(&format!("</{name}>")).unwrap().0)
            .collect()
    }

    fn code(&self) -> &str {
        self.element("Code")
    }
}

/// A body that comes in pieces, and ends in an error or in trailers.
fn pieces(frames: Vec<Result<Frame<Bytes>, BoxError>>) -> Body {
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
