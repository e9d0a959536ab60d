//! The door: what stands between a parsed request and the code that would run it.
//!
//! `s3s` asks [`Door`] before each operation, but only if an authenticator is set (otherwise it asks nobody), so [`RefuseCredentials`]
//! exists to be set. Were the door passed by all the same, the operation would find no [`Grants`] and stop.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CreateBucketInput, DeleteObjectsInput, PutObjectTaggingInput};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::backend::checksum::check_document;
use crate::backend::{store_failure, tagging};
use crate::bucket::BucketRecord;
use crate::front::{Arrival, S3Outcome};
use crate::operation::{self, NOT_IMPLEMENTED, Operation};
use crate::permit::{Permit, Verb, is_action_of};
use crate::question::{ObjectTags, Question, Questioner, S3Refusal, arn, place_of_bucket};
use crate::route::{Head, Place};
use crate::store::{ObjectStore, Tags, Version};
use crate::target::{Allowed, Authorizer, Denied, Target};

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
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) questioner: Questioner,
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

    /// What a caller learns who asked for a version that is not there: that it is not there if the caller may list the bucket or its
    /// versions, else nothing.
    pub(crate) fn missing_version(&self, extensions: &Extensions, bucket: &str) -> S3Error {
        let Some(authorizer) = extensions.get::<Arc<dyn Authorizer>>() else {
            return unguarded("no authorizer");
        };
        let lists_versions = authorizer.permits(&self.unasked("s3:ListBucketVersions", bucket, None));
        match lists_versions.or_else(|_| authorizer.permits(&self.unasked("s3:ListBucket", bucket, None))) {
            Ok(()) => error("NoSuchVersion", NO_SUCH_VERSION),
            Err(denied) => refusal(denied),
        }
    }

    /// Whether the caller may know the tags of an object whose content was allowed by `seen`.
    pub(crate) fn may_read_tags(&self, extensions: &Extensions, seen: &Target) -> bool {
        let mut target = seen.clone();
        target.set_action("s3:GetObjectTagging");
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
            bucket_id: record.map(|record| record.id),
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

impl Door {
    /// Asks what a head asks, and writes down what came of it. All of it is allowed, or nothing is.
    pub(crate) async fn decide(
        &self,
        head: &Head<'_>,
        authorizer: &dyn Authorizer,
        recorder: &Recorder,
    ) -> S3Result<Grants> {
        recorder.outcome().parameters = head.recorded();
        let asked = self.questioner.ask(head, self).await?;
        asked.questions.iter().try_for_each(check_version)?;
        let grants = asked
            .questions
            .into_iter()
            .map(|question| decide(authorizer, recorder, question).map_err(refusal))
            .collect::<S3Result<Vec<_>>>()?;
        Ok(Grants {
            operation: head.operation,
            grants: Arc::new(grants),
            keys: Arc::default(),
            partition: self.questioner.partition(),
            bucket: asked.bucket,
        })
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
        let place = Place::of(context.s3_path());
        {
            let mut outcome = recorder.outcome();
            outcome.bucket.clone_from(&place.bucket);
            outcome.key.clone_from(&place.key);
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
        let head = Head::of(operation, place, context.uri(), context.headers())?;
        let grants = self.decide(&head, &*authorizer, &recorder).await?;
        context.extensions_mut().insert(grants);
        Ok(())
    }

    async fn create_bucket(&self, request: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let place = place_of_bucket(&document(&request.extensions)?)?;
        let head = head_again(&grants, request, &request.input.bucket, None)?;
        // A bucket is made in the caller's account.
        let questions = self
            .questioner
            .of_new_bucket(&head, place.as_deref(), authorizer.account());
        let decided = questions
            .into_iter()
            .map(|question| decide(&*authorizer, &recorder, question).map_err(refusal))
            .collect::<S3Result<Vec<_>>>()?;
        check_digest(request)?;
        grants.grants = Arc::new(decided);
        request.extensions.insert(grants);
        Ok(())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let record = bucket_again(&grants, &request.input.bucket)?;
        let head = head_again(&grants, request, &request.input.bucket, None)?;
        let keys = self
            .questioner
            .of_keys(&head, &record, &request.input.delete.objects, self)
            .await?;
        check_digest(request)?;
        let decisions = keys.into_iter().map(|key| {
            let mut questions = key.questions.into_iter();
            let first = questions.next().ok_or_else(Denied::bare)?;
            let is_id = check_version(&first).is_ok();
            let grant = decide(&*authorizer, &recorder, first)?;
            for question in questions {
                decide(&*authorizer, &recorder, question)?;
            }
            // In a batch, what is no id is one that does not exist.
            is_id.then_some(grant).ok_or_else(|| Denied {
                code: "NoSuchVersion",
                message: NO_SUCH_VERSION.to_owned(),
            })
        });
        grants.keys = Arc::new(decisions.collect());
        request.extensions.insert(grants);
        Ok(())
    }

    async fn put_object_tagging(&self, request: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let mut grants = Grants::of(&request.extensions)?.clone();
        let (recorder, authorizer) = (recorder(&request.extensions)?, authorizer(&request.extensions)?);
        let record = bucket_again(&grants, &request.input.bucket)?;
        let head = head_again(&grants, request, &request.input.bucket, Some(&request.input.key))?;
        // Tags that cannot be are refused after the decision: who may not write them learns nothing.
        let tags = tagging::of_document(&request.input.tagging.tag_set);
        let question = self
            .questioner
            .of_tagging(&head, &record, tags.as_ref().ok(), self)
            .await?;
        check_version(&question)?;
        let grant = decide(&*authorizer, &recorder, question).map_err(refusal)?;
        tags?;
        check_digest(request)?;
        grants.grants = Arc::new(vec![grant]);
        request.extensions.insert(grants);
        Ok(())
    }
}

#[async_trait]
impl ObjectTags for Door {
    async fn tags(&self, bucket: &BucketRecord, target: &Target, _: bool) -> Result<Tags, S3Refusal> {
        let key = target.key.as_deref().unwrap_or_default();
        let version = target.version.as_deref().and_then(Version::parse);
        let tags = self.objects.tags_to_decide(bucket.id, key, version).await;
        Ok(tags.map_err(store_failure)?)
    }
}

/// That a version, if one is named, is one that this store could have made.
fn check_version(question: &Question) -> S3Result<()> {
    match &question.target.version {
        Some(id) if Version::parse(id).is_none() => Err(invalid_version()),
        _ => Ok(()),
    }
}

pub(crate) fn invalid_version() -> S3Error {
    error("InvalidArgument", "Invalid version id specified")
}

pub(crate) const NO_SUCH_VERSION: &str = "The specified version does not exist.";

/// The head of a request whose body is read by now.
fn head_again<'a, T>(
    grants: &Grants,
    request: &'a S3Request<T>,
    bucket: &str,
    key: Option<&str>,
) -> S3Result<Head<'a>> {
    let place = Place {
        bucket: Some(bucket.to_owned()),
        key: key.map(str::to_owned),
    };
    Head::of(grants.operation, place, &request.uri, &request.headers)
}

fn bucket_again(grants: &Grants, name: &str) -> S3Result<Arc<BucketRecord>> {
    let record = grants.bucket.clone().filter(|record| record.name == name);
    record.ok_or_else(|| unguarded("no bucket"))
}

/// The document that was read.
fn document(extensions: &Extensions) -> S3Result<Vec<u8>> {
    let arrival = extensions.get::<Arc<Arrival>>();
    let arrival = arrival.ok_or_else(|| unguarded("no body"))?;
    Ok(arrival.document().concat())
}

/// The same as [`check_digest`] for a document whose request has checksums of something else.
pub(crate) fn check_md5(headers: &HeaderMap, extensions: &Extensions) -> S3Result<()> {
    Ok(crate::relay::check_md5(headers, &document(extensions)?)?)
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
fn decide(authorizer: &dyn Authorizer, recorder: &Recorder, question: Question) -> Result<Grant, Denied> {
    let (target, bucket) = (Arc::new(question.target), question.bucket);
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
