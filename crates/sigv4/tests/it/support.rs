//! A signer, and requests that can be tampered with.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};
use irsa_core::Timestamp;
use irsa_sigv4::{RequestHead, Rules, SigV4Error, Verified, presented};

pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-01-02T03:04:05Z.
pub(crate) const AT: i64 = 1_767_323_045;
pub(crate) const DATE: &str = "20260102T030405Z";
pub(crate) const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(AT)
}

/// A request as a server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body_sha256: Option<[u8; 32]>,
}

impl Request {
    /// An unsigned request.
    pub(crate) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body_sha256: Some(EMPTY),
        };
        for (name, value) in headers {
            request.add(name, value);
        }
        request
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    /// Presents and verifies; the request must be signed somehow.
    pub(crate) fn verified(&self, now: Timestamp, rules: &Rules) -> Result<Verified, SigV4Error> {
        let head = self.head();
        let presented = presented(&head)?.expect("the request is signed");
        let secret = secret_of(presented.access_key_id());
        presented.verify(secret.as_bytes(), self.body_sha256, now, rules)
    }

    pub(crate) fn check(&self, rules: &Rules) -> Result<(), SigV4Error> {
        self.verified(now(), rules).map(drop)
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value);
        self
    }

    pub(crate) fn authorization(&self) -> String {
        self.headers["authorization"].to_str().unwrap().to_owned()
    }

    /// The same with `from` replaced in the Authorization header.
    pub(crate) fn authorized_with(&self, from: &str, to: &str) -> Self {
        let authorization = self.authorization();
        assert!(authorization.contains(from), "{authorization}");
        let mut request = self.clone();
        request.set("authorization", &authorization.replacen(from, to, 1));
        request
    }

    /// The same with `from` replaced in the query.
    pub(crate) fn queried_with(&self, from: &str, to: &str) -> Self {
        assert!(self.query.contains(from), "{}", self.query);
        let mut request = self.clone();
        request.query = self.query.replacen(from, to, 1);
        request
    }

    /// The signature, wherever it is.
    pub(crate) fn signature(&self) -> String {
        let text = if self.headers.contains_key("authorization") {
            self.authorization()
        } else {
            self.query.clone()
        };
        let start = text.find("Signature=").unwrap() + "Signature=".len();
        text[start..start + 64].to_owned()
    }
}

/// As a server does: the key id is not covered by the signature, but it finds the secret.
pub(crate) fn secret_of(key_id: &str) -> &'static str {
    match key_id {
        KEY_ID => SECRET,
        "ANOTREAL" => "notrealrnrELgWzOk3IfjzDKtFBhDby",
        _ => "the secret of nobody who signs here",
    }
}

/// `aws-sigv4` with its settings for one service.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) service: &'static str,
    pub(crate) token: Option<&'static str>,
    pub(crate) expires: Option<u64>,
    pub(crate) at: i64,
}

impl Signer {
    pub(crate) fn new(service: &'static str) -> Self {
        Self {
            service,
            token: None,
            expires: None,
            at: AT,
        }
    }

    pub(crate) fn presigning(self, seconds: u64) -> Self {
        Self {
            expires: Some(seconds),
            ..self
        }
    }

    pub(crate) fn with_token(self, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Signs; the body hash of the request is set by `body` if that is bytes.
    pub(crate) fn sign(&self, request: &Request, body: SignableBody<'_>) -> Request {
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if let Some(seconds) = self.expires {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(seconds));
        }
        let identity = Credentials::new(KEY_ID, SECRET, self.token.map(str::to_owned), None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.at).unwrap()))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let mut uri = format!("https://{}{}", request.headers["host"].to_str().unwrap(), request.path);
        if !request.query.is_empty() {
            uri = format!("{uri}?{}", request.query);
        }
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let body_sha256 = match &body {
            SignableBody::Bytes(bytes) => Some(sha256(bytes)),
            _ => None,
        };
        let signable = SignableRequest::new(&request.method, uri.as_str(), headers.into_iter(), body).unwrap();
        let (instructions, _signature) = sign(signable, &parameters).unwrap().into_parts();
        let mut applied = http::Request::builder().uri(uri).body(()).unwrap();
        *applied.headers_mut() = request.headers.clone();
        instructions.apply_to_request_http1x(&mut applied);
        Request {
            method: request.method.clone(),
            path: request.path.clone(),
            query: applied.uri().query().unwrap_or_default().to_owned(),
            headers: applied.headers().clone(),
            body_sha256,
        }
    }
}

/// Signs any canonical request in the header, by the book and without any check: what a malicious signer could do.
pub(crate) fn sign_raw(request: &Request, canonical: &str, signed_headers: &str, date: &str, scope: &str) -> Request {
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex::encode(sha256(canonical.as_bytes()))
    );
    let signature = signature_of(scope, &text);
    request.clone().with(
        "authorization",
        &format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"),
    )
}

/// The signature of a string to sign, its key derived from the scope as it is written.
pub(crate) fn signature_of(scope: &str, text: &str) -> String {
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes());
    }
    hex::encode(hmac(&key, text.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
        .as_ref()
        .to_vec()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .unwrap()
}

/// A GetObject with a header that is not x-amz.
pub(crate) fn get_object() -> Request {
    Request::new(
        "GET",
        "/bucket/a/key.txt?versionId=abc&acl",
        &[("host", "s3.example.com"), ("range", "bytes=0-9")],
    )
}

/// An STS call with a form body.
pub(crate) fn sts_call() -> Request {
    Request::new(
        "POST",
        "/",
        &[
            ("host", "sts.example.com"),
            ("content-type", "application/x-www-form-urlencoded"),
        ],
    )
}

pub(crate) const FORM: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

pub(crate) fn sts() -> Rules {
    Rules::service("sts")
}

pub(crate) fn signed_sts() -> Request {
    Signer::new("sts").sign(&sts_call(), SignableBody::Bytes(FORM))
}

pub(crate) fn signed_s3() -> Request {
    Signer::new("s3").sign(&get_object(), SignableBody::UnsignedPayload)
}

pub(crate) fn presigned_s3(seconds: u64) -> Request {
    Signer::new("s3")
        .presigning(seconds)
        .sign(&get_object(), SignableBody::UnsignedPayload)
}

pub(crate) fn error_of(request: &Request) -> SigV4Error {
    presented(&request.head()).err().expect("the request is refused")
}
