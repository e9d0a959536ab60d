//! AWS Signature Version 4 from the client's side, written against AWS's documentation alone:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use aws_lc_rs::{digest, hmac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything outside of RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs, and for which service.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Access key id.
    pub access_key_id: &'a str,
    /// Secret access key.
    pub secret_access_key: &'a str,
    /// Session token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// Region of the credential scope.
    pub region: &'a str,
    /// Service name of the credential scope (`sts`, `iam`, `s3`, …).
    pub service: &'a str,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a str,
    /// Host and port as the Host header carries them.
    pub host: &'a str,
    /// The path as it stands in the request line.
    pub path: &'a str,
    /// Query parameters, decoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers to send and sign.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// `X-Amz-Date`: `20260102T030405Z`.
    pub date: &'a str,
}

/// Percent-encodes all but the unreserved characters.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Hex of the SHA-256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// The query string of a request line: sorted and encoded as the canonical request wants it.
pub fn query_string(parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// The headers that sign `request`, the `Authorization` header last; `host` is among the signed ones but not among these.
pub fn sign(request: &Unsigned<'_>, scope: &Scope<'_>) -> Vec<(String, String)> {
    let payload = sha256_hex(request.body);
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    headers.push(("x-amz-date".into(), request.date.to_owned()));
    if scope.service == "s3" {
        headers.push(("x-amz-content-sha256".into(), payload.clone()));
    }
    if let Some(token) = scope.session_token {
        headers.push(("x-amz-security-token".into(), token.to_owned()));
    }
    let mut canonical = headers.clone();
    canonical.push(("host".into(), request.host.to_owned()));
    canonical.sort();
    let names: Vec<&str> = canonical.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = canonical
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let text = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{payload}",
        request.method,
        canonical_path(request.path, scope.service),
        query_string(request.query)
    );
    let (credential, signature) = seal(&text, request.date, scope);
    headers.push((
        "authorization".into(),
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
    ));
    headers
}

/// The query string of a presigned GET that stays valid for `seconds`.
pub fn presign(request: &Unsigned<'_>, scope: &Scope<'_>, seconds: u32) -> String {
    let day = request.date.get(..8).unwrap_or_default();
    let credential = format!(
        "{}/{day}/{}/{}/aws4_request",
        scope.access_key_id, scope.region, scope.service
    );
    let seconds = seconds.to_string();
    let mut query = request.query.to_vec();
    query.push(("X-Amz-Algorithm", "AWS4-HMAC-SHA256"));
    query.push(("X-Amz-Credential", &credential));
    query.push(("X-Amz-Date", request.date));
    query.push(("X-Amz-Expires", &seconds));
    query.push(("X-Amz-SignedHeaders", "host"));
    if let Some(token) = scope.session_token {
        query.push(("X-Amz-Security-Token", token));
    }
    let query = query_string(&query);
    let payload = if scope.service == "s3" {
        "UNSIGNED-PAYLOAD".to_owned()
    } else {
        sha256_hex(request.body)
    };
    let text = format!(
        "{}\n{}\n{query}\nhost:{}\n\nhost\n{payload}",
        request.method,
        canonical_path(request.path, scope.service),
        request.host
    );
    let (_, signature) = seal(&text, request.date, scope);
    format!("{query}&X-Amz-Signature={signature}")
}

/// S3 takes the path as sent; every other service encodes it once more.
fn canonical_path(path: &str, service: &str) -> String {
    if service == "s3" {
        path.to_owned()
    } else {
        path.split('/').map(encode).collect::<Vec<_>>().join("/")
    }
}

/// Credential and signature of a canonical request.
fn seal(canonical: &str, date: &str, scope: &Scope<'_>) -> (String, String) {
    let day = date.get(..8).unwrap_or_default();
    let range = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{range}\n{}",
        sha256_hex(canonical.as_bytes())
    );
    let mut key = format!("AWS4{}", scope.secret_access_key).into_bytes();
    for part in [day, scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    (
        format!("{}/{range}", scope.access_key_id),
        hex::encode(mac(&key, text.as_bytes())),
    )
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of AWS's own documentation: ListUsers on 2015-08-30 with the example key.
    #[test]
    fn the_documented_example_has_the_documented_signature() {
        let request = Unsigned {
            method: "GET",
            host: "iam.amazonaws.com",
            path: "/",
            query: &[("Action", "ListUsers"), ("Version", "2010-05-08")],
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body: b"",
            date: "20150830T123600Z",
        };
        let scope = Scope {
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session_token: None,
            region: "us-east-1",
            service: "iam",
        };
        let headers = sign(&request, &scope);
        let (_, authorization) = headers.last().unwrap();
        assert!(
            authorization.ends_with("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"),
            "{authorization}"
        );
    }
}
