use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;

use crate::chain::{Keys, Line, MAX_LINE, Position, Segment, parse_name, segment_path, segments};
use crate::head::{self, Head};
use crate::journal::medium::Medium;
use crate::journal::upkeep::{Upkeep, read_start, remove_leftovers};
use crate::journal::{HeadFile, JournalOptions, Progress, RESERVE, Shared, State, day, seconds_now};
use crate::verify::read_line;
use crate::{AuditError, Problem, ProblemKind, Sequence};

/// Opens the journal: lock, head, and the records after the head, which are the only ones that a crash may have torn.
pub(super) fn open(folder: &Path, mut options: JournalOptions) -> Result<Shared, AuditError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| AuditError::file(folder, error))?;
    let lock = lock(folder)?;
    if let Some(bytes) = options.retention.bytes {
        options.segment_bytes = options.segment_bytes.min(bytes / 8);
    }
    options.index_bytes = options.index_bytes.map(|bytes| bytes.clamp(1, 1 << 30));
    let keys = Keys::new(&options.key);
    remove_leftovers(folder, &read_start(folder, &keys)?)?;
    let segments = segments(folder)?;
    let (head_file, head) = open_head(folder, &keys, &segments)?;
    let (position, medium, segment_day) = match continue_at(&segments, &keys, &head)? {
        Some(last) => last,
        None => {
            let (day, _) = day(seconds_now());
            (Position::START, begin_segment(folder, 1, &day)?, day)
        }
    };
    let mut older = 0_u64;
    for segment in &segments {
        if segment.path != medium.path() {
            let metadata = fs::metadata(&segment.path).map_err(|error| AuditError::file(&segment.path, error))?;
            older = older.saturating_add(metadata.len());
        }
    }
    let (progress, _) = watch::channel(Progress {
        durable: head.position.sequence,
        failures: 0,
    });
    let shared = Shared {
        folder: folder.to_path_buf(),
        options,
        keys,
        state: Mutex::new(State {
            position,
            medium: Arc::new(medium),
            older,
            day: segment_day,
            // The first append looks.
            day_ends: 0,
            line: Vec::new(),
            torn: false,
            unflushed: false,
            refused: false,
            cramped: false,
            stuck: false,
            // The records after the head want their flush.
            dirty: position != head.position,
            urgent: false,
            stop: false,
        }),
        healthy: AtomicBool::new(true),
        wake: Condvar::new(),
        head: Mutex::new(HeadFile {
            file: head_file,
            head,
            _lock: lock,
        }),
        progress,
        upkeep: Upkeep::new(),
    };
    let mut state = shared.state();
    shared.reserve(&mut state);
    shared.note(&state);
    drop(state);
    Ok(shared)
}

/// Makes an empty segment, with room, whose name is on disk when this returns.
pub(super) fn begin_segment(folder: &Path, first: Sequence, day: &str) -> Result<Medium, AuditError> {
    let path = segment_path(folder, first, day);
    OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .and_then(|file| {
            let medium = Medium::new(file, path.clone(), first, 0);
            let made = medium.reserve(RESERVE).and_then(|()| File::open(folder)?.sync_all());
            if let Err(error) = made {
                // The next attempt makes it anew.
                fs::remove_file(&path)?;
                return Err(error);
            }
            Ok(medium)
        })
        .map_err(|error| AuditError::file(&path, error))
}

/// The lock of a journal's folder.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting has the file open until it runs its program.
        drop(self.0.unlock());
    }
}

fn lock(folder: &Path) -> Result<Lock, AuditError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| AuditError::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked {
            folder: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(AuditError::file(&path, error)),
    }
}

/// Opens the head, or makes that of a new journal.
fn open_head(folder: &Path, keys: &Keys, segments: &[Segment]) -> Result<(File, Head), AuditError> {
    let path = head::path(folder);
    let failed = |error| AuditError::file(&path, error);
    let open = || OpenOptions::new().read(true).write(true).open(&path);
    if fs::exists(&path).map_err(failed)? {
        let file = open().map_err(failed)?;
        return match Head::read(&file, keys).map_err(failed)? {
            Some(head) => Ok((file, head)),
            None => Err(Problem::new(&path, 0, 0, ProblemKind::Head).into()),
        };
    }
    if let Some(segment) = segments.first() {
        // Made before the first segment, so it was taken away.
        return Err(Problem::new(&path, 0, segment.first, ProblemKind::Head).into());
    }
    let (head, slots) = Head::initial(keys);
    let draft = folder.join("head.new");
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(&slots)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(folder)?.sync_all()
        })
        .map_err(failed)?;
    Ok((open().map_err(failed)?, head))
}

/// Follows the records after the head and cuts off an incomplete last one. `None`: the journal has no segment yet.
fn continue_at(
    segments: &[Segment],
    keys: &Keys,
    head: &Head,
) -> Result<Option<(Position, Medium, String)>, AuditError> {
    let mut position = head.position;
    let lost = |path: &Path| Problem::new(path, 0, head.position.sequence, ProblemKind::Truncated);
    let Some(start) = segments.iter().position(|segment| segment.first == head.segment) else {
        return match segments.first() {
            None if position == Position::START => Ok(None),
            any => Err(lost(any.map_or(Path::new("head"), |segment| &segment.path)).into()),
        };
    };
    let mut last = None;
    for (number, segment) in segments.iter().enumerate().skip(start) {
        let path = &segment.path;
        let failed = |error| AuditError::file(path, error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let mut good = if number == start { head.length } else { 0 };
        if file.metadata().map_err(failed)?.len() < good {
            return Err(lost(path).into());
        }
        if number > start && segment.first != position.sequence.saturating_add(1) {
            return Err(Problem::new(path, 1, position.sequence.saturating_add(1), ProblemKind::Deleted).into());
        }
        let mut reader = BufReader::new(&file);
        reader.seek(SeekFrom::Start(good)).map_err(failed)?;
        let mut line = Vec::new();
        let torn = loop {
            if read_line(&mut reader, &mut line).map_err(failed)? == 0 {
                break false;
            }
            match Line::parse(&line).and_then(|line| position.follow(keys, &line)) {
                Some(next) => position = next,
                // The file ends within the line, or has a zero byte, which a record has not: a block that a power cut kept from the disk.
                None if (!line.ends_with(b"\n") && line.len() < MAX_LINE) || line.contains(&0) => break true,
                None => {
                    let sequence = position.sequence.saturating_add(1);
                    return Err(Problem::new(path, 0, sequence, ProblemKind::Modified).into());
                }
            }
            good = good.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        };
        drop(reader);
        if torn {
            if number + 1 < segments.len() {
                let sequence = position.sequence.saturating_add(1);
                return Err(Problem::new(path, 0, sequence, ProblemKind::Modified).into());
            }
            tracing::warn!(segment = %path.display(), "the last audit record was incomplete after a crash and is cut off");
            file.set_len(good).map_err(failed)?;
        }
        // What the kernel had of it before the crash may not be on disk yet.
        file.sync_all().map_err(failed)?;
        let day = parse_name(path).map(|(_, day)| day.to_owned()).unwrap_or_default();
        last = Some((Medium::new(file, path.clone(), segment.first, good), day));
    }
    Ok(last.map(|(medium, day)| (position, medium, day)))
}
