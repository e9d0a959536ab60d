//! The two places where a signature may stand, taken apart but not yet judged.

use std::borrow::Cow;

use crate::canonical::decode_query;
use crate::error::{SigV4Error, excerpt};

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A longer `Authorization` header is nobody's signature.
const MAX_AUTHORIZATION_LEN: usize = 16 * 1024;

/// The parts of an `Authorization` header.
#[derive(Default)]
pub(crate) struct HeaderParts<'a> {
    pub(crate) credential: Option<&'a str>,
    pub(crate) signed_headers: Option<&'a str>,
    pub(crate) signature: Option<&'a str>,
}

impl<'a> HeaderParts<'a> {
    /// Takes the header apart: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, in any order.
    pub(crate) fn read(value: &'a str) -> Result<Self, SigV4Error> {
        let malformed = |reason| Err(SigV4Error::MalformedAuthorization { reason });
        if value.len() > MAX_AUTHORIZATION_LEN {
            return malformed("it is too long");
        }
        let (algorithm, list) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if algorithm != ALGORITHM {
            return Err(other_algorithm(algorithm, SigV4Error::UnsupportedScheme));
        }
        let mut parts = Self::default();
        if list.trim().is_empty() {
            return Ok(parts);
        }
        for part in list.split(',') {
            let Some((name, value)) = part.trim().split_once('=') else {
                return malformed("a part is not of the form Name=value");
            };
            let slot = match name {
                "Credential" => &mut parts.credential,
                "SignedHeaders" => &mut parts.signed_headers,
                "Signature" => &mut parts.signature,
                _ => return malformed("it has an unknown part"),
            };
            if slot.replace(value).is_some() {
                return malformed("it has a part twice");
            }
        }
        Ok(parts)
    }
}

/// The error of an algorithm that is not ours; `otherwise` if the word is no algorithm of AWS at all.
fn other_algorithm(algorithm: &str, otherwise: SigV4Error) -> SigV4Error {
    match algorithm {
        "AWS4-ECDSA-P256-SHA256" => SigV4Error::SignatureV4a,
        "AWS" | "AWS3" | "AWS3-HTTPS" => SigV4Error::SignatureV2,
        other if other.starts_with("AWS4-") => SigV4Error::UnsupportedAlgorithm {
            algorithm: excerpt(other),
        },
        _ => otherwise,
    }
}

/// The signature's parameters in the query, decoded.
#[derive(Default)]
pub(crate) struct QueryParts<'a> {
    pub(crate) algorithm: Option<Cow<'a, str>>,
    pub(crate) credential: Option<Cow<'a, str>>,
    pub(crate) date: Option<Cow<'a, str>>,
    pub(crate) expires: Option<Cow<'a, str>>,
    pub(crate) signed_headers: Option<Cow<'a, str>>,
    pub(crate) signature: Option<Cow<'a, str>>,
    pub(crate) security_token: Option<Cow<'a, str>>,
    pub(crate) content_sha256: Option<Cow<'a, str>>,
    version_2: bool,
}

impl<'a> QueryParts<'a> {
    /// Finds the parameters, whatever their case, and refuses any that occurs twice.
    pub(crate) fn find(query: &'a str) -> Result<Self, SigV4Error> {
        let mut parts = Self::default();
        let (mut old_key, mut old_signature) = (false, false);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_query(name);
            match name.as_ref() {
                b"AWSAccessKeyId" => old_key = true,
                b"Signature" => old_signature = true,
                _ => {}
            }
            let Some((slot, name)) = parts.slot(&name) else {
                continue;
            };
            let value = match decode_query(value) {
                Cow::Borrowed(_) => Cow::Borrowed(value),
                Cow::Owned(bytes) => {
                    Cow::Owned(String::from_utf8(bytes).map_err(|_| SigV4Error::UnreadableValue { name })?)
                }
            };
            if slot.replace(value).is_some() {
                return Err(SigV4Error::DuplicateParameter { name });
            }
        }
        parts.version_2 = old_key && old_signature;
        Ok(parts)
    }

    fn slot(&mut self, name: &[u8]) -> Option<(&mut Option<Cow<'a, str>>, &'static str)> {
        let (prefix, rest) = name.split_at_checked(6)?;
        if !prefix.eq_ignore_ascii_case(b"x-amz-") {
            return None;
        }
        [
            (&mut self.algorithm, "X-Amz-Algorithm"),
            (&mut self.credential, "X-Amz-Credential"),
            (&mut self.date, "X-Amz-Date"),
            (&mut self.expires, "X-Amz-Expires"),
            (&mut self.signed_headers, "X-Amz-SignedHeaders"),
            (&mut self.signature, "X-Amz-Signature"),
            (&mut self.security_token, "X-Amz-Security-Token"),
            (&mut self.content_sha256, "X-Amz-Content-Sha256"),
        ]
        .into_iter()
        .find(|(_, known)| {
            known
                .as_bytes()
                .get(6..)
                .is_some_and(|known| known.eq_ignore_ascii_case(rest))
        })
    }

    /// Whether the query claims to be signed, in whatever version.
    pub(crate) fn signs(&self) -> bool {
        self.version_2 || self.algorithm.is_some() || self.credential.is_some() || self.signature.is_some()
    }

    /// Checks that the algorithm, if there is one, is the one that we know.
    pub(crate) fn check_algorithm(&self) -> Result<(), SigV4Error> {
        match self.algorithm.as_deref() {
            Some(ALGORITHM) => Ok(()),
            Some(other) => Err(other_algorithm(
                other,
                SigV4Error::UnsupportedAlgorithm {
                    algorithm: excerpt(other),
                },
            )),
            None if self.version_2 && self.credential.is_none() && self.signature.is_none() => {
                Err(SigV4Error::SignatureV2)
            }
            None => Ok(()),
        }
    }
}
