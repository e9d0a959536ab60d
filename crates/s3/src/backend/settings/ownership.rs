//! Who owns objects: the bucket's owner, always, so there are no ACLs.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>.

use irsa_core::AccountId;
use s3s::dto::{
    DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput, GetBucketAclInput, GetBucketAclOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, Grant, Grantee, ObjectOwnership, Owner,
    OwnershipControls, OwnershipControlsRule, Permission, PutBucketAclInput, PutBucketAclOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, Type,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed, not_done, not_set};
use crate::access::error;
use crate::backend::owner;

impl Backend {
    pub(in crate::backend) async fn get_bucket_ownership_controls(
        &self,
        request: &S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        if !self.decided(request)?.settings.ownership_controls {
            return Err(not_set(
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
            ));
        }
        let rule = OwnershipControlsRule {
            object_ownership: ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED),
        };
        answer(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(OwnershipControls { rules: vec![rule] }),
        })
    }

    pub(in crate::backend) async fn put_bucket_ownership_controls(
        &self,
        request: &S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        self.decided(request)?;
        let [rule] = request.input.ownership_controls.rules.as_slice() else {
            return Err(malformed());
        };
        match rule.object_ownership.as_str() {
            ObjectOwnership::BUCKET_OWNER_ENFORCED => {}
            ObjectOwnership::BUCKET_OWNER_PREFERRED | ObjectOwnership::OBJECT_WRITER => {
                return Err(not_done("Object ownership other than BucketOwnerEnforced"));
            }
            _ => return Err(malformed()),
        }
        self.change(request, |settings| {
            settings.ownership_controls = true;
            Ok(())
        })
        .await?;
        answer(PutBucketOwnershipControlsOutput {})
    }

    pub(in crate::backend) async fn delete_bucket_ownership_controls(
        &self,
        request: &S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        self.change(request, |settings| {
            settings.ownership_controls = false;
            Ok(())
        })
        .await?;
        answer(DeleteBucketOwnershipControlsOutput {})
    }

    pub(in crate::backend) async fn get_bucket_acl(
        &self,
        request: &S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        let (owner, grant) = full_control(self.decided(request)?.account);
        answer(GetBucketAclOutput {
            grants: Some(vec![grant]),
            owner: Some(owner),
        })
    }

    pub(in crate::backend) async fn put_bucket_acl(
        &self,
        request: &S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        self.decided(request)?;
        Err(no_acls())
    }
}

/// The only ACL that there is: the bucket's owner may do everything.
pub(in crate::backend) fn full_control(account: AccountId) -> (Owner, Grant) {
    let owner = owner(account);
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: owner.id.clone(),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let grant = Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    };
    (owner, grant)
}

/// "Requests to set ACLs or update ACLs fail", whatever they would set:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html>.
pub(in crate::backend) fn no_acls() -> S3Error {
    error("AccessControlListNotSupported", "The bucket does not allow ACLs")
}
