use irsa_core::Timestamp;

use crate::presented::Location;

/// Why a request's signature is not accepted. Nothing here holds a signature, a token or a secret.
///
/// The variants carry what AWS's wire texts need; the wire codes are chosen by each service.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigV4Error {
    /// An `Authorization` header and signature parameters in the query: which of them counts would be a guess.
    #[error("the request is signed both in the Authorization header and in the query")]
    HeaderAndQuery,
    /// The `Authorization` header is of another kind, such as `Bearer`.
    #[error("the authorization type is not supported")]
    UnsupportedScheme,
    /// Signature Version 2 or older, in the header or in the query.
    #[error("signature version 2 is not supported, use AWS4-HMAC-SHA256")]
    SignatureV2,
    /// The asymmetric Signature Version 4A.
    #[error("signature version 4a is not supported, use AWS4-HMAC-SHA256")]
    SignatureV4a,
    /// Another algorithm of the AWS4 family, or something made up.
    #[error("the signing algorithm `{algorithm}` is not supported, use AWS4-HMAC-SHA256")]
    UnsupportedAlgorithm {
        /// The algorithm as sent, cut to a readable length.
        algorithm: String,
    },
    /// The `Authorization` header is no list of `Name=value`, or has a part twice or an unknown one.
    #[error("the Authorization header is malformed: {reason}")]
    MalformedAuthorization {
        /// What is wrong.
        reason: &'static str,
    },
    /// Parts are missing.
    #[error("the signature is incomplete, missing: {}", list(.missing))]
    Incomplete {
        /// Where the other parts were found.
        location: LocationKind,
        /// What is not there, in AWS's order.
        missing: Vec<Missing>,
    },
    /// A query parameter of the signature occurs more than once.
    #[error("the query parameter {name} occurs more than once")]
    DuplicateParameter {
        /// The parameter.
        name: &'static str,
    },
    /// A header that must be single occurs more than once.
    #[error("the header {name} occurs more than once")]
    DuplicateHeader {
        /// The header.
        name: &'static str,
    },
    /// A query parameter of the signature is not UTF-8 after decoding, or a header is not printable ASCII.
    #[error("the value of {name} cannot be read")]
    UnreadableValue {
        /// The parameter or header.
        name: &'static str,
    },
    /// The session token was sent both as header and as query parameter.
    #[error("the session token is given twice, as header and as query parameter")]
    TwoSessionTokens,
    /// Not `access-key-id/date/region/service/aws4_request`.
    #[error(
        "the credential must have exactly five elements, access-key-id/date/region/service/aws4_request, got `{found}`"
    )]
    MalformedCredential {
        /// The credential as sent, cut to a readable length.
        found: String,
    },
    /// The date of the request cannot be read.
    #[error("the date `{found}` is not of the form 20260102T030405Z")]
    MalformedDate {
        /// The date as sent, cut to a readable length.
        found: String,
    },
    /// `X-Amz-Expires` is not an integer from 1 to 604800.
    #[error("X-Amz-Expires is not a number of seconds from 1 to 604800: `{found}`")]
    MalformedExpires {
        /// What exactly is wrong, since S3 has a text for each.
        fault: ExpiresFault,
        /// The value as sent, cut to a readable length.
        found: String,
    },
    /// The list of signed headers is empty, unsorted, not lower-case, or names a header twice.
    #[error("the list of signed headers is malformed: {reason}")]
    MalformedSignedHeaders {
        /// What is wrong.
        reason: &'static str,
    },
    /// `x-amz-content-sha256` is neither a SHA-256 in lower-case hex nor one of the known words, or is given twice.
    #[error("x-amz-content-sha256 is not valid: `{found}`")]
    MalformedContentSha256 {
        /// The value as sent, cut to a readable length.
        found: String,
    },
    /// The last element of the scope.
    #[error("the credential must be scoped with the terminator `aws4_request`, not `{found}`")]
    ScopeTerminator {
        /// The terminator as sent, cut to a readable length.
        found: String,
    },
    /// The date of the scope is another day than that of the request.
    #[error("the date in the credential scope `{scope}` is not the date of the request `{request}`")]
    ScopeDate {
        /// The scope's date, `YYYYMMDD`, as sent, cut to a readable length.
        scope: String,
        /// The request's date as it is signed, `YYYYMMDDTHHMMSSZ`.
        request: String,
    },
    /// Signed for another region.
    #[error("the credential is scoped to the region `{found}`, which is not served here")]
    ScopeRegion {
        /// The region as sent, cut to a readable length.
        found: String,
        /// The regions that are served.
        expected: Vec<String>,
    },
    /// Signed for another service.
    #[error("the credential is scoped to the service `{found}`, but `{expected}` is needed")]
    ScopeService {
        /// The service as sent, cut to a readable length.
        found: String,
        /// The service that was called.
        expected: String,
    },
    /// `host` is not among the signed headers.
    #[error("the host header is not signed")]
    HostNotSigned,
    /// The header that gives the date is not among the signed headers.
    #[error("the {header} header is not signed")]
    DateNotSigned {
        /// `x-amz-date` or `date`.
        header: &'static str,
    },
    /// The request has `x-amz-*` headers that the signature does not cover: anyone could have added them.
    #[error("there are headers in the request which were not signed: {}", .names.join(", "))]
    UnsignedHeaders {
        /// The headers, sorted.
        names: Vec<String>,
    },
    /// A header is named as signed, but the request has none of that name.
    #[error("the signed header `{name}` is not in the request")]
    SignedHeaderAbsent {
        /// The header, cut to a readable length.
        name: String,
    },
    /// The request was signed too long ago.
    #[error("the request was signed at {}, which is too long before now, {}", .signed_at.basic(), .now.basic())]
    TooOld {
        /// The request's date.
        signed_at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
        /// The allowed difference.
        max_skew_seconds: i64,
    },
    /// The request's date, in a header or presigned, lies too far in the future.
    #[error("the request is signed for {}, which is too long after now, {}", .signed_at.basic(), .now.basic())]
    NotYetCurrent {
        /// The request's date.
        signed_at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
        /// The allowed difference.
        max_skew_seconds: i64,
    },
    /// A presigned request that has ended.
    #[error("the presigned request expired at {}, and now is {}", .expires_at.basic(), .now.basic())]
    Expired {
        /// The request's date.
        signed_at: Timestamp,
        /// `X-Amz-Expires` as sent.
        expires_seconds: u32,
        /// When the request ended.
        expires_at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// Presigned requests are not taken here.
    #[error("presigned requests are not allowed here")]
    PresignedNotAllowed,
    /// This service needs a signed body: `UNSIGNED-PAYLOAD` and `STREAMING-…` are not taken.
    #[error("a payload that is not hashed as a whole is not allowed here")]
    PayloadNotAllowed,
    /// S3 wants `x-amz-content-sha256` in every request that is signed in the header.
    #[error("the header x-amz-content-sha256 is missing")]
    ContentSha256Missing,
    /// The verifier's own fault: the hash of the body is needed for this request and was not given.
    #[error("the body was not hashed")]
    BodyNotHashed,
    /// The body is not the one that was declared.
    #[error("x-amz-content-sha256 does not match the body")]
    PayloadMismatch {
        /// The hash in `x-amz-content-sha256`.
        declared: [u8; 32],
        /// The hash of the body.
        computed: [u8; 32],
    },
    /// The signature is wrong: another secret, or a request that was changed.
    #[error("the signature does not match the request")]
    SignatureMismatch,
}

