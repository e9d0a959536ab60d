//! Questions about S3: the table of operations and the questions of the embedded store, asked for a store that is out of reach.
//!
//! What only the store knows is not guessed: a request whose decision depends on it is refused.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use irsa_authorizer::reading::{self, Part, TwoReadings};
use irsa_authorizer::{OriginalBody, Permission, Refusal, Transport};
use irsa_core::{AccountId, Timestamp};
use irsa_iam::Caller;
use irsa_s3::{
    Asked, Authorizer as Decides, Body, BucketRecord, BucketSettings, Buckets, BucketsError, Document, Head,
    ObjectTags, Questioner, ResourceKind, S3Outcome, S3Refusal, Target, is_valid_bucket_name, prepare,
};
use irsa_sigv4::{Location, Payload, Rules, Verified};
use irsa_wire::{Service, WireError, s3_error};

use super::decide::{Question, body_check, permission, refusal};
use super::{Authorizer, Entry};
use crate::authenticate::{AuthenticationError, authenticate};
use crate::body::{chunk_error, full};
use crate::gateway::unread::{key_of, key_of_policies};
use crate::pipeline::{RequestContext, add_authorization_message, digest_of};
use crate::s3_gate::{Gate, chooses_headers, signature_keys, strip_signature};
use crate::s3_record::S3Record;
use crate::snapshot::Snapshot;

/// Decides a request for the S3 store behind a proxy.
pub(super) async fn decide(
    question: &Question<'_>,
    authorizer: &Authorizer,
    entry: &Entry,
) -> Result<Permission, Refusal> {
    let mut context = question.context.clone();
    let mut case = Case {
        snapshot: question.pipeline.keeper.snapshot(),
        gate: None,
        outcome: S3Outcome::default(),
        payload: Payload::Unsigned,
        is_whole: matches!(question.original.body, OriginalBody::Whole(_)),
        literal_keys: authorizer.literal_keys,
    };
    let decided = case.decide(question, entry, &mut context).await;
    case.answer(question, entry, &context, decided).await
}

/// One request while it is decided, and what its record needs.
struct Case {
    snapshot: Arc<Snapshot>,
    /// `None` until the signature is checked.
    gate: Option<Gate>,
    outcome: S3Outcome,
    payload: Payload,
    is_whole: bool,
    literal_keys: bool,
}

