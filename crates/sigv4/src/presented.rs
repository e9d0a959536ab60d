use std::borrow::Cow;
use std::cmp::Ordering;

use http::HeaderMap;
use irsa_core::Timestamp;

use crate::authorization::{HeaderParts, QueryParts};
use crate::canonical::canonical_headers;
use crate::date::parse_date_header;
use crate::error::{ExpiresFault, LocationKind, Missing, SigV4Error, excerpt};
use crate::key::{Signature, TERMINATOR, parse_hex32};

/// The longest life that a presigned request can ask for: a week.
pub(crate) const MAX_EXPIRES_SECONDS: u32 = 604_800;

/// A request without its body, as it came over the wire.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The path, still encoded.
    pub path: &'a str,
    /// The query, still encoded, without the question mark; empty if there is none.
    pub query: &'a str,
    /// The headers, `host` among them.
    pub headers: &'a HeaderMap,
}

/// Reads the signature that a request presents, in the `Authorization` header or in the query; `None` if there is none
/// in either, which makes the request an anonymous one.
///
/// What comes back is well-formed, and covers `host`, the date, every `x-amz-*` header and the whole query; it is
/// verified by nothing yet.
///
/// # Errors
/// If the request claims to be signed but not in a way that can be verified.
pub fn presented<'a>(head: &RequestHead<'a>) -> Result<Option<Presented<'a>>, SigV4Error> {
    let query = QueryParts::find(head.query)?;
    let authorization = single(head.headers, "authorization")?;
    match (authorization, query.signs()) {
        (None, false) => Ok(None),
        (Some(_), true) => Err(SigV4Error::HeaderAndQuery),
        (Some(value), false) => Presented::from_header(*head, value).map(Some),
        (None, true) => Presented::from_query(*head, query).map(Some),
    }
}

/// The signature that a request presents: well-formed, but not verified.
pub struct Presented<'a> {
    pub(crate) head: RequestHead<'a>,
    /// `access-key-id/date/region/service/aws4_request`.
    credential: Cow<'a, str>,
    pub(crate) signed_headers: Cow<'a, str>,
    pub(crate) canonical_headers: Vec<u8>,
    /// `None`: not even of the form of a signature.
    pub(crate) signature: Option<Signature>,
    /// The date as it was signed.
    pub(crate) date: Cow<'a, str>,
    timestamp: Timestamp,
    location: Location,
    payload: Payload,
    session_token: Option<Cow<'a, str>>,
}

impl<'a> Presented<'a> {
    fn from_header(head: RequestHead<'a>, value: &'a str) -> Result<Self, SigV4Error> {
        let parts = HeaderParts::read(value)?;
        let x_amz_date = single(head.headers, "x-amz-date")?;
        let date = match x_amz_date {
            Some(value) => Some(("x-amz-date", value)),
            None => single(head.headers, "date")?.map(|value| ("date", value)),
        };
        let (Some(credential), Some(signature), Some(signed_headers), Some((date_header, date))) =
            (parts.credential, parts.signature, parts.signed_headers, date)
        else {
            return Err(SigV4Error::Incomplete {
                location: LocationKind::Header,
                missing: [
                    (parts.credential.is_none(), Missing::Credential),
                    (parts.signature.is_none(), Missing::Signature),
                    (parts.signed_headers.is_none(), Missing::SignedHeaders),
                    (date.is_none(), Missing::Date),
                ]
                .into_iter()
                .filter_map(|(missing, part)| missing.then_some(part))
                .collect(),
            });
        };
        let malformed_date = || SigV4Error::MalformedDate { found: excerpt(date) };
        let (timestamp, date) = if date_header == "date" {
            let timestamp = parse_date_header(date).ok_or_else(malformed_date)?;
            (timestamp, Cow::Owned(timestamp.basic()))
        } else {
            (
                Timestamp::parse_basic(date).ok_or_else(malformed_date)?,
                Cow::Borrowed(date),
            )
        };
        check_credential(credential, &date)?;
        let canonical_headers = check_signed_headers(head.headers, signed_headers, Some(date_header))?;
        Ok(Self {
            head,
            canonical_headers,
            credential: Cow::Borrowed(credential),
            signed_headers: Cow::Borrowed(signed_headers),
            signature: Signature::parse(signature.as_bytes()),
            date,
            timestamp,
            location: Location::Header,
            payload: Payload::of(single(head.headers, "x-amz-content-sha256")?, None)?,
            session_token: single(head.headers, "x-amz-security-token")?.map(Cow::Borrowed),
        })
    }

