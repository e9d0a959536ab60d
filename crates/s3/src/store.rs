//! The embedded object store: immutable content files, and an index that says which object has which content.
//!
//! An object becomes visible when its index row is committed, after its content file is on disk; it disappears when the
//! row does, before the file. What a crash leaves over is therefore a file without a row, which the next start removes.
//! Keys never become paths.

mod content;
mod index;
mod listing;
mod multipart;
mod private;
mod recent;
mod rows;
mod schema;
mod sweep;
mod tagging;
#[cfg(test)]
mod tests;
mod uploads;
mod version;
mod versions;
mod warm;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use irsa_core::Timestamp;
use uuid::Uuid;

pub(crate) use content::{Content, Digest, Staged};
pub(crate) use listing::{ListPage, ListQuery, Listed};
pub(crate) use uploads::{Assembly, ListedUpload, PartRow, Upload, UploadId, UploadQuery, UploadSettings};
pub(crate) use version::{Deleted, Marker, Status, Version};
pub(crate) use versions::{ListedVersion, VersionPage, VersionQuery};

use crate::permit::{DeleteBucket, DeleteObject, ListBucket, ListVersions, Permit, ReadObject, Verb, WriteObject};
use content::{ContentId, Contents, Janitor};
use index::Index;
use recent::{Recently, Ticket};
use tagging::same_tags;
use warm::Warm;

/// Objects in a folder of this machine.
///
/// All that reads or writes an object takes a permit, and a permit is made of an [`Allowed`](crate::Allowed) alone.
#[derive(Clone)]
pub struct ObjectStore {
    inner: Arc<Inner>,
}

struct Inner {
    index: Index,
    contents: Arc<Contents>,
    /// Buckets in which some object has or had tags. Of others nobody needs to look for any.
    tagged: RwLock<HashSet<Uuid>>,
    warm: Warm,
    _sweeping: sweep::Sweeping,
    /// Held as long as the store is open: a second process on the same folder would sweep away our uploads.
    _lock: File,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreError {
    /// Another process has the folder open.
    #[error("the object store `{}` is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The index is not a database, or its pages contradict each other.
    #[error(
        "the object index `{}` is damaged: restore it from a backup, or move the folder away to start without objects",
        .path.display()
    )]
    Damaged {
        /// The index file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The index was written by a later release.
    #[error(
        "the object index has version {found}, and this release knows versions up to {known}: use the release that wrote it"
    )]
    Newer {
        /// The version in the file.
        found: i64,
        /// The latest version that we know.
        known: i64,
    },
    /// A file could not be read or written; a full disk shows here.
    #[error("cannot {action} `{}`", .path.display())]
    File {
        /// What was tried: `write`, `open`…
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The index could not be read or written; a full disk shows here too.
    #[error("the object index failed")]
    Index(#[from] rusqlite::Error),
    /// The index holds a row that this release cannot read.
    #[error("the index row of an object is unreadable")]
    Row(#[source] serde_json::Error),
    /// The writer has stopped: the process is ending.
    #[error("the object store is closed")]
    Stopped,
}

/// What the index knows of one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ObjectRow {
    /// Of an object with parts: what its parts belong to.
    pub(crate) content: ContentId,
    /// Of how many parts it was uploaded; 0: it was put at once.
    pub(crate) parts: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Without quotes: the MD5 of the content in hex; of an object with parts the MD5 of their MD5s, and their number.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Attributes,
    pub(crate) tags: Tags,
    pub(crate) version: Version,
}

/// An object that was found, and the bytes that the plan wanted.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) row: Arc<ObjectRow>,
    /// The part that was asked for; `None` also if there is none of that number.
    pub(crate) part: Option<ObjectPart>,
    pub(crate) content: Content,
}

/// A part of an object, and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct ObjectPart {
    pub(crate) start: u64,
    pub(crate) row: PartRow,
}

/// Keys and values, in the order in which they were given.
pub(crate) type Tags = Vec<(String, String)>;

/// The headers that an object is stored with.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    /// User metadata by name, without `x-amz-meta-`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
    /// Algorithm, such as `CRC32`, and value in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<(String, String)>,
}

