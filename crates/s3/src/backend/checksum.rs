//! Digests of uploads: the MD5 that is the ETag, and the checksum that the client sent or else CRC-64/NVME.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.

mod integrity;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use http::{HeaderMap, HeaderName};
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

use crate::access::error;
use crate::front::Arrival;
use crate::store::Digest;

pub use integrity::Integrity;

/// The checksum algorithms of S3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether checksums of pieces make the checksum of the whole.
    pub(super) fn is_linear(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// What the client says the content has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Claimed {
    md5: Option<[u8; 16]>,
    algorithm: Algorithm,
    value: Value,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Value {
    /// The client says nothing; the default algorithm is computed all the same.
    None,
    Given(String),
    /// It comes after the body.
    Trailer,
}

impl Claimed {
    /// Reads the headers of an upload.
    pub(super) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let md5 = match text("content-md5") {
            None => None,
            Some(value) => Some(
                STANDARD
                    .decode(value)
                    .ok()
                    .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                    .ok_or_else(|| error("InvalidDigest", "The Content-MD5 you specified was invalid."))?,
            ),
        };
        let trailer = text("x-amz-trailer").unwrap_or_default();
        let mut claims = Algorithm::ALL.into_iter().filter_map(|algorithm| {
            if let Some(value) = text(algorithm.header()) {
                return Some((algorithm, Value::Given(value.to_owned())));
            }
            trailer
                .split(',')
                .any(|name| name.trim().eq_ignore_ascii_case(algorithm.header()))
                .then_some((algorithm, Value::Trailer))
        });
        let (first, second) = (claims.next(), claims.next());
        if second.is_some() {
            return Err(error(
                "InvalidRequest",
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        let Some((algorithm, value)) = first else {
            if text("x-amz-sdk-checksum-algorithm").is_some() {
                return Err(error(
                    "InvalidRequest",
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
                ));
            }
            return Ok(Self {
                md5,
                algorithm: Algorithm::Crc64Nvme,
                value: Value::None,
            });
        };
        if let Value::Given(value) = &value {
            check_form(algorithm, value)?;
        }
        Ok(Self { md5, algorithm, value })
    }

    /// The algorithm of the client's checksum; `None`: it gives none.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        (self.value != Value::None).then_some(self.algorithm)
    }

    /// What to compute.
    pub(super) fn hashes(&self) -> Hashes {
        Hashes::new(self.algorithm)
    }

    /// What to compute if a checksum of another algorithm is kept than the one that the client gives.
    pub(super) fn hashes_and(&self, kept: Algorithm) -> Hashes {
        let mut hashes = self.hashes();
        if kept != self.algorithm {
            hashes.second = Some((kept, Hasher::new(kept)));
        }
        hashes
    }

    /// Compares with what was computed; gives the ETag and the checksum.
    pub(super) fn check(self, hashes: Hashes, trailers: Option<&HeaderMap>) -> S3Result<(String, Checksum)> {
        let (etag, checksum, _) = self.check_both(hashes, trailers)?;
        Ok((etag, checksum))
    }

    /// As [`Claimed::check`], with the checksum that is kept.
    pub(super) fn check_both(
        self,
        hashes: Hashes,
        trailers: Option<&HeaderMap>,
    ) -> S3Result<(String, Checksum, Checksum)> {
        let md5 = hashes.md5.finalize();
        if self.md5.is_some_and(|claimed| claimed.as_slice() != md5.as_ref()) {
            return Err(error(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
        let computed = hashes.checksum.finish();
        let claimed = match self.value {
            Value::None => None,
            Value::Given(value) => Some(value),
            Value::Trailer => {
                let value = trailers
                    .and_then(|trailers| trailers.get(self.algorithm.header()))
                    .and_then(|value| value.to_str().ok())
                    .ok_or_else(|| {
                        error(
                            "MalformedTrailerError",
                            "The request contained trailing data that was not well-formed or did not conform to our published schema.",
                        )
                    })?;
                check_form(self.algorithm, value)?;
                Some(value.to_owned())
            }
        };
        if claimed.is_some_and(|claimed| claimed != computed) {
            return Err(error(
                "BadDigest",
                format!(
                    "The {} you specified did not match the calculated checksum.",
                    self.algorithm.name()
                ),
            ));
        }
        let claimed = Checksum {
            algorithm: self.algorithm,
            value: computed,
        };
        let kept = hashes.second.map_or_else(
            || claimed.clone(),
            |(algorithm, hasher)| Checksum {
                algorithm,
                value: hasher.finish(),
            },
        );
        Ok((hex::encode(md5), claimed, kept))
    }
}

/// Compares what the client says of a body that is no object with what has arrived.
pub(crate) fn check_document(headers: &HeaderMap, arrival: &Arrival) -> S3Result<()> {
    let claimed = Claimed::of(headers)?;
    if claimed.md5.is_none() && claimed.value == Value::None {
        return Ok(());
    }
    let mut hashes = claimed.hashes();
    for bytes in arrival.document() {
        hashes.update(&bytes);
    }
    claimed.check(hashes, arrival.trailers().as_ref()).map(drop)
}

fn check_form(algorithm: Algorithm, value: &str) -> S3Result<()> {
    STANDARD
        .decode(value)
        .is_ok_and(|bytes| bytes.len() == algorithm.length())
        .then_some(())
        .ok_or_else(|| {
            error(
                "InvalidRequest",
                format!("Value for {} header is invalid.", algorithm.header()),
            )
        })
}

/// A checksum of an object: over the whole of it, or, with the number of parts behind a hyphen, over the checksums of its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Checksum {
    pub(super) algorithm: Algorithm,
    pub(super) value: String,
}

impl Checksum {
    /// The header that tells it.
    pub(crate) fn header(&self) -> HeaderName {
        HeaderName::from_static(self.algorithm.header())
    }

    /// In base64; of one over parts, with their number.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    pub(super) fn stored(&self) -> (String, String) {
        (self.algorithm.name().to_owned(), self.value.clone())
    }

    pub(super) fn from_stored(stored: Option<&(String, String)>) -> Option<Self> {
        let (name, value) = stored?;
        Some(Self {
            algorithm: Algorithm::named(name)?,
            value: value.clone(),
        })
    }

    /// The wire's name for what it is computed over.
    pub(crate) fn kind(&self) -> s3s::dto::ChecksumType {
        s3s::dto::ChecksumType::from_static(if is_composite(&self.value) {
            s3s::dto::ChecksumType::COMPOSITE
        } else {
            s3s::dto::ChecksumType::FULL_OBJECT
        })
    }

    /// The checksum over the checksums of parts. `None`: one of them is not in base64.
    pub(super) fn composite<'a>(algorithm: Algorithm, parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut hasher, mut count) = (Hasher::new(algorithm), 0_usize);
        for value in parts {
            hasher.update(&STANDARD.decode(value).ok()?);
            count = count.saturating_add(1);
        }
        Some(Self {
            algorithm,
            value: format!("{}-{count}", hasher.finish()),
        })
    }

    /// The checksum over the whole, from those of its pieces and their lengths. `None`: the algorithm cannot, or a value is not of it.
    pub(super) fn whole<'a>(algorithm: Algorithm, pieces: impl Iterator<Item = (&'a str, u64)>) -> Option<Self> {
        let kind = match algorithm {
            Algorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Algorithm::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Algorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Algorithm::Sha1 | Algorithm::Sha256 => return None,
        };
        // The checksum of nothing is zero, for all three.
        let mut whole = 0_u64;
        for (value, length) in pieces {
            let bytes = STANDARD
                .decode(value)
                .ok()
                .filter(|bytes| bytes.len() == algorithm.length())?;
            let piece = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            if length > 0 {
                whole = checksum_combine(kind, whole, piece, length);
            }
        }
        let bytes = whole.to_be_bytes();
        let bytes = bytes.get(bytes.len().checked_sub(algorithm.length())?..)?;
        Some(Self {
            algorithm,
            value: STANDARD.encode(bytes),
        })
    }
}

