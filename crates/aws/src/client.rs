use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use irsa_upstream::{Endpoint, Trust};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::connection::send;
use crate::{Answer, ClientError, Element};

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

/// A client of one endpoint with one set of credentials.
#[derive(Clone)]
pub struct Client {
    endpoint: Endpoint,
    region: String,
    credentials: Option<Credentials>,
    trust: Option<Trust>,
    deadline: Duration,
}

/// What is sent, before it is signed.
struct Call<'a> {
    operation: String,
    /// The service's signing name.
    service: &'a str,
    method: Method,
    /// Encoded, beginning with a slash.
    path: &'a str,
    /// Encoded, without the question mark.
    query: &'a str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Client {
    /// A client that signs with `credentials` for `region`.
    ///
    /// # Errors
    /// An endpoint that is no `http` or `https` URL of a host.
    pub fn new(endpoint: &str, region: &str, credentials: Credentials) -> Result<Self, ClientError> {
        Ok(Self {
            credentials: Some(credentials),
            ..Self::anonymous(endpoint, region)?
        })
    }

    /// A client that signs nothing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn anonymous(endpoint: &str, region: &str) -> Result<Self, ClientError> {
        Ok(Self {
            endpoint: endpoint.parse()?,
            region: region.to_owned(),
            credentials: None,
            trust: None,
            deadline: DEADLINE,
        })
    }

    /// Trusts the certificate authorities of a PEM file instead of this machine's.
    ///
    /// # Errors
    /// A file that can't be read or holds no certificates.
    pub fn with_ca(self, file: &Path) -> Result<Self, ClientError> {
        Ok(Self {
            trust: Some(Trust::new(Some(file))?),
            ..self
        })
    }

    /// Waits for each answer no longer than this.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
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
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", service.version());
        for (name, value) in params {
            form.append_pair(name, value);
        }
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let answer = self
            .call(Call {
                operation: action.to_owned(),
                service: service.signing_name(),
                method: Method::POST,
                path: "/",
                query: "",
                headers: vec![(header::CONTENT_TYPE, content_type)],
                body: form.finish().into(),
            })
            .await?;
        Element::parse(self.text(&answer)?).map_err(|error| ClientError::xml(&self.endpoint, &error))
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
        let mut headers = Vec::new();
        if body.is_some() {
            headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let answer = self
            .call(Call {
                operation: format!("{method} {path}"),
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
            endpoint: self.endpoint.to_string(),
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
            credentials: None,
            ..self.clone()
        };
        anonymous
            .call(Call {
                operation: format!("GET {path}"),
                service: "",
                method: Method::GET,
                path,
                query: "",
                headers: Vec::new(),
                body: Bytes::new(),
            })
            .await
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let operation = call.operation.clone();
        let request = self.request(call)?;
        let sending = send(&self.endpoint, self.trust.as_ref(), request, LARGEST_ANSWER);
        let answer = tokio::time::timeout(self.deadline, sending)
            .await
            .map_err(|_| ClientError::Deadline {
                endpoint: self.endpoint.to_string(),
                seconds: self.deadline.as_secs(),
            })??;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(answer.refusal(&operation).into())
        }
    }

    /// The signed request in origin form.
    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>, ClientError> {
        let failed = |error: &dyn std::error::Error| ClientError::Request {
            reason: error.to_string(),
        };
        let target = if call.query.is_empty() {
            call.path.to_owned()
        } else {
            format!("{}?{}", call.path, call.query)
        };
        let mut request = Request::builder()
            .method(call.method)
            .uri(&target)
            .header(header::HOST, self.endpoint.authority())
            .header(header::USER_AGENT, concat!("irsa/", env!("CARGO_PKG_VERSION")))
            .body(call.body.clone())
            .map_err(|error| failed(&error))?;
        request.headers_mut().extend(call.headers);
        if let Some(credentials) = &self.credentials {
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
                .time(SystemTime::now())
                .settings(settings)
                .build()
                .map_err(|error| failed(&error))?
                .into();
            let headers: Vec<(&str, &str)> = request
                .headers()
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let url = format!("{}{target}", self.endpoint);
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
            endpoint: self.endpoint.to_string(),
            reason: "it is not UTF-8".to_owned(),
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
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
