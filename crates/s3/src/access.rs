//! The door: what stands between a parsed request and the code that would run it.
//!
//! `s3s` asks [`Door`] before each operation, but only if an authenticator is set (otherwise it asks nobody), so [`RefuseCredentials`]
//! exists to be set. Were the door passed by all the same, the operation would find no [`Grants`] and stop.

mod tags;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode, Uri};
use irsa_core::AccountId;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopySource, CreateBucketInput, DeleteObjectsInput, PutObjectTaggingInput};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::backend::checksum::check_document;
use crate::backend::tagging;
use crate::bucket::{BucketRecord, Buckets};
use crate::front::{Arrival, S3Outcome};
use crate::operation::{self, COMMON_HEADERS, NOT_IMPLEMENTED, Operation, ResourceKind, Source, Values};
use crate::permit::{Permit, Verb, is_action_of};
use crate::store::{ObjectStore, Tags};
use crate::target::{Allowed, Authorizer, Denied, Target};
pub(crate) use tags::tagging_header;
use tags::{add_request_tags, replaces_tags, request_tags};

/// Knows no credentials. Requests come here with theirs checked and removed; one that still carries some is not to be trusted.
pub(crate) struct RefuseCredentials;

#[async_trait]
impl S3Auth for RefuseCredentials {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(error("AccessDenied", "Access Denied"))
    }
}

/// The part of the outcome that is filled in while the request runs.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<S3Outcome>>);

impl Recorder {
    pub(crate) fn outcome(&self) -> MutexGuard<'_, S3Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides every request, and leaves [`Grants`] in its extensions.
pub(crate) struct Door {
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) partition: &'static str,
    /// For the tags that decisions depend on.
    pub(crate) objects: ObjectStore,
}

/// One thing that was allowed, on one bucket.
pub(crate) struct Grant {
    allowed: Allowed,
    /// `None`: the whole service, or a bucket that is yet to be made.
    pub(crate) bucket: Option<Arc<BucketRecord>>,
}

/// What the policy engine allowed this request.
#[derive(Clone)]
pub(crate) struct Grants {
    operation: &'static Operation,
    grants: Arc<Vec<Grant>>,
    /// For [`ResourceKind::Keys`]: one for each key, in the order of the body.
    keys: Arc<Vec<Result<Grant, Denied>>>,
    partition: &'static str,
    /// The bucket of the path, if the operation is about one that exists.
    pub(crate) bucket: Option<Arc<BucketRecord>>,
}

impl Grants {
    /// Takes what the door left.
    pub(crate) fn of(extensions: &Extensions) -> S3Result<&Self> {
        extensions.get().ok_or_else(|| unguarded("no grants"))
    }

    /// The permit for `V` on this bucket and key, if that is what was allowed.
    pub(crate) fn permit<V: Verb>(&self, bucket: &str, key: Option<&str>) -> S3Result<Permit<V>> {
        self.grants
            .iter()
            .find(|grant| {
                let target = grant.allowed.target();
                is_action_of::<V>(target) && target.bucket.as_deref() == Some(bucket) && target.key.as_deref() == key
            })
            .and_then(|grant| Permit::new(&grant.allowed, grant.bucket.as_deref()?))
            .ok_or_else(|| unguarded(V::ACTION))
    }

    /// That the whole operation was allowed, for those that need no object store: the action and, where there is one, the bucket.
    pub(crate) fn allows(&self, action: &str, bucket: Option<&str>) -> S3Result<()> {
        self.grants
            .iter()
            .any(|grant| {
                let target = grant.allowed.target();
                target.action == action && target.bucket.as_deref() == bucket
            })
            .then_some(())
            .ok_or_else(|| unguarded(self.operation.action))
    }

    /// That the operation's own action was allowed on this bucket.
    pub(crate) fn allows_operation(&self, bucket: &str) -> S3Result<()> {
        self.allows(self.operation.action, Some(bucket))
    }

