//! Any bytes as a policy of every kind: reading, compiling and validating end, agree with each other, and never panic.
#![no_main]

use irsa_policy::{Policy, PolicyKind, syntax, validate};
use libfuzzer_sys::fuzz_target;

const KINDS: [PolicyKind; 8] = [
    PolicyKind::Identity,
    PolicyKind::Trust,
    PolicyKind::Resource,
    PolicyKind::Boundary,
    PolicyKind::Session,
    PolicyKind::ServiceControl,
    PolicyKind::ResourceControl,
    PolicyKind::VpcEndpoint,
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let document = syntax::Document::parse(text);
    let node = syntax::Node::parse(text);
    // serde_json is the other opinion on what JSON is; ours also refuses repeats and depth, but takes numbers of any size.
    if node.is_ok() {
        let other = serde_json::from_str::<serde_json::Value>(text).map_err(|error| error.to_string());
        let agrees = other.is_ok() || other.as_ref().is_err_and(|error| error.contains("out of range"));
        assert!(agrees, "not JSON after all: {other:?}");
    }
    if let Ok(document) = &document {
        assert!(node.is_ok());
        for statement in &document.statements {
            assert!(statement.start < statement.end && text.get(statement.start..statement.end).is_some());
        }
    }
    for kind in KINDS {
        let compiled = Policy::parse("fuzz", kind, text);
        if compiled.is_ok() {
            assert!(document.is_ok(), "{kind} compiles, but is no document");
        }
        if let Err(error) = &compiled {
            assert!(error.line() >= 1 && error.column() >= 1);
        }
        if validate::document(kind, text).is_ok() {
            assert!(compiled.is_ok(), "{kind} passes, but does not compile");
        }
    }
    let _ = validate::non_whitespace_len(text);
});
