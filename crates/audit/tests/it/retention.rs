//! What retention removes, what it never does, and what can be proven afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use irsa_audit::{
    AuditError, CutReason, Durability, Filter, Journal, JournalOptions, ProblemKind, Report, Retention, lookup, search,
    verify,
};
use irsa_core::Timestamp;
use tempfile::TempDir;

const KEY: [u8; 32] = [3; 32];
const OLD: &str = "2020-01-01T00:00:00Z";

fn options(retention: Retention) -> JournalOptions {
    JournalOptions {
        segment_bytes: 2000,
        index_bytes: Some(900),
        retention,
        ..JournalOptions::new(Durability::Kernel, KEY)
    }
}

fn age(days: u64) -> Retention {
    Retention {
        age: Some(Duration::from_secs(days * 86_400)),
        bytes: None,
    }
}

fn record(number: u64, time: &str) -> String {
    format!(
        r#"{{"eventID":"{number}","eventTime":"{time}","userAgent":"{}"}}"#,
        "x".repeat(200)
    )
}

fn now() -> String {
    Timestamp::from(std::time::SystemTime::now()).to_string()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .collect();
    paths.sort();
    paths
}

fn first(path: &Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap()
}

fn found(folder: &Path) -> Vec<u64> {
    let mut found: Vec<u64> = search(folder, &KEY, Filter::default())
        .unwrap()
        .map(|record| record.unwrap().sequence)
        .collect();
    found.reverse();
    found
}

/// A journal with old records up to number 30, and new ones up to 60, that keeps everything.
fn old_and_new() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options(Retention::default())).unwrap();
    let now = now();
    for number in 1..=60 {
        journal
            .append(&record(number, if number <= 30 { OLD } else { &now }))
            .unwrap();
    }
    journal.tidy().unwrap();
    folder
}

/// The kept records, which must be proven, from the first on.
fn intact(folder: &Path) -> Report {
    let report = verify(folder, &KEY).unwrap();
    assert_eq!(report.problem, None);
    let removed = report.cut.map_or(0, |cut| cut.last_removed);
    assert_eq!(
        found(folder),
        (removed + 1..=removed + report.records).collect::<Vec<_>>()
    );
    report
}

#[test]
fn what_is_old_goes_and_nothing_else() {
    let folder = old_and_new();
    let folder = folder.path();
    let before = segments(folder);
    // The segment in which old and new records meet stays.
    let kept: Vec<&PathBuf> = {
        let mixed = before.iter().rposition(|path| first(path) <= 31).unwrap();
        before[mixed..].iter().collect()
    };
    let journal = Journal::open(folder, options(age(3650))).unwrap();
    journal.tidy().unwrap();
    assert_eq!(segments(folder), before, "nothing is that old");
    assert_eq!(intact(folder).cut, None);
    drop(journal);

    let journal = Journal::open(folder, options(age(90))).unwrap();
    journal.tidy().unwrap();
    assert_eq!(segments(folder).iter().collect::<Vec<_>>(), kept);
    let report = intact(folder);
    let cut = report.cut.unwrap();
    assert_eq!(cut.last_removed + 1, first(kept[0]));
    assert_eq!(cut.reason, CutReason::Age);
    assert_eq!(cut.newest_removed.unwrap().to_string(), OLD);
    assert_eq!(report.records, 60 - cut.last_removed);
    let indexed = fs::read_dir(folder.join("index"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(
        indexed
            .into_iter()
            .all(|name| name[..20].parse::<u64>().unwrap() > cut.last_removed)
    );
    journal.append(&record(61, &now())).unwrap();
    assert_eq!(journal.last(), 61);
    drop(journal);
    // Without retention, it is the same journal, and stays so.
    let journal = Journal::open(folder, options(Retention::default())).unwrap();
    journal.tidy().unwrap();
    assert_eq!(intact(folder).cut, Some(cut));
    assert_eq!(journal.append(&record(62, &now())).unwrap(), 62);
}

#[test]
fn the_segment_that_is_written_to_stays_however_old() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options(age(1))).unwrap();
    for number in 1..=40 {
        journal.append(&record(number, OLD)).unwrap();
    }
    journal.flush().unwrap();
    journal.tidy().unwrap();
    assert_eq!(segments(folder.path()).len(), 1);
    let report = intact(folder.path());
    assert!((1..10).contains(&report.records), "{report:?}");
    assert_eq!(journal.append(&record(41, OLD)).unwrap(), 41);
}

#[test]
fn a_record_without_a_time_is_never_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options(age(1))).unwrap();
    journal.append(r#"{"eventID":"1"}"#).unwrap();
    for number in 2..=40 {
        journal.append(&record(number, OLD)).unwrap();
    }
    journal.flush().unwrap();
    journal.tidy().unwrap();
    assert_eq!(intact(folder.path()).records, 40);
}

