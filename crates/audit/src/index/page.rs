//! Pages with a tag each, so that what is read of an index is what was written, and the rest need not be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use aws_lc_rs::{constant_time, hmac};

use super::{IndexError, Part};

pub(super) const PAGE: usize = 4096;
pub(super) const TAG: usize = 16;
/// What of a page is content.
pub(super) const CONTENT: usize = PAGE - TAG;

pub(super) type Salt = [u8; 16];

/// The tag of a page: its content, its number, and which index it belongs to.
fn tag(key: &hmac::Key, part: &Part, salt: &Salt, number: u64, content: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for number in [part.segment, part.start, part.end, number] {
        context.update(&number.to_le_bytes());
    }
    context.update(salt);
    context.update(content);
    context.sign()
}

/// The pages of an index.
pub(super) fn seal(key: &hmac::Key, part: &Part, salt: &Salt, content: &[u8]) -> Vec<u8> {
    let mut pages = Vec::with_capacity(content.len() + content.len() / 128 + PAGE);
    for (number, piece) in (0..).zip(content.chunks(CONTENT)) {
        let start = pages.len();
        pages.extend_from_slice(piece);
        pages.resize(start + CONTENT, 0);
        let content = pages.get(start..).unwrap_or_default();
        let tag = tag(key, part, salt, number, content);
        pages.extend(tag.as_ref().iter().take(TAG));
    }
    pages
}

/// Reads and checks pages. Keeps the last ones.
pub(super) struct Pages {
    file: File,
    key: hmac::Key,
    part: Part,
    salt: Salt,
    /// Number of the first page that is kept.
    kept_at: u64,
    /// Their content, without tags.
    kept: Vec<u8>,
}

impl Pages {
    pub(super) fn new(file: File, key: hmac::Key, part: Part, salt: Salt) -> Self {
        Self {
            file,
            key,
            part,
            salt,
            kept_at: 0,
            kept: Vec::new(),
        }
    }

    /// The bytes from `at` on.
    pub(super) fn read(&mut self, at: u64, length: usize) -> Result<&[u8], IndexError> {
        let page = u64::try_from(CONTENT).unwrap_or(u64::MAX);
        let end = at
            .checked_add(u64::try_from(length).map_err(|_| IndexError::Damaged)?)
            .ok_or(IndexError::Damaged)?;
        let (first, past) = (at / page, end.div_ceil(page));
        let kept_past = self.kept_at + u64::try_from(self.kept.len() / CONTENT).unwrap_or_default();
        if first < self.kept_at || past > kept_past {
            self.load(first, past)?;
        }
        let from = usize::try_from(at - self.kept_at * page).map_err(|_| IndexError::Damaged)?;
        self.kept.get(from..from + length).ok_or(IndexError::Damaged)
    }

    fn load(&mut self, first: u64, past: u64) -> Result<(), IndexError> {
        self.kept.clear();
        self.kept_at = first;
        let count = usize::try_from(past - first).map_err(|_| IndexError::Damaged)?;
        let mut raw = vec![0; count * PAGE];
        let offset = first * u64::try_from(PAGE).unwrap_or(u64::MAX);
        match self.file.read_exact_at(&mut raw, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(IndexError::Damaged),
            other => other?,
        }
        for (number, page) in (first..).zip(raw.chunks_exact(PAGE)) {
            let (content, found) = page.split_at(CONTENT);
            let tag = tag(&self.key, &self.part, &self.salt, number, content);
            let wanted = tag.as_ref().get(..TAG).unwrap_or_default();
            if constant_time::verify_slices_are_equal(wanted, found).is_err() {
                self.kept.clear();
                return Err(IndexError::Damaged);
            }
            self.kept.extend_from_slice(content);
        }
        Ok(())
    }
}
