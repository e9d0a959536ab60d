//! Authorization messages: why a request was denied, sealed for those who may know.
//!
//! The caller who was denied carries the message and can't read it; `sts:DecodeAuthorizationMessage` opens it. Like session
//! tokens they are sealed under the epoch key, with a key and associated data of their own, so that neither ever opens as the other.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_core::AccountId;

use crate::epoch::EpochKeys;
use crate::key_encryption_key::{NONCE_LEN, SealError, TAG_LEN};
use crate::secret::fill_random;

/// First byte of a message.
const VERSION: u8 = 1;
/// Version and epoch.
const HEADER_LEN: usize = 1 + 4;
/// The longest message that `DecodeAuthorizationMessage` takes, in characters
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>).
const MAX_LEN: usize = 10_240;
/// Contents are filled up to a multiple of this, so that the length of a message tells little of what it says.
const BLOCK: usize = 128;

/// What a message is bound to beside its content.
fn associated_data(header: [u8; HEADER_LEN], account: AccountId) -> Vec<u8> {
    [
        b"irsa authorization message".as_slice(),
        &header,
        &account.number().to_be_bytes(),
    ]
    .concat()
}

impl EpochKeys {
    /// Seals `content` for those in `account` who may decode messages. Zero bytes are added to it: the content says itself where it ends.
    ///
    /// # Errors
    /// If there is no randomness, or the content is too long for a message.
    pub fn seal_authorization_message(&self, account: AccountId, content: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let [e0, e1, e2, e3] = self.current.epoch.to_be_bytes();
        let header = [VERSION, e0, e1, e2, e3];
        let length = content.len().next_multiple_of(BLOCK);
        let mut message = Vec::with_capacity(length.saturating_add(HEADER_LEN + NONCE_LEN + TAG_LEN));
        message.extend_from_slice(&header);
        message.extend_from_slice(&nonce);
        message.extend_from_slice(content);
        message.resize(length.saturating_add(HEADER_LEN + NONCE_LEN), 0);
        let plaintext = message.get_mut(HEADER_LEN + NONCE_LEN..).ok_or(SealError::Failed)?;
        let tag = self
            .current
            .messages
            .seal(nonce, &associated_data(header, account), plaintext)
            .ok_or(SealError::Failed)?;
        message.extend_from_slice(&tag);
        let message = URL_SAFE_NO_PAD.encode(message);
        if message.len() > MAX_LEN {
            return Err(SealError::Failed);
        }
        Ok(message)
    }

    /// Opens what [`seal_authorization_message`](Self::seal_authorization_message) made for `account`; zero bytes may follow the content.
    ///
    /// # Errors
    /// If the text is no message of ours, was changed, or is another account's.
    pub fn open_authorization_message(&self, account: AccountId, message: &str) -> Result<Vec<u8>, MessageError> {
        if message.len() > MAX_LEN {
            return Err(MessageError::TooLong);
        }
        // The engine is strict, so a message has exactly one spelling.
        let mut message = URL_SAFE_NO_PAD.decode(message).map_err(|_| MessageError::Malformed)?;
        let (header, rest) = message
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(MessageError::Malformed)?;
        let header = *header;
        let [version, epoch @ ..] = header;
        if version != VERSION {
            return Err(MessageError::Version { found: version });
        }
        let epoch = u32::from_be_bytes(epoch);
        let key = self.of(epoch).ok_or(MessageError::UnknownEpoch { epoch })?;
        let (nonce, ciphertext) = rest
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(MessageError::Malformed)?;
        key.messages
            .open(*nonce, &associated_data(header, account), ciphertext)
            .map(|content| content.to_vec())
            .ok_or(MessageError::NotAuthentic)
    }
}

