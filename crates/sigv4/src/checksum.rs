use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

/// A checksum of S3's: `x-amz-checksum-…`.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChecksumAlgorithm {
    /// CRC-32 of ISO 3309 (zlib).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in S3's API, such as `CRC64NVME`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries it, in lower case.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Reads a name of the API; case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Reads a header's name; case does not matter.
    #[must_use]
    pub fn from_header(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// How many bytes the checksum has.
    #[must_use]
    pub fn byte_length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Reads a checksum as sent: padded base64 of exactly as many bytes as the algorithm has.
    #[must_use]
    pub fn parse_value(self, text: &str) -> Option<Vec<u8>> {
        STANDARD
            .decode(text)
            .ok()
            .filter(|bytes| bytes.len() == self.byte_length())
    }
}

/// A checksum that is being computed.
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    state: State,
}

enum State {
    Crc(Box<Digest>),
    Sha(digest::Context),
}

impl Checksum {
    /// Begins a checksum.
    #[must_use]
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match algorithm {
            ChecksumAlgorithm::Crc32 => State::Crc(Box::new(Digest::new(CrcAlgorithm::Crc32IsoHdlc))),
            ChecksumAlgorithm::Crc32c => State::Crc(Box::new(Digest::new(CrcAlgorithm::Crc32Iscsi))),
            ChecksumAlgorithm::Crc64Nvme => State::Crc(Box::new(Digest::new(CrcAlgorithm::Crc64Nvme))),
            ChecksumAlgorithm::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            ChecksumAlgorithm::Sha256 => State::Sha(digest::Context::new(&digest::SHA256)),
        };
        Self { algorithm, state }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha(sha) => sha.update(bytes),
        }
    }

    /// The checksum's bytes, big-endian as S3 has them.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.state {
            State::Crc(crc) => {
                let bytes = crc.finalize().to_be_bytes();
                let skipped = bytes.len().saturating_sub(self.algorithm.byte_length());
                bytes.into_iter().skip(skipped).collect()
            }
            State::Sha(sha) => sha.finish().as_ref().to_vec(),
        }
    }

    /// The checksum as S3 writes it: base64.
    #[must_use]
    pub fn finish_base64(self) -> String {
        STANDARD.encode(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_checksums_in_any_split() {
        let text = b"123456789";
        for (algorithm, expected) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (
                ChecksumAlgorithm::Sha256,
                "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
            ),
        ] {
            for at in 0..=text.len() {
                let mut checksum = Checksum::new(algorithm);
                checksum.update(&text[..at]);
                checksum.update(&text[at..]);
                assert_eq!(hex::encode(checksum.finish()), expected, "{}", algorithm.name());
            }
            assert_eq!(hex::decode(expected).unwrap().len(), algorithm.byte_length());
        }
    }

    #[test]
    fn names_and_values() {
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(ChecksumAlgorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(ChecksumAlgorithm::from_header(algorithm.header()), Some(algorithm));
            let value = Checksum::new(algorithm).finish_base64();
            assert_eq!(algorithm.parse_value(&value), Some(Checksum::new(algorithm).finish()));
        }
        assert_eq!(ChecksumAlgorithm::from_name("MD5"), None);
        assert_eq!(ChecksumAlgorithm::Crc32.parse_value("AAAA"), None);
        assert_eq!(ChecksumAlgorithm::Crc32.parse_value("AAAAAA"), None);
        assert_eq!(ChecksumAlgorithm::Crc32.parse_value("AAAAAA=="), Some(vec![0; 4]));
        assert_eq!(ChecksumAlgorithm::Crc32.parse_value("not base64"), None);
    }
}
