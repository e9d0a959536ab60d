//! The table of revisions, and what is read from and written to it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use crate::sqlite::recent::{PAGE_BYTES, PAGE_CHANGES};
use crate::{Change, Compare, Entry, Revision, StoreError, Transaction, Write};

/// One row is one key's change in one revision: `position` is the revision × 256 plus the change's place in it, so that the primary key
/// is also the index of revisions. No value: deleted. `previous` is the revision of the row that this one replaces, 0 if none.
/// `state` has one row: the current revision, the last compacted one, and the number and the sum of the checksums of all rows, by which a
/// lost row is noticed.
const SCHEMA: &str = "
    CREATE TABLE revisions (
        position INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        value BLOB,
        created INTEGER NOT NULL,
        previous INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        revision INTEGER GENERATED ALWAYS AS (position >> 8) VIRTUAL,
        deleted INTEGER GENERATED ALWAYS AS (value IS NULL) VIRTUAL
    ) STRICT;
    CREATE INDEX by_key ON revisions (key);
    CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        compacted INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;";

/// What a transaction came to: its revision, or why it was refused.
pub(super) type Outcome = Result<Revision, StoreError>;

/// What a group of transactions came to.
pub(super) struct Done {
    /// One a transaction, in their order.
    pub(super) outcomes: Vec<Outcome>,
    /// All changes, in order.
    pub(super) changes: Vec<Change>,
}

pub(super) struct Table {
    connection: Connection,
    path: PathBuf,
    state: State,
}

/// The row of `state`. Revisions are `i64` here, as SQLite has them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct State {
    revision: i64,
    compacted: i64,
    rows: i64,
    sum: i64,
}

/// Makes the tables in an empty database.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    let state = State::default();
    connection.execute("INSERT INTO state VALUES (1, 0, 0, 0, 0, ?1)", [state.checksum()])?;
    Ok(())
}

impl Table {
    pub(super) fn new(connection: Connection, path: PathBuf) -> Result<Self, StoreError> {
        let (state, checksum) = connection
            .query_row(
                "SELECT revision, compacted, rows, sum, checksum FROM state",
                [],
                |row| {
                    let state = State {
                        revision: row.get(0)?,
                        compacted: row.get(1)?,
                        rows: row.get(2)?,
                        sum: row.get(3)?,
                    };
                    Ok((state, row.get::<_, i64>(4)?))
                },
            )
            .map_err(|error| failure(&path, &error))?;
        if checksum != state.checksum() {
            return Err(damaged(&path, "its state record fails the checksum"));
        }
        Ok(Self {
            connection,
            path,
            state,
        })
    }

    pub(super) fn revision(&self) -> Revision {
        unsigned(self.state.revision)
    }

    pub(super) fn compacted(&self) -> Revision {
        unsigned(self.state.compacted)
    }

    /// Reads and checks everything.
    pub(super) fn load(&self) -> Result<(Revision, Vec<Entry>), StoreError> {
        let mut live = BTreeMap::new();
        let mut found = State {
            rows: 0,
            sum: 0,
            ..self.state
        };
        let (mut in_table, mut in_index) = (0_u64, 0_u64);
        self.scan(0, |row| {
            found.rows += 1;
            found.sum = found.sum.wrapping_add(row.checksum);
            in_table = in_table.wrapping_add(fingerprint(&row.key, row.position));
            let modified = unsigned(row.position >> 8);
            match row.value {
                Some(value) => drop(live.insert(
                    row.key.clone(),
                    Entry {
                        key: row.key,
                        value,
                        created: unsigned(row.created),
                        modified,
                    },
                )),
                None => drop(live.remove(&row.key)),
            }
            true
        })?;
        if found != self.state {
            return Err(damaged(
                &self.path,
                &format!(
                    "{} records are there, of {}, or some were exchanged",
                    found.rows, self.state.rows
                ),
            ));
        }
        // The index is a second copy of the keys, and compares rely on it.
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, position FROM revisions INDEXED BY by_key ORDER BY key")
            .map_err(|error| failure(&self.path, &error))?;
        let mut rows = statement.query([]).map_err(|error| failure(&self.path, &error))?;
        while let Some(row) = rows.next().map_err(|error| failure(&self.path, &error))? {
            let key = row.get_ref(0).and_then(|key| Ok(key.as_str()?));
            let position = row.get::<_, i64>(1);
            let (Ok(key), Ok(position)) = (key, position) else {
                return Err(damaged(&self.path, "its index of keys is not readable"));
            };
            in_index = in_index.wrapping_add(fingerprint(key, position));
        }
        if in_index != in_table {
            return Err(damaged(&self.path, "its index of keys differs from its records"));
        }
        Ok((self.revision(), live.into_values().collect()))
    }

