//! Kubeconfig files, found, merged and read as kubectl does.
//!
//! See <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>.

use std::env;
use std::path::{Path, PathBuf};

use http::Uri;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::error::{ClusterError, chain};
use crate::plugin::Plugin;

/// What a context of a kubeconfig says.
pub(crate) struct Chosen {
    pub(crate) config: Config,
    /// The context's name.
    pub(crate) context: String,
    /// The program for credentials, unless there are any in the file.
    pub(crate) plugin: Option<Plugin>,
    /// The proxy that the file names itself.
    pub(crate) proxy: Option<Uri>,
}

/// Whether `KUBECONFIG`, or `~/.kube/config`, says which cluster is meant when nobody says so: whether one of the files is there and names a current
/// context. A file that can't be read counts, so that whoever goes on hears of it.
#[must_use]
pub fn has_kubeconfig() -> bool {
    match read(&Files::of_environment()) {
        Ok(read) => current(&read).is_some(),
        Err(ClusterError::NoKubeconfig(_)) => false,
        Err(_) => true,
    }
}

/// Which files are read.
enum Files {
    /// This one, which has to be there.
    One(PathBuf),
    /// Those of the list that are there; the first that says something wins.
    Listed(Vec<PathBuf>),
    /// The one of the home directory.
    Default(Option<PathBuf>),
}

impl Files {
    fn of_environment() -> Self {
        let listed = env::var_os("KUBECONFIG").unwrap_or_default();
        let listed: Vec<_> = env::split_paths(&listed)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        if listed.is_empty() {
            return Self::Default(env::home_dir().map(|home| home.join(".kube").join("config")));
        }
        Self::Listed(listed)
    }
}

/// Reads the file, or those of the environment, and what the context, or the current one, says. `server` stands for the URL of any cluster.
pub(crate) async fn choose(
    path: Option<&Path>,
    context: Option<&str>,
    server: Option<&Uri>,
) -> Result<Chosen, ClusterError> {
    let files = path.map_or_else(Files::of_environment, |path| Files::One(path.to_owned()));
    of_files(&files, context, server).await
}

async fn of_files(files: &Files, context: Option<&str>, server: Option<&Uri>) -> Result<Chosen, ClusterError> {
    let wrong = ClusterError::Kubeconfig;
    let mut read = read(files)?;
    let Some(context) = context.map(str::to_owned).or_else(|| current(&read)) else {
        let instead = contexts(&read);
        return Err(wrong(format!(
            "no context is named, and none is the current one{instead}"
        )));
    };
    let Some(named) = read.contexts.iter().find(|named| named.name == context) else {
        return Err(wrong(format!("there is no context `{context}`{}", contexts(&read))));
    };
    let Some(chosen) = named.context.clone() else {
        return Err(wrong(format!("the context `{context}` is empty")));
    };
    let clusters = read.clusters.iter_mut();
    let cluster = clusters
        .filter(|named| named.name == chosen.cluster)
        .find_map(|named| named.cluster.as_mut());
    let Some(cluster) = cluster else {
        return Err(wrong(format!(
            "there is no cluster `{}`, which the context `{context}` names",
            chosen.cluster
        )));
    };
    // A file without a server is complete once an option names one.
    if let Some(server) = server {
        cluster.server = Some(server.to_string());
    }
    if cluster.server.as_ref().is_none_or(String::is_empty) {
        return Err(wrong(format!("the cluster `{}` has no server", chosen.cluster)));
    }
    // Not that of the configuration below, which may be one of the environment, whatever that excepts.
    let proxy = cluster.proxy_url.as_ref().filter(|proxy| !proxy.is_empty());
    let proxy = proxy.map(|proxy| {
        proxy
            .parse()
            .map_err(|_| wrong(format!("the `proxy-url` of `{}` is no URL", chosen.cluster)))
    });
    let proxy = proxy.transpose()?;
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(read, &options).await;
    let mut config = config.map_err(|error| wrong(words(&error)))?;
    let user = &mut config.auth_info;
    // As in client-go: a token's file goes before a token, and a token before a program.
    if user.token_file.as_ref().is_some_and(|file| Path::new(file).is_file()) {
        user.token = None;
    }
    let known =
        user.token.is_some() || user.token_file.is_some() || user.username.is_some() || user.auth_provider.is_some();
    let plugin = user.exec.take().filter(|_| !known).map(Plugin::new);
    Ok(Chosen {
        plugin: plugin.transpose().map_err(ClusterError::Plugin)?,
        config,
        context,
        proxy,
    })
}

fn current(read: &Kubeconfig) -> Option<String> {
    read.current_context.clone().filter(|context| !context.is_empty())
}

/// What there is instead.
fn contexts(read: &Kubeconfig) -> String {
    let names: Vec<_> = read.contexts.iter().map(|named| format!("`{}`", named.name)).collect();
    if names.is_empty() {
        return ": the file has no contexts".to_owned();
    }
    format!(": there are {}", names.join(", "))
}

fn read(files: &Files) -> Result<Kubeconfig, ClusterError> {
    let (paths, all) = match files {
        Files::One(path) => (std::slice::from_ref(path), true),
        Files::Listed(paths) => (paths.as_slice(), false),
        Files::Default(path) => (path.as_slice(), false),
    };
    let mut merged: Option<Kubeconfig> = None;
    for path in paths {
        let mut read = match Kubeconfig::read_from(path) {
            Err(KubeconfigError::ReadConfig(error, _)) if !all && error.kind() == std::io::ErrorKind::NotFound => {
                continue;
            }
            read => {
                read.map_err(|error| ClusterError::Kubeconfig(format!("`{}`: {}", path.display(), words(&error))))?
            }
        };
        // An empty name says nothing.
        read.current_context = current(&read);
        let both = match merged.take() {
            Some(before) => before.merge(read),
            None => Ok(read),
        };
        merged = Some(both.map_err(|error| ClusterError::Kubeconfig(words(&error)))?);
    }
    merged.ok_or_else(|| {
        let names: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        ClusterError::NoKubeconfig(match files {
            Files::Default(_) => format!("`KUBECONFIG` is not set, and {} is not there", names.join("")),
            _ => format!("`KUBECONFIG` names {}, and none is there", names.join(", ")),
        })
    })
}

/// An error without any of the file's text, in which there are secrets.
fn words(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => error.without_snippet().to_string(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        error => chain(error),
    }
}

#[cfg(test)]
mod tests;
