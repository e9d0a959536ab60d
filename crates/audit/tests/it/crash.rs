use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use irsa_audit::{AuditError, Durability, Filter, Journal, JournalOptions, lookup, verify};

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
        let mut child = start_writer(folder.path());
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

fn start_writer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::appended_records_survive_kill", "--exact", "--nocapture"])
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
