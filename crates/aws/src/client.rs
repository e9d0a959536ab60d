use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use irsa_core::AccountId;
use irsa_upstream::{Endpoint, Trust};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;
use tracing::debug;

use crate::connection::{Connections, Turn};
use crate::error::Server;
use crate::keys::Keys;
use crate::proxy::Proxy;
use crate::retry::{Retries, passing};
use crate::{Answer, ClientError, Element, ServiceError};

/// How long a call may take. Making a cluster's signing key is the longest.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LARGEST_ANSWER: usize = 64 << 20;

/// The services that speak AWS's Query protocol here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueryService {
    /// IAM.
    Iam,
    /// STS.
    Sts,
}

impl QueryService {
    fn signing_name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }
}

/// A client of one endpoint with one set of credentials. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    connections: Connections,
    region: String,
    keys: Keys,
    deadline: Duration,
    retries: Option<Retries>,
    server: Server,
    account: Arc<OnceLock<AccountId>>,
}

/// What is sent, before it is signed.
pub(crate) struct Call<'a> {
    pub(crate) operation: String,
    /// What it is about, for its reader.
    pub(crate) resource: Option<String>,
    /// The service's signing name.
    pub(crate) service: &'a str,
    pub(crate) method: Method,
    /// Encoded, beginning with a slash.
    pub(crate) path: &'a str,
    /// Encoded, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Client {
    /// A client that signs with `credentials` for `region`. It sends each call once, over a connection of its own.
    ///
    /// # Errors
    /// An endpoint that is no `http` or `https` URL of a host.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> Result<Self, ClientError> {
        Ok(Self {
            keys: Keys::Fixed(credentials),
            ..Self::anonymous(endpoint, region)?
        })
    }

    /// A client that signs nothing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn anonymous(endpoint: &str, region: &str) -> Result<Self, ClientError> {
        Ok(Self {
            connections: Connections::new(endpoint.parse()?, None, None, false),
            region: region.to_owned(),
            keys: Keys::Nobody,
            deadline: DEADLINE,
            retries: None,
            server: Server::Own,
            account: Arc::default(),
        })
    }

    /// Trusts the certificate authorities of a PEM file instead of this machine's.
    ///
    /// # Errors
    /// A file that can't be read or holds no certificates.
    pub fn with_ca(self, file: &Path) -> Result<Self, ClientError> {
        let trust = Trust::new(Some(file))?;
        Ok(Self {
            connections: Connections::new(
                self.connections.endpoint().clone(),
                Some(trust),
                self.connections.proxy().cloned(),
                self.connections.keeps(),
            ),
            ..self
        })
    }

    /// Waits for each answer no longer than this.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Tries calls again whose failure may pass, and keeps connections for later calls. A call that was tried again may
    /// have been carried out twice, so this is for calls that it does not harm.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self {
            connections: Connections::new(
                self.connections.endpoint().clone(),
                self.connections.trust().cloned(),
                self.connections.proxy().cloned(),
                true,
            ),
            retries: Some(retries),
            ..self
        }
    }

    pub(crate) fn with_proxy(self, proxy: Option<Proxy>) -> Self {
        Self {
            connections: Connections::new(
                self.connections.endpoint().clone(),
                self.connections.trust().cloned(),
                proxy,
                self.connections.keeps(),
            ),
            ..self
        }
    }

    pub(crate) fn with_keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    /// Says whom refusals come from and where the account is remembered that they name.
    pub(crate) fn named(self, server: Server, account: Arc<OnceLock<AccountId>>) -> Self {
        Self {
            server,
            account,
            ..self
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.connections.endpoint()
    }

    /// What the server's clock shows, as far as is known.
    pub(crate) fn now(&self) -> SystemTime {
        self.connections.now()
    }

    /// An answer of the server's that is not what the protocol says.
    pub(crate) fn unreadable(&self, reason: String) -> ClientError {
        ClientError::Unreadable {
            endpoint: self.endpoint().to_string(),
            reason,
        }
    }

    /// An operation of the Query protocol: the root of the answer.
    ///
    /// # Errors
    /// See [`ClientError`]; the service's own refusals are [`ClientError::Service`].
    pub async fn query(
        &self,
        service: QueryService,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Element, ClientError> {
        self.query_about(None, service, action, params).await
    }

    /// The same, about a thing that errors name.
    pub(crate) async fn query_about<N: AsRef<str>, V: AsRef<str>>(
        &self,
        resource: Option<String>,
        service: QueryService,
        action: &str,
        params: &[(N, V)],
    ) -> Result<Element, ClientError> {
        let body = {
            // Not to be held across an await: it can't go to another thread.
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", action)
                .append_pair("Version", service.version());
            for (name, value) in params {
                form.append_pair(name.as_ref(), value.as_ref());
            }
            form.finish()
        };
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let answer = self
            .call(Call {
                operation: action.to_owned(),
                resource,
                service: service.signing_name(),
                method: Method::POST,
                path: "/",
                query: "",
                headers: vec![(header::CONTENT_TYPE, content_type)],
                body: body.into(),
            })
            .await?;
        Element::parse(self.text(&answer)?).map_err(|error| ClientError::xml(self.connections.endpoint(), &error))
    }

    /// An operation of a REST-JSON service, such as `eks` and our own `irsa`; `path` is encoded already. An empty answer
    /// is `null`.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn json(
        &self,
        service: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let method = self.method(method)?;
        let operation = format!("{method} {path}");
        self.json_about(operation, None, service, method, path, body).await
    }

    /// The same, with the operation's own name, about a thing that errors name.
    pub(crate) async fn json_about(
        &self,
        operation: String,
        resource: Option<String>,
        service: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let mut headers = Vec::new();
        if body.is_some() {
            headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let answer = self
            .call(Call {
                operation,
                resource,
                service,
                method,
                path,
                query: "",
                headers,
                body: body.map(Value::to_string).unwrap_or_default().into(),
            })
            .await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|error| ClientError::Unreadable {
            endpoint: self.endpoint().to_string(),
            reason: error.to_string(),
        })
    }

    /// An operation of S3; `path` and `query` are encoded already ([`encode_path`]).
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn s3(&self, method: &str, path: &str, query: &str, body: Bytes) -> Result<Answer, ClientError> {
        let method = self.method(method)?;
        self.call(Call {
            operation: format!("{method} {path}"),
            resource: None,
            service: "s3",
            method,
            path,
            query,
            headers: Vec::new(),
            body,
        })
        .await
    }

    /// A document that everybody may read, such as an issuer's; never signed.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        let anonymous = Self {
            keys: Keys::Nobody,
            ..self.clone()
        };
        anonymous
            .call(Call {
                operation: format!("GET {path}"),
                resource: None,
                service: "",
                method: Method::GET,
                path,
                query: "",
                headers: Vec::new(),
                body: Bytes::new(),
            })
            .await
    }

    /// Sends a call until it succeeds, fails for good, or was tried as often as is allowed.
    async fn call(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let mut started = None;
        let (mut attempt, mut renewed, mut moved) = (1, false, false);
        loop {
            // Whoever waits for a turn has not begun, so that neither time nor signature runs out meanwhile.
            let turn = self.connections.turn().await;
            let started = *started.get_or_insert_with(Instant::now);
            let credentials = self.keys.credentials().await?;
            let (error, headers) = match self.attempt(turn, &call, credentials.as_ref()).await {
                Ok(answer) => {
                    self.connections.took(false);
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            self.connections.took(error.is_throttled());
            let Some(retries) = &self.retries else {
                return Err(error);
            };
            if let Some(service) = error.service() {
                let used = credentials.as_ref().map_or("", Credentials::access_key_id);
                if !renewed && service.is_expired() && self.keys.refused(used) {
                    renewed = true;
                    continue;
                }
                if !moved && service.is_of_another_time() && self.connections.set_clock(&headers) {
                    moved = true;
                    continue;
                }
            }
            let wait = passing(&error).and_then(|passing| {
                let asked = headers.get(header::RETRY_AFTER);
                let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                retries.wait(
                    passing,
                    attempt,
                    self.connections.has_answered(),
                    started.elapsed(),
                    asked.map(Duration::from_secs),
                    fastrand::f64(),
                )
            });
            let Some(wait) = wait else {
                return Err(error);
            };
            debug!(operation = %call.operation, attempt, ?wait, %error, "trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Sends a call once. A failure comes with the headers of the answer, if there was one.
    async fn attempt(
        &self,
        turn: Turn<'_>,
        call: &Call<'_>,
        credentials: Option<&Credentials>,
    ) -> Result<Answer, (ClientError, HeaderMap)> {
        let unanswered = |error| (error, HeaderMap::new());
        let request = self.request(call, credentials).map_err(unanswered)?;
        let endpoint = self.connections.endpoint();
        let answer = self
            .connections
            .send(turn, request, LARGEST_ANSWER, self.deadline)
            .await
            .map_err(|_| {
                unanswered(ClientError::Deadline {
                    endpoint: endpoint.to_string(),
                    seconds: self.deadline.as_secs(),
                })
            })?
            .map_err(|failed| unanswered(failed.error(endpoint, &call.operation)))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let refusal = ServiceError {
            resource: call.resource.clone(),
            account: self.account.get().copied(),
            server: self.server,
            ..answer.refusal(&call.operation)
        };
        Err((refusal.into(), answer.headers))
    }

    /// The signed request in origin form.
    fn request(&self, call: &Call<'_>, credentials: Option<&Credentials>) -> Result<Request<Full<Bytes>>, ClientError> {
        let failed = |error: &dyn std::error::Error| ClientError::Request {
            reason: error.to_string(),
        };
        let target = if call.query.is_empty() {
            call.path.to_owned()
        } else {
            format!("{}?{}", call.path, call.query)
        };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&target)
            .header(header::HOST, self.connections.endpoint().authority())
            .header(header::USER_AGENT, concat!("irsa/", env!("CARGO_PKG_VERSION")))
            .body(call.body.clone())
            .map_err(|error| failed(&error))?;
        request.headers_mut().extend(call.headers.iter().cloned());
        if let Some(credentials) = credentials {
            let mut settings = SigningSettings::default();
            if call.service == "s3" {
                settings.percent_encoding_mode = PercentEncodingMode::Single;
                settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            }
            let identity = credentials.clone().into();
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(call.service)
                .time(self.connections.now())
                .settings(settings)
                .build()
                .map_err(|error| failed(&error))?
                .into();
            let headers: Vec<(&str, &str)> = request
                .headers()
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let url = format!("{}{target}", self.connections.endpoint());
            let signable = SignableRequest::new(
                request.method().as_str(),
                url,
                headers.into_iter(),
                SignableBody::Bytes(&call.body),
            )
            .map_err(|error| failed(&error))?;
            let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
            instructions.apply_to_request_http1x(&mut request);
        }
        Ok(request.map(Full::new))
    }

    fn method(&self, method: &str) -> Result<Method, ClientError> {
        method.parse().map_err(|_| ClientError::Request {
            reason: format!("`{method}` is no HTTP method"),
        })
    }

    fn text<'a>(&self, answer: &'a Answer) -> Result<&'a str, ClientError> {
        std::str::from_utf8(&answer.body).map_err(|_| ClientError::Unreadable {
            endpoint: self.endpoint().to_string(),
            reason: "it is not UTF-8".to_owned(),
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", self.connections.endpoint())
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// SigV4's unreserved characters stay, and slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Percent-encodes a path, such as `/bucket/` and a key, as S3's signatures want it; slashes stay.
#[must_use]
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests;
