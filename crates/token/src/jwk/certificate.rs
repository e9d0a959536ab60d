use serde_json::Value;

use crate::der::{SEQUENCE, content, element};
use crate::encoding;

/// Whether the first certificate of an `x5c` member (RFC 7517 section 4.7) holds this SubjectPublicKeyInfo, byte for byte.
/// Nothing else in the certificate is looked at: it is not a source of trust, only one more statement of the key.
pub(crate) fn holds(chain: &Value, public_key_info: &[u8]) -> bool {
    let certificate = chain
        .as_array()
        .and_then(|certificates| certificates.first())
        .and_then(Value::as_str)
        .and_then(encoding::decode_certificate);
    certificate.is_some_and(|certificate| subject_public_key_info(&certificate) == Some(public_key_info))
}

const VERSION: u8 = 0xa0;

/// Walks to the SubjectPublicKeyInfo of an X.509 certificate (RFC 5280 section 4.1).
fn subject_public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, []) = content(certificate, SEQUENCE)? else {
        return None;
    };
    let (mut fields, _) = content(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.rest;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        fields = element(fields)?.rest;
    }
    let info = element(fields)?;
    (info.tag == SEQUENCE).then_some(info.whole)
}
