use aws_lc_rs::hmac;
use zeroize::{Zeroize, Zeroizing};

use crate::presented::Scope;

/// The last element of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// The key that signs within one scope: derived from a secret access key, a date, a region and a service.
///
/// Deriving costs about half of a verification. A cache of these must be keyed by the scope and by everything that
/// fixes the secret: the access key id alone does not, since two sessions may share one.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives the key of `scope` from a secret access key.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#derive-signing-key>.
    #[must_use]
    pub fn derive(secret: &[u8], scope: &Scope<'_>) -> Self {
        let secret = Zeroizing::new([b"AWS4", secret].concat());
        let mut key = Self(hmac::Key::new(hmac::HMAC_SHA256, &secret));
        for part in [scope.date, scope.region, scope.service, TERMINATOR] {
            let mut derived = key.sign(part.as_bytes()).0;
            key = Self(hmac::Key::new(hmac::HMAC_SHA256, &derived));
            derived.zeroize();
        }
        key
    }

    /// Whether `signature` (64 lower-case hex digits) signs `text` with this key, compared in constant time: the
    /// policy of a browser's form upload, where the string to sign is the policy's base64.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html>.
    #[must_use]
    pub fn signs(&self, text: &[u8], signature: &str) -> bool {
        Signature::parse(signature.as_bytes()).is_some_and(|signature| self.sign(text).matches(&signature))
    }

    /// HMAC-SHA256 of `text`.
    pub(crate) fn sign(&self, text: &[u8]) -> Signature {
        let mut signature = [0; 32];
        for (to, from) in signature.iter_mut().zip(hmac::sign(&self.0, text).as_ref()) {
            *to = *from;
        }
        Signature(signature)
    }
}

/// A signature, computed or claimed. Its bytes are this module's and it has no `==`: two of them are compared in constant time or not at
/// all, so that nobody can find one byte by byte.
#[derive(Clone, Copy)]
pub(crate) struct Signature([u8; 32]);

impl Signature {
    /// Reads 64 lower-case hex digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        parse_hex32(text).map(Self)
    }

    /// Whether two signatures are the same, in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// As lower-case hex.
    pub(crate) fn hex(&self) -> [u8; 64] {
        hex32(&self.0)
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest_bytes(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

/// The bytes of a finished SHA-256.
pub(crate) fn digest_bytes(digest: &aws_lc_rs::digest::Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}

/// Writes 32 bytes as lower-case hex.
pub(crate) fn hex32(bytes: &[u8; 32]) -> [u8; 64] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + (value - 10) };
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
    text
}

/// Reads 64 lower-case hex digits; upper-case is not what signers write, and one value has one spelling.
pub(crate) fn parse_hex32(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_key_is_that_of_the_documentation() {
        // The example of AWS's "Examples of how to derive a signing key".
        let scope = Scope {
            date: "20120215",
            region: "us-east-1",
            service: "iam",
        };
        let mut key = [b"AWS4", b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".as_slice()].concat();
        for part in [scope.date, scope.region, scope.service, TERMINATOR] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes())
                .as_ref()
                .to_vec();
        }
        assert_eq!(
            hex::encode(&key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"text");
        let derived = SigningKey::derive(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope);
        assert_eq!(derived.sign(b"text").0, expected.as_ref());
        let signature = hex::encode(expected);
        assert!(derived.signs(b"text", &signature));
        assert!(!derived.signs(b"test", &signature));
        assert!(!derived.signs(b"text", &signature.to_uppercase()));
        assert!(!derived.signs(b"text", ""));
    }

    /// Not for `PartialEq` types: for those there are two ways to read `_`.
    trait Incomparable<Way> {
        fn is_compared_in_constant_time_only() -> bool {
            true
        }
    }

    impl<T: ?Sized> Incomparable<()> for T {}

    struct ByEquality;

    impl<T: ?Sized + PartialEq> Incomparable<ByEquality> for T {}

    /// That this compiles is most of the test: a signature with a derived or written `==` stops it. `benches/verify.rs` measures what is left.
    #[test]
    fn adv_sv_28_signatures_have_no_equality_but_the_constant_time_one() {
        assert!(<Signature as Incomparable<_>>::is_compared_in_constant_time_only());
        let signature = |byte: u8, at: usize| {
            let mut bytes = [7; 32];
            bytes[at] = byte;
            Signature(bytes)
        };
        for at in 0..32 {
            assert!(signature(9, at).matches(&signature(9, at)));
            for bit in 0..8 {
                assert!(!signature(7, at).matches(&signature(7 ^ (1 << bit), at)));
            }
        }
    }

    #[test]
    fn hex_has_one_spelling() {
        let bytes: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 8 + 7).unwrap());
        assert_eq!(hex32(&bytes).as_slice(), hex::encode(bytes).as_bytes());
        assert_eq!(parse_hex32(&hex32(&bytes)), Some(bytes));
        assert_eq!(parse_hex32(hex::encode_upper(bytes).as_bytes()), None);
        assert_eq!(parse_hex32(&hex32(&bytes)[1..]), None);
        assert_eq!(parse_hex32(&[b'g'; 64]), None);
    }
}