/// An authorization message does not open. AWS answers all of these alike; operators want the cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageError {
    /// Longer than any message.
    #[error("the authorization message has more than {MAX_LEN} characters")]
    TooLong,
    /// Not the form of a message of ours.
    #[error("the authorization message is malformed")]
    Malformed,
    /// Made by a newer program.
    #[error("the authorization message is of the unknown version {found}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Its epoch key is gone or was never here.
    #[error("the authorization message is of the unknown epoch {epoch}")]
    UnknownEpoch {
        /// The epoch number in the message.
        epoch: u32,
    },
    /// Changed, forged, or of another account.
    #[error("the authorization message is not authentic for this account")]
    NotAuthentic,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::EpochKey;
    use crate::{Session, SessionPrincipal};
    use irsa_core::Timestamp;
    use proptest::prelude::*;

    fn keys() -> EpochKeys {
        EpochKeys::new(EpochKey::new(2, &[2; 32]), vec![EpochKey::new(1, &[1; 32])])
    }

    fn account(digits: &str) -> AccountId {
        digits.parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_its_length_says_little(content in prop::collection::vec(any::<u8>(), 0..4000)) {
            let message = keys().seal_authorization_message(account("111122223333"), &content).unwrap();
            let opened = keys().open_authorization_message(account("111122223333"), &message).unwrap();
            prop_assert_eq!(&opened[..content.len()], &content[..]);
            prop_assert!(opened[content.len()..].iter().all(|byte| *byte == 0));
            prop_assert_eq!(opened.len() % BLOCK, 0);
        }

        #[test]
        fn a_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_-]") {
            let message = keys().seal_authorization_message(account("111122223333"), b"why").unwrap();
            let at = at.index(message.len());
            prop_assume!(message[at..=at] != to);
            let changed = format!("{}{to}{}", &message[..at], &message[at + 1..]);
            prop_assert!(keys().open_authorization_message(account("111122223333"), &changed).is_err());
        }

        #[test]
        fn any_text_is_refused(text: String) {
            prop_assert!(keys().open_authorization_message(account("111122223333"), &text).is_err());
        }
    }

    #[test]
    fn other_accounts_other_servers_and_lost_epochs_are_refused() {
        let mine = account("111122223333");
        let message = keys().seal_authorization_message(mine, b"why").unwrap();
        assert_eq!(
            keys().open_authorization_message(account("444455556666"), &message),
            Err(MessageError::NotAuthentic)
        );
        let other = EpochKeys::new(EpochKey::new(2, &[9; 32]), Vec::new());
        assert_eq!(
            other.open_authorization_message(mine, &message),
            Err(MessageError::NotAuthentic)
        );
        let later = EpochKeys::new(EpochKey::new(3, &[3; 32]), vec![EpochKey::new(2, &[2; 32])]);
        assert!(later.open_authorization_message(mine, &message).is_ok());
        let much_later = EpochKeys::new(EpochKey::new(3, &[3; 32]), Vec::new());
        assert_eq!(
            much_later.open_authorization_message(mine, &message),
            Err(MessageError::UnknownEpoch { epoch: 2 })
        );
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let mine = account("111122223333");
        let message = keys().seal_authorization_message(mine, b"why").unwrap();
        for length in 0..message.len() {
            assert!(
                keys().open_authorization_message(mine, &message[..length]).is_err(),
                "{length}"
            );
        }
        for more in ["A", "AA", "AAA", "AAAA", "=", "\n"] {
            assert!(
                keys()
                    .open_authorization_message(mine, &format!("{message}{more}"))
                    .is_err()
            );
        }
        assert_eq!(
            keys().open_authorization_message(mine, &"A".repeat(MAX_LEN + 1)),
            Err(MessageError::TooLong)
        );
    }

    #[test]
    fn a_session_token_is_no_message_and_a_message_no_session_token() {
        let mine = account("111122223333");
        let session = Session {
            account: mine,
            principal: SessionPrincipal::Root,
            issued_at: Timestamp::from_unix_seconds(1),
            expires_at: Timestamp::from_unix_seconds(2),
            source_identity: None,
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
            session_policy: None,
            session_policy_arns: Vec::new(),
            federated: None,
            mfa: false,
            chained: false,
        };
        let credentials = keys().mint(&session).unwrap();
        assert!(
            keys()
                .open_authorization_message(mine, &credentials.session_token)
                .is_err()
        );
        let message = keys().seal_authorization_message(mine, b"why").unwrap();
        assert!(keys().open(&credentials.access_key_id, &message).is_err());
        // Not by the version byte alone: the keys differ too.
        let swap = |text: &str, version: u8| {
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            bytes[0] = version;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        assert_eq!(
            keys().open_authorization_message(mine, &swap(&credentials.session_token, VERSION)),
            Err(MessageError::NotAuthentic)
        );
        assert!(keys().open(&credentials.access_key_id, &swap(&message, 2)).is_err());
    }

    #[test]
    fn what_is_too_long_for_a_message_makes_none() {
        let mine = account("111122223333");
        assert_eq!(
            keys().seal_authorization_message(mine, &[1; MAX_LEN]),
            Err(SealError::Failed)
        );
    }
}
