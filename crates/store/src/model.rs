use std::collections::HashSet;

use bytes::Bytes;

use crate::StoreError;

/// The number of a state of the whole store: 0 is the empty store, each transaction that changes something adds one.
pub type Revision = u64;

/// One key and its value at some revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Bytes,
    /// The revision that created it, after its last deletion if there was one.
    pub created: Revision,
    /// The revision that wrote it last.
    pub modified: Revision,
}

/// What a transaction expects of the state that it is applied to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compare {
    /// The key exists and was written last by this revision.
    ModifiedAt {
        /// The key.
        key: String,
        /// [`Entry::modified`] as the caller read it.
        revision: Revision,
    },
    /// The key does not exist.
    Absent {
        /// The key.
        key: String,
    },
    /// The key exists.
    Present {
        /// The key.
        key: String,
    },
    /// No key that starts with the prefix exists.
    PrefixEmpty {
        /// The prefix.
        prefix: String,
    },
}

/// One write of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// Creates or replaces.
    Put {
        /// The key.
        key: String,
        /// The new value; it may be empty.
        value: Bytes,
    },
    /// Deletes, if it exists.
    Delete {
        /// The key.
        key: String,
    },
}

impl Write {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn value_length(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        }
    }
}

/// Compares and writes that are applied together or not at all.
///
/// ```
/// use irsa_store::Transaction;
/// let create = Transaction::default().when_absent("role/app").put("role/app", "{}");
/// assert_eq!(create.writes.len(), 1);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transaction {
    /// What must hold, all of it, for anything to be written.
    pub compares: Vec<Compare>,
    /// What is written. No key twice.
    pub writes: Vec<Write>,
}

impl Transaction {
    /// The most compares, and the most writes, of one transaction: etcd's default limit.
    pub const MAX_OPERATIONS: usize = 128;
    /// The longest key or prefix, in bytes.
    pub const MAX_KEY: usize = 2048;
    /// The most bytes of keys and values in the writes of one transaction: below etcd's default limit of 1.5 MiB for a request.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Adds a compare.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Adds the condition that `key` does not exist.
    #[must_use]
    pub fn when_absent(self, key: impl Into<String>) -> Self {
        self.when(Compare::Absent { key: key.into() })
    }

    /// Adds the condition that `key` was last written by `revision`.
    #[must_use]
    pub fn when_modified_at(self, key: impl Into<String>, revision: Revision) -> Self {
        self.when(Compare::ModifiedAt {
            key: key.into(),
            revision,
        })
    }

    /// Adds a put.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.writes.push(Write::Put {
            key: key.into(),
            value: value.into(),
        });
        self
    }

    /// Adds a delete.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.writes.push(Write::Delete { key: key.into() });
        self
    }

    /// Checks the limits that every backend shares.
    ///
    /// # Errors
    /// [`StoreError::Invalid`].
    pub fn check(&self) -> Result<(), StoreError> {
        let invalid = |reason: String| Err(StoreError::Invalid { reason });
        if self.compares.len() > Self::MAX_OPERATIONS || self.writes.len() > Self::MAX_OPERATIONS {
            return invalid(format!("more than {} compares or writes", Self::MAX_OPERATIONS));
        }
        let compared = self.compares.iter().map(|compare| match compare {
            Compare::ModifiedAt { key, .. } | Compare::Absent { key } | Compare::Present { key } => key.as_str(),
            Compare::PrefixEmpty { prefix } => prefix.as_str(),
        });
        for key in compared.chain(self.writes.iter().map(Write::key)) {
            if key.is_empty() {
                return invalid("an empty key".to_owned());
            }
            if key.len() > Self::MAX_KEY {
                return invalid(format!("a key of more than {} bytes", Self::MAX_KEY));
            }
        }
        if self.bytes() > Self::MAX_BYTES {
            return invalid(format!("more than {} bytes of keys and values", Self::MAX_BYTES));
        }
        let mut seen = HashSet::new();
        match self.writes.iter().find(|write| !seen.insert(write.key())) {
            Some(write) => invalid(format!("two writes of the key `{}`", write.key())),
            None => Ok(()),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.writes
            .iter()
            .map(|write| write.key().len() + write.value_length())
            .sum()
    }
}

/// One key's change in a revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The revision that made the change. Changes of one transaction share it.
    pub revision: Revision,
    /// The key.
    pub key: String,
    /// The new value; `None`: deleted.
    pub value: Option<Bytes>,
}
