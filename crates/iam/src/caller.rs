//! Who signed a request.

use std::sync::Arc;

use irsa_core::{AccessKeyId, AccountId, Timestamp};
use irsa_credentials::{Session, SessionPrincipal};
use irsa_policy::Principal;

use crate::state::{AccessKey, Role, State, User};

/// The owner of the key that signed a request, as it stands in the state of this request.
#[derive(Clone)]
pub struct Caller {
    /// The account that the key belongs to.
    pub account: AccountId,
    /// The key.
    pub access_key_id: AccessKeyId,
    /// The entity behind the key.
    pub identity: Identity,
    /// What the session token said; `None` for long-term keys.
    pub session: Option<Arc<Session>>,
    arn: String,
    user_id: String,
}

/// The entity behind a key.
#[derive(Clone)]
pub enum Identity {
    /// The account itself.
    Root,
    /// A user, through a long-term key or GetSessionToken.
    User(Arc<User>),
    /// A role's session.
    Role(Arc<Role>),
}

/// Why a key is nobody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallerError {
    /// No such key, or the account, role or user behind it is gone or is another one under the old name.
    #[error("the key belongs to nobody")]
    Unknown,
    /// The key is switched off.
    #[error("the key is inactive")]
    Inactive,
    /// The session is over.
    #[error("the session has expired")]
    Expired,
}

impl Caller {
    /// The owner of a long-term key.
    ///
    /// # Errors
    /// An inactive key, or one whose user is gone.
    pub fn of_access_key(state: &State, key: &AccessKey) -> Result<Self, CallerError> {
        if !key.is_active() {
            return Err(CallerError::Inactive);
        }
        let account = state.account(key.account).ok_or(CallerError::Unknown)?;
        let identity = match &key.record.user {
            None => Identity::Root,
            Some(name) => Identity::User(Arc::clone(account.user(name).ok_or(CallerError::Unknown)?)),
        };
        let id = key.record.id.parse().map_err(|_| CallerError::Unknown)?;
        Ok(Self::new(key.account, id, identity, None))
    }

    /// The owner of temporary credentials whose session token opened.
    ///
    /// The entity must still be the one that the session was made for: a role made anew under the old name has another
    /// id.
    ///
    /// # Errors
    /// A session that is over, or whose role or user is gone.
    pub fn of_session(
        state: &State,
        key: AccessKeyId,
        session: Arc<Session>,
        now: Timestamp,
    ) -> Result<Self, CallerError> {
        if now >= session.expires_at {
            return Err(CallerError::Expired);
        }
        let account = state.account(session.account).ok_or(CallerError::Unknown)?;
        let identity = match &session.principal {
            SessionPrincipal::Root => Identity::Root,
            // GetFederationToken is not served, so nobody can hold such a session.
            SessionPrincipal::FederatedUser { .. } => return Err(CallerError::Unknown),
            SessionPrincipal::User { user_name, user_id, .. } => {
                let user = account.user(user_name).filter(|user| user.record.id == *user_id);
                Identity::User(Arc::clone(user.ok_or(CallerError::Unknown)?))
            }
            SessionPrincipal::Role { role_name, role_id, .. } => {
                let role = account.role(role_name).filter(|role| role.record.id == *role_id);
                Identity::Role(Arc::clone(role.ok_or(CallerError::Unknown)?))
            }
        };
        Ok(Self::new(session.account, key, identity, Some(session)))
    }

    fn new(account: AccountId, access_key_id: AccessKeyId, identity: Identity, session: Option<Arc<Session>>) -> Self {
        let session_name = match session.as_deref().map(|session| &session.principal) {
            Some(SessionPrincipal::Role { session_name, .. }) => session_name.as_str(),
            _ => "",
        };
        let (arn, user_id) = match &identity {
            Identity::Root => (format!("arn:aws:iam::{account}:root"), account.to_string()),
            Identity::User(user) => (user.arn.clone(), user.record.id.clone()),
            Identity::Role(role) => (
                format!(
                    "arn:aws:sts::{account}:assumed-role/{}/{session_name}",
                    role.record.name
                ),
                format!("{}:{session_name}", role.record.id),
            ),
        };
        Self {
            account,
            access_key_id,
            identity,
            session,
            arn,
            user_id,
        }
    }

    /// The ARN that GetCallerIdentity and error messages show: `assumed-role/NAME/SESSION` for a role's session.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// `AIDA…`, `AROA…:session`, or the account number: GetCallerIdentity's `UserId` and `aws:userid`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The role session's name; `None` for others.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        match self.session.as_deref().map(|session| &session.principal) {
            Some(SessionPrincipal::Role { session_name, .. }) => Some(session_name),
            _ => None,
        }
    }

    /// How the policy engine sees the caller.
    #[must_use]
    pub fn principal(&self) -> Principal<'_> {
        match &self.identity {
            Identity::Root => Principal::Root { account: self.account },
            Identity::User(user) => Principal::User {
                arn: &user.arn,
                unique_id: &user.record.id,
                account: self.account,
            },
            Identity::Role(role) => Principal::RoleSession {
                session_arn: &self.arn,
                role_arn: &role.arn,
                role_unique_id: &role.record.id,
                account: self.account,
            },
        }
    }
}