    /// The decisions on the keys of a multi-object delete.
    pub(crate) fn keys<V: Verb>(&self) -> impl Iterator<Item = Result<Permit<V>, Denied>> + '_ {
        self.keys.iter().map(|decision| match decision {
            Ok(grant) => grant
                .bucket
                .as_deref()
                .and_then(|record| Permit::new(&grant.allowed, record))
                .ok_or_else(Denied::bare),
            Err(denied) => Err(denied.clone()),
        })
    }

    /// What a caller learns who asked for an object that is not there: that it is not there if the caller may list the bucket,
    /// else nothing.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax>.
    pub(crate) fn missing_key(&self, extensions: &Extensions, bucket: &str) -> S3Error {
        let Some(authorizer) = extensions.get::<Arc<dyn Authorizer>>() else {
            return unguarded("no authorizer");
        };
        match authorizer.permits(&self.unasked("s3:ListBucket", bucket, None)) {
            Ok(()) => error("NoSuchKey", "The specified key does not exist."),
            Err(denied) => refusal(denied),
        }
    }

    /// Whether the caller may know the tags of an object whose content is told.
    pub(crate) fn may_read_tags(&self, extensions: &Extensions, bucket: &str, key: &str) -> bool {
        let mut target = self.unasked("s3:GetObjectTagging", bucket, Some(key));
        let known = self.grants.iter().map(|grant| grant.allowed.target());
        if let Some(seen) = known.clone().find(|seen| seen.key.as_deref() == Some(key)) {
            target.context.clone_from(&seen.context);
        }
        extensions
            .get::<Arc<dyn Authorizer>>()
            .is_some_and(|authorizer| authorizer.permits(&target).is_ok())
    }

    /// A question that the request itself does not ask.
    fn unasked(&self, action: &'static str, bucket: &str, key: Option<&str>) -> Target {
        let record = self
            .grants
            .iter()
            .filter_map(|grant| grant.bucket.as_ref())
            .find(|record| record.name == bucket);
        Target {
            event_name: self.operation.event_name,
            action,
            bucket: Some(bucket.to_owned()),
            key: key.map(str::to_owned),
            version: None,
            resource_arn: arn(self.partition, bucket, key),
            resource_account: record.map(|record| record.account),
            context: Vec::new(),
            read_only: true,
            data_event: self.operation.data_event,
        }
    }
}

