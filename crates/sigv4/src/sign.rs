//! Signing: what a proxy needs to send a request on under credentials of its own.

use http::HeaderMap;
use irsa_core::Timestamp;

use crate::authorization::ALGORITHM;
use crate::canonical::{canonical_headers, canonical_request};
use crate::error::SigV4Error;
use crate::key::{SigningKey, hex32, sha256};
use crate::presented::{Payload, RequestHead, Scope};
use crate::rules::PathStyle;

/// What a request is signed with and for.
#[derive(Clone, Copy)]
pub struct SigningInput<'a> {
    /// The access key id.
    pub access_key_id: &'a str,
    /// The secret access key.
    pub secret: &'a [u8],
    /// The region.
    pub region: &'a str,
    /// The service's signing name.
    pub service: &'a str,
    /// Now. The request's `x-amz-date` must say the same.
    pub now: Timestamp,
    /// How the service reads paths.
    pub path: PathStyle,
    /// What stands for the body: a hash, or one of the words. [`Payload::Absent`] is the hash of an empty body.
    pub payload: Payload,
}

/// The `Authorization` header of a request: signs `host`, `content-type`, `content-md5` and every `x-amz-*` header that is there.
/// The date, the session token and `x-amz-content-sha256` must be among the headers already, where the service wants them.
///
/// # Errors
/// A header that comes twice in a way that could be read differently; there is none among those of a request that was verified.
pub fn authorization(head: &RequestHead<'_>, input: &SigningInput<'_>) -> Result<String, SigV4Error> {
    let names = signed_names(head.headers);
    let signed_headers = names.join(";");
    let headers = canonical_headers(head.headers, &names)?;
    let hash;
    let payload: &[u8] = match input.payload {
        Payload::Sha256(bytes) => {
            hash = hex32(&bytes);
            &hash
        }
        Payload::Absent => {
            hash = hex32(&sha256(b""));
            &hash
        }
        word => word.word().unwrap_or_default().as_bytes(),
    };
    let request = canonical_request(head, &headers, &signed_headers, false, input.path, payload);
    let date = input.now.basic();
    let scope = Scope {
        date: date.get(..8).unwrap_or_default(),
        region: input.region,
        service: input.service,
    };
    let scope_text = format!("{}/{}/{}/aws4_request", scope.date, scope.region, scope.service);
    let mut text = Vec::with_capacity(192);
    for line in [ALGORITHM, &date, &scope_text] {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(&hex32(&sha256(&request)));
    let signature = SigningKey::derive(input.secret, &scope).sign(&text).hex();
    let signature = String::from_utf8_lossy(&signature);
    let key = input.access_key_id;
    Ok(format!(
        "{ALGORITHM} Credential={key}/{scope_text}, SignedHeaders={signed_headers}, Signature={signature}"
    ))
}

fn signed_names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| matches!(*name, "host" | "content-type" | "content-md5") || name.starts_with("x-amz-"))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presented::presented;
    use crate::rules::Rules;

    fn head<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestHead<'a> {
        RequestHead {
            method: "POST",
            path,
            query: "b=2&a=1",
            headers,
        }
    }

    #[test]
    fn what_is_signed_here_is_verified_here() {
        let now = Timestamp::parse_iso8601("2026-11-22T10:00:00Z").unwrap();
        let body = sha256(b"{}");
        for (service, path, rules, payload) in [
            ("dynamodb", "/", Rules::service("dynamodb"), Payload::Sha256(body)),
            (
                "route53",
                "/2013-04-01/hostedzone/Z1/rrset",
                Rules::service("route53"),
                Payload::Sha256(body),
            ),
            ("s3", "/bucket/a%20b//c", Rules::s3(), Payload::Unsigned),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("host", "upstream:8000"),
                ("x-amz-date", "20261122T100000Z"),
                ("x-amz-target", "T.Op"),
                ("content-type", "application/x-amz-json-1.0"),
                ("accept", "*/*"),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            if service == "s3" {
                headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap());
            }
            let input = SigningInput {
                access_key_id: "AKIAIOSFODNN7EXAMPLE",
                secret: b"secret",
                region: "eu-west-1",
                service,
                now,
                path: rules.path,
                payload,
            };
            let value = authorization(&head(path, &headers), &input).unwrap();
            headers.insert("authorization", value.parse().unwrap());
            let verify = |headers: &HeaderMap, secret: &[u8]| {
                let head = head(path, headers);
                let presented = presented(&head).unwrap().unwrap();
                presented.verify(secret, Some(body), now, &rules).map(|_| ())
            };
            assert_eq!(verify(&headers, b"secret"), Ok(()), "{service}");
            assert_eq!(verify(&headers, b"Secret"), Err(SigV4Error::SignatureMismatch));
            headers.insert("x-amz-target", "T.Other".parse().unwrap());
            assert_eq!(verify(&headers, b"secret"), Err(SigV4Error::SignatureMismatch));
        }
    }
}