impl Case {
    async fn decide<'a>(
        &mut self,
        question: &Question<'a>,
        entry: &Entry,
        context: &mut RequestContext<'a>,
    ) -> Result<(), WireError> {
        let mut parts = head_of(question);
        let body = self.authenticate(question, context, &parts)?;
        if !question.pipeline.journal.healthy() {
            return Err(WireError::internal(
                "the audit journal can't be written, so nothing is allowed",
            ));
        }
        self.check_target(question, &mut parts)?;
        let region = question.pipeline.config.region.as_str();
        let buckets = Arc::new(Behind {
            snapshot: Arc::clone(&self.snapshot),
            account: entry.account,
            region: region.to_owned(),
        });
        let domains = if entry.has_buckets {
            vec![entry.host.clone()]
        } else {
            Vec::new()
        };
        let questioner = Questioner::new(buckets, region, domains);
        let head = questioner.head(&parts).map_err(words)?;
        self.outcome.operation = Some(head.operation);
        self.outcome.bucket.clone_from(&head.place.bucket);
        self.outcome.key.clone_from(&head.place.key);
        self.outcome.parameters = head.recorded();
        let tags = UnknownTags {
            snapshot: Arc::clone(&self.snapshot),
            caller: self.gate.as_ref().and_then(|gate| gate.caller.clone()),
        };
        // What names no bucket is the account's whose store it is, and no other's.
        let is_of_the_account = matches!(head.operation.resource, ResourceKind::Service | ResourceKind::NewBucket);
        let caller = self.gate.as_ref().and_then(|gate| gate.caller.as_ref());
        if is_of_the_account && caller.is_some_and(|caller| caller.account != entry.account) {
            return Err(WireError::new("AccessDenied", 403, "Access Denied").because("the store is another account's"));
        }
        let decides_by_body = matches!(
            head.operation.resource,
            ResourceKind::NewBucket | ResourceKind::Keys | ResourceKind::Tagged
        );
        reading::headers(&parts.method, &question.original.headers, decides_by_body).map_err(two_readings)?;
        let asked = questioner.of_head(&head, &tags).await.map_err(words)?;
        let mut questions: Vec<irsa_s3::Question> = asked.questions.clone();
        let mut wrong_tags = None;
        if asked.awaits_body {
            let body = body.ok_or_else(|| unseen(&head))?;
            reading::document(&body).map_err(two_readings)?;
            match self.document(&questioner, &head, &asked, &body, &tags).await? {
                Document::NewBucket(_, of_bucket) => questions.extend(of_bucket),
                // A proxy sends all of the keys on, or none.
                Document::Keys { keys, .. } => {
                    for key in &keys {
                        reading::key(&key.key, self.literal_keys).map_err(two_readings)?;
                    }
                    questions.extend(keys.into_iter().flat_map(|key| key.questions));
                }
                Document::Tagged(given, of_object) => {
                    wrong_tags = given.err();
                    questions.push(*of_object);
                }
            }
        }
        if questions.is_empty() {
            return Err(WireError::internal("the request asks the policy engine nothing"));
        }
        if question.original.transport == Transport::Tls(None) {
            self.tls_version_is_unasked(&questions)?;
        }
        let gate = self
            .gate
            .as_ref()
            .ok_or_else(|| WireError::internal("there is no gate"))?;
        for question in questions {
            let target = Arc::new(question.target);
            let allowed = gate.authorize(&target);
            let is_allowed = allowed.as_ref().is_ok_and(|allowed| *allowed.target() == target);
            self.outcome.targets.push((Arc::clone(&target), is_allowed));
            match allowed {
                Ok(_) if is_allowed => {}
                Ok(_) => return Err(WireError::internal("another question was answered")),
                Err(denied) => return Err(WireError::new(denied.code, 403, denied.message)),
            }
        }
        match wrong_tags {
            Some(wrong) => Err(words(wrong)),
            None => Ok(()),
        }
    }

    /// Brings the head into the form that is decided. What the store could read as another target is refused: parameters that stand for
    /// headers are headers then.
    fn check_target(&self, question: &Question<'_>, parts: &mut Parts) -> Result<(), WireError> {
        let presented = question.presented.as_ref().ok().and_then(Option::as_ref);
        let is_presigned = presented.is_some_and(|presented| matches!(presented.location(), Location::Query { .. }));
        if is_presigned {
            strip_signature(parts);
        }
        if let Some(query) = parts.uri.query() {
            reading::query(query, is_presigned, self.literal_keys).map_err(two_readings)?;
        }
        strip_signature(parts);
        prepare(parts).map_err(words)?;
        if !self.literal_keys {
            reading::path(parts.uri.path()).map_err(two_readings)?;
        }
        for source in parts.headers.get_all("x-amz-copy-source") {
            reading::copy_source(source.as_bytes(), self.literal_keys).map_err(two_readings)?;
        }
        Ok(())
    }

    /// The client came over TLS, and the proxy does not say which version: policies that ask can't be decided.
    fn tls_version_is_unasked(&self, questions: &[irsa_s3::Question]) -> Result<(), WireError> {
        let unknown = ["s3:TlsVersion".to_owned()];
        let actions: Vec<&str> = questions.iter().map(|question| question.target.action).collect();
        let caller = self.gate.as_ref().and_then(|gate| gate.caller.as_ref());
        let of_caller = caller.and_then(|caller| key_of_policies(&self.snapshot, caller, &actions, &unknown));
        let of_buckets = || {
            questions.iter().find_map(|question| {
                let policy = question.bucket.as_ref()?.settings.policy.as_ref()?;
                key_of(&policy.text, &actions, &unknown)
            })
        };
        match of_caller.or_else(of_buckets) {
            None => Ok(()),
            Some(key) => {
                let message =
                    format!("A policy depends on {key}, and the proxy does not say which version of TLS it speaks.");
                Err(WireError::new("AccessDenied", 403, message))
            }
        }
    }

    /// Checks the signature, and the body as far as it is here. Gives the content of a body that surely is all of it.
    fn authenticate<'a>(
        &mut self,
        question: &Question<'a>,
        context: &mut RequestContext<'a>,
        parts: &Parts,
    ) -> Result<Option<Bytes>, WireError> {
        let whole = match &question.original.body {
            OriginalBody::Whole(body) => Some(body),
            OriginalBody::Unseen => None,
        };
        let tls_version = match question.original.transport {
            Transport::Tls(Some(version)) => Some(("s3:TlsVersion", version.to_owned())),
            Transport::Tls(None) | Transport::Plain => None,
        };
        let gate = |caller, context: &RequestContext<'_>| {
            Gate::new(
                Arc::clone(&self.snapshot),
                caller,
                context,
                signature_keys(question.presented, context.facts.now)
                    .into_iter()
                    .chain(tls_version.clone())
                    .collect(),
            )
        };
        let presented = match question.presented {
            Ok(Some(presented)) => presented,
            Ok(None) => {
                self.gate = Some(gate(None, context));
                if chooses_headers(&parts.uri) {
                    let message = "Request specific response headers cannot be used for anonymous GET requests.";
                    return Err(WireError::new("InvalidRequest", 400, message));
                }
                // Nobody vouches for it.
                return Ok(whole.filter(|body| body.is_empty()).cloned());
            }
            Err(error) => return Err(AuthenticationError::Signature(error.clone()).wire(Service::S3)),
        };
        let authenticated = authenticate(
            &question.pipeline.signing_keys,
            &self.snapshot,
            presented,
            whole.map(|body| digest_of(body)),
            context.facts.now,
            &Rules::s3(),
        );
        let (caller, verified) = authenticated.map_err(|error| error.wire(Service::S3))?;
        // The region of the scope counts now that the signature is proven.
        context.facts.region = presented.scope().region;
        self.payload = verified.payload();
        self.gate = Some(gate(Some(caller), context));
        let Some(body) = whole else { return Ok(None) };
        match verified.payload() {
            Payload::Sha256(_) => Ok(Some(body.clone())),
            // Only the announced length tells that these are all.
            Payload::Unsigned | Payload::Absent => {
                let is_all = body.is_empty() || parts.headers.contains_key(header::CONTENT_LENGTH);
                Ok(is_all.then(|| body.clone()))
            }
            Payload::StreamingSigned | Payload::StreamingSignedTrailer | Payload::StreamingUnsignedTrailer => {
                decoded(verified, parts, body.clone()).map(Some)
            }
        }
    }

    async fn document(
        &self,
        questioner: &Questioner,
        head: &Head<'_>,
        asked: &Asked,
        body: &[u8],
        tags: &UnknownTags,
    ) -> Result<Document, WireError> {
        let account = self.gate.as_ref().and_then(Decides::account);
        questioner
            .of_document(head, asked, body, account, tags)
            .await
            .map_err(words)
    }

    /// Records the decision, and makes the proxy's answer of it.
    async fn answer(
        mut self,
        question: &Question<'_>,
        entry: &Entry,
        context: &RequestContext<'_>,
        decided: Result<(), WireError>,
    ) -> Result<Permission, Refusal> {
        let reasons = self.gate.as_ref().map(Gate::take_reasons).unwrap_or_default();
        let mut error = decided.err();
        if let Some(error) = &mut error {
            error.reason = error.reason.take().or(reasons.refused);
            self.outcome.error = Some((error.code.to_string(), error.message.clone()));
        }
        let Some(gate) = &self.gate else {
            let error = error.unwrap_or_else(|| WireError::internal("there is no gate"));
            return question.refuse(Service::S3, Some(entry), error).await;
        };
        let caller = gate.caller.as_ref();
        let account = match self.outcome.bucket.as_deref() {
            Some(_) => Some(entry.account),
            None => caller.map(|caller| caller.account),
        };
        let copy_source = question.original.headers.get("x-amz-copy-source");
        let presented = question.presented.as_ref().ok().and_then(Option::as_ref);
        let recorded = S3Record {
            context,
            outcome: &self.outcome,
            caller,
            account,
            error: error.as_ref(),
            allowed_by: reasons.allowed.as_deref(),
            host_id: context.id,
            method: presented.map(|presented| match presented.location() {
                Location::Header => "AuthHeader",
                Location::Query { .. } => "QueryString",
            }),
            copy_source: copy_source.and_then(|source| source.to_str().ok()),
        }
        .write(question.pipeline)
        .await;
        let event_name = self
            .outcome
            .operation
            .map_or("Unknown", |operation| operation.event_name);
        question
            .pipeline
            .log(context, Service::S3, event_name, caller, error.as_ref());
        let error = match (error, recorded) {
            (None, Ok(())) => {
                let body = body_check(self.is_whole, self.payload);
                return Ok(permission(context.id, caller, body));
            }
            (_, Err(failed)) => WireError {
                code: "InternalError".into(),
                message: "We encountered an internal error. Please try again.".to_owned(),
                ..failed
            },
            (Some(error), Ok(())) => error,
        };
        let mut response = answer(&error, question.original.uri.path(), context.id);
        if error.code == "AccessDenied" {
            add_authorization_message(&mut response, reasons.message.as_deref());
        }
        Err(refusal(context, &error, response, caller.is_none()).await)
    }
}

