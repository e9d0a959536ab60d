use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use crate::{Filter, ProblemKind, lookup, verify};

const KEY: [u8; 32] = [7; 32];

fn options() -> JournalOptions {
    JournalOptions::new(Durability::Kernel, KEY)
}

fn record(number: u64) -> String {
    format!(r#"{{"eventID":"{number}","userAgent":"{}"}}"#, "x".repeat(200))
}

/// The numbers of the records that are found, oldest first.
fn found(folder: &Path) -> Vec<u64> {
    let mut numbers: Vec<u64> = lookup(folder, Filter::default())
        .unwrap()
        .map(|record| record.unwrap().event["eventID"].as_str().unwrap().parse().unwrap())
        .collect();
    numbers.reverse();
    numbers
}

fn intact(folder: &Path) -> u64 {
    let report = verify(folder, &KEY).unwrap();
    assert_eq!(report.problem, None);
    report.records
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let segments = crate::chain::segments(folder).unwrap();
    segments.into_iter().map(|segment| segment.path).collect()
}

fn append_raw(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

/// A journal of `count` records, closed.
fn filled(count: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    for number in 1..=count {
        assert_eq!(journal.append(&record(number)).unwrap(), number);
    }
    folder
}

#[test]
fn records_are_there_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    for start in 0..3 {
        let journal = Journal::open(&path, options()).unwrap();
        assert_eq!(journal.last(), start * 10);
        for number in start * 10 + 1..=start * 10 + 10 {
            assert_eq!(journal.append(&record(number)).unwrap(), number);
            assert_eq!(
                found(&path).last(),
                Some(&number),
                "another process sees it when append returns"
            );
        }
        assert!(journal.healthy());
    }
    assert_eq!(found(&path), (1..=30).collect::<Vec<_>>());
    assert_eq!(intact(&path), 30);
    for file in fs::read_dir(&path).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn only_one_line_of_json_is_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(Journal::MAX_RECORD));
    for bad in ["", "{}\n", "{}\n{}", "{\"a\":\t1}", "{\r}", "null", "{}\0", &long] {
        assert!(matches!(journal.append(bad), Err(AuditError::Malformed)));
    }
    journal.append("{}").unwrap();
    assert_eq!(intact(folder.path()), 1);
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    let error = Journal::open(folder.path(), options()).unwrap_err();
    assert!(matches!(error, AuditError::Locked { .. }), "{error}");
    drop(journal);
    assert!(Journal::open(folder.path(), options()).is_ok());
}

#[test]
fn segments_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Journal::open(
            folder.path(),
            JournalOptions {
                segment_bytes: 1000,
                ..options()
            },
        )
        .unwrap()
    };
    for start in 0..4 {
        let journal = open();
        for number in start * 10 + 1..=start * 10 + 10 {
            journal.append(&record(number)).unwrap();
        }
    }
    assert!(segments(folder.path()).len() >= 8);
    assert_eq!(found(folder.path()), (1..=40).collect::<Vec<_>>());
    assert_eq!(intact(folder.path()), 40);
}

#[test]
fn a_day_begins_a_segment() {
    let folder = filled(3);
    let old = segments(folder.path()).pop().unwrap();
    let yesterday = folder.path().join("00000000000000000001-20200102.jsonl");
    fs::rename(old, &yesterday).unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    journal.append(&record(4)).unwrap();
    journal.append(&record(5)).unwrap();
    drop(journal);
    let after = segments(folder.path());
    assert_eq!(after.len(), 2);
    assert_eq!(fs::read_to_string(&yesterday).unwrap().lines().count(), 3);
    assert_eq!(intact(folder.path()), 5);
}

