use std::sync::Arc;

use irsa_core::Timestamp;

use super::uploads::{self, Assembly, Completed, ListedUpload, PartRow, Upload, UploadId, UploadQuery, UploadSettings};
use super::{NotDone, ObjectStore, ObjectStoreError, Precondition, Refused, Staged, Status, blocking};
use crate::permit::{AbortUpload, DeleteBucket, ListParts, ListUploads, Permit, WriteObject};

impl ObjectStore {
    /// Begins a multipart upload.
    pub(crate) async fn create_upload(
        &self,
        permit: &Permit<WriteObject>,
        started: Timestamp,
        settings: UploadSettings,
    ) -> Result<Result<UploadId, Refused>, ObjectStoreError> {
        self.will_have(permit.bucket(), &settings.tags);
        self.inner
            .index
            .create_upload(permit.bucket(), permit.key().to_owned(), started, settings)
            .await
    }

    /// The upload of this id, if the permit is for its object.
    pub(crate) async fn upload(
        &self,
        permit: &Permit<WriteObject>,
        id: UploadId,
    ) -> Result<Option<Upload>, ObjectStoreError> {
        let (inner, permit) = (Arc::clone(&self.inner), permit.clone());
        blocking(move || {
            inner
                .index
                .readers()
                .with(|connection| Ok(uploads::find(connection, permit.bucket(), permit.key(), id)?))
        })
        .await
    }

    /// Makes what has arrived a part of an upload, in the place of an earlier part of its number. When this returns, it is on disk.
    pub(crate) async fn put_part(
        &self,
        permit: Permit<WriteObject>,
        id: UploadId,
        staged: Staged,
        part: PartRow,
    ) -> Result<Result<(), Refused>, ObjectStoreError> {
        let file = blocking(move || staged.seal()).await?;
        self.inner
            .index
            .put_part(permit.bucket(), permit.key().to_owned(), id, part, file)
            .await
    }

    /// Makes an upload an object. `plan` sees all of its parts, and says of which the object is made or why it is not; it may be asked
    /// twice. An upload that an earlier request completed is answered as then.
    pub(crate) async fn complete_upload<E, P>(
        &self,
        permit: Permit<WriteObject>,
        id: UploadId,
        precondition: Precondition,
        status: Status,
        plan: P,
    ) -> Result<Result<Completed, NotDone<E>>, ObjectStoreError>
    where
        E: Send + 'static,
        P: FnMut(&Upload, &[PartRow]) -> Result<Assembly, E> + Send + 'static,
    {
        let contents = Arc::clone(&self.inner.contents);
        self.inner
            .index
            .complete(
                permit.bucket(),
                permit.key().to_owned(),
                id,
                precondition,
                status,
                plan,
                contents,
            )
            .await
    }

    /// Ends an upload; what has arrived of it goes.
    pub(crate) async fn abort_upload(
        &self,
        permit: Permit<AbortUpload>,
        id: UploadId,
    ) -> Result<Result<(), Refused>, ObjectStoreError> {
        let contents = Arc::clone(&self.inner.contents);
        self.inner
            .index
            .abort_upload(permit.bucket(), permit.key().to_owned(), id, contents)
            .await
    }

    /// An upload and its parts after a number, one more than `limit` if there are more; `None`: there is no such upload.
    pub(crate) async fn list_parts(
        &self,
        permit: Permit<ListParts>,
        id: UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Option<(Upload, Vec<PartRow>)>, ObjectStoreError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner.index.readers().with(|connection| {
                let limit = limit.saturating_add(1);
                Ok(uploads::upload_parts(
                    connection,
                    permit.bucket(),
                    permit.key(),
                    id,
                    after,
                    limit,
                )?)
            })
        })
        .await
    }

    /// One page of the uploads of a bucket, and whether there is more.
    pub(crate) async fn list_uploads(
        &self,
        permit: Permit<ListUploads>,
        query: UploadQuery,
    ) -> Result<(Vec<ListedUpload>, bool), ObjectStoreError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner
                .index
                .readers()
                .with(|connection| uploads::list(connection, permit.bucket(), &query))
        })
        .await
    }

    /// Ends all uploads that began before an instant; how many there were.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn expire_uploads(&self, before: Timestamp) -> Result<usize, ObjectStoreError> {
        self.end_uploads(uploads::Ending::Before(before)).await
    }

    /// Ends the uploads of a bucket that is gone.
    pub(crate) async fn end_uploads_of(&self, permit: &Permit<DeleteBucket>) -> Result<usize, ObjectStoreError> {
        self.end_uploads(uploads::Ending::Of(permit.bucket())).await
    }

    async fn end_uploads(&self, which: uploads::Ending) -> Result<usize, ObjectStoreError> {
        /// An upload can have 10,000 parts, and others wait to write.
        const AT_ONCE: usize = 16;
        let mut ended = 0_usize;
        loop {
            let contents = Arc::clone(&self.inner.contents);
            let count = self.inner.index.end_uploads(which, AT_ONCE, contents).await?;
            ended = ended.saturating_add(count);
            if count < AT_ONCE {
                return Ok(ended);
            }
        }
    }
}
