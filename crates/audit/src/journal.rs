//! The journal: appending, flushing, rotating, opening.

mod medium;
mod open;
mod upkeep;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use irsa_core::Timestamp;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::chain::{Content, Keys, Position, segment_path};
use crate::head::Head;
use crate::journal::medium::Medium;
use crate::journal::open::Lock;
use crate::journal::upkeep::Upkeep;
use crate::{AuditError, Searcher, Sequence};

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// When the kernel has it: it survives the end of the process, and a power cut 100 ms later.
    #[default]
    Kernel,
    /// When the disk has it: [`Journal::durable`] waits for the flush, which all that wait share.
    Disk,
}

/// Settings of a [`Journal`].
#[derive(Clone)]
pub struct JournalOptions {
    /// When a record counts as written.
    pub durability: Durability,
    /// The key of the chain and the head. The same at each start, and secret.
    pub key: Zeroizing<[u8; 32]>,
    /// A new segment begins when the current one is this long, in bytes, and with each day in UTC.
    pub segment_bytes: u64,
    /// The most bytes of all segments together; beyond it, appending fails as it does on a full disk, and the journal is not
    /// [healthy](Journal::healthy) from 512 KiB before. `None`: as many as the disk holds.
    pub max_bytes: Option<u64>,
    /// What is removed, a whole segment at a time, the oldest first.
    pub retention: Retention,
    /// A part of a segment gets its index when it is so long, in bytes, or when the segment ends. At most 1 GiB. `None`: no indexes.
    pub index_bytes: Option<u64>,
}

/// How long records are kept. What is given last for a segment whose records are all older, or where the journal is larger, goes; the rest, and
/// always the segment that is written to, stays. The default keeps everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// A segment is removed when all its records are older than this. A segment holds a day at most.
    pub age: Option<Duration>,
    /// The oldest segments are removed while all segments and their indexes together have more bytes than this. Segments are not longer than an
    /// eighth of it.
    pub bytes: Option<u64>,
}

impl JournalOptions {
    /// The usual settings: segments of 256 MiB, no limit but the disk.
    #[must_use]
    pub fn new(durability: Durability, key: [u8; 32]) -> Self {
        Self {
            durability,
            key: Zeroizing::new(key),
            segment_bytes: 256 << 20,
            max_bytes: None,
            retention: Retention::default(),
            index_bytes: Some(32 << 20),
        }
    }
}

impl fmt::Debug for JournalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalOptions")
            .field("durability", &self.durability)
            .field("segment_bytes", &self.segment_bytes)
            .field("max_bytes", &self.max_bytes)
            .field("retention", &self.retention)
            .field("index_bytes", &self.index_bytes)
            .finish_non_exhaustive()
    }
}

/// How long a record may wait for others to share its flush.
const GROUP: Duration = Duration::from_millis(50);

/// How long the journal waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(500);

/// So many bytes of the disk are held for the records to come.
const RESERVE: u64 = 1 << 20;

/// When fewer are left of them, they are held anew. If that fails, this is the room for the records of what is being done already: some
/// hundred usual ones, or two of the longest (see `Event`).
const LEAST: u64 = RESERVE / 2;

/// An open journal, the only one of its folder.
///
/// Appending chains, writes and returns; a thread flushes. Dropping it flushes what is left.
pub struct Journal {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    options: JournalOptions,
    keys: Keys,
    state: Mutex<State>,
    /// What the state comes to, for those who ask before each request: [`Shared::note`].
    healthy: AtomicBool,
    /// Wakes the flusher.
    wake: Condvar,
    /// Held for a whole flush; one at a time.
    head: Mutex<HeadFile>,
    progress: watch::Sender<Progress>,
    upkeep: Upkeep,
}

struct State {
    position: Position,
    medium: Arc<Medium>,
    /// Bytes of the older segments.
    older: u64,
    /// The day of the current segment.
    day: String,
    /// When `day` ends, in seconds since the epoch.
    day_ends: u64,
    /// Room for a line, kept.
    line: Vec<u8>,
    /// Part of a record could not be taken back after its write failed.
    torn: bool,
    /// The last flush failed.
    unflushed: bool,
    /// The last append failed, and nothing has shown since that the next one will not.
    refused: bool,
    /// Too little of the disk is held for the records to come.
    cramped: bool,
    /// The next segment is due, and could not be begun.
    stuck: bool,
    dirty: bool,
    /// Somebody waits for the flush.
    urgent: bool,
    stop: bool,
}