    fn from_query(head: RequestHead<'a>, parts: QueryParts<'a>) -> Result<Self, SigV4Error> {
        parts.check_algorithm()?;
        let (Some(_), Some(credential), Some(signature), Some(date), Some(signed_headers), Some(expires)) = (
            &parts.algorithm,
            &parts.credential,
            &parts.signature,
            &parts.date,
            &parts.signed_headers,
            &parts.expires,
        ) else {
            return Err(SigV4Error::Incomplete {
                location: LocationKind::Query,
                missing: [
                    (parts.algorithm.is_none(), Missing::Algorithm),
                    (parts.credential.is_none(), Missing::Credential),
                    (parts.signature.is_none(), Missing::Signature),
                    (parts.date.is_none(), Missing::Date),
                    (parts.signed_headers.is_none(), Missing::SignedHeaders),
                    (parts.expires.is_none(), Missing::Expires),
                ]
                .into_iter()
                .filter_map(|(missing, part)| missing.then_some(part))
                .collect(),
            });
        };
        let timestamp =
            Timestamp::parse_basic(date).ok_or_else(|| SigV4Error::MalformedDate { found: excerpt(date) })?;
        let expires_seconds = parse_expires(expires)?;
        check_credential(credential, date)?;
        let canonical_headers = check_signed_headers(head.headers, signed_headers, None)?;
        let header_token = single(head.headers, "x-amz-security-token")?;
        if header_token.is_some() && parts.security_token.is_some() {
            return Err(SigV4Error::TwoSessionTokens);
        }
        let header_payload = single(head.headers, "x-amz-content-sha256")?;
        Ok(Self {
            signature: Signature::parse(signature.as_bytes()),
            payload: Payload::of(header_payload, parts.content_sha256.as_deref())?,
            head,
            canonical_headers,
            timestamp,
            location: Location::Query { expires_seconds },
            session_token: parts.security_token.or(header_token.map(Cow::Borrowed)),
            credential: parts.credential.unwrap_or_default(),
            signed_headers: parts.signed_headers.unwrap_or_default(),
            date: parts.date.unwrap_or_default(),
        })
    }

    /// The access key id: 1 to 128 letters, digits and underscores, not known to exist.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        self.element(0)
    }

    /// The scope of the credential; its date is the request's, its last element is right.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            date: self.element(1),
            region: self.element(2),
            service: self.element(3),
        }
    }

    /// `date/region/service/aws4_request`.
    pub(crate) fn scope_text(&self) -> &str {
        self.credential.split_once('/').map_or("", |(_, scope)| scope)
    }

    fn element(&self, index: usize) -> &str {
        self.credential.split('/').nth(index).unwrap_or_default()
    }

    /// The session token, from the header `x-amz-security-token` or the parameter of that name. It is part of what is
    /// signed; a token that was added afterwards makes another request of it.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// When the request says that it was signed.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Where the signature stands.
    #[must_use]
    pub fn location(&self) -> Location {
        self.location
    }

    /// What the request declares about its body.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }
}

/// A credential scope without its terminator.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Scope<'a> {
    /// The day, `YYYYMMDD`.
    pub date: &'a str,
    /// The region.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Location {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned request.
    Query {
        /// How long it lives, in seconds, 1 to 604800.
        expires_seconds: u32,
    },
}

/// What a request declares about its body, by `x-amz-content-sha256`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payload {
    /// The body's SHA-256.
    Sha256([u8; 32]),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// Nothing is declared.
    Absent,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: signed chunks.
    StreamingSigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: signed chunks and a signed trailer.
    StreamingSignedTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, and a trailer with a checksum.
    StreamingUnsignedTrailer,
}

impl Payload {
    /// What the headers of a request declare, whether or not it is signed.
    ///
    /// # Errors
    /// If the header comes twice or is none of the forms.
    pub fn declared(headers: &HeaderMap) -> Result<Self, SigV4Error> {
        Self::of(single(headers, "x-amz-content-sha256")?, None)
    }

