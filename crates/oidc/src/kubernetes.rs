use aws_lc_rs::digest;
use irsa_core::Timestamp;
use serde_json::{Map, Value, json};

/// The audience of a token whose request names none: what the webhook and every trust policy of IRSA expect.
pub const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// How long a token is valid whose request does not say, in seconds, as in Kubernetes.
pub const DEFAULT_EXPIRATION_SECONDS: i64 = 3600;
/// The shortest validity that may be asked for, in seconds, as in Kubernetes.
pub const MINIMUM_EXPIRATION_SECONDS: i64 = 600;
/// The longest validity that is given, in seconds; a request for more gets this much, as from an API server with
/// `--service-account-max-token-expiration`.
pub const MAXIMUM_EXPIRATION_SECONDS: i64 = 86_400;

/// The most audiences of a token.
const MAX_AUDIENCES: usize = 100;
/// The longest audience, in characters: that of a client id in IAM.
const MAX_AUDIENCE_LEN: usize = 255;

/// What a token is asked for: the TokenRequest of Kubernetes, with the service account that it is made for.
///
/// See <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenRequest {
    /// The namespace.
    pub namespace: String,
    /// The name of the service account.
    pub service_account: String,
    /// Its uid. Without one, a stable uid is derived of issuer, namespace and name.
    pub service_account_uid: Option<String>,
    /// The pod that the token is bound to.
    pub pod: Option<TokenObject>,
    /// The node that the pod runs on.
    pub node: Option<TokenObject>,
    /// The audiences; none means [`DEFAULT_AUDIENCE`].
    pub audiences: Vec<String>,
    /// How long the token is to be valid; none means [`DEFAULT_EXPIRATION_SECONDS`].
    pub expiration_seconds: Option<i64>,
}

/// An object of the cluster that a token names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenObject {
    /// Its name.
    pub name: String,
    /// Its uid. Without one, a stable uid is derived as for service accounts.
    pub uid: Option<String>,
}

/// A field of a token request is not acceptable. Reads like the API server's answer to the same mistake.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: Invalid value: {value}: {detail}")]
pub struct FieldError {
    /// The path of the field.
    pub field: &'static str,
    /// What was given, as JSON; shortened.
    pub value: String,
    /// The rule that it breaks.
    pub detail: &'static str,
}

impl TokenRequest {
    /// Checks every field and writes the claims; answers them with the time at which they expire.
    ///
    /// The names are Kubernetes names, which hold neither `:` nor `/`: the subject `system:serviceaccount:<namespace>:<name>` has one
    /// reading only.
    pub(crate) fn claims(
        &self,
        issuer_id: &str,
        issuer_url: &str,
        token_id: &str,
        now: Timestamp,
    ) -> Result<(Value, Timestamp), FieldError> {
        label("metadata.namespace", &self.namespace)?;
        subdomain("metadata.name", &self.service_account)?;
        let uid_of = |field, kind, name: &str, given: Option<&String>| match given {
            Some(uid) => uid_is_valid(field, uid).map(|()| uid.clone()),
            None => Ok(derived_uid(issuer_id, kind, &self.namespace, name)),
        };
        let mut kubernetes = Map::new();
        kubernetes.insert("namespace".to_owned(), self.namespace.as_str().into());
        if let Some(node) = &self.node {
            subdomain("spec.nodeName", &node.name)?;
            let uid = uid_of("spec.nodeName", "node", &node.name, node.uid.as_ref())?;
            kubernetes.insert("node".to_owned(), json!({"name": node.name, "uid": uid}));
        }
        if let Some(pod) = &self.pod {
            subdomain("spec.boundObjectRef.name", &pod.name)?;
            let uid = uid_of("spec.boundObjectRef.uid", "pod", &pod.name, pod.uid.as_ref())?;
            kubernetes.insert("pod".to_owned(), json!({"name": pod.name, "uid": uid}));
        }
        let name = &self.service_account;
        let uid = uid_of(
            "metadata.uid",
            "serviceaccount",
            name,
            self.service_account_uid.as_ref(),
        )?;
        kubernetes.insert("serviceaccount".to_owned(), json!({"name": name, "uid": uid}));
        let audiences = self.checked_audiences()?;
        let issued = now.unix_seconds();
        let expires = issued.saturating_add(self.validity()?);
        let claims = json!({
            "aud": audiences,
            "exp": expires,
            "iat": issued,
            "iss": issuer_url,
            "jti": token_id,
            "kubernetes.io": kubernetes,
            "nbf": issued,
            "sub": format!("system:serviceaccount:{}:{name}", self.namespace),
        });
        Ok((claims, Timestamp::from_unix_seconds(expires)))
    }

