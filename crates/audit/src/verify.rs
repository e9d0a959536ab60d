//! Proof that no record was changed, left out, moved or cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::chain::{Keys, Line, MAX_LINE, Position, Segment, segments};
use crate::head::{self, Head};
use crate::start::{self, Cut, Start};
use crate::{AuditError, Sequence};

/// What [`verify()`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How many records are proven.
    pub records: u64,
    /// How many files hold them.
    pub segments: usize,
    /// Up to which record the head proves that none is missing at the end.
    pub durable: Sequence,
    /// Where the journal begins, if older records were removed by retention. What is proven begins there.
    pub cut: Option<Cut>,
    /// Whether the last line has no end yet: a write that is going on, or one that a crash tore, which the next start repairs.
    pub unfinished: bool,
    /// The first thing that is wrong.
    pub problem: Option<Problem>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problem.is_none()
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line in it, counted from 1; 0 if it is not about a line.
    pub line: u64,
    /// The record that is missing, or not as it was written.
    pub sequence: Sequence,
    /// What happened to it.
    pub kind: ProblemKind,
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProblemKind {
    /// The line is not the one that was written: changed, or not written by this journal, or checked with another key.
    Modified,
    /// Records are gone before this line.
    Deleted,
    /// The record stands elsewhere.
    Reordered,
    /// The journal ends before this record, although it was on disk.
    Truncated,
    /// The head is missing, was changed, or was made with another key.
    Head,
    /// The file that says where the journal begins was changed, or was made with another key.
    Start,
}

impl Problem {
    pub(crate) fn new(file: &Path, line: u64, sequence: Sequence, kind: ProblemKind) -> Self {
        Self {
            file: file.to_path_buf(),
            line,
            sequence,
            kind,
        }
    }
}

impl From<Problem> for AuditError {
    fn from(problem: Problem) -> Self {
        Self::Damaged { problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ProblemKind::Modified => "is not as it was written",
            ProblemKind::Deleted => "was deleted",
            ProblemKind::Reordered => "was moved",
            ProblemKind::Truncated => "was cut off with all that followed",
            ProblemKind::Start => {
                return write!(
                    f,
                    "the file that says where the audit journal begins, `{}`, was changed, or made with another key",
                    self.file.display()
                );
            }
            ProblemKind::Head => {
                return write!(
                    f,
                    "the head of the audit journal, `{}`, is missing, changed, or made with another key",
                    self.file.display()
                );
            }
        };
        write!(f, "audit record {} {what}, at `{}`", self.sequence, self.file.display())?;
        if self.line > 0 {
            write!(f, " line {}", self.line)?;
        }
        Ok(())
    }
}

