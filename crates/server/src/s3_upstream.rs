//! Another S3 store behind us: every request is authenticated, asked about, decided and recorded as one for the embedded store is, by the same
//! code, and then sent on under credentials of ours.
//!
//! What is sent on is made anew from what was decided: method, path, query, documents and the headers of the operation's row. Nothing of
//! the caller's head passes by itself. Bodies stream; their last byte leaves only when hash, chunk signatures and checksums were right.
//!
//! The record is written when the store's head has arrived and before the caller sees it, as that of an embedded object is when its row is
//! read: it says what came of the request, and an answer without a record is none. What the store did stays done, as a commit does.

mod answer;
mod body;
mod buckets;
mod config;
mod relay;
mod tags;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use irsa_core::{AccountId, Clock, Timestamp};
use irsa_credentials::KeyEncryptionKey;
use irsa_s3::relay::{refusal, source_bucket};
use irsa_s3::{
    Allowed, Authorizer, Body, BucketRecord, Buckets, Denied, Front, Head, Identifiers, MoreBuckets, Question,
    Questioner, ResourceKind, S3Outcome, S3Refusal, Visitor,
};
use irsa_upstream::Upstream;

use buckets::UpstreamBuckets;
pub(crate) use buckets::id_behind;
pub use config::{S3Upstream, S3UpstreamConfig, S3UpstreamError};
use relay::Relay;
use tags::UpstreamTags;
use uploads::UploadIds;

use crate::body::full;

/// Operations that the store behind us does. All others are ours: settings of buckets decide who may do what, and are never sent on.
pub(crate) const SENT_ON: &[&str] = &[
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetBucketVersioning",
    "GetObject",
    "GetObjectAttributes",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketVersioning",
    "PutObject",
    "PutObjectTagging",
    "UploadPart",
    "UploadPartCopy",
];

/// Operations on objects that are neither here nor there: there are no ACLs, wherever the object is.
const ANSWERED: &[&str] = &["GetObjectAcl", "PutObjectAcl"];

/// How long an answer may take before it is begun: a store that copies much says 200 first, and blanks while it works.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store, and the account whose it is.
pub(crate) struct Behind {
    pub(crate) account: AccountId,
    pub(crate) upstream: Arc<Upstream>,
}

/// Which bucket is where.
#[derive(Default)]
pub(crate) struct Places {
    named: HashMap<String, Arc<Behind>>,
    rest: Option<Arc<Behind>>,
}

impl Places {
    /// The store of a bucket; `None`: the embedded one.
    pub(crate) fn of(&self, bucket: &str) -> Option<&Arc<Behind>> {
        self.named.get(bucket).or(self.rest.as_ref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.rest.is_none()
    }
}

/// The stores behind us.
pub(crate) struct S3Upstreams {
    pub(crate) places: Arc<Places>,
    /// The region that their requests are signed for.
    pub(crate) region: String,
    /// Ours.
    pub(crate) own_region: String,
    pub(crate) questioner: Questioner,
    pub(crate) buckets: Arc<UpstreamBuckets>,
    pub(crate) clock: Arc<dyn Clock>,
    uploads: UploadIds,
    literal_keys: bool,
    patience: Duration,
}

/// What is known of one request while it is answered.
pub(crate) struct Desk {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) identifiers: Identifiers,
    outcome: Mutex<S3Outcome>,
    /// Headers of an error answer.
    error_headers: Mutex<HeaderMap>,
}