/// AU-01: a full disk, with room for part of a record. The record is refused, nothing of it stays, and when there is space again the journal goes on.
#[test]
fn a_full_disk_refuses_the_record_and_keeps_nothing_of_it() {
    let folder = filled(3);
    let segment = segments(folder.path()).pop().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    let medium = Arc::clone(&journal.shared.state().medium);
    let before = fs::read(&segment).unwrap();
    for room in [0, 1, 50, 150] {
        medium.faults.space.store(before.len() as u64 + room, Ordering::Relaxed);
        let error = journal.append(&record(4)).unwrap_err();
        assert!(matches!(error, AuditError::Full { .. }), "{error}");
        assert_eq!(fs::read(&segment).unwrap(), before);
        assert!(!journal.healthy());
    }
    medium.faults.space.store(0, Ordering::Relaxed);
    assert_eq!(journal.append(&record(4)).unwrap(), 4);
    assert!(journal.healthy());
    assert_eq!(intact(folder.path()), 4);
}

/// What is appended until the journal says that it is not healthy, and then until it refuses: the first and the last number.
fn exhaust(journal: &Journal) -> (u64, u64) {
    let most = journal.last() + 10_000;
    while journal.healthy() {
        let next = journal.last() + 1;
        assert!(next < most);
        journal.append(&record(next)).expect("healthy, so it takes the record");
    }
    let first = journal.last() + 1;
    while journal.append(&record(journal.last() + 1)).is_ok() {
        assert!(journal.last() < most && !journal.healthy());
    }
    assert!(!journal.healthy());
    (first, journal.last())
}

/// How many records of ours surely fit what is left when the journal says that it is not healthy.
const ROOM: u64 = LEAST / 400;

fn eventually(healthy: bool, journal: &Journal) {
    let start = Instant::now();
    while journal.healthy() != healthy {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
}

/// AU-01: what is done already when the disk gets full can still be recorded; what is asked for after that is not begun.
#[test]
fn a_full_disk_is_noticed_before_a_record_is_refused() {
    let folder = filled(3);
    let journal = Journal::open(folder.path(), options()).unwrap();
    let medium = Arc::clone(&journal.shared.state().medium);
    assert_eq!(medium.spare(), RESERVE);
    assert_eq!(
        fs::metadata(medium.path()).unwrap().len(),
        medium.length(),
        "what is held is not part of the file"
    );
    medium.faults.space.store(medium.length() + RESERVE, Ordering::Relaxed);
    let (first, last) = exhaust(&journal);
    assert!(last - first > ROOM, "{first} {last}");
    assert_eq!(intact(folder.path()), last);
    assert_eq!(fs::metadata(medium.path()).unwrap().len(), medium.length());
    medium.faults.space.store(0, Ordering::Relaxed);
    eventually(true, &journal);
    assert_eq!(medium.spare(), RESERVE);
    journal.append(&record(last + 1)).unwrap();
    assert_eq!(found(folder.path()).last(), Some(&(last + 1)));
    assert_eq!(intact(folder.path()), last + 1);
}

/// A file system that cannot hold bytes is asked what it has left, also while nothing is appended.
#[test]
fn where_nothing_can_be_held_free_space_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    let medium = Arc::clone(&journal.shared.state().medium);
    medium.faults.free.store(1, Ordering::Relaxed);
    while journal.healthy() {
        journal.append(&record(journal.last() + 1)).unwrap();
    }
    assert!(medium.is_unheld());
    journal.append(&record(journal.last() + 1)).unwrap();
    for _ in 0..2 {
        medium.faults.free.store(u64::MAX, Ordering::Relaxed);
        eventually(true, &journal);
        medium.faults.free.store(1, Ordering::Relaxed);
        eventually(false, &journal);
    }
    assert_eq!(intact(folder.path()), journal.last());
}

