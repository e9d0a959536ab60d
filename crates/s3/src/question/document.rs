//! The questions that a body asks: where a bucket is to be, which keys go, which tags an object gets.

use std::sync::Arc;

use irsa_core::AccountId;
use s3s::S3Result;
use s3s::dto::{Delete, ETag, ObjectIdentifier, Tagging};
use s3s::xml::{DeError, Deserialize, Deserializer};

use super::tags::add_request_tags;
use super::{Asked, ObjectTags, Question, Questioner, S3Refusal, add_existing_tags, version_of};
use crate::access::{error, unguarded};
use crate::backend::tagging;
use crate::bucket::BucketRecord;
use crate::operation::{NOT_IMPLEMENTED, ResourceKind};
use crate::relay::{skip, text};
use crate::route::Head;
use crate::store::Tags;

/// The questions of a body.
#[derive(Clone, Debug)]
pub enum Document {
    /// Where the bucket is to be made, and the questions, all of which must be allowed.
    NewBucket(Option<String>, Vec<Question>),
    /// Each key is decided for itself.
    Keys {
        /// The keys in their order.
        keys: Vec<KeyQuestions>,
        /// Whether only failures are answered.
        quiet: bool,
    },
    /// The tags that the object gets, and the question. Tags that cannot be are refused after the decision: who may not write them
    /// learns nothing.
    Tagged(Result<Vec<(String, String)>, S3Refusal>, Box<Question>),
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
    /// Whether it has a condition that only directory buckets have, and that nothing here can keep.
    pub is_unheeded: bool,
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
                let constraint = place_of_bucket(body)?;
                let questions = self.of_new_bucket(head, constraint.as_deref(), account);
                Ok(Document::NewBucket(constraint, questions))
            }
            ResourceKind::Keys => {
                let document: Delete = read(body)?;
                let quiet = document.quiet.unwrap_or(false);
                let keys = self.of_keys(head, existing(asked)?, &document.objects, tags).await?;
                Ok(Document::Keys { keys, quiet })
            }
            ResourceKind::Tagged => {
                let document: Tagging = read(body)?;
                let given = tagging::of_document(&document.tag_set);
                let question = self
                    .of_tagging(head, existing(asked)?, given.as_ref().ok(), tags)
                    .await?;
                Ok(Document::Tagged(given.map_err(S3Refusal::from), Box::new(question)))
            }
            _ => Err(unguarded("no document")),
        }
    }

    /// The questions about a bucket that is to be made in the caller's account; the first is about the bucket itself.
    ///
    /// What a header sets is asked for as if it were set later: see "Permissions" in
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>. ACLs other than `private` and object lock, which ask
    /// for more, are refused before.
    pub(crate) fn of_new_bucket(
        &self,
        head: &Head<'_>,
        place: Option<&str>,
        account: Option<AccountId>,
    ) -> Vec<Question> {
        let bucket = head.place.bucket.as_deref();
        let question = |action| {
            let mut target = self.target(head, action, bucket, None, None);
            target.resource_account = account;
            Question { target, bucket: None }
        };
        let mut questions = vec![question(head.operation.action)];
        if let (Some(place), Some(making)) = (place, questions.first_mut()) {
            let place = vec![place.to_owned()];
            making.target.context.push(("s3:locationconstraint".into(), place));
        }
        if head.headers.contains_key("x-amz-object-ownership") {
            questions.push(question("s3:PutBucketOwnershipControls"));
        }
        questions
    }

    /// The questions about each key of a multi-object delete.
    pub(crate) async fn of_keys(
        &self,
        head: &Head<'_>,
        record: &Arc<BucketRecord>,
        objects: &[ObjectIdentifier],
        tags: &dyn ObjectTags,
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
        let mut keys = Vec::with_capacity(objects.len());
        for object in objects {
            let mut deletion = question(head.operation.action, &object.key);
            deletion.target.set_version(object.version_id.as_deref());
            let mut questions = vec![deletion];
            // A condition is about the newest version, whichever goes.
            if object.e_tag.is_some() {
                let mut reading = question("s3:GetObject", &object.key);
                add_existing_tags(&mut reading, tags, false).await?;
                questions.push(reading);
            }
            keys.push(KeyQuestions {
                key: object.key.clone(),
                version: object.version_id.clone(),
                etag: object.e_tag.as_ref().map(|etag| etag.value().to_owned()),
                is_unheeded: object.last_modified_time.is_some()
                    || object.size.is_some()
                    || matches!(object.e_tag, Some(ETag::Weak(_))),
                questions,
            });
        }
        Ok(keys)
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

/// Where a bucket is to be made. What else the document asks for is nothing that we do, and a bucket without it is not what was meant.
pub(crate) fn place_of_bucket(body: &[u8]) -> S3Result<Option<String>> {
    if body.is_empty() {
        return Ok(None);
    }
    let (mut place, mut wrong) = (None, None);
    let mut reader = Deserializer::new(body);
    let read = reader.named_element("CreateBucketConfiguration", |reader| {
        reader.for_each_element(|reader, name| {
            match name {
                b"LocationConstraint" if place.is_none() => place = Some(text(reader)?),
                b"LocationConstraint" => return Err(DeError::DuplicateField),
                b"Bucket" | b"Location" | b"Tags" => {
                    wrong = wrong.take().or_else(|| Some(error("NotImplemented", NOT_IMPLEMENTED)));
                    skip(reader, 0)?;
                }
                _ => return Err(DeError::UnexpectedTagName),
            }
            Ok(())
        })
    });
    read.and_then(|()| reader.expect_eof()).map_err(|_| malformed())?;
    wrong.map_or(Ok(place), Err)
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
