//! What a second thread does, out of the way of appends: indexes for what was written, and the removal of what is older than it is kept.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use irsa_core::Timestamp;
use rustix::fs::statvfs;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::{Retention, Shared, seconds_now};
use crate::chain::{Line, Position, Segment, segments};
use crate::facts::Facts;
use crate::index::{Built, Index, Part, build, indexes, parts};
use crate::lookup::backward::{Backward, end_of_lines};
use crate::start::{self, Cut, CutReason, Start};
use crate::verify::read_line;
use crate::{AuditError, Problem, ProblemKind};

/// How often the thread looks whether something has become too old.
const LOOK: Duration = Duration::from_secs(60);

/// With less of the disk left, no index is made: room is for records.
const LEAST_FREE: u64 = 64 << 20;

/// How much less the thread matters than those that answer requests, in steps of `nice`: as little as can be. Whatever time they leave is
/// enough for it; where they leave none, indexes come later, and until then searches read records in their place.
const PRIORITY: i32 = 19;

/// What is to be done, and what is known about it.
pub(super) struct Upkeep {
    call: Mutex<Call>,
    wake: Condvar,
    /// Held for a whole round; one at a time.
    known: Mutex<Known>,
    /// When a flush finds this segment longer than `due_length`, or another one, there is work.
    due_segment: AtomicU64,
    due_length: AtomicU64,
}

#[derive(Default)]
struct Call {
    due: bool,
    stop: bool,
}

#[derive(Default)]
struct Known {
    /// Indexes that were looked at.
    sound: HashSet<Part>,
    /// Where lines begin of which no index can be made.
    unreadable: HashSet<(u64, u64)>,
    /// Segments that cannot be removed, because they are not proven.
    unproven: HashSet<u64>,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            call: Mutex::new(Call { due: true, stop: false }),
            wake: Condvar::new(),
            known: Mutex::default(),
            due_segment: AtomicU64::new(0),
            due_length: AtomicU64::new(u64::MAX),
        }
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread, if so much is written that there is something to do.
    pub(super) fn note(&self, segment: u64, length: u64) {
        if self.due_segment.load(Ordering::Relaxed) != segment || self.due_length.load(Ordering::Relaxed) <= length {
            self.call().due = true;
            self.wake.notify_one();
        }
    }

    pub(super) fn stop(&self) {
        self.call().stop = true;
        self.wake.notify_one();
    }

    fn stops(&self) -> bool {
        self.call().stop
    }
}

impl Shared {
    /// Whether there is anything that the thread could do.
    pub(super) fn wants_upkeep(&self) -> bool {
        self.options.index_bytes.is_some() || self.options.retention != Retention::default()
    }

