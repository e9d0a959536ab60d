//! STS's one error table: every refusal, with the code, status and text that AWS gives it.

use irsa_wire::WireError;

/// Why STS refuses. The texts are recorded from AWS where `docs/differences.md` does not say otherwise.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StsError {
    /// The trust policy does not allow it, or there is no such role: callers can't tell which. Holds the reason for operators.
    #[error("not authorized: {0}")]
    WebIdentityDenied(String),
    /// AssumeRole is not allowed, or there is no such role.
    #[error("`{caller}` may not assume `{role}`: {reason}")]
    AssumeRoleDenied {
        /// The caller's ARN.
        caller: String,
        /// The role's ARN as sent.
        role: String,
        /// `sts:AssumeRole`, `sts:TagSession` or `sts:SetSourceIdentity`.
        action: String,
        /// For operators.
        reason: String,
    },
    /// Root may not assume roles.
    #[error("root may not assume roles")]
    RootMayNotAssume,
    /// A session may not get a session.
    #[error("a session may not call GetSessionToken")]
    SessionMayNotGetSession,
    /// A second factor was given and is not known here.
    #[error("the second factor is unknown")]
    UnknownMfa,
    /// The token is no JWT that we accept. Holds the reason for operators.
    #[error("the token is not a valid JWT: {0}")]
    NotAJwt(String),
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// A claim is there and empty.
    #[error("the claim `{0}` is empty")]
    EmptyClaim(&'static str),
    /// More than one audience and no authorized party.
    #[error("several audiences and no authorized party")]
    AmbiguousAudience,
    /// The audience is not registered, or the signature is not good.
    #[error("the token could not be validated: {0}")]
    NotValidated(String),
    /// A time claim is no whole number.
    #[error("a time claim is malformed: {0}")]
    Timestamp(String),
    /// No provider for the issuer in the role's account.
    #[error("no provider for `{issuer}`")]
    NoProvider {
        /// The `iss` claim.
        issuer: String,
    },
    /// No key to verify with. Holds the reason for operators.
    #[error("no verification key: {0}")]
    NoKey(String),
    /// The issuer's certificate is of a private CA and fits no thumbprint.
    #[error("the thumbprint does not match: {0}")]
    Thumbprint(String),
    /// The token is over; seconds since the epoch, the tolerance already taken off.
    #[error("expired: {now} is not before {expires}")]
    Expired {
        /// Now minus the tolerance.
        now: i64,
        /// The `exp` claim.
        expires: i64,
    },
    /// The token comes from the future.
    #[error("issued in the future: {0}")]
    IssuedInTheFuture(i64),
    /// The token is not valid yet; the tolerance already added.
    #[error("not yet valid: {now} is before {not_before}")]
    NotYetValid {
        /// Now plus the tolerance.
        now: i64,
        /// The `nbf` claim.
        not_before: i64,
    },
    /// The tags claim has another shape, or breaks a rule of session tags.
    #[error("the tags claim is malformed: {0}")]
    TagsClaim(String),
    /// The source identity claim breaks its rules.
    #[error("the source identity claim is malformed")]
    SourceIdentityClaim,
    /// The roles claim is neither an array nor a string.
    #[error("the roles claim is malformed")]
    RolesClaimFormat,
    /// The roles claim names no role.
    #[error("the roles claim names no role")]
    RolesClaimEmpty,
    /// The roles claim does not name this role.
    #[error("the roles claim does not name the role")]
    RolesClaimOther,
    /// `ProviderId` names Login with Amazon.
    #[error("not a Login with Amazon token")]
    NotLoginWithAmazon,
    /// `ProviderId` names Facebook.
    #[error("not a Facebook token")]
    NotFacebook,
    /// `ProviderId` names anybody else.
    #[error("unknown OAuth provider")]
    UnknownOAuthProvider,
    /// The session policy is no policy.
    #[error("the session policy is malformed: {0}")]
    MalformedPolicy(String),
    /// The session would not fit into its token. Percent of what there is room for.
    #[error("the session takes {0} % of its room")]
    TooLarge(i64),
    /// A rule of session tags is broken, in AWS's words.
    #[error("{0}")]
    SessionTags(String),
    /// The authorization message does not open for the caller's account. Holds the reason for operators.
    #[error("{0}")]
    AuthorizationMessage(String),
    /// A parameter is wrong, in AWS's words.
    #[error("{0}")]
    Validation(String),
    /// What [`irsa_wire`] found in the parameters.
    #[error("{0}")]
    Wire(WireError),
    /// Something of ours broke.
    #[error("{0}")]
    Internal(String),
}

