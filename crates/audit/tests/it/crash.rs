use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use irsa_audit::{AuditError, Durability, Filter, Journal, JournalOptions, Retention, lookup, search, verify};

const FOLDER: &str = "IRSA_AUDIT_CRASH_FOLDER";
const KEY: [u8; 32] = [5; 32];

fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 50_000,
        ..JournalOptions::new(Durability::Kernel, KEY)
    }
}

/// Whatever `append` had taken when the process was killed is there, and the chain goes on over the crash.
#[test]
fn appended_records_survive_kill() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        append_until_killed(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..10 {
        // The last writer may have gone on for long before the signal came.
        let enough = acknowledged + 300;
        let mut child = start_writer(folder.path(), "appended_records_survive_kill");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            note(&mut acknowledged, &line.unwrap());
            if acknowledged >= enough {
                break;
            }
        }
        assert!(acknowledged >= enough, "the writer ended early");
        let error = Journal::open(folder.path(), options()).unwrap_err();
        assert!(matches!(error, AuditError::Locked { .. }), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&mut acknowledged, &line.unwrap());
        }
        let report = verify(folder.path(), &KEY).unwrap();
        assert!(
            report.is_intact() && report.records >= acknowledged,
            "{report:?}, {acknowledged} acknowledged"
        );
        let journal = Journal::open(folder.path(), options()).unwrap();
        assert_eq!(journal.last(), report.records);
        drop(journal);
        let found = lookup(folder.path(), Filter::default()).unwrap();
        assert_eq!(found.map(Result::unwrap).count() as u64, report.records);
        assert!(!verify(folder.path(), &KEY).unwrap().unfinished);
    }
}

fn start_writer(folder: &Path, test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("crash::{test}"), "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn note(acknowledged: &mut u64, line: &str) {
    if let Some(number) = line.strip_prefix("acknowledged ") {
        *acknowledged = number.parse().unwrap();
    }
}

#[expect(clippy::print_stdout, reason = "how the test's process talks to its parent")]
fn append_until_killed(folder: &Path) {
    let journal = Journal::open(folder, options()).unwrap();
    loop {
        let record = format!("{{\"eventName\":\"{}\"}}", "z".repeat(900));
        let sequence = journal.append(&record).unwrap();
        println!("acknowledged {sequence}");
    }
}

/// What retention leaves, in bytes of segments and indexes together.
const KEPT: u64 = 300_000;

fn tidied() -> JournalOptions {
    JournalOptions {
        segment_bytes: 20_000,
        index_bytes: Some(6_000),
        retention: Retention {
            age: None,
            bytes: Some(KEPT),
        },
        ..JournalOptions::new(Durability::Kernel, KEY)
    }
}

/// A process that is killed while it removes old records and makes indexes: the journal proves, nothing is lost but what retention was to
/// remove, and what the indexes find is what is there.
#[test]
fn a_kill_amid_retention_and_indexing_loses_nothing_else() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        tidy_until_killed(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut removed) = (0, 0);
    for round in 0..20 {
        // At another place of the work each time.
        let enough = acknowledged + 150 + round * 37;
        let mut child = start_writer(folder.path(), "a_kill_amid_retention_and_indexing_loses_nothing_else");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            note(&mut acknowledged, &line.unwrap());
            if acknowledged >= enough {
                break;
            }
        }
        assert!(acknowledged >= enough, "the writer ended early");
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&mut acknowledged, &line.unwrap());
        }
        let report = verify(folder.path(), &KEY).unwrap();
        assert!(report.is_intact(), "{report:?}");
        let before = report.cut.map_or(0, |cut| cut.last_removed);
        assert!(before >= removed && before < acknowledged, "{report:?}");
        removed = before;
        let numbers = |records: irsa_audit::Lookup| -> Vec<u64> {
            let mut numbers: Vec<u64> = records.map(|record| record.unwrap().sequence).collect();
            numbers.reverse();
            numbers
        };
        let read = numbers(lookup(folder.path(), Filter::default()).unwrap());
        assert!(
            read.iter().copied().eq(before + 1..=read.last().copied().unwrap()),
            "records are missing after {before}"
        );
        assert!(read.last().unwrap() >= &acknowledged, "{acknowledged} acknowledged");
        let every_third = Filter {
            event_name: Some("one".to_owned()),
            ..Filter::default()
        };
        let found = numbers(search(folder.path(), &KEY, every_third).unwrap());
        let wanted: Vec<u64> = read.iter().copied().filter(|number| number % 3 == 1).collect();
        assert_eq!(found, wanted);
        if removed > 0 {
            // Not more than one segment beyond what was asked for, with its indexes.
            assert!(size(folder.path()) > KEPT - 80_000, "{}", size(folder.path()));
        }
    }
    assert!(removed > 0, "retention never removed anything");
    // The next start takes away what the last one left half done.
    let journal = Journal::open(folder.path(), tidied()).unwrap();
    journal.tidy().unwrap();
    let drafts = std::fs::read_dir(folder.path().join("index")).unwrap();
    let drafts = drafts.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|kind| kind == "draft")
    });
    assert_eq!(drafts.count(), 0);
}

/// The bytes of a folder and of those in it.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => size(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

#[expect(clippy::print_stdout, reason = "how the test's process talks to its parent")]
fn tidy_until_killed(folder: &Path) {
    let journal = std::sync::Arc::new(Journal::open(folder, tidied()).unwrap());
    let upkeep = std::sync::Arc::clone(&journal);
    // Without a pause, so that the signal comes in the middle of it.
    std::thread::spawn(move || {
        loop {
            upkeep.tidy().unwrap();
        }
    });
    loop {
        let next = journal.last() + 1;
        let name = if next % 3 == 1 { "one" } else { "other" };
        let record = format!(
            r#"{{"eventTime":"2026-11-22T10:00:00Z","eventName":"{name}","userAgent":"{}"}}"#,
            "z".repeat(700)
        );
        let sequence = journal.append(&record).unwrap();
        println!("acknowledged {sequence}");
    }
}
