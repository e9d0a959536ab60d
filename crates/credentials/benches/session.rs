//! What minting and opening temporary credentials cost.

use irsa_core::Timestamp;
use irsa_credentials::{EpochKey, EpochKeys, Federated, Session, SessionPrincipal};

fn main() {
    divan::main();
}

fn keys() -> EpochKeys {
    EpochKeys::new(EpochKey::new(7, &[7; 32]), Vec::new())
}

/// The session of a pod.
fn session() -> Session {
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

#[divan::bench]
fn mint(bencher: divan::Bencher<'_, '_>) {
    let (keys, session) = (keys(), session());
    bencher.bench_local(|| keys.mint(&session).is_ok());
}

#[divan::bench]
fn open(bencher: divan::Bencher<'_, '_>) {
    let keys = keys();
    let minted = keys.mint(&session()).unwrap();
    bencher.bench_local(|| keys.open(&minted.access_key_id, &minted.session_token).is_ok());
}
