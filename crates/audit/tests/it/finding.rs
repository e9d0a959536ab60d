use std::fs;

use irsa_audit::{
    AuditError, Category, Durability, Event, EventError, Filter, Journal, JournalOptions, Record, Resource,
    SessionContext, SessionIssuer, UserIdentity, lookup, user_name, verify,
};
use irsa_core::{AccountId, Timestamp};
use tempfile::TempDir;

fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

fn time(minute: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + 60 * minute)
}

fn event<'a>(name: &'a str, minute: i64, identity: UserIdentity<'a>) -> Event<'a> {
    Event {
        user_identity: identity,
        event_time: time(minute),
        event_source: "sts.amazonaws.com",
        event_name: name,
        aws_region: "us-east-1",
        source_ip_address: "203.0.113.5",
        user_agent: "test",
        error: None,
        request_parameters: None,
        response_elements: None,
        additional_event_data: &[],
        irsa: None,
        request_id: "request",
        event_id: "event",
        read_only: true,
        resources: &[],
        category: Category::Management,
        recipient_account: Some(account(111122223333)),
        tls: None,
    }
}

/// An exchange, what the session then does, a user with an odd name, and a refusal in another account.
fn story() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        segment_bytes: 1500,
        ..JournalOptions::new(Durability::Kernel, [1; 32])
    };
    let journal = Journal::open(folder.path(), options).unwrap();
    let pod = UserIdentity::WebIdentityUser {
        principal_id: "provider:aud:system:serviceaccount:ns:sa",
        user_name: "system:serviceaccount:ns:sa",
        identity_provider: "provider",
    };
    let session = UserIdentity::AssumedRole {
        principal_id: "AROAEXAMPLE:app1",
        arn: "arn:aws:sts::111122223333:assumed-role/reader/app1",
        account: account(111122223333),
        access_key_id: Some("ASIAONE"),
        session: SessionContext {
            issuer: Some(SessionIssuer {
                principal_id: "AROAEXAMPLE",
                arn: "arn:aws:iam::111122223333:role/apps/reader",
                account: account(111122223333),
                user_name: "reader",
            }),
            federated_provider: Some("provider"),
            created: time(1),
            mfa: false,
            source_identity: None,
        },
    };
    let odd = UserIdentity::IamUser {
        principal_id: "AIDAEXAMPLE",
        arn: "arn:aws:iam::111122223333:user/o",
        account: account(111122223333),
        access_key_id: Some("AKIAONE"),
        user_name: "o\"\u{2028}",
        session: None,
    };
    let bucket = [Resource {
        account: None,
        kind: "AWS::S3::Object",
        arn: "arn:aws:s3:::b/k",
    }];
    let events = [
        Event {
            response_elements: Some(r#"{"credentials":{"accessKeyId":"ASIAONE"}}"#),
            request_id: "r1",
            ..event("AssumeRoleWithWebIdentity", 1, pod)
        },
        Event {
            event_source: "s3.amazonaws.com",
            category: Category::Data,
            resources: &bucket,
            request_id: "r2",
            event_id: "e2",
            ..event("GetObject", 2, session)
        },
        Event {
            event_source: "s3.amazonaws.com",
            category: Category::Data,
            error: Some(EventError {
                code: "AccessDenied",
                message: "GetObject is not what was asked",
            }),
            read_only: false,
            request_id: "r3",
            ..event("PutObject", 3, session)
        },
        Event {
            event_source: "iam.amazonaws.com",
            read_only: false,
            request_id: "r4",
            ..event("CreateUser", 4, odd)
        },
        Event {
            recipient_account: Some(account(5)),
            error: Some(EventError {
                code: "AccessDenied",
                message: "no",
            }),
            request_id: "r5",
            ..event(
                "AssumeRoleWithWebIdentity",
                5,
                UserIdentity::Unknown { access_key_id: None },
            )
        },
    ];
    for event in events {
        journal.append(&event.to_json()).unwrap();
    }
    folder
}

