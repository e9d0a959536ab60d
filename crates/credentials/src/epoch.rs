use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_core::{AccessKeyId, Timestamp};
use zeroize::Zeroizing;

use crate::hkdf;
use crate::key_encryption_key::{NONCE_LEN, SealingKey, TAG_LEN};
use crate::sealed_session::SealedSession;
use crate::secret::{RandomnessError, SecretAccessKey, fill_random};
use crate::session::Session;

/// First byte of a session token. In version 2, zero bytes may follow the session inside of the seal.
const VERSION: u8 = 2;
/// Version and epoch.
const HEADER_LEN: usize = 1 + 4;
/// The longest session token, in characters, that is made or looked at.
const MAX_TOKEN_LEN: usize = 16 * 1024;

/// One epoch's key: it seals session tokens and authorization messages, and derives the secrets of temporary credentials.
pub struct EpochKey {
    pub(crate) epoch: u32,
    sealing: SealingKey,
    secrets: hmac::Key,
    pub(crate) messages: SealingKey,
}

impl EpochKey {
    /// Makes the working keys of an epoch from its 32 secret bytes, each under a label of its own.
    #[must_use]
    pub fn new(epoch: u32, bytes: &[u8; 32]) -> Self {
        Self {
            epoch,
            sealing: SealingKey::new(&hkdf::derive(bytes, "irsa session token seal")),
            secrets: hmac::Key::new(
                hmac::HMAC_SHA256,
                hkdf::derive(bytes, "irsa session secret access key").as_slice(),
            ),
            messages: SealingKey::new(&hkdf::derive(bytes, "irsa authorization message seal")),
        }
    }

    fn secret(&self, access_key_id: &AccessKeyId, session_id: &[u8; 16]) -> SecretAccessKey {
        let mut context = hmac::Context::with_key(&self.secrets);
        // The session id has a fixed length, so the two parts need no separator.
        context.update(session_id);
        context.update(access_key_id.as_str().as_bytes());
        let tag = context.sign();
        let mut material = Zeroizing::new([0; 30]);
        for (to, from) in material.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        SecretAccessKey::from_key_material(&material)
    }

    /// What a token is bound to beside its content.
    fn associated_data(header: [u8; HEADER_LEN], access_key_id: &AccessKeyId) -> Vec<u8> {
        [
            b"irsa session token".as_slice(),
            &header,
            access_key_id.as_str().as_bytes(),
        ]
        .concat()
    }
}

/// The epoch keys in use: the current one mints, and all of them open.
pub struct EpochKeys {
    pub(crate) current: EpochKey,
    previous: Vec<EpochKey>,
}

impl EpochKeys {
    /// Puts the keys together; epoch numbers are unique among them.
    #[must_use]
    pub fn new(current: EpochKey, previous: Vec<EpochKey>) -> Self {
        Self { current, previous }
    }

    /// The number of the epoch that mints.
    #[must_use]
    pub fn current_epoch(&self) -> u32 {
        self.current.epoch
    }

