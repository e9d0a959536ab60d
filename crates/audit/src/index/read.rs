use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use irsa_core::Timestamp;

use super::build::key_of;
use super::page::{PAGE, Pages, Salt};
use super::{HEADER, MAGIC, Part, ZONE, sip};
use crate::Sequence;
use crate::chain::{Keys, Line, MAX_LINE};
use crate::facts::Field;

/// Why an index is of no use. What it is about is read as a whole then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// A page is not as it was written, or the index is about other lines than the journal has.
    #[error("it is not as it was written, or about another journal")]
    Damaged,
    #[error(transparent)]
    File(#[from] io::Error),
}

/// How many records have a term, and where their numbers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postings {
    at: u32,
    pub(crate) count: u32,
}

/// An open index, whose header was checked.
pub(crate) struct Index {
    pub(crate) part: Part,
    pages: Pages,
    key: [u64; 2],
    /// The sequence of the first record.
    pub(crate) first: Sequence,
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
    records: u32,
    entries: u32,
    postings_length: u32,
    zones_at: u64,
    entries_at: u64,
    postings_at: u64,
}

const ENTRY: usize = 16;

impl Index {
    /// Opens the index of a part of the segment in `journal`, and checks that the segment's lines are those that it is about.
    pub(crate) fn open(folder: &Path, keys: &Keys, part: Part, journal: &File) -> Result<Self, IndexError> {
        let file = File::open(part.path(folder))?;
        let mut start = [0; PAGE];
        match file.read_exact_at(&mut start, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(IndexError::Damaged),
            other => other?,
        }
        // Where the salt stands. Tags are only right with the right one.
        let salt: Salt = Fields(&start).skip(MAGIC.len()).take().ok_or(IndexError::Damaged)?;
        let mut pages = Pages::new(file, keys.index().clone(), part.clone(), salt);
        let header = pages.read(0, HEADER)?.to_vec();
        let (index, last) = Self::read_header(&header, part, pages, salt).ok_or(IndexError::Damaged)?;
        last.check(&index.part, journal)?;
        Ok(index)
    }

    fn read_header(header: &[u8], part: Part, pages: Pages, salt: Salt) -> Option<(Self, LastLine)> {
        let mut fields = Fields(header);
        let magic: [u8; 8] = fields.take()?;
        fields = fields.skip(salt.len());
        let named = Part {
            segment: fields.number()?,
            start: fields.number()?,
            end: fields.number()?,
        };
        if magic != MAGIC || named != part {
            return None;
        }
        let (first, last) = (fields.number()?, fields.number()?);
        let link: [u8; 32] = fields.take()?;
        let (earliest, latest) = (i64::from_le_bytes(fields.take()?), i64::from_le_bytes(fields.take()?));
        let (records, last_at) = (fields.small()?, fields.small()?);
        let (entries, postings_length) = (fields.small()?, fields.small()?);
        let zones_at = u64::try_from(HEADER).ok()? + 4 * u64::from(records);
        let entries_at = zones_at + 16 * u64::from(records).div_ceil(u64::try_from(ZONE).ok()?);
        let postings_at = entries_at + 16 * u64::from(entries);
        let last = LastLine {
            sequence: last,
            link,
            at: part.start.checked_add(u64::from(last_at))?,
        };
        let index = Self {
            part,
            pages,
            key: key_of(&salt),
            first,
            earliest: Timestamp::from_unix_millis(earliest),
            latest: Timestamp::from_unix_millis(latest),
            records,
            entries,
            postings_length,
            zones_at,
            entries_at,
            postings_at,
        };
        Some((index, last))
    }

    /// How many records the part has.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Where each record begins in the segment, and where the last one ends.
    pub(crate) fn offsets(&mut self) -> Result<Vec<u64>, IndexError> {
        let length = usize::try_from(self.records).map_err(|_| IndexError::Damaged)? * 4;
        let start = self.part.start;
        let header = u64::try_from(HEADER).unwrap_or(u64::MAX);
        let bytes = self.pages.read(header, length)?;
        let mut offsets: Vec<u64> = bytes
            .chunks_exact(4)
            .filter_map(|bytes| Some(start + u64::from(u32::from_le_bytes(bytes.try_into().ok()?))))
            .collect();
        offsets.push(self.part.end);
        Ok(offsets)
    }

    /// The bounds of the times of each [`ZONE`] records.
    pub(crate) fn zones(&mut self) -> Result<Vec<(Timestamp, Timestamp)>, IndexError> {
        let length = usize::try_from(self.entries_at - self.zones_at).map_err(|_| IndexError::Damaged)?;
        let bytes = self.pages.read(self.zones_at, length)?;
        let time = |bytes: &[u8]| Some(Timestamp::from_unix_millis(i64::from_le_bytes(bytes.try_into().ok()?)));
        let zones = bytes.chunks_exact(16).filter_map(|zone| {
            let (earliest, latest) = zone.split_at(8);
            Some((time(earliest)?, time(latest)?))
        });
        Ok(zones.collect())
    }

