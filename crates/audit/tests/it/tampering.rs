//! AU-02: whatever somebody without the key does to the files, `verify` says so.

use std::fs;
use std::path::{Path, PathBuf};

use irsa_audit::{Durability, Journal, JournalOptions, ProblemKind, Report, verify};
use proptest::prelude::*;
use tempfile::TempDir;

const KEY: [u8; 32] = [3; 32];

fn journal(records: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        segment_bytes: 1200,
        ..JournalOptions::new(Durability::Kernel, KEY)
    };
    let journal = Journal::open(folder.path(), options).unwrap();
    for number in 0..records {
        journal
            .append(&format!(
                r#"{{"eventName":"GetObject","number":{number},"text":"{}"}}"#,
                "y".repeat(number % 97)
            ))
            .unwrap();
    }
    folder
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    paths
}

/// Lines with their ends, and which segment each is in.
type Lines = Vec<(usize, Vec<u8>)>;

fn lines(folder: &Path) -> Lines {
    let mut all = Vec::new();
    for (number, path) in segments(folder).iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        all.extend(
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| (number, line.to_vec())),
        );
    }
    all
}

fn write(folder: &Path, lines: &[(usize, Vec<u8>)]) {
    for (number, path) in segments(folder).iter().enumerate() {
        let bytes: Vec<u8> = lines
            .iter()
            .filter(|(segment, _)| *segment == number)
            .flat_map(|(_, line)| line.clone())
            .collect();
        fs::write(path, bytes).unwrap();
    }
}

fn check(folder: &Path) -> Report {
    verify(folder, &KEY).unwrap()
}

