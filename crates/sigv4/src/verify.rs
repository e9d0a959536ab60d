use http::HeaderMap;
use irsa_core::Timestamp;

use crate::authorization::ALGORITHM;
use crate::canonical::canonical_request;
use crate::chunked::{ChunkDecoder, ChunkError, ChunkSigner};
use crate::error::{SigV4Error, excerpt};
use crate::key::{SigningKey, hex32, sha256};
use crate::presented::{Location, Payload, Presented};
use crate::rules::{BodyRule, Rules};

impl Presented<'_> {
    /// Verifies the request under a secret access key.
    ///
    /// `body_sha256` is needed by [`BodyRule::Hashed`]; by [`BodyRule::Declared`] it may be `None`, and then the caller
    /// compares [`Payload::Sha256`] with the body when that has been read.
    ///
    /// # Errors
    /// If scope, times or payload are not by the rules, or the signature is wrong.
    pub fn verify(
        &self,
        secret: &[u8],
        body_sha256: Option<[u8; 32]>,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<Verified, SigV4Error> {
        let payload = self.check(body_sha256, now, rules)?;
        self.compare(&SigningKey::derive(secret, &self.scope()), payload, rules)
    }

    /// The same under a signing key that was derived before, for this scope.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); the key of another scope does not match.
    pub fn verify_with(
        &self,
        key: &SigningKey,
        body_sha256: Option<[u8; 32]>,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<Verified, SigV4Error> {
        let payload = self.check(body_sha256, now, rules)?;
        self.compare(key, payload, rules)
    }

    /// Everything that needs no key; returns what stands for the body.
    fn check(
        &self,
        body_sha256: Option<[u8; 32]>,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<CanonicalPayload, SigV4Error> {
        let scope = self.scope();
        if scope.service != rules.service {
            return Err(SigV4Error::ScopeService {
                found: excerpt(scope.service),
                expected: rules.service.clone().into_owned(),
            });
        }
        if let Some(regions) = &rules.regions
            && !regions.iter().any(|region| region == scope.region)
        {
            return Err(SigV4Error::ScopeRegion {
                found: excerpt(scope.region),
                expected: regions.clone(),
            });
        }
        self.check_times(now, rules)?;
        self.canonical_payload(body_sha256, rules)
    }

    fn check_times(&self, now: Timestamp, rules: &Rules) -> Result<(), SigV4Error> {
        let signed_at = self.timestamp();
        let max_skew_seconds = rules.max_skew_seconds;
        if signed_at > now.plus_seconds(max_skew_seconds) {
            return Err(SigV4Error::NotYetCurrent {
                signed_at,
                now,
                max_skew_seconds,
            });
        }
        match self.location() {
            Location::Header if now > signed_at.plus_seconds(max_skew_seconds) => Err(SigV4Error::TooOld {
                signed_at,
                now,
                max_skew_seconds,
            }),
            Location::Header => Ok(()),
            Location::Query { .. } if !rules.presigned => Err(SigV4Error::PresignedNotAllowed),
            Location::Query { expires_seconds } => {
                let lifetime = expires_seconds.min(rules.max_presigned_seconds);
                let expires_at = signed_at.plus_seconds(i64::from(lifetime));
                if now > expires_at {
                    return Err(SigV4Error::Expired {
                        signed_at,
                        expires_seconds,
                        expires_at,
                        now,
                    });
                }
                Ok(())
            }
        }
    }

    fn canonical_payload(&self, body_sha256: Option<[u8; 32]>, rules: &Rules) -> Result<CanonicalPayload, SigV4Error> {
        let payload = self.payload();
        if let (Payload::Sha256(declared), Some(computed)) = (payload, body_sha256)
            && declared != computed
        {
            return Err(SigV4Error::PayloadMismatch { declared, computed });
        }
        match (rules.body, payload) {
            (BodyRule::Hashed, Payload::Sha256(_) | Payload::Absent) => {
                body_sha256.map(CanonicalPayload::Hash).ok_or(SigV4Error::BodyNotHashed)
            }
            (
                BodyRule::Hashed,
                Payload::Unsigned
                | Payload::StreamingSigned
                | Payload::StreamingSignedTrailer
                | Payload::StreamingUnsignedTrailer,
            ) => Err(SigV4Error::PayloadNotAllowed),
            (BodyRule::Declared, Payload::Sha256(declared)) => Ok(CanonicalPayload::Hash(declared)),
            (BodyRule::Declared, Payload::Absent) => match self.location() {
                Location::Header => Err(SigV4Error::ContentSha256Missing),
                Location::Query { .. } => Ok(CanonicalPayload::Word(Payload::Unsigned)),
            },
            (
                BodyRule::Declared,
                Payload::Unsigned
                | Payload::StreamingSigned
                | Payload::StreamingSignedTrailer
                | Payload::StreamingUnsignedTrailer,
            ) => Ok(CanonicalPayload::Word(payload)),
        }
    }

    fn compare(&self, key: &SigningKey, payload: CanonicalPayload, rules: &Rules) -> Result<Verified, SigV4Error> {
        let computed = key.sign(&self.string_to_sign(payload, rules));
        let presented = self.signature.ok_or(SigV4Error::SignatureMismatch)?;
        if !computed.matches(&presented) {
            return Err(SigV4Error::SignatureMismatch);
        }
        let signer = match self.payload() {
            Payload::StreamingSigned | Payload::StreamingSignedTrailer => {
                Some(ChunkSigner::new(key.clone(), &self.date, self.scope_text(), computed))
            }
            Payload::Sha256(_) | Payload::Unsigned | Payload::Absent | Payload::StreamingUnsignedTrailer => None,
        };
        Ok(Verified {
            payload: match payload {
                CanonicalPayload::Hash(hash) => Payload::Sha256(hash),
                CanonicalPayload::Word(word) => word,
            },
            signer,
        })
    }

    fn string_to_sign(&self, payload: CanonicalPayload, rules: &Rules) -> Vec<u8> {
        let hash;
        let payload: &[u8] = match payload {
            CanonicalPayload::Hash(bytes) => {
                hash = hex32(&bytes);
                &hash
            }
            CanonicalPayload::Word(payload) => payload.word().unwrap_or_default().as_bytes(),
        };
        let request = canonical_request(
            &self.head,
            &self.canonical_headers,
            &self.signed_headers,
            matches!(self.location(), Location::Query { .. }),
            rules.path,
            payload,
        );
        let mut text = Vec::with_capacity(192);
        for line in [ALGORITHM, &self.date, self.scope_text()] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(&hex32(&sha256(&request)));
        text
    }
}

/// The last line of the canonical request.
#[derive(Clone, Copy)]
enum CanonicalPayload {
    Hash([u8; 32]),
    Word(Payload),
}

/// Proof that a request's signature was right; made by [`Presented::verify`] only.
pub struct Verified {
    payload: Payload,
    signer: Option<ChunkSigner>,
}

impl Verified {
    /// What the signature says about the body. [`Payload::Sha256`] must still be compared if the body's hash was not
    /// given to the verification; never [`Payload::Absent`].
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// The decoder of the body, if that comes in aws-chunked encoding. `headers` are those of the verified request.
    ///
    /// # Errors
    /// If the headers that describe the body (`x-amz-decoded-content-length`, `x-amz-trailer`) are missing or wrong.
    pub fn chunk_decoder(self, headers: &HeaderMap) -> Result<Option<ChunkDecoder>, ChunkError> {
        if !self.payload.is_streaming() {
            return Ok(None);
        }
        ChunkDecoder::new(self.payload, self.signer, headers).map(Some)
    }
}
