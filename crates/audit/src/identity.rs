use irsa_core::{AccountId, Timestamp};

use crate::json::{ObjectWriter, cut};

/// Who called: CloudTrail's `userIdentity`.
///
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.
#[derive(Clone, Copy, Debug)]
pub enum UserIdentity<'a> {
    /// An account's root user.
    Root {
        /// Its ARN, `arn:aws:iam::<account>:root`.
        arn: &'a str,
        /// The account.
        account: AccountId,
        /// The key that signed.
        access_key_id: Option<&'a str>,
        /// The session, if the key is a temporary one.
        session: Option<SessionContext<'a>>,
    },
    /// An IAM user.
    IamUser {
        /// The unique id, `AIDA…`.
        principal_id: &'a str,
        /// The ARN.
        arn: &'a str,
        /// The account.
        account: AccountId,
        /// The key that signed.
        access_key_id: Option<&'a str>,
        /// The name.
        user_name: &'a str,
        /// The session, if the key is a temporary one.
        session: Option<SessionContext<'a>>,
    },
    /// A session of a role.
    AssumedRole {
        /// `<role id>:<session name>`.
        principal_id: &'a str,
        /// The session's ARN: without the role's path.
        arn: &'a str,
        /// The account.
        account: AccountId,
        /// The key that signed, `ASIA…`.
        access_key_id: Option<&'a str>,
        /// The session.
        session: SessionContext<'a>,
    },
    /// Who shows a token of an OIDC provider.
    WebIdentityUser {
        /// `<provider ARN>:<audience>:<subject>`.
        principal_id: &'a str,
        /// The token's subject.
        user_name: &'a str,
        /// The provider's ARN.
        identity_provider: &'a str,
    },
    /// A caller of another account, of whom nothing more is told.
    AwsAccount {
        /// The unique id.
        principal_id: &'a str,
        /// The account.
        account: AccountId,
    },
    /// Nobody signed.
    Anonymous,
    /// Who it was is not proven: a token or a signature that failed. What the caller claims belongs under
    /// [`Event::irsa`](crate::Event::irsa), marked as unverified.
    Unknown {
        /// The key that the request names, if it names one.
        access_key_id: Option<&'a str>,
    },
}

/// The session behind a temporary key: CloudTrail's `sessionContext`.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext<'a> {
    /// What issued it; `None` for a user's or root's own session.
    pub issuer: Option<SessionIssuer<'a>>,
    /// The ARN of the OIDC provider whose token it was exchanged for.
    pub federated_provider: Option<&'a str>,
    /// When it was issued.
    pub created: Timestamp,
    /// Whether a second factor was shown.
    pub mfa: bool,
    /// The source identity that the session carries.
    pub source_identity: Option<&'a str>,
}

/// The role that issued a session: CloudTrail's `sessionIssuer`.
#[derive(Clone, Copy, Debug)]
pub struct SessionIssuer<'a> {
    /// The role's unique id, `AROA…`.
    pub principal_id: &'a str,
    /// The role's ARN, with its path.
    pub arn: &'a str,
    /// The role's account.
    pub account: AccountId,
    /// The role's name.
    pub user_name: &'a str,
}

/// The longest text of a caller's in one field, in bytes.
pub(crate) const FIELD: usize = 2048;

impl UserIdentity<'_> {
    pub(crate) fn write(&self, to: &mut ObjectWriter) {
        to.open("userIdentity");
        match self {
            Self::Root {
                arn,
                account,
                access_key_id,
                session,
            } => {
                to.text("type", "Root")
                    .plain("principalId", account)
                    .text("arn", cut(arn, FIELD))
                    .plain("accountId", account)
                    .text_if("accessKeyId", access_key_id.map(|id| cut(id, FIELD)));
                session.iter().for_each(|session| session.write(to));
            }
            Self::IamUser {
                principal_id,
                arn,
                account,
                access_key_id,
                user_name,
                session,
            } => {
                to.text("type", "IAMUser")
                    .text("principalId", cut(principal_id, FIELD))
                    .text("arn", cut(arn, FIELD))
                    .plain("accountId", account)
                    .text_if("accessKeyId", access_key_id.map(|id| cut(id, FIELD)))
                    .text("userName", cut(user_name, FIELD));
                session.iter().for_each(|session| session.write(to));
            }
            Self::AssumedRole {
                principal_id,
                arn,
                account,
                access_key_id,
                session,
            } => {
                to.text("type", "AssumedRole")
                    .text("principalId", cut(principal_id, FIELD))
                    .text("arn", cut(arn, FIELD))
                    .plain("accountId", account)
                    .text_if("accessKeyId", access_key_id.map(|id| cut(id, FIELD)));
                session.write(to);
            }
            Self::WebIdentityUser {
                principal_id,
                user_name,
                identity_provider,
            } => {
                to.text("type", "WebIdentityUser")
                    .text("principalId", cut(principal_id, FIELD))
                    .text("userName", cut(user_name, FIELD))
                    .text("identityProvider", cut(identity_provider, FIELD));
            }
            Self::AwsAccount { principal_id, account } => {
                to.text("type", "AWSAccount")
                    .text("principalId", cut(principal_id, FIELD))
                    .plain("accountId", account);
            }
            // As CloudTrail records an unsigned S3 request.
            Self::Anonymous => {
                to.text("type", "AWSAccount")
                    .text("principalId", "")
                    .text("accountId", "ANONYMOUS_PRINCIPAL");
            }
            Self::Unknown { access_key_id } => {
                to.text("type", "Unknown")
                    .text_if("accessKeyId", access_key_id.map(|id| cut(id, FIELD)));
            }
        }
        to.close();
    }
}

impl SessionContext<'_> {
    fn write(&self, to: &mut ObjectWriter) {
        to.open("sessionContext");
        if let Some(issuer) = &self.issuer {
            to.open("sessionIssuer")
                .text("type", "Role")
                .text("principalId", cut(issuer.principal_id, FIELD))
                .text("arn", cut(issuer.arn, FIELD))
                .plain("accountId", issuer.account)
                .text("userName", cut(issuer.user_name, FIELD))
                .close();
        }
        if let Some(provider) = self.federated_provider {
            to.open("webIdFederationData")
                .text("federatedProvider", cut(provider, FIELD))
                .open("attributes")
                .close()
                .close();
        }
        to.open("attributes")
            .plain("creationDate", self.created)
            .plain("mfaAuthenticated", self.mfa)
            .close();
        to.text_if(
            "sourceIdentity",
            self.source_identity.map(|identity| cut(identity, FIELD)),
        );
        to.close();
    }
}
