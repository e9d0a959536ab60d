//! The questions of a request: what the policy engine must allow before anything is done for it.
//!
//! Whoever stands before objects asks these and no others: the embedded store, the proxy before an upstream, and the authorizer of
//! other people's proxies. What the head does not say, the body does ([`Asked::awaits_body`]).

mod document;
mod tags;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use http::request::Parts;
use irsa_core::{AccountId, partition_of_region};
use s3s::dto::CopySource;
use s3s::{S3Error, S3Result};

use crate::access::error;
use crate::bucket::{BucketRecord, Buckets};
use crate::operation::{NOT_IMPLEMENTED, Operation, ResourceKind, Source};
use crate::route::{Head, Place, place};
use crate::target::{Denied, Target};
pub(crate) use document::place_of_bucket;
pub use document::{Document, KeyQuestions};
pub(crate) use tags::tagging_header;
use tags::{add_request_tags, replaces_tags, request_tags};

/// A refusal in S3's words that is no decision: the request can't be read, or what it names is not there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct S3Refusal {
    /// The error code, such as `NoSuchBucket`.
    pub code: String,
    /// The message.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl S3Refusal {
    /// A refusal with the status that S3 gives to its code.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: error(code, "").status_code().map_or(500, |status| status.as_u16()),
            code: code.to_owned(),
            message,
        }
    }
}

impl From<Denied> for S3Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code, denied.message)
    }
}

impl From<S3Error> for S3Refusal {
    fn from(refused: S3Error) -> Self {
        Self {
            code: refused.code().as_str().to_owned(),
            message: refused.message().unwrap_or_default().to_owned(),
            status: refused.status_code().map_or(500, |status| status.as_u16()),
        }
    }
}

impl From<S3Refusal> for S3Error {
    fn from(refusal: S3Refusal) -> Self {
        error(&refusal.code, refusal.message)
    }
}

/// Where the tags of objects are, for decisions that depend on them.
#[async_trait]
pub trait ObjectTags: Send + Sync {
    /// The tags of the object that a question is about; none if there is no such object. `copied`: they are needed whole, since they go
    /// along with a copy; else only as far as a decision can depend on them.
    ///
    /// # Errors
    /// They can't be known, and so the request can't be decided.
    async fn tags(
        &self,
        bucket: &BucketRecord,
        target: &Target,
        copied: bool,
    ) -> Result<Vec<(String, String)>, S3Refusal>;
}

/// One question, and the bucket that it is about.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the policy engine is asked.
    pub target: Target,
    /// `None`: the whole service, or a bucket that is yet to be made.
    pub bucket: Option<Arc<BucketRecord>>,
}

/// The questions that a head asks.
#[derive(Clone, Debug)]
pub struct Asked {
    /// All of them must be allowed.
    pub questions: Vec<Question>,
    /// Whether the body asks what matters: see [`Questioner::of_document`].
    pub awaits_body: bool,
    /// The bucket of the path, if the operation is about one that exists.
    pub bucket: Option<Arc<BucketRecord>>,
}

/// Reads requests and finds their questions.
#[derive(Clone)]
pub struct Questioner {
    buckets: Arc<dyn Buckets>,
    partition: &'static str,
    domains: Vec<String>,
}

impl std::fmt::Debug for Questioner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Questioner").finish_non_exhaustive()
    }
}

impl Questioner {
    /// For a server in this region, with these host names whose subdomains are buckets.
    #[must_use]
    pub fn new(buckets: Arc<dyn Buckets>, region: &str, domains: Vec<String>) -> Self {
        Self {
            buckets,
            partition: partition_of_region(region),
            domains,
        }
    }