struct HeadFile {
    file: File,
    head: Head,
    // Locked for as long as the journal is open.
    _lock: Lock,
}

/// What the flusher has reached.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    durable: Sequence,
    failures: u64,
}

impl Journal {
    /// The longest record, in bytes.
    pub const MAX_RECORD: usize = 1 << 20;

    /// Opens the journal in `folder`, or begins one there. A last line that a crash left incomplete is cut off.
    ///
    /// # Errors
    /// [`AuditError::Locked`] if another process has it open; [`AuditError::Damaged`] if its end is not as it was left, the head is missing
    /// or does not fit the key; [`AuditError::Full`] and [`AuditError::File`] if it cannot be read or written.
    pub fn open(folder: &Path, options: JournalOptions) -> Result<Self, AuditError> {
        let shared = Arc::new(open::open(folder, options)?);
        let thread = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work(&shared))
                .map_err(|error| AuditError::file(folder, error))
        };
        let mut journal = Self {
            flusher: Some(thread("audit", Shared::run)?),
            keeper: None,
            shared: Arc::clone(&shared),
        };
        if shared.wants_upkeep() {
            journal.keeper = Some(thread("audit-upkeep", Shared::keep_up)?);
        }
        Ok(journal)
    }

    /// Does now what a thread of the journal's does when there is work: makes the indexes of what was written, and removes what retention asks
    /// for.
    ///
    /// # Errors
    /// [`AuditError::File`] and [`AuditError::Full`]; [`AuditError::Damaged`] if the journal's start is not as it was written. No record is lost.
    pub fn tidy(&self) -> Result<(), AuditError> {
        self.shared.tidy()
    }

    /// Adds a record, which is one JSON object on one line, and hands it to the kernel.
    ///
    /// # Errors
    /// [`AuditError::Full`], [`AuditError::File`] and [`AuditError::NotFlushed`]; nothing of the record stays in the journal then.
    /// [`AuditError::Malformed`] for a record with a line break, or one that is too long.
    pub fn append(&self, record: &str) -> Result<Sequence, AuditError> {
        let bytes = record.as_bytes();
        if bytes.len() > Self::MAX_RECORD
            || !(bytes.starts_with(b"{") && bytes.ends_with(b"}"))
            || bytes.iter().fold(false, |found, byte| found | (*byte < 0x20))
        {
            return Err(AuditError::Malformed);
        }
        let content = Content::of(bytes);
        let mut state = self.shared.state();
        let outcome = self.shared.append(&mut state, record, &content);
        self.shared.note(&state);
        let sequence = outcome?;
        if !state.dirty {
            state.dirty = true;
            self.shared.wake.notify_one();
        }
        Ok(sequence)
    }

    /// Waits until a record counts as written: not at all with [`Durability::Kernel`], for the disk with [`Durability::Disk`].
    ///
    /// # Errors
    /// [`AuditError::NotFlushed`].
    pub async fn durable(&self, sequence: Sequence) -> Result<(), AuditError> {
        if self.shared.options.durability == Durability::Kernel {
            return Ok(());
        }
        let mut progress = self.shared.progress.subscribe();
        let failures = progress.borrow_and_update().failures;
        if progress.borrow().durable < sequence {
            self.shared.state().urgent = true;
            self.shared.wake.notify_one();
        }
        let reached = progress
            .wait_for(|progress| progress.durable >= sequence || progress.failures != failures)
            .await
            .is_ok_and(|progress| progress.durable >= sequence);
        if reached {
            Ok(())
        } else {
            Err(self.shared.not_flushed())
        }
    }

    /// Flushes all that was appended to the disk, now.
    ///
    /// # Errors
    /// [`AuditError::NotFlushed`] and [`AuditError::File`].
    pub fn flush(&self) -> Result<(), AuditError> {
        self.shared.flush()
    }

    /// Whether the journal will take the record of what is about to be done, as far as is known: neither a failed append nor a failed flush
    /// stands in the way, and bytes of the disk are held for it. Costs nothing; the journal itself finds out when it is well again.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Acquire)
    }

    /// The last record's sequence; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.shared.state().position.sequence
    }

    /// Searches this journal.
    #[must_use]
    pub fn searcher(&self) -> Searcher {
        Searcher::new(&self.shared.folder, &self.shared.keys)
    }

    /// The folder of the journal.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.wake.notify_one();
        self.shared.upkeep.stop();
        for thread in self.flusher.take().into_iter().chain(self.keeper.take()) {
            // A panic of the thread has been reported by the panic hook already.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("folder", &self.shared.folder)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Whether the next record may not be taken.
    fn ails(&self) -> bool {
        self.torn || self.unflushed || self.refused || self.cramped || self.stuck
    }

    /// Whether the thread has something to try or to look after.
    fn wants_care(&self) -> bool {
        self.ails() || self.medium.is_unheld()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what the state has come to. Whoever changes that calls it before the lock is gone.
    fn note(&self, state: &State) {
        let healthy = !state.ails();
        if self.healthy.load(Ordering::Relaxed) != healthy {
            self.healthy.store(healthy, Ordering::Release);
            if healthy {
                tracing::info!("the audit journal takes records again");
            } else {
                tracing::error!(folder = %self.folder.display(), "the audit journal may not take further records, so nothing is changed");
                // The thread finds out when it does again.
                self.wake.notify_one();
            }
        }
    }

    /// How many bytes of records are sure to fit.
    fn spare(&self, state: &State) -> u64 {
        self.allowed(state).min(state.medium.spare())
    }

    /// How many bytes the operator's limit leaves.
    fn allowed(&self, state: &State) -> u64 {
        let used = state.older.saturating_add(state.medium.length());
        self.options
            .max_bytes
            .map_or(u64::MAX, |most| most.saturating_sub(used))
    }

    /// Holds bytes of the disk for the records to come.
    fn reserve(&self, state: &mut State) {
        let outcome = if self.allowed(state) < LEAST {
            Err(std::io::ErrorKind::StorageFull.into())
        } else {
            state.medium.reserve(RESERVE)
        };
        if let Err(error) = &outcome
            && !state.cramped
        {
            tracing::error!(%error, "there is no room ahead of the audit journal");
        }
        state.cramped = outcome.is_err();
    }

    fn append(&self, state: &mut State, record: &str, content: &Content) -> Result<Sequence, AuditError> {
        if state.unflushed {
            return Err(self.not_flushed());
        }
        let outcome = self.append_unless_torn(state, record, content);
        let recovered = std::mem::replace(&mut state.refused, outcome.is_err()) && outcome.is_ok();
        // Where there was no room, not each append asks again, but the thread.
        if self.spare(state) < LEAST && (!state.cramped || recovered) {
            self.reserve(state);
        }
        outcome
    }

    fn append_unless_torn(&self, state: &mut State, record: &str, content: &Content) -> Result<Sequence, AuditError> {
        self.repair(state)?;
        self.rotate_if_due(state)?;
        let State { line, medium, .. } = state;
        let next = state.position.write(&self.keys, record, content, line);
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if let Some(most) = self.options.max_bytes
            && state.older.saturating_add(medium.length()).saturating_add(bytes) > most
        {
            return Err(AuditError::Full {
                folder: self.folder.clone(),
            });
        }
        if let Err(error) = medium.append(line) {
            // Whatever part of the line was written must go, or the next record would continue it.
            state.torn = true;
            let path = medium.path().to_path_buf();
            if let Err(error) = self.repair(state) {
                tracing::error!(%error, "part of an audit record could not be taken back");
            }
            return Err(AuditError::file(&path, error));
        }
        state.position = next;
        // One record of a megabyte must not keep its room for ever.
        state.line.shrink_to(64 << 10);
        Ok(next.sequence)
    }

    /// Takes back part of a record that a failed write left.
    fn repair(&self, state: &mut State) -> Result<(), AuditError> {
        if state.torn {
            state
                .medium
                .take_back()
                .map_err(|error| AuditError::file(state.medium.path(), error))?;
            state.torn = false;
        }
        Ok(())
    }

    /// Tries whether the journal is well again, or, where bytes of the disk cannot be held, still.
    fn tend(&self, state: &mut State) {
        if let Err(error) = self.attempt(state) {
            tracing::debug!(%error, "the audit journal does not take records yet");
        }
        self.note(state);
    }

    fn attempt(&self, state: &mut State) -> Result<(), AuditError> {
        self.repair(state)?;
        if state.refused
            && let Err(error) = state.medium.probe()
        {
            state.torn = true;
            return Err(AuditError::file(state.medium.path(), error));
        }
        self.reserve(state);
        state.stuck &= state.cramped;
        if let Err(error) = self.rotate_if_due(state) {
            state.refused = true;
            return Err(error);
        }
        state.refused &= state.cramped || state.stuck;
        Ok(())
    }

    /// Begins the next segment if the day or the size asks for it. The old one is on disk first: what a crash may tear is in one file.
    fn rotate_if_due(&self, state: &mut State) -> Result<(), AuditError> {
        let length = state.medium.length();
        let now = seconds_now();
        // What is held for the current segment is not given up for a next one that may get nothing.
        if length == 0 || state.cramped || state.stuck || (length < self.options.segment_bytes && now < state.day_ends)
        {
            return Ok(());
        }
        let (day, day_ends) = day(now);
        if length < self.options.segment_bytes && day <= state.day {
            // The segment was begun before this process started, on the same day, or the clock was turned back.
            state.day_ends = day_ends;
            return Ok(());
        }
        if let Err(error) = state.medium.flush() {
            (state.unflushed, state.dirty) = (true, true);
            self.wake.notify_one();
            return Err(AuditError::file(state.medium.path(), error));
        }
        let first = state.position.sequence.saturating_add(1);
        let next = match open::begin_segment(&self.folder, first, &day) {
            Ok(next) => next,
            Err(error) => {
                if segment_path(&self.folder, first, &day).exists() || !state.medium.path().exists() {
                    return Err(error);
                }
                // The current one takes what is being done already.
                tracing::debug!(%error, "the next segment of the audit journal could not be begun");
                state.stuck = true;
                return Ok(());
            }
        };
        let old = std::mem::replace(&mut state.medium, Arc::new(next));
        if let Err(error) = old.give_back() {
            tracing::warn!(%error, "what was held for the last segment of the audit journal could not be given back");
        }
        state.older = state.older.saturating_add(old.length());
        (state.day, state.day_ends) = (day, day_ends);
        Ok(())
    }

    /// What the thread does: flushes when something is dirty, soon, or at once if somebody waits; and makes the journal well again.
    fn run(&self) {
        let mut tended = Instant::now();
        loop {
            let mut state = self.state();
            while !state.stop && !state.dirty && !state.wants_care() {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (delay, failed) = if state.unflushed { (RETRY, true) } else { (GROUP, false) };
            let (mut state, _) = self
                .wake
                .wait_timeout_while(state, delay, |state| {
                    !state.stop && (failed || !(state.urgent && state.dirty))
                })
                .unwrap_or_else(PoisonError::into_inner);
            if state.wants_care() && tended.elapsed() >= RETRY {
                self.tend(&mut state);
                tended = Instant::now();
            }
            let (stop, dirty) = (state.stop, state.dirty);
            drop(state);
            if (stop || dirty)
                && let Err(error) = self.flush()
            {
                tracing::error!(%error, "audit records are not on disk yet");
            }
            if stop {
                break;
            }
        }
    }

    fn flush(&self) -> Result<(), AuditError> {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        (state.dirty, state.urgent) = (false, false);
        // Only what is appended by now counts as flushed. The segment cannot be an older one than the position's.
        let (position, medium, length) = (state.position, Arc::clone(&state.medium), state.medium.length());
        drop(state);
        let outcome = medium.flush();
        let mut state = self.state();
        if let Err(error) = outcome {
            // The thread tries again, also if nobody appends.
            (state.unflushed, state.dirty) = (true, true);
            self.note(&state);
            drop(state);
            self.progress.send_modify(|progress| progress.failures += 1);
            return Err(AuditError::file(medium.path(), error));
        }
        state.unflushed = false;
        if let Err(error) = self.repair(&mut state) {
            tracing::error!(%error, "part of an audit record could not be taken back");
        }
        self.note(&state);
        drop(state);
        let HeadFile { file, head, .. } = &mut *head;
        if head.position != position
            && let Err(error) = head.advance(file, &self.keys, position, medium.first(), length)
        {
            // The records are on disk. An older head is true as well; it only proves less.
            tracing::error!(%error, "the head of the audit journal was not written");
        }
        self.progress
            .send_modify(|progress| progress.durable = progress.durable.max(position.sequence));
        if self.wants_upkeep() {
            self.upkeep.note(medium.first(), length);
        }
        Ok(())
    }

    fn not_flushed(&self) -> AuditError {
        AuditError::NotFlushed {
            folder: self.folder.clone(),
        }
    }
}

fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The day as `20260102`, and when it ends.
fn day(seconds: u64) -> (String, u64) {
    let (year, month, day, ..) = Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or_default()).civil();
    let ends = (seconds / 86_400 + 1).saturating_mul(86_400);
    (format!("{year:04}{month:02}{day:02}"), ends)
}
