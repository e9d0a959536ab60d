//! Indexes: which records of a part of a segment have a term, so that a search reads only those.
//!
//! A part is some 32 MiB of one segment, from line to line. Its index is made once, in the background, when the part is written, and can be made
//! again at any time: it is derived from the journal and proves nothing itself. It may be missing, old or damaged, and then the part is read
//! as a whole. Three things make sure that an index cannot hide a record. Each page is authenticated under a key of the journal's, with the
//! part's place and the index's salt; the header names the link of the part's last line, which stands for all lines before; and what is found is read
//! from the journal and asked again.
//!
//! The file, in pages of 4 KiB that end with a tag: header, offsets of the records, their times by groups of 256, the terms' hashes in their
//! order, the records of each term as differences. Numbers are little-endian, or of seven bits a byte where they vary.

mod build;
mod page;
mod read;
mod sip;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use build::{Built, build};
pub(crate) use read::{Index, IndexError, Postings};

use crate::chain::Segment;
use crate::{AuditError, Sequence};

/// How many records share the bounds of their times.
pub(crate) const ZONE: usize = 256;

/// The last digit is raised with every new kind of term: an older index could not tell who has one.
const MAGIC: [u8; 8] = *b"irsaidx2";
const HEADER: usize = 160;

/// A part of a segment that has an index, by the name of the index's file.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Part {
    /// The first sequence of the segment.
    pub(crate) segment: Sequence,
    /// Where in the segment the part begins.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
}

impl Part {
    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        let Self { segment, start, end } = self;
        indexes(folder).join(format!("{segment:020}-{start:020}-{end:020}.index"))
    }

    fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".index")?;
        let mut numbers = name.split('-').map(|digits| {
            (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| digits.parse::<u64>().ok())?
        });
        let part = Self {
            segment: numbers.next()??,
            start: numbers.next()??,
            end: numbers.next()??,
        };
        (numbers.next().is_none() && part.start < part.end).then_some(part)
    }
}

/// The folder of the indexes of the journal in `folder`.
pub(crate) fn indexes(folder: &Path) -> PathBuf {
    folder.join("index")
}

/// The parts with an index, in order; of all segments, or of one.
pub(crate) fn parts(folder: &Path, segment: Option<&Segment>) -> Result<Vec<Part>, AuditError> {
    let folder = indexes(folder);
    let failed = |error| AuditError::file(&folder, error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        let part = Part::parse(&entry.map_err(failed)?.path());
        parts.extend(part.filter(|part| segment.is_none_or(|segment| part.segment == segment.first)));
    }
    parts.sort_unstable();
    Ok(parts)
}
