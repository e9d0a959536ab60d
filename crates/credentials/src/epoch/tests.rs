use std::collections::HashSet;

use irsa_core::AccountId;
use proptest::prelude::*;

use super::*;
use crate::{Federated, KeyEncryptionKey, SessionPrincipal};

fn keys() -> EpochKeys {
    EpochKeys::new(EpochKey::new(7, &[7; 32]), vec![EpochKey::new(6, &[6; 32])])
}

fn example() -> Session {
    Session {
        account: "111122223333".parse().unwrap(),
        principal: SessionPrincipal::Role {
            role_name: "app".into(),
            role_path: "/".into(),
            role_id: "AROAEXAMPLE1234567890".into(),
            session_name: "s1".into(),
        },
        issued_at: Timestamp::from_unix_seconds(1_767_323_045),
        expires_at: Timestamp::from_unix_seconds(1_767_326_645),
        source_identity: None,
        tags: vec![("kubernetes-namespace".into(), "default".into())],
        transitive_tag_keys: Vec::new(),
        session_policy: None,
        session_policy_arns: Vec::new(),
        federated: Some(Federated {
            provider_arn: "arn:aws:iam::111122223333:oidc-provider/issuer.example/id/1".into(),
            issuer: "https://issuer.example/id/1".into(),
            audience: "sts.amazonaws.com".into(),
            subject: "system:serviceaccount:default:app".into(),
            amr: Vec::new(),
        }),
        mfa: false,
        chained: false,
    }
}

