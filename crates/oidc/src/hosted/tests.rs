use irsa_core::AccountId;
use irsa_store::{Compare, Write};
use irsa_token::WebIdentityToken;
use serde_json::Value;

use super::*;
use crate::provider_url::ProviderUrl;
use crate::state::{State, given_keys_key, put_given_keys};

const CLUSTER: &str = "arn:aws:eks:us-east-1:111122223333:cluster/my-cluster";

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_767_323_045)
}

fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

/// A key-encryption key, a record with its key in the store, and the signing key in it.
fn issuer() -> (KeyEncryptionKey, String, Vec<u8>, SigningKey) {
    let sealing = KeyEncryptionKey::generate().unwrap();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let new = new_hosted_issuer("https://localhost:4701", CLUSTER, &key, &sealing, now()).unwrap();
    let (id, url) = (new.id().to_owned(), new.issuer_url().to_owned());
    assert_eq!(url, format!("https://localhost:4701/id/{id}"));
    let transaction = new.write_to(Transaction::default());
    let at = format!("oidc/issuer/{id}");
    assert_eq!(transaction.compares, [Compare::Absent { key: at.clone() }]);
    let [Write::Put { key: put, value }] = transaction.writes.as_slice() else {
        panic!("one record is written")
    };
    assert_eq!(*put, at);
    (sealing, at, value.to_vec(), key)
}

fn state(sealing: &KeyEncryptionKey, key: &str, record: &[u8]) -> State {
    let mut state = State::default();
    state.apply(key, Some(record), sealing).unwrap();
    state
}

fn request() -> TokenRequest {
    TokenRequest {
        namespace: "default".to_owned(),
        service_account: "app".to_owned(),
        ..TokenRequest::default()
    }
}

/// A second key in another slot, written into the record.
fn with_key(record: &[u8], slot: KeySlot, key: &SigningKey, sealing: &KeyEncryptionKey) -> Vec<u8> {
    let mut record: IssuerRecord = serde_json::from_slice(record).unwrap();
    let id = record.id.clone();
    record
        .keys
        .push(KeyRecord::new(slot, &id, key, sealing, now()).unwrap());
    serde_json::to_vec(&record).unwrap()
}

#[test]
fn a_token_is_verified_by_the_published_keys() {
    let (sealing, at, record, _) = issuer();
    let state = state(&sealing, &at, &record);
    let issuer = state.by_id(&at["oidc/issuer/".len()..]).unwrap();
    let issued = issuer.issue(&request(), now()).unwrap();
    let token = WebIdentityToken::parse(&issued.token).unwrap();
    token
        .verify(&JwkSet::parse(issuer.keys_document().as_bytes()).unwrap())
        .unwrap();
    token
        .verify(state.keys(account(1), issuer.issuer_url()).unwrap())
        .unwrap();
    token.check_times(now()).unwrap();
    assert_eq!(token.claims().issuer.as_deref(), Some(issuer.issuer_url()));
    assert_eq!(issued.expires_at, now().plus_seconds(3600));
    assert_eq!(issued.token_id.len(), 36);
    let again = issuer.issue(&request(), now()).unwrap();
    assert_ne!(issued.token_id, again.token_id);
}

#[test]
fn ids_look_like_those_of_eks() {
    let (.., at, _, _) = issuer();
    let id = &at["oidc/issuer/".len()..];
    assert_eq!(id.len(), 32);
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)),
        "{id}"
    );
}

#[test]
fn documents_have_what_aws_needs() {
    let (sealing, at, record, key) = issuer();
    let state = state(&sealing, &at, &record);
    let issuer = state.hosted_issuers().next().unwrap();
    let url = issuer.issuer_url();
    let found = crate::document::discovery(url, url, issuer.discovery_document().as_bytes()).unwrap();
    assert_eq!(found, format!("{url}/keys"));
    let document: Value = serde_json::from_str(issuer.discovery_document()).unwrap();
    for member in [
        "response_types_supported",
        "subject_types_supported",
        "claims_supported",
    ] {
        assert!(document[member].is_array(), "{member}");
    }
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let keys: Value = serde_json::from_str(issuer.keys_document()).unwrap();
    assert_eq!(keys, SigningKey::jwk_set(&[&key]));
    assert!(CACHE_CONTROL.ends_with(&format!("max-age={KEYS_LIFETIME_SECONDS}")));
}

#[test]
fn is_01_all_slots_are_published_and_only_the_current_key_signs() {
    let (sealing, at, record, current) = issuer();
    let (next, retired) = (
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::Es384).unwrap(),
    );
    let record = with_key(&record, KeySlot::Next, &next, &sealing);
    let record = with_key(&record, KeySlot::Retired, &retired, &sealing);
    let state = state(&sealing, &at, &record);
    let issuer = state.hosted_issuers().next().unwrap();
    for key in [&current, &next, &retired] {
        let token = key.sign(&json!({"iss": issuer.issuer_url()})).unwrap();
        WebIdentityToken::parse(&token).unwrap().verify(issuer.keys()).unwrap();
    }
    let issued = issuer.issue(&request(), now()).unwrap();
    let token = WebIdentityToken::parse(&issued.token).unwrap();
    assert_eq!(token.header().kid.as_deref(), Some(current.key_id()));
    assert_eq!(
        issuer.slots().collect::<Vec<_>>(),
        [
            (KeySlot::Current, current.key_id()),
            (KeySlot::Next, next.key_id()),
            (KeySlot::Retired, retired.key_id())
        ]
    );
}

