use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::{Errno, retry_on_intr};

use crate::Sequence;

/// The file of a segment: where its good bytes end, and which of them are on disk.
///
/// Appends, and what else changes its size, come one at a time, under the journal's lock. Flushes may come while one appends.
pub(super) struct Medium {
    file: File,
    path: PathBuf,
    first: Sequence,
    length: AtomicU64,
    /// Up to where bytes of the disk are held, past the file's end.
    held: AtomicU64,
    /// The file system cannot hold bytes, so that others may take what was free a moment before.
    unheld: AtomicBool,
    flushed: Mutex<Flushed>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

/// Where bytes are not held, so many times of them must be free: others take them too, between one look and the next.
const UNHELD_FACTOR: u64 = 8;

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
    /// As on a file system that cannot hold bytes: so many of them are free.
    pub(super) free: AtomicU64,
    pub(super) no_truncate: AtomicBool,
    pub(super) no_flush: AtomicBool,
}

#[cfg(test)]
impl Faults {
    fn allocation(&self, end: u64) -> Result<(), Errno> {
        let space = self.space.load(Ordering::Relaxed);
        if self.free.load(Ordering::Relaxed) > 0 {
            Err(Errno::OPNOTSUPP)
        } else if space > 0 && end > space {
            Err(Errno::NOSPC)
        } else {
            Ok(())
        }
    }
}

impl Medium {
    /// `length` bytes are good, and on disk.
    pub(super) fn new(file: File, path: PathBuf, first: Sequence, length: u64) -> Self {
        Self {
            file,
            path,
            first,
            length: length.into(),
            held: length.into(),
            unheld: false.into(),
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

    /// Cuts off what follows the good bytes, and holds again what was held of the disk.
    pub(super) fn take_back(&self) -> io::Result<()> {
        let held = self.held.load(Ordering::Acquire);
        self.give_back()?;
        if let Some(bytes) = held.checked_sub(self.length())
            && bytes > 0
            && self.allocate(self.length(), bytes).is_ok()
        {
            self.held.store(held, Ordering::Release);
        }
        Ok(())
    }

    /// Cuts off what follows the good bytes, and what was held for more.
    pub(super) fn give_back(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.no_truncate.load(Ordering::Relaxed) {
            return Err(io::Error::other("a test forbids it"));
        }
        self.held.store(self.length(), Ordering::Release);
        self.file.set_len(self.length())
    }

    /// How many bytes of the disk are held for what follows.
    pub(super) fn spare(&self) -> u64 {
        self.held.load(Ordering::Acquire).saturating_sub(self.length())
    }

    /// Whether what [`Medium::reserve`] found may be gone without an append.
    pub(super) fn is_unheld(&self) -> bool {
        self.unheld.load(Ordering::Acquire)
    }

    /// Holds `bytes` of the disk for what follows, or where the file system cannot do that, sees whether they are free. The file does not
    /// get longer.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        let end = self.length().saturating_add(bytes);
        // What is held already is not asked for again: where an attempt fails, some file systems give all of it back.
        let held = self.held.load(Ordering::Acquire).max(self.length());
        if !self.is_unheld() {
            if held >= end {
                return Ok(());
            }
            match self.allocate(held, end - held) {
                // ENOSYS: a kernel or a sandbox without the call.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.unheld.store(true, Ordering::Release),
                other => {
                    other?;
                    self.held.store(end, Ordering::Release);
                    return Ok(());
                }
            }
        }
        if self.free()? < bytes.saturating_mul(UNHELD_FACTOR) {
            self.held.store(self.length(), Ordering::Release);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.held.store(end, Ordering::Release);
        Ok(())
    }

    /// Writes, and takes back, more than a usual record.
    pub(super) fn probe(&self) -> io::Result<()> {
        let outcome = self.write(&[b' '; 4096], self.length());
        self.take_back()?;
        outcome
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

    fn allocate(&self, from: u64, bytes: u64) -> Result<(), Errno> {
        #[cfg(test)]
        self.faults.allocation(from.saturating_add(bytes))?;
        retry_on_intr(|| fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, bytes))
    }

    /// What the file system has left for us, in bytes.
    fn free(&self) -> io::Result<u64> {
        let system = retry_on_intr(|| fstatvfs(&self.file))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        #[cfg(test)]
        let free = free.min(self.faults.free.load(Ordering::Relaxed));
        Ok(free)
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