fn sessions() -> impl Strategy<Value = Session> {
    let text = || any::<String>();
    let principal = prop_oneof![
        (text(), text(), text(), text()).prop_map(|(role_name, role_path, role_id, session_name)| {
            SessionPrincipal::Role {
                role_name,
                role_path,
                role_id,
                session_name,
            }
        }),
        (text(), text(), text()).prop_map(|(user_name, user_path, user_id)| SessionPrincipal::User {
            user_name,
            user_path,
            user_id
        }),
        (text(), text(), text(), text()).prop_map(|(name, user_name, user_path, user_id)| {
            SessionPrincipal::FederatedUser {
                name,
                user_name,
                user_path,
                user_id,
            }
        }),
        Just(SessionPrincipal::Root),
    ];
    let federated = (text(), text(), text(), text(), any::<Vec<String>>()).prop_map(
        |(provider_arn, issuer, audience, subject, amr)| Federated {
            provider_arn,
            issuer,
            audience,
            subject,
            amr: amr.into_iter().take(3).collect(),
        },
    );
    let texts = || prop::collection::vec(text(), 0..4);
    (
        (
            0..1_000_000_000_000_u64,
            principal,
            any::<i64>(),
            any::<i64>(),
            any::<bool>(),
            any::<bool>(),
        ),
        prop::option::of(text()),
        prop::collection::vec((text(), text()), 0..4),
        texts(),
        prop::option::of(text()),
        texts(),
        prop::option::of(federated),
    )
        .prop_map(
            |((account, principal, issued, expires, mfa, chained), source_identity, tags, keys, policy, arns, from)| {
                Session {
                    account: AccountId::from_number(account).unwrap(),
                    principal,
                    issued_at: Timestamp::from_unix_millis(issued),
                    expires_at: Timestamp::from_unix_millis(expires),
                    source_identity,
                    tags,
                    transitive_tag_keys: keys,
                    session_policy: policy,
                    session_policy_arns: arns,
                    federated: from,
                    mfa,
                    chained,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_minted_session_opens_as_it_was(session in sessions()) {
        let minted = keys().mint(&session).unwrap();
        prop_assert!(minted.access_key_id.is_temporary());
        prop_assert_eq!(minted.access_key_id.account(), Some(session.account));
        prop_assert_eq!(minted.expires_at, session.expires_at);
        prop_assert_eq!(minted.secret_access_key.expose().len(), 40);
        let (opened, secret) = keys().open(&minted.access_key_id, &minted.session_token).unwrap();
        prop_assert_eq!(opened, session);
        prop_assert_eq!(secret.expose(), minted.secret_access_key.expose());
    }

    #[test]
    fn adv_sv_23_any_changed_character_is_refused(at: prop::sample::Index, by: char) {
        let minted = keys().mint(&example()).unwrap();
        let at = at.index(minted.session_token.len());
        let mut characters: Vec<char> = minted.session_token.chars().collect();
        prop_assume!(characters[at] != by);
        characters[at] = by;
        let changed: String = characters.into_iter().collect();
        prop_assert!(keys().open(&minted.access_key_id, &changed).is_err());
    }

    #[test]
    fn adv_sv_23_any_changed_bit_of_the_bytes_is_refused(at: prop::sample::Index, mask in 1_u8..) {
        let minted = keys().mint(&example()).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&minted.session_token).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        prop_assert!(keys().open(&minted.access_key_id, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn random_tokens_are_refused(token: String, bytes: Vec<u8>) {
        let key: AccessKeyId = "ASIAEXAMPLE123456789".parse().unwrap();
        prop_assert!(keys().open(&key, &token).is_err());
        let shaped = [&[VERSION, 0, 0, 0, 7], bytes.as_slice()].concat();
        prop_assert!(keys().open(&key, &URL_SAFE_NO_PAD.encode(shaped)).is_err());
    }
}

#[test]
fn adv_sv_22_a_token_opens_only_with_its_own_key_id() {
    let first = keys().mint(&example()).unwrap();
    let second = keys().mint(&example()).unwrap();
    assert_eq!(
        keys().open(&second.access_key_id, &first.session_token).err(),
        Some(OpenError::NotAuthentic)
    );
    let long_term = AccessKeyId::long_term(example().account, [1; 5]);
    assert_eq!(
        keys().open(&long_term, &first.session_token).err(),
        Some(OpenError::NotAuthentic)
    );
}

#[test]
fn adv_sv_23_another_account_does_not_open_the_token() {
    let random = [1, 2, 3, 4, 5];
    let ours = AccessKeyId::temporary(example().account, random);
    let theirs = AccessKeyId::temporary("444455556666".parse().unwrap(), random);
    let minted = keys().mint_as(&example(), 0, ours, [9; 16], [1; 12]).unwrap();
    assert_eq!(
        keys().open(&theirs, &minted.session_token).err(),
        Some(OpenError::NotAuthentic)
    );
}

#[test]
fn adv_sv_23_truncated_and_extended_tokens_are_refused() {
    let minted = keys().mint(&example()).unwrap();
    for length in 0..minted.session_token.len() {
        assert!(
            keys()
                .open(&minted.access_key_id, &minted.session_token[..length])
                .is_err(),
            "{length}"
        );
    }
    for tail in ["A", "AA", "AAA", "AAAA", "=", "==", " ", "\n"] {
        let longer = format!("{}{tail}", minted.session_token);
        assert!(keys().open(&minted.access_key_id, &longer).is_err(), "{tail:?}");
    }
    let too_long = "A".repeat(MAX_TOKEN_LEN + 1);
    assert_eq!(
        keys().open(&minted.access_key_id, &too_long).err(),
        Some(OpenError::TooLong)
    );
}

#[test]
fn adv_sv_24_an_equal_key_id_does_not_fix_the_secret() {
    let key = AccessKeyId::temporary(example().account, [1, 2, 3, 4, 5]);
    let secrets: HashSet<String> = (0..64_u8)
        .map(|index| {
            let minted = keys()
                .mint_as(&example(), 0, key.clone(), [index; 16], [1; 12])
                .unwrap();
            minted.secret_access_key.expose().to_owned()
        })
        .collect();
    assert_eq!(secrets.len(), 64);
}

#[test]
fn adv_sv_24_the_secret_is_keyed_by_the_epoch() {
    // All that a client could know (key id, even the session id) is the same; only the epoch key differs.
    let key = AccessKeyId::temporary(example().account, [1, 2, 3, 4, 5]);
    let other = EpochKeys::new(EpochKey::new(7, &[8; 32]), Vec::new());
    let ours = keys().mint_as(&example(), 0, key.clone(), [9; 16], [1; 12]).unwrap();
    let theirs = other.mint_as(&example(), 0, key.clone(), [9; 16], [1; 12]).unwrap();
    assert_ne!(ours.secret_access_key.expose(), theirs.secret_access_key.expose());
    assert_ne!(ours.session_token, theirs.session_token);
    assert_eq!(
        other.open(&key, &ours.session_token).err(),
        Some(OpenError::NotAuthentic)
    );
}

/// Half of a secret's bits differ from those of each neighbour, and of everything public beside it: nothing of the one tells about the other.
/// All inputs are fixed, so that the numbers are the same each time.
#[test]
fn adv_sv_24_a_secret_says_nothing_about_its_neighbours() {
    use aws_lc_rs::digest::{SHA256, digest};

    let distance = |one: &[u8], other: &[u8]| -> u32 {
        one.iter()
            .zip(other)
            .map(|(one, other)| (one ^ other).count_ones())
            .sum()
    };
    let secret = |key: [u8; 5], id: [u8; 16]| {
        let key = AccessKeyId::temporary(example().account, key);
        let minted = keys().mint_as(&example(), 0, key, id, [1; 12]).unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(minted.secret_access_key.expose())
            .unwrap()
    };
    let (key, id) = ([1, 2, 3, 4, 5], [9; 16]);
    let first = secret(key, id);
    let bits = 8 * u32::try_from(first.len()).unwrap();
    assert!(bits >= 240, "{bits}");
    let mut sum = 0;
    let mut count = 0;
    for bit in 0..(16 + 5) * 8_usize {
        let (mut key, mut id) = (key, id);
        if bit < 128 {
            id[bit / 8] ^= 1 << (bit % 8);
        } else {
            key[(bit - 128) / 8] ^= 1 << (bit % 8);
        }
        let key_id = |bytes| AccessKeyId::temporary(example().account, bytes);
        // One bit of the five bytes has no room in a key id.
        if id == [9; 16] && key_id(key) == key_id([1, 2, 3, 4, 5]) {
            continue;
        }
        let apart = distance(&first, &secret(key, id));
        // Four standard deviations and more around a half.
        assert!(
            (bits / 4..bits * 3 / 4).contains(&apart),
            "bit {bit}: {apart} of {bits}"
        );
        sum += apart;
        count += 1;
    }
    let mean = f64::from(sum) / f64::from(count * bits);
    assert!((0.48..0.52).contains(&mean), "{mean}");
    // What everybody can compute from what is public is as far away.
    let access_key_id = AccessKeyId::temporary(example().account, key);
    let minted = keys()
        .mint_as(&example(), 0, access_key_id.clone(), id, [1; 12])
        .unwrap();
    for public in [
        access_key_id.as_str().as_bytes(),
        minted.session_token.as_bytes(),
        &[access_key_id.as_str().as_bytes(), &id].concat(),
        &id,
    ] {
        let guess = digest(&SHA256, public);
        let apart = distance(&first, guess.as_ref());
        assert!((bits / 4..bits * 3 / 4).contains(&apart), "{apart} of {bits}");
        assert!(!minted.session_token.contains(minted.secret_access_key.expose()));
    }
}

#[test]
fn adv_sv_25_a_token_does_not_open_as_a_stored_secret() {
    // The same bytes as epoch key and as key-encryption key, and a token whose layout is the same but for the epoch.
    let minted = keys().mint(&example()).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&minted.session_token).unwrap();
    let stored = [&[VERSION], &bytes[HEADER_LEN..]].concat();
    let aad = EpochKey::associated_data([VERSION, 0, 0, 0, 7], &minted.access_key_id);
    assert!(KeyEncryptionKey::from_bytes([7; 32]).open(&aad, &stored).is_err());
}

#[test]
fn previous_epochs_open_and_forgotten_ones_do_not() {
    let old = EpochKeys::new(EpochKey::new(6, &[6; 32]), Vec::new());
    let minted = old.mint(&example()).unwrap();
    let (session, secret) = keys().open(&minted.access_key_id, &minted.session_token).unwrap();
    assert_eq!(session, example());
    assert_eq!(secret.expose(), minted.secret_access_key.expose());
    let forgotten = EpochKeys::new(EpochKey::new(7, &[7; 32]), Vec::new());
    assert_eq!(
        forgotten.open(&minted.access_key_id, &minted.session_token).err(),
        Some(OpenError::UnknownEpoch { epoch: 6 })
    );
}

#[test]
fn an_unknown_version_is_told_apart() {
    let minted = keys().mint(&example()).unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(&minted.session_token).unwrap();
    for found in [0, 1, 3, 255] {
        bytes[0] = found;
        assert_eq!(
            keys()
                .open(&minted.access_key_id, &URL_SAFE_NO_PAD.encode(&bytes))
                .err(),
            Some(OpenError::Version { found })
        );
    }
}

#[test]
fn a_session_that_fits_no_token_is_refused() {
    let mut session = example();
    session.session_policy = Some("x".repeat(MAX_TOKEN_LEN));
    assert!(matches!(keys().mint(&session), Err(MintError::TooLarge { .. })));
}

/// A token whose plaintext is the example session and `tail`.
fn token_with_tail(key: &AccessKeyId, tail: &[u8]) -> String {
    let epoch = EpochKey::new(7, &[7; 32]);
    let header = [VERSION, 0, 0, 0, 7];
    let mut plaintext = postcard::to_allocvec(&SealedSession::of(&example(), [1; 16])).unwrap();
    plaintext.extend_from_slice(tail);
    let aad = EpochKey::associated_data(header, key);
    let tag = epoch.sealing.seal([1; 12], &aad, &mut plaintext).unwrap();
    URL_SAFE_NO_PAD.encode([header.as_slice(), &[1; 12], &plaintext, &tag].concat())
}

#[test]
fn only_zeros_may_follow_the_session_inside_of_the_seal() {
    let key = AccessKeyId::temporary(example().account, [1; 5]);
    for padding in [&[][..], &[0], &[0; 100]] {
        let (session, _) = keys().open(&key, &token_with_tail(&key, padding)).unwrap();
        assert_eq!(session, example());
    }
    for tail in [&[1][..], &[0, 0, 1], &[0x80; 4]] {
        assert_eq!(
            keys().open(&key, &token_with_tail(&key, tail)).err(),
            Some(OpenError::Malformed)
        );
    }
}

#[test]
fn a_token_is_padded_to_the_least_length_and_no_further() {
    let plain = keys().mint(&example()).unwrap().session_token.len();
    for minimum in (0..plain + 20).chain([1000, 1001, 1002, 1003, 4095, 4096]) {
        let minted = keys().mint_padded(&example(), minimum).unwrap();
        let length = minted.session_token.len();
        assert!(length >= minimum.max(plain), "{length} of {minimum}");
        // Base64 has no texts of 4n+1 characters.
        assert!(length <= minimum.max(plain) + 1, "{length} of {minimum}");
        let (session, secret) = keys().open(&minted.access_key_id, &minted.session_token).unwrap();
        assert_eq!(session, example());
        assert_eq!(secret.expose(), minted.secret_access_key.expose());
    }
    assert_eq!(
        keys()
            .mint_padded(&example(), MAX_TOKEN_LEN)
            .unwrap()
            .session_token
            .len(),
        MAX_TOKEN_LEN
    );
    assert_eq!(
        keys().mint_padded(&example(), MAX_TOKEN_LEN + 1).err(),
        Some(MintError::TooLarge {
            length: MAX_TOKEN_LEN + 1
        })
    );
}
