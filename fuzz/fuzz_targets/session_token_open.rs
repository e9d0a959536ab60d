//! Any session token: opened only if it was sealed, under its own access key id, and then what was sealed comes out.
#![no_main]

use std::sync::LazyLock;

use irsa_core::{AccessKeyId, Timestamp};
use irsa_credentials::{EpochKey, EpochKeys, Session, SessionPrincipal};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<EpochKeys> =
    LazyLock::new(|| EpochKeys::new(EpochKey::new(2, &[2; 32]), vec![EpochKey::new(1, &[1; 32])]));

fuzz_target!(|input: (&[u8], &str, [u8; 5], u16, u8)| {
    let (bytes, name, key, at, bit) = input;
    let account = "111122223333".parse().unwrap();
    let access_key_id = AccessKeyId::temporary(account, key);
    // Nobody sealed this.
    let text = String::from_utf8_lossy(bytes);
    assert!(KEYS.open(&access_key_id, &text).is_err());
    let now = Timestamp::from_unix_seconds(1_767_323_045);
    let session = Session {
        account,
        principal: SessionPrincipal::Role {
            role_name: name.to_owned(),
            role_path: "/".to_owned(),
            role_id: "AROAEXAMPLE".to_owned(),
            session_name: name.to_owned(),
        },
        issued_at: now,
        expires_at: now.plus_seconds(3600),
        source_identity: Some(name.to_owned()),
        tags: vec![(name.to_owned(), text.clone().into_owned())],
        transitive_tag_keys: Vec::new(),
        session_policy: Some(text.into_owned()),
        session_policy_arns: vec![name.to_owned()],
        federated: None,
        mfa: false,
        chained: bit & 1 == 1,
    };
    let Ok(made) = KEYS.mint(&session) else {
        return;
    };
    let (opened, _) = KEYS.open(&made.access_key_id, &made.session_token).unwrap();
    assert_eq!(opened, session);
    // Under another key id, or with one bit changed, it is nothing.
    if access_key_id != made.access_key_id {
        assert!(KEYS.open(&access_key_id, &made.session_token).is_err());
    }
    let mut bent = made.session_token.clone().into_bytes();
    let length = bent.len();
    bent[usize::from(at) % length] ^= 1 << (bit % 7);
    if let Ok(bent) = String::from_utf8(bent) {
        assert!(KEYS.open(&made.access_key_id, &bent).is_err());
    }
});
