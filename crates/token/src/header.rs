use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::error::{Part, TokenError};
use crate::json;

/// Longest key id, in bytes, in a header or a key set.
///
/// The limit of Kubernetes' external signer interface (KEP-740), and more than any issuer uses.
pub const MAX_KEY_ID_LENGTH: usize = 1024;

/// The JOSE header of a token: which algorithm and which key it claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// `alg` as it stands in the token. Text of a stranger.
    pub alg: String,
    /// `alg` as an algorithm; absent if it is not one that we accept.
    pub algorithm: Option<Algorithm>,
    /// `kid`. Text of a stranger: an opaque string to compare, never a path, a query or part of a log line.
    pub kid: Option<String>,
}

impl Header {
    /// Reads the decoded first segment.
    ///
    /// Every other member is ignored, above all `jku`, `x5u`, `x5c`, `x5t` and `jwk`: where keys come from is the verifier's
    /// business. Members that change how the token must be processed are errors (RFC 7515 section 4.1.11, RFC 7797, RFC 7516).
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let mut members = json::object(json).map_err(|error| match error {
            json::JsonError::Malformed => TokenError::Json { part: Part::Header },
            json::JsonError::Repeated => TokenError::RepeatedMember { part: Part::Header },
        })?;
        for member in ["crit", "b64", "zip", "enc"] {
            if members.contains_key(member) {
                return Err(TokenError::HeaderFeature { member });
            }
        }
        let mut text = |member: &'static str| match members.remove(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::HeaderMember { member }),
        };
        text("typ")?;
        let content = text("cty")?.unwrap_or_default().to_ascii_lowercase();
        if matches!(content.as_str(), "jwt" | "application/jwt") {
            return Err(TokenError::HeaderFeature { member: "cty" });
        }
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID_LENGTH) {
            return Err(TokenError::HeaderMember { member: "kid" });
        }
        let alg = text("alg")?.ok_or(TokenError::HeaderMember { member: "alg" })?;
        Ok(Self {
            algorithm: Algorithm::from_name(&alg),
            alg,
            kid,
        })
    }
}