    /// What the thread does.
    pub(super) fn keep_up(&self) {
        if let Err(error) = setpriority_process(Some(gettid()), PRIORITY) {
            tracing::debug!(%error, "the audit journal's upkeep has the priority of everything else");
        }
        loop {
            let mut call = self.upkeep.call();
            if !call.due && !call.stop {
                call = self
                    .upkeep
                    .wake
                    .wait_timeout_while(call, LOOK, |call| !call.due && !call.stop)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            if call.stop {
                return;
            }
            call.due = false;
            drop(call);
            if let Err(error) = self.tidy() {
                tracing::warn!(%error, "the audit journal's upkeep is put off");
            }
        }
    }

    /// One round.
    pub(super) fn tidy(&self) -> Result<(), AuditError> {
        let mut known = self.upkeep.known.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.remove_old(&mut known);
        let indexed = self.index(&mut known);
        // What was just made takes room as well.
        let made_room = self.remove_old(&mut known);
        removed.and(indexed).and(made_room)
    }

    fn index(&self, known: &mut Known) -> Result<(), AuditError> {
        let Some(wanted) = self.options.index_bytes else {
            return Ok(());
        };
        let state = self.state();
        let (open, open_length) = (state.medium.first(), state.medium.length());
        drop(state);
        // Whatever fails is tried again when as much more is written.
        self.upkeep.due_segment.store(open, Ordering::Relaxed);
        self.upkeep
            .due_length
            .store(open_length.saturating_add(wanted), Ordering::Relaxed);
        let segments = segments(&self.folder)?;
        self.clear_indexes(&segments)?;
        // The newest first: what is asked for most.
        for segment in segments.iter().rev().filter(|segment| segment.first <= open) {
            let end = if segment.first == open {
                open_length
            } else {
                fs::metadata(&segment.path)
                    .map_err(|error| AuditError::file(&segment.path, error))?
                    .len()
            };
            let reached = self.index_segment(known, segment, end, segment.first < open, wanted)?;
            let Some(reached) = reached else { return Ok(()) };
            if segment.first == open {
                self.upkeep.due_length.store(
                    reached.max(open_length.saturating_sub(wanted)).saturating_add(wanted),
                    Ordering::Relaxed,
                );
            }
        }
        Ok(())
    }

    /// Makes the indexes that a segment lacks. Gives up to where it has them; `None` if the thread is to stop, or there is no room.
    fn index_segment(
        &self,
        known: &mut Known,
        segment: &Segment,
        end: u64,
        closed: bool,
        wanted: u64,
    ) -> Result<Option<u64>, AuditError> {
        let file = File::open(&segment.path).map_err(|error| AuditError::file(&segment.path, error))?;
        let mut sound = Vec::new();
        for part in parts(&self.folder, Some(segment))? {
            if known.sound.contains(&part) || Index::open(&self.folder, &self.keys, part.clone(), &file).is_ok() {
                known.sound.insert(part.clone());
                sound.push(part);
            } else {
                self.remove_index(&part);
            }
        }
        let mut at = 0;
        let mut sound = sound.into_iter().peekable();
        loop {
            if let Some(part) = sound.next_if(|part| part.start <= at) {
                at = at.max(part.end);
                continue;
            }
            let gap = sound.peek().map(|part| part.start);
            let limit = gap.unwrap_or(end);
            let complete = closed || gap.is_some() || limit.saturating_sub(at) >= wanted;
            if at >= limit || !complete || known.unreadable.contains(&(segment.first, at)) {
                match gap {
                    Some(next) => at = next,
                    None => return Ok(Some(at)),
                }
                continue;
            }
            let system = statvfs(&self.folder).map_err(|error| AuditError::file(&self.folder, error.into()))?;
            if system.f_bavail.saturating_mul(system.f_frsize) < LEAST_FREE {
                return Ok(None);
            }
            match build(&self.folder, &self.keys, segment, at, wanted, limit, || {
                self.upkeep.stops()
            })? {
                Built::Until(reached) => at = reached,
                Built::Unreadable => {
                    tracing::error!(segment = %segment.path.display(), "part of the audit journal cannot be read, so it has no index");
                    known.unreadable.insert((segment.first, at));
                }
                Built::Stopped => return Ok(None),
            }
        }
    }

    /// Removes what a crash left half written, and indexes of segments that are gone.
    fn clear_indexes(&self, segments: &[Segment]) -> Result<(), AuditError> {
        let folder = indexes(&self.folder);
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.map_err(|error| AuditError::file(&folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "draft") {
                remove(&path);
            }
        }
        for part in parts(&self.folder, None)? {
            if segments.iter().all(|segment| segment.first != part.segment) {
                self.remove_index(&part);
            }
        }
        Ok(())
    }

    fn remove_index(&self, part: &Part) {
        remove(&part.path(&self.folder));
    }

    /// Removes the oldest segments, as long as retention asks for it.
    fn remove_old(&self, known: &mut Known) -> Result<(), AuditError> {
        if self.options.retention == Retention::default() {
            return Ok(());
        }
        Start::create(&self.folder, &self.keys).map_err(|error| AuditError::file(&start::path(&self.folder), error))?;
        while self.remove_oldest(known)? {}
        Ok(())
    }

    fn remove_oldest(&self, known: &mut Known) -> Result<bool, AuditError> {
        let start = read_start(&self.folder, &self.keys)?;
        let segments = segments(&self.folder)?;
        let [oldest, next, ..] = segments.as_slice() else {
            return Ok(false);
        };
        if known.unproven.contains(&oldest.first) {
            return Ok(false);
        }
        // Neither the one that is written to, nor the one that the head names.
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let named = head.head.segment;
        drop(head);
        let state = self.state();
        let open = state.medium.first();
        let kept = state.older.saturating_add(state.medium.length());
        drop(state);
        if oldest.first >= named.min(open) {
            return Ok(false);
        }
        let Retention { age, bytes } = self.options.retention;
        let now = Timestamp::from_unix_seconds(i64::try_from(seconds_now()).unwrap_or_default());
        let horizon = age.map(|age| now.plus_seconds(-i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
        let too_large = bytes.is_some_and(|bytes| kept.saturating_add(self.indexes_length()) > bytes);
        let maybe_old = match horizon {
            Some(horizon) => is_old(&oldest.path, horizon)?,
            None => false,
        };
        if !too_large && !maybe_old {
            return Ok(false);
        }
        let Some(proof) = self.prove(oldest, &start, next)? else {
            known.unproven.insert(oldest.first);
            tracing::error!(segment = %oldest.path.display(), "the oldest part of the audit journal is not as it was written, and stays as evidence");
            return Ok(false);
        };
        let Some(Proof { end, newest, undated }) = proof else {
            return Ok(false);
        };
        let old = !undated && newest.zip(horizon).is_some_and(|(newest, horizon)| newest < horizon);
        let reason = match (old, too_large) {
            (true, _) => CutReason::Age,
            (false, true) => CutReason::Size,
            (false, false) => return Ok(false),
        };
        let cut = Cut {
            last_removed: end.sequence,
            newest_removed: newest,
            removed_at: now,
            reason,
        };
        let failed = |error| AuditError::file(&start::path(&self.folder), error);
        start.after(end, cut).write(&self.folder, &self.keys).map_err(failed)?;
        tracing::info!(segment = %oldest.path.display(), last_removed = end.sequence, reason = reason.as_str(), "old audit records are removed");
        let length = fs::metadata(&oldest.path).map_or(0, |metadata| metadata.len());
        remove_segment(&self.folder, oldest)?;
        let mut state = self.state();
        state.older = state.older.saturating_sub(length);
        drop(state);
        Ok(true)
    }

    /// Follows a segment's chain from the start to the next segment. Outer `None`: it is broken. Inner `None`: the thread is to stop.
    fn prove(&self, segment: &Segment, start: &Start, next: &Segment) -> Result<Option<Option<Proof>>, AuditError> {
        let failed = |error| AuditError::file(&segment.path, error);
        let mut reader = BufReader::with_capacity(256 << 10, File::open(&segment.path).map_err(failed)?);
        let mut proof = Proof {
            end: start.position,
            newest: None,
            undated: false,
        };
        let (mut line, mut count) = (Vec::new(), 0_u64);
        while read_line(&mut reader, &mut line).map_err(failed)? > 0 {
            count += 1;
            if count.is_multiple_of(1024) && self.upkeep.stops() {
                return Ok(Some(None));
            }
            let Some(parsed) = Line::parse(&line) else {
                return Ok(None);
            };
            let Some(position) = proof.end.follow(&self.keys, &parsed) else {
                return Ok(None);
            };
            proof.end = position;
            let time = std::str::from_utf8(parsed.record)
                .ok()
                .and_then(|record| Facts::read(record)?.time());
            proof.undated |= time.is_none();
            proof.newest = proof.newest.max(time);
        }
        Ok((proof.end.sequence.checked_add(1) == Some(next.first)).then_some(Some(proof)))
    }

    fn indexes_length(&self) -> u64 {
        let lengths = fs::read_dir(indexes(&self.folder))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .map(|metadata| metadata.len());
        lengths.fold(0, u64::saturating_add)
    }
}

struct Proof {
    /// The last record.
    end: Position,
    /// The time of the newest record.
    newest: Option<Timestamp>,
    /// Whether some record has no time.
    undated: bool,
}

/// Whether the last record of a segment is older than the horizon, so that all may be.
fn is_old(path: &Path, horizon: Timestamp) -> Result<bool, AuditError> {
    let file = Arc::new(File::open(path).map_err(|error| AuditError::file(path, error))?);
    let end = end_of_lines(&file, path)?;
    let mut lines = Backward::new(file, path.to_path_buf(), 0, end);
    let time = lines.next_line()?.and_then(|line| {
        let record = Line::parse(line)?.record;
        Facts::read(std::str::from_utf8(record).ok()?)?.time()
    });
    Ok(time.is_some_and(|time| time < horizon))
}

/// The start of a journal.
pub(super) fn read_start(folder: &Path, keys: &crate::chain::Keys) -> Result<Start, AuditError> {
    let path = start::path(folder);
    Start::read(folder, keys)
        .map_err(|error| AuditError::file(&path, error))?
        .ok_or_else(|| Problem::new(&path, 0, 0, ProblemKind::Start).into())
}

/// Removes the segments before the start, which a crash may have left.
pub(super) fn remove_leftovers(folder: &Path, start: &Start) -> Result<(), AuditError> {
    let segments = segments(folder)?;
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        if next.first <= start.position.sequence.saturating_add(1) {
            remove_segment(folder, segment)?;
        }
    }
    Ok(())
}

fn remove_segment(folder: &Path, segment: &Segment) -> Result<(), AuditError> {
    fs::remove_file(&segment.path)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| AuditError::file(&segment.path, error))?;
    for part in parts(folder, Some(segment))? {
        remove(&part.path(folder));
    }
    Ok(())
}

/// Removes what is of no use; if that fails, it is in nobody's way.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), %error, "a file of the audit journal could not be removed");
        }
        _ => {}
    }
}
