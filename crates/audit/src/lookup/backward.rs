use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memrchr;

use crate::chain::MAX_LINE;
use crate::{AuditError, Problem, ProblemKind};

const BLOCK: usize = 256 << 10;

/// The end of the last complete line of a segment. What follows is a record that is not complete.
pub(crate) fn end_of_lines(file: &File, path: &Path) -> Result<u64, AuditError> {
    // A server with a full disk may be taking back half a record: then the file is shorter than it was a moment before.
    let mut attempts = 3;
    loop {
        let length = file.metadata().map_err(|error| AuditError::file(path, error))?.len();
        let mut size = 4096;
        let found = loop {
            let wanted = usize::try_from(length).unwrap_or(size).min(size);
            let from = length - u64::try_from(wanted).unwrap_or_default();
            let mut buffer = vec![0; wanted];
            match file.read_exact_at(&mut buffer, from) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && attempts > 0 => break None,
                other => other.map_err(|error| AuditError::file(path, error))?,
            }
            if let Some(end) = memrchr(b'\n', &buffer) {
                break Some(from + u64::try_from(end + 1).unwrap_or_default());
            }
            if from == 0 {
                break Some(0);
            }
            if wanted > MAX_LINE {
                return Err(Problem::new(path, 0, 0, ProblemKind::Modified).into());
            }
            size *= 8;
        };
        match found {
            Some(end) => return Ok(end),
            None => attempts -= 1,
        }
    }
}

/// The lines of a piece of a file, from its end to its start. Holds one block, or one line if that is longer.
#[derive(Debug)]
pub(crate) struct Backward {
    file: Arc<File>,
    path: PathBuf,
    /// Where the piece begins.
    from: u64,
    /// Where `buffer` begins in the file.
    at: u64,
    buffer: Vec<u8>,
    /// Up to where the lines of the buffer are not taken yet: a line's end, or 0.
    end: usize,
    /// Where in the buffer the line that was taken last ends; it begins at `end`.
    taken: usize,
}

impl Backward {
    /// The lines from `from`, where one begins, to `to`, where one ends.
    pub(crate) fn new(file: Arc<File>, path: PathBuf, from: u64, to: u64) -> Self {
        Self {
            file,
            path,
            from,
            at: to,
            buffer: Vec::new(),
            end: 0,
            taken: 0,
        }
    }

    /// The line that was taken last.
    pub(crate) fn line(&self) -> &[u8] {
        self.buffer.get(self.end..self.taken).unwrap_or_default()
    }

    /// The line before, with its end.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, AuditError> {
        loop {
            let body = self.buffer.get(..self.end.saturating_sub(1)).unwrap_or_default();
            if let Some(before) = memrchr(b'\n', body) {
                let (start, end) = (before + 1, self.end);
                (self.end, self.taken) = (start, end);
                return Ok(self.buffer.get(start..end));
            }
            if self.end > MAX_LINE {
                return Err(Problem::new(&self.path, 0, 0, ProblemKind::Modified).into());
            }
            if !self.fill()? {
                let end = std::mem::take(&mut self.end);
                self.taken = end;
                return Ok(self.buffer.get(..end).filter(|line| !line.is_empty()));
            }
        }
    }

    /// Puts the block before in front of what is left of the buffer; `false` at the piece's start.
    fn fill(&mut self) -> Result<bool, AuditError> {
        let size = usize::try_from(self.at - self.from).unwrap_or(BLOCK).min(BLOCK);
        if size == 0 {
            return Ok(false);
        }
        self.at -= u64::try_from(size).unwrap_or_default();
        self.buffer.truncate(self.end);
        self.buffer.splice(..0, std::iter::repeat_n(0, size));
        self.end += size;
        let block = self.buffer.get_mut(..size).unwrap_or_default();
        self.file
            .read_exact_at(block, self.at)
            .map_err(|error| AuditError::file(&self.path, error))?;
        Ok(true)
    }
}
