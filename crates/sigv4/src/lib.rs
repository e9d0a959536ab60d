//! Request signatures: AWS Signature Version 4. This is the step from "signed request" to "which key
//! signed it"; whose key that is, and what it may do, is decided elsewhere.
//!
//! ```text
//! head ──presented()──▶ Presented ──verify(secret)──▶ Verified ──chunk_decoder()──▶ body bytes
//! ```
//!
//! [`presented`] reads who claims to have signed, and refuses everything that is malformed or that leaves a part of the
//! request outside of the signature; [`Presented::verify`] checks scope, times, payload and signature by [`Rules`].
//! [`authorization`] signs what a proxy sends on under credentials of its own.
//!
//! Invariants:
//! - A [`Verified`] exists only for a request whose signature is right: there is no payload form, location or header
//!   by which a request gets around the comparison.
//! - `host`, the date and every `x-amz-*` header of the request are signed; nothing else of `x-amz-*` can be added.
//! - Each `X-Amz-*` parameter of the signature occurs once, in one place.
//! - [`ChunkDecoder`] releases bytes of a signed chunk only after that chunk's signature was right.
//!
//! Pure: no IO, no clock, and no panic on any input.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]

mod authorization;
mod canonical;
mod checksum;
mod chunked;
mod date;
mod error;
mod key;
mod presented;
mod rules;
mod sign;
mod verify;

pub use checksum::{Checksum, ChecksumAlgorithm};
pub use chunked::{ChunkDecoder, ChunkError, Trailers};
pub use error::{ExpiresFault, LocationKind, Missing, SigV4Error};
pub use key::SigningKey;
pub use presented::{Location, Payload, Presented, RequestHead, Scope, presented};
pub use rules::{BodyRule, PathStyle, Rules};
pub use sign::{SigningInput, authorization};
pub use verify::Verified;
