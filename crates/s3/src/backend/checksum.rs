//! Digests of uploads: the MD5 that is the ETag, and the checksum that the client sent or else CRC-64/NVME.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

use crate::access::error;
use crate::front::Arrival;
use crate::store::Digest;

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

    fn header(self) -> &'static str {
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

    /// What to compute.
    pub(super) fn hashes(&self) -> Hashes {
        Hashes {
            md5: Md5::new(),
            checksum: match self.algorithm {
                Algorithm::Crc32 => Hasher::Crc32(Crc32::new()),
                Algorithm::Crc32c => Hasher::Crc32c(Crc32c::new()),
                Algorithm::Crc64Nvme => Hasher::Crc64Nvme(Crc64Nvme::new()),
                Algorithm::Sha1 => Hasher::Sha1(Sha1::new()),
                Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            },
        }
    }

    /// Compares with what was computed; gives the ETag and the checksum.
    pub(super) fn check(self, hashes: Hashes, trailers: Option<&HeaderMap>) -> S3Result<(String, Checksum)> {
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
        Ok((
            hex::encode(md5),
            Checksum {
                algorithm: self.algorithm,
                value: computed,
            },
        ))
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

/// A checksum over a whole object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Checksum {
    algorithm: Algorithm,
    value: String,
}

impl Checksum {
    pub(super) fn stored(&self) -> (String, String) {
        (self.algorithm.name().to_owned(), self.value.clone())
    }

    pub(super) fn from_stored(stored: Option<&(String, String)>) -> Option<Self> {
        let (name, value) = stored?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        Some(Self {
            algorithm,
            value: value.clone(),
        })
    }
}

/// Puts a checksum into the fields that an output has for each algorithm.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let (algorithm, value) = checksum.stored();
            $output.checksum_type = Some(s3s::dto::ChecksumType::from_static(s3s::dto::ChecksumType::FULL_OBJECT));
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
pub(super) use set_checksum;

/// The digests of one upload.
pub(super) struct Hashes {
    md5: Md5,
    checksum: Hasher,
}

enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
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
        match &mut self.checksum {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Crc32c(hasher) => hasher.update(bytes),
            Hasher::Crc64Nvme(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }
}
