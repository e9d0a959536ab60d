use futures_util::future::join_all;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    Error as DeleteError, ObjectIdentifier,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, not_implemented, put, refusal, store_failure};
use crate::access::{Grants, error, recorder};
use crate::front::KeyOutcome;
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
        if input.mfa.is_some() {
            return Err(not_implemented());
        }
        let precondition = put::precondition(input.if_match.as_ref(), None)?;
        let status = self.status(&permit);
        // That there was nothing to delete is no error, and so tells nobody what there is.
        let deleted = self
            .store
            .delete(permit, precondition, self.clock.now(), status)
            .await
            .map_err(store_failure)?
            .map_err(|refused| match refused {
                Refused::NoSuchKey => grants.missing_key(&request.extensions, &input.bucket),
                other => refusal(other),
            })?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version.map(|version| version.to_string()),
            request_charged: None,
        }))
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
            recorder.outcome().keys.push(told(&outcome));
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
        let (key, named) = (object.key, object.version_id);
        let failed = |code: &str, message: &str| DeleteError {
            code: Some(code.to_owned()),
            key: Some(key.clone()),
            message: Some(message.to_owned()),
            version_id: named.clone(),
        };
        let permit = permit.map_err(|denied| failed(denied.code, &denied.message))?;
        let target = permit.target();
        if target.bucket.as_deref() != Some(bucket)
            || target.key.as_deref() != Some(key.as_str())
            || target.version != named
        {
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
        let status = self.status(&permit);
        let refused = match self.store.delete(permit, precondition, self.clock.now(), status).await {
            Ok(Ok(deleted)) => {
                return Ok(DeletedObject {
                    delete_marker: deleted.marker.then_some(true),
                    delete_marker_version_id: deleted
                        .version
                        .filter(|_| deleted.marker)
                        .map(|version| version.to_string()),
                    key: Some(key),
                    version_id: named,
                });
            }
            Ok(Err(refused)) => refusal(refused),
            Err(failure) => store_failure(failure),
        };
        Err(failed(refused.code().as_str(), refused.message().unwrap_or_default()))
    }
}

/// What the record says of one key.
fn told(outcome: &Result<DeletedObject, DeleteError>) -> KeyOutcome {
    match outcome {
        Ok(object) => {
            let version = object.delete_marker_version_id.as_ref().or(object.version_id.as_ref());
            let version = version.map(|version| ("x-amz-version-id", version.clone()));
            let marker = object
                .delete_marker
                .map(|marker| ("x-amz-delete-marker", marker.to_string()));
            KeyOutcome {
                key: object.key.clone().unwrap_or_default(),
                version: object.version_id.clone(),
                error: None,
                elements: version.into_iter().chain(marker).collect(),
            }
        }
        Err(failure) => KeyOutcome {
            key: failure.key.clone().unwrap_or_default(),
            version: failure.version_id.clone(),
            error: Some((
                failure.code.clone().unwrap_or_default(),
                failure.message.clone().unwrap_or_default(),
            )),
            elements: Vec::new(),
        },
    }
}