#[derive(Clone, Debug)]
enum Tampering {
    /// Turns one bit of a line.
    Flip(usize, usize, u8),
    /// Takes lines away.
    Delete(usize, usize),
    /// Takes bytes away, and perhaps puts others there.
    Splice(usize, usize, usize, Vec<u8>),
    Swap(usize, usize),
    /// Puts a copy of a line elsewhere.
    Copy(usize, usize),
    /// Cuts everything off from a byte on.
    Truncate(usize, usize),
    /// Deletes a segment.
    DeleteSegment(usize),
    SwapSegments(usize, usize),
    /// Deletes a line and numbers the following ones anew.
    Renumber(usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let at = || any::<usize>();
    prop_oneof![
        (at(), at(), 0..8_u8).prop_map(|(line, byte, bit)| Tampering::Flip(line, byte, bit)),
        (at(), 1..5_usize).prop_map(|(line, count)| Tampering::Delete(line, count)),
        (at(), at(), 0..40_usize, any::<Vec<u8>>())
            .prop_map(|(line, byte, count, with)| Tampering::Splice(line, byte, count, with)),
        (at(), at()).prop_map(|(one, other)| Tampering::Swap(one, other)),
        (at(), at()).prop_map(|(from, to)| Tampering::Copy(from, to)),
        (at(), at()).prop_map(|(line, byte)| Tampering::Truncate(line, byte)),
        at().prop_map(Tampering::DeleteSegment),
        (at(), at()).prop_map(|(one, other)| Tampering::SwapSegments(one, other)),
        at().prop_map(Tampering::Renumber),
    ]
}

/// Applies it; `false` if that changes nothing.
fn tamper(folder: &Path, tampering: &Tampering) -> bool {
    let before = lines(folder);
    let mut after = before.clone();
    let count = after.len();
    match tampering {
        Tampering::Flip(line, byte, bit) => {
            let line = &mut after[line % count].1;
            let byte = byte % line.len();
            line[byte] ^= 1 << bit;
        }
        Tampering::Delete(line, number) => {
            let line = line % count;
            after.drain(line..(line + number).min(count));
        }
        Tampering::Splice(line, byte, length, with) => {
            let line = &mut after[line % count].1;
            let byte = byte % line.len();
            let end = (byte + length).min(line.len());
            line.splice(byte..end, with.iter().copied());
        }
        Tampering::Swap(one, other) => {
            let (one, other) = (one % count, other % count);
            let line = after[one].1.clone();
            after[one].1 = std::mem::replace(&mut after[other].1, line);
        }
        Tampering::Copy(from, to) => {
            let (from, to) = (from % count, to % count);
            let copy = (after[to].0, after[from].1.clone());
            after.insert(to, copy);
        }
        Tampering::Truncate(line, byte) => {
            let line = line % count;
            let byte = byte % after[line].1.len();
            after[line].1.truncate(byte);
            after.truncate(line + 1);
        }
        Tampering::DeleteSegment(number) => {
            let paths = segments(folder);
            fs::remove_file(&paths[number % paths.len()]).unwrap();
            return true;
        }
        Tampering::SwapSegments(one, other) => {
            let paths = segments(folder);
            let (one, other) = (&paths[one % paths.len()], &paths[other % paths.len()]);
            let text = fs::read(one).unwrap();
            fs::write(one, fs::read(other).unwrap()).unwrap();
            fs::write(other, text).unwrap();
            return one != other;
        }
        Tampering::Renumber(line) => {
            let line = line % count;
            after.remove(line);
            for (place, (_, line)) in after.iter_mut().enumerate().skip(line) {
                let space = line.iter().position(|byte| *byte == b' ').unwrap();
                line.splice(..space, (place + 1).to_string().into_bytes());
            }
        }
    }
    write(folder, &after);
    lines(folder)
        .iter()
        .map(|(_, line)| line)
        .ne(before.iter().map(|(_, line)| line))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_goes_unnoticed(records in 2..30_usize, tampering in tampering()) {
        let folder = journal(records);
        let intact = check(folder.path());
        prop_assert!(intact.is_intact() && intact.records == records as u64 && intact.durable == records as u64);
        if tamper(folder.path(), &tampering) {
            let report = check(folder.path());
            prop_assert!(report.problem.is_some(), "{tampering:?}: {report:?}");
        }
    }
}

/// The report names the first bad record, where it is, and what happened to it.
#[test]
fn the_first_bad_record_is_named() {
    let place = |report: &Report| {
        let problem = report.problem.clone().unwrap();
        let name = problem.file.file_name().unwrap().to_str().unwrap().to_owned();
        (
            name[..20].parse::<u64>().unwrap(),
            problem.line,
            problem.sequence,
            problem.kind,
        )
    };
    let tampered = |change: &dyn Fn(&mut Lines)| {
        let folder = journal(20);
        let mut all = lines(folder.path());
        change(&mut all);
        write(folder.path(), &all);
        let report = check(folder.path());
        let message = report.problem.as_ref().unwrap().to_string();
        assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
        place(&report)
    };
    let all = lines(journal(20).path());
    // The segment and the line that record `sequence` should be in.
    let home = |sequence: usize| {
        let segment = all[sequence - 1].0;
        let first = all.iter().position(|(number, _)| *number == segment).unwrap() + 1;
        (first as u64, (sequence - first + 1) as u64)
    };
    let (segment, line) = home(12);
    assert_ne!(line, 0);
    let modified = |all: &mut Lines| {
        let text = String::from_utf8(all[11].1.clone()).unwrap();
        all[11].1 = text.replace("GetObject", "PutObject").into_bytes();
    };
    assert_eq!(tampered(&modified), (segment, line, 12, ProblemKind::Modified));
    let renumbered = |all: &mut Lines| all[11].1[1] = b'9';
    assert_eq!(tampered(&renumbered), (segment, line, 12, ProblemKind::Modified));
    let deleted = |all: &mut Lines| drop(all.remove(11));
    let (next_segment, next_line) = home(13);
    let moved_up = if next_segment == segment { line } else { next_line };
    assert_eq!(tampered(&deleted), (next_segment, moved_up, 12, ProblemKind::Deleted));
    let moved = |all: &mut Lines| {
        let one = all[11].1.clone();
        all[11].1 = std::mem::replace(&mut all[12].1, one);
    };
    assert_eq!(tampered(&moved), (segment, line, 12, ProblemKind::Reordered));
    let twice = |all: &mut Lines| {
        let copy = (all[11].0, all[3].1.clone());
        all.insert(11, copy);
    };
    assert_eq!(tampered(&twice), (segment, line, 12, ProblemKind::Reordered));
    let cut = |all: &mut Lines| all.truncate(19);
    let (_, _, sequence, kind) = tampered(&cut);
    assert_eq!((sequence, kind), (20, ProblemKind::Truncated));
}

/// Who has no key cannot write a chain of his own over the records, nor a head.
#[test]
fn a_chain_needs_the_key() {
    let folder = journal(5);
    let forged = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(Durability::Kernel, [9; 32]);
    let other = Journal::open(forged.path(), options).unwrap();
    for number in 0..5 {
        other.append(&format!("{{\"forged\":{number}}}")).unwrap();
    }
    drop(other);
    let (from, to) = (segments(forged.path()).remove(0), segments(folder.path()).remove(0));
    fs::copy(from, to).unwrap();
    let problem = check(folder.path()).problem.unwrap();
    assert_eq!((problem.sequence, problem.kind), (1, ProblemKind::Modified));
    assert!(
        verify(forged.path(), &KEY).unwrap().problem.is_some(),
        "its head does not help"
    );
}

/// The whole journal exchanged for another one with the same key, head and all but one file.
#[test]
fn parts_of_two_journals_do_not_fit() {
    let (one, other) = (journal(9), journal(8));
    fs::copy(other.path().join("head"), one.path().join("head")).unwrap();
    // The journals have the same records, so the shorter one's head is true of the longer one: it proves only less.
    assert!(check(one.path()).is_intact());
    fs::copy(one.path().join("head"), other.path().join("head")).unwrap();
    let third = tempfile::tempdir().unwrap();
    let journal = Journal::open(third.path(), JournalOptions::new(Durability::Kernel, KEY)).unwrap();
    for number in 0..9 {
        journal.append(&format!("{{\"other\":{number}}}")).unwrap();
    }
    drop(journal);
    fs::copy(third.path().join("head"), one.path().join("head")).unwrap();
    let problem = check(one.path()).problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::Head);
}

#[test]
fn no_journal_is_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    assert!(verify(folder.path(), &KEY).is_err());
    assert!(verify(&folder.path().join("absent"), &KEY).is_err());
}
