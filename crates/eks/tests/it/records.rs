//! What audit records show of calls.

use irsa_eks::Call;
use serde_json::{Value, json};

use crate::harness::key_set;

fn recorded(method: &str, target: &str, body: &Value) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Call::new(method, path, query, body.to_string().as_bytes())
        .unwrap()
        .request_parameters()
}

#[test]
fn parameters() {
    let body = json!({ "name": "c", "version": "1.35", "tags": { "a": "b" }, "logging": {}, "oidc": { "issuer": "https://oidc.example" } });
    assert_eq!(
        recorded("POST", "/clusters", &body),
        json!({ "name": "c", "version": "1.35", "tags": { "a": "b" }, "oidc": { "issuer": "https://oidc.example" } })
    );
    assert_eq!(recorded("GET", "/clusters/c", &json!({})), json!({ "name": "c" }));
    assert_eq!(recorded("GET", "/clusters", &json!({})), json!({}));
    let arn = "arn:aws:eks:us-east-1:111122223333:cluster/c";
    assert_eq!(
        recorded("DELETE", &format!("/tags/{arn}?tagKeys=a&tagKeys=b"), &json!({})),
        json!({ "resourceArn": arn, "tagKeys": ["a", "b"] })
    );
}

#[test]
fn of_keys_only_their_ids() {
    let mut keys = key_set();
    let id = keys["keys"][0]["kid"].clone();
    keys["keys"][0]["d"] = json!("private-by-mistake");
    let body = json!({ "name": "c", "oidc": { "issuer": "https://oidc.example", "keys": keys, "password": "private-too" }, "secret": "private-as-well" });
    let recorded = recorded("POST", "/clusters", &body);
    assert_eq!(
        recorded,
        json!({ "name": "c", "oidc": { "issuer": "https://oidc.example", "keyIds": [id] } })
    );
    assert!(!recorded.to_string().contains("private"));
}
