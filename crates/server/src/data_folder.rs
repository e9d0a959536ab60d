//! The folder that holds everything a server keeps, and the files in it that are neither store nor objects nor journal.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use irsa_core::{AccessKeyId, AccountId};
use irsa_credentials::{KeyEncryptionKey, SecretAccessKey};

/// Where things lie inside the data folder.
#[derive(Clone, Debug)]
pub struct DataFolder {
    root: PathBuf,
}

/// Why the data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// The file system refuses.
    #[error("`{}` can't be {action}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key file holds something else.
    #[error("`{}` is no key-encryption key: 32 bytes are needed; restore the file from a backup, since nothing sealed can be opened without it", .0.display())]
    Key(PathBuf),
    /// There are records, and no key to open them with.
    #[error("`{}` is missing and the store is not empty: restore the file from a backup, since nothing sealed can be opened without it", .0.display())]
    KeyMissing(PathBuf),
    /// Another server has it.
    #[error("the data folder `{}` is in use by another process; stop that one, or choose another with --data", .0.display())]
    InUse(PathBuf),
    /// The system gives no randomness.
    #[error(transparent)]
    Randomness(#[from] irsa_credentials::RandomnessError),
}

impl DataFolder {
    /// Names a folder; nothing is touched yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store's database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// The folder of the audit journal.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// The folder of S3 objects.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The key that secrets at rest are sealed under.
    #[must_use]
    pub fn kek(&self) -> PathBuf {
        self.root.join("key-encryption-key")
    }

    /// The certificate authority of the TLS listener, for clients to trust.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.root.join("tls").join("ca.pem")
    }

    /// The folder of the TLS listener's keys and certificates.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// An AWS credentials file with the root keys of all accounts, one profile an account.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.root.join("credentials")
    }

    /// What a running server says about itself to the commands beside it: addresses and region, as JSON.
    #[must_use]
    pub fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// Makes the folder and those in it, readable for the owner only, and takes the folder for this process: it is free again when the
    /// file is closed, however the process ends.
    ///
    /// # Errors
    /// When the file system refuses, or another process has the folder.
    pub fn create(&self) -> Result<File, DataFolderError> {
        for folder in [self.root.clone(), self.tls()] {
            create_folder(&folder)?;
        }
        let path = self.root.join("lock");
        let file = private_options().truncate(false).open(&path);
        let file = file.map_err(|source| DataFolderError::Io {
            path: path.clone(),
            action: "opened",
            source,
        })?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse(self.root.clone())),
            Err(TryLockError::Error(source)) => Err(DataFolderError::Io {
                path,
                action: "locked",
                source,
            }),
        }
    }

    /// Reads the key-encryption key, or makes it if the store is still to be made too.
    ///
    /// # Errors
    /// A key that is damaged, or missing while there is a store.
    pub fn key_encryption_key(&self) -> Result<KeyEncryptionKey, DataFolderError> {
        let path = self.kek();
        match fs::read(&path) {
            Ok(bytes) => {
                let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| DataFolderError::Key(path))?;
                Ok(KeyEncryptionKey::from_bytes(bytes))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.database().exists() {
                    return Err(DataFolderError::KeyMissing(path));
                }
                let key = KeyEncryptionKey::generate()?;
                write_private(&path, key.expose())?;
                Ok(key)
            }
            Err(source) => Err(DataFolderError::Io {
                path,
                action: "read",
                source,
            }),
        }
    }

    /// Adds a root key to the credentials file as a profile: `default` for the first account, `account-NUMBER` for all. `anew` begins the file
    /// again: a first start that did not come to its end may have left one.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn add_root_profile(
        &self,
        account: AccountId,
        key: &AccessKeyId,
        secret: &SecretAccessKey,
        region: &str,
        anew: bool,
    ) -> Result<(), DataFolderError> {
        // One at a time: the file is read, added to, and replaced.
        static ADDING: Mutex<()> = Mutex::new(());
        let _adding = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.credentials_file();
        let mut text = match fs::read_to_string(&path) {
            Ok(_) if anew => String::new(),
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(DataFolderError::Io {
                    path,
                    action: "read",
                    source,
                });
            }
        };
        let first = anew.then(|| "default".to_owned());
        for profile in first.into_iter().chain([format!("account-{account}")]) {
            text.push_str(&format!(
                "[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = {}\nregion = {region}\n\n",
                secret.expose()
            ));
        }
        write_private(&path, text.as_bytes())
    }
}

fn create_folder(path: &Path) -> Result<(), DataFolderError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| DataFolderError::Io {
        path: path.to_owned(),
        action: "created",
        source,
    })
}

/// Writes a file that only its owner may read, whole or not at all: to a temporary name, to disk, then renamed.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), DataFolderError> {
    let failed = |source| DataFolderError::Io {
        path: path.to_owned(),
        action: "written",
        source,
    };
    let temporary = path.with_extension("new");
    let mut file = private_options().truncate(true).open(&temporary).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    if let Some(folder) = path.parent() {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