/// Checks the whole journal in `folder`, which a server may be writing meanwhile.
///
/// # Errors
/// [`AuditError::Missing`] if there is no journal, [`AuditError::File`] if it cannot be read. What is wrong with the records is no error
/// but the report's [`Report::problem`].
pub fn verify(folder: &Path, key: &[u8; 32]) -> Result<Report, AuditError> {
    let keys = Keys::new(key);
    let mut attempts = 20;
    loop {
        attempts -= 1;
        let report = match verify_once(folder, &keys) {
            // Retention was faster.
            Err(AuditError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound && attempts > 0 => {
                continue;
            }
            other => other?,
        };
        // Behind the head, a server with a full disk may be taking back half a record while it is read, and at the start it may be removing what
        // is old. That is over the next time.
        let settled = report.problem.as_ref().is_none_or(|problem| {
            let start = Start::read(folder, &keys).ok().flatten();
            problem.sequence <= report.durable && start.and_then(|start| start.cut) == report.cut
        });
        if settled || attempts == 0 {
            return Ok(report);
        }
    }
}

fn verify_once(folder: &Path, keys: &Keys) -> Result<Report, AuditError> {
    // Before the segments: what is appended meanwhile only makes them longer.
    let head_path = head::path(folder);
    let head = read_head(&head_path, keys).map_err(|error| AuditError::file(&head_path, error))?;
    // Before the segments as well: those before it may go at any moment.
    let start_path = start::path(folder);
    let starts = Start::read_all(folder, keys).map_err(|error| AuditError::file(&start_path, error))?;
    let segments = segments(folder)?;
    if segments.is_empty() && !head_path.exists() {
        return Err(AuditError::Missing {
            folder: folder.to_path_buf(),
        });
    }
    // The start of before counts where the segment that it begins with is not removed yet.
    let begins = |start: &&Start| {
        let first = segments.first().map(|segment| segment.first);
        first.is_some() && first == start.position.sequence.checked_add(1)
    };
    let start = starts.iter().find(begins).or(starts.last());
    let mut position = start.map_or(Position::START, |start| start.position);
    let mut report = Report {
        cut: start.and_then(|start| start.cut),
        records: 0,
        segments: segments.len(),
        durable: head.map_or(0, |head| head.position.sequence),
        unfinished: false,
        problem: None,
    };
    let mut at_head = head.is_none_or(|head| head.position == position);
    report.problem = 'journal: {
        if start.is_none() {
            break 'journal Some(Problem::new(&start_path, 0, 0, ProblemKind::Start));
        }
        for (number, segment) in segments.iter().enumerate() {
            let mut reader = open(segment)?;
            let mut line = Vec::new();
            let mut count = 0;
            while read_line(&mut reader, &mut line).map_err(|error| AuditError::file(&segment.path, error))? > 0 {
                count += 1;
                let parsed = Line::parse(&line);
                if let Some(next) = parsed.and_then(|parsed| position.follow(keys, &parsed)) {
                    position = next;
                    report.records += 1;
                    at_head |= head.is_some_and(|head| head.position == position);
                    continue;
                }
                let expected = position.sequence.saturating_add(1);
                if !line.ends_with(b"\n") && line.len() < MAX_LINE && number + 1 == segments.len() && at_head {
                    report.unfinished = true;
                    break;
                }
                let kind = match parsed {
                    Some(parsed) if parsed.sequence == expected => ProblemKind::Modified,
                    // Only its number was changed.
                    Some(parsed)
                        if position
                            .follow(
                                keys,
                                &Line {
                                    sequence: expected,
                                    ..parsed
                                },
                            )
                            .is_some() =>
                    {
                        ProblemKind::Modified
                    }
                    Some(parsed) if parsed.sequence < expected => ProblemKind::Reordered,
                    Some(_) if is_later(&segments, number, count, expected)? => ProblemKind::Reordered,
                    Some(_) => ProblemKind::Deleted,
                    None => ProblemKind::Modified,
                };
                break 'journal Some(Problem::new(&segment.path, count, expected, kind));
            }
        }
        let end = segments.last().map_or(&head_path, |segment| &segment.path);
        match head {
            None => Some(Problem::new(&head_path, 0, 0, ProblemKind::Head)),
            Some(head) if position.sequence < head.position.sequence => Some(Problem::new(
                end,
                0,
                position.sequence.saturating_add(1),
                ProblemKind::Truncated,
            )),
            // Each line is proven, so this is a head of another journal with the same key.
            Some(_) if !at_head => Some(Problem::new(&head_path, 0, 0, ProblemKind::Head)),
            Some(_) => None,
        }
    };
    Ok(report)
}

fn read_head(path: &Path, keys: &Keys) -> io::Result<Option<Head>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    // A server may be in the middle of writing a slot.
    for _ in 0..100 {
        if let Some(head) = Head::read(&file, keys)? {
            return Ok(Some(head));
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// Whether the record `sequence` comes after a line.
fn is_later(segments: &[Segment], number: usize, skip: u64, sequence: Sequence) -> Result<bool, AuditError> {
    let mut skip = skip;
    for segment in segments.iter().skip(number) {
        let mut reader = open(segment)?;
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line).map_err(|error| AuditError::file(&segment.path, error))? > 0 {
            if skip > 0 {
                skip -= 1;
            } else if Line::parse(&line).is_some_and(|line| line.sequence == sequence) {
                return Ok(true);
            }
        }
        skip = 0;
    }
    Ok(false)
}

fn open(segment: &Segment) -> Result<BufReader<File>, AuditError> {
    File::open(&segment.path)
        .map(|file| BufReader::with_capacity(64 << 10, file))
        .map_err(|error| AuditError::file(&segment.path, error))
}

/// Reads a line with its end, or as much of it as a line of ours can be long.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    reader.take(most).read_until(b'\n', line)
}