/// A file system of its own, if the tests may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("audit")
    }

    fn fill(&self) {
        let mut file = File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

/// AU-01, with a real disk that others fill.
#[test]
fn a_disk_that_others_fill() {
    let Some(disk) = SmallDisk::mount() else {
        // The same is tested with faults above.
        return;
    };
    let folder = disk.folder();
    let mut journal = Journal::open(&folder, options()).unwrap();
    for round in 0..3 {
        journal.append(&record(journal.last() + 1)).unwrap();
        disk.fill();
        let (first, last) = exhaust(&journal);
        assert!(last - first > ROOM, "{round}: {first} {last}");
        if round == 1 {
            drop(journal);
            journal = Journal::open(&folder, options()).unwrap();
            assert!(!journal.healthy(), "known from the start");
            assert!(journal.append(&record(0)).is_err());
        }
        assert_eq!(intact(&folder), last);
        disk.free();
        eventually(true, &journal);
    }
    assert_eq!(found(&folder), (1..=journal.last()).collect::<Vec<_>>());
}

/// When the next segment is due on a full disk, the current one takes the records until there is space for both.
#[test]
fn no_segment_is_begun_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let options = JournalOptions {
        segment_bytes: 2000,
        ..options()
    };
    let journal = Journal::open(&disk.folder(), options).unwrap();
    for number in 1..=40 {
        journal.append(&record(number)).unwrap();
    }
    let before = segments(&disk.folder()).len();
    assert!(before >= 4);
    disk.fill();
    let (first, last) = exhaust(&journal);
    assert!(last - first > ROOM, "{first} {last}");
    assert_eq!(segments(&disk.folder()).len(), before);
    disk.free();
    eventually(true, &journal);
    journal.append(&record(last + 1)).unwrap();
    assert_eq!(segments(&disk.folder()).len(), before + 1);
    assert_eq!(intact(&disk.folder()), last + 1);
}

/// AU-01: what was half written cannot even be taken back. Nothing is accepted until it can.
#[test]
fn half_a_record_blocks_the_journal_until_it_is_gone() {
    let folder = filled(3);
    let journal = Journal::open(folder.path(), options()).unwrap();
    let medium = Arc::clone(&journal.shared.state().medium);
    medium.faults.space.store(medium.length() + 50, Ordering::Relaxed);
    medium.faults.no_truncate.store(true, Ordering::Relaxed);
    assert!(journal.append(&record(4)).is_err());
    assert!(!journal.healthy());
    let report = verify(folder.path(), &KEY).unwrap();
    assert!(report.unfinished && report.is_intact(), "{report:?}");
    assert_eq!(found(folder.path()), [1, 2, 3]);
    medium.faults.space.store(0, Ordering::Relaxed);
    assert!(
        journal.append(&record(4)).is_err(),
        "there is space, but the rest of the last one is in the way"
    );
    medium.faults.no_truncate.store(false, Ordering::Relaxed);
    assert_eq!(journal.append(&record(4)).unwrap(), 4);
    assert!(journal.healthy());
    assert_eq!(found(folder.path()), [1, 2, 3, 4]);
    assert_eq!(intact(folder.path()), 4);
}

/// AU-01: a disk that fails to flush. The journal refuses records until it works again, and loses none that it took.
#[tokio::test]
async fn a_failed_flush_refuses_records_until_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(Durability::Disk, KEY);
    let journal = Journal::open(folder.path(), options).unwrap();
    let first = journal.append(&record(1)).unwrap();
    journal.durable(first).await.unwrap();
    let medium = Arc::clone(&journal.shared.state().medium);
    medium.faults.no_flush.store(true, Ordering::Relaxed);
    let second = journal.append(&record(2)).unwrap();
    let error = journal.durable(second).await.unwrap_err();
    assert!(matches!(error, AuditError::NotFlushed { .. }), "{error}");
    assert!(!journal.healthy());
    assert!(matches!(journal.append(&record(3)), Err(AuditError::NotFlushed { .. })));
    medium.faults.no_flush.store(false, Ordering::Relaxed);
    journal.flush().unwrap();
    assert!(journal.healthy());
    let third = journal.append(&record(3)).unwrap();
    journal.durable(third).await.unwrap();
    assert_eq!(verify(folder.path(), &KEY).unwrap().durable, 3);
    assert_eq!(intact(folder.path()), 3);
}