    /// The key of an epoch, if it is still held.
    pub(crate) fn of(&self, epoch: u32) -> Option<&EpochKey> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|key| key.epoch == epoch)
    }

    /// Makes temporary credentials for `session` under the current epoch.
    ///
    /// # Errors
    /// If the session is too large for a token, or there is no randomness.
    pub fn mint(&self, session: &Session) -> Result<TemporaryCredentials, MintError> {
        self.mint_padded(session, 0)
    }

    /// As [`mint`](Self::mint), with a session token of at least `minimum_length` characters: a short one is filled up with padding, which
    /// is sealed like the rest and means nothing.
    ///
    /// # Errors
    /// If the session or `minimum_length` is too large for a token, or there is no randomness.
    pub fn mint_padded(&self, session: &Session, minimum_length: usize) -> Result<TemporaryCredentials, MintError> {
        // One call for all: five bytes of key id, session id, nonce.
        let mut random = [0; 5 + 16 + NONCE_LEN];
        fill_random(&mut random)?;
        let [k0, k1, k2, k3, k4, rest @ ..] = random;
        let access_key_id = AccessKeyId::temporary(session.account, [k0, k1, k2, k3, k4]);
        let (session_id, nonce) = rest.split_first_chunk().ok_or(MintError::Failed)?;
        let nonce = nonce.try_into().map_err(|_| MintError::Failed)?;
        self.mint_as(session, minimum_length, access_key_id, *session_id, nonce)
    }

    fn mint_as(
        &self,
        session: &Session,
        minimum_length: usize,
        access_key_id: AccessKeyId,
        session_id: [u8; 16],
        nonce: [u8; NONCE_LEN],
    ) -> Result<TemporaryCredentials, MintError> {
        let [e0, e1, e2, e3] = self.current.epoch.to_be_bytes();
        let header = [VERSION, e0, e1, e2, e3];
        let mut token = Vec::with_capacity(512);
        token.extend_from_slice(&header);
        token.extend_from_slice(&nonce);
        let mut token =
            postcard::to_extend(&SealedSession::of(session, session_id), token).map_err(|_| MintError::Failed)?;
        let length = token.len().saturating_add(TAG_LEN).div_ceil(3).saturating_mul(4);
        let length = length.max(minimum_length);
        if length > MAX_TOKEN_LEN {
            return Err(MintError::TooLarge { length });
        }
        // Three bytes are four characters.
        let minimum = minimum_length.saturating_mul(3).div_ceil(4).saturating_sub(TAG_LEN);
        if token.len() < minimum {
            token.resize(minimum, 0);
        }
        let plaintext = token.get_mut(HEADER_LEN + NONCE_LEN..).ok_or(MintError::Failed)?;
        let aad = EpochKey::associated_data(header, &access_key_id);
        let tag = self
            .current
            .sealing
            .seal(nonce, &aad, plaintext)
            .ok_or(MintError::Failed)?;
        token.extend_from_slice(&tag);
        Ok(TemporaryCredentials {
            secret_access_key: self.current.secret(&access_key_id, &session_id),
            access_key_id,
            session_token: URL_SAFE_NO_PAD.encode(token),
            expires_at: session.expires_at,
        })
    }

    /// Opens a session token that came with `access_key_id`, and derives the secret that must have signed the request.
    ///
    /// Expiry is not checked: the session says when it ends.
    ///
    /// # Errors
    /// If the token is not one of ours, was changed, or belongs to another access key id.
    pub fn open(
        &self,
        access_key_id: &AccessKeyId,
        session_token: &str,
    ) -> Result<(Session, SecretAccessKey), OpenError> {
        if session_token.len() > MAX_TOKEN_LEN {
            return Err(OpenError::TooLong);
        }
        // The engine is strict: no padding, no stray bits in the last character, so a token has exactly one spelling.
        let mut token = URL_SAFE_NO_PAD
            .decode(session_token)
            .map_err(|_| OpenError::Malformed)?;
        let (header, rest) = token
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(OpenError::Malformed)?;
        let header = *header;
        let [version, epoch @ ..] = header;
        if version != VERSION {
            return Err(OpenError::Version { found: version });
        }
        let epoch = u32::from_be_bytes(epoch);
        let key = self.of(epoch).ok_or(OpenError::UnknownEpoch { epoch })?;
        let (nonce, ciphertext) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let aad = EpochKey::associated_data(header, access_key_id);
        let plaintext = key
            .sealing
            .open(*nonce, &aad, ciphertext)
            .ok_or(OpenError::NotAuthentic)?;
        let (sealed, padding) =
            postcard::take_from_bytes::<SealedSession<'_>>(plaintext).map_err(|_| OpenError::Malformed)?;
        // Anything but padding behind the session means that it was read as what it is not.
        if padding.iter().any(|byte| *byte != 0) {
            return Err(OpenError::Malformed);
        }
        let session = sealed.session().ok_or(OpenError::Malformed)?;
        Ok((session, key.secret(access_key_id, &sealed.session_id)))
    }
}

/// Temporary credentials as they go to their owner, once.
#[derive(Clone)]
pub struct TemporaryCredentials {
    /// The access key id, `ASIA…`.
    pub access_key_id: AccessKeyId,
    /// The secret access key.
    pub secret_access_key: SecretAccessKey,
    /// The session token: as good as a password together with the secret, and never to be logged.
    pub session_token: String,
    /// When they end.
    pub expires_at: Timestamp,
}

/// No credentials were made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MintError {
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The session (its policy, tags, federation) is too large for a token.
    #[error("the session needs a token of {length} characters, and at most {MAX_TOKEN_LEN} are allowed")]
    TooLarge {
        /// Characters that the token would have.
        length: usize,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library could not seal")]
    Failed,
}

/// A session token does not open. AWS answers all of these alike (InvalidClientTokenId); operators want the cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Longer than any token of ours.
    #[error("the session token has more than {MAX_TOKEN_LEN} characters")]
    TooLong,
    /// Not the form of a token of ours.
    #[error("the session token is malformed")]
    Malformed,
    /// Made by a newer program.
    #[error("the session token is of the unknown version {found}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Its epoch key is gone or was never here.
    #[error("the session token is of the unknown epoch {epoch}")]
    UnknownEpoch {
        /// The epoch number in the token.
        epoch: u32,
    },
    /// Changed, forged, or of another access key id.
    #[error("the session token is not authentic for this access key id")]
    NotAuthentic,
}

#[cfg(test)]
mod tests;