#[async_trait]
impl S3Access for Door {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let recorder = context
            .extensions_mut()
            .get::<Recorder>()
            .cloned()
            .ok_or_else(|| unguarded("no recorder"))?;
        let authorizer = authorizer(context.extensions_mut())?;
        let (bucket, key) = match context.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(bucket.to_string()), None),
            S3Path::Object { bucket, key } => (Some(bucket.to_string()), Some(key.to_string())),
        };
        {
            let mut outcome = recorder.outcome();
            outcome.bucket.clone_from(&bucket);
            outcome.key.clone_from(&key);
        }
        let Some(operation) = operation::find(context.s3_op().name()) else {
            return Err(error("NotImplemented", NOT_IMPLEMENTED));
        };
        recorder.outcome().operation = Some(operation);
        if operation.object_body
            && let Some(arrival) = context.extensions_mut().get::<Arc<Arrival>>()
        {
            arrival.expect_object();
        }
        let query = query_of(operation, context.uri())?;
        recorder.outcome().parameters = RECORDED
            .iter()
            .filter_map(|name| {
                let (_, value) = query.iter().find(|(given, _)| given == name)?;
                Some((*name, value.clone()))
            })
            .collect();
        check_headers(operation, context.headers())?;

        let record = match (operation.resource, &bucket) {
            (ResourceKind::Service | ResourceKind::NewBucket, _) | (_, None) => None,
            (_, Some(name)) => Some(self.existing(name)?),
        };
        if let Some(record) = &record {
            check_owner(context.headers(), "x-amz-expected-bucket-owner", record.account)?;
        }
        let target = |action: &'static str, bucket: Option<&str>, key: Option<&str>, owner: Option<AccountId>| Target {
            event_name: operation.event_name,
            action,
            bucket: bucket.map(str::to_owned),
            key: key.map(str::to_owned),
            version: None,
            resource_arn: bucket.map_or_else(
                || format!("arn:{}:s3:::*", self.partition),
                |bucket| arn(self.partition, bucket, key),
            ),
            resource_account: owner,
            context: conditions(operation, &query, context.headers(), owner),
            read_only: operation.read_only,
            data_event: operation.data_event,
        };
        let owner = record.as_ref().map(|record| record.account);
        let mut asked: Vec<(Target, Option<Arc<BucketRecord>>)> = Vec::with_capacity(2);
        match (operation.resource, &bucket, &key) {
            (ResourceKind::Service, None, None) => asked.push((target(operation.action, None, None, None), None)),
            // Decided when the body is known.
            (ResourceKind::NewBucket | ResourceKind::Keys, Some(_), None)
            | (ResourceKind::Tagged, Some(_), Some(_)) => {}
            (ResourceKind::Bucket, Some(bucket), None) => {
                asked.push((target(operation.action, Some(bucket), None, owner), record.clone()));
            }
            (ResourceKind::Object, Some(bucket), Some(key)) => {
                asked.push((target(operation.action, Some(bucket), Some(key), owner), record.clone()));
            }
            (ResourceKind::Copy, Some(bucket), Some(key)) => {
                let (source_bucket, source_key) = copy_source(context.headers())?;
                let source_record = self.existing(&source_bucket)?;
                check_owner(
                    context.headers(),
                    "x-amz-source-expected-bucket-owner",
                    source_record.account,
                )?;
                let mut source = target(
                    "s3:GetObject",
                    Some(&source_bucket),
                    Some(&source_key),
                    Some(source_record.account),
                );
                // The headers say what is written, not what is read.
                source
                    .context
                    .retain(|(name, _)| matches!(&**name, "s3:ResourceAccount" | "s3:x-amz-content-sha256"));
                asked.push((source, Some(source_record)));
                asked.push((target(operation.action, Some(bucket), Some(key), owner), record.clone()));
            }
            _ => {
                return Err(error(
                    "MethodNotAllowed",
                    "The specified method is not allowed against this resource.",
                ));
            }
        }
        // An ACL in a write is a second action, even the only ACL that a bucket without ACLs accepts.
        if let (ResourceKind::Object | ResourceKind::Copy, Some(bucket), Some(key)) =
            (operation.resource, &bucket, &key)
            && context.headers().contains_key("x-amz-acl")
        {
            asked.push((
                target("s3:PutObjectAcl", Some(bucket), Some(key), owner),
                record.clone(),
            ));
        }
        // A condition on the object that is there tells about it, so it is a read as well.
        if let (ResourceKind::Object, Some(bucket), Some(key)) = (operation.resource, &bucket, &key)
            && reads_by_condition(operation.action, context.headers())
        {
            asked.push((target("s3:GetObject", Some(bucket), Some(key), owner), record.clone()));
        }
        if let (true, Some(bucket), Some(key)) = (operation.name == "GetObjectAttributes", &bucket, &key) {
            asked.push((target("s3:GetObject", Some(bucket), Some(key), owner), record.clone()));
        }
        let replaced = request_tags(operation, context.headers())?;
        let copies_tags = operation.name == "CopyObject" && !replaces_tags(context.headers());
        let mut source_tags = Tags::new();
        for (number, (target, record)) in asked.iter_mut().enumerate() {
            let seen = self.add_existing_tags(target, record.as_deref()).await?;
            if copies_tags && number == 0 {
                source_tags = seen;
            }
        }
        // Tags that go along with a copy are read and written.
        if !source_tags.is_empty()
            && let Some((source, source_record)) = asked.first()
        {
            let reading = Target {
                action: "s3:GetObjectTagging",
                ..source.clone()
            };
            let source_record = source_record.clone();
            asked.push((reading, source_record));
        }
        if let (Some(bucket), Some(key)) = (&bucket, &key)
            && (replaced.is_some() || !source_tags.is_empty())
        {
            let mut writing = target("s3:PutObjectTagging", Some(bucket), Some(key), owner);
            self.add_existing_tags(&mut writing, record.as_deref()).await?;
            asked.push((writing, record.clone()));
        }
        if let Some(tags) = &replaced {
            for (target, _) in &mut asked {
                add_request_tags(target, tags);
            }
        }
        let grants = asked
            .into_iter()
            .map(|(target, bucket)| decide(&*authorizer, &recorder, target, bucket).map_err(refusal))
            .collect::<S3Result<Vec<_>>>()?;
        context.extensions_mut().insert(Grants {
            operation,
            grants: Arc::new(grants),
            keys: Arc::default(),
            partition: self.partition,
            bucket: record,
        });
        Ok(())
    }

    async fn create_bucket(&self, request: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let mut context = conditions(grants.operation, &[], &request.headers, None);
        let configuration = request.input.create_bucket_configuration.as_ref();
        if let Some(constraint) = configuration.and_then(|configuration| configuration.location_constraint.as_ref()) {
            context.push(("s3:locationconstraint".into(), vec![constraint.as_str().to_owned()]));
        }
        let target = Target {
            event_name: grants.operation.event_name,
            action: grants.operation.action,
            bucket: Some(request.input.bucket.clone()),
            key: None,
            version: None,
            resource_arn: arn(self.partition, &request.input.bucket, None),
            // A bucket is made in the caller's account.
            resource_account: authorizer.account(),
            context,
            read_only: false,
            data_event: grants.operation.data_event,
        };
        let grant = decide(&*authorizer, &recorder, target, None).map_err(refusal)?;
        check_digest(request)?;
        grants.grants = Arc::new(vec![grant]);
        request.extensions.insert(grants);
        Ok(())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let Some(record) = grants
            .bucket
            .clone()
            .filter(|record| record.name == request.input.bucket)
        else {
            return Err(unguarded("no bucket"));
        };
        let objects = &request.input.delete.objects;
        if objects.is_empty() || objects.len() > 1000 {
            return Err(error(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            ));
        }
        if objects.iter().any(|object| object.version_id.is_some()) {
            return Err(error("NotImplemented", NOT_IMPLEMENTED));
        }
        check_digest(request)?;
        let context = conditions(grants.operation, &[], &request.headers, Some(record.account));
        let decisions = objects.iter().map(|object| {
            let ask = |action| {
                let target = Target {
                    event_name: grants.operation.event_name,
                    action,
                    bucket: Some(record.name.clone()),
                    key: Some(object.key.clone()),
                    version: None,
                    resource_arn: arn(self.partition, &record.name, Some(&object.key)),
                    resource_account: Some(record.account),
                    context: context.clone(),
                    read_only: false,
                    data_event: grants.operation.data_event,
                };
                decide(&*authorizer, &recorder, target, Some(Arc::clone(&record)))
            };
            let grant = ask(grants.operation.action)?;
            if object.e_tag.is_some() {
                ask("s3:GetObject")?;
            }
            Ok(grant)
        });
        grants.keys = Arc::new(decisions.collect());
        request.extensions.insert(grants);
        Ok(())
    }

    async fn put_object_tagging(&self, request: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let Some(record) = grants
            .bucket
            .clone()
            .filter(|record| record.name == request.input.bucket)
        else {
            return Err(unguarded("no bucket"));
        };
        let mut target = Target {
            event_name: grants.operation.event_name,
            action: grants.operation.action,
            bucket: Some(record.name.clone()),
            key: Some(request.input.key.clone()),
            version: None,
            resource_arn: arn(self.partition, &record.name, Some(&request.input.key)),
            resource_account: Some(record.account),
            context: conditions(grants.operation, &[], &request.headers, Some(record.account)),
            read_only: false,
            data_event: grants.operation.data_event,
        };
        self.add_existing_tags(&mut target, Some(&record)).await?;
        // Tags that cannot be are refused after the decision: who may not write them learns nothing.
        let tags = tagging::of_document(&request.input.tagging.tag_set);
        if let Ok(tags) = &tags {
            add_request_tags(&mut target, tags);
        }
        let grant = decide(&*authorizer, &recorder, target, Some(record)).map_err(refusal)?;
        tags?;
        check_digest(request)?;
        grants.grants = Arc::new(vec![grant]);
        request.extensions.insert(grants);
        Ok(())
    }
}