    /// Applies transactions in their order, each on the state that the ones before leave, and flushes once.
    ///
    /// # Errors
    /// The database refused one of them, or the flush: then none is applied.
    pub(super) fn commit(&mut self, transactions: &[Transaction]) -> Result<Done, StoreError> {
        let path = &self.path;
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| failure(path, &error))?;
        let mut state = self.state;
        let mut changes = Vec::new();
        let mut outcomes = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let outcome = apply(&sql, &mut state, transaction, &mut changes).map_err(|error| failure(path, &error))?;
            outcomes.push(outcome);
        }
        if state != self.state {
            save(&sql, state)
                .and_then(|()| sql.commit())
                .map_err(|error| failure(path, &error))?;
            self.state = state;
        }
        Ok(Done { outcomes, changes })
    }

    /// A page of the changes after a revision, whole revisions only.
    pub(super) fn changes(&self, after: Revision) -> Result<Vec<Change>, StoreError> {
        self.check_watch(after)?;
        let mut page: Vec<Change> = Vec::new();
        let mut bytes = 0;
        let mut enough = false;
        self.scan(signed(after).saturating_add(1), |row| {
            let revision = unsigned(row.position >> 8);
            if enough && page.last().is_some_and(|last| last.revision != revision) {
                return false;
            }
            bytes += row.key.len() + row.value.as_ref().map_or(0, Bytes::len);
            page.push(Change {
                revision,
                key: row.key,
                value: row.value,
            });
            enough = page.len() >= PAGE_CHANGES || bytes >= PAGE_BYTES;
            true
        })?;
        Ok(page)
    }

    /// Whether all changes after a revision are still here.
    pub(super) fn check_watch(&self, after: Revision) -> Result<(), StoreError> {
        if after < self.compacted() {
            return Err(StoreError::Compacted {
                oldest: self.compacted(),
            });
        }
        Ok(())
    }

    /// Deletes what was replaced or deleted at or before a revision.
    pub(super) fn compact(&mut self, through: Revision) -> Result<(), StoreError> {
        let path = &self.path;
        let through = signed(through).min(self.state.revision);
        if through <= self.state.compacted {
            return Ok(());
        }
        // What revisions up to `compacted` replaced is gone already, so only what came after them needs a look.
        let (from, to) = (
            start(self.state.compacted.saturating_add(1)),
            start(through.saturating_add(1)),
        );
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| failure(path, &error))?;
        let mut state = self.state;
        let mut delete = |text: &str| -> rusqlite::Result<()> {
            let mut statement = sql.prepare_cached(text)?;
            let mut rows = statement.query([from, to])?;
            while let Some(row) = rows.next()? {
                state.rows -= 1;
                state.sum = state.sum.wrapping_sub(row.get(0)?);
            }
            Ok(())
        };
        delete(
            "DELETE FROM revisions WHERE position IN (
                 SELECT old.position FROM revisions new JOIN revisions old ON old.key = new.key
                 AND old.position >= new.previous << 8 AND old.position < (new.previous + 1) << 8
                 WHERE new.position >= ?1 AND new.position < ?2 AND new.previous > 0) RETURNING checksum",
        )
        .and_then(|()| {
            delete("DELETE FROM revisions WHERE position >= ?1 AND position < ?2 AND value IS NULL RETURNING checksum")
        })
        .map_err(|error| failure(path, &error))?;
        state.compacted = through;
        save(&sql, state)
            .and_then(|()| sql.commit())
            .map_err(|error| failure(path, &error))?;
        self.state = state;
        Ok(())
    }

    /// Hands the rows from a revision on, in order, to `each` until that has enough. Checks each.
    fn scan(&self, revision: i64, mut each: impl FnMut(Row) -> bool) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT position, key, value, created, previous, checksum FROM revisions
                 WHERE position >= ?1 ORDER BY position",
            )
            .map_err(|error| failure(&self.path, &error))?;
        let mut rows = statement
            .query([start(revision)])
            .map_err(|error| failure(&self.path, &error))?;
        while let Some(row) = rows.next().map_err(|error| failure(&self.path, &error))? {
            let read = || -> rusqlite::Result<Row> {
                Ok(Row {
                    position: row.get(0)?,
                    key: row.get(1)?,
                    value: row.get_ref(2)?.as_blob_or_null()?.map(Bytes::copy_from_slice),
                    created: row.get(3)?,
                    previous: row.get(4)?,
                    checksum: row.get(5)?,
                })
            };
            let row = read().map_err(|_| damaged(&self.path, "a record is not readable"))?;
            if row.checksum != row.expected_checksum() {
                return Err(damaged(
                    &self.path,
                    &format!("the record of revision {} fails its checksum", row.position >> 8),
                ));
            }
            if !each(row) {
                break;
            }
        }
        Ok(())
    }
}

struct Row {
    position: i64,
    key: String,
    value: Option<Bytes>,
    created: i64,
    previous: i64,
    checksum: i64,
}

impl Row {
    fn expected_checksum(&self) -> i64 {
        row_checksum(
            self.position,
            &self.key,
            self.value.as_deref(),
            self.created,
            self.previous,
        )
    }
}

impl State {
    fn checksum(self) -> i64 {
        checksum(&[self.revision, self.compacted, self.rows, self.sum], &[])
    }
}

/// What the table knows of a key's last change.
struct Latest {
    revision: i64,
    created: i64,
    live: bool,
}