/// Whether a value is one over parts: base64 has no hyphen.
pub(super) fn is_composite(value: &str) -> bool {
    value.contains('-')
}

/// Puts a checksum into the fields that an output has for each algorithm.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            $output.checksum_type = Some(checksum.kind());
            $crate::backend::checksum::set_checksum_value!($output, Some(checksum));
        }
    };
}
pub(super) use set_checksum;

/// As [`set_checksum`], for outputs that do not say what the checksum is over.
macro_rules! set_checksum_value {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let (algorithm, value) = checksum.stored();
            match algorithm.as_str() {
                "CRC32" => $output.checksum_crc32 = Some(value),
                "CRC32C" => $output.checksum_crc32c = Some(value),
                "SHA1" => $output.checksum_sha1 = Some(value),
                "SHA256" => $output.checksum_sha256 = Some(value),
                _ => $output.checksum_crc64nvme = Some(value),
            }
        }
    };
}
pub(super) use set_checksum_value;

/// The digests of one upload.
pub(super) struct Hashes {
    md5: Md5,
    checksum: Hasher,
    second: Option<(Algorithm, Hasher)>,
}

impl Hashes {
    /// The MD5 and one checksum.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self {
            md5: Md5::new(),
            checksum: Hasher::new(algorithm),
            second: None,
        }
    }

    /// MD5 in hex, and checksum in base64, of what nobody made claims about.
    pub(super) fn finish(self) -> (String, String) {
        (hex::encode(self.md5.finalize()), self.checksum.finish())
    }
}

enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Crc32(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Crc32c(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Crc64Nvme(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Sha1(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Sha256(hasher) => STANDARD.encode(hasher.finalize()),
        }
    }
}

impl Digest for Hashes {
    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksum.update(bytes);
        if let Some((_, hasher)) = &mut self.second {
            hasher.update(bytes);
        }
    }
}
