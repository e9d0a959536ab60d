//! What no bucket here has: what S3 says of a bucket without it, and that it can be switched off but not on.

use s3s::dto::{
    BucketAccelerateStatus, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, DeleteBucketReplicationInput,
    DeleteBucketReplicationOutput, DeleteBucketWebsiteInput, DeleteBucketWebsiteOutput,
    GetBucketAccelerateConfigurationInput, GetBucketAccelerateConfigurationOutput,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetBucketLoggingInput,
    GetBucketLoggingOutput, GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput,
    GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput,
    GetBucketWebsiteInput, GetBucketWebsiteOutput, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput,
    Payer, PutBucketAccelerateConfigurationInput, PutBucketAccelerateConfigurationOutput,
    PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput, PutBucketLoggingInput,
    PutBucketLoggingOutput, PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    PutBucketReplicationInput, PutBucketReplicationOutput, PutBucketRequestPaymentInput, PutBucketRequestPaymentOutput,
    PutBucketWebsiteInput, PutBucketWebsiteOutput, PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed, not_done, not_set};

/// Methods that decide and answer this.
macro_rules! constant {
    ($($name:ident($input:ident) -> $output:ident { $answer:expr })*) => {
        impl Backend {$(
            pub(in crate::backend) async fn $name(&self, request: &S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.decided(request)?;
                $answer
            }
        )*}
    };
}

constant! {
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput {
        answer(GetBucketAccelerateConfigurationOutput::default())
    }
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput {
        Err(not_set("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"))
    }
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput {
        answer(GetBucketLoggingOutput::default())
    }
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput {
        answer(GetBucketNotificationConfigurationOutput::default())
    }
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput {
        Err(not_set("ReplicationConfigurationNotFoundError", "The replication configuration was not found"))
    }
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput {
        answer(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) })
    }
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput {
        Err(not_set("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"))
    }
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput {
        Err(not_set("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"))
    }
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput {
        answer(DeleteBucketLifecycleOutput {})
    }
    delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput {
        answer(DeleteBucketReplicationOutput {})
    }
    delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput {
        answer(DeleteBucketWebsiteOutput {})
    }
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput {
        Err(not_done("Lifecycle configuration"))
    }
    put_bucket_replication(PutBucketReplicationInput) -> PutBucketReplicationOutput {
        Err(not_done("Replication"))
    }
    put_bucket_website(PutBucketWebsiteInput) -> PutBucketWebsiteOutput {
        Err(not_done("Website hosting"))
    }
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput {
        Err(not_done("Object lock"))
    }
}

impl Backend {
    pub(in crate::backend) async fn put_bucket_accelerate_configuration(
        &self,
        request: &S3Request<PutBucketAccelerateConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketAccelerateConfigurationOutput>> {
        self.decided(request)?;
        let status = request.input.accelerate_configuration.status.as_ref();
        match status.map(BucketAccelerateStatus::as_str) {
            Some(BucketAccelerateStatus::SUSPENDED) => answer(PutBucketAccelerateConfigurationOutput {}),
            Some(BucketAccelerateStatus::ENABLED) => Err(not_done("Transfer acceleration")),
            _ => Err(malformed()),
        }
    }

    pub(in crate::backend) async fn put_bucket_logging(
        &self,
        request: &S3Request<PutBucketLoggingInput>,
    ) -> S3Result<S3Response<PutBucketLoggingOutput>> {
        self.decided(request)?;
        match request.input.bucket_logging_status.logging_enabled {
            None => answer(PutBucketLoggingOutput {}),
            Some(_) => Err(not_done("Server access logging")),
        }
    }

    pub(in crate::backend) async fn put_bucket_notification_configuration(
        &self,
        request: &S3Request<PutBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
        self.decided(request)?;
        let given = &request.input.notification_configuration;
        let nothing = given.event_bridge_configuration.is_none()
            && given.lambda_function_configurations.as_ref().is_none_or(Vec::is_empty)
            && given.queue_configurations.as_ref().is_none_or(Vec::is_empty)
            && given.topic_configurations.as_ref().is_none_or(Vec::is_empty);
        if nothing {
            answer(PutBucketNotificationConfigurationOutput {})
        } else {
            Err(not_done("Event notifications"))
        }
    }

    pub(in crate::backend) async fn put_bucket_request_payment(
        &self,
        request: &S3Request<PutBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<PutBucketRequestPaymentOutput>> {
        self.decided(request)?;
        match request.input.request_payment_configuration.payer.as_str() {
            Payer::BUCKET_OWNER => answer(PutBucketRequestPaymentOutput {}),
            Payer::REQUESTER => Err(not_done("Payment by the requester")),
            _ => Err(malformed()),
        }
    }
}