#[test]
fn an_operators_limit_is_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |max_bytes| JournalOptions {
        max_bytes: Some(max_bytes),
        segment_bytes: 1000,
        ..options()
    };
    let journal = Journal::open(folder.path(), limited(3000)).unwrap();
    assert!(!journal.healthy(), "so little is not enough to begin anything");
    let mut last = 0;
    while journal.append(&record(last + 1)).is_ok() {
        last += 1;
    }
    let bytes = |folder| -> u64 {
        segments(folder)
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum()
    };
    assert!((2000..=3000).contains(&bytes(folder.path())));
    assert!(matches!(journal.append(&record(0)), Err(AuditError::Full { .. })));
    drop(journal);
    let journal = Journal::open(folder.path(), limited(3000)).unwrap();
    assert!(
        matches!(journal.append(&record(0)), Err(AuditError::Full { .. })),
        "counted after a restart too"
    );
    drop(journal);
    let journal = Journal::open(folder.path(), limited(4000)).unwrap();
    assert_eq!(journal.append(&record(last + 1)).unwrap(), last + 1);
    assert_eq!(intact(folder.path()), last + 1);
    drop(journal);
    let journal = Journal::open(folder.path(), limited(1_000_000)).unwrap();
    let (first, last) = exhaust(&journal);
    assert!(last - first > ROOM, "{first} {last}");
    assert!(segments(folder.path()).len() > 10);
    assert!((999_000..=1_000_000).contains(&bytes(folder.path())));
}

