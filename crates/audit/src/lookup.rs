//! Finding events again, newest first.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use irsa_core::{AccountId, Timestamp};
use serde_json::Value;

use crate::chain::{Line, MAX_LINE, Segment, segments};
use crate::{AuditError, Problem, ProblemKind, Sequence};

/// What to look for: all that is given must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The event's own id.
    pub event_id: Option<String>,
    /// The operation.
    pub event_name: Option<String>,
    /// The service, such as `sts.amazonaws.com`.
    pub event_source: Option<String>,
    /// The caller by name or ARN: a user's name, a role session's name, a token's subject, the ARN of any of them, or the role's ARN.
    pub user: Option<String>,
    /// The key that signed, or that was issued.
    pub access_key_id: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// The error code.
    pub error_code: Option<String>,
    /// The ARN of a resource that the event names.
    pub resource: Option<String>,
    /// Whether the operation changes nothing.
    pub read_only: Option<bool>,
    /// Only management events, or only others.
    pub management: Option<bool>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// The account that the event belongs to, or whose resources it is about: who took a role of mine, from wherever.
    pub account: Option<AccountId>,
    /// The most events.
    pub limit: Option<usize>,
}

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

/// The events of the journal in `folder` that pass `filter`, newest first, read as they are asked for. A server may be writing meanwhile.
///
/// # Errors
/// [`AuditError::Missing`] if there is no journal. An item is an error if a line, or a whole segment, cannot be read; older ones follow.
pub fn lookup(folder: &Path, filter: Filter) -> Result<Lookup, AuditError> {
    let segments = segments(folder)?;
    if segments.is_empty() {
        return Err(AuditError::Missing {
            folder: folder.to_path_buf(),
        });
    }
    Ok(Lookup {
        left: filter.limit.unwrap_or(usize::MAX),
        needles: filter.needles(),
        filter,
        segments,
        backward: None,
    })
}

/// The running search of [`lookup()`].
#[derive(Debug)]
pub struct Lookup {
    filter: Filter,
    /// Texts that stand in every record that passes, as they are.
    needles: Vec<String>,
    left: usize,
    /// Not read yet, oldest first.
    segments: Vec<Segment>,
    backward: Option<Backward>,
}

impl Iterator for Lookup {
    type Item = Result<Record, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let Some(backward) = &mut self.backward else {
                let segment = self.segments.pop()?;
                match Backward::open(segment.path) {
                    Ok(backward) => self.backward = Some(backward),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let line = match backward.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.backward = None;
                    continue;
                }
                Err(error) => {
                    self.backward = None;
                    return Some(Err(error));
                }
            };
            let unreadable = || Problem::new(&backward.path, 0, 0, ProblemKind::Modified).into();
            let record = Line::parse(&line).and_then(|line| {
                let json = std::str::from_utf8(line.record).ok()?;
                Some((line.sequence, json))
            });
            let Some((sequence, json)) = record else {
                return Some(Err(unreadable()));
            };
            if !self.needles.iter().all(|needle| json.contains(needle)) {
                continue;
            }
            let Ok(event) = serde_json::from_str(json) else {
                return Some(Err(unreadable()));
            };
            if self.filter.passes(&event) {
                self.left -= 1;
                return Some(Ok(Record {
                    sequence,
                    json: json.to_owned(),
                    event,
                }));
            }
        }
        None
    }
}

impl Filter {
    fn passes(&self, event: &Value) -> bool {
        let is = |wanted: &Option<String>, path: &str| {
            wanted.as_deref().is_none_or(|wanted| text(event, path) == Some(wanted))
        };
        let any = |wanted: &Option<String>, paths: &[&str]| {
            wanted
                .as_deref()
                .is_none_or(|wanted| paths.iter().any(|path| text(event, path) == Some(wanted)))
        };
        let flag = |wanted: Option<bool>, path: &str| {
            wanted.is_none_or(|wanted| event.pointer(path).and_then(Value::as_bool) == Some(wanted))
        };
        let time = text(event, "/eventTime").and_then(Timestamp::parse_iso8601);
        is(&self.event_id, "/eventID")
            && is(&self.event_name, "/eventName")
            && is(&self.event_source, "/eventSource")
            && is(&self.request_id, "/requestID")
            && is(&self.error_code, "/errorCode")
            && any(
                &self.access_key_id,
                &["/userIdentity/accessKeyId", "/responseElements/credentials/accessKeyId"],
            )
            && self.user.as_deref().is_none_or(|user| {
                user_name(event) == Some(user)
                    || ["/userIdentity/arn", "/userIdentity/sessionContext/sessionIssuer/arn"]
                        .iter()
                        .any(|path| text(event, path) == Some(user))
            })
            && self.resource.as_deref().is_none_or(|resource| {
                event
                    .pointer("/resources")
                    .and_then(Value::as_array)
                    .is_some_and(|all| all.iter().any(|one| text(one, "/ARN") == Some(resource)))
            })
            && flag(self.read_only, "/readOnly")
            && flag(self.management, "/managementEvent")
            && self.account.is_none_or(|account| {
                let is = |text: Option<&str>| text.and_then(|text| text.parse().ok()) == Some(account);
                let resources = event.get("resources").and_then(Value::as_array);
                let mut owners = resources
                    .into_iter()
                    .flatten()
                    .map(|resource| text(resource, "/accountId"));
                is(text(event, "/recipientAccountId")) || owners.any(is)
            })
            && self.start.is_none_or(|start| time.is_some_and(|time| time >= start))
            && self.end.is_none_or(|end| time.is_some_and(|time| time <= end))
    }

