//! What the first start makes: the key that sessions are sealed with, the first account, and its root key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_core::{AccessKeyId, AccountId, Timestamp};
use irsa_credentials::{KeyEncryptionKey, SealError, SecretAccessKey};
use irsa_iam::{NewAccountError, new_account};
use irsa_store::Transaction;

use crate::random::random;
use crate::snapshot::{EPOCH_PREFIX, OPERATOR_ACCOUNT};

/// The root key of a new account: shown once.
pub struct RootKey {
    /// The account.
    pub account: AccountId,
    /// The key's id.
    pub access_key_id: AccessKeyId,
    /// The key's secret.
    pub secret_access_key: SecretAccessKey,
}

/// The first start can't be finished.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The account can't be prepared.
    #[error(transparent)]
    Account(#[from] NewAccountError),
    /// The epoch key can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Prepares all of it as one transaction.
pub(crate) fn first_start(
    account: Option<AccountId>,
    now: Timestamp,
    kek: &KeyEncryptionKey,
) -> Result<(Transaction, RootKey), FirstStartError> {
    let account = account.unwrap_or_else(random_account);
    let made = new_account(account, "first", now, random(), kek)?;
    let epoch = format!("{EPOCH_PREFIX}1");
    let sealed = STANDARD.encode(kek.seal(epoch.as_bytes(), &random::<32>())?);
    let transaction = made
        .transaction
        .when_absent(epoch.clone())
        .put(epoch, sealed)
        .put(OPERATOR_ACCOUNT, account.to_string());
    Ok((
        transaction,
        RootKey {
            account,
            access_key_id: made.access_key_id,
            secret_access_key: made.secret_access_key,
        },
    ))
}

/// A random account number without a leading zero.
pub(crate) fn random_account() -> AccountId {
    let number = 100_000_000_000 + u64::from_be_bytes(random()) % 900_000_000_000;
    AccountId::from_number(number).unwrap_or_else(random_account)
}
