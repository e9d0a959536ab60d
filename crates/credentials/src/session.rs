use irsa_core::{AccountId, Timestamp};

/// Everything that a request signed with temporary credentials says about its caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The account that the principal belongs to.
    pub account: AccountId,
    /// Who acts.
    pub principal: SessionPrincipal,
    /// When the credentials were issued (`aws:TokenIssueTime`).
    pub issued_at: Timestamp,
    /// When they end. Opening a token does not check it.
    pub expires_at: Timestamp,
    /// The source identity (`aws:SourceIdentity`), which sticks through role chaining.
    pub source_identity: Option<String>,
    /// Session tags (`aws:PrincipalTag/…`), keys as given.
    pub tags: Vec<(String, String)>,
    /// Keys of those tags that pass on when this session assumes a role.
    pub transitive_tag_keys: Vec<String>,
    /// The inline session policy, if one was passed.
    pub session_policy: Option<String>,
    /// ARNs of managed policies that were passed as session policies.
    pub session_policy_arns: Vec<String>,
    /// Where the session came from, if by federation.
    pub federated: Option<Federated>,
    /// Whether a second factor was shown (`aws:MultiFactorAuthPresent`).
    pub mfa: bool,
    /// Whether a role session assumed this one (role chaining, limited to one hour).
    pub chained: bool,
}

/// The principal of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionPrincipal {
    /// A role was assumed.
    Role {
        /// The role's name.
        role_name: String,
        /// The role's path, `/` if it has none.
        role_path: String,
        /// The role's unique id, `AROA…`: a role made anew under the old name has another one.
        role_id: String,
        /// The role session name.
        session_name: String,
    },
    /// A user's own session (GetSessionToken).
    User {
        /// The user's name.
        user_name: String,
        /// The user's path, `/` if it has none.
        user_path: String,
        /// The user's unique id, `AIDA…`.
        user_id: String,
    },
    /// A federated user of a user (GetFederationToken).
    FederatedUser {
        /// The federated user's name.
        name: String,
        /// The name of the user who asked.
        user_name: String,
        /// That user's path.
        user_path: String,
        /// That user's unique id, `AIDA…`.
        user_id: String,
    },
    /// The account's root (GetSessionToken).
    Root,
}

/// The web identity that a session was exchanged for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Federated {
    /// ARN of the identity provider in the account.
    pub provider_arn: String,
    /// The issuer, as in the token's `iss`.
    pub issuer: String,
    /// The audience that was accepted.
    pub audience: String,
    /// The subject, as in the token's `sub`.
    pub subject: String,
    /// The authentication methods, as in the token's `amr`.
    pub amr: Vec<String>,
}
