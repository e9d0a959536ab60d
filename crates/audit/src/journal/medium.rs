use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Sequence;

/// The file of a segment: where its good bytes end, and which of them are on disk.
///
/// Appends come one at a time, under the journal's lock. Flushes may come while one appends.
pub(super) struct Medium {
    file: File,
    path: PathBuf,
    first: Sequence,
    length: AtomicU64,
    flushed: Mutex<Flushed>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

struct Flushed {
    /// How many bytes are on disk.
    length: u64,
    /// The last flush failed: the kernel may have dropped what it did not write, and would report the next flush as done.
    failed: bool,
}

/// What a test lets go wrong.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Faults {
    /// The file may not grow beyond this; 0: no limit.
    pub(super) space: AtomicU64,
    pub(super) no_truncate: AtomicBool,
    pub(super) no_flush: AtomicBool,
}

impl Medium {
    /// `length` bytes are good, and on disk.
    pub(super) fn new(file: File, path: PathBuf, first: Sequence, length: u64) -> Self {
        Self {
            file,
            path,
            first,
            length: length.into(),
            flushed: Mutex::new(Flushed { length, failed: false }),
            #[cfg(test)]
            faults: Faults::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn first(&self) -> Sequence {
        self.first
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Writes bytes after the good ones. If that fails, part of them may be there: [`Medium::take_back`].
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length();
        self.write(bytes, length)?;
        let added = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.length.store(length.saturating_add(added), Ordering::Release);
        Ok(())
    }

    /// Cuts off what follows the good bytes.
    pub(super) fn take_back(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.no_truncate.load(Ordering::Relaxed) {
            return Err(io::Error::other("a test forbids it"));
        }
        self.file.set_len(self.length())
    }

    /// Flushes to the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        let length = self.length();
        if flushed.failed {
            self.write_again(flushed.length, length)?;
        }
        let outcome = self.sync();
        flushed.failed = outcome.is_err();
        if outcome.is_ok() {
            flushed.length = length;
        }
        outcome
    }

    /// After a failed flush the pages count as clean although they are not on disk. Written again, they are dirty again.
    fn write_again(&self, from: u64, length: u64) -> io::Result<()> {
        let mut at = from;
        let mut buffer = vec![0; 64 << 10];
        while at < length {
            let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(piece, at)?;
            self.file.write_all_at(piece, at)?;
            at = at.saturating_add(u64::try_from(wanted).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    #[cfg(not(test))]
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    #[cfg(not(test))]
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(test)]
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let space = self.faults.space.load(Ordering::Relaxed);
        let fits = if space == 0 {
            bytes.len()
        } else {
            usize::try_from(space.saturating_sub(at)).unwrap().min(bytes.len())
        };
        self.file.write_all_at(&bytes[..fits], at)?;
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    #[cfg(test)]
    fn sync(&self) -> io::Result<()> {
        if self.faults.no_flush.load(Ordering::Relaxed) {
            return Err(io::Error::other("a test forbids it"));
        }
        self.file.sync_data()
    }
}
