use std::fmt;

use thiserror::Error;

/// Which of the two JSON objects of a token an error is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The JOSE header: the first segment.
    Header,
    /// The claims: the second segment.
    Payload,
    /// The third segment, which is not JSON.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is refused.
///
/// One variant a cause; what a caller of AWS may see of it is decided where the error is mapped. No variant carries token
/// text, so every message can go into a log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TokenError {
    // The text is not a JWS in compact form.
    /// More than [`MAX_TOKEN_LENGTH`](crate::MAX_TOKEN_LENGTH) bytes.
    #[error(
        "the token has {length} characters, more than {} are not accepted",
        crate::MAX_TOKEN_LENGTH
    )]
    TooLong {
        /// Length in bytes.
        length: usize,
    },
    /// Whitespace or a byte order mark before, after or inside of the token: usually a file with a line feed, or a log line.
    #[error("the token has stray bytes before, after or inside of it")]
    StrayBytes,
    /// Not three segments between two points: an access token, a JWE, or the JSON serialization.
    #[error("the token is not three segments separated by points")]
    NotCompact,
    /// A segment is not strict base64url.
    #[error("the {part} of the token is not base64url without padding")]
    Encoding {
        /// The segment.
        part: Part,
    },
    /// A segment is not one JSON object, or nests too deep, or holds text that is not Unicode.
    #[error("the {part} of the token is not a JSON object")]
    Json {
        /// The segment.
        part: Part,
    },
    /// A member name stands twice in one object, at any depth and in any spelling.
    #[error("the {part} of the token repeats a JSON member")]
    RepeatedMember {
        /// The segment.
        part: Part,
    },
    /// A header member is missing or not of the type that RFC 7515 gives it.
    #[error("the header member `{member}` of the token is missing or malformed")]
    HeaderMember {
        /// Name of the member.
        member: &'static str,
    },
    /// The header asks for a feature that we do not have: `crit`, `b64`, `zip`, `enc`, a nested token.
    #[error("the header member `{member}` of the token is not supported")]
    HeaderFeature {
        /// Name of the member.
        member: &'static str,
    },

    // The claims are not what they must be.
    /// A claim is absent that every token must have.
    #[error("the claim `{claim}` is missing")]
    MissingClaim {
        /// Name of the claim.
        claim: &'static str,
    },
    /// A claim has a JSON type that it must not have.
    #[error("the claim `{claim}` has the wrong type")]
    WrongType {
        /// Name of the claim.
        claim: &'static str,
    },
    /// `sub` is JSON null, which STS answers differently from every other wrong type.
    #[error("the claim `sub` is null")]
    NullSubject,
    /// `exp`, `nbf` or `iat` is not a JSON integer of seconds.
    #[error("the claim `{claim}` is not an integer of seconds")]
    InvalidTimestamp {
        /// Name of the claim.
        claim: &'static str,
    },
    /// `aud` is the empty string or the empty list.
    #[error("the claim `aud` is empty")]
    EmptyAudience,
    /// Several audiences and no `azp` that says which of them presents the token.
    #[error("the token has several audiences and no authorized party")]
    SeveralAudiences,
    /// The session tag claims are not in AWS's nested or flattened form.
    #[error("the session tags claim is malformed")]
    MalformedTags,
    /// The roles claim is neither a list nor a string.
    #[error("the roles claim is neither a list nor a string")]
    MalformedRoles,
    /// `kubernetes.io` names another service account than `sub`.
    #[error("the claims `sub` and `kubernetes.io` name different service accounts")]
    SubjectMismatch,

    // The signature does not hold.
    /// `alg` is not one of [`Algorithm`](crate::Algorithm).
    #[error("the signature algorithm of the token is not supported")]
    UnsupportedAlgorithm,
    /// No key of the set has the token's key id.
    #[error("the key set has no key with the key id of the token")]
    UnknownKey,
    /// The token names no key and the set does not have exactly one.
    #[error("the token has no key id and the key set does not have exactly one key")]
    KeyIdNeeded,
    /// The key that the token names was refused when the set was read.
    #[error("the key of the token cannot be used: {0}")]
    UnusableKey(JwkError),
    /// The key that the token names is of another type or curve than `alg` wants.
    #[error("the key of the token is not of the type that its algorithm wants")]
    KeyTypeMismatch,
    /// The signature is not one of this key over this token.
    #[error("the signature of the token is wrong")]
    BadSignature,

    // The time is not right.
    /// The token expired, tolerance included.
    #[error("the token expired: {current} is not before {expires}")]
    Expired {
        /// Now minus the tolerance, in seconds since 1970: the number that STS prints.
        current: i64,
        /// `exp`.
        expires: i64,
    },
    /// The token is not valid yet, tolerance included.
    #[error("the token is not valid yet: {current} is before {not_before}")]
    NotYetValid {
        /// Now plus the tolerance, in seconds since 1970: the number that STS prints.
        current: i64,
        /// `nbf`.
        not_before: i64,
    },
    /// The token was issued later than now, tolerance included.
    #[error("the token was issued in the future: {issued_at}")]
    IssuedInFuture {
        /// `iat`.
        issued_at: i64,
    },
    /// The token is valid for longer than the operator allows.
    #[error("the token is valid for {seconds} seconds, more than {limit} are not accepted")]
    LifetimeTooLong {
        /// `exp` minus `iat`.
        seconds: i64,
        /// The limit that was asked for.
        limit: i64,
    },
}

