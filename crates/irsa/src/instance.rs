//! The server whose data folder this is: where it listens, and with which key to call it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use irsa_aws::{Client, Credentials};
use irsa_core::AccountId;
use irsa_server::DataFolder;
use serde::Deserialize;

use crate::failure::Failure;

/// A running server, from the files that it keeps in its data folder.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) folder: DataFolder,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) account: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerFile {
    endpoint: String,
    region: String,
    account: String,
}

impl Instance {
    /// Finds the server that runs over a data folder.
    pub(crate) fn find(data: &Path) -> anyhow::Result<Self> {
        // Absolute, so that what is printed works in any folder.
        let data = std::path::absolute(data).with_context(|| format!("`{}` is no path", data.display()))?;
        let folder = DataFolder::new(data);
        let path = folder.server_file();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(
                    Failure::new(format!("no server is running over `{}`", folder.root().display()))
                        .hint("start one with `irsa up`, or name the folder of a running one with `--data DIR`")
                        .into(),
                );
            }
            Err(error) => return Err(error).with_context(|| format!("`{}` can't be read", path.display())),
        };
        let file: ServerFile =
            serde_json::from_slice(&text).with_context(|| format!("`{}` is damaged", path.display()))?;
        Ok(Self {
            folder,
            endpoint: file.endpoint,
            region: file.region,
            account: file.account,
        })
    }

    /// Makes sure that the server answers: one that was killed leaves its file behind.
    pub(crate) fn is_there(&self) -> anyhow::Result<()> {
        let address = self.endpoint.rsplit('/').next().unwrap_or_default();
        let reached = address
            .parse::<SocketAddr>()
            .map_err(std::io::Error::other)
            .and_then(|address| TcpStream::connect_timeout(&address, Duration::from_secs(2)));
        match reached {
            Ok(_) => Ok(()),
            Err(error) => Err(
                Failure::new(format!("the server at {} is not there any more", self.endpoint))
                    .hint("start it again with `irsa up`")
                    .caused_by(error)
                    .into(),
            ),
        }
    }

    /// A client with the root key of the first account, or of another one.
    pub(crate) fn root_client(&self, account: Option<AccountId>) -> anyhow::Result<Client> {
        let profile = account.map_or_else(|| "default".to_owned(), |account| format!("account-{account}"));
        let credentials = profile_key(&self.folder.credentials_file(), &profile)?;
        Ok(Client::new(&self.endpoint, &self.region, credentials)?)
    }
}

/// The key of a profile in an AWS credentials file.
pub(crate) fn profile_key(path: &PathBuf, profile: &str) -> anyhow::Result<Credentials> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{}` can't be read", path.display()))?;
    let (mut id, mut secret) = (None, None);
    let mut current = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            current = name.trim();
        } else if current == profile
            && let Some((name, value)) = line.split_once('=')
        {
            match name.trim() {
                "aws_access_key_id" => id = Some(value.trim()),
                "aws_secret_access_key" => secret = Some(value.trim()),
                _ => {}
            }
        }
    }
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Credentials::new(id, secret, None, None, "irsa credentials file")),
        _ => Err(
            Failure::new(format!("`{}` has no key for profile `{profile}`", path.display()))
                .hint("`irsa admin list-accounts` shows the accounts of the server")
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_a_credentials_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(
            &path,
            "[default]\naws_access_key_id = A\naws_secret_access_key = s/+=\nregion = r\n\n\
             [account-111122223333]\naws_access_key_id=B\naws_secret_access_key=t\n",
        )
        .unwrap();
        let first = profile_key(&path, "default").unwrap();
        assert_eq!((first.access_key_id(), first.secret_access_key()), ("A", "s/+="));
        assert_eq!(profile_key(&path, "account-111122223333").unwrap().access_key_id(), "B");
        let error = profile_key(&path, "account-1").unwrap_err().to_string();
        assert!(error.contains("no key for profile `account-1`"), "{error}");
    }

    #[test]
    fn no_server_says_how_to_start_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Instance::find(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("no server is running over `/"), "{error}");
    }
}