    fn checked_audiences(&self) -> Result<Vec<&str>, FieldError> {
        let invalid = |value: &str, detail| Err(FieldError::new("spec.audiences", value, detail));
        if self.audiences.len() > MAX_AUDIENCES {
            return invalid("", "more than 100 audiences");
        }
        for audience in &self.audiences {
            if audience.is_empty()
                || audience.chars().count() > MAX_AUDIENCE_LEN
                || audience.chars().any(char::is_control)
            {
                return invalid(
                    audience,
                    "an audience has 1 to 255 characters and no control characters",
                );
            }
        }
        if self.audiences.is_empty() {
            return Ok(vec![DEFAULT_AUDIENCE]);
        }
        Ok(self.audiences.iter().map(String::as_str).collect())
    }

    fn validity(&self) -> Result<i64, FieldError> {
        let invalid = |seconds: i64, detail| FieldError {
            field: "spec.expirationSeconds",
            value: seconds.to_string(),
            detail,
        };
        match self.expiration_seconds {
            None => Ok(DEFAULT_EXPIRATION_SECONDS),
            Some(seconds) if seconds < MINIMUM_EXPIRATION_SECONDS => {
                Err(invalid(seconds, "may not specify a duration less than 10 minutes"))
            }
            Some(seconds) if seconds > 1 << 32 => {
                Err(invalid(seconds, "may not specify a duration larger than 2^32 seconds"))
            }
            Some(seconds) => Ok(seconds.min(MAXIMUM_EXPIRATION_SECONDS)),
        }
    }
}

impl FieldError {
    fn new(field: &'static str, value: &str, detail: &'static str) -> Self {
        let value: String = value.chars().take(256).collect();
        Self {
            field,
            value: Value::from(value).to_string(),
            detail,
        }
    }
}

/// The uid that an object has when nobody gave it one: always the same for the same issuer, namespace and name. It has the form of a
/// UUID of version 8 (RFC 9562, section 5.8).
#[must_use]
pub fn derived_uid(issuer_id: &str, kind: &str, namespace: &str, name: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["irsa uid", issuer_id, kind, namespace, name] {
        context.update(part.as_bytes());
        // No part can hold a zero byte but by mistake, and then it is still one digest of many.
        context.update(&[0]);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    uuid(bytes, 8)
}

/// Writes 16 bytes as a UUID of a version of RFC 9562.
pub(crate) fn uuid(bytes: [u8; 16], version: u8) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    let g = g & 0x0f | version << 4;
    let i = i & 0x3f | 0x80;
    let part = |bytes: &[u8]| hex::encode(bytes);
    [
        part(&[a, b, c, d]),
        part(&[e, f]),
        part(&[g, h]),
        part(&[i, j]),
        part(&[k, l, m, n, o, p]),
    ]
    .join("-")
}

/// An RFC 1123 label: the form of a namespace's name.
fn label(field: &'static str, text: &str) -> Result<(), FieldError> {
    if text.len() <= 63 && is_label(text) {
        return Ok(());
    }
    let detail = "a lowercase RFC 1123 label must consist of at most 63 lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    Err(FieldError::new(field, text, detail))
}

/// An RFC 1123 subdomain: the form of most other names.
fn subdomain(field: &'static str, text: &str) -> Result<(), FieldError> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(());
    }
    let detail = "a lowercase RFC 1123 subdomain must consist of at most 253 lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    Err(FieldError::new(field, text, detail))
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
        && text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().last().is_some_and(alphanumeric)
}