/// Why a whole key set is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum JwkSetError {
    /// More than [`MAX_SET_BYTES`](crate::MAX_SET_BYTES).
    #[error(
        "the key set has {length} bytes, more than {} are not accepted",
        crate::MAX_SET_BYTES
    )]
    TooLarge {
        /// Length in bytes.
        length: usize,
    },
    /// Not one JSON object, or something follows it, or it nests too deep.
    #[error("the key set is not a JSON object")]
    Json,
    /// A member name stands twice in one object.
    #[error("the key set repeats a JSON member")]
    RepeatedMember,
    /// There is no list `keys`.
    #[error("the key set has no list `keys`")]
    NoKeys,
    /// More than [`MAX_KEYS`](crate::MAX_KEYS) entries.
    #[error("the key set has {count} keys, more than {} are not accepted", crate::MAX_KEYS)]
    TooManyKeys {
        /// Number of entries.
        count: usize,
    },
    /// An entry carries private key material: whoever published it must replace the key.
    #[error("the key set publishes private key material")]
    PrivateKey,
}

/// Why one entry of a key set is not used. The other entries are.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum JwkError {
    /// The entry is not a JSON object.
    #[error("the entry is not an object")]
    NotAnObject,
    /// `kty` is neither `RSA` nor `EC`; `oct`, a shared secret, is among these.
    #[error("the key type is not supported")]
    KeyType,
    /// `kid` is missing, not a string, or longer than [`MAX_KEY_ID_LENGTH`](crate::MAX_KEY_ID_LENGTH).
    #[error("the key has no usable key id")]
    KeyId,
    /// `use` is not `sig`, or `key_ops` is there at all, which STS does not support.
    #[error("the key is not declared for signatures")]
    Usage,
    /// `alg` names an algorithm that this key cannot have or that we do not know.
    #[error("the key is declared for another algorithm")]
    DeclaredAlgorithm,
    /// A member of the key material is missing or not in its one allowed encoding.
    #[error("the key member `{member}` is missing or malformed")]
    Member {
        /// Name of the member.
        member: &'static str,
    },
    /// The modulus is shorter than 2048 or longer than 8192 bits.
    #[error("the modulus has {bits} bits, accepted are 2048 to 8192")]
    ModulusSize {
        /// Length of the modulus.
        bits: usize,
    },
    /// The exponent is even, below 3 or above 33 bits, or the modulus is even.
    #[error("the numbers are not those of an RSA key")]
    RsaNumbers,
    /// The modulus was made by a generator whose keys can be factored (CVE-2017-15361).
    #[error("the modulus has the ROCA weakness")]
    Roca,
    /// The point is not on the curve.
    #[error("the point is not on the curve")]
    Point,
    /// `crv` is none of P-256, P-384, P-521.
    #[error("the curve is not supported")]
    Curve,
    /// The certificate in `x5c` cannot be read or holds another key.
    #[error("the certificate of the key does not match it")]
    Certificate,
    /// The set has more keys of this type than STS accepts, so none of the type is used.
    #[error("the key set has more than {} keys of this type", crate::MAX_KEYS_PER_TYPE)]
    TooManyOfType,
}

/// Why a key cannot be made, read or used for signing. The cause is not told apart: it would speak about secrets.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SignError {
    /// The key generator failed.
    #[error("the key could not be generated")]
    Generate,
    /// The PKCS#8 document is not a private key of that algorithm.
    #[error("the private key is not one of the algorithm `{algorithm}`")]
    Key {
        /// The algorithm that was asked for.
        algorithm: crate::Algorithm,
    },
    /// The claims are not a JSON object.
    #[error("the claims are not a JSON object")]
    Claims,
    /// The signature could not be computed.
    #[error("the token could not be signed")]
    Sign,
}
