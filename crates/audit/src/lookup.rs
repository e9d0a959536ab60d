//! Finding events again, newest first.

pub(crate) mod backward;
mod filter;
mod origin;
mod segment;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chain::{Keys, Segment, segments};
use crate::facts::Facts;
use crate::lookup::filter::Conditions;
use crate::lookup::segment::{Found, SegmentSearch};
use crate::{AuditError, Problem, ProblemKind, Sequence};

pub use filter::Filter;
pub use origin::origin;

/// A record that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the journal.
    pub sequence: Sequence,
    /// The event as it was written.
    pub json: String,
    /// The same, read.
    pub event: Value,
}

/// The events of the journal in `folder` that pass `filter`, newest first, read as they are asked for. A server may be writing meanwhile. The
/// whole journal is read; [`search()`] uses its indexes.
///
/// # Errors
/// [`AuditError::Missing`] if there is no journal. An item is an error if a line, or a whole segment, cannot be read; older ones follow.
pub fn lookup(folder: &Path, filter: Filter) -> Result<Lookup, AuditError> {
    Lookup::new(folder, None, filter)
}

/// As [`lookup()`], with the journal's indexes where there are any that fit. They are checked with the journal's key, so that none can hide a
/// record.
///
/// # Errors
/// As [`lookup()`].
pub fn search(folder: &Path, key: &[u8; 32], filter: Filter) -> Result<Lookup, AuditError> {
    Lookup::new(folder, Some(Keys::new(key)), filter)
}

/// Searches one journal, with its indexes, while it is written.
#[derive(Clone)]
pub struct Searcher {
    folder: PathBuf,
    keys: Keys,
}

impl Searcher {
    pub(crate) fn new(folder: &Path, keys: &Keys) -> Self {
        Self {
            folder: folder.to_path_buf(),
            keys: keys.clone(),
        }
    }

    /// As [`search()`]. Reads files: a thread that answers requests has better things to do.
    ///
    /// # Errors
    /// As [`search()`].
    pub fn find(&self, filter: Filter) -> Result<Lookup, AuditError> {
        Lookup::new(&self.folder, Some(self.keys.clone()), filter)
    }
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// The running search of [`lookup()`] or [`search()`].
pub struct Lookup {
    folder: PathBuf,
    keys: Option<Keys>,
    filter: Filter,
    conditions: Conditions,
    left: usize,
    /// Not read yet, oldest first.
    segments: Vec<Segment>,
    current: Option<SegmentSearch>,
    /// What could not be read while the sessions of a pod were sought.
    problems: Vec<AuditError>,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup")
            .field("folder", &self.folder)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Lookup {
    fn new(folder: &Path, keys: Option<Keys>, filter: Filter) -> Result<Self, AuditError> {
        let mut conditions = filter.conditions();
        let mut lookup = Self::with(folder, keys, filter, Conditions::new(Vec::new()))?;
        for origin in lookup.filter.origins() {
            conditions.push(lookup.sessions_of(origin)?);
        }
        lookup.conditions = Conditions::new(conditions);
        Ok(lookup)
    }

    fn with(folder: &Path, keys: Option<Keys>, filter: Filter, conditions: Conditions) -> Result<Self, AuditError> {
        let segments = segments(folder)?;
        if segments.is_empty() {
            return Err(AuditError::Missing {
                folder: folder.to_path_buf(),
            });
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            keys,
            left: filter.limit.unwrap_or(usize::MAX),
            filter,
            conditions,
            segments,
            current: None,
            problems: Vec::new(),
        })
    }

    /// The next record, by `read`, which gives `None` for what should not have been found.
    fn next_with<T>(
        &mut self,
        read: impl Fn(Sequence, &str, &Facts<'_>) -> Option<T>,
    ) -> Option<Result<T, AuditError>> {
        if let Some(problem) = self.problems.pop() {
            return Some(Err(problem));
        }
        while self.left > 0 {
            let Some(current) = &mut self.current else {
                let segment = self.segments.pop()?;
                if self.filter.before.is_some_and(|before| segment.first >= before) {
                    continue;
                }
                match SegmentSearch::open(&self.folder, self.keys.as_ref(), &segment) {
                    Ok(opened) => self.current = opened,
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let found = match current.next(&self.filter, &self.conditions) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.current = None;
                    continue;
                }
                Err(error) => {
                    self.current = None;
                    return Some(Err(error));
                }
            };
            let outcome = match found {
                Found::Record(sequence, record) => {
                    let Some(facts) = Facts::read(record) else {
                        return Some(Err(
                            Problem::new(current.path(), 0, sequence, ProblemKind::Modified).into()
                        ));
                    };
                    let time = facts.time();
                    let in_time = self.filter.start.is_none() && self.filter.end.is_none()
                        || time.is_some_and(|time| self.filter.meets(time, time));
                    if !in_time || !self.conditions.meet(&facts) {
                        continue;
                    }
                    read(sequence, record, &facts)
                }
                Found::Unreadable => None,
            };
            let Some(outcome) = outcome else {
                return Some(Err(Problem::new(current.path(), 0, 0, ProblemKind::Modified).into()));
            };
            self.left -= 1;
            return Some(Ok(outcome));
        }
        None
    }
}

impl Iterator for Lookup {
    type Item = Result<Record, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(|sequence, json, _| {
            Some(Record {
                sequence,
                json: json.to_owned(),
                event: serde_json::from_str(json).ok()?,
            })
        })
    }
}

/// The caller's name as CloudTrail's LookupEvents shows it: a user's, a role session's, `root`, or a token's subject.
#[must_use]
pub fn user_name(event: &Value) -> Option<&str> {
    let text = |path: &str| event.pointer(path)?.as_str();
    match text("/userIdentity/type")? {
        "Root" => Some("root"),
        "AssumedRole" => Some(text("/userIdentity/principalId")?.split_once(':')?.1),
        _ => text("/userIdentity/userName"),
    }
}