#[test]
fn a_journal_that_is_too_large_loses_its_oldest_segments() {
    let folder = tempfile::tempdir().unwrap();
    let size = Retention {
        age: None,
        bytes: Some(16_000),
    };
    let journal = Journal::open(folder.path(), options(size)).unwrap();
    for number in 1..=500 {
        assert_eq!(journal.append(&record(number, &now())).unwrap(), number);
    }
    journal.flush().unwrap();
    journal.tidy().unwrap();
    let report = intact(folder.path());
    assert_eq!(report.cut.unwrap().reason, CutReason::Size);
    assert!(
        report.records < 60 && *found(folder.path()).last().unwrap() == 500,
        "{report:?}"
    );
    let all = fs::read_dir(folder.path())
        .unwrap()
        .chain(fs::read_dir(folder.path().join("index")).unwrap());
    let bytes: u64 = all
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|one| one.len())
        .sum();
    assert!(bytes <= 16_000 + 2 * 1024, "{bytes}");
}

/// The limit beyond which appends fail is never reached where retention has a lower one, and where it was, appends work again.
#[test]
fn a_full_journal_goes_on_when_retention_made_room() {
    let folder = tempfile::tempdir().unwrap();
    let most = 2 << 20;
    let large = format!(r#"{{"eventTime":"{OLD}","a":"{}"}}"#, "x".repeat(100 << 10));
    let full = JournalOptions {
        segment_bytes: 200 << 10,
        max_bytes: Some(most),
        ..options(Retention::default())
    };
    let journal = Journal::open(folder.path(), full.clone()).unwrap();
    while journal.append(&large).is_ok() {}
    assert!(!journal.healthy());
    drop(journal);
    let cured = JournalOptions {
        retention: age(90),
        ..full
    };
    let journal = Journal::open(folder.path(), cured).unwrap();
    journal.tidy().unwrap();
    for _ in 0..3 {
        journal.append(&large).unwrap();
    }
    let report = verify(folder.path(), &KEY).unwrap();
    assert!(report.is_intact() && report.cut.is_some(), "{report:?}");
}

/// Every state of the files in which the process can have ended while it removed a segment.
#[test]
fn a_crash_at_any_step_of_a_removal_leaves_a_whole_journal() {
    let whole = old_and_new();
    let mut states: Vec<(TempDir, Report)> = Vec::new();
    let copy = |from: &Path| {
        let to = tempfile::tempdir().unwrap();
        fs::create_dir(to.path().join("index")).unwrap();
        for folder in ["", "index"] {
            for entry in fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
                if entry.metadata().unwrap().is_file() {
                    fs::copy(entry.path(), to.path().join(folder).join(entry.file_name())).unwrap();
                }
            }
        }
        to
    };
    // The removal's end, and its start file over the folder of before: written, with nothing removed yet.
    let done = copy(whole.path());
    let journal = Journal::open(done.path(), options(age(90))).unwrap();
    journal.tidy().unwrap();
    drop(journal);
    let start = fs::read(done.path().join("start")).unwrap();
    let kept = segments(done.path()).len();
    for removed in 0..segments(whole.path()).len() - kept {
        // Segments go one after the other; the start file names the one before the first that is there, or has just been written for the next.
        let state = copy(whole.path());
        for path in segments(state.path()).iter().take(removed) {
            fs::remove_file(path).unwrap();
        }
        let mut left = segments(state.path());
        left.truncate(left.len() - kept);
        if left.len() == 1 {
            fs::write(state.path().join("start"), &start).unwrap();
            states.push((state, verify(done.path(), &KEY).unwrap()));
        }
    }
    assert_eq!(states.len(), 1);
    for (state, expected) in states {
        let report = verify(state.path(), &KEY).unwrap();
        assert_eq!(
            report.problem, None,
            "the segment that is still there is proven from the start of before"
        );
        assert!(report.records > expected.records);
        let journal = Journal::open(state.path(), options(Retention::default())).unwrap();
        drop(journal);
        assert_eq!(intact(state.path()), expected);
    }
    // A slot that was torn while it was written: the other one counts, as nothing was removed yet.
    for (place, slot) in [(0, 0..512), (1, 512..1024)] {
        let state = copy(done.path());
        let mut torn = start.clone();
        torn[slot].fill(0);
        fs::write(state.path().join("start"), &torn).unwrap();
        let report = verify(state.path(), &KEY).unwrap();
        let newest = usize::from(!torn_is_older(&start, place));
        assert_eq!(
            report.is_intact(),
            newest == 0,
            "the older start does not fit what is gone: {report:?}"
        );
    }
    // Before the file exists, and while it is made.
    let state = copy(whole.path());
    fs::write(state.path().join("start.new"), "half").unwrap();
    assert_eq!(intact(state.path()).records, 60);
    let journal = Journal::open(state.path(), options(age(90))).unwrap();
    journal.tidy().unwrap();
    assert!(intact(state.path()).cut.is_some());
}

