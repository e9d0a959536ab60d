//! The bearer token of an EKS cluster: a signed request to STS that the cluster sends in its holder's place.
//!
//! What `aws eks get-token` makes and the clusters' authenticator takes: `k8s-aws-v1.` and, in unpadded URL-safe base64,
//! the URL of a `GetCallerIdentity` whose signature covers the header `x-k8s-aws-id` with the cluster's name, so that the
//! token is good for that cluster alone. See <https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, header};

use crate::endpoints::Place;
use crate::{ClientError, ClusterToken};

/// `X-Amz-Expires`, as the AWS CLI has it. Clusters want it there, and STS takes no notice of it.
const EXPIRES: Duration = Duration::from_secs(60);
/// How long clusters take a token: STS takes the signature for 15 minutes; one of them is for clocks that differ.
const LIFETIME: Duration = Duration::from_secs(14 * 60);

pub(crate) fn sign(
    place: &Place,
    cluster: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<ClusterToken, ClientError> {
    let failed = |error: &dyn std::error::Error| ClientError::Request {
        reason: error.to_string(),
    };
    let endpoint: irsa_upstream::Endpoint = place.url.parse()?;
    let mut request = Request::get(format!("{endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"))
        .header(header::HOST, endpoint.authority())
        .header("x-k8s-aws-id", cluster)
        .body(())
        .map_err(|error| failed(&error))?;
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&place.region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let headers: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    if headers.len() != request.headers().len() {
        return Err(ClientError::Request {
            reason: "the cluster's name can't be in a header".to_owned(),
        });
    }
    let url = request.uri().to_string();
    let signable = SignableRequest::new("GET", url, headers.into_iter(), SignableBody::Bytes(b""))
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign_request(signable, &params)
        .map_err(|error| failed(&error))?
        .into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let url = request.uri().to_string();
    Ok(ClusterToken {
        token: format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url)),
        until: credentials
            .expiry()
            .map_or(now + LIFETIME, |end| end.min(now + LIFETIME)),
    })
}

#[cfg(test)]
mod tests;
