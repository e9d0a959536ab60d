use crate::harness::{Server, account_id, lines, text, texts};

const ANN: (&str, &str) = ("UserName", "ann");

fn server() -> Server {
    let mut server = Server::new();
    server.ok("CreateUser", &[ANN]);
    server.ok("CreateUser", &[("UserName", "bob")]);
    server
}

#[test]
fn adv_ia_12_a_secret_is_seen_once() {
    let mut server = server();
    let created = server.answer("CreateAccessKey", &[ANN]).unwrap();
    let (answer, event) = (created.result.unwrap(), created.response_elements.unwrap().to_string());
    let (id, secret) = (
        text(&answer, "AccessKeyId").to_owned(),
        text(&answer, "SecretAccessKey").to_owned(),
    );
    assert_eq!((id.len(), &id[..4], secret.len()), (20, "AKIA", 40));
    insta::assert_snapshot!(
        "access_key_created",
        lines(&answer.replace(&secret, "SECRET").replace(&id, "ID"))
    );
    assert!(
        event.contains(&id) && !event.contains(&secret) && !event.contains("ecretAccessKey"),
        "{event}"
    );
    let key = server.state.access_key(&id.parse().unwrap()).unwrap();
    assert_eq!(key.secret.expose(), secret);
    let listed = server.ok("ListAccessKeys", &[ANN]);
    insta::assert_snapshot!("access_keys", lines(&listed.replace(&id, "ID")));
    let everything = [
        listed,
        server.ok("GetAccessKeyLastUsed", &[("AccessKeyId", &id)]),
        server.ok("GetUser", &[ANN]),
        server.ok("GetAccountAuthorizationDetails", &[]),
        server.dump(),
    ];
    assert!(!everything.concat().contains(&secret));
}

#[test]
fn keys_are_switched_and_deleted() {
    let mut server = server();
    let id = text(&server.ok("CreateAccessKey", &[ANN]), "AccessKeyId").to_owned();
    let key = ("AccessKeyId", id.as_str());
    server.ok("UpdateAccessKey", &[ANN, key, ("Status", "Inactive")]);
    assert_eq!(texts(&server.ok("ListAccessKeys", &[ANN]), "Status"), ["Inactive"]);
    assert!(!server.state.access_key(&id.parse().unwrap()).unwrap().is_active());
    server.ok("UpdateAccessKey", &[ANN, key, ("Status", "Active")]);
    assert!(
        server
            .error("UpdateAccessKey", &[ANN, key, ("Status", "active")])
            .starts_with("ValidationError")
    );
    assert!(server.error("UpdateAccessKey", &[ANN, key]).contains("'status'"));
    insta::assert_snapshot!(
        "access_key_last_used",
        lines(&server.ok("GetAccessKeyLastUsed", &[key]))
    );
    server.ok("DeleteAccessKey", &[ANN, key]);
    assert!(server.state.access_key(&id.parse().unwrap()).is_none());
    let missing = format!("NoSuchEntity 404: The Access Key with id {id} cannot be found.");
    assert_eq!(server.error("DeleteAccessKey", &[ANN, key]), missing);
    assert_eq!(server.error("GetAccessKeyLastUsed", &[key]), missing);
}

#[test]
fn the_right_to_one_users_keys_is_none_to_anothers() {
    let mut server = server();
    let id = text(&server.ok("CreateAccessKey", &[ANN]), "AccessKeyId").to_owned();
    let key = ("AccessKeyId", id.as_str());
    let missing = format!("NoSuchEntity 404: The Access Key with id {id} cannot be found.");
    let bob = ("UserName", "bob");
    assert_eq!(server.error("DeleteAccessKey", &[bob, key]), missing);
    assert_eq!(
        server.error("UpdateAccessKey", &[bob, key, ("Status", "Inactive")]),
        missing
    );
    server.caller = server.user("bob");
    assert_eq!(server.error("DeleteAccessKey", &[key]), missing);
    // Another account does not see the key at all.
    server.caller = server.add_account("444455556666");
    assert_eq!(server.error("GetAccessKeyLastUsed", &[key]), missing);
}

#[test]
fn quota() {
    let mut server = server();
    let ids = [
        server.ok("CreateAccessKey", &[ANN]),
        server.ok("CreateAccessKey", &[ANN]),
    ];
    assert_ne!(text(&ids[0], "AccessKeyId"), text(&ids[1], "AccessKeyId"));
    assert_eq!(
        server.error("CreateAccessKey", &[ANN]),
        "LimitExceeded 409: Cannot exceed quota for AccessKeysPerUser: 2"
    );
    server.ok("CreateAccessKey", &[("UserName", "bob")]);
}

#[test]
fn the_roots_own_keys() {
    let mut server = server();
    let created = server.ok("CreateAccessKey", &[]);
    assert!(!created.contains("UserName"));
    assert_eq!(texts(&server.ok("ListAccessKeys", &[]), "AccessKeyId").len(), 2);
    let id = text(&created, "AccessKeyId");
    assert_eq!(
        id.parse::<irsa_core::AccessKeyId>().unwrap().account(),
        Some(account_id("111122223333"))
    );
    server.ok("UpdateAccessKey", &[("AccessKeyId", id), ("Status", "Inactive")]);
    server.ok("DeleteAccessKey", &[("AccessKeyId", id)]);
    assert_eq!(texts(&server.ok("ListAccessKeys", &[]), "AccessKeyId").len(), 1);
}