/// Where a signature was found, as part of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LocationKind {
    /// In the `Authorization` header.
    Header,
    /// In the query.
    Query,
}

impl From<Location> for LocationKind {
    fn from(location: Location) -> Self {
        match location {
            Location::Header => Self::Header,
            Location::Query { .. } => Self::Query,
        }
    }
}

/// A part of a signature that is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// `X-Amz-Algorithm`; in the header the algorithm is what makes it a signature.
    Algorithm,
    /// `Credential` or `X-Amz-Credential`.
    Credential,
    /// `Signature` or `X-Amz-Signature`.
    Signature,
    /// `SignedHeaders` or `X-Amz-SignedHeaders`.
    SignedHeaders,
    /// The header `x-amz-date` or `date`, or the parameter `X-Amz-Date`.
    Date,
    /// `X-Amz-Expires`.
    Expires,
}

impl Missing {
    /// The part's name as in the `Authorization` header; in the query `X-Amz-` comes before it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Algorithm => "Algorithm",
            Self::Credential => "Credential",
            Self::Signature => "Signature",
            Self::SignedHeaders => "SignedHeaders",
            Self::Date => "Date",
            Self::Expires => "Expires",
        }
    }
}

/// What is wrong with `X-Amz-Expires`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExpiresFault {
    /// Not an integer.
    NotANumber,
    /// Zero, which ends before it begins.
    Zero,
    /// Below zero.
    Negative,
    /// More than a week.
    TooLong,
}

/// User input for a message: at most 128 characters, control characters replaced.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

fn list(missing: &[Missing]) -> String {
    let names: Vec<&str> = missing.iter().map(|part| part.name()).collect();
    names.join(", ")
}