/// The condition that a write makes on the object that is there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Precondition {
    #[default]
    None,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: *`.
    Present,
    /// `If-Match: "…"`, without quotes.
    ETag(String),
}

/// Why nothing was done; the store is unharmed and as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// The bucket was removed in the meantime.
    BucketGone,
    /// The precondition does not hold.
    Precondition,
    /// There is no such object.
    NoSuchKey,
    /// There is no version of this id.
    NoSuchVersion,
    /// The version that is meant, which may be the newest, is a delete marker.
    Marker(Marker),
    /// There is no upload of this id, bucket and key.
    NoSuchUpload,
    /// The object has other tags than when it was decided.
    Changed,
}

/// Why a thing with a plan was not done.
#[derive(Debug)]
pub(crate) enum NotDone<E> {
    Refused(Refused),
    /// The plan's own reason.
    Plan(E),
}

/// An object that was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) row: ObjectRow,
    /// Its version, if its bucket has versions.
    pub(crate) version: Option<Version>,
}

impl ObjectStore {
    /// Opens the store in a folder, which is made if need be, and begins to sweep away what a crash left over.
    ///
    /// The folder and all that is in it are for the user of this process alone. If they were not, they are from now on.
    ///
    /// # Errors
    /// The folder is in use, unreadable, damaged, or cannot be closed to other users.
    pub fn open(root: &Path) -> Result<Self, ObjectStoreError> {
        let fail = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| ObjectStoreError::File { action, path, source }
        };
        private::create_folder(root).map_err(fail("create", root))?;
        private::close(root).map_err(fail("close to others", root))?;
        let lock_path = root.join("lock");
        let lock = private::file_options()
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(fail("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ObjectStoreError::Locked(root.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(fail("lock", &lock_path)(source)),
        }
        // SQLite gives its other files the mode of the first one.
        let index_path = root.join("index.db");
        private::file_options()
            .create(true)
            .truncate(false)
            .open(&index_path)
            .map_err(fail("open", &index_path))?;
        for name in ["lock", "index.db", "index.db-wal", "index.db-shm"] {
            let path = root.join(name);
            private::close(&path).map_err(fail("close to others", &path))?;
        }
        let index = Index::open(&index_path)?;
        let generation = Uuid::new_v4().as_u64_pair().1;
        let contents = Arc::new(Contents::open(root, generation, Janitor::start())?);
        let sweeping = sweep::start(Arc::clone(&contents), index.readers());
        Ok(Self {
            inner: Arc::new(Inner {
                tagged: RwLock::new(index.tagged()?),
                warm: Warm::new(),
                index,
                contents,
                _sweeping: sweeping,
                _lock: lock,
            }),
        })
    }

    /// Reads one object, or the version of it that the permit is for. `plan` sees what is known of it, and of its part of that number if one
    /// is asked for, and says which bytes are wanted (`None`: none of them) or why not.
    pub(crate) async fn read<E, P>(
        &self,
        permit: Permit<ReadObject>,
        part: Option<u32>,
        plan: P,
    ) -> Result<Result<Found, NotDone<E>>, ObjectStoreError>
    where
        E: Send + 'static,
        P: Fn(&ObjectRow, Option<&ObjectPart>) -> Result<Option<std::ops::Range<u64>>, E> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        // Of versions that are named and of parts nothing is kept.
        let ticket = if permit.version().is_none() && part.is_none() {
            let (recently, ticket) = inner.index.recent().find(permit.bucket(), permit.key());
            if let Some(found) = recently.and_then(|recently| recently.read(&permit, &plan)) {
                return Ok(found);
            }
            ticket
        } else {
            None
        };
        if inner.warm.knows(permit.bucket(), permit.key()) {
            return inner.read_and_keep(&permit, part, plan, ticket);
        }
        blocking(move || {
            let found = inner.read_and_keep(&permit, part, plan, ticket)?;
            if let Ok(found) = &found
                && found.row.size <= content::SMALL
            {
                inner.warm.note(permit.bucket(), permit.key());
            }
            Ok(found)
        })
        .await
    }

    /// Begins an upload, for which nobody has been told anything yet.
    pub(crate) fn stage(&self, _permit: &Permit<WriteObject>) -> Staged {
        Staged::new(Arc::clone(&self.inner.contents))
    }

    /// Makes an upload the content of the object. When this returns, it is on disk.
    pub(crate) async fn commit(
        &self,
        permit: Permit<WriteObject>,
        staged: Staged,
        row: NewRow,
        precondition: Precondition,
        status: Status,
    ) -> Result<Result<Written, Refused>, ObjectStoreError> {
        let file = blocking(move || staged.seal()).await?;
        self.place(permit, file, row, precondition, status).await
    }

    /// Gives the content of one object to another, without copying a byte where the file system can.
    /// `Ok(None)`: the source has no content of this id any more; look it up again.
    pub(crate) async fn link(
        &self,
        _source: &Permit<ReadObject>,
        content: ContentId,
        permit: Permit<WriteObject>,
        row: NewRow,
        status: Status,
    ) -> Result<Option<Result<Written, Refused>>, ObjectStoreError> {
        let contents = Arc::clone(&self.inner.contents);
        let file = match blocking(move || contents.duplicate(content)).await {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        self.place(permit, file, row, Precondition::None, status)
            .await
            .map(Some)
    }

    async fn place(
        &self,
        permit: Permit<WriteObject>,
        file: content::Sealed,
        row: NewRow,
        precondition: Precondition,
        status: Status,
    ) -> Result<Result<Written, Refused>, ObjectStoreError> {
        self.will_have(permit.bucket(), &row.tags);
        let row = ObjectRow {
            content: file.id(),
            parts: 0,
            size: file.size(),
            etag: row.etag,
            modified: row.modified,
            attributes: row.attributes,
            tags: row.tags,
            version: Version::NULL,
        };
        self.inner
            .index
            .put(
                permit.bucket(),
                permit.key().to_owned(),
                row,
                file,
                precondition,
                status,
            )
            .await
    }

    /// Removes the version that the permit is for, for good. Without one it removes the object, which in a bucket with versions
    /// means to hide it behind a delete marker.
    pub(crate) async fn delete(
        &self,
        permit: Permit<DeleteObject>,
        precondition: Precondition,
        now: Timestamp,
        status: Status,
    ) -> Result<Result<Deleted, Refused>, ObjectStoreError> {
        let contents = Arc::clone(&self.inner.contents);
        let (index, bucket, key) = (&self.inner.index, permit.bucket(), permit.key().to_owned());
        match permit.version() {
            None => index.delete(bucket, key, contents, precondition, status, now).await,
            Some(version) => index.delete_version(bucket, key, version, contents, precondition).await,
        }
    }

    /// One page of the objects of a bucket.
    pub(crate) async fn list(
        &self,
        permit: Permit<ListBucket>,
        query: ListQuery,
    ) -> Result<ListPage, ObjectStoreError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let bucket = permit.bucket();
            inner
                .index
                .readers()
                .with(|connection| listing::list(connection, bucket, &query))
        })
        .await
    }

    /// One page of the versions of the objects of a bucket.
    pub(crate) async fn list_versions(
        &self,
        permit: Permit<ListVersions>,
        query: VersionQuery,
    ) -> Result<VersionPage, ObjectStoreError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let (bucket, naming) = (permit.bucket(), inner.index.naming());
            inner
                .index
                .readers()
                .with(|connection| versions::list(connection, &naming, bucket, &query))
        })
        .await
    }

    /// Closes a bucket for writes if it is empty; `false`: it is not. Uploads that are under way end with [`Refused::BucketGone`].
    pub(crate) async fn close_bucket(&self, permit: &Permit<DeleteBucket>) -> Result<bool, ObjectStoreError> {
        self.inner.index.close_bucket(permit.bucket()).await
    }

    /// Opens a bucket again whose removal failed elsewhere.
    pub(crate) async fn reopen_bucket(&self, permit: &Permit<DeleteBucket>) -> Result<(), ObjectStoreError> {
        self.inner.index.reopen_bucket(permit.bucket()).await
    }
}

impl Recently {
    /// As [`ObjectStore::read`]; `None`: the bytes that are wanted are not here.
    fn read<E>(
        &self,
        permit: &Permit<ReadObject>,
        plan: impl Fn(&ObjectRow, Option<&ObjectPart>) -> Result<Option<std::ops::Range<u64>>, E>,
    ) -> Option<Result<Found, NotDone<E>>> {
        if !same_tags(&permit.seen_tags(), &self.row.tags) {
            return Some(Err(NotDone::Refused(Refused::Changed)));
        }
        let content = match plan(&self.row, None) {
            Err(error) => return Some(Err(NotDone::Plan(error))),
            Ok(None) => Content::empty(),
            Ok(Some(range)) => Content::of_memory(self.content.as_ref()?, range)?,
        };
        Some(Ok(Found {
            row: Arc::clone(&self.row),
            part: None,
            content,
        }))
    }
}

impl Inner {
    /// As [`Inner::read`]; what is found is kept for others, if there is a ticket.
    fn read_and_keep<E>(
        self: &Arc<Self>,
        permit: &Permit<ReadObject>,
        part: Option<u32>,
        plan: impl Fn(&ObjectRow, Option<&ObjectPart>) -> Result<Option<std::ops::Range<u64>>, E>,
        ticket: Option<Ticket>,
    ) -> Result<Result<Found, NotDone<E>>, ObjectStoreError> {
        let found = self.read(permit, part, plan)?;
        if let (Some(ticket), Ok(found)) = (ticket, &found) {
            let recently = Recently {
                row: Arc::clone(&found.row),
                content: found
                    .content
                    .whole()
                    .filter(|bytes| bytes.len() as u64 == found.row.size && found.row.size <= recent::KEPT),
            };
            self.index
                .recent()
                .keep(ticket, permit.bucket(), permit.key(), recently);
        }
        Ok(found)
    }

    /// As [`ObjectStore::read`]. Blocks, if what is read is not in memory.
    fn read<E>(
        self: &Arc<Self>,
        permit: &Permit<ReadObject>,
        part: Option<u32>,
        plan: impl Fn(&ObjectRow, Option<&ObjectPart>) -> Result<Option<std::ops::Range<u64>>, E>,
    ) -> Result<Result<Found, NotDone<E>>, ObjectStoreError> {
        // The object may be replaced, and its old content removed, between the look-up and the opening.
        for _ in 0..16 {
            let row = match self.look(permit)? {
                Ok(row) => row,
                Err(refused) => return Ok(Err(NotDone::Refused(refused))),
            };
            let part = self.part_of(&row, part)?;
            let range = match plan(&row, part.as_ref()) {
                Ok(range) => range,
                Err(error) => return Ok(Err(NotDone::Plan(error))),
            };
            let content = match range {
                None => Ok(Some(Content::empty())),
                Some(range) => self.open_content(permit, &row, range),
            };
            match content {
                Ok(Some(content)) => {
                    let row = Arc::new(row);
                    return Ok(Ok(Found { row, part, content }));
                }
                Ok(None) => {}
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.contents.lost(permit.bucket()))
    }

    /// What the permit is for, if it is as it was when that was decided.
    fn look<V: Verb>(&self, permit: &Permit<V>) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        let found = self.index.find(permit.bucket(), permit.key(), permit.version())?;
        Ok(found.and_then(|row| {
            if same_tags(&permit.seen_tags(), &row.tags) {
                Ok(row)
            } else {
                Err(Refused::Changed)
            }
        }))
    }

    /// The part of this number. An object that was put at once is its own first part.
    fn part_of(&self, row: &ObjectRow, number: Option<u32>) -> Result<Option<ObjectPart>, ObjectStoreError> {
        match number {
            None => Ok(None),
            Some(number) if row.parts > 0 => self.index.readers().with(|connection| {
                let found = uploads::part_of_object(connection, row.content, number)?;
                Ok(found.map(|(start, row)| ObjectPart { start, row }))
            }),
            Some(1) => Ok(Some(ObjectPart {
                start: 0,
                row: PartRow {
                    number: 1,
                    size: row.size,
                    etag: row.etag.clone(),
                    checksum: row.attributes.checksum.clone(),
                    modified: row.modified,
                },
            })),
            Some(_) => Ok(None),
        }
    }

    /// Opens these bytes of an object; `None`: it was replaced since it was looked up.
    fn open_content(
        &self,
        permit: &Permit<ReadObject>,
        row: &ObjectRow,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Content>, ObjectStoreError> {
        if row.parts == 0 {
            return self.contents.read(row.content, range).map(Some);
        }
        let pin = self.contents.pin(row.content);
        let pieces = self.index.readers().with(|connection| {
            // Only what is there after it was pinned stays.
            let still = rows::version(connection, permit.bucket(), permit.key(), row.version)?;
            match still.and_then(|found| found.object) {
                Some(found) if found.content == row.content => {
                    Ok(Some(uploads::pieces(connection, row.content, &range)?))
                }
                _ => Ok(None),
            }
        })?;
        pieces
            .map(|pieces| self.contents.read_pieces(pieces, range, Some(pin)))
            .transpose()
    }
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").finish_non_exhaustive()
    }
}

/// What the caller of [`ObjectStore::commit`] knows of the new object.
#[derive(Clone, Debug)]
pub(crate) struct NewRow {
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Attributes,
    pub(crate) tags: Tags,
}

impl ObjectStoreError {
    /// A content file that is not there.
    fn is_missing(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Runs file and database work where it may block.
async fn blocking<T, F>(work: F) -> Result<T, ObjectStoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ObjectStoreError> + Send + 'static,
{
    // A join error means that the runtime is going down (or that the work panicked, which is reported where it happens).
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(ObjectStoreError::Stopped))
}

/// How the index writes a bucket's id.
fn bucket_key(bucket: Uuid) -> [u8; 16] {
    bucket.into_bytes()
}
