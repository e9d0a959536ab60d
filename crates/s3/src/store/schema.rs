//! The tables of the index, and how those of earlier releases become today's.

use rusqlite::Connection;

use super::ObjectStoreError;

/// The version of the tables, kept in SQLite's `user_version`.
const VERSION: i64 = 3;

/// What makes version 1 of nothing, and each version of the one before.
const STEPS: [&str; 3] = [
    "
BEGIN IMMEDIATE;
CREATE TABLE objects (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX objects_content ON objects (content);
PRAGMA user_version = 1;
COMMIT;
",
    // `content` of an object with parts is the `owner` of its parts, as it was the id of the upload.
    "
BEGIN IMMEDIATE;
ALTER TABLE objects ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN tags TEXT;
ALTER TABLE objects ADD COLUMN version BLOB;
ALTER TABLE objects ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_tagged ON objects (bucket) WHERE tags IS NOT NULL;
CREATE TABLE versions (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    version BLOB,
    content BLOB,
    parts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    tags TEXT,
    PRIMARY KEY (bucket, key, sequence)
) WITHOUT ROWID;
CREATE UNIQUE INDEX versions_content ON versions (content) WHERE content IS NOT NULL;
CREATE INDEX versions_id ON versions (bucket, key, version);
CREATE INDEX versions_tagged ON versions (bucket) WHERE tags IS NOT NULL;
CREATE TABLE uploads (
    id BLOB NOT NULL PRIMARY KEY,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    started INTEGER NOT NULL,
    settings TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX uploads_key ON uploads (bucket, key, id);
CREATE TABLE parts (
    owner BLOB NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    modified INTEGER NOT NULL,
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX parts_content ON parts (content);
CREATE TABLE completed (
    id BLOB NOT NULL PRIMARY KEY,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    version BLOB
) WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;
",
    // Versions in the order in which they are listed, and the secret in their ids.
    "
BEGIN IMMEDIATE;
ALTER TABLE versions RENAME TO versions_2;
DROP INDEX versions_content;
DROP INDEX versions_id;
DROP INDEX versions_tagged;
CREATE TABLE versions (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    version BLOB,
    content BLOB,
    parts INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    tags TEXT,
    PRIMARY KEY (bucket, key, sequence DESC)
) WITHOUT ROWID;
INSERT INTO versions SELECT * FROM versions_2;
DROP TABLE versions_2;
CREATE UNIQUE INDEX versions_content ON versions (content) WHERE content IS NOT NULL;
CREATE INDEX versions_id ON versions (bucket, key, version);
CREATE INDEX versions_tagged ON versions (bucket) WHERE tags IS NOT NULL;
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO secrets (name, value) VALUES ('versions', randomblob(32));
PRAGMA user_version = 3;
COMMIT;
",
];

pub(super) fn prepare(connection: &Connection) -> Result<(), ObjectStoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) else {
        return Err(ObjectStoreError::Newer { found, known: VERSION });
    };
    for step in steps {
        connection.execute_batch(step)?;
    }
    // Touches the trees, so that a file cut short is noticed now and not at the first request.
    for (column, table) in [
        ("bucket", "objects"),
        ("content", "objects"),
        ("owner", "parts"),
        ("bucket", "versions"),
    ] {
        connection.query_row(&format!("SELECT max({column}) FROM {table}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// The tables as earlier releases made them.
#[cfg(test)]
pub(super) fn create_tables_of(connection: &Connection, version: usize) {
    STEPS[..version]
        .iter()
        .for_each(|step| connection.execute_batch(step).unwrap());
}

#[cfg(test)]
pub(super) fn create_tables(connection: &Connection) {
    STEPS.iter().for_each(|step| connection.execute_batch(step).unwrap());
}
