use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use irsa_upstream::{Endpoint, Trust, connect, deepest};

use crate::{Answer, ClientError};

/// Sends one request over a connection of its own and reads the whole answer, of at most `limit` bytes.
pub(crate) async fn send(
    endpoint: &Endpoint,
    trust: Option<&Trust>,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable {
        endpoint: endpoint.to_string(),
        reason,
    };
    let mut sender = connect(endpoint, trust)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| unreachable(deepest(&error)))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, limit)
        .collect()
        .await
        .map_err(|error| ClientError::Unreadable {
            endpoint: endpoint.to_string(),
            reason: deepest(error.as_ref()),
        })?;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}
