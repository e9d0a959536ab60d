//! The bytes of a session inside of its token: postcard over borrowed fields, so that sealing copies every text once.
//!
//! Fields are told apart by position only: a change here needs a new token version. Padding may follow, which is not of this form.

use irsa_core::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::{Federated, Session, SessionPrincipal};

#[derive(Deserialize, Serialize)]
pub(crate) struct SealedSession<'a> {
    /// 128 random bits: two sessions with an equal access key id still have unrelated secrets.
    pub(crate) session_id: [u8; 16],
    account: u64,
    #[serde(borrow)]
    principal: SealedPrincipal<'a>,
    issued_at: i64,
    expires_at: i64,
    source_identity: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    transitive_tag_keys: Vec<&'a str>,
    session_policy: Option<&'a str>,
    session_policy_arns: Vec<&'a str>,
    federated: Option<SealedFederated<'a>>,
    mfa: bool,
    chained: bool,
}

#[derive(Deserialize, Serialize)]
enum SealedPrincipal<'a> {
    Role(&'a str, &'a str, &'a str, &'a str),
    User(&'a str, &'a str, &'a str),
    FederatedUser(&'a str, &'a str, &'a str, &'a str),
    Root,
}

#[derive(Deserialize, Serialize)]
struct SealedFederated<'a> {
    provider_arn: &'a str,
    issuer: &'a str,
    audience: &'a str,
    subject: &'a str,
    #[serde(borrow)]
    amr: Vec<&'a str>,
}

impl<'a> SealedSession<'a> {
    pub(crate) fn of(session: &'a Session, session_id: [u8; 16]) -> Self {
        Self {
            session_id,
            account: session.account.number(),
            principal: match &session.principal {
                SessionPrincipal::Role {
                    role_name,
                    role_path,
                    role_id,
                    session_name,
                } => SealedPrincipal::Role(role_name, role_path, role_id, session_name),
                SessionPrincipal::User {
                    user_name,
                    user_path,
                    user_id,
                } => SealedPrincipal::User(user_name, user_path, user_id),
                SessionPrincipal::FederatedUser {
                    name,
                    user_name,
                    user_path,
                    user_id,
                } => SealedPrincipal::FederatedUser(name, user_name, user_path, user_id),
                SessionPrincipal::Root => SealedPrincipal::Root,
            },
            issued_at: session.issued_at.unix_millis(),
            expires_at: session.expires_at.unix_millis(),
            source_identity: session.source_identity.as_deref(),
            tags: session
                .tags
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            transitive_tag_keys: borrowed(&session.transitive_tag_keys),
            session_policy: session.session_policy.as_deref(),
            session_policy_arns: borrowed(&session.session_policy_arns),
            federated: session.federated.as_ref().map(|federated| SealedFederated {
                provider_arn: &federated.provider_arn,
                issuer: &federated.issuer,
                audience: &federated.audience,
                subject: &federated.subject,
                amr: borrowed(&federated.amr),
            }),
            mfa: session.mfa,
            chained: session.chained,
        }
    }

    /// The session again; `None` if the account is no account number.
    pub(crate) fn session(&self) -> Option<Session> {
        Some(Session {
            account: AccountId::from_number(self.account)?,
            principal: match self.principal {
                SealedPrincipal::Role(role_name, role_path, role_id, session_name) => SessionPrincipal::Role {
                    role_name: role_name.to_owned(),
                    role_path: role_path.to_owned(),
                    role_id: role_id.to_owned(),
                    session_name: session_name.to_owned(),
                },
                SealedPrincipal::User(user_name, user_path, user_id) => SessionPrincipal::User {
                    user_name: user_name.to_owned(),
                    user_path: user_path.to_owned(),
                    user_id: user_id.to_owned(),
                },
                SealedPrincipal::FederatedUser(name, user_name, user_path, user_id) => {
                    SessionPrincipal::FederatedUser {
                        name: name.to_owned(),
                        user_name: user_name.to_owned(),
                        user_path: user_path.to_owned(),
                        user_id: user_id.to_owned(),
                    }
                }
                SealedPrincipal::Root => SessionPrincipal::Root,
            },
            issued_at: Timestamp::from_unix_millis(self.issued_at),
            expires_at: Timestamp::from_unix_millis(self.expires_at),
            source_identity: self.source_identity.map(str::to_owned),
            tags: self
                .tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            transitive_tag_keys: owned(&self.transitive_tag_keys),
            session_policy: self.session_policy.map(str::to_owned),
            session_policy_arns: owned(&self.session_policy_arns),
            federated: self.federated.as_ref().map(|federated| Federated {
                provider_arn: federated.provider_arn.to_owned(),
                issuer: federated.issuer.to_owned(),
                audience: federated.audience.to_owned(),
                subject: federated.subject.to_owned(),
                amr: owned(&federated.amr),
            }),
            mfa: self.mfa,
            chained: self.chained,
        })
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
