use std::marker::PhantomData;
use std::sync::Arc;

use uuid::Uuid;

use crate::bucket::BucketRecord;
use crate::target::{Allowed, Target};

/// A thing that a permit is for.
pub(crate) trait Verb: Send + Sync + 'static {
    /// The IAM action that allows it.
    const ACTION: &'static str;
    /// Whether it is about one object; else it is about a bucket.
    const OBJECT: bool;
}

macro_rules! verbs {
    ($($name:ident = $action:literal, $object:literal;)*) => {$(
        #[doc = concat!("What `", $action, "` allows.")]
        #[derive(Debug)]
        pub(crate) enum $name {}
        impl Verb for $name {
            const ACTION: &'static str = $action;
            const OBJECT: bool = $object;
        }
    )*};
}

verbs! {
    ReadObject = "s3:GetObject", true;
    WriteObject = "s3:PutObject", true;
    DeleteObject = "s3:DeleteObject", true;
    AbortUpload = "s3:AbortMultipartUpload", true;
    ListParts = "s3:ListMultipartUploadParts", true;
    ListUploads = "s3:ListBucketMultipartUploads", false;
    ListBucket = "s3:ListBucket", false;
    DeleteBucket = "s3:DeleteBucket", false;
    GetBucketLocation = "s3:GetBucketLocation", false;
}

/// An [`Allowed`] made ready for the object store: this verb, on this very bucket (not its successor of the same name), and for object verbs on this key.
///
/// The store takes bucket and key from here and from nowhere else, so the key that was authorized is the key that is used.
#[derive(Debug)]
pub(crate) struct Permit<V: Verb> {
    target: Arc<Target>,
    bucket: Uuid,
    verb: PhantomData<V>,
}

impl<V: Verb> Permit<V> {
    /// `None`: the policy engine allowed something else.
    pub(crate) fn new(allowed: &Allowed, record: &BucketRecord) -> Option<Self> {
        let target = allowed.target();
        (target.action == V::ACTION
            && target.bucket.as_deref() == Some(record.name.as_str())
            && target.key.is_some() == V::OBJECT)
            .then(|| Self {
                target: Arc::clone(target),
                bucket: record.id,
                verb: PhantomData,
            })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn bucket(&self) -> Uuid {
        self.bucket
    }

    /// The key; empty for a bucket verb, and no object has an empty key.
    pub(crate) fn key(&self) -> &str {
        self.target.key.as_deref().unwrap_or_default()
    }
}

impl<V: Verb> Clone for Permit<V> {
    fn clone(&self) -> Self {
        Self {
            target: Arc::clone(&self.target),
            bucket: self.bucket,
            verb: PhantomData,
        }
    }
}