impl Desk {
    pub(crate) fn outcome(&self) -> std::sync::MutexGuard<'_, S3Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error_headers(&self) -> std::sync::MutexGuard<'_, HeaderMap> {
        self.error_headers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one question and writes down what came of it. An answer to another question is no answer.
    pub(crate) fn decide(&self, question: &Question) -> Result<(), Denied> {
        let target = Arc::new(question.target.clone());
        let decision = self
            .authorizer
            .authorize(&target)
            .and_then(|allowed: Allowed| (*allowed.target() == target).then_some(()).ok_or_else(Denied::bare));
        self.outcome().targets.push((target, decision.is_ok()));
        decision
    }
}

/// Who answers a request.
enum Way<'a> {
    /// The front, for what is embedded or ours.
    Front,
    /// The front, after the store said that there is such a bucket.
    FrontIfThere(Head<'a>, Arc<Behind>),
    /// The front, with the buckets of these stores among its own.
    List(Head<'a>),
    /// The store.
    Behind(Head<'a>, Arc<Behind>),
}

impl S3Upstreams {
    /// The stores of a server whose first account is `account`, with its registry of embedded buckets.
    pub(crate) fn new(
        config: &S3UpstreamConfig,
        embedded: Arc<dyn Buckets>,
        region: &str,
        domains: &[String],
        account: AccountId,
        clock: Arc<dyn Clock>,
        kek: &KeyEncryptionKey,
    ) -> Result<Self, S3UpstreamError> {
        let places = Arc::new(config.places(account)?);
        let buckets = Arc::new(UpstreamBuckets {
            inner: embedded,
            places: Arc::clone(&places),
            region: region.to_owned(),
        });
        let known = Arc::clone(&buckets);
        Ok(Self {
            places,
            region: config.region.clone().unwrap_or_else(|| region.to_owned()),
            own_region: region.to_owned(),
            questioner: Questioner::new(known, region, domains.to_vec()),
            buckets,
            clock,
            uploads: UploadIds::new(&kek.derive("s3 upload ids")),
            literal_keys: config.literal_keys,
            patience: config.patience.unwrap_or(PATIENCE),
        })
    }

    /// All buckets, here and there.
    pub(crate) fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::<UpstreamBuckets>::clone(&self.buckets)
    }

    /// Whether an answer may have to begin before its end is known.
    pub(crate) fn may_be_slow(&self) -> bool {
        !self.places.is_empty()
    }

    /// Answers one request as [`Front::handle`] does.
    pub(crate) async fn handle(&self, front: &Front, request: Request<Body>) -> Response<Body> {
        if self.places.is_empty() {
            return front.handle(request).await;
        }
        let (mut parts, body) = request.into_parts();
        let (Some(authorizer), Some(identifiers)) = (
            parts.extensions.get::<Arc<dyn Authorizer>>().cloned(),
            parts.extensions.get::<Identifiers>().cloned(),
        ) else {
            // It refuses what nobody decides.
            return front.handle(Request::from_parts(parts, body)).await;
        };
        let desk = Desk {
            authorizer,
            identifiers,
            outcome: Mutex::default(),
            error_headers: Mutex::default(),
        };
        let resource = parts.uri.path().to_owned();
        let is_head = parts.method == Method::HEAD;
        let visitor = Visitor::of(&parts);
        let mark = |bucket: Option<&str>, headers: &mut HeaderMap| {
            for (name, value) in [
                ("x-amz-request-id", &desk.identifiers.request_id),
                ("x-amz-id-2", &desk.identifiers.host_id),
            ] {
                if let Ok(value) = header::HeaderValue::from_str(value) {
                    headers.insert(name, value);
                }
            }
            front.mark(&visitor, bucket, headers);
        };
        let prepared = irsa_s3::prepare(&mut parts);
        let read = parts.clone();
        let answered = match prepared.and_then(|()| self.way(&read)) {
            Ok(Way::Front) => return front.handle(Request::from_parts(parts, body)).await,
            Ok(Way::FrontIfThere(head, behind)) => match Box::pin(self.check_bucket(&desk, &head, &behind)).await {
                Ok(()) => return front.handle(Request::from_parts(parts, body)).await,
                Err(refused) => Err(refused),
            },
            Ok(Way::List(head)) => match Box::pin(self.list(&desk, &head)).await {
                Ok(more) => {
                    parts.extensions.insert(more);
                    return front.handle(Request::from_parts(parts, body)).await;
                }
                Err(refused) => Err(refused),
            },
            Ok(Way::Behind(head, behind)) => {
                let relay = Relay {
                    upstreams: self,
                    behind: &behind,
                    desk: &desk,
                    head: &head,
                    extensions: &parts.extensions,
                    mark: &mark,
                };
                Box::pin(relay.run(&parts.method, body)).await
            }
            Err(refused) => Err(refused),
        };
        let mut response = answered.unwrap_or_else(|refused| {
            let mut outcome = desk.outcome();
            outcome.error = Some((refused.code.clone(), refused.message.clone()));
            let mut response = refusal(&refused, &resource, &outcome, &desk.identifiers);
            response.headers_mut().extend(desk.error_headers().clone());
            if is_head {
                *response.body_mut() = full("");
            }
            response
        });
        let outcome = desk.outcome().clone();
        mark(outcome.bucket.as_deref(), response.headers_mut());
        response.extensions_mut().insert(outcome);
        response
    }

    /// Whose bucket it is, for the record.
    pub(crate) fn owner(&self, bucket: &str) -> Option<AccountId> {
        self.places.of(bucket).map(|behind| behind.account)
    }

    fn way<'a>(&self, parts: &'a Parts) -> Result<Way<'a>, S3Refusal> {
        let place = self.questioner.place(parts)?;
        let Some(bucket) = &place.bucket else {
            return Ok(match self.questioner.head(parts) {
                Ok(head) if head.operation.name == "ListBuckets" => Way::List(head),
                // It says why not.
                _ => Way::Front,
            });
        };
        let behind = self.places.of(bucket);
        // A copy stays where it is; what can't be told will be refused.
        if let Some(source) = source_bucket(&parts.headers) {
            let endpoint = |behind: Option<&Arc<Behind>>| behind.map(|behind| behind.upstream.endpoint().clone());
            if endpoint(behind) != endpoint(self.places.of(&source)) {
                return Err(between_stores());
            }
        }
        let Some(behind) = behind else {
            return Ok(Way::Front);
        };
        // A browser's question about other origins is ours to answer, and has no operation.
        if parts.method == Method::OPTIONS {
            return Ok(Way::Front);
        }
        let head = self.questioner.head(parts)?;
        Ok(
            if SENT_ON.contains(&head.operation.name) || ANSWERED.contains(&head.operation.name) {
                Way::Behind(head, Arc::clone(behind))
            } else if head.operation.resource == ResourceKind::Bucket {
                Way::FrontIfThere(head, Arc::clone(behind))
            } else {
                // The embedded store has no objects of this bucket.
                return Err(S3Refusal::new(
                    "NotImplemented",
                    "A header you provided implies functionality that is not implemented",
                ));
            },
        )
    }

