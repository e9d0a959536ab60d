//! The account and region of the EC2 instance that we run on, for `--compose-role-arn`.
//!
//! Version 2 of its metadata service: a token first, then the document.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where instances find it, unless `AWS_EC2_METADATA_SERVICE_ENDPOINT` names another `host:port`.
const ADDRESS: &str = "169.254.169.254:80";
const DEADLINE: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 3;
/// The document has some hundred bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What the instance says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub(super) account_id: String,
    pub(super) region: String,
}

/// Asks the instance.
pub(super) async fn instance() -> anyhow::Result<Instance> {
    let endpoint = std::env::var("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        .ok()
        .filter(|endpoint| !endpoint.is_empty());
    let address = endpoint.as_deref().map_or(ADDRESS, |endpoint| {
        endpoint.trim_start_matches("http://").trim_end_matches('/')
    });
    let address = if address.contains(':') {
        address.to_owned()
    } else {
        format!("{address}:80")
    };
    let mut attempt = 1;
    loop {
        let asked = tokio::time::timeout(DEADLINE, ask(&address)).await;
        match asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {DEADLINE:?}"))) {
            Ok(instance) => return Ok(instance),
            Err(error) if attempt == ATTEMPTS => return Err(error.context("the instance's metadata can't be read")),
            Err(error) => tracing::warn!("the instance's metadata can't be read yet: {error:#}"),
        }
        attempt += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn ask(address: &str) -> anyhow::Result<Instance> {
    let lifetime = "X-aws-ec2-metadata-token-ttl-seconds: 60";
    let token = call(address, "PUT", "/latest/api/token", lifetime).await?;
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("the token is none");
    }
    let path = "/latest/dynamic/instance-identity/document";
    let document = call(address, "GET", path, &format!("X-aws-ec2-metadata-token: {token}")).await?;
    serde_json::from_str(&document).context("the instance's document is not understood")
}

/// One call, whose connection the other side closes.
async fn call(address: &str, method: &str, path: &str, header: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{method} {path} was answered with {status}");
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_token_goes_before_the_document() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in [
                "TOKEN==",
                "{\"accountId\": \"111122223333\", \"region\": \"cn-north-1\", \"other\": 1}",
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{answer}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        let instance = ask(&address).await.unwrap();
        assert_eq!(
            (instance.account_id.as_str(), instance.region.as_str()),
            ("111122223333", "cn-north-1")
        );
        let asked = served.await.unwrap();
        assert!(asked[0].starts_with("PUT /latest/api/token HTTP/1.0\r\n"));
        assert!(asked[1].contains("\r\nX-aws-ec2-metadata-token: TOKEN==\r\n"));
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        });
        let error = ask(&address).await.unwrap_err().to_string();
        assert_eq!(error, "PUT /latest/api/token was answered with 403");
    }
}
