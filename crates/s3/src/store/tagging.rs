use std::sync::{Arc, PoisonError};

use uuid::Uuid;

use super::{ObjectRow, ObjectStore, ObjectStoreError, PartRow, Refused, Tags, Version, blocking, uploads};
use crate::permit::{DeleteTags, Permit, ReadAcl, ReadAttributes, ReadTags, Verb, WriteTags};

impl ObjectStore {
    /// The tags of a version (or of the newest), for the decision whether its tags or anything else of it may be told. No tags: none, or
    /// no object.
    pub(crate) async fn tags_to_decide(
        &self,
        bucket: Uuid,
        key: &str,
        version: Option<Version>,
    ) -> Result<Tags, ObjectStoreError> {
        let is_tagged = self
            .inner
            .tagged
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&bucket);
        if !is_tagged {
            return Ok(Tags::new());
        }
        let (inner, key) = (Arc::clone(&self.inner), key.to_owned());
        blocking(move || {
            let found = inner.index.find(bucket, &key, version)?;
            Ok(found.map(|row| row.tags).unwrap_or_default())
        })
        .await
    }

    /// Before an object has tags, its bucket is known to have some: a decision that looks later sees them.
    pub(super) fn will_have(&self, bucket: Uuid, tags: &Tags) {
        if !tags.is_empty() {
            let mut tagged = self.inner.tagged.write().unwrap_or_else(PoisonError::into_inner);
            tagged.insert(bucket);
        }
    }

    /// What is known of an object.
    pub(crate) async fn describe(
        &self,
        permit: Permit<ReadAttributes>,
    ) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        self.look(permit).await
    }

    /// The parts of an object after a number, one more than `limit` if there are more.
    pub(crate) async fn parts_of(
        &self,
        _permit: Permit<ReadAttributes>,
        row: &ObjectRow,
        after: u32,
        limit: usize,
    ) -> Result<Vec<PartRow>, ObjectStoreError> {
        let (inner, content) = (Arc::clone(&self.inner), row.content);
        blocking(move || {
            inner
                .index
                .readers()
                .with(|connection| Ok(uploads::parts(connection, content, after, limit.saturating_add(1))?))
        })
        .await
    }

    /// The tags of an object, and its version.
    pub(crate) async fn tags(
        &self,
        permit: Permit<ReadTags>,
    ) -> Result<Result<(Tags, Version), Refused>, ObjectStoreError> {
        Ok(self.look(permit).await?.map(|row| (row.tags, row.version)))
    }

    /// That an object is there.
    pub(crate) async fn look_for_acl(&self, permit: Permit<ReadAcl>) -> Result<Result<(), Refused>, ObjectStoreError> {
        Ok(self.look(permit).await?.map(drop))
    }

    async fn look<V: Verb>(&self, permit: Permit<V>) -> Result<Result<ObjectRow, Refused>, ObjectStoreError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.look(&permit)).await
    }

    /// Gives an object other tags. Which version that was.
    pub(crate) async fn set_tags(
        &self,
        permit: Permit<WriteTags>,
        tags: Tags,
    ) -> Result<Result<Version, Refused>, ObjectStoreError> {
        self.will_have(permit.bucket(), &tags);
        self.change_tags(permit, tags).await
    }

    /// Takes all tags of an object away. Which version that was.
    pub(crate) async fn delete_tags(
        &self,
        permit: Permit<DeleteTags>,
    ) -> Result<Result<Version, Refused>, ObjectStoreError> {
        self.change_tags(permit, Tags::new()).await
    }

    async fn change_tags<V: Verb>(
        &self,
        permit: Permit<V>,
        tags: Tags,
    ) -> Result<Result<Version, Refused>, ObjectStoreError> {
        let seen = permit
            .seen_tags()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        self.inner
            .index
            .set_tags(permit.bucket(), permit.key().to_owned(), permit.version(), seen, tags)
            .await
    }
}

/// Whether an object has these tags, which are in order, and no others.
pub(super) fn same_tags(seen: &[(&str, &str)], tags: &Tags) -> bool {
    let mut tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    tags.sort_unstable();
    seen == tags
}
