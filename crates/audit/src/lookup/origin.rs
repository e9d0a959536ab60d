//! From what a session did back to the pod that it belongs to, and from the pod to its sessions.

use std::collections::HashMap;

use irsa_core::Timestamp;

use super::filter::{Condition, Conditions, Filter, Issued, LONGEST_SESSION};
use super::{Lookup, Record};
use crate::AuditError;
use crate::chain::Keys;
use crate::facts::{Field, Slot};
use std::path::Path;

/// A role's session may take another role, and that a third; further than this, nobody is followed.
const CHAIN: usize = 8;

impl Lookup {
    /// The condition that an event comes from a pod or service account: the event says so, or it is signed with a key that was issued to it, or
    /// to a session of its.
    pub(super) fn sessions_of(&mut self, origin: (Field, String)) -> Result<Condition, AuditError> {
        let mut keys = HashMap::new();
        let mut next = Condition::Terms(vec![origin.clone()]);
        for _ in 0..CHAIN {
            let filter = Filter {
                start: self.filter.start.map(|start| start.plus_seconds(-LONGEST_SESSION)),
                end: self.filter.end,
                before: self.filter.before,
                ..Filter::default()
            };
            // Only calls that issued keys matter, and all but the first round ask for them.
            let (folder, keys_of_journal) = (self.folder.clone(), self.keys.clone());
            let mut search = Self::with(&folder, keys_of_journal, filter, Conditions::new(vec![next]))?;
            let mut new = HashMap::new();
            while let Some(found) = search.next_with(|_, _, facts| {
                let issued = facts.text(Slot::Issued).zip(facts.text(Slot::EventTime));
                Some(issued.map(|(key, time)| (key.to_owned(), time.to_owned())))
            }) {
                match found {
                    Ok(Some((key, text))) => {
                        if let Some(at) = Timestamp::parse_iso8601(&text)
                            && !keys.contains_key(&key)
                        {
                            new.insert(key, Issued { text, at });
                        }
                    }
                    Ok(None) => {}
                    Err(error) => self.problems.push(error),
                }
            }
            if new.is_empty() {
                break;
            }
            keys.extend(new.clone());
            next = Condition::Sessions {
                terms: Vec::new(),
                field: Field::IssuedBy,
                keys: new,
            };
        }
        Ok(Condition::Sessions {
            terms: vec![origin],
            field: Field::Signer,
            keys,
        })
    }
}

/// The records that lead from an event back to its origin, the nearest first: the call that issued its key, and so on, up to the exchange of
/// a pod's token. Empty if the event was not signed with a temporary key.
///
/// # Errors
/// As [`search()`](crate::search()); of lines that cannot be read, the first.
pub fn origin(folder: &Path, key: &[u8; 32], record: &Record) -> Result<Vec<Record>, AuditError> {
    let mut path: Vec<Record> = Vec::new();
    let mut event = record;
    while path.len() < CHAIN {
        let text = |pointer: &str| event.event.pointer(pointer).and_then(serde_json::Value::as_str);
        let (Some(signer), Some(created)) = (
            text("/userIdentity/accessKeyId"),
            text("/userIdentity/sessionContext/attributes/creationDate").and_then(Timestamp::parse_iso8601),
        ) else {
            break;
        };
        let filter = Filter {
            access_key_id: Some(signer.to_owned()),
            start: Some(created),
            end: Some(created),
            ..Filter::default()
        };
        let signer = signer.to_owned();
        let mut found = None;
        for record in Lookup::new(folder, Some(Keys::new(key)), filter)? {
            let record = record?;
            let issued = record.event.pointer("/responseElements/credentials/accessKeyId");
            if issued.and_then(serde_json::Value::as_str) == Some(&signer) {
                found = Some(record);
                break;
            }
        }
        let Some(found) = found else { break };
        path.push(found);
        let Some(last) = path.last() else { break };
        event = last;
    }
    Ok(path)
}