    fn of(header: Option<&str>, parameter: Option<&str>) -> Result<Self, SigV4Error> {
        let text = match (header, parameter) {
            (Some(header), Some(parameter)) if header != parameter => {
                return Err(SigV4Error::MalformedContentSha256 {
                    found: excerpt(parameter),
                });
            }
            (header, parameter) => header.or(parameter),
        };
        let Some(text) = text else {
            return Ok(Self::Absent);
        };
        Self::WORDS
            .into_iter()
            .find_map(|(payload, word)| (word == text).then_some(payload))
            .or_else(|| parse_hex32(text.as_bytes()).map(Self::Sha256))
            .ok_or_else(|| SigV4Error::MalformedContentSha256 { found: excerpt(text) })
    }

    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>.
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Unsigned, "UNSIGNED-PAYLOAD"),
        (Self::StreamingSigned, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        (
            Self::StreamingSignedTrailer,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        ),
        (Self::StreamingUnsignedTrailer, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ];

    /// The word in the canonical request for a payload that is not a hash; `None` for the hash and for nothing.
    pub(crate) fn word(self) -> Option<&'static str> {
        Self::WORDS
            .into_iter()
            .find_map(|(payload, word)| (payload == self).then_some(word))
    }

    /// Whether the body comes in aws-chunked encoding.
    #[must_use]
    pub fn is_streaming(self) -> bool {
        match self {
            Self::StreamingSigned | Self::StreamingSignedTrailer | Self::StreamingUnsignedTrailer => true,
            Self::Sha256(_) | Self::Unsigned | Self::Absent => false,
        }
    }
}

/// The one value of a header that must not occur twice.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, SigV4Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(SigV4Error::DuplicateHeader { name });
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| SigV4Error::UnreadableValue { name })
}

fn check_credential(credential: &str, date: &str) -> Result<(), SigV4Error> {
    let malformed = || SigV4Error::MalformedCredential {
        found: excerpt(credential),
    };
    let mut elements = credential.split('/');
    let (Some(key), Some(day), Some(region), Some(service), Some(terminator), None) = (
        elements.next(),
        elements.next(),
        elements.next(),
        elements.next(),
        elements.next(),
        elements.next(),
    ) else {
        return Err(malformed());
    };
    let word = |text: &str, more: &[u8]| {
        (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if !word(key, b"_") || !word(region, b"-_.") || !word(service, b"-_.") {
        return Err(malformed());
    }
    if terminator != TERMINATOR {
        return Err(SigV4Error::ScopeTerminator {
            found: excerpt(terminator),
        });
    }
    if date.get(..8) != Some(day) {
        return Err(SigV4Error::ScopeDate {
            scope: excerpt(day),
            request: date.to_owned(),
        });
    }
    Ok(())
}

/// Checks that the list is sorted, lower-case and without repetition, that each header is in the request, that `host`
/// and the date are among them, and that no `x-amz-*` header is left out; returns the canonical headers.
fn check_signed_headers(
    headers: &HeaderMap,
    signed_headers: &str,
    date_header: Option<&'static str>,
) -> Result<Vec<u8>, SigV4Error> {
    let malformed = |reason| Err(SigV4Error::MalformedSignedHeaders { reason });
    if signed_headers.is_empty() {
        return malformed("it is empty");
    }
    let mut names: Vec<&str> = Vec::with_capacity(16);
    for name in signed_headers.split(';') {
        if name.is_empty() {
            return malformed("a name is empty");
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return malformed("a name is not in lower case");
        }
        match names.last().copied().unwrap_or_default().cmp(name) {
            Ordering::Less => names.push(name),
            Ordering::Equal => return malformed("a name is there twice"),
            Ordering::Greater => return malformed("the names are not sorted"),
        }
    }
    let is_signed = |name: &str| names.binary_search(&name).is_ok();
    if !is_signed("host") {
        return Err(SigV4Error::HostNotSigned);
    }
    if let Some(header) = date_header.filter(|header| !is_signed(header)) {
        return Err(SigV4Error::DateNotSigned { header });
    }
    let mut unsigned: Vec<String> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-") && !is_signed(name))
        .map(excerpt)
        .collect();
    if !unsigned.is_empty() {
        unsigned.sort_unstable();
        return Err(SigV4Error::UnsignedHeaders { names: unsigned });
    }
    // Two hosts would be joined in the canonical request, while a router looks at one of them.
    single(headers, "host")?;
    canonical_headers(headers, &names)
}

fn parse_expires(text: &str) -> Result<u32, SigV4Error> {
    let fault = |fault| SigV4Error::MalformedExpires {
        fault,
        found: excerpt(text),
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault(ExpiresFault::NotANumber));
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return Err(fault(ExpiresFault::Zero));
    }
    if digits.len() != text.len() {
        return Err(fault(ExpiresFault::Negative));
    }
    match digits.parse() {
        Ok(seconds) if seconds <= MAX_EXPIRES_SECONDS => Ok(seconds),
        _ => Err(fault(ExpiresFault::TooLong)),
    }
}
