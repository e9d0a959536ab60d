use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Decodes base64url as RFC 7515 wants it: no padding, no whitespace, no bits set beyond the last byte.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes as base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes the padded standard alphabet, which RFC 7517 section 4.7 keeps for certificates in `x5c`.
pub(crate) fn decode_certificate(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
