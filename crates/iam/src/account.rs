//! New accounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_core::{AccessKeyId, AccountId, Timestamp};
use irsa_credentials::{KeyEncryptionKey, RandomnessError, SealError, SecretAccessKey, generate_long_term_secret};
use irsa_store::{Compare, Transaction, Write};

use crate::key;
use crate::record::{AccessKeyRecord, AccessKeyStatus, AccountRecord};

/// An account to be committed, with the root key that is shown once.
pub struct NewAccount {
    /// What makes it so; it fails if the account exists.
    pub transaction: Transaction,
    /// The root's key.
    pub access_key_id: AccessKeyId,
    /// The root's secret: print it once and forget it.
    pub secret_access_key: SecretAccessKey,
}

/// Why no account can be made.
#[derive(Debug, thiserror::Error)]
pub enum NewAccountError {
    /// There is no secret without it.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The secret can't be sealed.
    #[error("the root key can't be sealed: {0}")]
    Seal(#[from] SealError),
    /// A record can't be written.
    #[error("a record can't be written: {0}")]
    Record(#[from] serde_json::Error),
}

/// Prepares an account and a root access key for it.
///
/// # Errors
/// No randomness, or no memory.
pub fn new_account(
    id: AccountId,
    name: &str,
    now: Timestamp,
    random: [u8; 5],
    kek: &KeyEncryptionKey,
) -> Result<NewAccount, NewAccountError> {
    let access_key_id = AccessKeyId::long_term(id, random);
    let secret_access_key = generate_long_term_secret()?;
    let account = AccountRecord {
        id: id.to_string(),
        name: name.to_owned(),
        created: now.unix_millis(),
    };
    let access_key = AccessKeyRecord {
        id: access_key_id.to_string(),
        sealed_secret: STANDARD.encode(kek.seal(access_key_id.as_str().as_bytes(), secret_access_key.as_bytes())?),
        user: None,
        status: AccessKeyStatus::Active,
        created: now.unix_millis(),
    };
    let account_key = key::account(id);
    let transaction = Transaction {
        compares: vec![Compare::Absent {
            key: account_key.clone(),
        }],
        writes: vec![
            Write::Put {
                key: account_key,
                value: serde_json::to_vec(&account)?.into(),
            },
            Write::Put {
                key: key::access_key(id, access_key_id.as_str()),
                value: serde_json::to_vec(&access_key)?.into(),
            },
        ],
    };
    Ok(NewAccount {
        transaction,
        access_key_id,
        secret_access_key,
    })
}