/// The head as our own front would see it.
fn head_of(question: &Question<'_>) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = question.original.method.clone();
    parts.uri = question.original.uri.clone();
    parts.headers = question.original.headers.clone();
    parts
}

/// What a store behind the proxy could read as another request.
fn two_readings(found: TwoReadings) -> WireError {
    let (code, message) = match found.part {
        Part::Path | Part::Key | Part::CopySource => ("InvalidURI", "The path can be read in two ways."),
        Part::Query => ("InvalidArgument", "The query can be read in two ways."),
        Part::Header => ("InvalidArgument", "A header can be read in two ways."),
        Part::Document => ("MalformedXML", "The document can be read in two ways."),
    };
    let hint = match found.part {
        Part::Path | Part::Key | Part::CopySource => "; see --authorizer-literal-keys",
        Part::Query | Part::Header | Part::Document => "",
    };
    WireError::new(code, 400, message).because(format!("{found}{hint}"))
}

/// The content of a body in chunks, every signature and checksum of which is right.
fn decoded(verified: Verified, parts: &Parts, body: Bytes) -> Result<Bytes, WireError> {
    let wrong = |error: &irsa_sigv4::ChunkError| {
        let error = chunk_error(error);
        WireError {
            code: error.code.into(),
            status: 400,
            message: error.message,
            reason: None,
        }
    };
    let decoder = verified.chunk_decoder(&parts.headers).map_err(|error| wrong(&error))?;
    let mut decoder = decoder.ok_or_else(|| WireError::internal("a streaming body has no decoder"))?;
    let pieces = decoder.push(body).map_err(|error| wrong(&error))?;
    decoder.finish().map_err(|error| wrong(&error))?;
    Ok(pieces.concat().into())
}

