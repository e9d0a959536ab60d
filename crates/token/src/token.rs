use std::fmt;

use irsa_core::Timestamp;

use crate::claims::Claims;
use crate::encoding;
use crate::error::{Part, TokenError};
use crate::header::Header;
use crate::jwk::JwkSet;

/// Longest token, in bytes: the limit of the STS parameter `WebIdentityToken`.
pub const MAX_TOKEN_LENGTH: usize = 20_000;

/// How far clocks may differ, in seconds: what STS grants on `exp`, `nbf` and `iat`.
pub const TIME_TOLERANCE_SECONDS: i64 = 300;

/// A token that was read, and not yet verified.
pub struct WebIdentityToken<'a> {
    signing_input: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

impl<'a> WebIdentityToken<'a> {
    /// Reads a JWS in compact form (RFC 7515 section 7.1) whose payload is a claims object (RFC 7519).
    ///
    /// An unknown algorithm or an empty signature is not an error yet, so that a caller can still say who claims to be there.
    ///
    /// # Errors
    /// [`TokenError`] for everything that makes the text unreadable, and for claims of a wrong type.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::TooLong { length: text.len() });
        }
        let compact = Compact::parse(text).map_err(|error| {
            if text.contains(|c: char| c.is_whitespace() || c == '\u{feff}') {
                TokenError::StrayBytes
            } else {
                error
            }
        })?;
        Ok(Self {
            header: Header::parse(&compact.header)?,
            claims: Claims::parse(&compact.payload)?,
            signing_input: compact.signing_input,
            signature: compact.signature,
        })
    }

    /// Algorithm and key id.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims. Before [`verify`](Self::verify) has succeeded, anyone may have written them.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks the signature with the key that the header names.
    ///
    /// The header only selects: the key must be in `keys` under exactly this key id, and its type fixes which algorithms it
    /// can verify. Without a key id the set must have exactly one key (or one under the empty key id); keys are never tried
    /// one after another.
    ///
    /// # Errors
    /// [`TokenError::UnsupportedAlgorithm`], [`TokenError::UnknownKey`], [`TokenError::KeyIdNeeded`],
    /// [`TokenError::UnusableKey`], [`TokenError::KeyTypeMismatch`] or [`TokenError::BadSignature`].
    pub fn verify(&self, keys: &JwkSet) -> Result<(), TokenError> {
        let algorithm = self.header.algorithm.ok_or(TokenError::UnsupportedAlgorithm)?;
        keys.select(self.header.kid.as_deref())?
            .verify(algorithm, self.signing_input.as_bytes(), &self.signature)
    }

    /// Checks `exp`, `nbf` and `iat` against the time, with [`TIME_TOLERANCE_SECONDS`]. `exp` and `iat` must be there.
    ///
    /// # Errors
    /// [`TokenError::Expired`], [`TokenError::IssuedInFuture`], [`TokenError::NotYetValid`] or [`TokenError::MissingClaim`].
    pub fn check_times(&self, now: Timestamp) -> Result<(), TokenError> {
        let Claims {
            expires,
            not_before,
            issued_at,
            ..
        } = self.claims;
        let expires = expires.ok_or(TokenError::MissingClaim { claim: "exp" })?;
        let issued_at = issued_at.ok_or(TokenError::MissingClaim { claim: "iat" })?;
        let earliest = now.unix_seconds().saturating_sub(TIME_TOLERANCE_SECONDS);
        let latest = now.unix_seconds().saturating_add(TIME_TOLERANCE_SECONDS);
        if earliest >= expires {
            return Err(TokenError::Expired {
                current: earliest,
                expires,
            });
        }
        if issued_at > latest {
            return Err(TokenError::IssuedInFuture { issued_at });
        }
        if let Some(not_before) = not_before
            && latest < not_before
        {
            return Err(TokenError::NotYetValid {
                current: latest,
                not_before,
            });
        }
        Ok(())
    }
}

// By hand: the text of a token is a credential and must not reach a log through `{:?}`.
impl fmt::Debug for WebIdentityToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityToken")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// The decoded segments of the compact form.
struct Compact<'a> {
    signing_input: &'a str,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    fn parse(text: &'a str) -> Result<Self, TokenError> {
        let (signing_input, signature) = text.rsplit_once('.').ok_or(TokenError::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(TokenError::NotCompact)?;
        if payload.contains('.') {
            return Err(TokenError::NotCompact);
        }
        let decode = |part, segment| encoding::decode(segment).ok_or(TokenError::Encoding { part });
        Ok(Self {
            signing_input,
            header: decode(Part::Header, header)?,
            payload: decode(Part::Payload, payload)?,
            signature: decode(Part::Signature, signature)?,
        })
    }
}
