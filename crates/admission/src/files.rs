//! Files that are read again while the server runs: looked at every second, which sees every way of replacing a file, symbolic links included.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use irsa_webhook::configured::ServedAccounts;

use crate::tls::not_after;
use crate::{ServingCertificate, Sources, StartError, certified_key};

/// How often files are looked at.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// A file of identities is a list of names; more than this is none.
const MAX_IDENTITIES: u64 = 64 * 1024 * 1024;
/// A certificate and its key are a few KiB.
const MAX_PEM: u64 = 1024 * 1024;

/// The certificate pair in files.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    serving: Arc<ServingCertificate>,
    /// What was read last, good or bad, so that each is said once.
    last: (Vec<u8>, Vec<u8>),
}

impl CertificateFiles {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// A file is missing, or the pair cannot be used.
    pub fn open(certificate: &Path, key: &Path, serving: Arc<ServingCertificate>) -> Result<Self, StartError> {
        let mut files = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            serving,
            last: Default::default(),
        };
        files.read()?;
        Ok(files)
    }

    fn read(&mut self) -> Result<(), StartError> {
        let last = (read(&self.certificate, MAX_PEM)?, read(&self.key, MAX_PEM)?);
        if last == self.last {
            return Ok(());
        }
        self.last = last;
        let unusable = |reason: String| StartError::File {
            path: self.certificate.clone(),
            reason,
        };
        let certified = certified_key(&self.last.0, &self.last.1).map_err(|error| unusable(error.to_string()))?;
        let expires = certified.cert.first().and_then(|certificate| not_after(certificate));
        self.serving.set(certified);
        tracing::info!(file = %self.certificate.display(), expires, "the serving certificate is in force");
        Ok(())
    }

    /// Looks at the files for as long as the server runs. A pair that cannot be used changes nothing: it may be half written.
    pub async fn watch(mut self) {
        let mut failing = None;
        loop {
            tokio::time::sleep(PERIOD).await;
            match self.read() {
                Ok(()) => failing = None,
                Err(error) => {
                    let error = error.to_string();
                    if failing.as_ref() != Some(&error) {
                        tracing::error!(%error, "the new serving certificate is not used, the last good one stays");
                        failing = Some(error);
                    }
                }
            }
        }
    }
}

/// The file that names the accounts that EKS Pod Identity serves.
#[derive(Debug)]
pub struct IdentitiesFile {
    path: PathBuf,
    sources: Arc<Sources>,
    /// What applies.
    current: Vec<u8>,
    /// Whether the file was empty or missing when it was last looked at: only the second time in a row counts.
    was_empty: bool,
    failing: Option<String>,
}

impl IdentitiesFile {
    /// Reads the file for the first time; one that is missing, empty or broken names nobody.
    #[must_use]
    pub fn open(path: &Path, sources: Arc<Sources>) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            sources,
            current: Vec::new(),
            was_empty: true,
            failing: None,
        };
        file.sources.set_served(ServedAccounts::default());
        file.look();
        file
    }

    /// Looks at the file once.
    fn look(&mut self) {
        let text = match read(&self.path, MAX_IDENTITIES) {
            Ok(text) => text,
            Err(StartError::Missing { .. }) => Vec::new(),
            Err(error) => return self.fail(error.to_string()),
        };
        // Who writes in place empties the file first.
        let is_empty = text.iter().all(u8::is_ascii_whitespace);
        if is_empty && !std::mem::replace(&mut self.was_empty, is_empty) {
            return;
        }
        self.was_empty = is_empty;
        if text == self.current && self.failing.is_none() {
            return;
        }
        let read = std::str::from_utf8(&text).map_err(|error| error.to_string());
        match read.and_then(|text| ServedAccounts::read(text).map_err(|error| error.to_string())) {
            Ok((served, faults)) => {
                for fault in faults {
                    tracing::warn!(%fault, file = %self.path.display(), "an identity is left out");
                }
                tracing::info!(identities = served.len(), file = %self.path.display(), "the container credentials identities are read");
                self.sources.set_served(served);
                self.current = text;
                self.failing = None;
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: String) {
        if self.failing.as_ref() != Some(&error) {
            tracing::error!(%error, file = %self.path.display(), "the container credentials identities can't be read, the last good ones stay");
            self.failing = Some(error);
        }
    }

    /// Looks at the file for as long as the server runs.
    pub async fn watch(mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            self.look();
        }
    }
}

