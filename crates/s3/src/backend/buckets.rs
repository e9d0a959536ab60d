use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput,
};
use s3s::{S3Request, S3Response, S3Result};
use uuid::Uuid;

use super::{Backend, not_implemented, owner, store_failure, wire_time};
use crate::access::{Grants, error};
use crate::bucket::{BucketRecord, BucketSettings, BucketsError, MoreBuckets, is_valid_bucket_name};
use crate::permit::{DeleteBucket, GetBucketLocation, ListBucket, Permit};
use crate::target::Authorizer;

/// Regions whose endpoint makes buckets without saying where, and answers a repeated creation by the owner with success.
const CLASSIC_REGION: &str = "us-east-1";

impl Backend {
    pub(super) fn list_buckets(
        &self,
        request: &S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        Grants::of(&request.extensions)?.allows("s3:ListAllMyBuckets", None)?;
        let account = request
            .extensions
            .get::<Arc<dyn Authorizer>>()
            .and_then(|authorizer| authorizer.account());
        let Some(account) = account else {
            return Err(error("AccessDenied", "Access Denied"));
        };
        let input = &request.input;
        let limit = match input.max_buckets {
            None => usize::MAX,
            Some(count @ 1..=10_000) => usize::try_from(count).unwrap_or(1),
            Some(_) => return Err(error("InvalidArgument", "max-buckets must be between 1 and 10000")),
        };
        let after = match &input.continuation_token {
            None => None,
            Some(token) => Some(
                URL_SAFE_NO_PAD
                    .decode(token)
                    .ok()
                    .and_then(|name| String::from_utf8(name).ok())
                    .ok_or_else(|| error("InvalidArgument", "The continuation token provided is incorrect"))?,
            ),
        };
        let mut known = self.buckets.list(account);
        if let Some(MoreBuckets(more)) = request.extensions.get() {
            known.extend(more.iter().filter(|record| record.account == account).cloned());
            known.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        let mut matching = known.into_iter().filter(|record| {
            after.as_ref().is_none_or(|after| record.name > *after)
                && input
                    .prefix
                    .as_ref()
                    .is_none_or(|prefix| record.name.starts_with(prefix))
                && input
                    .bucket_region
                    .as_ref()
                    .is_none_or(|region| record.region == *region)
        });
        let page: Vec<_> = matching.by_ref().take(limit).collect();
        let more = matching.next().is_some();
        let paged = input.max_buckets.is_some() || input.prefix.is_some() || input.bucket_region.is_some();
        Ok(S3Response::new(ListBucketsOutput {
            continuation_token: page
                .last()
                .filter(|_| more)
                .map(|record| URL_SAFE_NO_PAD.encode(&record.name)),
            buckets: Some(
                page.iter()
                    .map(|record| Bucket {
                        bucket_region: paged.then(|| record.region.clone()),
                        creation_date: Some(wire_time(record.created)),
                        name: Some(record.name.clone()),
                    })
                    .collect(),
            ),
            owner: Some(owner(account)),
            prefix: input.prefix.clone(),
        }))
    }

    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = request.input;
        Grants::of(&request.extensions)?.allows("s3:CreateBucket", Some(&input.bucket))?;
        let account = request
            .extensions
            .get::<Arc<dyn Authorizer>>()
            .and_then(|authorizer| authorizer.account());
        let Some(account) = account else {
            return Err(error("AccessDenied", "Access Denied"));
        };
        if !is_valid_bucket_name(&input.bucket) {
            return Err(error("InvalidBucketName", "The specified bucket is not valid."));
        }
        let region = match input.create_bucket_configuration {
            None => self.region.clone(),
            Some(configuration) if configuration.bucket.is_some() || configuration.location.is_some() => {
                return Err(not_implemented());
            }
            Some(configuration) => match configuration.location_constraint {
                None => self.region.clone(),
                Some(constraint) => region_of(constraint.as_str())?,
            },
        };
        let record = BucketRecord {
            name: input.bucket,
            id: Uuid::new_v4(),
            account,
            region,
            created: self.clock.now(),
            settings: BucketSettings::default(),
        };
        let location = format!("/{}", record.name);
        match self.buckets.create(record).await {
            Ok(()) => {}
            Err(BucketsError::Exists(existing)) if existing.account != account => {
                return Err(error(
                    "BucketAlreadyExists",
                    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
                     Please select a different name and try again.",
                ));
            }
            Err(BucketsError::Exists(existing))
                if existing.region == CLASSIC_REGION && self.region == CLASSIC_REGION => {}
            Err(BucketsError::Exists(_)) => {
                return Err(error(
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already own it.",
                ));
            }
            Err(BucketsError::TooMany { .. }) => {
                return Err(error(
                    "TooManyBuckets",
                    "You have attempted to create more buckets than allowed",
                ));
            }
            Err(failure @ (BucketsError::Missing | BucketsError::Changed | BucketsError::Unavailable(_))) => {
                return Err(registry_failure(&failure));
            }
        }
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(location),
        }))
    }

    pub(super) fn head_bucket(&self, request: &S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let grants = Grants::of(&request.extensions)?;
        let _: Permit<ListBucket> = grants.permit(&request.input.bucket, None)?;
        Ok(S3Response::new(HeadBucketOutput {
            access_point_alias: Some(false),
            bucket_location_name: None,
            bucket_location_type: None,
            bucket_region: grants.bucket.as_ref().map(|record| record.region.clone()),
        }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: &S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let grants = Grants::of(&request.extensions)?;
        let permit: Permit<DeleteBucket> = grants.permit(&request.input.bucket, None)?;
        let Some(record) = grants.bucket.clone() else {
            return Err(error("NoSuchBucket", "The specified bucket does not exist"));
        };
        let (store, buckets) = (self.store.clone(), Arc::clone(&self.buckets));
        // Two steps, both of them or none, also when the caller goes away in between.
        let removal = tokio::spawn(async move {
            if !store.close_bucket(&permit).await.map_err(store_failure)? {
                return Err(error("BucketNotEmpty", "The bucket you tried to delete is not empty"));
            }
            match buckets.delete(&record).await {
                Ok(()) => {
                    // What was never completed goes with the bucket. Should this fail, it goes when it is old.
                    if let Err(failure) = store.end_uploads_of(&permit).await {
                        store_failure(failure);
                    }
                    Ok(())
                }
                Err(BucketsError::Missing) => Err(error("NoSuchBucket", "The specified bucket does not exist")),
                Err(failure) => {
                    store.reopen_bucket(&permit).await.map_err(store_failure)?;
                    Err(registry_failure(&failure))
                }
            }
        });
        removal
            .await
            .unwrap_or_else(|_| Err(error("InternalError", crate::front::INTERNAL)))?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    pub(super) fn get_bucket_location(
        &self,
        request: &S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let grants = Grants::of(&request.extensions)?;
        let _: Permit<GetBucketLocation> = grants.permit(&request.input.bucket, None)?;
        let region = grants.bucket.as_ref().map(|record| record.region.clone());
        Ok(S3Response::new(GetBucketLocationOutput {
            // The first region has no name here.
            location_constraint: region
                .filter(|region| region != CLASSIC_REGION)
                .map(BucketLocationConstraint::from),
        }))
    }
}

/// The region of a location constraint.
fn region_of(constraint: &str) -> S3Result<String> {
    let is_region = {
        let mut labels = constraint.split('-');
        let word = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase());
        let number = labels
            .next_back()
            .is_some_and(|last| last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_digit()));
        number && labels.clone().count() >= 2 && labels.all(word)
    };
    match constraint {
        "EU" => Ok("eu-west-1".to_owned()),
        // The first region is named by leaving the constraint out.
        CLASSIC_REGION => Err(error(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        )),
        region if is_region => Ok(region.to_owned()),
        _ => Err(error(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        )),
    }
}

pub(super) fn registry_failure(failure: &BucketsError) -> s3s::S3Error {
    let source = std::error::Error::source(failure).map(ToString::to_string);
    tracing::error!(error = %failure, source, "the bucket registry failed");
    error("InternalError", crate::front::INTERNAL)
}