#[tokio::test]
async fn durable_means_on_disk_and_proven() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(folder.path(), JournalOptions::new(Durability::Disk, KEY)).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (journal, folder) = (Arc::clone(&journal), folder.path().to_path_buf());
        tasks.spawn(async move {
            let sequence = journal.append(&record(number)).unwrap();
            journal.durable(sequence).await.unwrap();
            if number % 20 == 0 {
                assert!(verify(&folder, &KEY).unwrap().durable >= sequence);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(intact(folder.path()), 200);
}

/// The thread flushes by itself, and soon: a head that covers the record appears without anybody asking.
#[test]
fn records_reach_the_disk_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    let sequence = journal.append(&record(1)).unwrap();
    let start = Instant::now();
    while verify(folder.path(), &KEY).unwrap().durable < sequence {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
}

#[test]
fn a_torn_end_is_cut_off() {
    let torn: [&[u8]; 5] = [
        b"4",
        b"4 0123",
        b"garbage without an end",
        &[0; 3000],
        b"4 00\0\0\0\n\0\0\n",
    ];
    for tail in torn {
        let folder = filled(3);
        let segment = segments(folder.path()).pop().unwrap();
        let before = fs::read(&segment).unwrap();
        append_raw(&segment, tail);
        let journal = Journal::open(folder.path(), options()).unwrap();
        assert_eq!(fs::read(&segment).unwrap(), before);
        assert_eq!(journal.append(&record(4)).unwrap(), 4);
        assert_eq!(intact(folder.path()), 4);
    }
    // Each length of the last record, which no head covers yet: what a killed process can leave.
    for length in 1..280 {
        let folder = filled(3);
        let segment = segments(folder.path()).pop().unwrap();
        let head = fs::read(folder.path().join("head")).unwrap();
        let before = fs::read(&segment).unwrap();
        let journal = Journal::open(folder.path(), options()).unwrap();
        journal.append(&record(4)).unwrap();
        drop(journal);
        let after = fs::read(&segment).unwrap();
        fs::write(folder.path().join("head"), &head).unwrap();
        let cut = (before.len() + length).min(after.len());
        fs::write(&segment, &after[..cut]).unwrap();
        let journal = Journal::open(folder.path(), options()).unwrap();
        assert_eq!(journal.last(), if cut == after.len() { 4 } else { 3 });
        drop(journal);
        intact(folder.path());
    }
}

#[test]
fn what_no_crash_explains_stops_the_start() {
    type Tamper = fn(&Path, &Path);
    let cases: [(&str, ProblemKind, Tamper); 8] = [
        ("the last record is gone", ProblemKind::Truncated, |_, segment| {
            let text = fs::read_to_string(segment).unwrap();
            let end = text.trim_end().rfind('\n').unwrap() + 1;
            fs::write(segment, &text[..end]).unwrap();
        }),
        ("the segment is empty", ProblemKind::Truncated, |_, segment| {
            fs::write(segment, "").unwrap();
        }),
        ("the segment is gone", ProblemKind::Truncated, |_, segment| {
            fs::remove_file(segment).unwrap();
        }),
        ("a foreign record", ProblemKind::Modified, |_, segment| {
            append_raw(segment, format!("4 {} {{}}\n", "0".repeat(64)).as_bytes());
        }),
        ("a foreign line", ProblemKind::Modified, |_, segment| {
            append_raw(segment, b"\n");
        }),
        ("no head", ProblemKind::Head, |folder, _| {
            fs::remove_file(folder.join("head")).unwrap();
        }),
        ("an empty head", ProblemKind::Head, |folder, _| {
            fs::write(folder.join("head"), "").unwrap();
        }),
        ("half of the head", ProblemKind::Head, |folder, _| {
            let mut head = fs::read(folder.join("head")).unwrap();
            head[600] ^= 1;
            fs::write(folder.join("head"), head).unwrap();
        }),
    ];
    for (case, kind, tamper) in cases {
        let folder = filled(3);
        let segment = segments(folder.path()).pop().unwrap();
        tamper(folder.path(), &segment);
        let error = Journal::open(folder.path(), options()).unwrap_err();
        assert!(
            matches!(&error, AuditError::Damaged { problem } if problem.kind == kind),
            "{case}: {error}"
        );
        assert!(error.to_string().contains("irsa audit verify"), "{case}: {error}");
        assert_eq!(
            verify(folder.path(), &KEY).unwrap().problem.map(|problem| problem.kind),
            Some(kind),
            "{case}"
        );
    }
    let folder = filled(3);
    let other_key = JournalOptions::new(Durability::Kernel, [8; 32]);
    assert!(matches!(
        Journal::open(folder.path(), other_key),
        Err(AuditError::Damaged { .. })
    ));
}

#[test]
fn a_head_cannot_be_put_back() {
    let folder = filled(3);
    let path = folder.path().join("head");
    let head = fs::read(&path).unwrap();
    // One slot in both places: the way back to the head before the last.
    for slot in [&head[..512], &head[512..]] {
        fs::write(&path, [slot, slot].concat()).unwrap();
        let problem = verify(folder.path(), &KEY).unwrap().problem.unwrap();
        assert_eq!(problem.kind, ProblemKind::Head);
    }
}

#[test]
fn verify_and_lookup_work_while_a_server_writes() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(
        folder.path(),
        JournalOptions {
            segment_bytes: 20_000,
            ..options()
        },
    )
    .unwrap();
    journal.append(&record(1)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 2..=3000 {
                journal.append(&record(number)).unwrap();
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let records = intact(folder.path());
            assert!(records >= seen);
            seen = records;
            let numbers = found(folder.path());
            assert!(numbers.len() as u64 >= records && numbers.iter().copied().eq(1..=numbers.len() as u64));
        }
    });
    assert_eq!(intact(folder.path()), 3000);
}

#[test]
fn many_threads_share_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), options()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..250 {
                    journal.append(&record(thread * 250 + number)).unwrap();
                }
            });
        }
    });
    let mut numbers = found(folder.path());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    assert_eq!(intact(folder.path()), 1000);
}
