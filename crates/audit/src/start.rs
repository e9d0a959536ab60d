//! The start: where the journal begins after its oldest segments were removed, signed.
//!
//! A file of two slots of 512 bytes, written in turn and in place, so that it can be written on a full disk. It is on disk before the first
//! segment that it makes superfluous is removed. An older one names records that are gone, which shows; a newer one nobody else can make.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time;
use irsa_core::Timestamp;

use crate::Sequence;
use crate::chain::{Keys, Link, Position};

const SLOT: usize = 512;

/// Why records were removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CutReason {
    /// All records of the segment were older than records are kept.
    Age,
    /// The journal was larger than it may be.
    Size,
}

impl CutReason {
    const ALL: [Self; 2] = [Self::Age, Self::Size];

    /// `age` or `size`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// The beginning of a journal of which the oldest records were removed by retention.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut {
    /// The last record that was removed.
    pub last_removed: Sequence,
    /// The time of the newest record of the segment that was removed last, if its records have times.
    pub newest_removed: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Timestamp,
    /// Why.
    pub reason: CutReason,
}

/// Where the kept records begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// How many starts were written before this one.
    counter: u64,
    /// The last record that was removed.
    pub(crate) position: Position,
    pub(crate) cut: Option<Cut>,
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("start")
}

impl Start {
    /// The start of a journal that was never cut.
    pub(crate) const FIRST: Self = Self {
        counter: 0,
        position: Position::START,
        cut: None,
    };

    /// The start of the journal in `folder`. `Ok(None)`: the file is there, and is not as we wrote it.
    pub(crate) fn read(folder: &Path, keys: &Keys) -> io::Result<Option<Self>> {
        Ok(Self::read_all(folder, keys)?.pop())
    }

    /// The start of the journal in `folder`, and before it the one of before, from which a segment that is not removed yet can be proven. Empty:
    /// the file is there, and is not as we wrote it.
    pub(crate) fn read_all(folder: &Path, keys: &Keys) -> io::Result<Vec<Self>> {
        let file = match File::open(path(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![Self::FIRST]),
            other => other?,
        };
        let mut slots = [0; 2 * SLOT];
        match file.read_exact_at(&mut slots, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Vec::new()),
            other => other?,
        }
        let (even, odd) = slots.split_at(SLOT);
        let mut valid: Vec<Self> = [even, odd]
            .into_iter()
            .filter_map(|slot| Self::decode(slot, keys))
            .collect();
        valid.sort_unstable_by_key(|start| start.counter);
        Ok(valid)
    }

    /// The start after records were removed up to `position`.
    pub(crate) fn after(self, position: Position, cut: Cut) -> Self {
        Self {
            counter: self.counter.saturating_add(1),
            position,
            cut: Some(cut),
        }
    }

    /// Makes the file of a journal that was never cut, so that a full disk does not keep it from being cut.
    pub(crate) fn create(folder: &Path, keys: &Keys) -> io::Result<()> {
        let path = path(folder);
        if fs::exists(&path)? {
            return Ok(());
        }
        let draft = folder.join("start.new");
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&[Self::FIRST.encode(keys), vec![b' '; SLOT]].concat())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(folder)?.sync_all()
    }

    /// Writes it over the older slot; it is on disk when this returns.
    pub(crate) fn write(&self, folder: &Path, keys: &Keys) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path(folder))?;
        file.write_all_at(&self.encode(keys), (self.counter % 2) * 512)?;
        file.sync_data()
    }

    fn encode(&self, keys: &Keys) -> Vec<u8> {
        let (at, newest, reason) = match &self.cut {
            None => ("-".to_owned(), None, "-"),
            Some(cut) => (cut.removed_at.to_string(), cut.newest_removed, cut.reason.as_str()),
        };
        let newest = newest.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let text = format!(
            "irsa-audit-start 1 {} {} {} {at} {newest} {reason}",
            self.counter,
            self.position.sequence,
            hex::encode(self.position.link),
        );
        let signature = hex::encode(keys.sign_start(text.as_bytes()));
        format!("{:<511}\n", format!("{text} {signature}")).into_bytes()
    }

    fn decode(slot: &[u8], keys: &Keys) -> Option<Self> {
        let text = std::str::from_utf8(slot).ok()?.trim_end();
        let (text, signature) = text.rsplit_once(' ')?;
        let signature = hex::decode(signature).ok()?;
        constant_time::verify_slices_are_equal(&signature, &keys.sign_start(text.as_bytes())).ok()?;
        let mut fields = text.strip_prefix("irsa-audit-start 1 ")?.split(' ');
        let mut link: Link = [0; 32];
        let (counter, sequence) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        hex::decode_to_slice(fields.next()?, &mut link).ok()?;
        let (at, newest, reason) = (fields.next()?, fields.next()?, fields.next()?);
        let reason = CutReason::ALL.into_iter().find(|one| one.as_str() == reason);
        let cut = match reason {
            None => None,
            Some(reason) => Some(Cut {
                last_removed: sequence,
                newest_removed: Timestamp::parse_iso8601(newest),
                removed_at: Timestamp::parse_iso8601(at)?,
                reason,
            }),
        };
        Some(Self {
            counter,
            position: Position { sequence, link },
            cut,
        })
    }
}