    /// For an operation of ours on a bucket that is the store's: whether it is there. Who may not do the operation is not told; the front
    /// will refuse it.
    async fn check_bucket(&self, desk: &Desk, head: &Head<'_>, behind: &Behind) -> Result<(), S3Refusal> {
        let tags = UpstreamTags::new(self, behind, desk);
        let asked = self.questioner.of_head(head, &tags).await?;
        let allowed = |question: &Question| desk.authorizer.permits(&question.target).is_ok();
        if asked.questions.is_empty() || !asked.questions.iter().all(allowed) {
            return Ok(());
        }
        let Some(bucket) = head.place.bucket.as_deref() else {
            return Ok(());
        };
        let response = self.ask(behind, Method::HEAD, &format!("/{bucket}"), "").await?;
        match response.0 {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => {
                let mut outcome = desk.outcome();
                outcome.operation = Some(head.operation);
                outcome.bucket = Some(bucket.to_owned());
                drop(outcome);
                Err(S3Refusal::new("NoSuchBucket", "The specified bucket does not exist"))
            }
            status => Err(answer::own_failure(status.as_u16(), None)),
        }
    }

    /// The buckets of the stores that are the caller's account's.
    async fn list(&self, desk: &Desk, head: &Head<'_>) -> Result<MoreBuckets, S3Refusal> {
        let Some(account) = desk.authorizer.account() else {
            return Ok(MoreBuckets::default());
        };
        let asked = self.questioner.of_head(head, &tags::NoTags).await?;
        if !asked
            .questions
            .iter()
            .all(|question| desk.authorizer.permits(&question.target).is_ok())
        {
            return Ok(MoreBuckets::default());
        }
        let mut found: Vec<Arc<BucketRecord>> = Vec::new();
        let mut record = |name: &str, created: Option<Timestamp>| {
            if let Some(known) = self.buckets.of_upstream(name) {
                let mut known = (*known).clone();
                known.created = created.unwrap_or(known.created);
                found.push(Arc::new(known));
            }
        };
        if let Some(behind) = self.places.rest.as_ref().filter(|behind| behind.account == account) {
            for (name, created) in self.buckets_of(behind).await? {
                if !self.places.named.contains_key(&name) {
                    record(&name, created);
                }
            }
        }
        let mut named: Vec<_> = self
            .places
            .named
            .iter()
            .filter(|(_, behind)| behind.account == account)
            .collect();
        named.sort_unstable_by_key(|(name, _)| name.as_str());
        for (name, behind) in named {
            let (status, _) = self.ask(behind, Method::HEAD, &format!("/{name}"), "").await?;
            if status.is_success() {
                record(name, None);
            }
        }
        Ok(MoreBuckets(found))
    }
}

/// A copy would have to be read and written by us, which is not what a copy is.
pub(crate) fn between_stores() -> S3Refusal {
    S3Refusal::new(
        "NotImplemented",
        "Source and destination of a copy must be in the same store. These buckets are in different ones.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that somebody adds is decided about: what is about objects is sent on, and of what is about buckets, the lists.
    #[test]
    fn every_operation_is_sent_on_or_ours() {
        for row in irsa_s3::operations() {
            let of_store = match row.resource {
                ResourceKind::Service => false,
                ResourceKind::Bucket => row.name.starts_with("List") || SENT_ON.contains(&row.name),
                _ => !ANSWERED.contains(&row.name),
            };
            assert_eq!(SENT_ON.contains(&row.name), of_store, "{}", row.name);
        }
    }
}