impl Door {
    fn existing(&self, name: &str) -> S3Result<Arc<BucketRecord>> {
        self.buckets
            .get(name)
            .ok_or_else(|| error("NoSuchBucket", "The specified bucket does not exist"))
    }
}

/// Nothing is done by a document that did not arrive as it was sent.
pub(crate) fn check_digest<T>(request: &S3Request<T>) -> S3Result<()> {
    let arrival = request
        .extensions
        .get::<Arc<Arrival>>()
        .ok_or_else(|| unguarded("no body"))?;
    check_document(&request.headers, arrival)
}

/// Asks, and writes down what came of it. An answer to another question is no answer.
fn decide(
    authorizer: &dyn Authorizer,
    recorder: &Recorder,
    target: Target,
    bucket: Option<Arc<BucketRecord>>,
) -> Result<Grant, Denied> {
    let target = Arc::new(target);
    let decision = authorizer.authorize(&target).and_then(|allowed| {
        if *allowed.target() == target {
            Ok(Grant { allowed, bucket })
        } else {
            Err(Denied::bare())
        }
    });
    recorder.outcome().targets.push((target, decision.is_ok()));
    decision
}

fn authorizer(extensions: &Extensions) -> S3Result<Arc<dyn Authorizer>> {
    extensions
        .get::<Arc<dyn Authorizer>>()
        .cloned()
        .ok_or_else(|| unguarded("no authorizer"))
}