    /// The records of a term.
    pub(crate) fn find(&mut self, field: Field, text: &str) -> Result<Option<Postings>, IndexError> {
        let hash = sip::hash(self.key, field as u8, text.as_bytes());
        let entries = u64::from(self.entries);
        // Hashes are spread evenly, so one stands where its value says, give or take some hundred.
        let guess = u64::try_from((u128::from(hash) * u128::from(entries)) >> 64).unwrap_or_default();
        let mut around = 128;
        loop {
            let (low, high) = (guess.saturating_sub(around), entries.min(guess + around));
            let length = usize::try_from(high - low).map_err(|_| IndexError::Damaged)? * ENTRY;
            let bytes = self.pages.read(self.entries_at + low * 16, length)?;
            let at = |number: usize| -> Option<u64> {
                let bytes = bytes.get(number * ENTRY..)?.get(..8)?;
                Some(u64::from_le_bytes(bytes.try_into().ok()?))
            };
            let count = length / ENTRY;
            let low_fits = low == 0 || at(0).is_some_and(|first| first <= hash);
            let high_fits = high == entries || at(count.saturating_sub(1)).is_some_and(|last| last >= hash);
            if !(low_fits && high_fits) {
                around *= 8;
                continue;
            }
            let (mut from, mut to) = (0, count);
            while from < to {
                let middle = from.midpoint(to);
                match at(middle).ok_or(IndexError::Damaged)?.cmp(&hash) {
                    std::cmp::Ordering::Less => from = middle + 1,
                    std::cmp::Ordering::Greater => to = middle,
                    std::cmp::Ordering::Equal => {
                        let mut fields = Fields(bytes).skip(middle * ENTRY + 8);
                        let found = fields.small().zip(fields.small());
                        let (at, count) = found.ok_or(IndexError::Damaged)?;
                        return Ok(Some(Postings { at, count }));
                    }
                }
            }
            return Ok(None);
        }
    }

    /// Appends the numbers of the records of a term, in order.
    pub(crate) fn read(&mut self, postings: Postings, to: &mut Vec<u32>) -> Result<(), IndexError> {
        if postings.count == 1 {
            to.push(postings.at);
            return Ok(());
        }
        let at = self.postings_at + u64::from(postings.at);
        // The length of the list has five bytes at most.
        let left =
            usize::try_from(self.postings_length.saturating_sub(postings.at)).map_err(|_| IndexError::Damaged)?;
        let mut head = self.pages.read(at, left.min(5))?;
        let before = head.len();
        let length = number(&mut head).ok_or(IndexError::Damaged)?;
        let head = before - head.len();
        let length = usize::try_from(length).map_err(|_| IndexError::Damaged)?;
        if length > left - head {
            return Err(IndexError::Damaged);
        }
        let start = at + u64::try_from(head).unwrap_or_default();
        let mut list = self.pages.read(start, length)?;
        let mut record = 0_u32;
        to.reserve(length);
        while !list.is_empty() {
            let step = number(&mut list).and_then(|step| u32::try_from(step).ok());
            record = step
                .and_then(|step| record.checked_add(step))
                .ok_or(IndexError::Damaged)?;
            to.push(record);
        }
        Ok(())
    }
}

/// What the header says about the last line of its part. Its link stands for all that comes before.
struct LastLine {
    sequence: Sequence,
    link: [u8; 32],
    at: u64,
}

impl LastLine {
    fn check(&self, part: &Part, journal: &File) -> Result<(), IndexError> {
        let length = part
            .end
            .checked_sub(self.at)
            .and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_LINE).ok_or(IndexError::Damaged)?;
        let mut line = vec![0; length];
        match journal.read_exact_at(&mut line, self.at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(IndexError::Damaged),
            other => other?,
        }
        let same = Line::parse(&line)
            .is_some_and(|line| line.sequence == self.sequence && line.link == hex::encode(self.link).as_bytes());
        if same { Ok(()) } else { Err(IndexError::Damaged) }
    }
}

/// Takes a number of seven bits a byte from the front.
fn number(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..).step_by(7).take(5) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes fields of fixed widths from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn skip(self, bytes: usize) -> Self {
        Self(self.0.get(bytes..).unwrap_or_default())
    }

    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (bytes, rest) = self.0.split_first_chunk::<LENGTH>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn small(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
}
