//! A search through one segment: parts with an index by it, the rest line by line.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::backward::{Backward, end_of_lines};
use super::filter::{Condition, Conditions, Filter};
use crate::chain::{Keys, Line, Segment};
use crate::facts::Field;
use crate::index::{Index, IndexError, Part, Postings, ZONE, parts};
use crate::{AuditError, Sequence};

/// What is next.
pub(super) enum Found<'a> {
    /// A record that may pass.
    Record(Sequence, &'a str),
    /// A line that is none of the journal's.
    Unreadable,
}

/// A piece of a segment that is not read yet.
enum Region {
    Lines { from: u64, to: u64 },
    Indexed(Box<Index>),
}

enum Reading {
    Lines(Backward),
    Chosen(Chosen),
}

pub(super) struct SegmentSearch {
    file: Arc<File>,
    path: PathBuf,
    /// The newest last.
    regions: Vec<Region>,
    reading: Option<Reading>,
}

impl SegmentSearch {
    /// `None`: the segment is not there any more.
    pub(super) fn open(folder: &Path, keys: Option<&Keys>, segment: &Segment) -> Result<Option<Self>, AuditError> {
        let path = segment.path.clone();
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => Arc::new(other.map_err(|error| AuditError::file(&path, error))?),
        };
        let mut indexes: Vec<Index> = Vec::new();
        if let Some(keys) = keys {
            for part in parts(folder, Some(segment))? {
                // Two indexes of the same lines: the first is as good.
                if indexes.last().is_some_and(|last| last.part.end > part.start) {
                    continue;
                }
                let name = part.path(folder);
                match Index::open(folder, keys, part, &file) {
                    Ok(index) => indexes.push(index),
                    Err(IndexError::File(error)) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(index = %name.display(), %error, "an index of the audit journal is of no use");
                    }
                }
            }
        }
        // After the indexes: what is indexed is in the file by then.
        let end = end_of_lines(&file, &path)?;
        let mut regions = Vec::new();
        let mut at = 0;
        for index in indexes {
            let (start, past) = (index.part.start, index.part.end);
            if at < start {
                regions.push(Region::Lines { from: at, to: start });
            }
            regions.push(Region::Indexed(Box::new(index)));
            at = past;
        }
        if at < end {
            regions.push(Region::Lines { from: at, to: end });
        }
        Ok(Some(Self {
            file,
            path,
            regions,
            reading: None,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next record that may pass.
    pub(super) fn next(&mut self, filter: &Filter, conditions: &Conditions) -> Result<Option<Found<'_>>, AuditError> {
        loop {
            let more = match &mut self.reading {
                None => {
                    let Some(region) = self.regions.pop() else {
                        return Ok(None);
                    };
                    self.reading = self.start(region, filter, conditions);
                    continue;
                }
                Some(Reading::Lines(lines)) => lines.seek(filter, conditions)?,
                Some(Reading::Chosen(chosen)) => chosen.seek(&self.path)?,
            };
            if more {
                break;
            }
            self.reading = None;
        }
        let line = match &self.reading {
            Some(Reading::Lines(lines)) => lines.line(),
            Some(Reading::Chosen(chosen)) => chosen.line(),
            None => return Ok(None),
        };
        let record = Line::parse(line).and_then(|line| Some((line.sequence, std::str::from_utf8(line.record).ok()?)));
        Ok(Some(record.map_or(Found::Unreadable, |(sequence, record)| {
            Found::Record(sequence, record)
        })))
    }

    fn start(&self, region: Region, filter: &Filter, conditions: &Conditions) -> Option<Reading> {
        let lines = |from, to| Reading::Lines(Backward::new(Arc::clone(&self.file), self.path.clone(), from, to));
        match region {
            Region::Lines { from, to } => Some(lines(from, to)),
            Region::Indexed(mut index) => match choose(&mut index, filter, conditions) {
                Ok(None) => None,
                Ok(Some((records, offsets))) => Some(Reading::Chosen(Chosen {
                    file: Arc::clone(&self.file),
                    sparse: records.len().saturating_mul(8) < offsets.len(),
                    records,
                    offsets,
                    asked: 0,
                    at: 0,
                    buffer: Vec::new(),
                    line: 0..0,
                })),
                Err(error) => {
                    let Part { start, end, .. } = index.part;
                    tracing::warn!(segment = %self.path.display(), start, %error, "an index of the audit journal is of no use");
                    Some(lines(start, end))
                }
            },
        }
    }
}

impl Backward {
    /// Goes to the line before that may pass; `false` if there is none.
    fn seek(&mut self, filter: &Filter, conditions: &Conditions) -> Result<bool, AuditError> {
        while let Some(line) = self.next_line()? {
            let Some(parsed) = Line::parse(line) else {
                return Ok(true);
            };
            let in_page = filter.before.is_none_or(|before| parsed.sequence < before);
            if in_page && conditions.may_meet(parsed.record) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Below this many records, it is quicker to read them than another list of a common term.
const FEW: usize = 64;

/// Numbers of records, and where each record of the part begins.
type Selection = (Vec<u32>, Vec<u64>);

/// The records of a part that may pass, with all offsets; `None` if there is none.
fn choose(index: &mut Index, filter: &Filter, conditions: &Conditions) -> Result<Option<Selection>, IndexError> {
    if !filter.meets(index.earliest, index.latest) || filter.before.is_some_and(|before| index.first >= before) {
        return Ok(None);
    }
    let mut lists: Vec<(u64, Vec<Postings>)> = Vec::with_capacity(conditions.all.len());
    for condition in &conditions.all {
        let mut list = Vec::new();
        for (field, text) in condition.terms() {
            list.extend(index.find(*field, text)?);
        }
        if let Condition::Sessions { field, keys, .. } = condition {
            let field: Field = *field;
            let (earliest, latest) = (index.earliest, index.latest);
            for (key, issued) in keys {
                if issued.meets(earliest, latest) {
                    list.extend(index.find(field, key)?);
                }
            }
        }
        if list.is_empty() {
            return Ok(None);
        }
        lists.push((list.iter().map(|postings| u64::from(postings.count)).sum(), list));
    }
    lists.sort_unstable_by_key(|(count, _)| *count);
    let mut chosen: Option<Vec<u32>> = None;
    for (_, list) in lists {
        if chosen.as_ref().is_some_and(|chosen| chosen.len() <= FEW) {
            break;
        }
        let mut records = Vec::new();
        let several = list.len() > 1;
        for postings in list {
            index.read(postings, &mut records)?;
        }
        if several {
            records.sort_unstable();
            records.dedup();
        }
        chosen = Some(match chosen {
            None => records,
            Some(before) => both(&before, &records),
        });
    }
    let mut records = chosen.unwrap_or_else(|| (0..index.records()).collect());
    if let Some(before) = filter.before {
        let most = before - index.first;
        records.retain(|record| u64::from(*record) < most);
    }
    if filter.start.is_some() || filter.end.is_some() {
        let zones = index.zones()?;
        records.retain(|record| {
            let zone = usize::try_from(*record)
                .ok()
                .and_then(|record| zones.get(record / ZONE));
            zone.is_some_and(|(earliest, latest)| earliest <= latest && filter.meets(*earliest, *latest))
        });
    }
    if records.is_empty() {
        return Ok(None);
    }
    let offsets = index.offsets()?;
    Ok(Some((records, offsets)))
}

/// What two ordered lists have in common.
fn both(one: &[u32], other: &[u32]) -> Vec<u32> {
    let (mut one, mut other) = (one.iter().copied().peekable(), other.iter().copied().peekable());
    let mut common = Vec::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => _ = one.next(),
            std::cmp::Ordering::Greater => _ = other.next(),
            std::cmp::Ordering::Equal => {
                common.push(*a);
                one.next();
                other.next();
            }
        }
    }
    common
}

/// Records of a part that an index chose, from the newest on.
struct Chosen {
    file: Arc<File>,
    /// What is left, oldest first.
    records: Vec<u32>,
    offsets: Vec<u64>,
    /// Whether the records stand far from each other, so that what lies between them is not worth reading.
    sparse: bool,
    /// How many of the records at the end of `records` the disk was asked for ahead, counted down.
    asked: usize,
    /// Where `buffer` begins in the file.
    at: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the current line stands.
    line: std::ops::Range<usize>,
}

const BLOCK: u64 = 256 << 10;

/// How many records the disk is asked for ahead of the one that is read, so that it has more than one thing to do.
const AHEAD: usize = 128;

impl Chosen {
    /// Asks the disk for the records that come next.
    fn ask_ahead(&mut self) {
        if self.asked > AHEAD / 2 {
            return;
        }
        let left = self.records.len();
        for place in left.saturating_sub(AHEAD)..left.saturating_sub(self.asked) {
            let record = self.records.get(place).and_then(|record| usize::try_from(*record).ok());
            let bounds = record.and_then(|record| self.offsets.get(record).zip(self.offsets.get(record + 1)));
            if let Some((start, end)) = bounds {
                let length = std::num::NonZeroU64::new(end.saturating_sub(*start));
                // It is only asked for; whatever comes of it, the record is read in its turn.
                fadvise(&*self.file, *start, length, Advice::WillNeed).ok();
            }
        }
        self.asked = left.min(AHEAD);
    }

    fn seek(&mut self, path: &Path) -> Result<bool, AuditError> {
        if self.sparse {
            self.ask_ahead();
            self.asked = self.asked.saturating_sub(1);
        }
        let Some(record) = self.records.pop().and_then(|record| usize::try_from(record).ok()) else {
            return Ok(false);
        };
        let bounds = self
            .offsets
            .get(record)
            .copied()
            .zip(self.offsets.get(record + 1).copied());
        let Some((start, end)) = bounds.filter(|(start, end)| start < end) else {
            // Not a line's bounds: as a line that cannot be read.
            self.line = 0..0;
            return Ok(true);
        };
        let kept = self.at..self.at + u64::try_from(self.buffer.len()).unwrap_or_default();
        if start < kept.start || end > kept.end {
            let first = self.offsets.first().copied().unwrap_or(start);
            let from = if self.sparse {
                start
            } else {
                first.max(end.saturating_sub(BLOCK)).min(start)
            };
            let length = usize::try_from(end - from).unwrap_or_default();
            self.buffer.resize(length, 0);
            self.at = from;
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, from) {
                self.buffer.clear();
                return Err(AuditError::file(path, error));
            }
        }
        let place = |offset: u64| usize::try_from(offset - self.at).unwrap_or_default();
        self.line = place(start)..place(end);
        Ok(true)
    }

    fn line(&self) -> &[u8] {
        self.buffer.get(self.line.clone()).unwrap_or_default()
    }
}
