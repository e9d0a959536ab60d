//! The bucket policy.

use std::sync::Arc;

use http::{HeaderValue, header};
use s3s::dto::{
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
    GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, PolicyStatus, PutBucketPolicyInput, PutBucketPolicyOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::{Backend, answer, not_set};
use crate::access::{error, unguarded};
use crate::bucket::{BucketRecord, policy};
use crate::target::Authorizer;

impl Backend {
    pub(in crate::backend) async fn get_bucket_policy(
        &self,
        request: &S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let record = self.decided(request)?;
        of_the_account(authorizer(request)?, &record)?;
        let policy = record.settings.policy.as_ref().ok_or_else(no_policy)?;
        let mut response = S3Response::new(GetBucketPolicyOutput {
            policy: Some(policy.text.clone()),
        });
        let json = HeaderValue::from_static("application/json");
        response.headers.insert(header::CONTENT_TYPE, json);
        Ok(response)
    }

    pub(in crate::backend) async fn get_bucket_policy_status(
        &self,
        request: &S3Request<GetBucketPolicyStatusInput>,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        let record = self.decided(request)?;
        let policy = record.settings.policy.as_ref().ok_or_else(no_policy)?;
        answer(GetBucketPolicyStatusOutput {
            policy_status: Some(PolicyStatus {
                is_public: Some(policy.is_public()),
            }),
        })
    }

    /// A policy that locks out who puts it is taken, as S3 takes it, whatever `x-amz-confirm-remove-self-bucket-access` says: the
    /// owner's root user can put another.
    pub(in crate::backend) async fn put_bucket_policy(
        &self,
        request: &S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let record = self.decided(request)?;
        let authorizer = authorizer(request)?;
        of_the_account(authorizer, &record)?;
        let policy = policy::check(&request.input.policy, &record.name, self.partition(), &|name| {
            authorizer.find_principal(name)
        })
        .map_err(|refused| error(refused.code, refused.message))?;
        let public = policy.is_public();
        self.change(request, |settings| {
            if public
                && settings
                    .public_access_block
                    .is_some_and(|block| block.block_public_policy)
            {
                return Err(error("AccessDenied", blocked(authorizer, &record)));
            }
            settings.policy = Some(policy.clone());
            Ok(())
        })
        .await?;
        answer(PutBucketPolicyOutput {})
    }

    pub(in crate::backend) async fn delete_bucket_policy(
        &self,
        request: &S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        let record = self.decided(request)?;
        of_the_account(authorizer(request)?, &record)?;
        self.change(request, |settings| {
            settings.policy = None;
            Ok(())
        })
        .await?;
        answer(DeleteBucketPolicyOutput {})
    }
}

fn authorizer<T>(request: &S3Request<T>) -> S3Result<&Arc<dyn Authorizer>> {
    request.extensions.get().ok_or_else(|| unguarded("no authorizer"))
}

/// Who is of another account has nothing to do with the policy, even if the policy itself says otherwise.
fn of_the_account(authorizer: &Arc<dyn Authorizer>, record: &BucketRecord) -> S3Result<()> {
    if authorizer.account() == Some(record.account) {
        return Ok(());
    }
    Err(error(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
    ))
}

fn no_policy() -> S3Error {
    not_set("NoSuchBucketPolicy", "The bucket policy does not exist")
}

fn blocked(authorizer: &Arc<dyn Authorizer>, record: &BucketRecord) -> String {
    let partition = irsa_core::partition_of_region(&record.region);
    format!(
        "User: {} is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:{partition}:s3:::{}\" because public policies are \
         blocked by the BlockPublicPolicy block public access setting.",
        authorizer.principal().unwrap_or_default(),
        record.name,
    )
}