/// The body says what the request is about, and is not here.
fn unseen(head: &Head<'_>) -> WireError {
    let message = format!(
        "The request's body says what {} is about, and the proxy does not show it.",
        head.operation.name
    );
    WireError::new("AccessDenied", 403, message)
}

fn words(refused: S3Refusal) -> WireError {
    WireError {
        code: refused.code.into(),
        status: refused.status,
        message: refused.message,
        reason: None,
    }
}

/// The buckets of a store that keeps them itself. All are the configured account's; those that this server knows as that account's are as it knows them.
struct Behind {
    snapshot: Arc<Snapshot>,
    account: AccountId,
    region: String,
}

#[async_trait]
impl Buckets for Behind {
    fn list(&self, _: AccountId) -> Vec<Arc<BucketRecord>> {
        Vec::new()
    }

    fn get(&self, name: &str) -> Option<Arc<BucketRecord>> {
        // A bucket that another account has here is not the one of this name in that store.
        let known = self.snapshot.buckets.get(name);
        if let Some(bucket) = known.filter(|bucket| bucket.record.account == self.account) {
            return Some(Arc::clone(&bucket.record));
        }
        is_valid_bucket_name(name).then(|| {
            Arc::new(BucketRecord {
                name: name.to_owned(),
                id: uuid::Uuid::nil(),
                account: self.account,
                region: self.region.clone(),
                created: Timestamp::from_unix_millis(0),
                settings: BucketSettings::default(),
            })
        })
    }

    async fn create(&self, _: BucketRecord) -> Result<(), BucketsError> {
        Err(out_of_reach())
    }

    async fn update(&self, _: &BucketRecord, _: BucketSettings) -> Result<(), BucketsError> {
        Err(out_of_reach())
    }

    async fn delete(&self, _: &BucketRecord) -> Result<(), BucketsError> {
        Err(out_of_reach())
    }
}

fn out_of_reach() -> BucketsError {
    BucketsError::Unavailable("buckets behind a proxy are out of reach".into())
}

/// The tags of objects that nobody here can read: whoever's policies depend on them is refused.
struct UnknownTags {
    snapshot: Arc<Snapshot>,
    caller: Option<Caller>,
}

#[async_trait]
impl ObjectTags for UnknownTags {
    async fn tags(
        &self,
        bucket: &BucketRecord,
        target: &Target,
        copied: bool,
    ) -> Result<Vec<(String, String)>, S3Refusal> {
        let actions = [target.action, "s3:GetObjectTagging"];
        let actions = if copied { &actions[..] } else { &actions[..1] };
        let unknown = ["s3:ExistingObjectTag/".to_owned()];
        let of_caller = self.caller.as_ref();
        let of_caller = of_caller.and_then(|caller| key_of_policies(&self.snapshot, caller, actions, &unknown));
        let policy = bucket.settings.policy.as_ref();
        let of_bucket = || policy.and_then(|policy| key_of(&policy.text, actions, &unknown));
        if let Some(key) = of_caller.or_else(of_bucket) {
            return Err(S3Refusal {
                code: "AccessDenied".to_owned(),
                message: format!("A policy depends on {key}, and the tags of objects are not known here."),
                status: 403,
            });
        }
        // Tags may go along with a copy, so that it is decided as one that has some; no policy looks at which.
        Ok(copied
            .then(|| ("unknown".to_owned(), String::new()))
            .into_iter()
            .collect())
    }
}

/// An error in S3's words.
pub(super) fn answer(error: &WireError, resource: &str, request_id: &str) -> Response<Body> {
    let mut response = Response::new(full(s3_error(error, resource, request_id, request_id)));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    for name in ["x-amz-request-id", "x-amz-id-2"] {
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(name, value);
        }
    }
    response
}
