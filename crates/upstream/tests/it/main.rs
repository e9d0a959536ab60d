//! An upstream over real sockets: such as should not be believed, and such as die, dawdle or lie.

mod faults;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use irsa_core::Timestamp;
use irsa_sigv4::Payload;
use irsa_upstream::{Deadlines, RequestBody, ResponseBody, Sign, Upstream, UpstreamError};

/// Long enough for a busy machine to connect, short enough to wait for.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(20),
    first_byte: Duration::from_millis(700),
    idle: Duration::from_millis(700),
};

fn upstream(url: &str, ca: Option<&std::path::Path>) -> Upstream {
    Upstream::new(url.parse().unwrap(), None, ca, DEADLINES).unwrap()
}

async fn send(upstream: &Upstream) -> Result<Response<ResponseBody>, UpstreamError> {
    let body: RequestBody = Full::new(Bytes::from_static(b"{}"))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    let sign = Sign {
        service: "dynamodb",
        region: "us-east-1",
        payload: Payload::Sha256([0; 32]),
    };
    upstream
        .send(request, &sign, Timestamp::from_unix_seconds(1_800_000_000))
        .await
}

/// The whole answer; the first error of the exchange or of the body.
async fn answer(upstream: &Upstream) -> Result<(u16, Bytes), String> {
    let response = send(upstream).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("body: {error}"))?;
    Ok((status, body.to_bytes()))
}
