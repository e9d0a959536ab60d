//! Versions of objects: their ids, and what a write does with those that are there.

use std::sync::Arc;

use irsa_core::Timestamp;
use s3s::crypto::{Checksum as _, Sha256};
use uuid::Uuid;

use crate::bucket::Versioning;

/// The id of a version of an object: 80 random bits, and behind them, masked, the version's place among those of its key.
///
/// Nobody can guess an id, or tell from one how many versions there are; but the store can say where a version was that is gone, so that
/// a listing goes on where it stopped though the version that it stopped at was removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Version(pub(super) Option<[u8; 16]>);

impl Version {
    /// What objects have that were written while versioning was not enabled.
    pub(crate) const NULL: Self = Self(None);

    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::NULL);
        }
        // Uppercase digits would be a second name for one version.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        hex::decode(text).ok()?.try_into().ok().map(|id| Self(Some(id)))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("null"),
            Some(id) => f.write_str(&hex::encode(id)),
        }
    }
}

/// Names versions, and reads their places out of the names.
pub(super) struct Naming {
    secret: Vec<u8>,
}

impl Naming {
    /// With the secret of this store: ids that another store made have no meaning here.
    pub(super) fn new(secret: Vec<u8>) -> Self {
        Self { secret }
    }

    /// An id for the version that comes at this place.
    pub(super) fn name(&self, place: i64) -> Version {
        // All but the two bytes of a version 4 UUID that are not wholly random.
        let [a, b, c, d, e, f, _, g, _, h, i, j, ..] = Uuid::new_v4().into_bytes();
        let random = [a, b, c, d, e, f, g, h, i, j];
        let [_, _, p0, p1, p2, p3, p4, p5] = place.to_be_bytes();
        let [p0, p1, p2, p3, p4, p5] = self.masked(random, [p0, p1, p2, p3, p4, p5]);
        Version(Some([a, b, c, d, e, f, g, h, i, j, p0, p1, p2, p3, p4, p5]))
    }

    /// The place of a version that was made here, also of one that is gone. Of the null version its name does not tell.
    pub(super) fn place(&self, version: Version) -> Option<i64> {
        let [a, b, c, d, e, f, g, h, i, j, p0, p1, p2, p3, p4, p5] = version.0?;
        let [p0, p1, p2, p3, p4, p5] = self.masked([a, b, c, d, e, f, g, h, i, j], [p0, p1, p2, p3, p4, p5]);
        Some(i64::from_be_bytes([0, 0, p0, p1, p2, p3, p4, p5]))
    }

    fn masked(&self, random: [u8; 10], mut place: [u8; 6]) -> [u8; 6] {
        let mut hash = Sha256::new();
        hash.update(&self.secret);
        hash.update(&random);
        let mask = hash.finalize();
        for (byte, mask) in place.iter_mut().zip(mask.as_ref() as &[u8]) {
            *byte ^= mask;
        }
        place
    }
}

impl Versioning {
    /// What a client is told of a version: nothing, where there never were any.
    pub(super) fn tells(self, version: Version) -> Option<Version> {
        (self != Self::Off).then_some(version)
    }
}

/// How the versioning of a bucket is set at the moment of a write; `None`: the bucket is gone.
///
/// It is asked in the write's transaction, not when the request begins: versioning may be enabled while an object is on its way, and
/// then what others have written since stays.
pub(crate) type Status = Arc<dyn Fn() -> Option<Versioning> + Send + Sync>;

/// A version that says that the object was deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Marker {
    pub(crate) version: Version,
    pub(crate) modified: Timestamp,
}

/// What a removal did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Deleted {
    /// Whether there was anything.
    pub(crate) existed: bool,
    /// The version that was removed, or the delete marker that was made; `None`: there are no versions.
    pub(crate) version: Option<Version>,
    /// Whether that is a delete marker.
    pub(crate) marker: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_short_texts_that_only_their_store_can_read(place in 0..(1_i64 << 48)) {
            let naming = Naming::new(vec![1; 32]);
            let (one, other) = (naming.name(place), naming.name(place));
            prop_assert_ne!(one, other);
            prop_assert_eq!((naming.place(one), naming.place(other)), (Some(place), Some(place)));
            let text = one.to_string();
            prop_assert_eq!(text.len(), 32);
            prop_assert_eq!(Version::parse(&text), Some(one));
            prop_assert_eq!(Version::parse(&text.to_uppercase()).is_some(), text == text.to_uppercase());
            prop_assert_eq!(naming.place(Version::NULL), None);
        }

        #[test]
        fn no_text_is_a_second_name(text in "[0-9a-fnul]{0,34}") {
            if let Some(version) = Version::parse(&text) {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }

    #[test]
    fn another_store_reads_other_places() {
        let (here, there) = (Naming::new(vec![1; 32]), Naming::new(vec![2; 32]));
        let same = (0..64).filter(|place| there.place(here.name(*place)) == Some(*place));
        assert_eq!(same.count(), 0);
    }
}