fn apply(
    sql: &Connection,
    state: &mut State,
    transaction: &Transaction,
    changes: &mut Vec<Change>,
) -> rusqlite::Result<Outcome> {
    for compare in &transaction.compares {
        let holds = match compare {
            Compare::ModifiedAt { key, revision } => {
                latest(sql, key)?.is_some_and(|latest| latest.live && unsigned(latest.revision) == *revision)
            }
            Compare::Absent { key } => latest(sql, key)?.is_none_or(|latest| !latest.live),
            Compare::Present { key } => latest(sql, key)?.is_some_and(|latest| latest.live),
            Compare::PrefixEmpty { prefix } => prefix_empty(sql, prefix)?,
        };
        if !holds {
            return Ok(Err(StoreError::Conflict));
        }
    }
    let revision = state.revision + 1;
    let mut position = start(revision);
    for write in &transaction.writes {
        let key = write.key();
        let before = latest(sql, key)?;
        let live = before.as_ref().is_some_and(|before| before.live);
        let value = match write {
            Write::Put { value, .. } => Some(value.clone()),
            Write::Delete { .. } if live => None,
            Write::Delete { .. } => continue,
        };
        let previous = before.as_ref().map_or(0, |before| before.revision);
        let created = before
            .filter(|before| before.live)
            .map_or(revision, |before| before.created);
        let checksum = row_checksum(position, key, value.as_deref(), created, previous);
        sql.prepare_cached(
            "INSERT INTO revisions (position, key, value, created, previous, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![position, key, value.as_deref(), created, previous, checksum])?;
        state.rows += 1;
        state.sum = state.sum.wrapping_add(checksum);
        state.revision = revision;
        position += 1;
        changes.push(Change {
            revision: unsigned(revision),
            key: key.to_owned(),
            value,
        });
    }
    Ok(Ok(unsigned(state.revision)))
}

fn latest(sql: &Connection, key: &str) -> rusqlite::Result<Option<Latest>> {
    sql.prepare_cached(
        "SELECT position, created, value IS NOT NULL FROM revisions INDEXED BY by_key WHERE key = ?1
         ORDER BY position DESC LIMIT 1",
    )?
    .query_row([key], |row| {
        Ok(Latest {
            revision: row.get::<_, i64>(0)? >> 8,
            created: row.get(1)?,
            live: row.get(2)?,
        })
    })
    .optional()
}

fn prefix_empty(sql: &Connection, prefix: &str) -> rusqlite::Result<bool> {
    let mut statement = sql.prepare_cached(
        "SELECT key, value IS NOT NULL FROM revisions INDEXED BY by_key WHERE key >= ?1 ORDER BY key, position",
    )?;
    let mut rows = statement.query([prefix])?;
    // The last row of each key says whether it is live.
    let mut last: Option<(String, bool)> = None;
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_str()?;
        if !key.starts_with(prefix) {
            break;
        }
        let live = row.get(1)?;
        match &mut last {
            Some((same, state)) if same == key => *state = live,
            Some((_, true)) => return Ok(false),
            _ => last = Some((key.to_owned(), live)),
        }
    }
    Ok(!last.is_some_and(|(_, live)| live))
}

fn save(sql: &Connection, state: State) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE state SET revision = ?1, compacted = ?2, rows = ?3, sum = ?4, checksum = ?5")?
        .execute(params![
            state.revision,
            state.compacted,
            state.rows,
            state.sum,
            state.checksum()
        ])?;
    Ok(())
}

fn row_checksum(position: i64, key: &str, value: Option<&[u8]>, created: i64, previous: i64) -> i64 {
    let key_length = i64::try_from(key.len()).unwrap_or(i64::MAX);
    checksum(
        &[position, created, previous, i64::from(value.is_some()), key_length],
        &[key.as_bytes(), value.unwrap_or_default()],
    )
}

/// The first 64 bits of a SHA-256: against accidents, not against an attacker who can write the file.
fn checksum(numbers: &[i64], texts: &[&[u8]]) -> i64 {
    let mut context = digest::Context::new(&digest::SHA256);
    for number in numbers {
        context.update(&number.to_be_bytes());
    }
    for text in texts {
        context.update(text);
    }
    let mut first = [0; 8];
    first
        .iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    i64::from_be_bytes(first)
}

fn fingerprint(key: &str, position: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, position).hash(&mut hasher);
    hasher.finish()
}

/// The first position of a revision.
fn start(revision: i64) -> i64 {
    revision.saturating_mul(256)
}

fn unsigned(revision: i64) -> Revision {
    Revision::try_from(revision).unwrap_or_default()
}

fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// A file that must be restored or replaced.
pub(super) fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Damaged {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
        advice: "restore it from a backup, or move it and the files beside it that start with its name away to begin with an empty one"
            .to_owned(),
    }
}

/// What a failure of SQLite means to the caller.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full {
            path: path.to_path_buf(),
        },
        // Our statements do not change, so if one does not fit the file (no such table, not a number), the file is not as it was.
        None | Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
            damaged(path, &error.to_string())
        }
        _ => StoreError::Unavailable {
            reason: format!("`{}`: {error}", path.display()),
        },
    }
}
