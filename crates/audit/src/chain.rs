//! The lines of a segment, and what ties each to the one before.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};

use crate::{AuditError, Journal, Sequence};

/// The keyed hash of a line.
pub(crate) type Link = [u8; 32];

/// What the first line is tied to.
pub(crate) const START: Link = [0; 32];

/// The longest line, its end included.
pub(crate) const MAX_LINE: usize = 20 + 1 + 64 + 1 + Journal::MAX_RECORD + 1;

/// Keys of the chain, the head, the start and the indexes, made from the journal's key.
#[derive(Clone)]
pub(crate) struct Keys {
    chain: hmac::Key,
    head: hmac::Key,
    start: hmac::Key,
    index: hmac::Key,
}

impl Keys {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let derive = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref());
        Self {
            chain: derive(b"irsa audit chain"),
            head: derive(b"irsa audit head"),
            start: derive(b"irsa audit start"),
            index: derive(b"irsa audit index"),
        }
    }

    /// The key of the indexes' pages.
    pub(crate) fn index(&self) -> &hmac::Key {
        &self.index
    }

    /// HMAC-SHA-256 of a start.
    pub(crate) fn sign_start(&self, text: &[u8]) -> Link {
        array(hmac::sign(&self.start, text).as_ref())
    }

    /// HMAC-SHA-256 over the link before, the sequence (8 bytes, big-endian) and the SHA-256 of the record, which needs no lock.
    fn link(&self, previous: &Link, sequence: Sequence, content: &Content) -> Link {
        let mut context = hmac::Context::with_key(&self.chain);
        context.update(previous);
        context.update(&sequence.to_be_bytes());
        context.update(&content.0);
        array(context.sign().as_ref())
    }

    /// HMAC-SHA-256 of a head.
    pub(crate) fn sign_head(&self, text: &[u8]) -> Link {
        array(hmac::sign(&self.head, text).as_ref())
    }
}

fn array(bytes: &[u8]) -> Link {
    let mut link = START;
    link.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    link
}

/// The SHA-256 of a record.
pub(crate) struct Content([u8; 32]);

impl Content {
    pub(crate) fn of(record: &[u8]) -> Self {
        Self(array(digest::digest(&digest::SHA256, record).as_ref()))
    }
}

/// Where a chain stands: its last record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) sequence: Sequence,
    pub(crate) link: Link,
}

impl Position {
    pub(crate) const START: Self = Self {
        sequence: 0,
        link: START,
    };

    /// The position after a record, whose content is `content`, and its line in `line`.
    pub(crate) fn write(self, keys: &Keys, record: &str, content: &Content, line: &mut Vec<u8>) -> Self {
        let sequence = self.sequence.saturating_add(1);
        let link = keys.link(&self.link, sequence, content);
        let mut digits = [0; 64];
        // 32 bytes are 64 digits.
        _ = hex::encode_to_slice(link, &mut digits);
        line.clear();
        // A Vec takes everything.
        _ = write!(line, "{sequence} ");
        line.extend_from_slice(&digits);
        line.push(b' ');
        line.extend_from_slice(record.as_bytes());
        line.push(b'\n');
        Self { sequence, link }
    }

    /// The position after a line, if the line is the next one of the chain.
    pub(crate) fn follow(self, keys: &Keys, line: &Line<'_>) -> Option<Self> {
        let sequence = self.sequence.checked_add(1)?;
        let link = keys.link(&self.link, sequence, &Content::of(line.record));
        (line.sequence == sequence && line.link == hex::encode(link).as_bytes()).then_some(Self { sequence, link })
    }
}

/// A line in its parts: `<sequence> <link in hex> <record>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) sequence: Sequence,
    /// 64 bytes. Compared as text: no other spelling of the same number is accepted.
    pub(crate) link: &'a [u8],
    pub(crate) record: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line, with its end, apart.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let space = line.iter().take(21).position(|byte| *byte == b' ')?;
        let (digits, rest) = (line.get(..space)?, line.get(space + 1..)?);
        let sequence: Sequence = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let (link, record) = rest.split_at_checked(64)?;
        (digits == sequence.to_string().as_bytes()).then_some(Self {
            sequence,
            link,
            record: record.strip_prefix(b" ")?,
        })
    }
}

/// A file of the journal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Segment {
    /// The sequence of its first record.
    pub(crate) first: Sequence,
    pub(crate) path: PathBuf,
}

/// The segments of a journal, oldest first.
pub(crate) fn segments(folder: &Path) -> Result<Vec<Segment>, AuditError> {
    // A folder that changes while it is listed may leave out a file and still give a later one.
    let mut listed = list(folder)?;
    for _ in 0..20 {
        let again = list(folder)?;
        if again == listed {
            break;
        }
        listed = again;
    }
    Ok(listed)
}

fn list(folder: &Path) -> Result<Vec<Segment>, AuditError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| AuditError::file(folder, error))?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| AuditError::file(folder, error))?.path();
        if let Some((first, _)) = parse_name(&path) {
            segments.push(Segment { first, path });
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// A segment's path: the first sequence, and the day it was begun, in UTC (`20260102`).
pub(crate) fn segment_path(folder: &Path, first: Sequence, day: &str) -> PathBuf {
    folder.join(format!("{first:020}-{day}.jsonl"))
}

/// The first sequence and the day of a segment by its path.
pub(crate) fn parse_name(path: &Path) -> Option<(Sequence, &str)> {
    let (first, day) = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.split_once('-')?;
    (first.len() == 20 && first.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| first.parse().ok())?
        .map(|first| (first, day))
}
