//! Ids of multipart uploads, as callers have them: a store's own id behind a code that binds it to its bucket and key.
//!
//! What is decided about an upload is decided about its key. Stores that find an upload by its id alone would write to the key that it was
//! begun for, so an id is worth nothing with another key than its own. Nothing is kept for it: the code can be computed again.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of a code: 32 bytes.
const CODE: usize = 43;

/// Gives ids out, and takes them back.
pub(crate) struct UploadIds(hmac::Key);

impl UploadIds {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The id for a caller.
    pub(crate) fn give(&self, bucket: &str, key: &str, id: &str) -> String {
        let code = hmac::sign(&self.0, &message(bucket, key, id));
        format!("{}{id}", URL_SAFE_NO_PAD.encode(code))
    }

    /// The store's id; `None`: it was not given out for this bucket and key.
    pub(crate) fn take<'a>(&self, bucket: &str, key: &str, given: &'a str) -> Option<&'a str> {
        let (code, id) = given.split_at_checked(CODE)?;
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        // In constant time.
        hmac::verify(&self.0, &message(bucket, key, id), &code).ok()?;
        (!id.is_empty()).then_some(id)
    }
}

/// All three, so that none can borrow from another.
fn message(bucket: &str, key: &str, id: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(64_usize.saturating_add(key.len()).saturating_add(id.len()));
    for part in [bucket, key, id] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_its_key() {
        let ids = UploadIds::new(&[7; 32]);
        let given = ids.give("data", "a/b", "their+id/=");
        assert_eq!(ids.take("data", "a/b", &given), Some("their+id/="));
        assert_eq!(given, ids.give("data", "a/b", "their+id/="), "lists have the same id");
        for (bucket, key) in [("data", "a"), ("data", "a/b "), ("dat", "aa/b"), ("other", "a/b")] {
            assert_eq!(ids.take(bucket, key, &given), None, "{bucket} {key}");
        }
        let other = UploadIds::new(&[8; 32]);
        assert_eq!(other.take("data", "a/b", &given), None);
        let changed = format!("{given}x");
        let empty = ids.give("data", "a/b", "");
        for wrong in [
            "",
            "their+id/=",
            &given[1..],
            &given[..CODE],
            &changed,
            &empty,
            "ä".repeat(40).as_str(),
        ] {
            assert_eq!(ids.take("data", "a/b", wrong), None, "{wrong}");
        }
    }
}