    /// A record that passes has these texts in it, so one without them need not be parsed.
    fn needles(&self) -> Vec<String> {
        [
            &self.event_id,
            &self.event_name,
            &self.event_source,
            &self.user,
            &self.access_key_id,
            &self.request_id,
            &self.error_code,
            &self.resource,
        ]
        .into_iter()
        .flatten()
        .filter(|text| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+=,".contains(&byte))
        })
        .map(|text| format!("{text}\""))
        .chain(self.account.map(|account| format!("\"{account}\"")))
        .collect()
    }
}

/// The caller's name as CloudTrail's LookupEvents shows it: a user's, a role session's, `root`, or a token's subject.
#[must_use]
pub fn user_name(event: &Value) -> Option<&str> {
    match text(event, "/userIdentity/type")? {
        "Root" => Some("root"),
        "AssumedRole" => Some(text(event, "/userIdentity/principalId")?.split_once(':')?.1),
        _ => text(event, "/userIdentity/userName"),
    }
}

fn text<'a>(event: &'a Value, path: &str) -> Option<&'a str> {
    event.pointer(path)?.as_str()
}

const BLOCK: usize = 64 << 10;

/// The lines of a file from its end to its start. Holds one block, or one line if that is longer.
#[derive(Debug)]
struct Backward {
    file: File,
    path: PathBuf,
    /// Where `buffer` begins in the file.
    at: u64,
    buffer: Vec<u8>,
}

impl Backward {
    fn open(path: PathBuf) -> Result<Self, AuditError> {
        let file = File::open(&path).map_err(|error| AuditError::file(&path, error))?;
        let mut backward = Self {
            file,
            path,
            at: 0,
            buffer: Vec::new(),
        };
        // A server with a full disk may be taking back half a record: then the file is shorter than it was a moment before.
        let mut attempts = 3;
        while let Err(error) = backward.find_end() {
            attempts -= 1;
            let shorter =
                matches!(&error, AuditError::File { source, .. } if source.kind() == ErrorKind::UnexpectedEof);
            if !shorter || attempts == 0 {
                return Err(error);
            }
        }
        Ok(backward)
    }

    /// Goes to the end of the last complete line. What follows is a record that is not complete.
    fn find_end(&mut self) -> Result<(), AuditError> {
        let length = self
            .file
            .metadata()
            .map_err(|error| AuditError::file(&self.path, error))?
            .len();
        self.at = length;
        self.buffer.clear();
        while !self.buffer.contains(&b'\n') && self.buffer.len() <= MAX_LINE && self.fill()? {}
        let end = self.buffer.iter().rposition(|byte| *byte == b'\n');
        if end.is_none() && self.buffer.len() > MAX_LINE {
            return Err(Problem::new(&self.path, 0, 0, ProblemKind::Modified).into());
        }
        self.buffer.truncate(end.map_or(0, |end| end + 1));
        Ok(())
    }

    /// The line before, with its end. The buffer ends with a line's end, or is empty.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        loop {
            let body = self.buffer.len().saturating_sub(1);
            let start = self
                .buffer
                .get(..body)
                .and_then(|body| body.iter().rposition(|byte| *byte == b'\n'));
            if let Some(start) = start {
                return Ok(Some(self.buffer.split_off(start + 1)));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Problem::new(&self.path, 0, 0, ProblemKind::Modified).into());
            }
            if !self.fill()? {
                let line = std::mem::take(&mut self.buffer);
                return Ok((!line.is_empty()).then_some(line));
            }
        }
    }

    /// Puts the block before in front of the buffer; `false` at the file's start.
    fn fill(&mut self) -> Result<bool, AuditError> {
        let size = usize::try_from(self.at).unwrap_or(BLOCK).min(BLOCK);
        if size == 0 {
            return Ok(false);
        }
        self.at = self.at.saturating_sub(u64::try_from(size).unwrap_or_default());
        let mut block = vec![0; size];
        self.file
            .read_exact_at(&mut block, self.at)
            .map_err(|error| AuditError::file(&self.path, error))?;
        block.extend_from_slice(&self.buffer);
        self.buffer = block;
        Ok(true)
    }
}
