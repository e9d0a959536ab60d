//! Searches with indexes find what searches without them find, whatever becomes of the indexes.

use std::fs;
use std::path::{Path, PathBuf};

use irsa_audit::{
    Category, Durability, Event, EventError, Filter, Journal, JournalOptions, Resource, SessionContext, SessionIssuer,
    UserIdentity, Verdict, lookup, origin, search,
};
use irsa_core::{AccountId, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

const KEY: [u8; 32] = [9; 32];

pub(crate) fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

pub(crate) fn time(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + second)
}

/// A call of one of few callers, by numbers: what is chosen from few values collides, as in a real journal.
#[derive(Clone, Debug)]
struct Made {
    kind: u8,
    session: u8,
    object: u8,
    outcome: u8,
    second: i64,
}

fn made() -> impl Strategy<Value = Made> {
    (0..6_u8, 0..6_u8, 0..4_u8, 0..5_u8, 0..4000_i64).prop_map(|(kind, session, object, outcome, second)| Made {
        kind,
        session,
        object,
        outcome,
        second,
    })
}

fn key_of(session: u8) -> String {
    format!("ASIA{session:016}")
}

/// When a session began: sessions of one number are one session.
fn begun(session: u8) -> Timestamp {
    time(i64::from(session) * 7)
}

