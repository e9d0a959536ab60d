//! Credentials of ours, and the signature that is made with them.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use irsa_core::Timestamp;
use irsa_sigv4::{PathStyle, Payload, RequestHead, SigningInput, authorization};
use zeroize::Zeroizing;

use crate::upstream::UpstreamError;

/// Keys for an upstream. Never shown.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<Zeroizing<String>>,
}

/// There are no credentials at the moment.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there are no credentials for the upstream: {reason}")]
pub struct CredentialError {
    /// Why; without secrets.
    pub reason: String,
}

/// Where credentials for an upstream come from. Implementations keep them, and renew them before they end.
#[async_trait::async_trait]
pub trait CredentialSource: Send + Sync {
    /// Credentials that are valid now.
    ///
    /// # Errors
    /// There are none.
    async fn credentials(&self) -> Result<Credentials, CredentialError>;
}

/// Static keys.
#[async_trait::async_trait]
impl CredentialSource for Credentials {
    async fn credentials(&self) -> Result<Credentials, CredentialError> {
        Ok(self.clone())
    }
}

/// What a request is signed for.
#[derive(Clone, Copy, Debug)]
pub struct Sign<'a> {
    /// The service's signing name.
    pub service: &'a str,
    /// The region.
    pub region: &'a str,
    /// What stands for the body: its hash, or for S3 also [`Payload::Unsigned`] and [`Payload::StreamingUnsignedTrailer`].
    pub payload: Payload,
}

pub(crate) fn sign(
    method: &str,
    path: &str,
    query: &str,
    headers: &mut HeaderMap,
    credentials: &Credentials,
    what: &Sign<'_>,
    now: Timestamp,
) -> Result<(), UpstreamError> {
    let failed = |reason: String| UpstreamError::Request { reason };
    let is_s3 = what.service == "s3";
    let mut put = |name: &'static str, value: &str| {
        let value =
            HeaderValue::from_str(value).map_err(|_| failed(format!("the header `{name}` can't be written")))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<(), UpstreamError>(())
    };
    put("x-amz-date", &now.basic())?;
    if let Some(token) = &credentials.session_token {
        put("x-amz-security-token", token)?;
    }
    if is_s3 {
        let word = match what.payload {
            Payload::Sha256(hash) => hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            Payload::StreamingUnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
            _ => "UNSIGNED-PAYLOAD".to_owned(),
        };
        put("x-amz-content-sha256", &word)?;
    }
    let payload = match what.payload {
        Payload::Sha256(_) => what.payload,
        Payload::StreamingUnsignedTrailer if is_s3 => what.payload,
        _ if is_s3 => Payload::Unsigned,
        _ => return Err(failed("only S3 takes requests whose body is not signed".to_owned())),
    };
    let value = authorization(
        &RequestHead {
            method,
            path,
            query,
            headers,
        },
        &SigningInput {
            access_key_id: &credentials.access_key_id,
            secret: credentials.secret_access_key.as_bytes(),
            region: what.region,
            service: what.service,
            now,
            path: if is_s3 {
                PathStyle::Verbatim
            } else {
                PathStyle::Normalised
            },
            payload,
        },
    )
    .map_err(|error| failed(error.to_string()))?;
    let value = HeaderValue::from_str(&value).map_err(|_| failed("the access key id can't be written".to_owned()))?;
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}
