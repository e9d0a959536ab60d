//! What real IAM answered to 191 trust policies, recorded by others (see `data/README.md`).

use irsa_policy::PolicyKind;
use irsa_policy::validate::document;
use serde_json::Value;

#[test]
fn every_recorded_trust_policy_gets_the_recorded_answer() {
    let cases = include_str!("data/trust_validation.jsonl").replace("${ACCOUNT}", "111122223333");
    let mut differing = Vec::new();
    let mut count = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let expected = case["outcome"]["message"].as_str();
        assert_eq!(expected.is_none(), case["outcome"]["ok"].as_bool().unwrap());
        let actual = document(PolicyKind::Trust, &case["document"].to_string()).err();
        let actual = actual.as_ref().map(|malformed| malformed.message.as_str());
        if actual != expected {
            differing.push(format!("{}: expected {expected:?}, got {actual:?}", case["id"]));
        }
        count += 1;
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(count, 191);
}