pub(crate) fn recorder(extensions: &Extensions) -> S3Result<Recorder> {
    extensions
        .get::<Recorder>()
        .cloned()
        .ok_or_else(|| unguarded("no recorder"))
}

/// Parameters that are part of the record.
const RECORDED: [&str; 3] = ["partNumber", "uploadId", "versionId"];

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

fn check_headers(operation: &Operation, headers: &HeaderMap) -> S3Result<()> {
    for name in headers.keys() {
        let name = name.as_str();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-meta-") || COMMON_HEADERS.contains(&name) {
            continue;
        }
        let Some((_, values)) = operation.headers.iter().find(|(known, _)| *known == name) else {
            return Err(error("NotImplemented", NOT_IMPLEMENTED));
        };
        let mut given = headers.get_all(name).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(error("InvalidArgument", "A header was given more than once"));
        };
        if let Values::Only(accepted, code, message) = values
            && !accepted.iter().any(|accepted| accepted.as_bytes() == value.as_bytes())
        {
            return Err(error(code, *message));
        }
    }
    Ok(())
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

/// Bucket and key that a copy reads, by the parser that the operation's input is read with.
fn copy_source(headers: &HeaderMap) -> S3Result<(String, String)> {
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
            version_id: None,
        } if !key.is_empty() => Ok((bucket.into(), key.into())),
        CopySource::Bucket { version_id: None, .. } => Err(invalid()),
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
                Source::Header(name @ "x-amz-copy-source") if headers.contains_key(*name) => {
                    copy_source(headers).ok().map(|(bucket, key)| format!("{bucket}/{key}"))
                }
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

fn arn(partition: &str, bucket: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("arn:{partition}:s3:::{bucket}/{key}"),
        None => format!("arn:{partition}:s3:::{bucket}"),
    }
}

fn refusal(denied: Denied) -> S3Error {
    error(denied.code, denied.message)
}

/// A request that reached an operation without having been decided: our mistake, and nothing is done for it.
pub(crate) fn unguarded(what: &'static str) -> S3Error {
    tracing::error!(what, "an S3 request was not decided; it is refused");
    error("AccessDenied", "Access Denied")
}

/// An S3 error of this code, with the HTTP status that S3 gives it.
pub(crate) fn error(code: &str, message: impl Into<Cow<'static, str>>) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, message);
    if error.status_code().is_none() {
        // Codes that the API model does not list.
        error.set_status_code(StatusCode::BAD_REQUEST);
    }
    error
}
