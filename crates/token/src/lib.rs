//! Web identity tokens: how a pod proves who it is.
//!
//! A token is read with [`WebIdentityToken::parse`], checked against the issuer's [`JwkSet`] with
//! [`WebIdentityToken::verify`] and against the time with [`WebIdentityToken::check_times`]. Until `verify` has
//! succeeded, everything in it is a claim of a stranger. The other direction is [`SigningKey`]: the keys of the issuers
//! that we host.
//!
//! Pure: no IO, no clock, no panic on any input. The algorithm set is fixed to [`Algorithm`] (RS and ES families): there is no
//! HMAC in this crate, so no confusion of a public key with a shared secret is possible. What a header says about where to find a key
//! (`jku`, `x5u`, `jwk`, `x5c`) is never looked at.
//!
//! Two decisions are stricter than AWS on purpose: repeated JSON members are refused (the head of `json.rs`), and so are
//! times given as strings (`seconds` in `claims.rs`).
//!
//! Sources: RFC 7515 (JWS), RFC 7517 and 7518 (JWK, JWA), RFC 7519 (JWT), RFC 7638 (thumbprint), RFC 8725 (best practice).
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

mod algorithm;
mod claims;
mod der;
mod encoding;
mod error;
mod header;
mod json;
mod jwk;
mod signing;
mod token;

pub use algorithm::Algorithm;
pub use claims::{BoundObject, Claims, KubernetesClaims, SessionTags};
pub use error::{JwkError, JwkSetError, Part, SignError, TokenError};
pub use header::{Header, MAX_KEY_ID_LENGTH};
pub use jwk::{JwkSet, MAX_KEYS, MAX_KEYS_PER_TYPE, MAX_SET_BYTES};
pub use signing::SigningKey;
pub use token::{MAX_TOKEN_LENGTH, TIME_TOLERANCE_SECONDS, WebIdentityToken};
