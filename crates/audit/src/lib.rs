//! What happened, in CloudTrail's words, in a journal that nobody can quietly change.
//!
//! The flow: an [`Event`] is written as one line of JSON, [`Journal::append`] chains it to the line before and hands it to the kernel, and
//! only then may the answer that it describes leave. [`lookup()`] finds events again, [`verify()`] proves that none was changed.
//!
//! Invariants:
//! - When `append` has returned a sequence, the record survives `kill -9`, and a power cut from 100 ms later on. With
//!   [`Durability::Disk`], [`Journal::durable`] waits for that.
//! - When `append` has returned an error, nothing of the record stays in the journal, and the caller must refuse what the record is about.
//! - [`Journal::healthy`] says whether there is room for the record of what is about to be done: the journal holds bytes of the disk ahead of
//!   its end, and is not healthy from when it cannot hold enough of them, long before an append fails for want of space.
//! - Each line carries its number and a keyed hash over the hash before it, its number and its record's hash. Nobody without the key can change,
//!   leave out, insert or move a record. A head beside the segments, signed with the key, says how far the journal goes on disk, so that a
//!   missing end is noticed too; what was cut off within the last 100 ms is not, nor is the return to an older copy of the whole folder.
//! - No text of a caller's can end a line or start a field: all of it goes through one escaping writer.
//!
//! The record format is CloudTrail's event version 1.11:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.

mod chain;
mod error;
mod event;
mod facts;
mod head;
mod identity;
mod index;
mod journal;
mod json;
mod lookup;
mod start;
mod verify;

pub use error::AuditError;
pub use event::{Category, Event, EventError, Resource, TlsDetails, event_id};
pub use facts::{NamedResource, Verdict, named_resources};
pub use identity::{SessionContext, SessionIssuer, UserIdentity};
pub use journal::{Durability, Journal, JournalOptions, Retention};
pub use json::ObjectWriter;
pub use lookup::{Filter, Lookup, Record, Searcher, lookup, origin, search, user_name};
pub use start::{Cut, CutReason};
pub use verify::{Problem, ProblemKind, Report, verify};

/// The number of a record in its journal, counted from 1.
pub type Sequence = u64;
