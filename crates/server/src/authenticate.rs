//! The gate: which key signed a request, and whose it is. One table turns every failure into the words of the called service.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use irsa_core::{AccessKeyId, Timestamp};
use irsa_credentials::{EpochKeys, Session};
use irsa_iam::{AccessKey, Caller, CallerError};
use irsa_sigv4::{LocationKind, Presented, Rules, Scope, SigV4Error, SigningKey, Verified};
use irsa_wire::{Service, WireError};
use zeroize::Zeroizing;

use crate::snapshot::Snapshot;

/// Why a signed request is nobody's.
#[derive(Debug)]
pub(crate) enum AuthenticationError {
    /// Not signed at all.
    Missing,
    /// The signature's form, time, scope or value.
    Signature(SigV4Error),
    /// No such key, an inactive one, or temporary credentials without their token. Holds the reason for operators.
    UnknownKey(String),
    /// A session token that is not one of ours, not that key's, or whose owner is gone. Holds the reason for operators.
    ForeignToken(String),
    /// The session is over.
    Expired,
}

/// Signing keys that verified a signature: of long-term access keys, which one day and region share, and of the sessions that were seen last.
#[derive(Default)]
pub(crate) struct SigningKeys {
    by_scope: Mutex<HashMap<KeyScope, Arc<SigningKey>>>,
    sessions: KnownSessions,
}

/// What a signing key is derived from; the revision of the record stands for its secret.
#[derive(Eq, Hash, PartialEq)]
struct KeyScope {
    access_key_id: String,
    revision: u64,
    date: String,
    region: String,
    service: String,
}

impl SigningKeys {
    /// Beyond this many all are forgotten: deriving one again takes two microseconds.
    const MAX: usize = 4096;

