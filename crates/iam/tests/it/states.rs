//! What a state takes in, and what it refuses.

use irsa_credentials::KeyEncryptionKey;
use irsa_iam::{State, StateError, new_account};
use irsa_store::{Transaction, Write};

use crate::harness::{READ, Server, TRUST, account_id};

/// Entries of a small account, as the store would give them.
fn entries(server: &Server) -> Vec<(String, Vec<u8>)> {
    server
        .entries()
        .map(|(key, value)| (key.to_owned(), value.to_vec()))
        .collect()
}

fn server() -> Server {
    let mut server = Server::new();
    server.ok(
        "CreateRole",
        &[("RoleName", "App"), ("AssumeRolePolicyDocument", TRUST)],
    );
    server.ok("CreateUser", &[("UserName", "ann")]);
    server.ok(
        "PutUserPolicy",
        &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", READ)],
    );
    server.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", READ)]);
    let own = ("PolicyArn", "arn:aws:iam::111122223333:policy/own");
    server.ok("AttachUserPolicy", &[("UserName", "ann"), own]);
    server.ok("CreateOpenIDConnectProvider", &[("Url", "https://oidc.example/id/A")]);
    server
}

#[test]
fn a_restart_finds_everything_in_any_order() {
    let mut server = server();
    let details = server.ok("GetAccountAuthorizationDetails", &[]);
    for reversed in [false, true] {
        let mut entries = entries(&server);
        if reversed {
            entries.reverse();
        }
        let mut state = State::default();
        for (revision, (key, value)) in (1..).zip(&entries) {
            assert!(State::owns(key));
            state.apply(key, Some(value), revision, &Server::kek()).unwrap();
        }
        server.state = state;
        assert_eq!(server.ok("GetAccountAuthorizationDetails", &[]), details);
    }
}

#[test]
fn adv_ia_21_garbage_is_an_error_and_changes_nothing() {
    let mut server = server();
    let details = server.ok("GetAccountAuthorizationDetails", &[]);
    for (key, value) in entries(&server).into_iter().filter(|(_, value)| !value.is_empty()) {
        let text = String::from_utf8(value).unwrap();
        let unknown = text.replacen('{', "{\"unknown\":1,", 1);
        for bad in ["", "null", "{}", "[]", "\u{0}", &text[..text.len() / 2], &unknown] {
            let applied = server.state.apply(&key, Some(bad.as_bytes()), 99, &Server::kek());
            assert!(matches!(applied, Err(StateError::Record { .. })), "{key} {bad}");
        }
        assert!(
            server
                .state
                .apply(&key, Some(&[0xff, 0xfe]), 99, &Server::kek())
                .is_err(),
            "{key}"
        );
    }
    for key in ["iam/", "iam/x/role/a", "iam/111122223333/nothing/a", "other"] {
        assert!(
            matches!(
                server.state.apply(key, Some(b"{}"), 99, &Server::kek()),
                Err(StateError::Key(_))
            ),
            "{key}"
        );
    }
    assert_eq!(server.ok("GetAccountAuthorizationDetails", &[]), details);
}

#[test]
fn a_damaged_policy_does_not_load() {
    let mut server = server();
    for (key, value) in entries(&server) {
        let text = String::from_utf8(value).unwrap();
        let damaged = text.replace("Effect", "Efect");
        if damaged != text {
            let applied = server.state.apply(&key, Some(damaged.as_bytes()), 99, &Server::kek());
            assert!(matches!(applied, Err(StateError::Policy { .. })), "{key}");
        }
    }
}

#[test]
fn secrets_open_under_their_own_key_and_id_only() {
    let server = server();
    let (key, value) = entries(&server)
        .into_iter()
        .find(|(key, _)| key.contains("access-key"))
        .unwrap();
    let other = KeyEncryptionKey::from_bytes([8; 32]);
    let applied = State::default().apply(&key, Some(&value), 1, &other);
    assert!(matches!(applied, Err(StateError::Secret(_))));
    let id = key.rsplit('/').next().unwrap();
    let moved = String::from_utf8(value).unwrap().replace(id, "AKIAAAAAAAAAAAAAAAAA");
    let applied = State::default().apply(&key, Some(moved.as_bytes()), 1, &Server::kek());
    assert!(matches!(applied, Err(StateError::Secret(_))));
}

#[test]
fn a_new_account_is_made_once_and_its_secret_is_sealed() {
    let mut server = Server::new();
    let id = account_id("444455556666");
    let account = new_account(id, "other", server.now, [1; 5], &Server::kek()).unwrap();
    let again = new_account(id, "again", server.now, [2; 5], &Server::kek()).unwrap();
    server.commit(&account.transaction).unwrap();
    assert!(server.commit(&again.transaction).is_err());
    assert!(!server.dump().contains(account.secret_access_key.expose()));
    let key = server.state.access_key(&account.access_key_id).unwrap();
    assert_eq!(key.secret.expose(), account.secret_access_key.expose());
    assert_eq!(server.state.accounts().count(), 2);
}

#[test]
fn a_boundary_that_is_gone_allows_nothing() {
    let mut server = server();
    let own = "arn:aws:iam::111122223333:policy/own";
    let all = crate::harness::allow("iam:*");
    server.ok(
        "PutRolePolicy",
        &[("RoleName", "App"), ("PolicyName", "p"), ("PolicyDocument", &all)],
    );
    server.ok(
        "PutRolePermissionsBoundary",
        &[("RoleName", "App"), ("PermissionsBoundary", own)],
    );
    // The API refuses this; a damaged store might not.
    let key = "iam/111122223333/policy/own".to_owned();
    server
        .commit(&Transaction {
            compares: Vec::new(),
            writes: vec![Write::Delete { key }],
        })
        .unwrap();
    let session = server.role_session("App");
    let refusal = server.refusal(&session, "GetRole", &[("RoleName", "App")]).unwrap();
    assert!(
        refusal.ends_with("because no permissions boundary allows the iam:GetRole action"),
        "{refusal}"
    );
}
