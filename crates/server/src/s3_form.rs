//! Uploads by a browser's form: the signature is over the policy document among its fields, and what remains is a plain upload.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use irsa_core::Timestamp;
use irsa_iam::Caller;
use irsa_s3::{Body, BodyError, BoxError, FormFile, FormReader, FormRequest, FormUpload, PostPolicy, S3Refusal};
use irsa_sigv4::{Scope, SigV4Error};
use irsa_wire::{Service, WireError};

use crate::authenticate::{AuthenticationError, authenticate_form};
use crate::body::{TimelyBody, full};
use crate::pipeline::Pipeline;
use crate::snapshot::Snapshot;

/// A form whose fields are read and whose signature is right, if it has one.
pub(crate) struct Form {
    /// `None`: it is not signed.
    pub(crate) caller: Option<Caller>,
    /// The region that it was signed for.
    pub(crate) region: Option<String>,
    /// The upload that it means.
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    pub(crate) reply: Reply,
}

/// How a form wants to be answered.
pub(crate) struct Reply {
    request: FormRequest,
    bucket: String,
    /// Where the bucket is, as the browser knows it.
    address: String,
}

/// A form that is refused, and the key that it names.
pub(crate) struct Refused {
    pub(crate) error: WireError,
    pub(crate) key: Option<String>,
}

impl From<S3Refusal> for Refused {
    fn from(refusal: S3Refusal) -> Self {
        Self {
            error: WireError {
                code: refusal.code.into(),
                status: refusal.status,
                message: refusal.message,
                reason: None,
            },
            key: None,
        }
    }
}

impl Form {
    /// Reads a form up to its file.
    pub(crate) async fn read(
        pipeline: &Pipeline,
        snapshot: &Snapshot,
        parts: &Parts,
        boundary: &str,
        mut body: TimelyBody,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let Some(bucket) = pipeline.front.whole_bucket(parts) else {
            return Err(refused(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ));
        };
        // There the length of the file would have to be known before it comes.
        if pipeline.s3_upstreams.owner(&bucket).is_some() {
            return Err(refused(
                501,
                "NotImplemented",
                "Browser-based uploads to buckets of another S3 store are not implemented.",
            ));
        }
        let mut reader = FormReader::new(boundary);
        loop {
            let Some(frame) = body.frame().await else {
                return Err(refused(
                    400,
                    "MalformedPOSTRequest",
                    "The body of your POST request is not well-formed multipart/form-data.",
                ));
            };
            let frame = frame.map_err(|_| {
                refused(
                    400,
                    "IncompleteBody",
                    "You did not provide the number of bytes specified by the Content-Length HTTP header",
                )
            })?;
            if let Ok(bytes) = frame.into_data()
                && reader.push(&bytes)?
            {
                break;
            }
        }
        let signer = Signer::of(reader.fields());
        let named = signer
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map(|signer| signer.key.to_owned());
        let refused = |error: AuthenticationError| Refused {
            error: error.wire(Service::S3),
            key: named.clone(),
        };
        let (mut caller, mut region, mut sizes) = (None, None, (0, u64::MAX));
        if let Some(signer) = signer? {
            caller = Some(signer.verify(snapshot, now).map_err(refused)?);
            region = Some(signer.scope.region.to_owned());
            let policy = PostPolicy::parse(signer.policy)?;
            policy.check(reader.fields(), &bucket, reader.filename(), now)?;
            sizes = policy.sizes();
        }
        let request = FormRequest::read(reader.fields(), &bucket, reader.filename())?;
        let (mut upload, ()) = http::Request::new(()).into_parts();
        upload.method = Method::PUT;
        upload.uri = request.uri.clone();
        upload.headers = request.headers.clone();
        // The bucket is in the path now, whatever the host name was.
        upload
            .headers
            .insert(header::HOST, HeaderValue::from_static("127.0.0.1"));
        if let Some(origin) = parts.headers.get(header::ORIGIN) {
            upload.headers.insert(header::ORIGIN, origin.clone());
        }
        upload.extensions = parts.extensions.clone();
        upload.extensions.insert(FormUpload);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = parts.uri.path().trim_end_matches('/');
        Ok(Self {
            caller,
            region,
            parts: upload,
            body: FileBody {
                inner: body,
                reader,
                sizes,
                seen: 0,
            }
            .boxed_unsync(),
            reply: Reply {
                address: format!("http://{}{path}", host.unwrap_or("localhost")),
                request,
                bucket,
            },
        })
    }
}

/// The fields of a signature.
struct Signer<'f> {
    key: &'f str,
    scope: Scope<'f>,
    date: &'f str,
    token: Option<&'f str>,
    policy: &'f str,
    signature: &'f str,
}