    /// Reads a head that [`crate::prepare`] has seen.
    ///
    /// # Errors
    /// It can't be read, or is for an operation that we have not.
    pub fn head<'a>(&self, parts: &'a Parts) -> Result<Head<'a>, S3Refusal> {
        Ok(Head::of_parts(parts, &self.domains)?)
    }

    /// The questions of a head.
    ///
    /// # Errors
    /// There is no such bucket, a header can't be read, or tags can't be known.
    pub async fn of_head(&self, head: &Head<'_>, tags: &dyn ObjectTags) -> Result<Asked, S3Refusal> {
        Ok(self.ask(head, tags).await?)
    }

    /// Bucket and key of a request, whatever its operation.
    ///
    /// # Errors
    /// The path can't be read.
    pub fn place(&self, parts: &Parts) -> Result<Place, S3Refusal> {
        Ok(place(&parts.uri, parts.version, &parts.headers, &self.domains)?)
    }

    /// A question that the request itself does not ask, such as whether its caller may know that an object is missing.
    #[must_use]
    pub fn unasked(&self, head: &Head<'_>, action: &'static str, bucket: &BucketRecord, key: Option<&str>) -> Target {
        Target {
            event_name: head.operation.event_name,
            action,
            bucket: Some(bucket.name.clone()),
            key: key.map(str::to_owned),
            version: None,
            resource_arn: arn(self.partition, &bucket.name, key),
            resource_account: Some(bucket.account),
            bucket_id: Some(bucket.id),
            context: Vec::new(),
            read_only: true,
            data_event: head.operation.data_event,
        }
    }

    /// The question whether the caller may read the tags of the object that another question was about.
    #[must_use]
    pub fn of_tags(&self, read: &Target) -> Target {
        let mut question = read.clone();
        question.set_action("s3:GetObjectTagging");
        question
    }

    pub(crate) fn partition(&self) -> &'static str {
        self.partition
    }

    pub(crate) async fn ask(&self, head: &Head<'_>, tags: &dyn ObjectTags) -> S3Result<Asked> {
        let operation = head.operation;
        let (bucket, key) = (head.place.bucket.as_deref(), head.place.key.as_deref());
        let record = match (operation.resource, bucket) {
            (ResourceKind::Service | ResourceKind::NewBucket, _) | (_, None) => None,
            (_, Some(name)) => Some(self.existing(name)?),
        };
        if let Some(record) = &record {
            check_owner(head.headers, "x-amz-expected-bucket-owner", record.account)?;
        }
        let question = |action: &'static str, key: Option<&str>| Question {
            target: self.target(head, action, bucket, key, record.as_deref()),
            bucket: record.clone(),
        };
        let version = version_of(head.parameter("versionId"))?;
        let mut asked: Vec<Question> = Vec::with_capacity(2);
        let mut awaits_body = false;
        match (operation.resource, bucket, key) {
            (ResourceKind::Service, None, None)
            | (ResourceKind::Bucket, Some(_), None)
            | (ResourceKind::Object, Some(_), Some(_)) => {
                let mut question = question(operation.action, key);
                question.target.set_version(version);
                asked.push(question);
            }
            (ResourceKind::NewBucket | ResourceKind::Keys, Some(_), None)
            | (ResourceKind::Tagged, Some(_), Some(_)) => awaits_body = true,
            (ResourceKind::Copy, Some(_), Some(_)) => {
                asked.push(self.of_source(head)?);
                asked.push(question(operation.action, key));
            }
            _ => {
                return Err(error(
                    "MethodNotAllowed",
                    "The specified method is not allowed against this resource.",
                ));
            }
        }
        // An ACL in a write is a second action, even the only ACL that a bucket without ACLs accepts.
        if let (ResourceKind::Object | ResourceKind::Copy, Some(_)) = (operation.resource, key)
            && operation.action != "s3:PutObjectAcl"
            && head.headers.contains_key("x-amz-acl")
        {
            asked.push(question("s3:PutObjectAcl", key));
        }
        // A condition on the object that is there tells about it, so it is a read as well.
        if let (ResourceKind::Object | ResourceKind::Copy, Some(_)) = (operation.resource, key)
            && reads_by_condition(operation.action, head.headers)
        {
            asked.push(question("s3:GetObject", key));
        }
        if operation.name == "GetObjectAttributes" && key.is_some() {
            let mut reading = question("s3:GetObject", key);
            reading.target.set_version(version);
            asked.push(reading);
        }
        let replaced = request_tags(operation, head.headers)?;
        let copies_tags = operation.name == "CopyObject" && !replaces_tags(head.headers);
        let mut source_tags = Vec::new();
        for (number, question) in asked.iter_mut().enumerate() {
            let copied = copies_tags && number == 0;
            let seen = add_existing_tags(question, tags, copied).await?;
            if copied {
                source_tags = seen;
            }
        }
        // Tags that go along with a copy are read and written.
        if !source_tags.is_empty()
            && let Some(source) = asked.first()
        {
            let mut reading = source.clone();
            reading.target.set_action("s3:GetObjectTagging");
            asked.push(reading);
        }
        if key.is_some() && (replaced.is_some() || !source_tags.is_empty()) {
            let mut writing = question("s3:PutObjectTagging", key);
            add_existing_tags(&mut writing, tags, false).await?;
            asked.push(writing);
        }
        if let Some(tags) = &replaced {
            for question in &mut asked {
                add_request_tags(&mut question.target, tags);
            }
        }
        Ok(Asked {
            questions: asked,
            awaits_body,
            bucket: record,
        })
    }

    /// What a copy reads.
    fn of_source(&self, head: &Head<'_>) -> S3Result<Question> {
        let (bucket, key, version) = copy_source(head.headers)?;
        let record = self.existing(&bucket)?;
        check_owner(head.headers, "x-amz-source-expected-bucket-owner", record.account)?;
        let mut target = self.target(head, "s3:GetObject", Some(&bucket), Some(&key), Some(&record));
        // The headers say what is written, not what is read.
        target
            .context
            .retain(|(name, _)| matches!(&**name, "s3:ResourceAccount" | "s3:x-amz-content-sha256"));
        target.set_version(version.as_deref());
        Ok(Question {
            target,
            bucket: Some(record),
        })
    }

    fn existing(&self, name: &str) -> S3Result<Arc<BucketRecord>> {
        self.buckets
            .get(name)
            .ok_or_else(|| error("NoSuchBucket", "The specified bucket does not exist"))
    }

    pub(crate) fn target(
        &self,
        head: &Head<'_>,
        action: &'static str,
        bucket: Option<&str>,
        key: Option<&str>,
        record: Option<&BucketRecord>,
    ) -> Target {
        let operation = head.operation;
        let owner = record.map(|record| record.account);
        Target {
            event_name: operation.event_name,
            action,
            bucket: bucket.map(str::to_owned),
            bucket_id: record.map(|record| record.id),
            key: key.map(str::to_owned),
            version: None,
            resource_arn: bucket.map_or_else(
                || format!("arn:{}:s3:::*", self.partition),
                |bucket| arn(self.partition, bucket, key),
            ),
            resource_account: owner,
            context: conditions(operation, &head.query, head.headers, owner),
            read_only: operation.read_only,
            data_event: operation.data_event,
        }
    }
}

