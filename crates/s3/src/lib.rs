//! S3: operation → IAM action, enforcement, and an object store of our own.
//!
//! The step of the story where credentials are worth something. The server's pipeline has authenticated the request before it comes
//! here; [`Front`] finds out which operation it is, asks the [`Authorizer`] for each [`Target`] of it, and lets the operation run with
//! the [`Allowed`] values that it got. Parsing and encoding of the protocol is the crate `s3s`.
//!
//! Invariants:
//! - An operation without an entry in [`operations`] is refused.
//! - The object store takes bucket and key from a permit, and a permit is made of an [`Allowed`] and nothing else.
//! - A write is answered when it is on disk.

mod access;
mod backend;
mod bucket;
mod front;
mod operation;
mod permit;
mod post;
mod question;
pub mod relay;
mod route;
mod store;
mod target;

pub use backend::checksum::Integrity;
pub use bucket::{
    BoundPrincipal, BucketPolicy, BucketRecord, BucketSettings, Buckets, BucketsError, CompiledPolicy, CorsRule,
    MemoryBuckets, MoreBuckets, NamedPrincipal, PublicAccessBlock, Versioning, is_valid_bucket_name,
};
pub use front::{Body, BodyError, BoxError, Front, FrontOptions, Identifiers, KeyOutcome, S3Outcome, Visitor, prepare};
pub use operation::{Marker, Operation, ResourceKind, operations};
pub use post::{FormFile, FormReader, FormRequest, FormUpload, PostPolicy, form_boundary};
pub use question::{Asked, Document, KeyQuestions, ObjectTags, Question, Questioner, S3Refusal};
pub use route::{Head, Place};
pub use store::{ObjectStore, ObjectStoreError};
pub use target::{Allowed, Authorizer, Denied, Target};
