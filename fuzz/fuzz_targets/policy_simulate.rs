//! Any line as a case of a batch: the answer is one line of JSON, whatever the line was.
#![no_main]

use irsa_simulate::Simulator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut answer = String::new();
    Simulator::new().answer(bytes, &mut answer);
    assert!(!answer.contains('\n'), "more than one line");
    let answer: serde_json::Value = match serde_json::from_str(&answer) {
        Ok(answer) => answer,
        // A number as id comes back letter by letter, and may be too large for serde_json.
        Err(error) if error.to_string().contains("out of range") => return,
        Err(error) => panic!("an answer is not JSON: {error}"),
    };
    let members = answer.as_object().expect("an answer is an object");
    assert!(members.contains_key("id"));
    assert!(members.contains_key("decision") != members.contains_key("error"));
});
