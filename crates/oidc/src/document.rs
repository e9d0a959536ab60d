use std::collections::BTreeMap;
use std::fmt;

use irsa_token::{JwkSet, JwkSetError};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::FetchError;
use crate::fetch::shortened;

/// Reads a discovery document and answers its `jwks_uri`.
///
/// OpenID Connect Discovery 1.0, section 3, asks for more members than are looked at here: as with AWS, the document must be of the
/// registered issuer, to the byte, name its keys, and list its signature algorithms.
pub(crate) fn discovery(registered: &str, url: &str, body: &[u8]) -> Result<String, FetchError> {
    let invalid = |reason: String| FetchError::Discovery {
        url: url.to_owned(),
        reason,
    };
    let Object(members) = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let string = |name: &str| -> Result<String, FetchError> {
        let value = members
            .get(name)
            .ok_or_else(|| invalid(format!("`{name}` is missing")))?;
        serde_json::from_str(value.get()).map_err(|_| invalid(format!("`{name}` is not a string")))
    };
    let issuer = string("issuer")?;
    if issuer != registered {
        return Err(FetchError::IssuerMismatch {
            registered: registered.to_owned(),
            found: shortened(&issuer),
        });
    }
    let keys_url = string("jwks_uri")?;
    let name = "id_token_signing_alg_values_supported";
    let algorithms = members
        .get(name)
        .ok_or_else(|| invalid(format!("`{name}` is missing")))?;
    match serde_json::from_str::<Vec<String>>(algorithms.get()) {
        Ok(algorithms) if !algorithms.is_empty() => Ok(keys_url),
        _ => Err(invalid(format!("`{name}` is not a list of algorithms"))),
    }
}

/// Reads a key set that has at least one usable key.
pub(crate) fn key_set(url: &str, body: &[u8]) -> Result<JwkSet, FetchError> {
    let url = url.to_owned();
    let keys = match JwkSet::parse(body) {
        Ok(keys) => keys,
        Err(JwkSetError::PrivateKey) => return Err(FetchError::PrivateKeys { url }),
        Err(JwkSetError::NoKeys) => {
            let reason = "it has no list `keys`".to_owned();
            return Err(FetchError::NoKeys { url, reason });
        }
        Err(other) => {
            let reason = other.to_string();
            return Err(FetchError::Keys { url, reason });
        }
    };
    if keys.is_empty() {
        let reason = match keys.refused().next() {
            None => "its list is empty".to_owned(),
            Some((None, error)) => error.to_string(),
            Some((Some(kid), error)) => format!("key `{}`: {error}", shortened(kid)),
        };
        return Err(FetchError::NoKeys { url, reason });
    }
    Ok(keys)
}

/// A JSON object without repeated members at its top level; two readers of one document must not see two documents.
struct Object(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = access.next_entry::<String, Box<RawValue>>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("`{}` is repeated", shortened(&name))));
                    }
                    members.insert(name, value);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.example/a";
    const URL: &str = "https://issuer.example/a/.well-known/openid-configuration";

    fn read(body: &str) -> Result<String, FetchError> {
        discovery(ISSUER, URL, body.as_bytes())
    }

    #[test]
    fn jk_01_the_issuer_is_the_registered_one_to_the_byte() {
        let document = |issuer: &str| {
            format!(
                r#"{{"issuer":"{issuer}","jwks_uri":"https://k.example","id_token_signing_alg_values_supported":["RS256"]}}"#
            )
        };
        assert_eq!(read(&document(ISSUER)).unwrap(), "https://k.example");
        for other in [
            "https://issuer.example/a/",
            "https://Issuer.example/a",
            "https://evil.example",
            "",
        ] {
            let refused = read(&document(other)).unwrap_err();
            assert!(matches!(refused, FetchError::IssuerMismatch { .. }), "{refused}");
        }
    }

    #[test]
    fn members_that_verification_needs() {
        for (body, reason) in [
            (r#"{}"#, "`issuer` is missing"),
            (r#"{"issuer":7}"#, "`issuer` is not a string"),
            (r#"{"issuer":"https://issuer.example/a"}"#, "`jwks_uri` is missing"),
            (
                r#"{"issuer":"https://issuer.example/a","jwks_uri":"https://k"}"#,
                "`id_token_signing_alg_values_supported` is missing",
            ),
            (
                r#"{"issuer":"https://issuer.example/a","jwks_uri":"https://k","id_token_signing_alg_values_supported":[]}"#,
                "`id_token_signing_alg_values_supported` is not a list of algorithms",
            ),
        ] {
            let refused = read(body).unwrap_err().to_string();
            assert!(refused.ends_with(reason), "{refused}");
        }
    }

    #[test]
    fn jk_18_one_json_document_and_nothing_else() {
        let good = r#"{"issuer":"https://issuer.example/a","jwks_uri":"https://k","id_token_signing_alg_values_supported":["RS256"]}"#;
        assert!(read(good).is_ok());
        let repeated = good.replace('{', r#"{"issuer":"https://issuer.example/a","#);
        for bad in [
            format!("\u{feff}{good}"),
            format!("{good}x"),
            format!("{good}{good}"),
            repeated,
            format!("[{good}]"),
        ] {
            assert!(matches!(read(&bad), Err(FetchError::Discovery { .. })), "{bad}");
        }
        let keys = r#"{"keys":[],"keys":[{"kty":"RSA"}]}"#;
        for bad in [keys, "\u{feff}{\"keys\":[]}", "{\"keys\":[]}]", "[]", "<html>"] {
            assert!(
                matches!(key_set(URL, bad.as_bytes()), Err(FetchError::Keys { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn jk_13_no_keys_is_not_a_key_set() {
        for empty in [
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#,
        ] {
            let refused = key_set(URL, empty.as_bytes()).map(|keys| keys.len());
            assert!(matches!(refused, Err(FetchError::NoKeys { .. })), "{empty} {refused:?}");
        }
    }
}