    /// Verifies with the key that is known for the scope, or with a new one, which is kept if the signature was right: strangers choose scopes.
    fn verify(
        &self,
        key: &AccessKey,
        presented: &Presented<'_>,
        body_sha256: Option<[u8; 32]>,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<Verified, SigV4Error> {
        let scope = presented.scope();
        let of = KeyScope {
            access_key_id: key.record.id.clone(),
            revision: key.revision,
            date: scope.date.to_owned(),
            region: scope.region.to_owned(),
            service: scope.service.to_owned(),
        };
        let known = self.lock().get(&of).cloned();
        if let Some(known) = known {
            return presented.verify_with(&known, body_sha256, now, rules);
        }
        let derived = SigningKey::derive(key.secret.as_bytes(), &scope);
        let verified = presented.verify_with(&derived, body_sha256, now, rules)?;
        let mut by_scope = self.lock();
        if by_scope.len() >= Self::MAX {
            by_scope.clear();
        }
        by_scope.insert(of, Arc::new(derived));
        Ok(verified)
    }

    /// Opens a session token, and verifies with the secret that is in it; of a session that is known, with what is known of it.
    fn verify_session(
        &self,
        epoch_keys: &Arc<EpochKeys>,
        id: &AccessKeyId,
        token: &str,
        presented: &Presented<'_>,
        verify: impl Fn(&SigningKey) -> Result<Verified, SigV4Error>,
    ) -> Result<(Arc<Session>, Verified), AuthenticationError> {
        if let Some(known) = self.sessions.find(epoch_keys, presented, token) {
            let verified = verify(&known.key).map_err(AuthenticationError::Signature)?;
            return Ok((Arc::clone(&known.session), verified));
        }
        let (session, secret) = epoch_keys
            .open(id, token)
            .map_err(|error| AuthenticationError::ForeignToken(error.to_string()))?;
        let scope = presented.scope();
        let key = SigningKey::derive(secret.as_bytes(), &scope);
        let verified = verify(&key).map_err(AuthenticationError::Signature)?;
        let session = Arc::new(session);
        self.sessions.keep(KnownSession {
            epoch_keys: Arc::downgrade(epoch_keys),
            access_key_id: presented.access_key_id().to_owned(),
            token: Zeroizing::new(token.to_owned()),
            date: scope.date.to_owned(),
            region: scope.region.to_owned(),
            service: scope.service.to_owned(),
            session: Arc::clone(&session),
            key,
        });
        Ok((session, verified))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyScope, Arc<SigningKey>>> {
        self.by_scope.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions that were seen last: opening a token and deriving its signing key costs as much as all else of a verification.
struct KnownSessions {
    places: Box<[Mutex<Option<Arc<KnownSession>>>]>,
    hash: RandomState,
}

/// What a token holds, and the signing key of its secret for one scope; kept once a signature of its holder was right. Whether the session is over, and
/// whether its role is still there, is asked each time.
struct KnownSession {
    /// What opened it. With other keys, it has to be opened again.
    epoch_keys: Weak<EpochKeys>,
    access_key_id: String,
    token: Zeroizing<String>,
    date: String,
    region: String,
    service: String,
    session: Arc<Session>,
    key: SigningKey,
}

impl Default for KnownSessions {
    fn default() -> Self {
        Self {
            places: (0..Self::PLACES).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
        }
    }
}

impl KnownSessions {
    /// So many are known at most; of two that fall on one place, the later is.
    const PLACES: usize = 1024;

    fn find(&self, epoch_keys: &Arc<EpochKeys>, presented: &Presented<'_>, token: &str) -> Option<Arc<KnownSession>> {
        let known = self.place(presented.access_key_id())?.clone()?;
        let scope = presented.scope();
        let is_same = std::ptr::eq(known.epoch_keys.as_ptr(), Arc::as_ptr(epoch_keys))
            && known.access_key_id == presented.access_key_id()
            && (&*known.date, &*known.region, &*known.service) == (scope.date, scope.region, scope.service)
            && verify_slices_are_equal(known.token.as_bytes(), token.as_bytes()).is_ok();
        is_same.then_some(known)
    }

    fn keep(&self, known: KnownSession) {
        let known = Arc::new(known);
        if let Some(mut place) = self.place(&known.access_key_id) {
            *place = Some(Arc::clone(&known));
        }
    }

    fn place(&self, access_key_id: &str) -> Option<MutexGuard<'_, Option<Arc<KnownSession>>>> {
        let number = usize::try_from(self.hash.hash_one(access_key_id)).unwrap_or_default() % Self::PLACES;
        let place = self.places.get(number)?;
        Some(place.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Verifies a request's signature and finds its owner.
pub(crate) fn authenticate(
    keys: &SigningKeys,
    snapshot: &Snapshot,
    presented: &Presented<'_>,
    body_sha256: Option<[u8; 32]>,
    now: Timestamp,
    rules: &Rules,
) -> Result<(Caller, Verified), AuthenticationError> {
    let id: AccessKeyId = presented
        .access_key_id()
        .parse()
        .map_err(|error| AuthenticationError::UnknownKey(format!("{error}")))?;
    let unknown = |reason: &str| AuthenticationError::UnknownKey(reason.to_owned());
    match presented.session_token() {
        Some(token) => {
            let epoch_keys = snapshot
                .epoch_keys
                .as_ref()
                .ok_or_else(|| unknown("there are no epoch keys"))?;
            let (session, verified) = keys.verify_session(epoch_keys, &id, token, presented, |key| {
                presented.verify_with(key, body_sha256, now, rules)
            })?;
            let caller = Caller::of_session(&snapshot.iam, id, session, now).map_err(nobody)?;
            Ok((caller, verified))
        }
        None if id.is_temporary() => Err(unknown("temporary credentials came without their session token")),
        None => {
            let key = snapshot
                .iam
                .access_key(&id)
                .ok_or_else(|| unknown("there is no such access key"))?;
            let verified = keys
                .verify(key, presented, body_sha256, now, rules)
                .map_err(AuthenticationError::Signature)?;
            let caller = Caller::of_access_key(&snapshot.iam, key).map_err(nobody)?;
            Ok((caller, verified))
        }
    }
}

/// Finds out whose key signed the policy of a form, and checks that it did.
pub(crate) fn authenticate_form(
    snapshot: &Snapshot,
    access_key_id: &str,
    token: Option<&str>,
    scope: &Scope<'_>,
    (policy, signature): (&str, &str),
    now: Timestamp,
) -> Result<Caller, AuthenticationError> {
    let unknown = |reason: &str| AuthenticationError::UnknownKey(reason.to_owned());
    let id: AccessKeyId = access_key_id
        .parse()
        .map_err(|error| AuthenticationError::UnknownKey(format!("{error}")))?;
    let check = |secret: &[u8]| match SigningKey::derive(secret, scope).signs(policy.as_bytes(), signature) {
        true => Ok(()),
        false => Err(AuthenticationError::Signature(SigV4Error::SignatureMismatch)),
    };
    match token {
        Some(token) => {
            let epoch_keys = snapshot
                .epoch_keys
                .as_ref()
                .ok_or_else(|| unknown("there are no epoch keys"))?;
            let (session, secret) = epoch_keys
                .open(&id, token)
                .map_err(|error| AuthenticationError::ForeignToken(error.to_string()))?;
            check(secret.as_bytes())?;
            Caller::of_session(&snapshot.iam, id, Arc::new(session), now).map_err(nobody)
        }
        None if id.is_temporary() => Err(unknown("temporary credentials came without their session token")),
        None => {
            let key = snapshot
                .iam
                .access_key(&id)
                .ok_or_else(|| unknown("there is no such access key"))?;
            check(key.secret.as_bytes())?;
            Caller::of_access_key(&snapshot.iam, key).map_err(nobody)
        }
    }
}

fn nobody(error: CallerError) -> AuthenticationError {
    match error {
        CallerError::Expired => AuthenticationError::Expired,
        CallerError::Unknown => AuthenticationError::ForeignToken(error.to_string()),
        CallerError::Inactive => AuthenticationError::UnknownKey(error.to_string()),
    }
}

impl AuthenticationError {
    /// What the caller of a service is told.
    pub(crate) fn wire(&self, service: Service) -> WireError {
        let error = match service {
            Service::S3 => self.s3(),
            Service::Iam | Service::Sts => self.query(),
            Service::Eks | Service::CloudTrail | Service::Irsa => self.json(),
        };
        match self {
            Self::Missing => error,
            Self::Signature(reason) => error.because(reason.to_string()),
            Self::UnknownKey(reason) | Self::ForeignToken(reason) => error.because(reason.clone()),
            Self::Expired => error.because("the session has expired"),
        }
    }

    fn query(&self) -> WireError {
        match self {
            Self::Missing => WireError::new(
                "MissingAuthenticationToken",
                403,
                "Request is missing Authentication Token",
            ),
            Self::UnknownKey(_) | Self::ForeignToken(_) => WireError::new(
                "InvalidClientTokenId",
                403,
                "The security token included in the request is invalid.",
            ),
            Self::Expired => WireError::new(
                "ExpiredToken",
                403,
                "The security token included in the request is expired",
            ),
            Self::Signature(error) => match signature_text(error) {
                Text::Mismatch(message) => WireError::new("SignatureDoesNotMatch", 403, message),
                Text::Incomplete(message) => WireError::new("IncompleteSignature", 403, message),
            },
        }
    }

    fn json(&self) -> WireError {
        match self {
            Self::Missing => WireError::new(
                "MissingAuthenticationTokenException",
                403,
                "Missing Authentication Token",
            ),
            Self::UnknownKey(_) | Self::ForeignToken(_) => WireError::new(
                "UnrecognizedClientException",
                403,
                "The security token included in the request is invalid.",
            ),
            Self::Expired => WireError::new(
                "ExpiredTokenException",
                403,
                "The security token included in the request is expired",
            ),
            Self::Signature(error) => match signature_text(error) {
                Text::Mismatch(message) => WireError::new("InvalidSignatureException", 403, message),
                Text::Incomplete(message) => WireError::new("IncompleteSignatureException", 403, message),
            },
        }
    }

    fn s3(&self) -> WireError {
        match self {
            Self::Missing => WireError::new("AccessDenied", 403, "Access Denied"),
            Self::UnknownKey(_) => WireError::new(
                "InvalidAccessKeyId",
                403,
                "The AWS Access Key Id you provided does not exist in our records.",
            ),
            Self::ForeignToken(_) => WireError::new(
                "InvalidToken",
                400,
                "The provided token is malformed or otherwise invalid.",
            ),
            Self::Expired => WireError::new("ExpiredToken", 400, "The provided token has expired."),
            Self::Signature(error) => match error {
                SigV4Error::SignatureMismatch => WireError::new(
                    "SignatureDoesNotMatch",
                    403,
                    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
                ),
                SigV4Error::TooOld { .. } | SigV4Error::NotYetCurrent { .. } => WireError::new(
                    "RequestTimeTooSkewed",
                    403,
                    "The difference between the request time and the current time is too large.",
                ),
                SigV4Error::Expired { .. } => WireError::new("AccessDenied", 403, "Request has expired"),
                SigV4Error::UnsignedHeaders { .. } => WireError::new(
                    "AccessDenied",
                    403,
                    "There were headers present in the request which were not signed",
                ),
                SigV4Error::HostNotSigned | SigV4Error::DateNotSigned { .. } => {
                    WireError::new("AccessDenied", 403, error.to_string())
                }
                SigV4Error::HeaderAndQuery => WireError::new(
                    "InvalidArgument",
                    400,
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the \
                     Authorization header should be specified",
                ),
                SigV4Error::SignatureV2 | SigV4Error::UnsupportedScheme => WireError::new(
                    "InvalidRequest",
                    400,
                    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
                ),
                SigV4Error::PayloadMismatch { .. } => WireError::new(
                    "XAmzContentSHA256Mismatch",
                    400,
                    "The provided 'x-amz-content-sha256' header does not match what was computed.",
                ),
                SigV4Error::ContentSha256Missing => WireError::new(
                    "InvalidRequest",
                    400,
                    "Missing required header for this request: x-amz-content-sha256",
                ),
                SigV4Error::MalformedContentSha256 { .. } => WireError::new(
                    "InvalidArgument",
                    400,
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 value.",
                ),
                SigV4Error::Incomplete {
                    location: LocationKind::Query,
                    ..
                }
                | SigV4Error::DuplicateParameter { .. }
                | SigV4Error::MalformedExpires { .. } => {
                    WireError::new("AuthorizationQueryParametersError", 400, error.to_string())
                }
                SigV4Error::BodyNotHashed => WireError::internal(error.to_string()),
                _ => WireError::new(
                    "AuthorizationHeaderMalformed",
                    400,
                    format!("The authorization header is malformed; {error}"),
                ),
            },
        }
    }
}

enum Text {
    Mismatch(String),
    Incomplete(String),
}

/// The texts that all services but S3 share.
fn signature_text(error: &SigV4Error) -> Text {
    match error {
        SigV4Error::SignatureMismatch | SigV4Error::PayloadMismatch { .. } => Text::Mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing \
             method. Consult the service documentation for details."
                .to_owned(),
        ),
        SigV4Error::TooOld { signed_at, now, max_skew_seconds } => Text::Mismatch(format!(
            "Signature expired: {} is now earlier than {} ({} - {} min.)",
            signed_at.basic(),
            now.plus_seconds(-max_skew_seconds).basic(),
            now.basic(),
            max_skew_seconds / 60
        )),
        SigV4Error::NotYetCurrent { signed_at, now, max_skew_seconds } => Text::Mismatch(format!(
            "Signature not yet current: {} is still later than {} ({} + {} min.)",
            signed_at.basic(),
            now.plus_seconds(*max_skew_seconds).basic(),
            now.basic(),
            max_skew_seconds / 60
        )),
        SigV4Error::Expired { expires_at, now, .. } => {
            Text::Mismatch(format!("Signature expired: {} is now earlier than {}", expires_at.basic(), now.basic()))
        }
        SigV4Error::ScopeService { expected, .. } => {
            Text::Mismatch(format!("Credential should be scoped to correct service: '{expected}'. "))
        }
        SigV4Error::ScopeRegion { .. } => Text::Mismatch("Credential should be scoped to a valid region. ".to_owned()),
        SigV4Error::ScopeTerminator { found } => {
            Text::Mismatch(format!("Credential should be scoped with a valid terminator: 'aws4_request', not '{found}'."))
        }
        SigV4Error::ScopeDate { scope, request } => Text::Mismatch(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{}', from '{request}'.",
            request.get(..8).unwrap_or(request)
        )),
        SigV4Error::HostNotSigned => {
            Text::Mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned())
        }
        SigV4Error::DateNotSigned { .. } => {
            Text::Mismatch("'X-Amz-Date' or 'Date' must be a 'SignedHeader' in the AWS Authorization.".to_owned())
        }
        SigV4Error::UnsignedHeaders { names } => {
            Text::Mismatch(format!("The header(s) {} must be signed in the AWS Authorization.", names.join(", ")))
        }
        SigV4Error::Incomplete { location, missing } => {
            let prefix = match location {
                LocationKind::Header => "Authorization header requires",
                LocationKind::Query => "AWS query-string parameters must include",
            };
            let texts: Vec<String> = missing
                .iter()
                .map(|part| match location {
                    LocationKind::Header => format!("{prefix} '{}' parameter.", part.name()),
                    LocationKind::Query => format!("{prefix} 'X-Amz-{}'.", part.name()),
                })
                .collect();
            Text::Incomplete(texts.join(" "))
        }
        other => Text::Incomplete(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