impl<'f> Signer<'f> {
    /// `None`: the form has none of them.
    fn of(fields: &'f [(String, String)]) -> Result<Option<Self>, Refused> {
        let field = |name: &str| {
            let (_, value) = fields.iter().find(|(known, _)| known == name)?;
            Some(value.as_str())
        };
        let error = |error: SigV4Error| Refused {
            error: AuthenticationError::Signature(error).wire(Service::S3),
            key: None,
        };
        if field("signature").is_some() || field("awsaccesskeyid").is_some() {
            return Err(error(SigV4Error::SignatureV2));
        }
        const NAMES: [&str; 5] = [
            "policy",
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Signature",
        ];
        let given = NAMES.map(|name| field(&name.to_ascii_lowercase()));
        let token = field("x-amz-security-token");
        if given.iter().all(Option::is_none) && token.is_none() {
            return Ok(None);
        }
        if let Some((name, _)) = NAMES.iter().zip(given).find(|(_, value)| value.is_none()) {
            return Err(refused(
                400,
                "InvalidArgument",
                format!(
                    "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
                ),
            ));
        }
        let [policy, algorithm, credential, date, signature] = given.map(Option::unwrap_or_default);
        if algorithm != "AWS4-HMAC-SHA256" {
            return Err(error(SigV4Error::UnsupportedScheme));
        }
        let elements: Vec<&str> = credential.split('/').collect();
        let [key, day, region, "s3", "aws4_request"] = elements.as_slice() else {
            return Err(error(SigV4Error::MalformedCredential {
                found: credential.chars().take(64).collect(),
            }));
        };
        Ok(Some(Self {
            key,
            scope: Scope {
                date: day,
                region,
                service: "s3",
            },
            date,
            token,
            policy,
            signature,
        }))
    }

    fn verify(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Caller, AuthenticationError> {
        /// How long a signing key is good for, and how far clocks may be apart.
        const LIFETIME: i64 = 7 * 24 * 3600;
        const SKEW: i64 = 15 * 60;
        let malformed = || {
            AuthenticationError::Signature(SigV4Error::MalformedCredential {
                found: self.date.chars().take(64).collect(),
            })
        };
        let signed = Timestamp::parse_basic(self.date).ok_or_else(malformed)?;
        if !self.date.starts_with(self.scope.date) || self.scope.date.len() != 8 {
            return Err(malformed());
        }
        let caller = authenticate_form(
            snapshot,
            self.key,
            self.token,
            &self.scope,
            (self.policy, self.signature),
            now,
        )?;
        let expires_at = signed.plus_seconds(LIFETIME);
        if now > expires_at || signed > now.plus_seconds(SKEW) {
            return Err(AuthenticationError::Signature(SigV4Error::Expired {
                signed_at: signed,
                expires_seconds: LIFETIME.unsigned_abs().try_into().unwrap_or(u32::MAX),
                expires_at,
                now,
            }));
        }
        Ok(caller)
    }
}

/// The file of a form, as it comes.
struct FileBody {
    inner: TimelyBody,
    reader: FormReader,
    /// The least and the greatest size.
    sizes: (u64, u64),
    seen: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let fail = |code: &str, message: &str| {
            Poll::Ready(Some(Err(Box::new(BodyError {
                code: code.to_owned(),
                message: message.to_owned(),
            }) as BoxError)))
        };
        loop {
            match self.reader.file() {
                FormFile::Bytes(bytes) => {
                    self.seen = self.seen.saturating_add(bytes.len() as u64);
                    if self.seen > self.sizes.1 {
                        return fail(
                            "EntityTooLarge",
                            "Your proposed upload exceeds the maximum allowed size",
                        );
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                FormFile::End if self.seen < self.sizes.0 => {
                    return fail(
                        "EntityTooSmall",
                        "Your proposed upload is smaller than the minimum allowed size",
                    );
                }
                FormFile::End => return Poll::Ready(None),
                FormFile::Malformed => {
                    return fail(
                        "MalformedPOSTRequest",
                        "The body of your POST request is not well-formed multipart/form-data.",
                    );
                }
                FormFile::Wait => match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                    None => {
                        return fail(
                            "IncompleteBody",
                            "You did not provide the number of bytes specified by the Content-Length HTTP header",
                        );
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Some(Ok(frame)) => {
                        if let Ok(bytes) = frame.into_data()
                            && let Err(refusal) = self.reader.push(&bytes)
                        {
                            return fail(&refusal.code, &refusal.message);
                        }
                    }
                },
            }
        }
    }
}

impl Reply {
    /// Makes the answer to a form of that to its upload.
    pub(crate) fn shape(&self, response: &mut Response<Body>) {
        if response.status() != StatusCode::OK {
            return;
        }
        let etag = response
            .headers()
            .get(header::ETAG)
            .and_then(|etag| etag.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let path = self.request.uri.path();
        // The bucket is in the address already.
        let key = path.get(self.bucket.len().saturating_add(1)..).unwrap_or_default();
        let location = format!("{}{key}", self.address);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        if let Some(to) = self.request.redirect_to(&self.bucket, &etag) {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, to);
            return;
        }
        *response.status_mut() = StatusCode::from_u16(self.request.status).unwrap_or(StatusCode::NO_CONTENT);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if self.request.status == 201 {
            let document = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag></PostResponse>",
                escape(&location),
                escape(&self.bucket),
                escape(&self.request.key),
                escape(&etag),
            );
            let xml = HeaderValue::from_static("application/xml");
            response.headers_mut().insert(header::CONTENT_TYPE, xml);
            *response.body_mut() = full(document);
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if u32::from(control) < 0x20 => escaped.push_str(&format!("&#x{:x};", u32::from(control))),
            other => escaped.push(other),
        }
    }
    escaped
}

fn refused(status: u16, code: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        error: WireError::new(code, status, message),
        key: None,
    }
}
