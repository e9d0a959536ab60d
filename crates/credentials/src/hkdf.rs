//! HKDF with SHA-256 for outputs of one block, RFC 5869.
//!
//! The library's own HKDF can answer with an error that cannot occur at this length; over its HMAC there is none.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Derives 32 bytes from `key` for the purpose `label`; the salt is empty.
pub(crate) fn derive(key: &[u8], label: &str) -> Zeroizing<[u8; 32]> {
    let extracted = block(&[0; 32], &[key]);
    block(extracted.as_slice(), &[label.as_bytes(), &[1]])
}

/// One HMAC-SHA256 over `parts`.
fn block(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::derive;
    use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

    #[test]
    fn agrees_with_the_library() {
        for label in [
            "",
            "irsa seal",
            "a somewhat longer label, of no meaning at all, past one block of sixty-four",
        ] {
            let key = [7; 32];
            let mut expected = [0; 32];
            Salt::new(HKDF_SHA256, &[])
                .extract(&key)
                .expand(&[label.as_bytes()], HKDF_SHA256)
                .unwrap()
                .fill(&mut expected)
                .unwrap();
            assert_eq!(*derive(&key, label), expected, "{label}");
        }
    }

    #[test]
    fn labels_give_unrelated_keys() {
        assert_ne!(derive(&[7; 32], "a"), derive(&[7; 32], "b"));
        assert_ne!(derive(&[7; 32], "a"), derive(&[8; 32], "a"));
    }
}
