//! A minimal client of AWS APIs: signs, sends, and hands back what came.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::sigv4::{self, Scope, Unsigned};

/// Long enough for a debug build on a busy machine, short enough that a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where requests go: plain HTTP at `host:port`, one connection a request.
#[derive(Clone, Debug)]
pub struct Transport {
    authority: String,
}

impl Transport {
    /// A transport to an endpoint like `http://127.0.0.1:4700`.
    pub fn new(endpoint: &str) -> Result<Self> {
        let authority = endpoint
            .strip_prefix("http://")
            .context("the endpoint is not http://")?
            .trim_end_matches('/')
            .to_owned();
        Ok(Self { authority })
    }

    /// `host:port`, as the Host header carries it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .context("no answer within a minute")?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("connecting to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        }
        .await;
        driver.abort();
        answer
    }
}

/// Keys of a caller.
#[derive(Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

/// A caller of one endpoint.
#[derive(Clone)]
pub struct Client {
    /// Where it calls.
    pub transport: Transport,
    /// The region it signs for.
    pub region: String,
    /// Its keys; without any, requests go unsigned.
    pub credentials: Option<Credentials>,
}

impl Client {
    /// Calls an operation of the Query protocol (`sts`, `iam`).
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
        let body = sigv4::query_string(&[parameters, &[("Version", version)]].concat());
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        self.call(service, "POST", "/", &[], &headers, body.into()).await
    }

    /// As [`query`](Self::query), and an error unless the answer is a success.
    pub async fn must(&self, service: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let answer = self.query(service, parameters).await?;
        if answer.status != 200 {
            let action = parameters
                .iter()
                .find(|(name, _)| *name == "Action")
                .map_or("?", |(_, value)| value);
            bail!("{service}:{action} answered {}: {}", answer.status, answer.text());
        }
        Ok(answer)
    }

    /// Calls an operation of the REST-JSON protocol (`eks`, and `irsa`, our own).
    pub async fn json(&self, service: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.call(
            service,
            method,
            path,
            &[],
            &[("content-type", "application/json")],
            body.into(),
        )
        .await
    }

    /// Calls anything: signs with the caller's keys if it has some.
    pub async fn call(
        &self,
        service: &str,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let date = now_basic()?;
        let unsigned = Unsigned {
            method,
            host: self.transport.authority(),
            path,
            query,
            headers,
            body: &body,
            date: &date,
        };
        let sent = match &self.credentials {
            Some(credentials) => sigv4::sign(&unsigned, &self.scope(credentials, service)),
            None => headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let query = sigv4::query_string(query);
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", self.transport.authority());
        for (name, value) in &sent {
            request = request.header(name, value);
        }
        self.transport.send(request.body(Full::new(body))?).await
    }

    /// The path and query of a GET signed in its query, valid for `seconds`.
    pub fn presign(&self, service: &str, path: &str, query: &[(&str, &str)], seconds: u32) -> Result<String> {
        let date = now_basic()?;
        let unsigned = Unsigned {
            method: "GET",
            host: self.transport.authority(),
            path,
            query,
            headers: &[],
            body: b"",
            date: &date,
        };
        let credentials = self
            .credentials
            .as_ref()
            .context("only a caller with keys can presign")?;
        Ok(format!(
            "{path}?{}",
            sigv4::presign(&unsigned, &self.scope(credentials, service), seconds)
        ))
    }

    /// The same endpoint and region with other keys, or none.
    pub fn with(&self, credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            ..self.clone()
        }
    }

    fn scope<'a>(&'a self, credentials: &'a Credentials, service: &'a str) -> Scope<'a> {
        Scope {
            access_key_id: &credentials.access_key_id,
            secret_access_key: &credentials.secret_access_key,
            session_token: credentials.session_token.as_deref(),
            region: &self.region,
            service,
        }
    }
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn value(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("status {}, not JSON: {}", self.status, self.text()))
    }

    /// The text of the first XML element of this name.
    pub fn xml(&self, name: &str) -> Option<String> {
        xml_text(&self.text(), name)
    }

    /// As [`xml`](Self::xml), and an error when there is no such element.
    pub fn must_xml(&self, name: &str) -> Result<String> {
        self.xml(name)
            .with_context(|| format!("no <{name}> in the answer (status {}): {}", self.status, self.text()))
    }

    /// The credentials of an STS answer.
    pub fn credentials(&self) -> Result<Credentials> {
        Ok(Credentials {
            access_key_id: self.must_xml("AccessKeyId")?,
            secret_access_key: self.must_xml("SecretAccessKey")?,
            session_token: Some(self.must_xml("SessionToken")?),
        })
    }

    /// `Code` of an XML error answer, `__type` of a JSON one.
    pub fn error_code(&self) -> Option<String> {
        self.xml("Code")
            .or_else(|| Some(self.value().ok()?.get("__type")?.as_str()?.to_owned()))
    }

    /// `Message` of an XML error answer, `message` of a JSON one.
    pub fn error_message(&self) -> Option<String> {
        self.xml("Message")
            .or_else(|| Some(self.value().ok()?.get("message")?.as_str()?.to_owned()))
    }
}

/// The text of the first element `name` of an XML document, entities resolved.
pub fn xml_text(document: &str, name: &str) -> Option<String> {
    xml_texts(document, name).into_iter().next()
}

/// The texts of all elements `name` of an XML document, entities resolved. Enough for answers of AWS's protocols, whose leaves carry no attributes.
pub fn xml_texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut texts = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((text, after)) = after.split_once(&close) else {
            break;
        };
        texts.push(unescape(text));
        rest = after;
    }
    texts
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&#xA;", "\n")
        .replace("&amp;", "&")
}

/// The time in SigV4's form, `20260102T030405Z`.
pub(crate) fn now_basic() -> Result<String> {
    let form = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    Ok(time::OffsetDateTime::now_utc().format(form)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_elements_come_unescaped_and_in_order() {
        let document = "<A><Arn>x&amp;lt;</Arn><B><Arn>y</Arn></B><Empty/></A>";
        assert_eq!(xml_texts(document, "Arn"), ["x&lt;", "y"]);
        assert_eq!(xml_text(document, "Empty"), None);
        assert_eq!(xml_text("<Arn>never closed", "Arn"), None);
    }
}
