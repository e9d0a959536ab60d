//! The questions that a body asks: where a bucket is to be, which keys go, which tags an object gets.

use std::sync::Arc;

use irsa_core::AccountId;
use s3s::S3Result;
use s3s::dto::{CreateBucketConfiguration, Delete, ObjectIdentifier, Tagging};
use s3s::xml::{Deserialize, Deserializer};

use super::tags::add_request_tags;
use super::{Asked, ObjectTags, Question, Questioner, S3Refusal, add_existing_tags, version_of};
use crate::access::{error, unguarded};
use crate::backend::tagging;
use crate::bucket::BucketRecord;
use crate::operation::ResourceKind;
use crate::route::Head;
use crate::store::Tags;

/// The questions of a body.
#[derive(Clone, Debug)]
pub enum Document {
    /// Where the bucket is to be made, and the question.
    NewBucket(Option<String>, Question),
    /// Each key is decided for itself.
    Keys {
        /// The keys in their order.
        keys: Vec<KeyQuestions>,
        /// Whether only failures are answered.
        quiet: bool,
    },
    /// The tags that the object gets, and the question. Tags that cannot be are refused after the decision: who may not write them
    /// learns nothing.
    Tagged(Result<Vec<(String, String)>, S3Refusal>, Question),
}

/// What is asked for one key of a multi-object delete.
#[derive(Clone, Debug)]
pub struct KeyQuestions {
    /// The key as the body has it.
    pub key: String,
    /// The version, if one is named.
    pub version: Option<String>,
    /// The entity tag that the object must have.
    pub etag: Option<String>,
    /// All must be allowed; the first is the deletion.
    pub questions: Vec<Question>,
}

impl Questioner {
    /// The questions of a body of an operation that [`Asked::awaits_body`]: the whole body, decoded and verified. `account` is the
    /// caller's.
    ///
    /// # Errors
    /// The document can't be read.
    pub async fn of_document(
        &self,
        head: &Head<'_>,
        asked: &Asked,
        body: &[u8],
        account: Option<AccountId>,
        tags: &dyn ObjectTags,
    ) -> Result<Document, S3Refusal> {
        Ok(self.document(head, asked, body, account, tags).await?)
    }

    async fn document(
        &self,
        head: &Head<'_>,
        asked: &Asked,
        body: &[u8],
        account: Option<AccountId>,
        tags: &dyn ObjectTags,
    ) -> S3Result<Document> {
        match head.operation.resource {
            ResourceKind::NewBucket => {
                let configuration = (!body.is_empty())
                    .then(|| read::<CreateBucketConfiguration>(body))
                    .transpose()?;
                let constraint = configuration
                    .and_then(|configuration| configuration.location_constraint)
                    .map(|constraint| constraint.as_str().to_owned());
                let question = self.of_new_bucket(head, constraint.as_deref(), account);
                Ok(Document::NewBucket(constraint, question))
            }
            ResourceKind::Keys => {
                let document: Delete = read(body)?;
                let quiet = document.quiet.unwrap_or(false);
                let keys = self.of_keys(head, existing(asked)?, &document.objects)?;
                Ok(Document::Keys { keys, quiet })
            }
            ResourceKind::Tagged => {
                let document: Tagging = read(body)?;
                let given = tagging::of_document(&document.tag_set);
                let question = self
                    .of_tagging(head, existing(asked)?, given.as_ref().ok(), tags)
                    .await?;
                Ok(Document::Tagged(given.map_err(S3Refusal::from), question))
            }
            _ => Err(unguarded("no document")),
        }
    }

    /// The question about a bucket that is to be made in the caller's account.
    pub(crate) fn of_new_bucket(&self, head: &Head<'_>, place: Option<&str>, account: Option<AccountId>) -> Question {
        let bucket = head.place.bucket.as_deref();
        let mut target = self.target(head, head.operation.action, bucket, None, None);
        if let Some(place) = place {
            target
                .context
                .push(("s3:locationconstraint".into(), vec![place.to_owned()]));
        }
        target.resource_account = account;
        Question { target, bucket: None }
    }

    /// The questions about each key of a multi-object delete.
    pub(crate) fn of_keys(
        &self,
        head: &Head<'_>,
        record: &Arc<BucketRecord>,
        objects: &[ObjectIdentifier],
    ) -> S3Result<Vec<KeyQuestions>> {
        if objects.is_empty() || objects.len() > 1000 {
            return Err(malformed());
        }
        // One reader takes an empty version for none, another for one.
        for object in objects {
            version_of(object.version_id.as_deref())?;
        }
        let question = |action, key: &str| Question {
            target: self.target(head, action, Some(&record.name), Some(key), Some(record)),
            bucket: Some(record.clone()),
        };
        let of_object = |object: &ObjectIdentifier| {
            let mut questions = vec![question(head.operation.action, &object.key)];
            for deletion in &mut questions {
                deletion.target.set_version(object.version_id.as_deref());
            }
            // A condition is about the newest version, whichever goes.
            if object.e_tag.is_some() {
                questions.push(question("s3:GetObject", &object.key));
            }
            KeyQuestions {
                key: object.key.clone(),
                version: object.version_id.clone(),
                etag: object.e_tag.as_ref().map(|etag| etag.value().to_owned()),
                questions,
            }
        };
        Ok(objects.iter().map(of_object).collect())
    }

    /// The question about tags for an object. `given`: those of the body, if they can be.
    pub(crate) async fn of_tagging(
        &self,
        head: &Head<'_>,
        record: &Arc<BucketRecord>,
        given: Option<&Tags>,
        tags: &dyn ObjectTags,
    ) -> S3Result<Question> {
        let key = head.place.key.as_deref();
        let mut question = Question {
            target: self.target(head, head.operation.action, Some(&record.name), key, Some(record)),
            bucket: Some(record.clone()),
        };
        question.target.set_version(version_of(head.parameter("versionId"))?);
        add_existing_tags(&mut question, tags, false).await?;
        if let Some(given) = given {
            add_request_tags(&mut question.target, given);
        }
        Ok(question)
    }
}

fn existing(asked: &Asked) -> S3Result<&Arc<BucketRecord>> {
    asked.bucket.as_ref().ok_or_else(|| unguarded("no bucket"))
}

fn read<T: for<'xml> Deserialize<'xml>>(body: &[u8]) -> S3Result<T> {
    if body.is_empty() {
        return Err(error("MissingRequestBodyError", "Request Body is empty"));
    }
    let mut reader = Deserializer::new(body);
    let read = T::deserialize(&mut reader).map_err(|_| malformed())?;
    reader.expect_eof().map_err(|_| malformed())?;
    Ok(read)
}

fn malformed() -> s3s::S3Error {
    error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}
