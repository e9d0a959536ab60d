//! The head: how far the journal goes on disk, signed.
//!
//! A file of two slots of 512 bytes, written in turn and in place. A slot is one sector, so a power cut leaves it old or new, and the write
//! needs no space. Both slots must be valid, each in its own turn: whoever cuts the end off the journal cannot make a head that fits, not
//! even from the other slot. The head only ever names what is on disk already, so that one from a moment before is true too.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time;

use crate::Sequence;
use crate::chain::{Keys, Link, Position};

const SLOT: usize = 512;

/// Up to where the journal is on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    /// How many heads were written before this one.
    counter: u64,
    /// The last record.
    pub(crate) position: Position,
    /// The first sequence of the segment that it is in.
    pub(crate) segment: Sequence,
    /// The length of that segment, in bytes.
    pub(crate) length: u64,
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("head")
}

impl Head {
    /// The head of an empty journal.
    const START: Self = Self {
        counter: 1,
        position: Position::START,
        segment: 1,
        length: 0,
    };

    /// Both slots of an empty journal's head.
    pub(crate) fn initial(keys: &Keys) -> (Self, Vec<u8>) {
        let zeroth = Self {
            counter: 0,
            ..Self::START
        };
        let slots = [zeroth.encode(keys), Self::START.encode(keys)].concat();
        (Self::START, slots)
    }

    /// Reads the newer slot.
    ///
    /// `Ok(None)`: a slot is not as we wrote it, or the key is another one.
    pub(crate) fn read(file: &File, keys: &Keys) -> io::Result<Option<Self>> {
        let mut slots = [0; 2 * SLOT];
        match file.read_exact_at(&mut slots, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        if file.metadata()?.len() != 2 * 512 {
            return Ok(None);
        }
        let (even, odd) = slots.split_at(SLOT);
        Ok(match (Self::decode(even, keys), Self::decode(odd, keys)) {
            (Some(even), Some(odd)) if even.counter % 2 == 0 && odd.counter % 2 == 1 => {
                Some(if even.counter > odd.counter { even } else { odd })
            }
            _ => None,
        })
    }

    /// Writes the next head over the older slot.
    pub(crate) fn advance(
        &mut self,
        file: &File,
        keys: &Keys,
        position: Position,
        segment: Sequence,
        length: u64,
    ) -> io::Result<()> {
        let next = Self {
            counter: self.counter + 1,
            position,
            segment,
            length,
        };
        file.write_all_at(&next.encode(keys), (next.counter % 2) * 512)?;
        *self = next;
        Ok(())
    }

    fn encode(&self, keys: &Keys) -> Vec<u8> {
        let text = format!(
            "irsa-audit-head 1 {} {} {} {} {}",
            self.counter,
            self.position.sequence,
            hex::encode(self.position.link),
            self.segment,
            self.length
        );
        let signature = hex::encode(keys.sign_head(text.as_bytes()));
        format!("{:<511}\n", format!("{text} {signature}")).into_bytes()
    }

    fn decode(slot: &[u8], keys: &Keys) -> Option<Self> {
        let text = std::str::from_utf8(slot).ok()?.trim_end();
        let (text, signature) = text.rsplit_once(' ')?;
        let signature = hex::decode(signature).ok()?;
        constant_time::verify_slices_are_equal(&signature, &keys.sign_head(text.as_bytes())).ok()?;
        let mut fields = text.strip_prefix("irsa-audit-head 1 ")?.split(' ');
        let mut link: Link = [0; 32];
        let (counter, sequence) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        hex::decode_to_slice(fields.next()?, &mut link).ok()?;
        Some(Self {
            counter,
            position: Position { sequence, link },
            segment: fields.next()?.parse().ok()?,
            length: fields.next()?.parse().ok()?,
        })
    }
}
