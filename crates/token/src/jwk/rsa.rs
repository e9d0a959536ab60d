use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents,
};

use crate::error::JwkError;

/// An RSA public key, parsed for each of the three algorithms.
#[derive(Debug)]
pub(crate) struct RsaKey {
    pub(crate) rs256: ParsedPublicKey,
    pub(crate) rs384: ParsedPublicKey,
    pub(crate) rs512: ParsedPublicKey,
}

impl RsaKey {
    /// Checks the numbers and parses the key. Both are big-endian with no leading zero byte (RFC 7518 section 6.3.1).
    pub(crate) fn parse(modulus: Vec<u8>, exponent: &[u8]) -> Result<Self, JwkError> {
        let bits = bit_length(&modulus).ok_or(JwkError::Member { member: "n" })?;
        let exponent_bits = bit_length(exponent).ok_or(JwkError::Member { member: "e" })?;
        if !(2048..=8192).contains(&bits) {
            return Err(JwkError::ModulusSize { bits });
        }
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        // 33 bits is the limit of the library, and of most others.
        if !odd(&modulus) || !odd(exponent) || !(2..=33).contains(&exponent_bits) {
            return Err(JwkError::RsaNumbers);
        }
        if has_roca_fingerprint(&modulus) {
            return Err(JwkError::Roca);
        }
        let components = RsaPublicKeyComponents {
            n: modulus.as_slice(),
            e: exponent,
        };
        let parse = |parameters| {
            components
                .to_parsed_public_key(parameters)
                .map_err(|_| JwkError::RsaNumbers)
        };
        Ok(Self {
            rs256: parse(&RSA_PKCS1_2048_8192_SHA256)?,
            rs384: parse(&RSA_PKCS1_2048_8192_SHA384)?,
            rs512: parse(&RSA_PKCS1_2048_8192_SHA512)?,
        })
    }
}

/// Bits of a number without leading zero bytes; `None` if it has one or is empty.
fn bit_length(number: &[u8]) -> Option<usize> {
    let first = *number.first().filter(|first| **first != 0)?;
    let leading = usize::try_from(first.leading_zeros()).ok()?;
    number.len().checked_mul(8)?.checked_sub(leading)
}

/// The odd primes below 168.
pub(super) const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus looks made by the generator of CVE-2017-15361: then it is a power of 65537 modulo every small prime.
/// About one honest modulus in two hundred million looks the same. Source: Nemec and others, "The Return of Coppersmith's Attack", 2017.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let residue = modulus
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        for _ in 0..*prime {
            if power == residue {
                return true;
            }
            power = power * 65_537 % prime;
        }
        false
    })
}
