use futures_util::future::join_all;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    Error as DeleteError, ObjectIdentifier,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, not_implemented, put, refusal, store_failure};
use crate::access::{Grants, error, recorder};
use crate::permit::{DeleteObject, Permit};
use crate::store::{Precondition, Refused};
use crate::target::Denied;

/// The longest key in bytes.
const MAX_KEY: usize = 1024;

impl Backend {
    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<DeleteObject> = grants.permit(&input.bucket, Some(&input.key))?;
        if input.version_id.is_some() || input.mfa.is_some() {
            return Err(not_implemented());
        }
        let precondition = put::precondition(input.if_match.as_ref(), None)?;
        // That there was nothing to delete is no error, and so tells nobody what there is.
        self.store
            .delete(permit, precondition, self.clock.now())
            .await
            .map_err(store_failure)?
            .map_err(|refused| match refused {
                Refused::NoSuchKey => grants.missing_key(&request.extensions, &input.bucket),
                other => refusal(other),
            })?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let recorder = recorder(&request.extensions)?;
        let objects = input.delete.objects;
        let permits: Vec<Result<Permit<DeleteObject>, Denied>> = grants.keys().collect();
        if permits.len() != objects.len() {
            return Err(error("AccessDenied", "Access Denied"));
        }
        // All at once, so that they share a commit.
        let deletions = objects
            .into_iter()
            .zip(permits)
            .map(|(object, permit)| self.delete_one(&input.bucket, object, permit));
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for outcome in join_all(deletions).await {
            let (key, failure) = match &outcome {
                Ok(object) => (&object.key, None),
                Err(failure) => (&failure.key, Some((failure.code.clone(), failure.message.clone()))),
            };
            let failure = failure.map(|(code, message)| (code.unwrap_or_default(), message.unwrap_or_default()));
            recorder.outcome().keys.push((key.clone().unwrap_or_default(), failure));
            match outcome {
                Ok(_) if quiet => {}
                Ok(object) => deleted.push(object),
                Err(failure) => errors.push(failure),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            request_charged: None,
        }))
    }

    async fn delete_one(
        &self,
        bucket: &str,
        object: ObjectIdentifier,
        permit: Result<Permit<DeleteObject>, Denied>,
    ) -> Result<DeletedObject, DeleteError> {
        let key = object.key;
        let failed = |code: &str, message: &str| DeleteError {
            code: Some(code.to_owned()),
            key: Some(key.clone()),
            message: Some(message.to_owned()),
            version_id: None,
        };
        let permit = permit.map_err(|denied| failed(denied.code, &denied.message))?;
        let target = permit.target();
        if target.bucket.as_deref() != Some(bucket) || target.key.as_deref() != Some(key.as_str()) {
            return Err(failed("AccessDenied", "Access Denied"));
        }
        if key.is_empty() {
            return Err(failed("UserKeyMustBeSpecified", "User key must be specified."));
        }
        if key.len() > MAX_KEY {
            return Err(failed("KeyTooLongError", "Your key is too long"));
        }
        if object.last_modified_time.is_some() || object.size.is_some() {
            return Err(failed("NotImplemented", crate::operation::NOT_IMPLEMENTED));
        }
        let precondition = match object.e_tag {
            None => Precondition::None,
            Some(ETag::Strong(etag)) => Precondition::ETag(etag),
            Some(ETag::Weak(_)) => return Err(failed("NotImplemented", crate::operation::NOT_IMPLEMENTED)),
        };
        let refused = match self.store.delete(permit, precondition, self.clock.now()).await {
            Ok(Ok(_)) => None,
            Ok(Err(refused)) => Some(refusal(refused)),
            Err(failure) => Some(store_failure(failure)),
        };
        match refused {
            None => Ok(DeletedObject {
                key: Some(key),
                ..DeletedObject::default()
            }),
            Some(refused) => Err(failed(refused.code().as_str(), refused.message().unwrap_or_default())),
        }
    }
}
