use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::rand;

use super::page::{Salt, seal};
use super::{HEADER, MAGIC, Part, ZONE, indexes, sip};
use crate::chain::{Keys, Line, Segment};
use crate::facts::Facts;
use crate::verify::read_line;
use crate::{AuditError, Sequence};

/// What became of an index that was to be made.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Built {
    /// It is there, up to this offset.
    Until(u64),
    /// The part has lines that are none of the journal's, so that it is read as a whole when something is looked for.
    Unreadable,
    /// Somebody wants the work to stop.
    Stopped,
}

/// What is gathered of a part.
struct Draft {
    salt: Salt,
    key: [u64; 2],
    first: Sequence,
    /// The last line: its number, its link in hex, and where it begins.
    last: (Sequence, [u8; 64], u32),
    offsets: Vec<u32>,
    /// Bounds of the times of each [`ZONE`] records, in milliseconds.
    zones: Vec<(i64, i64)>,
    /// Hashes of terms, with the number of the record in the part.
    terms: Vec<(u64, u32)>,
}

/// Makes the index of the part of a segment that begins at `start` and is as long as `wanted` bytes, or ends at `limit`.
pub(crate) fn build(
    folder: &Path,
    keys: &Keys,
    segment: &Segment,
    start: u64,
    wanted: u64,
    limit: u64,
    stop: impl Fn() -> bool,
) -> Result<Built, AuditError> {
    let failed = |error| AuditError::file(&segment.path, error);
    let mut file = File::open(&segment.path).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut salt = Salt::default();
    rand::fill(&mut salt).map_err(|_| failed(io::Error::other("no random bytes")))?;
    let mut draft = Draft::new(salt);
    let (mut at, mut line) = (start, Vec::new());
    while at < limit && at - start < wanted {
        if draft.offsets.len().is_multiple_of(512) && stop() {
            return Ok(Built::Stopped);
        }
        if read_line(&mut reader, &mut line).map_err(failed)? == 0 || !draft.add(&line, at - start) {
            return Ok(Built::Unreadable);
        }
        at = at.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
    }
    if draft.offsets.is_empty() || at > limit {
        return Ok(Built::Unreadable);
    }
    let part = Part {
        segment: segment.first,
        start,
        end: at,
    };
    let Some(content) = draft.finish(&part) else {
        return Ok(Built::Unreadable);
    };
    write(folder, &part, &seal(keys.index(), &part, &salt, &content))?;
    Ok(Built::Until(at))
}

/// Puts an index into its place, whole or not at all. It need not be on disk: it would be noticed if it were not whole.
fn write(folder: &Path, part: &Part, bytes: &[u8]) -> Result<(), AuditError> {
    let path = part.path(folder);
    let draft = path.with_extension("draft");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(indexes(folder))
        .and_then(|()| {
            let mut options = OpenOptions::new();
            let mut file = options
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(bytes)
                .and_then(|()| fs::rename(&draft, &path))
                .inspect_err(|_| {
                    // What is left of it would take room for nothing; the next start takes it away as well.
                    drop(fs::remove_file(&draft));
                })
        })
        .map_err(|error| AuditError::file(&path, error))
}

impl Draft {
    fn new(salt: Salt) -> Self {
        Self {
            salt,
            key: key_of(&salt),
            first: 0,
            last: (0, [0; 64], 0),
            offsets: Vec::new(),
            zones: Vec::new(),
            terms: Vec::new(),
        }
    }

    /// Adds a line; `false` if it is not the next one of a journal.
    fn add(&mut self, line: &[u8], offset: u64) -> bool {
        let Some(line) = Line::parse(line) else { return false };
        let (Ok(record), Ok(offset), Ok(number), Ok(link)) = (
            std::str::from_utf8(line.record),
            u32::try_from(offset),
            u32::try_from(self.offsets.len()),
            <[u8; 64]>::try_from(line.link),
        ) else {
            return false;
        };
        let Some(facts) = Facts::read(record) else { return false };
        if number == 0 {
            self.first = line.sequence;
        } else if self.last.0.checked_add(1) != Some(line.sequence) {
            return false;
        }
        self.last = (line.sequence, link, offset);
        if self.offsets.len().is_multiple_of(ZONE) {
            self.zones.push((i64::MAX, i64::MIN));
        }
        self.offsets.push(offset);
        if let (Some(time), Some(zone)) = (facts.time(), self.zones.last_mut()) {
            let time = time.unix_millis();
            *zone = (zone.0.min(time), zone.1.max(time));
        }
        let start = self.terms.len();
        let (terms, key) = (&mut self.terms, self.key);
        facts.terms(|field, text| {
            let hash = sip::hash(key, field as u8, text.as_bytes());
            let known = terms.iter().skip(start).any(|(other, _)| *other == hash);
            if !known {
                terms.push((hash, number));
            }
        });
        true
    }

    /// The index, without pages and tags; `None` if it is too large for its numbers.
    fn finish(mut self, part: &Part) -> Option<Vec<u8>> {
        self.terms.sort_unstable();
        let (mut dictionary, mut postings) = (Vec::new(), Vec::new());
        let mut entries = 0_u32;
        for group in self.terms.chunk_by(|one, other| one.0 == other.0) {
            let (hash, first) = *group.first()?;
            // A term of one record has its number in the place of the list's.
            let at = if group.len() == 1 {
                first
            } else {
                let at = u32::try_from(postings.len()).ok()?;
                let mut list = Vec::with_capacity(group.len() + 8);
                let mut before = 0;
                for (_, number) in group {
                    put_number(&mut list, u64::from(number - before));
                    before = *number;
                }
                put_number(&mut postings, u64::try_from(list.len()).ok()?);
                postings.append(&mut list);
                at
            };
            dictionary.extend_from_slice(&hash.to_le_bytes());
            dictionary.extend_from_slice(&at.to_le_bytes());
            dictionary.extend_from_slice(&u32::try_from(group.len()).ok()?.to_le_bytes());
            entries = entries.checked_add(1)?;
        }
        let earliest = self.zones.iter().map(|zone| zone.0).min()?;
        let latest = self.zones.iter().map(|zone| zone.1).max()?;
        let mut content = Vec::with_capacity(HEADER + self.offsets.len() * 4 + dictionary.len() + postings.len());
        content.extend_from_slice(&MAGIC);
        content.extend_from_slice(&self.salt);
        for number in [part.segment, part.start, part.end, self.first, self.last.0] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        content.extend_from_slice(&hex::decode(self.last.1).ok().filter(|link| link.len() == 32)?);
        for number in [earliest, latest] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        for number in [
            u32::try_from(self.offsets.len()).ok()?,
            self.last.2,
            entries,
            u32::try_from(postings.len()).ok()?,
        ] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        content.resize(HEADER, 0);
        for offset in &self.offsets {
            content.extend_from_slice(&offset.to_le_bytes());
        }
        for (earliest, latest) in &self.zones {
            content.extend_from_slice(&earliest.to_le_bytes());
            content.extend_from_slice(&latest.to_le_bytes());
        }
        content.append(&mut dictionary);
        content.append(&mut postings);
        Some(content)
    }
}

/// The key of an index's hashes.
pub(super) fn key_of(salt: &Salt) -> [u64; 2] {
    let number = u128::from_le_bytes(*salt);
    let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(number >> 64).unwrap_or_default();
    [low, high]
}

/// Appends a number in groups of seven bits, the lowest first; all but the last have the top bit set.
fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).unwrap_or_default());
}