/// A whole file of at most so many bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, StartError> {
    use std::io::Read as _;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StartError::Missing { path: path.to_owned() },
        _ => StartError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(StartError::File {
            path: path.to_owned(),
            reason: format!("it has more than {limit} bytes"),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use irsa_webhook::Settings;

    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["webhook.test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_replaced_only_by_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let serving = Arc::new(ServingCertificate::default());
        let open = || CertificateFiles::open(&certificate, &key, Arc::clone(&serving));
        assert!(matches!(open().unwrap_err(), StartError::Missing { .. }));
        let (first, second) = (pair(), pair());
        fs::write(&certificate, &first.0).unwrap();
        fs::write(&key, &second.1).unwrap();
        assert!(matches!(open().unwrap_err(), StartError::File { .. }));
        fs::write(&key, &first.1).unwrap();
        let mut files = open().unwrap();
        let shown = serving.current().unwrap();
        // Half of the new pair, then all of it.
        fs::write(&certificate, &second.0).unwrap();
        files.read().unwrap_err();
        assert!(Arc::ptr_eq(&serving.current().unwrap(), &shown));
        fs::write(&key, &second.1).unwrap();
        files.read().unwrap();
        assert!(!Arc::ptr_eq(&serving.current().unwrap(), &shown));
        fs::remove_file(&key).unwrap();
        files.read().unwrap_err();
        assert!(serving.current().is_some());
    }

    #[test]
    fn a_pair_is_replaced_as_kubelets_do_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (first, second) = (pair(), pair());
        for (name, pair) in [("one", &first), ("two", &second)] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("tls.crt"), &pair.0).unwrap();
            fs::write(path(name).join("tls.key"), &pair.1).unwrap();
        }
        let link = |target: &str| {
            std::os::unix::fs::symlink(target, path("..new")).unwrap();
            fs::rename(path("..new"), path("..data")).unwrap();
        };
        link("one");
        std::os::unix::fs::symlink("..data/tls.crt", path("tls.crt")).unwrap();
        std::os::unix::fs::symlink("..data/tls.key", path("tls.key")).unwrap();
        let serving = Arc::new(ServingCertificate::default());
        let mut files = CertificateFiles::open(&path("tls.crt"), &path("tls.key"), Arc::clone(&serving)).unwrap();
        let shown = serving.current().unwrap();
        link("two");
        files.read().unwrap();
        assert_ne!(serving.current().unwrap().cert, shown.cert);
    }

    #[test]
    fn identities_are_kept_until_there_are_better_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/identities.json");
        let sources = Arc::new(Sources::new(Settings::default(), false, true));
        let mut file = IdentitiesFile::open(&path, Arc::clone(&sources));
        assert!(sources.served().unwrap().is_empty());
        let serves = |name: &str| sources.served().unwrap().contains("app", name);
        fs::create_dir(folder.path().join("later")).unwrap();
        let write = |name: &str| {
            let text = format!("{{\"identities\": [{{\"namespace\": \"app\", \"serviceAccount\": \"{name}\"}}]}}");
            fs::write(&path, text).unwrap();
        };
        write("a");
        file.look();
        assert!(serves("a"));
        fs::write(&path, "{\"identities\": [").unwrap();
        file.look();
        assert!(serves("a"));
        // Emptied for a moment by one who writes in place.
        fs::write(&path, "").unwrap();
        file.look();
        assert!(serves("a"));
        write("b");
        file.look();
        assert!(serves("b") && !serves("a"));
        // And emptied for good.
        fs::remove_file(&path).unwrap();
        file.look();
        assert!(serves("b"));
        file.look();
        assert!(sources.served().unwrap().is_empty());
        fs::write(&path, [0xff]).unwrap();
        file.look();
        write("c");
        file.look();
        assert!(serves("c"));
    }
}