/// Puts the tags that the object has into a question whose action knows such keys; what they are.
async fn add_existing_tags(
    question: &mut Question,
    tags: &dyn ObjectTags,
    copied: bool,
) -> S3Result<Vec<(String, String)>> {
    let (Some(record), true) = (&question.bucket, tags::knows_existing_tags(&question.target)) else {
        return Ok(Vec::new());
    };
    let seen = tags.tags(record, &question.target, copied).await?;
    tags::add_existing(&mut question.target, &seen);
    Ok(seen)
}

fn check_owner(headers: &HeaderMap, name: &str, owner: AccountId) -> S3Result<()> {
    match headers.get(name) {
        Some(expected) if expected.as_bytes() != owner.to_string().as_bytes() => {
            Err(error("AccessDenied", "Access Denied"))
        }
        _ => Ok(()),
    }
}

/// Whether a write has a condition that compares with the object that is there.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html> and `conditional-deletes.html` beside it.
fn reads_by_condition(action: &str, headers: &HeaderMap) -> bool {
    match headers.get("if-match") {
        None => false,
        Some(condition) => match action {
            "s3:PutObject" => true,
            "s3:DeleteObject" => condition.as_bytes() != b"*",
            _ => false,
        },
    }
}

/// The version that a request names. What ids there are, the store knows.
fn version_of(given: Option<&str>) -> S3Result<Option<&str>> {
    match given {
        Some("") => Err(error("InvalidArgument", "Version id cannot be the empty string")),
        other => Ok(other),
    }
}

/// Bucket, key and version that a copy reads, by the parser that the operation's input is read with.
pub(crate) fn copy_source(headers: &HeaderMap) -> S3Result<(String, String, Option<String>)> {
    let invalid = || {
        error(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let header = headers
        .get("x-amz-copy-source")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(invalid)?;
    match CopySource::parse(header).map_err(|_| invalid())? {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } if !key.is_empty() => {
            let version = version_of(version_id.as_deref())?.map(str::to_owned);
            Ok((bucket.into(), key.into(), version))
        }
        CopySource::Bucket { .. } => Err(invalid()),
        _ => Err(error("NotImplemented", NOT_IMPLEMENTED)),
    }
}

fn conditions(
    operation: &Operation,
    query: &[(String, String)],
    headers: &HeaderMap,
    owner: Option<AccountId>,
) -> Vec<(Cow<'static, str>, Vec<String>)> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let mut context: Vec<(Cow<'static, str>, Vec<String>)> = operation
        .conditions
        .iter()
        .filter_map(|(key, source)| {
            let value = match source {
                Source::Query(name) => query
                    .iter()
                    .find(|(given, _)| given == name)
                    .map(|(_, value)| value.clone()),
                // Policies name the source as it is, not as it is encoded for the wire.
                Source::Header(name @ "x-amz-copy-source") if headers.contains_key(*name) => copy_source(headers)
                    .ok()
                    .map(|(bucket, key, _)| format!("{bucket}/{key}")),
                Source::Header(name) => header(name),
                Source::Constant(value) => Some((*value).to_owned()),
            };
            value.map(|value| (Cow::Borrowed(*key), vec![value]))
        })
        .collect();
    if let Some(value) = header("x-amz-content-sha256") {
        context.push(("s3:x-amz-content-sha256".into(), vec![value]));
    }
    if let Some(owner) = owner {
        context.push(("s3:ResourceAccount".into(), vec![owner.to_string()]));
    }
    context
}

pub(crate) fn arn(partition: &str, bucket: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("arn:{partition}:s3:::{bucket}/{key}"),
        None => format!("arn:{partition}:s3:::{bucket}"),
    }
}