/// Whether a slot of a start file is the older one, by its counter.
fn torn_is_older(start: &[u8], slot: usize) -> bool {
    let counter = |slot: usize| -> u64 {
        let text = std::str::from_utf8(&start[slot * 512..][..512]).unwrap();
        text.split(' ').nth(2).unwrap().parse().unwrap()
    };
    counter(slot) < counter(1 - slot)
}

#[test]
fn nobody_else_can_cut_the_beginning_off() {
    let folder = old_and_new();
    let folder = folder.path();
    let journal = Journal::open(folder, options(age(90))).unwrap();
    journal.tidy().unwrap();
    drop(journal);
    let start = fs::read(folder.join("start")).unwrap();
    let all = segments(folder);
    let last_removed = intact(folder).cut.unwrap().last_removed;
    // One segment more than retention removed.
    let away = tempfile::tempdir().unwrap();
    let moved = away.path().join("segment");
    fs::copy(&all[0], &moved).unwrap();
    fs::remove_file(&all[0]).unwrap();
    let problem = verify(folder, &KEY).unwrap().problem.unwrap();
    assert_eq!(
        (problem.kind, problem.sequence),
        (ProblemKind::Deleted, last_removed + 1)
    );
    fs::copy(&moved, &all[0]).unwrap();
    assert!(verify(folder, &KEY).unwrap().is_intact());
    // The file that says so: changed, of another key, gone.
    let mut changed = start.clone();
    let text = format!(" {last_removed} ");
    let at = start
        .windows(text.len())
        .rposition(|window| window == text.as_bytes())
        .unwrap();
    changed[at + 1] ^= 1;
    for (content, kind) in [
        (Some([b' '; 1024].to_vec()), ProblemKind::Start),
        (Some(Vec::new()), ProblemKind::Start),
        (Some(changed), ProblemKind::Deleted),
        (None, ProblemKind::Deleted),
    ] {
        match content {
            Some(content) => fs::write(folder.join("start"), content).unwrap(),
            None => fs::remove_file(folder.join("start")).unwrap(),
        }
        assert_eq!(verify(folder, &KEY).unwrap().problem.unwrap().kind, kind);
    }
    fs::write(folder.join("start"), [b' '; 1024]).unwrap();
    let error = Journal::open(folder, options(age(90))).unwrap_err();
    assert!(matches!(error, AuditError::Damaged { .. }), "{error}");
    fs::write(folder.join("start"), start).unwrap();
    intact(folder);
}

/// Retention is no way to get rid of what was tampered with.
#[test]
fn a_segment_that_does_not_prove_stays() {
    let folder = old_and_new();
    let folder = folder.path();
    let oldest = segments(folder)[0].clone();
    let text = fs::read_to_string(&oldest).unwrap();
    fs::write(&oldest, text.replace("\"eventID\":\"2\"", "\"eventID\":\"7\"")).unwrap();
    let journal = Journal::open(folder, options(age(90))).unwrap();
    journal.tidy().unwrap();
    assert_eq!(segments(folder)[0], oldest);
    let problem = verify(folder, &KEY).unwrap().problem.unwrap();
    assert_eq!((problem.kind, problem.sequence), (ProblemKind::Modified, 2));
}

#[test]
fn searches_and_proofs_go_on_while_segments_go() {
    let folder = tempfile::tempdir().unwrap();
    let size = Retention {
        age: None,
        bytes: Some(30_000),
    };
    let journal = Journal::open(folder.path(), options(size)).unwrap();
    journal.append(&record(1, OLD)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 2..=600 {
                journal.append(&record(number, OLD)).unwrap();
                if number % 20 == 0 {
                    journal.flush().unwrap();
                    journal.tidy().unwrap();
                }
            }
        });
        while !writer.is_finished() {
            let report = verify(folder.path(), &KEY).unwrap();
            assert!(report.is_intact(), "{report:?}");
            for found in [
                search(folder.path(), &KEY, Filter::default()),
                lookup(folder.path(), Filter::default()),
            ] {
                let numbers: Vec<u64> = found.unwrap().map(|record| record.unwrap().sequence).collect();
                assert!(numbers.windows(2).all(|pair| pair[0] == pair[1] + 1), "{numbers:?}");
            }
        }
    });
    assert!(intact(folder.path()).records < 150);
}
