//! Any text as a policy of every kind: the findings stand where the text is, what IAM refuses has an error, and what has
//! none compiles.
#![no_main]

use irsa_check::{FindingType, Options, check};
use irsa_policy::{Policy, PolicyKind, validate};
use libfuzzer_sys::fuzz_target;

const KINDS: [Option<PolicyKind>; 9] = [
    None,
    Some(PolicyKind::Identity),
    Some(PolicyKind::Trust),
    Some(PolicyKind::Resource),
    Some(PolicyKind::Boundary),
    Some(PolicyKind::Session),
    Some(PolicyKind::ServiceControl),
    Some(PolicyKind::ResourceControl),
    Some(PolicyKind::VpcEndpoint),
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for kind in KINDS {
        let report = check(
            text,
            &Options {
                kind,
                ..Options::default()
            },
        );
        if report.worst() != Some(FindingType::Error) {
            assert!(validate::document(report.kind, text).is_ok(), "IAM refuses what has no error");
            assert!(Policy::parse("fuzz", report.kind, text).is_ok(), "it does not compile");
        }
    }
});
