use std::marker::PhantomData;
use std::sync::Arc;

use uuid::Uuid;

use crate::bucket::BucketRecord;
use crate::store::Version;
use crate::target::{Allowed, Target};

/// The condition keys of the tags that an object has.
pub(crate) const EXISTING_TAG: &str = "s3:ExistingObjectTag/";

/// A thing that a permit is for.
pub(crate) trait Verb: Send + Sync + 'static {
    /// The IAM action that allows it.
    const ACTION: &'static str;
    /// The action that allows it on a version that the request names; `None`: it is about no version.
    const VERSION_ACTION: Option<&'static str>;
    /// Whether it is about one object; else it is about a bucket.
    const OBJECT: bool;
}

macro_rules! verbs {
    ($($name:ident = $action:literal, $version:expr, $object:literal;)*) => {$(
        #[doc = concat!("What `", $action, "` allows.")]
        #[derive(Debug)]
        pub(crate) enum $name {}
        impl Verb for $name {
            const ACTION: &'static str = $action;
            const VERSION_ACTION: Option<&'static str> = $version;
            const OBJECT: bool = $object;
        }
    )*
        /// Each verb's action, and the one on versions.
        const VERSION_ACTIONS: &[(&str, Option<&str>)] = &[$(($action, $version)),*];
    };
}

verbs! {
    ReadObject = "s3:GetObject", Some("s3:GetObjectVersion"), true;
    WriteObject = "s3:PutObject", None, true;
    DeleteObject = "s3:DeleteObject", Some("s3:DeleteObjectVersion"), true;
    ReadAttributes = "s3:GetObjectAttributes", Some("s3:GetObjectVersionAttributes"), true;
    ReadTags = "s3:GetObjectTagging", Some("s3:GetObjectVersionTagging"), true;
    WriteTags = "s3:PutObjectTagging", Some("s3:PutObjectVersionTagging"), true;
    DeleteTags = "s3:DeleteObjectTagging", Some("s3:DeleteObjectVersionTagging"), true;
    ReadAcl = "s3:GetObjectAcl", Some("s3:GetObjectVersionAcl"), true;
    WriteAcl = "s3:PutObjectAcl", Some("s3:PutObjectVersionAcl"), true;
    AbortUpload = "s3:AbortMultipartUpload", None, true;
    ListParts = "s3:ListMultipartUploadParts", None, true;
    ListUploads = "s3:ListBucketMultipartUploads", None, false;
    ListBucket = "s3:ListBucket", None, false;
    ListVersions = "s3:ListBucketVersions", None, false;
    DeleteBucket = "s3:DeleteBucket", None, false;
    GetBucketLocation = "s3:GetBucketLocation", None, false;
}

/// The action that is asked for in place of `action` where a request names a version; `None`: nothing of the kind takes a version.
pub(crate) fn version_action(action: &str) -> Option<&'static str> {
    VERSION_ACTIONS
        .iter()
        .find(|(plain, _)| *plain == action)
        .and_then(|(_, version)| *version)
}

/// Whether the target is this verb's: on a version that is named, another action counts.
pub(crate) fn is_action_of<V: Verb>(target: &Target) -> bool {
    match target.version {
        None => target.action == V::ACTION,
        Some(_) => V::VERSION_ACTION == Some(target.action),
    }
}

/// An [`Allowed`] made ready for the object store: this verb, on this very bucket (not its successor of the same name), and for object verbs on this key
/// and, if the request names one, this version of it.
///
/// The store takes bucket, key and version from here and from nowhere else, so what was authorized is what is used.
#[derive(Debug)]
pub(crate) struct Permit<V: Verb> {
    target: Arc<Target>,
    bucket: Uuid,
    version: Option<Version>,
    verb: PhantomData<V>,
}

impl<V: Verb> Permit<V> {
    /// `None`: the policy engine allowed something else.
    pub(crate) fn new(allowed: &Allowed, record: &BucketRecord) -> Option<Self> {
        let target = allowed.target();
        let version = match &target.version {
            None => None,
            Some(id) => Some(Version::parse(id)?),
        };
        (is_action_of::<V>(target)
            && target.bucket.as_deref() == Some(record.name.as_str())
            && target.key.is_some() == V::OBJECT)
            .then(|| Self {
                target: Arc::clone(target),
                bucket: record.id,
                version,
                verb: PhantomData,
            })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn bucket(&self) -> Uuid {
        self.bucket
    }

    /// The tags that the object had when it was decided, as far as the decision saw them.
    pub(crate) fn seen_tags(&self) -> Vec<(&str, &str)> {
        let mut tags: Vec<(&str, &str)> = self
            .target
            .context
            .iter()
            .filter_map(|(name, values)| Some((name.strip_prefix(EXISTING_TAG)?, values.first()?.as_str())))
            .collect();
        tags.sort_unstable();
        tags
    }

    /// The version that was decided; `None`: the newest.
    pub(crate) fn version(&self) -> Option<Version> {
        self.version
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
            version: self.version,
            verb: PhantomData,
        }
    }
}
