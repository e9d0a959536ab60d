//! Temporary credentials: mint, seal, open. This is the story's step from "exchange" to "signed request".
//!
//! Temporary credentials are stateless. The session (who, until when, with which tags and session policies) is sealed
//! into the session token, with the access key id as associated data; the secret access key is derived from the
//! access key id and a random session id that is sealed with the session. A replica that holds the epoch key can open
//! any token, and nothing is written anywhere when one is minted.
//!
//! Invariants:
//! - Without the epoch key, nothing that a client sees (access key id, token) tells anything about a secret.
//! - A token opens only under the access key id that it was minted with, and only unchanged to the last byte.
//! - Sealed things of one purpose never open as another's: each purpose has its own derived key.
//! - Whether a session has expired or was revoked is not decided here.
//!
//! Pure: no IO, no clock, and no panic on any input.
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

mod authorization_message;
mod epoch;
mod hkdf;
mod key_encryption_key;
mod sealed_session;
mod secret;
mod session;

pub use authorization_message::MessageError;
pub use epoch::{EpochKey, EpochKeys, MintError, OpenError, TemporaryCredentials};
pub use key_encryption_key::{KeyEncryptionKey, SealError, UnsealError};
pub use secret::{RandomnessError, SecretAccessKey, generate_long_term_secret};
pub use session::{Federated, Session, SessionPrincipal};