impl From<WireError> for StsError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<StsError> for WireError {
    fn from(error: StsError) -> Self {
        const INVALID: (&str, u16) = ("InvalidIdentityToken", 400);
        const DENIED: (&str, u16) = ("AccessDenied", 403);
        let reason = error.to_string();
        let ((code, status), message): ((&'static str, u16), String) = match error {
            StsError::WebIdentityDenied(_) => (DENIED, "Not authorized to perform sts:AssumeRoleWithWebIdentity".into()),
            StsError::AssumeRoleDenied { caller, role, action, .. } => {
                (DENIED, format!("User: {caller} is not authorized to perform: {action} on resource: {role}"))
            }
            StsError::RootMayNotAssume => (DENIED, "Roles may not be assumed by root accounts.".into()),
            StsError::SessionMayNotGetSession => (DENIED, "Cannot call GetSessionToken with session credentials".into()),
            StsError::UnknownMfa => {
                (DENIED, "MultiFactorAuthentication failed with invalid MFA one time pass code.".into())
            }
            StsError::NotAJwt(_) => (
                INVALID,
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)".into(),
            ),
            StsError::MissingClaim(claim) => (INVALID, format!("Missing a required claim: {claim}")),
            StsError::EmptyClaim(claim) => (INVALID, format!("Claim is not allowed to be empty: {claim}")),
            StsError::AmbiguousAudience => (
                INVALID,
                "Token audience contains more than one audience while authorized party is not present".into(),
            ),
            StsError::NotValidated(_) => (
                INVALID,
                "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
                    .into(),
            ),
            StsError::Timestamp(_) => (INVALID, "Invalid timestamp in token claims.".into()),
            StsError::NoProvider { issuer } => {
                (INVALID, format!("No OpenIDConnect provider found in your account for {issuer}"))
            }
            StsError::NoKey(_) => (
                INVALID,
                "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity \
                 documentation for requirements"
                    .into(),
            ),
            StsError::Thumbprint(_) => {
                (INVALID, "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint".into())
            }
            StsError::Expired { now, expires } => (
                ("ExpiredTokenException", 400),
                format!("Token expired: current date/time {now} must be before the expiration date/time {expires}"),
            ),
            StsError::IssuedInTheFuture(issued_at) => (INVALID, format!("Token issued in the future: {issued_at}")),
            StsError::NotYetValid { now, not_before } => (
                INVALID,
                format!(
                    "Token not yet valid: current date/time {now} must be after or equal to the not-before date/time {not_before}"
                ),
            ),
            StsError::TagsClaim(_) => (INVALID, "principal_tags passed in claim is not in correct format.".into()),
            StsError::SourceIdentityClaim => (INVALID, "source_identity passed in claim is not in correct format.".into()),
            StsError::RolesClaimFormat => (INVALID, "The roles claim is not in a supported format".into()),
            StsError::RolesClaimEmpty => (INVALID, "The roles claim contains no valid role ARNs".into()),
            StsError::RolesClaimOther => {
                (INVALID, "The target role ARN is not present in the roles claim of the identity token".into())
            }
            StsError::NotLoginWithAmazon => (INVALID, "Provided Token is not a Login With Amazon token".into()),
            StsError::NotFacebook => (
                ("IDPRejectedClaim", 403),
                "graph.facebook.com rejected OAuth token with response \"Bad signature\" and code 190".into(),
            ),
            StsError::UnknownOAuthProvider => (
                DENIED,
                "Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens".into(),
            ),
            StsError::MalformedPolicy(message) => (("MalformedPolicyDocument", 400), message),
            StsError::TooLarge(percent) => (
                ("PackedPolicyTooLarge", 400),
                format!("Packed size of session policies and tags consumes {percent}% of allotted space."),
            ),
            StsError::SessionTags(message) => (("InvalidParameterValue", 400), message),
            StsError::AuthorizationMessage(_) => {
                (("InvalidAuthorizationMessageException", 400), "Message is not valid".into())
            }
            StsError::Validation(message) => (("ValidationError", 400), message),
            StsError::Wire(error) => return error,
            StsError::Internal(reason) => return Self::internal(reason),
        };
        Self::new(code, status, message).because(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_as_it_leaves() {
        let text = || "operators only".to_owned();
        let refusals = [
            StsError::WebIdentityDenied(text()),
            StsError::AssumeRoleDenied {
                caller: "arn:aws:iam::111122223333:user/ann".to_owned(),
                role: "arn:aws:iam::111122223333:role/app".to_owned(),
                action: "sts:AssumeRole".to_owned(),
                reason: text(),
            },
            StsError::RootMayNotAssume,
            StsError::SessionMayNotGetSession,
            StsError::UnknownMfa,
            StsError::NotAJwt(text()),
            StsError::MissingClaim("iss"),
            StsError::EmptyClaim("aud"),
            StsError::AmbiguousAudience,
            StsError::NotValidated(text()),
            StsError::Timestamp(text()),
            StsError::NoProvider {
                issuer: "https://issuer.example".to_owned(),
            },
            StsError::NoKey(text()),
            StsError::Thumbprint(text()),
            StsError::Expired { now: 2, expires: 1 },
            StsError::IssuedInTheFuture(3),
            StsError::NotYetValid { now: 1, not_before: 2 },
            StsError::TagsClaim(text()),
            StsError::SourceIdentityClaim,
            StsError::RolesClaimFormat,
            StsError::RolesClaimEmpty,
            StsError::RolesClaimOther,
            StsError::NotLoginWithAmazon,
            StsError::NotFacebook,
            StsError::UnknownOAuthProvider,
            StsError::MalformedPolicy("Syntax errors in policy.".to_owned()),
            StsError::TooLarge(101),
            StsError::SessionTags("a rule of tags".to_owned()),
            StsError::AuthorizationMessage(text()),
            StsError::Validation("a parameter".to_owned()),
            StsError::Wire(WireError::new("MalformedInput", 400, "a list")),
            StsError::Internal(text()),
        ];
        let lines: Vec<String> = refusals
            .into_iter()
            .map(|refusal| {
                let error = WireError::from(refusal);
                assert!(!error.message.contains("operators only"));
                error.to_string()
            })
            .collect();
        insta::assert_snapshot!("refusals", lines.join("\n"));
    }
}
