use http::{HeaderMap, HeaderValue};
use irsa_credentials::{EpochKey, SessionPrincipal, TemporaryCredentials};
use irsa_sigv4::{PathStyle, Payload, RequestHead, SigningInput, authorization, presented};

use super::*;

const NOW: i64 = 1_767_323_045;

fn epoch(number: u32, byte: u8) -> Arc<EpochKeys> {
    Arc::new(EpochKeys::new(EpochKey::new(number, &[byte; 32]), Vec::new()))
}

fn mint(keys: &EpochKeys) -> TemporaryCredentials {
    let now = Timestamp::from_unix_seconds(NOW);
    let session = Session {
        account: irsa_core::AccountId::from_number(111_122_223_333).unwrap(),
        principal: SessionPrincipal::Root,
        issued_at: now,
        expires_at: now.plus_seconds(3600),
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        session_policy: None,
        session_policy_arns: Vec::new(),
        federated: None,
        mfa: false,
        chained: false,
    };
    keys.mint(&session).unwrap()
}

fn head(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: "GET",
        path: "/bucket/key",
        query: "",
        headers,
    }
}

/// Whether a request that this secret signed, with this token, is verified under these keys.
fn verified(
    known: &SigningKeys,
    keys: &Arc<EpochKeys>,
    credentials: &TemporaryCredentials,
    (secret, token): (&[u8], &str),
) -> Result<(), AuthenticationError> {
    let now = Timestamp::from_unix_seconds(NOW);
    let mut headers = HeaderMap::new();
    let mut insert = |name: &'static str, value: &str| headers.insert(name, HeaderValue::from_str(value).unwrap());
    insert("host", "s3.example");
    insert("x-amz-date", &now.basic());
    insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    insert("x-amz-security-token", token);
    let input = SigningInput {
        access_key_id: credentials.access_key_id.as_str(),
        secret,
        region: "us-east-1",
        service: "s3",
        now,
        path: PathStyle::Verbatim,
        payload: Payload::Unsigned,
    };
    let signature = authorization(&head(&headers), &input).unwrap();
    headers.insert("authorization", HeaderValue::from_str(&signature).unwrap());
    let presented = presented(&head(&headers)).unwrap().unwrap();
    let verify = |key: &SigningKey| presented.verify_with(key, None, now, &Rules::s3());
    known
        .verify_session(keys, &credentials.access_key_id, token, &presented, verify)
        .map(drop)
}

fn is_kept(known: &SigningKeys, credentials: &TemporaryCredentials) -> bool {
    known
        .sessions
        .place(credentials.access_key_id.as_str())
        .unwrap()
        .is_some()
}

#[test]
fn a_session_that_is_known_is_held_to_its_token_its_secret_and_its_epoch() {
    let (known, keys) = (SigningKeys::default(), epoch(1, 1));
    let credentials = mint(&keys);
    let own = (
        credentials.secret_access_key.as_bytes(),
        credentials.session_token.as_str(),
    );
    // Who only has the token is not known afterwards.
    let refused = verified(&known, &keys, &credentials, (b"made up", own.1));
    assert!(matches!(
        refused,
        Err(AuthenticationError::Signature(SigV4Error::SignatureMismatch))
    ));
    assert!(!is_kept(&known, &credentials));
    verified(&known, &keys, &credentials, own).unwrap();
    assert!(is_kept(&known, &credentials));
    verified(&known, &keys, &credentials, own).unwrap();
    let refused = verified(&known, &keys, &credentials, (b"made up", own.1));
    assert!(matches!(
        refused,
        Err(AuthenticationError::Signature(SigV4Error::SignatureMismatch))
    ));
    // Another session's token, and one that differs in its last sign.
    let mut bent = own.1.to_owned();
    let last = bent.pop().unwrap();
    bent.push(if last == 'A' { 'E' } else { 'A' });
    for token in [mint(&keys).session_token, bent] {
        let refused = verified(&known, &keys, &credentials, (own.0, &token));
        assert!(matches!(refused, Err(AuthenticationError::ForeignToken(_))));
    }
    // The same epoch's key, read anew, opens it anew; without it the session is nobody's, known or not.
    verified(&known, &epoch(1, 1), &credentials, own).unwrap();
    for others in [epoch(2, 1), epoch(1, 2)] {
        let refused = verified(&known, &others, &credentials, own);
        assert!(matches!(refused, Err(AuthenticationError::ForeignToken(_))));
    }
}
