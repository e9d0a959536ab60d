//! One million records: how long it takes to write them, to index them, and to find something in them, with indexes and without.
//!
//! `cargo bench -p irsa-audit` runs it with a temporary journal of some 1.3 GB. The column `cold` is after the page cache has
//! let go of the journal. `-- --scan` also asks each
//! query without indexes, and `-- --records N` makes another number of records.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use irsa_audit::{
    Category, Durability, Event, EventError, Filter, Journal, JournalOptions, Resource, SessionContext, SessionIssuer,
    TlsDetails, UserIdentity, Verdict, event_id, lookup, search, verify,
};
use irsa_core::{AccountId, Timestamp};

const KEY: [u8; 32] = [7; 32];
/// Calls of a session, its exchange included.
const CALLS: u64 = 20;
const SERVICE_ACCOUNTS: u64 = 500;
/// 2026-09-01.
const BEGIN: i64 = 1_788_220_800;

fn time(number: u64) -> Timestamp {
    // A million in three weeks.
    Timestamp::from_unix_seconds(BEGIN + i64::try_from(number * 18 / 10).unwrap())
}

fn scattered(number: u64) -> u64 {
    number
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The record of call `number`: sessions of many service accounts, each an exchange and calls of S3, some of them refused.
fn record(number: u64) -> String {
    let account = AccountId::from_number(111_122_223_333).unwrap();
    // Sessions run side by side.
    let (session, call) = (number / (CALLS * 64) * 64 + number % 64, number / 64 % CALLS);
    let service_account = scattered(session) % SERVICE_ACCOUNTS;
    let begun = time(number - call * 64);
    let key = format!("ASIA{:016X}", scattered(session));
    let role = format!(
        "arn:aws:iam::{account}:role/team-{}/app-{service_account}",
        service_account % 20
    );
    let name = format!("botocore-session-{session}");
    let arn = format!("arn:aws:sts::{account}:assumed-role/app-{service_account}/{name}");
    let principal = format!("AROAEXAMPLE{service_account:010}:{name}");
    let provider = format!("arn:aws:iam::{account}:oidc-provider/127.0.0.1:4701/id/0123456789ABCDEF0123456789ABCDEF");
    let subject = format!(
        "system:serviceaccount:team-{}:app-{service_account}",
        service_account % 20
    );
    let id = event_id(u128::from(scattered(number ^ 0x5555)).wrapping_mul(3).to_le_bytes());
    let request = event_id(u128::from(scattered(number)).wrapping_mul(5).to_le_bytes());
    let bucket = format!("arn:aws:s3:::data-{}", service_account % 50);
    let object = format!("{bucket}/reports/2026/{:06}.parquet", scattered(number) % 100_000);
    let exchange = call == 0;
    let refused = !exchange && scattered(number).is_multiple_of(40);
    let operation = [
        "GetObject",
        "GetObject",
        "GetObject",
        "HeadObject",
        "PutObject",
        "ListObjects",
    ][usize::try_from(scattered(number) % 6).unwrap()];
    let parameters = if exchange {
        format!(r#"{{"roleArn":"{role}","roleSessionName":"{name}","durationSeconds":3600}}"#)
    } else {
        format!(
            r#"{{"bucketName":"{}","Host":"127.0.0.1:4700","key":"{object}"}}"#,
            &bucket[13..]
        )
    };
    let elements = format!(
        r#"{{"credentials":{{"accessKeyId":"{key}","expiration":"Sep 11, 2026, 11:00:00 AM"}},"subjectFromWebIdentityToken":"{subject}","assumedRoleUser":{{"assumedRoleId":"{principal}","arn":"{arn}"}},"packedPolicySize":2,"provider":"{provider}","audience":"sts.amazonaws.com"}}"#
    );
    let pod = format!(
        r#"{{"decision":"allowed","subject":"{subject}","tokenId":"{id}","kubernetes":{{"namespace":"team-{}","serviceaccount":{{"name":"app-{service_account}"}},"pod":{{"name":"app-{service_account}-{}","uid":"{}"}},"node":{{"name":"node-{}"}}}}}}"#,
        service_account % 20,
        session % 3,
        event_id(u128::from(scattered(service_account * 3 + session % 3)).to_le_bytes()),
        session % 30
    );
    let later = format!(
        r#"{{"decision":"allowed","subject":"{subject}","statement":"statement 1 of the inline policy `access`"}}"#
    );
    let holder = format!("{provider}:sts.amazonaws.com:{subject}");
    let role_name = format!("app-{service_account}");
    Event {
        user_identity: if exchange {
            UserIdentity::WebIdentityUser {
                principal_id: &holder,
                user_name: &subject,
                identity_provider: &provider,
            }
        } else {
            UserIdentity::AssumedRole {
                principal_id: &principal,
                arn: &arn,
                account,
                access_key_id: Some(&key),
                session: SessionContext {
                    issuer: Some(SessionIssuer {
                        principal_id: principal.split(':').next().unwrap(),
                        arn: &role,
                        account,
                        user_name: &role_name,
                    }),
                    federated_provider: Some(&provider),
                    created: begun,
                    mfa: false,
                    source_identity: None,
                },
            }
        },
        event_time: time(number),
        event_source: if exchange {
            "sts.amazonaws.com"
        } else {
            "s3.amazonaws.com"
        },
        event_name: if exchange {
            "AssumeRoleWithWebIdentity"
        } else {
            operation
        },
        aws_region: "us-east-1",
        source_ip_address: &format!("10.0.{}.{}", session % 250, service_account % 250),
        user_agent: "Boto3/1.43.0 md/Botocore#1.43.0 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.2",
        error: refused.then_some(EventError {
            code: "AccessDenied",
            message: "User is not authorized to perform this action because no identity-based policy allows it",
        }),
        request_parameters: Some(&parameters),
        response_elements: exchange.then_some(elements.as_str()),
        additional_event_data: if exchange {
            &[]
        } else {
            &[
                ("SignatureVersion", "\"SigV4\""),
                ("AuthenticationMethod", "\"AuthHeader\""),
                ("bytesTransferredIn", "0"),
                ("bytesTransferredOut", "1024"),
            ]
        },
        irsa: Some(if exchange { &pod } else { &later }),
        request_id: &request,
        event_id: &id,
        read_only: operation != "PutObject",
        resources: &[
            Resource {
                account: Some(account),
                kind: if exchange { "AWS::IAM::Role" } else { "AWS::S3::Object" },
                arn: if exchange { &role } else { &object },
            },
            Resource {
                account: Some(account),
                kind: "AWS::S3::Bucket",
                arn: &bucket,
            },
        ][..if exchange { 1 } else { 2 }],
        category: if exchange { Category::Management } else { Category::Data },
        recipient_account: Some(account),
        tls: Some(TlsDetails {
            host: Some("127.0.0.1:4700"),
            ..TlsDetails::default()
        }),
    }
    .to_json()
}

fn queries(records: u64) -> Vec<(&'static str, Filter)> {
    let middle: serde_json::Value = serde_json::from_str(&record(records / 2)).unwrap();
    let oldest: serde_json::Value = serde_json::from_str(&record(3)).unwrap();
    let of = |event: &serde_json::Value, pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let pod = of(&oldest, "/additionalEventData/irsa/kubernetes/pod/uid");
    let page = Filter {
        limit: Some(50),
        ..Filter::default()
    };
    vec![
        ("newest 50", page.clone()),
        (
            "one request id",
            Filter {
                request_id: Some(of(&middle, "/requestID")),
                ..page.clone()
            },
        ),
        (
            "a request id that is not there",
            Filter {
                request_id: Some("ffffffff-ffff-4fff-bfff-ffffffffffff".to_owned()),
                ..page.clone()
            },
        ),
        (
            "all of a session's key",
            Filter {
                access_key_id: Some(of(&oldest, "/responseElements/credentials/accessKeyId")),
                ..Filter::default()
            },
        ),
        (
            "all of a pod, by uid",
            Filter {
                pod: Some(pod.clone()),
                ..Filter::default()
            },
        ),
        (
            "denials of a pod in one hour",
            Filter {
                pod: Some(pod),
                verdict: Some(Verdict::Denied),
                start: Some(time(0)),
                end: Some(time(2000)),
                ..Filter::default()
            },
        ),
        (
            "50 denied PutObject of a role",
            Filter {
                role: Some("app-77".to_owned()),
                event_name: Some("PutObject".to_owned()),
                verdict: Some(Verdict::Denied),
                ..page.clone()
            },
        ),
        (
            "all of a service account",
            Filter {
                service_account: Some("team-17/app-77".to_owned()),
                ..Filter::default()
            },
        ),
        (
            "50 writes in one old hour",
            Filter {
                read_only: Some(false),
                start: Some(time(100_000)),
                end: Some(time(102_000)),
                ..page.clone()
            },
        ),
        (
            "common terms that no record has together",
            Filter {
                event_name: Some("GetObject".to_owned()),
                management: Some(true),
                verdict: Some(Verdict::Allowed),
                ..page
            },
        ),
        (
            "all reads of one object",
            Filter {
                resource: Some(of(&middle, "/resources/0/ARN")),
                read_only: Some(true),
                ..Filter::default()
            },
        ),
        (
            "all denials",
            Filter {
                verdict: Some(Verdict::Denied),
                ..Filter::default()
            },
        ),
    ]
}

fn run(folder: &Path, filter: &Filter, indexed: bool) -> (usize, Duration) {
    let before = Instant::now();
    let found = if indexed {
        search(folder, &KEY, filter.clone())
    } else {
        lookup(folder, filter.clone())
    };
    let count = found.unwrap().map(Result::unwrap).count();
    (count, before.elapsed())
}

/// Takes the journal out of the page cache.
fn forget(folder: &Path) {
    for folder in [folder.to_path_buf(), folder.join("index")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let file = std::fs::File::open(&path).unwrap();
                // Only clean pages are let go.
                file.sync_all().unwrap();
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            }
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let records = words
        .iter()
        .position(|word| word == "--records")
        .map_or(1_000_000, |at| words[at + 1].parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (name, index_bytes) in [("without indexes", None), ("while indexes are made", Some(32 << 20))] {
        let folder = tempfile::tempdir().unwrap();
        let options = JournalOptions {
            index_bytes,
            ..JournalOptions::new(Durability::Kernel, KEY)
        };
        let journal = Journal::open(folder.path(), options).unwrap();
        let made: Vec<String> = (0..200_000).map(record).collect();
        let before = Instant::now();
        for record in &made {
            journal.append(record).unwrap();
        }
        let each = before.elapsed() / 200_000;
        println!("append {name}: {each:?} a record");
    }
    let journal = Journal::open(folder.path(), JournalOptions::new(Durability::Kernel, KEY)).unwrap();
    let mut bytes = 0;
    for number in 0..records {
        let record = record(number);
        bytes += record.len();
        journal.append(&record).unwrap();
    }
    journal.flush().unwrap();
    let before = Instant::now();
    journal.tidy().unwrap();
    println!(
        "{records} records, {bytes} bytes; the last indexes were ready {:?} later",
        before.elapsed()
    );
    let size = |path: &Path| -> u64 {
        let entries = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap());
        entries
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .sum()
    };
    println!(
        "segments {} bytes, indexes {} bytes",
        size(folder.path()),
        size(&folder.path().join("index"))
    );
    println!(
        "{:44} {:>8} {:>12} {:>12} {:>12}",
        "query", "found", "indexed", "cold", "no index"
    );
    for (name, filter) in queries(records) {
        let (count, warm) = run(folder.path(), &filter, true);
        let (_, warm) = (0..3)
            .map(|_| run(folder.path(), &filter, true))
            .min_by_key(|(_, took)| *took)
            .unwrap_or((count, warm));
        forget(folder.path());
        let cold = format!("{:.1?}", run(folder.path(), &filter, true).1);
        let scan = if words.iter().any(|word| word == "--scan") {
            let (scanned, scan) = run(folder.path(), &filter, false);
            assert_eq!(count, scanned, "{name}");
            format!("{scan:.1?}")
        } else {
            "-".to_owned()
        };
        println!(
            "{name:44} {count:>8} {:>12} {cold:>12} {:>12}",
            format!("{warm:.1?}"),
            scan
        );
    }
    let before = Instant::now();
    let report = verify(folder.path(), &KEY).unwrap();
    assert!(report.is_intact() && report.records == records);
    println!("verify: {:?}", before.elapsed());
    drop(journal);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let journal = Journal::open(folder.path(), JournalOptions::new(Durability::Kernel, KEY)).unwrap();
    let before = Instant::now();
    journal.tidy().unwrap();
    println!("all indexes anew: {:?}", before.elapsed());
}
