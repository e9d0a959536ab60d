use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use crate::hkdf;
use crate::secret::{RandomnessError, fill_random};

pub(crate) const NONCE_LEN: usize = 12;
pub(crate) const TAG_LEN: usize = 16;

/// First byte of everything that a key-encryption key seals.
const VERSION: u8 = 1;

/// The key under which secrets lie in the store: signing keys, long-term secrets, epoch keys.
///
/// It never encrypts with its own bytes: the sealing key and every key handed out by [`derive`](Self::derive) come
/// from it by HKDF under different labels.
pub struct KeyEncryptionKey {
    bytes: Zeroizing<[u8; 32]>,
    sealing: SealingKey,
}

impl KeyEncryptionKey {
    /// Makes a new random key.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn generate() -> Result<Self, RandomnessError> {
        let mut bytes = [0; 32];
        fill_random(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Takes a key that was kept by the operator, and wipes the argument.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let kept = Zeroizing::new(bytes);
        bytes.zeroize();
        let sealing = SealingKey::new(&hkdf::derive(kept.as_slice(), "irsa key encryption seal"));
        Self { bytes: kept, sealing }
    }

    /// The key itself, for the one file that keeps it.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals `plaintext`; it opens only with the same `associated_data` (say what it is and whose: kind and record key).
    ///
    /// # Errors
    /// If there is no randomness or no memory.
    pub fn seal(&self, associated_data: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let mut ciphertext = Zeroizing::new(Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN)));
        ciphertext.extend_from_slice(plaintext);
        let tag = self
            .sealing
            .seal(nonce, associated_data, &mut ciphertext)
            .ok_or(SealError::Failed)?;
        let mut sealed = Vec::with_capacity(ciphertext.len().saturating_add(1 + NONCE_LEN + TAG_LEN));
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// If the bytes are not such a thing, were changed, or belong to another key or other associated data.
    pub fn open(&self, associated_data: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (version, rest) = sealed.split_first().ok_or(UnsealError::Malformed)?;
        if *version != VERSION {
            return Err(UnsealError::Version { found: *version });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Malformed)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .sealing
            .open(*nonce, associated_data, &mut buffer)
            .ok_or(UnsealError::NotAuthentic)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Derives a key of its own for the purpose `label` (HKDF-SHA256, RFC 5869).
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        // The prefix keeps a caller's label apart from the sealing key's.
        hkdf::derive(self.bytes.as_slice(), &["irsa derived: ", label].concat())
    }
}

/// Sealing failed; nothing was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The cryptographic library refused: no memory, or a plaintext of gigabytes.
    #[error("the cryptographic library could not seal")]
    Failed,
}

/// What was stored does not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnsealError {
    /// Too short to be a sealed thing.
    #[error("the sealed bytes are cut off")]
    Malformed,
    /// Sealed by a newer program.
    #[error("the sealed bytes are of the unknown version {found}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Changed, or sealed under another key or for another record.
    #[error("the sealed bytes are not authentic under this key")]
    NotAuthentic,
}

/// AES-256-GCM-SIV (RFC 8452): a repeated nonce tells no more than that the same plaintext was sealed twice.
pub(crate) struct SealingKey(Option<LessSafeKey>);

impl SealingKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // Only a lack of memory fails here; then sealing and opening fail, and constructors need no error for it.
        Self(UnboundKey::new(&AES_256_GCM_SIV, key).ok().map(LessSafeKey::new))
    }

    /// Encrypts in place and returns the tag.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .as_ref()?
            .seal_in_place_separate_tag(nonce, Aad::from(aad), buffer)
            .ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts in place; `buffer` holds ciphertext and tag.
    pub(crate) fn open<'a>(&self, nonce: [u8; NONCE_LEN], aad: &[u8], buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.as_ref()?.open_in_place(nonce, Aad::from(aad), buffer).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> KeyEncryptionKey {
        KeyEncryptionKey::from_bytes([3; 32])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(aad: Vec<u8>, plaintext: Vec<u8>) {
            let sealed = key().seal(&aad, &plaintext).unwrap();
            prop_assert_eq!(&**key().open(&aad, &sealed).unwrap(), &plaintext);
        }

        #[test]
        fn a_changed_byte_is_refused(plaintext: Vec<u8>, at: prop::sample::Index, mask in 1_u8..) {
            let mut sealed = key().seal(b"record", &plaintext).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= mask;
            prop_assert!(key().open(b"record", &sealed).is_err());
        }

        #[test]
        fn random_bytes_are_refused(sealed: Vec<u8>) {
            prop_assert!(key().open(b"record", &sealed).is_err());
        }
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let sealed = key().seal(b"record", b"secret").unwrap();
        for length in 0..sealed.len() {
            assert!(key().open(b"record", &sealed[..length]).is_err(), "{length}");
        }
        assert!(key().open(b"record", &[sealed.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn other_keys_and_other_records_are_refused() {
        let sealed = key().seal(b"record", b"secret").unwrap();
        assert_eq!(key().open(b"other", &sealed), Err(UnsealError::NotAuthentic));
        let other = KeyEncryptionKey::generate().unwrap();
        assert_eq!(other.open(b"record", &sealed), Err(UnsealError::NotAuthentic));
    }

    #[test]
    fn derived_keys_differ_from_each_other_and_from_the_sealing_key() {
        assert_ne!(key().derive("audit"), key().derive("epoch"));
        assert_ne!(
            key().derive("irsa key encryption seal"),
            hkdf::derive(&[3; 32], "irsa key encryption seal")
        );
        assert_eq!(key().derive("audit"), key().derive("audit"));
    }
}