#[test]
fn is_06_the_header_holds_algorithm_key_id_and_type() {
    let (sealing, at, record, key) = issuer();
    let state = state(&sealing, &at, &record);
    let issued = state.hosted_issuers().next().unwrap().issue(&request(), now()).unwrap();
    let header = issued.token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "kid": key.key_id(), "typ": "JWT"}));
}

#[test]
fn the_private_key_is_sealed_to_its_issuer_key_id_and_public_key() {
    let (sealing, at, record, key) = issuer();
    let text = String::from_utf8(record.clone()).unwrap();
    assert!(!text.contains(&STANDARD.encode(key.to_pkcs8())));
    let (.., other_at, other_record, other) = issuer();
    let other_text = String::from_utf8(other_record).unwrap();
    let public = |key: &SigningKey| key.public_jwk().to_string();
    let id = |at: &str| at["oidc/issuer/".len()..].to_owned();
    for forged in [
        // Another's public key, and then its key id too.
        text.replace(&public(&key), &public(&other)),
        text.replace(&public(&key), &public(&other))
            .replace(key.key_id(), other.key_id()),
        // A key of another record.
        other_text.replace(&id(&other_at), &id(&at)),
        // The record under another id.
        text.replace(&id(&at), &id(&other_at)),
        text.replace("current", "next"),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("{\"version\"", "{\"versions\""),
    ] {
        assert_ne!(forged, text);
        let mut state = State::default();
        assert!(state.apply(&at, Some(forged.as_bytes()), &sealing).is_err(), "{forged}");
        assert!(state.hosted_issuers().next().is_none());
    }
    let strange = KeyEncryptionKey::generate().unwrap();
    let refused = State::default().apply(&at, Some(&record), &strange).unwrap_err();
    assert!(matches!(refused, OidcError::Unseal { .. }), "{refused}");
}

#[test]
fn two_current_keys_are_a_damaged_record() {
    let (sealing, at, record, _) = issuer();
    let second = SigningKey::generate(Algorithm::Es256).unwrap();
    let record = with_key(&record, KeySlot::Current, &second, &sealing);
    let refused = State::default().apply(&at, Some(&record), &sealing).unwrap_err();
    assert!(matches!(refused, OidcError::Damaged { .. }), "{refused}");
}

#[test]
fn changes_are_followed_and_clones_stay_as_they_were() {
    let (sealing, at, record, _) = issuer();
    let mut state = state(&sealing, &at, &record);
    let url = state.hosted_issuers().next().unwrap().issuer_url().to_owned();
    let before = state.clone();
    assert!(state.apply(&at, Some(b"{"), &sealing).is_err());
    assert!(state.hosted(&url).is_some(), "a damaged record changes nothing");
    state.apply("iam/role/app", Some(b"{"), &sealing).unwrap();
    state.apply(&at, None, &sealing).unwrap();
    assert!(state.hosted(&url).is_none() && state.keys(account(1), &url).is_none());
    assert!(before.hosted(&url).is_some() && before.hosted(&format!("{url}/")).is_none());
}

#[test]
fn given_keys_count_in_their_account_only() {
    let (sealing, ..) = issuer();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let url = ProviderUrl::parse("https://kubernetes.default.svc", false).unwrap();
    let document = SigningKey::jwk_set(&[&key]).to_string();
    let transaction = put_given_keys(Transaction::default(), account(1), &url, document.as_bytes(), now()).unwrap();
    let mut state = State::default();
    for write in transaction.writes {
        let Write::Put { key, value } = write else {
            panic!("only puts")
        };
        assert_eq!(key, given_keys_key(account(1), url.as_str()));
        state.apply(&key, Some(&value), &sealing).unwrap();
    }
    assert!(state.keys(account(1), url.as_str()).unwrap().contains(key.key_id()));
    assert!(state.keys(account(2), url.as_str()).is_none());
    state
        .apply(&given_keys_key(account(1), url.as_str()), None, &sealing)
        .unwrap();
    assert!(state.keys(account(1), url.as_str()).is_none());
    for bad in ["{", "{}", r#"{"keys":[]}"#] {
        assert!(
            put_given_keys(Transaction::default(), account(1), &url, bad.as_bytes(), now()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn base_urls() {
    let (sealing, .., key) = issuer();
    for bad in ["http://localhost", "localhost", "https://localhost/?a", "https://"] {
        assert!(new_hosted_issuer(bad, CLUSTER, &key, &sealing, now()).is_err(), "{bad}");
    }
    let new = new_hosted_issuer("https://oidc.example/", CLUSTER, &key, &sealing, now()).unwrap();
    assert!(new.issuer_url().starts_with("https://oidc.example/id/"));
}