#[test]
fn each_filter_finds_its_events_newest_first() {
    let folder = story();
    let all = Filter::default;
    let cases: Vec<(Filter, &[u64])> = vec![
        (all(), &[5, 4, 3, 2, 1]),
        (
            Filter {
                limit: Some(2),
                ..all()
            },
            &[5, 4],
        ),
        (
            Filter {
                limit: Some(0),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                event_name: Some("AssumeRoleWithWebIdentity".into()),
                ..all()
            },
            &[5, 1],
        ),
        (
            Filter {
                event_name: Some("GetObject".into()),
                ..all()
            },
            &[2],
        ),
        (
            Filter {
                event_name: Some("assumerolewithwebidentity".into()),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                action: Some("S3:getobject".into()),
                ..all()
            },
            &[2],
        ),
        (
            Filter {
                action: Some("GetObject".into()),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                event_source: Some("s3.amazonaws.com".into()),
                limit: Some(1),
                ..all()
            },
            &[3],
        ),
        (
            Filter {
                user: Some("app1".into()),
                ..all()
            },
            &[3, 2],
        ),
        (
            Filter {
                user: Some("system:serviceaccount:ns:sa".into()),
                ..all()
            },
            &[1],
        ),
        (
            Filter {
                user: Some("arn:aws:sts::111122223333:assumed-role/reader/app1".into()),
                ..all()
            },
            &[3, 2],
        ),
        (
            Filter {
                user: Some("arn:aws:iam::111122223333:role/apps/reader".into()),
                ..all()
            },
            &[3, 2],
        ),
        (
            Filter {
                user: Some("o\"\u{2028}".into()),
                ..all()
            },
            &[4],
        ),
        (
            Filter {
                access_key_id: Some("ASIAONE".into()),
                ..all()
            },
            &[3, 2, 1],
        ),
        (
            Filter {
                request_id: Some("r4".into()),
                ..all()
            },
            &[4],
        ),
        (
            Filter {
                event_id: Some("e2".into()),
                ..all()
            },
            &[2],
        ),
        (
            Filter {
                error_code: Some("AccessDenied".into()),
                ..all()
            },
            &[5, 3],
        ),
        (
            Filter {
                resource: Some("arn:aws:s3:::b/k".into()),
                ..all()
            },
            &[2],
        ),
        (
            Filter {
                read_only: Some(false),
                ..all()
            },
            &[4, 3],
        ),
        (
            Filter {
                management: Some(true),
                ..all()
            },
            &[5, 4, 1],
        ),
        (
            Filter {
                start: Some(time(2)),
                end: Some(time(4)),
                ..all()
            },
            &[4, 3, 2],
        ),
        (
            Filter {
                account: Some(account(5)),
                ..all()
            },
            &[5],
        ),
        (
            Filter {
                account: Some(account(6)),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                account: Some(account(111122223333)),
                error_code: Some("AccessDenied".into()),
                ..all()
            },
            &[3],
        ),
    ];
    for (filter, expected) in cases {
        let found = lookup(folder.path(), filter.clone()).unwrap();
        let found: Vec<u64> = found.map(|record| record.unwrap().sequence).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let folder = story();
    let Record { json, event, .. } = lookup(folder.path(), Filter::default())
        .unwrap()
        .last()
        .unwrap()
        .unwrap();
    assert!(json.starts_with(r#"{"eventVersion":"1.11","userIdentity":{"type":"WebIdentityUser","#));
    assert_eq!(user_name(&event), Some("system:serviceaccount:ns:sa"));
}

#[test]
fn long_records_and_long_journals() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), JournalOptions::new(Durability::Kernel, [1; 32])).unwrap();
    let lengths = [1, 65_000, 1, 200_000, Journal::MAX_RECORD - 8, 1, 64 << 10, 70_000];
    for length in lengths {
        journal
            .append(&format!("{{\"a\":\"{}\"}}", "l".repeat(length)))
            .unwrap();
    }
    let found = lookup(folder.path(), Filter::default()).unwrap();
    let found: Vec<usize> = found
        .map(|record| record.unwrap().event["a"].as_str().unwrap().len())
        .collect();
    assert!(found.iter().eq(lengths.iter().rev()), "{found:?}");
    assert_eq!(verify(folder.path(), &[1; 32]).unwrap().records, 8);
}

#[test]
fn a_line_that_cannot_be_read_is_told_and_passed() {
    let folder = story();
    let paths = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let newest = paths.filter(|path| path.extension().is_some()).max().unwrap();
    let mut text = fs::read(&newest).unwrap();
    text.extend_from_slice(b"not a record\nnot complete");
    fs::write(&newest, text).unwrap();
    let mut found = lookup(folder.path(), Filter::default()).unwrap();
    assert!(matches!(found.next(), Some(Err(AuditError::Damaged { .. }))));
    assert_eq!(
        found.map(|record| record.unwrap().sequence).collect::<Vec<_>>(),
        [5, 4, 3, 2, 1]
    );
    assert!(matches!(
        lookup(&folder.path().join("absent"), Filter::default()),
        Err(AuditError::Missing { .. })
    ));
}