fn uid_is_valid(field: &'static str, uid: &str) -> Result<(), FieldError> {
    if (1..=64).contains(&uid.len()) && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(());
    }
    Err(FieldError::new(
        field,
        uid,
        "a uid has 1 to 64 letters, digits and hyphens",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> TokenRequest {
        TokenRequest {
            namespace: "default".to_owned(),
            service_account: "app".to_owned(),
            ..TokenRequest::default()
        }
    }

    fn claims(request: &TokenRequest) -> Result<(Value, Timestamp), FieldError> {
        request.claims(
            "ID",
            "https://issuer.example/id/ID",
            "jti",
            Timestamp::from_unix_millis(1_767_323_045_999),
        )
    }

    fn refused(request: &TokenRequest) -> String {
        claims(request).unwrap_err().to_string()
    }

    #[test]
    fn claims_of_a_bound_token() {
        let request = TokenRequest {
            service_account_uid: Some("5ab3d4e5-0000-4000-8000-000000000000".to_owned()),
            pod: Some(TokenObject {
                name: "app-7d4b9".to_owned(),
                uid: Some("11111111-0000-4000-8000-000000000000".to_owned()),
            }),
            node: Some(TokenObject {
                name: "ip-10-0-0-1.ec2.internal".to_owned(),
                uid: Some("22222222-0000-4000-8000-000000000000".to_owned()),
            }),
            audiences: vec!["vault".to_owned()],
            expiration_seconds: Some(600),
            ..request()
        };
        let (claims, expires) = claims(&request).unwrap();
        assert_eq!(
            claims,
            json!({
                "aud": ["vault"], "exp": 1_767_323_645, "iat": 1_767_323_045, "iss": "https://issuer.example/id/ID", "jti": "jti",
                "kubernetes.io": {
                    "namespace": "default",
                    "node": {"name": "ip-10-0-0-1.ec2.internal", "uid": "22222222-0000-4000-8000-000000000000"},
                    "pod": {"name": "app-7d4b9", "uid": "11111111-0000-4000-8000-000000000000"},
                    "serviceaccount": {"name": "app", "uid": "5ab3d4e5-0000-4000-8000-000000000000"},
                },
                "nbf": 1_767_323_045, "sub": "system:serviceaccount:default:app",
            })
        );
        assert_eq!(expires.iso8601(), "2026-01-02T03:14:05Z");
    }

    #[test]
    fn what_a_plain_request_gets() {
        let (claims, _) = claims(&request()).unwrap();
        assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert_eq!(
            claims["kubernetes.io"]["serviceaccount"]["uid"],
            derived_uid("ID", "serviceaccount", "default", "app")
        );
        assert_eq!(claims["kubernetes.io"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn validity_has_the_bounds_of_kubernetes() {
        let with = |seconds| TokenRequest {
            expiration_seconds: Some(seconds),
            ..request()
        };
        for seconds in [i64::MIN, -1, 0, 599] {
            assert_eq!(
                refused(&with(seconds)),
                format!(
                    "spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than 10 minutes"
                )
            );
        }
        assert!(refused(&with(i64::MAX)).ends_with("may not specify a duration larger than 2^32 seconds"));
        for (asked, given) in [(600, 600), (86_400, 86_400), (86_401, 86_400), (1 << 32, 86_400)] {
            let (claims, _) = claims(&with(asked)).unwrap();
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), given);
        }
    }

    #[test]
    fn is_16_names_cannot_write_another_subject() {
        let long = "a".repeat(64);
        for namespace in [
            "", "a:b", "a/b", "a.b", "A", "-a", "a-", "a b", "ä", "a\n", "a\0", &long,
        ] {
            let request = TokenRequest {
                namespace: namespace.to_owned(),
                ..request()
            };
            assert!(
                refused(&request).starts_with("metadata.namespace: Invalid value: "),
                "{namespace}"
            );
        }
        let long = "a".repeat(254);
        for name in [
            "",
            "a:b",
            "a/b",
            "a..b",
            ".a",
            "a.",
            "App",
            "a_b",
            "*",
            "app:default",
            &long,
        ] {
            let named = TokenRequest {
                service_account: name.to_owned(),
                ..request()
            };
            assert!(refused(&named).starts_with("metadata.name: Invalid value: "), "{name}");
            let object = |name: &str| {
                Some(TokenObject {
                    name: name.to_owned(),
                    uid: None,
                })
            };
            assert!(
                claims(&TokenRequest {
                    pod: object(name),
                    ..request()
                })
                .is_err()
            );
            assert!(
                claims(&TokenRequest {
                    node: object(name),
                    ..request()
                })
                .is_err()
            );
        }
        let dotted = TokenRequest {
            service_account: "app.v2-x".to_owned(),
            ..request()
        };
        assert_eq!(
            claims(&dotted).unwrap().0["sub"],
            "system:serviceaccount:default:app.v2-x"
        );
    }

    #[test]
    fn audiences_and_uids_are_bounded() {
        for audiences in [
            vec![String::new()],
            vec!["a\n".to_owned()],
            vec!["a".repeat(256)],
            vec!["a".to_owned(); 101],
        ] {
            let request = TokenRequest { audiences, ..request() };
            assert!(refused(&request).starts_with("spec.audiences: "));
        }
        for uid in ["", "a b", "a\"", &"a".repeat(65)] {
            let request = TokenRequest {
                service_account_uid: Some(uid.to_owned()),
                ..request()
            };
            assert!(refused(&request).starts_with("metadata.uid: "), "{uid}");
        }
    }

    #[test]
    fn derived_uids_are_stable_and_apart() {
        let uid = derived_uid("ID", "serviceaccount", "default", "app");
        assert_eq!(uid, derived_uid("ID", "serviceaccount", "default", "app"));
        assert_eq!(uid.len(), 36);
        assert_eq!((&uid[14..15], "89ab".contains(&uid[19..20])), ("8", true));
        for other in [
            derived_uid("ID2", "serviceaccount", "default", "app"),
            derived_uid("ID", "pod", "default", "app"),
            derived_uid("ID", "serviceaccount", "defaultapp", ""),
            derived_uid("ID", "serviceaccount", "default", "app2"),
        ] {
            assert_ne!(uid, other);
        }
    }
}
