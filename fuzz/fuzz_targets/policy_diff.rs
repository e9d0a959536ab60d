//! Any two policies: the comparison ends within its budget, finds nothing between a policy and itself, and answers the
//! two directions alike when they are asked the other way round.
#![no_main]

use irsa_compare::{Answer, compare_texts};
use irsa_policy::PolicyKind;
use libfuzzer_sys::fuzz_target;

const KINDS: [PolicyKind; 4] = [
    PolicyKind::Identity,
    PolicyKind::Trust,
    PolicyKind::Resource,
    PolicyKind::ServiceControl,
];

fn found(answer: &Answer) -> bool {
    matches!(answer, Answer::Witness(_))
}

fn none(answer: &Answer) -> bool {
    matches!(answer, Answer::None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((old, new)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\u{1e}')) else {
        return;
    };
    for kind in KINDS {
        let Ok(forth) = compare_texts(kind, old, new) else {
            continue;
        };
        let back = compare_texts(kind, new, old).expect("both compiled");
        // What one direction proves, the other may not refute.
        assert!(!(none(&forth.gained) && found(&back.lost)), "{kind}: gained");
        assert!(!(none(&forth.lost) && found(&back.gained)), "{kind}: lost");
        let same = compare_texts(kind, new, new).expect("it compiled");
        assert!(!found(&same.gained) && !found(&same.lost), "{kind}: a policy against itself");
    }
});
