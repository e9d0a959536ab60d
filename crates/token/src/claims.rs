mod kubernetes;
mod session;

pub use kubernetes::{BoundObject, KubernetesClaims};
pub use session::SessionTags;

use serde_json::{Map, Value};

use crate::error::{Part, TokenError};
use crate::json;

/// The claims of a token, each of the type that it must have.
///
/// A claim of a wrong type makes the whole token unreadable instead of looking absent. Numbers of time are whole seconds since 1970.
/// Members that only some tokens need stay in [`raw`](Self::raw) and are read by the methods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`. A JSON integer is rendered as a string, as AWS does; the empty string stays one.
    pub subject: Option<String>,
    /// `aud`: one string or a list of them.
    pub audience: Option<Vec<String>>,
    /// `azp`.
    pub authorized_party: Option<String>,
    /// `exp`, in seconds.
    pub expires: Option<i64>,
    /// `nbf`, in seconds.
    pub not_before: Option<i64>,
    /// `iat`, in seconds.
    pub issued_at: Option<i64>,
    /// `amr`: one string or a list of them; empty if absent.
    pub amr: Vec<String>,
    /// `email`.
    pub email: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// Every other member, in the order of the token.
    pub raw: Map<String, Value>,
}

impl Claims {
    /// Reads the decoded second segment.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let mut claims = Self::default();
        let mut seen = 0_u16;
        let mut wrong = None;
        json::members(json, |name, value| {
            let result = match NAMES.iter().position(|known| **known == *name) {
                None => return claims.raw.insert(name.into_owned(), value).is_none(),
                Some(position) => {
                    let bit = 1_u16
                        .checked_shl(u32::try_from(position).unwrap_or(u32::MAX))
                        .unwrap_or_default();
                    if seen & bit != 0 {
                        return false;
                    }
                    seen |= bit;
                    claims.set(&name, value)
                }
            };
            if let Err(error) = result {
                wrong.get_or_insert(error);
            }
            true
        })
        .map_err(|error| match error {
            json::JsonError::Malformed => TokenError::Json { part: Part::Payload },
            json::JsonError::Repeated => TokenError::RepeatedMember { part: Part::Payload },
        })?;
        wrong.map_or(Ok(claims), Err)
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), TokenError> {
        match name {
            "iss" => self.issuer = Some(text("iss", value)?),
            "sub" => self.subject = Some(subject(value)?),
            "aud" => self.audience = Some(texts("aud", value)?),
            "azp" => self.authorized_party = Some(text("azp", value)?),
            "exp" => self.expires = Some(seconds("exp", &value)?),
            "nbf" => self.not_before = Some(seconds("nbf", &value)?),
            "iat" => self.issued_at = Some(seconds("iat", &value)?),
            // No check depends on the last three, and providers do send null for "unknown".
            _ if value.is_null() => {}
            "amr" => self.amr = texts("amr", value)?,
            "email" => self.email = Some(text("email", value)?),
            _ => self.token_id = Some(text("jti", value)?),
        }
        Ok(())
    }

    /// The first claim, in STS's order, that every token must have and this one has not.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        [
            ("iss", self.issuer.is_none()),
            ("sub", self.subject.is_none()),
            ("aud", self.audience.is_none()),
            ("iat", self.issued_at.is_none()),
            ("exp", self.expires.is_none()),
        ]
        .into_iter()
        .find_map(|(claim, absent)| absent.then_some(claim))
    }

    /// The client id that this token was issued for: `azp` if there is one, else the only audience.
    ///
    /// It is what must be among the provider's client ids, and what STS returns as `Audience`. Compare it byte for byte.
    ///
    /// # Errors
    /// [`TokenError::MissingClaim`] without `aud`, [`TokenError::EmptyAudience`], or [`TokenError::SeveralAudiences`] without `azp`.
    pub fn client_id(&self) -> Result<&str, TokenError> {
        let audience = self
            .audience
            .as_deref()
            .ok_or(TokenError::MissingClaim { claim: "aud" })?;
        if audience.iter().all(String::is_empty) {
            return Err(TokenError::EmptyAudience);
        }
        match (&self.authorized_party, audience) {
            (Some(party), _) => Ok(party),
            (None, [only]) => Ok(only),
            (None, _) => Err(TokenError::SeveralAudiences),
        }
    }

    /// Refuses tokens that are valid for longer than `limit` seconds, for example the one-year tokens of a Kubernetes
    /// API server that extends legacy tokens. STS has no such limit.
    ///
    /// # Errors
    /// [`TokenError::LifetimeTooLong`], or [`TokenError::MissingClaim`] without `exp` or `iat`.
    pub fn check_lifetime(&self, limit: i64) -> Result<(), TokenError> {
        let expires = self.expires.ok_or(TokenError::MissingClaim { claim: "exp" })?;
        let issued_at = self.issued_at.ok_or(TokenError::MissingClaim { claim: "iat" })?;
        let seconds = expires.saturating_sub(issued_at);
        if seconds > limit {
            return Err(TokenError::LifetimeTooLong { seconds, limit });
        }
        Ok(())
    }
}

/// The claims with fields of their own.
const NAMES: [&str; 10] = ["iss", "sub", "aud", "azp", "exp", "nbf", "iat", "amr", "email", "jti"];

fn text(claim: &'static str, value: Value) -> Result<String, TokenError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(TokenError::WrongType { claim }),
    }
}

fn texts(claim: &'static str, value: Value) -> Result<Vec<String>, TokenError> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(values) => values.into_iter().map(|value| text(claim, value)).collect(),
        _ => Err(TokenError::WrongType { claim }),
    }
}

fn subject(value: Value) -> Result<String, TokenError> {
    match value {
        Value::String(text) => Ok(text),
        // A fraction or a number beyond 64 bits has no one way to be written, so only integers are rendered.
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        Value::Null => Err(TokenError::NullSubject),
        _ => Err(TokenError::WrongType { claim: "sub" }),
    }
}

/// Reads a time: a JSON integer and nothing else.
///
/// AWS also takes integers in quotes. RFC 7519 section 2 wants a number, and a reader that is lax about the types of
/// times is how `"exp": "never"` came to mean "no expiry" elsewhere (CVE-2026-25537), so this is a deliberate difference,
/// made in this function only.
fn seconds(claim: &'static str, value: &Value) -> Result<i64, TokenError> {
    value.as_i64().ok_or(TokenError::InvalidTimestamp { claim })
}