fn json(made: &Made, number: usize) -> String {
    let Made {
        kind,
        session,
        object,
        outcome,
        second,
    } = made;
    let key = key_of(*session);
    let (issued, exchange) = (key_of(session + 10), *kind == 0);
    let chained = *kind == 1;
    let subject = format!("system:serviceaccount:ns:sa{}", session % 3);
    let elements = match (exchange, chained) {
        (true, _) => Some(format!(r#"{{"credentials":{{"accessKeyId":"{key}"}}}}"#)),
        (_, true) => Some(format!(r#"{{"credentials":{{"accessKeyId":"{issued}"}}}}"#)),
        _ => None,
    };
    let irsa = format!(
        r#"{{"decision":"allowed","actions":["sts:AssumeRoleWithWebIdentity","s3:Two{session}"],"tokenId":"t{session}","kubernetes":{{"namespace":"ns","pod":{{"name":"pod{}","uid":"uid{session}"}}}}}}"#,
        session % 2
    );
    let arn = format!("arn:aws:s3:::b{}/k\u{e9}{object}", object % 2);
    let session_identity = |created, key| UserIdentity::AssumedRole {
        principal_id: "AROAEXAMPLE:a session",
        arn: "arn:aws:sts::111122223333:assumed-role/reader/a session",
        account: account(111_122_223_333),
        access_key_id: Some(key),
        session: SessionContext {
            issuer: Some(SessionIssuer {
                principal_id: "AROAEXAMPLE",
                arn: "arn:aws:iam::111122223333:role/apps/reader",
                account: account(111_122_223_333),
                user_name: "reader",
            }),
            federated_provider: None,
            created,
            mfa: false,
            source_identity: object.is_multiple_of(2).then_some("so\"urce"),
        },
    };
    Event {
        user_identity: match kind {
            0 => UserIdentity::WebIdentityUser {
                principal_id: "provider:aud:subject",
                user_name: &subject,
                identity_provider: "provider",
            },
            5 => session_identity(begun(session + 10), &issued),
            _ => session_identity(begun(*session), &key),
        },
        event_time: match kind {
            0 => begun(*session),
            1 => begun(session + 10),
            _ => time(*second),
        },
        event_source: if exchange || chained {
            "sts.amazonaws.com"
        } else {
            "s3.amazonaws.com"
        },
        event_name: [
            "AssumeRoleWithWebIdentity",
            "AssumeRole",
            "GetObject",
            "PutObject",
            "DeleteObject",
            "GetObject",
        ][usize::from(*kind)],
        aws_region: ["us-east-1", "eu-west-1"][usize::from(object % 2)],
        source_ip_address: "203.0.113.5",
        user_agent: "test",
        error: match outcome {
            0 => Some("AccessDenied"),
            1 => Some("NoSuchKey"),
            _ => None,
        }
        .map(|code| EventError { code, message: "no" }),
        request_parameters: Some(r#"{"roleName":"reader","name":7,"policyArn":["x"]}"#),
        response_elements: elements.as_deref(),
        additional_event_data: &[],
        irsa: exchange.then_some(irsa.as_str()),
        request_id: &format!("r{}", number / 2),
        event_id: &format!("e{number}"),
        read_only: *kind != 3,
        resources: &[Resource {
            account: Some(account(u64::from(*object))),
            kind: if exchange { "AWS::IAM::Role" } else { "AWS::S3::Object" },
            arn: &arn,
        }],
        category: if exchange || chained {
            Category::Management
        } else {
            Category::Data
        },
        recipient_account: Some(account(u64::from(object % 2))),
        tls: None,
    }
    .to_json()
}

fn filter() -> impl Strategy<Value = Filter> {
    let text = |choices: &'static [&'static str]| {
        prop_oneof![
            12 => Just(None),
            1 => prop::sample::select(choices).prop_map(|text| Some(text.to_owned())),
            1 => any::<String>().prop_map(Some),
        ]
    };
    let names = text(&[
        "GetObject",
        "PutObject",
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "getobject",
        "",
    ]);
    let callers = (
        text(&[
            "a session",
            "arn:aws:iam::111122223333:role/apps/reader",
            "system:serviceaccount:ns:sa1",
        ]),
        text(&["reader", "arn:aws:iam::111122223333:role/apps/reader", "k\u{e9}0"]),
        text(&["ns/sa0", "system:serviceaccount:ns:sa2", "ns/", "/"]),
        text(&["uid0", "uid3", "pod1", "ns/pod0", "t0"]),
        text(&["so\"urce", "source"]),
        text(&["ASIA0000000000000000", "ASIA0000000000000012"]),
    );
    let calls = (
        names,
        prop::collection::vec(prop::sample::select(&["GetObject", "DeleteObject"][..]), 0..3),
        text(&["s3.amazonaws.com", "sts.amazonaws.com"]),
        text(&["r1", "r7", "e7"]),
        text(&["us-east-1", "eu-west-1"]),
        text(&["AccessDenied", "NoSuchKey"]),
        text(&["arn:aws:s3:::b0/k\u{e9}0", "arn:aws:s3:::b1/k\u{e9}1"]),
        text(&["AWS::IAM::Role", "AWS::IAM::AccessKey", "AWS::S3::Object"]),
        text(&["s3:getobject", "S3:GetObject", "s3:Two1", "sts:AssumeRole"]),
    );
    let verdicts = [Verdict::Allowed, Verdict::Denied, Verdict::Failed];
    let rest = (
        prop::option::weighted(0.2, prop::sample::select(verdicts.to_vec())),
        prop::option::weighted(0.1, any::<bool>()),
        prop::option::weighted(0.1, any::<bool>()),
        prop::option::weighted(0.2, 0..4000_i64),
        prop::option::weighted(0.2, 0..4000_i64),
        prop::option::weighted(0.1, 0..5_u64),
        prop::option::weighted(0.2, 0..300_u64),
        prop::option::weighted(0.3, 0..40_usize),
    );
    (callers, calls, rest).prop_map(|(callers, calls, rest)| Filter {
        user: callers.0,
        role: callers.1,
        service_account: callers.2,
        pod: callers.3,
        source_identity: callers.4,
        access_key_id: callers.5,
        event_name: calls.0,
        event_names: calls.1.into_iter().map(str::to_owned).collect(),
        event_source: calls.2,
        request_id: calls.3,
        region: calls.4,
        error_code: calls.5,
        resource: calls.6,
        resource_type: calls.7,
        action: calls.8,
        verdict: rest.0,
        read_only: rest.1,
        management: rest.2,
        start: rest.3.map(time),
        end: rest.4.map(time),
        account: rest.5.map(account),
        before: rest.6,
        limit: rest.7,
        ..Filter::default()
    })
}

fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 60_000,
        index_bytes: Some(11_000),
        ..JournalOptions::new(Durability::Kernel, KEY)
    }
}

fn indexes(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("index")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn by_index(folder: &Path, filter: &Filter) -> Vec<u64> {
    let found = search(folder, &KEY, filter.clone()).unwrap();
    found.map(|record| record.unwrap().sequence).collect()
}

fn by_reading(folder: &Path, filter: &Filter) -> Vec<u64> {
    let found = lookup(folder, filter.clone()).unwrap();
    found.map(|record| record.unwrap().sequence).collect()
}

/// A journal of 300 records, most of them with indexes; the last ones have none yet.
fn journal(calls: &[Made]) -> (TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    for (number, made) in calls.iter().enumerate() {
        journal.append(&json(made, number)).unwrap();
    }
    journal.tidy().unwrap();
    (folder, journal)
}

#[test]
fn indexes_find_what_reading_everything_finds() {
    let mut runner = TestRunner::new(Config {
        cases: 4,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (prop::collection::vec(made(), 300), prop::collection::vec(filter(), 100));
    let some = std::cell::Cell::new(0);
    runner
        .run(&strategy, |(calls, filters)| {
            let (folder, _journal) = journal(&calls);
            prop_assert!(indexes(folder.path()).len() > 5);
            for filter in filters {
                let expected = by_reading(folder.path(), &filter);
                some.set(some.get() + usize::from(!expected.is_empty()));
                prop_assert_eq!(by_index(folder.path(), &filter), expected, "{:?}", filter);
            }
            Ok(())
        })
        .unwrap();
    assert!(some.get() > 40, "the filters find something: {}", some.get());
}

fn fixed(count: usize) -> Vec<Made> {
    let made = |number: usize| Made {
        kind: u8::try_from(number % 6).unwrap(),
        session: u8::try_from(number / 6 % 6).unwrap(),
        object: u8::try_from(number / 5 % 4).unwrap(),
        outcome: u8::try_from(number / 7 % 5).unwrap(),
        second: i64::try_from(number * 10).unwrap(),
    };
    (0..count).map(made).collect()
}

fn questions() -> Vec<Filter> {
    vec![
        Filter::default(),
        Filter {
            verdict: Some(Verdict::Denied),
            ..Filter::default()
        },
        Filter {
            event_name: Some("PutObject".to_owned()),
            action: Some("s3:putobject".to_owned()),
            start: Some(time(500)),
            end: Some(time(2500)),
            ..Filter::default()
        },
        Filter {
            pod: Some("uid1".to_owned()),
            ..Filter::default()
        },
        Filter {
            request_id: Some("r11".to_owned()),
            ..Filter::default()
        },
    ]
}

fn same_as_reading(folder: &Path, what: &str) {
    for filter in questions() {
        let expected = by_reading(folder, &filter);
        assert!(!expected.is_empty(), "{filter:?}");
        assert_eq!(by_index(folder, &filter), expected, "{what}: {filter:?}");
    }
}

#[test]
fn a_damaged_index_is_not_used() {
    let (folder, journal) = journal(&fixed(100));
    drop(journal);
    let folder = folder.path();
    same_as_reading(folder, "whole");
    let questions = &questions()[1..4];
    let expected: Vec<Vec<u64>> = questions.iter().map(|filter| by_reading(folder, filter)).collect();
    let same = |what: &str| {
        for (filter, expected) in questions.iter().zip(&expected) {
            assert_eq!(&by_index(folder, filter), expected, "{what}: {filter:?}");
        }
    };
    for path in indexes(folder).into_iter().take(2) {
        let whole = fs::read(&path).unwrap();
        // Each page, its tag, and the header's fields.
        let tags = (4080..whole.len()).step_by(4096);
        for place in (0..128).step_by(9).chain((160..whole.len()).step_by(1021)).chain(tags) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            same(&format!("{} at {place}", path.display()));
        }
        for length in [0, 159, 4095, whole.len() - 1, whole.len() - 4096] {
            fs::write(&path, &whole[..length]).unwrap();
            same(&format!("{} cut at {length}", path.display()));
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn an_index_is_good_for_its_part_and_journal_only() {
    let calls = fixed(300);
    let (folder, open) = journal(&calls);
    drop(open);
    let paths = indexes(folder.path());
    // Others' places.
    let contents: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    for (number, path) in paths.iter().enumerate() {
        fs::write(path, &contents[(number + 1) % paths.len()]).unwrap();
    }
    same_as_reading(folder.path(), "exchanged");
    // Names that claim other bounds, or are no names.
    for name in [
        "00000000000000000001-00000000000000000000-00000000000000000001.index",
        "00000000000000000001-00000000000000000007-99999999999999999999.index",
        "00000000000000000001-00000000000000000007-00000000000000000003.index",
        "x.index",
        "00000000000000000001-0-1.index",
    ] {
        fs::write(folder.path().join("index").join(name), &contents[0]).unwrap();
    }
    same_as_reading(folder.path(), "misnamed");
    // Another journal with the same key, whose lines are as long.
    let mut others = calls;
    others
        .iter_mut()
        .for_each(|made| made.outcome = 4 - made.outcome.min(4));
    let (other, open) = journal(&others);
    drop(open);
    for path in indexes(other.path()) {
        fs::remove_file(path).unwrap();
    }
    for (path, content) in paths.iter().zip(&contents) {
        fs::write(other.path().join("index").join(path.file_name().unwrap()), content).unwrap();
    }
    same_as_reading(other.path(), "another journal's");
    // The next start takes away what is of no use, and makes the rest anew.
    let journal = Journal::open(other.path(), options()).unwrap();
    journal.tidy().unwrap();
    same_as_reading(other.path(), "repaired");
    let reopened: Vec<_> = indexes(other.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert!(reopened.len() > 5);
}

#[test]
fn missing_indexes_are_made_again_and_gaps_are_filled() {
    let (folder, journal) = journal(&fixed(300));
    let paths = indexes(folder.path());
    fs::remove_file(&paths[1]).unwrap();
    fs::remove_file(&paths[4]).unwrap();
    fs::write(folder.path().join("index").join("half.draft"), "x").unwrap();
    same_as_reading(folder.path(), "with gaps");
    journal.tidy().unwrap();
    assert_eq!(indexes(folder.path()), paths);
    same_as_reading(folder.path(), "filled");
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    same_as_reading(folder.path(), "without");
    journal.tidy().unwrap();
    assert_eq!(indexes(folder.path()), paths);
    same_as_reading(folder.path(), "anew");
}

#[test]
fn hostile_values_find_nothing_and_break_nothing() {
    let (folder, _journal) = journal(&fixed(120));
    let long = "x".repeat(1 << 20);
    for value in [
        "",
        "\"",
        "\n",
        "\u{0}",
        "*",
        "%",
        "..",
        "\\u0041",
        "\"eventName\":\"GetObject\"",
        "' OR 1=1",
        &long,
    ] {
        let some = || Some(value.to_owned());
        for filter in [
            Filter {
                event_id: some(),
                ..Filter::default()
            },
            Filter {
                event_name: some(),
                ..Filter::default()
            },
            Filter {
                event_names: vec![value.to_owned()],
                ..Filter::default()
            },
            Filter {
                event_source: some(),
                ..Filter::default()
            },
            Filter {
                user: some(),
                ..Filter::default()
            },
            Filter {
                user_name: some(),
                ..Filter::default()
            },
            Filter {
                role: some(),
                ..Filter::default()
            },
            Filter {
                service_account: some(),
                ..Filter::default()
            },
            Filter {
                pod: some(),
                ..Filter::default()
            },
            Filter {
                token_id: some(),
                ..Filter::default()
            },
            Filter {
                access_key_id: some(),
                ..Filter::default()
            },
            Filter {
                signer: some(),
                ..Filter::default()
            },
            Filter {
                source_address: some(),
                ..Filter::default()
            },
            Filter {
                resource_name: some(),
                ..Filter::default()
            },
            Filter {
                resource_type: some(),
                ..Filter::default()
            },
        ] {
            assert_eq!(by_index(folder.path(), &filter), [0; 0], "{filter:?}");
            assert_eq!(by_reading(folder.path(), &filter), [0; 0], "{filter:?}");
        }
    }
    let never = Filter {
        start: Some(time(10)),
        end: Some(time(5)),
        ..Filter::default()
    };
    assert_eq!(by_index(folder.path(), &never), [0; 0]);
    let from_the_end_of_time = Filter {
        start: Some(Timestamp::from_unix_millis(i64::MAX)),
        pod: Some("uid1".to_owned()),
        ..Filter::default()
    };
    assert_eq!(by_index(folder.path(), &from_the_end_of_time), [0; 0]);
}

/// From a pod to all that its sessions did, and from one of these calls back to the pod.
#[test]
fn adv_au_07_from_an_access_back_to_the_pod() {
    // Session 1 is exchanged, takes another role, and that session reads; session 2 has nothing to do with it.
    let call = |kind, session, second| Made {
        kind,
        session,
        object: 1,
        outcome: 4,
        second,
    };
    let calls = [
        call(0, 1, 0),
        call(0, 2, 0),
        call(1, 1, 0),
        call(2, 1, 60),
        call(2, 2, 60),
        call(5, 1, 90),
        call(5, 2, 90),
    ];
    let (folder, journal) = journal(&calls);
    let of = |filter: Filter| by_index(folder.path(), &filter);
    let pod = |name: &str| Filter {
        pod: Some(name.to_owned()),
        ..Filter::default()
    };
    for name in ["uid1", "pod1", "ns/pod1"] {
        assert_eq!(of(pod(name)), [6, 4, 3, 1], "{name}");
    }
    assert_eq!(of(pod("uid2")), [5, 2]);
    assert_eq!(of(pod("uid3")), [0; 0]);
    let service_account = |name: &str| Filter {
        service_account: Some(name.to_owned()),
        ..Filter::default()
    };
    assert_eq!(of(service_account("ns/sa1")), [6, 4, 3, 1]);
    assert_eq!(of(service_account("system:serviceaccount:ns:sa1")), [6, 4, 3, 1]);
    let token = Filter {
        token_id: Some("t1".to_owned()),
        event_name: Some("GetObject".to_owned()),
        start: Some(time(70)),
        ..Filter::default()
    };
    assert_eq!(of(token), [6], "sessions that began before the range count");
    // A session with the same key id that began at another time is another one.
    let stranger = json(&call(5, 1, 90), 7).replace(&begun(11).to_string(), &begun(12).to_string());
    journal.append(&stranger).unwrap();
    assert_eq!(of(pod("uid1")), [6, 4, 3, 1]);

    let records: Vec<_> = search(folder.path(), &KEY, Filter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let back = |sequence: u64| {
        let record = records.iter().find(|record| record.sequence == sequence).unwrap();
        let path = origin(folder.path(), &KEY, record).unwrap();
        path.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    assert_eq!(back(6), [3, 1]);
    assert_eq!(back(4), [1]);
    assert_eq!(back(1), [0; 0]);
    assert_eq!(back(8), [0; 0], "nobody issued that one");
}
