//! `create cluster`: a cluster becomes known to an irsa server.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::failure::Failure;

/// Who issues the tokens of a cluster that is to be registered.
#[derive(Clone, Debug, Default)]
pub(super) struct Issuer {
    /// Its URL; without one the Kubernetes API is asked, and if there is none the server hosts one.
    pub(super) url: Option<String>,
    /// Its keys, if the server shall not fetch them.
    pub(super) keys: Option<Value>,
}

impl Issuer {
    /// Reads `--issuer-url` and `--jwks`.
    pub(super) fn read(url: Option<String>, jwks: Option<&Path>, clusters: usize) -> anyhow::Result<Self> {
        if url.is_some() && clusters > 1 {
            return Err(Failure::usage("--issuer-url is for one cluster, and the files have several").into());
        }
        let keys = jwks.map(|path| {
            let name = path.display();
            let text = std::fs::read(path).with_context(|| format!("`{name}` can't be read"))?;
            serde_json::from_slice(&text).with_context(|| format!("`{name}` is no JSON"))
        });
        Ok(Self {
            url,
            keys: keys.transpose()?,
        })
    }
}
