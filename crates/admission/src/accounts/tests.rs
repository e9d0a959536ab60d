use std::collections::HashMap;

use super::tables::MAX_PREFIXES;
use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/reader";

fn accounts() -> Accounts {
    Accounts::new(Arc::default())
}

fn bound(accounts: &Accounts, name: &str) -> Account {
    accounts.read(
        "app",
        name,
        [("eks.amazonaws.com/role-arn", ROLE), ("other.example/x", "y")],
    )
}

fn role(known: Known) -> String {
    match known {
        Known::Bound { identity, .. } => identity.role_arn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn accounts_come_change_and_go() {
    let accounts = accounts();
    assert!(!accounts.is_synced());
    assert_eq!(accounts.get("app", "a"), Known::Unknown);
    accounts.replace([bound(&accounts, "a"), accounts.read("app", "plain", [])]);
    assert!(accounts.is_synced());
    assert_eq!(role(accounts.get("app", "a")), ROLE);
    assert_eq!(accounts.get("app", "plain"), Known::Unbound);
    accounts.upsert(bound(&accounts, "plain"));
    assert_eq!(role(accounts.get("app", "plain")), ROLE);
    assert_eq!(accounts.counts(), (2, 0));
    accounts.remove("app", "a");
    assert_eq!(accounts.get("app", "a"), Known::Unknown);
    accounts.replace([]);
    assert_eq!(accounts.get("app", "plain"), Known::Unknown);
}

#[test]
fn what_a_list_does_not_name_goes_when_it_ends_and_not_before() {
    let accounts = accounts();
    let plain = |name| accounts.read("app", name, []);
    accounts.replace([bound(&accounts, "a"), bound(&accounts, "b"), plain("c"), plain("d")]);
    let mut listed = Listed::default();
    for account in [bound(&accounts, "a"), plain("c"), bound(&accounts, "new")] {
        accounts.list(&mut listed, account);
    }
    assert_eq!(role(accounts.get("app", "b")), ROLE);
    assert_eq!(role(accounts.get("app", "new")), ROLE);
    accounts.complete(listed);
    assert_eq!(role(accounts.get("app", "a")), ROLE);
    assert_eq!(accounts.get("app", "b"), Known::Unknown);
    assert_eq!(accounts.get("app", "c"), Known::Unbound);
    assert_eq!(accounts.get("app", "d"), Known::Unknown);
    // A role that was taken away while nobody watched.
    let mut listed = Listed::default();
    accounts.list(&mut listed, plain("a"));
    accounts.complete(listed);
    assert_eq!(accounts.get("app", "a"), Known::Unbound);
    assert_eq!(accounts.counts(), (0, 1));
}

#[test]
fn an_account_that_was_just_made_may_get_its_role_in_a_moment() {
    let accounts = accounts();
    accounts.replace([]);
    accounts.upsert(accounts.read("app", "fresh", [("eks.amazonaws.com/role-arn", "")]));
    assert_eq!(accounts.get("app", "fresh"), Known::PerhapsUnbound);
}

#[test]
fn that_there_is_no_role_is_not_believed_of_a_lost_watch() {
    let accounts = accounts();
    accounts.mark_lagging();
    assert!(!accounts.is_synced());
    accounts.replace([bound(&accounts, "a"), accounts.read("app", "plain", [])]);
    accounts.mark_lagging();
    assert_eq!(accounts.get("app", "plain"), Known::PerhapsUnbound);
    assert_eq!(role(accounts.get("app", "a")), ROLE);
    assert!(accounts.is_synced());
    accounts.mark_synced();
    assert_eq!(accounts.get("app", "plain"), Known::Unbound);
}

#[test]
fn annotations_beside_the_role_are_kept_with_their_warnings() {
    let accounts = accounts();
    let annotations = [
        ("eks.amazonaws.com/role-arn", ROLE),
        ("eks.amazonaws.com/audience", "other"),
        ("eks.amazonaws.com/token-expiration", "soon"),
    ];
    accounts.upsert(accounts.read("app", "a", annotations));
    let Known::Bound { identity, warnings } = accounts.get("app", "a") else {
        panic!("no role");
    };
    assert_eq!(
        (identity.role_arn.as_str(), identity.audience.as_str()),
        (ROLE, "other")
    );
    assert_eq!(warnings, ["token expiration `soon` is not usable, 86400 seconds apply"]);
}

#[test]
fn what_an_account_without_a_role_says_counts_for_pod_identity() {
    let accounts = accounts();
    let annotations = [
        ("eks.amazonaws.com/sts-regional-endpoints", "true"),
        ("eks.amazonaws.com/token-expiration", "7200"),
    ];
    accounts.replace([
        accounts.read("app", "a", annotations),
        accounts.read("app", "plain", [("eks.amazonaws.com/role-arn", "")]),
    ]);
    assert_eq!(accounts.get("app", "a"), Known::Unbound);
    assert_eq!(accounts.beside_role("app", "a"), Some((true, 7_200)));
    assert_eq!(accounts.beside_role("app", "plain"), None);
    assert!(accounts.bound().is_empty());
}

#[test]
fn role_arns_are_as_they_were_written() {
    let accounts = accounts();
    let mut all: Vec<(String, String)> = [
        ROLE,
        "arn:aws:iam::111122223333:role/team/é,=@",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/a:role/b",
        ":role/x",
        "reader",
        "\u{1}a\0b",
        &format!("arn:{}:role/x", "long".repeat(40)),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, role)| (format!("odd-{number}"), role.to_owned()))
    .collect();
    // More beginnings than are kept.
    all.extend((0..MAX_PREFIXES + 50).map(|number| (format!("r-{number}"), format!("arn:aws:iam::{number}:role/x"))));
    let read =
        |(name, role): &(String, String)| accounts.read("app", name, [("eks.amazonaws.com/role-arn", role.as_str())]);
    let mut listed = Listed::default();
    for account in &all {
        accounts.list(&mut listed, read(account));
    }
    accounts.complete(listed);
    for account in &all {
        assert_eq!(role(accounts.get("app", &account.0)), account.1);
    }
    assert_eq!(accounts.tables().prefixes.len(), MAX_PREFIXES);
    let bound: HashMap<String, Identity> = accounts.bound().into_iter().collect();
    assert_eq!(bound.len(), all.len());
    assert_eq!(bound["app/odd-1"].role_arn, all[1].1);
    // The other way round.
    accounts.upsert(accounts.read("app", "odd-0", [("eks.amazonaws.com/role-arn", "reader")]));
    assert_eq!(role(accounts.get("app", "odd-0")), "reader");
}

#[test]
fn an_account_is_never_taken_for_another_of_its_hash() {
    let accounts = accounts();
    accounts.replace([bound(&accounts, "a")]);
    let hash = accounts.hash("app/a");
    {
        let mut tables = accounts.write();
        let packed = tables.pack("app/b", "other");
        tables.entries.insert(hash, packed);
    }
    assert_eq!(accounts.get("app", "a"), Known::Unknown);
    accounts.remove("app", "a");
    assert_eq!(accounts.counts(), (1, 0), "the other stays");
}

#[test]
fn a_look_up_teaches_the_tables_nothing() {
    let accounts = accounts();
    let looked_up = bound(&accounts, "a");
    assert_eq!(role(accounts.of(&looked_up)), ROLE);
    assert_eq!(accounts.get("app", "a"), Known::Unknown);
}
