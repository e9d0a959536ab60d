//! ACLs of objects, which are off: there is one, it can be read, and it can't be changed.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>.

use s3s::dto::{GetObjectAclInput, GetObjectAclOutput, PutObjectAclInput, PutObjectAclOutput};
use s3s::{S3Request, S3Response, S3Result};

use super::settings::{full_control, no_acls};
use super::versions::not_there;
use super::{Backend, store_failure};
use crate::access::{Grants, unguarded};
use crate::permit::{Permit, ReadAcl, WriteAcl};

impl Backend {
    pub(super) async fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = request.input;
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<ReadAcl> = grants.permit(&input.bucket, Some(&input.key))?;
        let version = permit.version();
        let found = self.store.look_for_acl(permit).await.map_err(store_failure)?;
        found.map_err(|refused| not_there(refused, grants, &request.extensions, &input.bucket, version))?;
        let record = grants.bucket.as_ref().ok_or_else(|| unguarded("no bucket"))?;
        let (owner, grant) = full_control(record.account);
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(vec![grant]),
            owner: Some(owner),
            request_charged: None,
        }))
    }

    pub(super) fn put_object_acl(
        &self,
        request: &S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let (bucket, key) = (&request.input.bucket, &request.input.key);
        let _: Permit<WriteAcl> = Grants::of(&request.extensions)?.permit(bucket, Some(key))?;
        Err(no_acls())
    }
}
