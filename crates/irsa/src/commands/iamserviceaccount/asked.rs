//! What a command is asked for: flags and files, read and checked before anybody is called.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use irsa_reconcile::cluster_config::{self, ClusterConfig, Configuration};
use irsa_reconcile::flags::Flags;
use irsa_reconcile::select::Filter;
use irsa_reconcile::{Problem, ServiceAccount, ServiceAccountName, names};

use super::problems::Problems;
use crate::cli::iamserviceaccount::{Access, Globs, Role, RoleOnly, Who};

/// The largest file; thousands of service accounts are a tenth of it.
const MOST_BYTES: u64 = 16 << 20;

/// One cluster, and what is asked for it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The cluster's name.
    pub(super) cluster: String,
    /// Its region, if it is said.
    pub(super) region: Option<String>,
    /// The file's part; `None` for flags.
    pub(super) config: Option<ClusterConfig>,
    /// The service accounts.
    pub(super) accounts: Vec<ServiceAccount>,
}

impl Asked {
    pub(super) fn with_oidc(&self) -> bool {
        self.config
            .as_ref()
            .is_some_and(|config| config.with_oidc == Some(true))
    }

    pub(super) fn names(&self) -> Vec<ServiceAccountName> {
        self.accounts.iter().map(|account| account.name.clone()).collect()
    }

    /// The accounts that a command is about.
    pub(super) fn chosen<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a ServiceAccount> {
        self.accounts.iter().filter(|account| filter.includes(&account.name))
    }

    fn of_config(config: ClusterConfig) -> Self {
        Self {
            cluster: config.name.clone(),
            region: Some(config.region.clone()),
            accounts: config.service_accounts.clone().unwrap_or_default(),
            config: Some(config),
        }
    }
}

/// The name of a flag and whether it is given.
pub(super) type Given = (&'static str, bool);

/// Flags that files stand for.
pub(super) fn given(access: &Access, who: &Who, role: &Role, role_only: RoleOnly) -> Vec<Given> {
    let mut given = given_who(access, who);
    given.extend([
        ("attach-policy-arn", !role.attach_policy_arn.is_empty()),
        ("namespace", role.namespace.is_some()),
        ("permissions-boundary", role.permissions_boundary.is_some()),
        ("role-name", role.role_name.is_some()),
        ("role-only", role_only.role_only),
        ("subject-pattern", role.subject_pattern.is_some()),
        ("tags", !role.tags.is_empty()),
    ]);
    given
}

pub(super) fn given_who(access: &Access, who: &Who) -> Vec<Given> {
    vec![
        ("cluster", !who.cluster.is_empty()),
        ("name", who.name.is_some()),
        ("region", access.region.is_some()),
    ]
}

/// Says which flags make no sense with a file, in eksctl's words.
pub(super) fn not_with_files(given: &[Given], argument: Option<&String>, problems: &mut Problems) {
    let mut names: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    names.sort_unstable();
    for name in names {
        problems.usage(format!("cannot use --{name} when --config-file/-f is set"));
    }
    if argument.is_some() {
        problems.usage("cannot use name argument when --config-file/-f is set");
    }
}

/// Says which flags make no sense without a file, in eksctl's words.
pub(super) fn only_with_files(globs: &Globs, only_missing: Option<bool>, problems: &mut Problems) {
    for (name, is) in [
        ("exclude", !globs.exclude.is_empty()),
        ("include", !globs.include.is_empty()),
        ("only-missing", only_missing.is_some()),
    ] {
        if is {
            problems.usage(format!(
                "cannot use --{name} unless a config file is specified via --config-file/-f"
            ));
        }
    }
}

/// What must be in a file for a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Needs {
    Nothing,
    /// `iam.serviceAccounts`.
    ServiceAccounts,
    /// `iam.withOIDC: true`.
    Oidc,
    /// Not `iam.withOIDC: false`.
    NotWithoutOidc,
}

/// Reads and checks files; everything that is wrong is in `problems`.
pub(super) fn files(paths: &[PathBuf], needs: Needs, problems: &mut Problems) -> Vec<Asked> {
    let mut texts: Vec<(String, String)> = Vec::new();
    let stdin = paths.iter().filter(|path| *path == Path::new("-")).count();
    if stdin > 1 {
        problems.usage("only one config file can come from stdin");
        return Vec::new();
    }
    for path in paths {
        match read(path) {
            Ok(file) => texts.push(file),
            Err(error) => problems.error(Problem::error(format!(
                "reading config file \"{}\": {error}",
                path.display()
            ))),
        }
    }
    let Configuration {
        clusters,
        problems: found,
    } = cluster_config::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let is_sound = !found.iter().any(Problem::is_error);
    problems.extend(found);
    for cluster in &clusters {
        let file = &cluster.place.file;
        let lacking = match needs {
            Needs::ServiceAccounts if cluster.service_accounts.is_none() => {
                format!("'iam.serviceAccounts' is not defined in \"{file}\"")
            }
            Needs::Oidc if cluster.with_oidc != Some(true) => {
                format!("'iam.withOIDC' is not enabled in \"{file}\"")
            }
            Needs::NotWithoutOidc if cluster.with_oidc == Some(false) => {
                format!("'iam.withOIDC' is not enabled in \"{file}\"")
            }
            _ => continue,
        };
        // What is broken may only look as if it lacked something.
        if is_sound {
            problems.error(Problem::error(lacking));
        }
    }
    clusters.into_iter().map(Asked::of_config).collect()
}

/// Reads a file, or stdin if it is `-`; answers how to call it, and its text.
fn read(path: &Path) -> std::io::Result<(String, String)> {
    let mut text = String::new();
    let name = match path == Path::new("-") {
        true => {
            std::io::stdin().lock().take(MOST_BYTES + 1).read_to_string(&mut text)?;
            "stdin".to_owned()
        }
        false => {
            std::fs::File::open(path)?
                .take(MOST_BYTES + 1)
                .read_to_string(&mut text)?;
            path.display().to_string()
        }
    };
    match u64::try_from(text.len()) {
        Ok(length) if length <= MOST_BYTES => Ok((name, text)),
        _ => Err(std::io::Error::other(format!(
            "it is larger than {} MiB",
            MOST_BYTES >> 20
        ))),
    }
}

/// The flags of a command as the pure half takes them.
pub(super) fn flags(access: &Access, who: &Who, role: &Role, role_only: RoleOnly) -> Flags {
    Flags {
        clusters: who.cluster.clone(),
        name: who.name.clone(),
        argument: who.argument.clone(),
        namespace: role.namespace.clone(),
        attach_policy_arns: role.attach_policy_arn.clone(),
        attach_role_arn: None,
        role_name: role.role_name.clone(),
        role_only: role_only.role_only,
        tags: role.tags.clone(),
        subject_pattern: role.subject_pattern.clone(),
        permissions_boundary: role.permissions_boundary.clone(),
        region: access.region.clone(),
        is_update: false,
    }
}

/// The clusters of `--cluster`, all with the same account; `is_made`: its role is made or changed.
pub(super) fn of_flags(
    flags: &Flags,
    account: Option<&ServiceAccount>,
    is_made: bool,
    problems: &mut Problems,
) -> Vec<Asked> {
    let mut clusters: Vec<&String> = Vec::new();
    for cluster in &flags.clusters {
        if clusters.contains(&cluster) {
            problems.usage(format!("--cluster {cluster} is given twice"));
        }
        clusters.push(cluster);
    }
    let needs_name = account.is_some_and(|account| account.role_name.is_none() && account.attach_role_arn.is_none());
    if clusters.len() > 1 && needs_name && is_made {
        problems.usage("a role for several clusters needs a name that is none of theirs: give it with --role-name");
    }
    let asked = |name: &String| Asked {
        cluster: name.clone(),
        region: flags.region.clone(),
        config: None,
        accounts: account.into_iter().cloned().collect(),
    };
    clusters.into_iter().map(asked).collect()
}

/// Checks `--cluster` of commands that have no other checks.
pub(super) fn cluster_names(names: &[String], problems: &mut Problems) {
    if names.iter().all(String::is_empty) {
        problems.usage("--cluster must be set");
    }
    for name in names.iter().filter(|name| !name.is_empty()) {
        if let Err(why) = names::cluster_name(name) {
            problems.usage(format!("--cluster `{name}` is not valid: {why}"));
        }
    }
}

/// Reads `--include` and `--exclude`.
pub(super) fn filter(globs: &Globs, problems: &mut Problems) -> Filter {
    let list = |texts: &[String]| texts.iter().flat_map(|text| split(text)).collect::<Vec<_>>();
    match Filter::parse(&list(&globs.include), &list(&globs.exclude)) {
        Ok(filter) => filter,
        Err(errors) => {
            for error in errors {
                problems.usage(error.to_string());
            }
            Filter::default()
        }
    }
}

/// Divides a list of globs by its commas, but for those in braces and brackets.
fn split(list: &str) -> Vec<String> {
    let mut globs = vec![String::new()];
    let (mut braces, mut is_class, mut is_literal) = (0_usize, false, false);
    for character in list.chars() {
        let is_end = character == ',' && braces == 0 && !is_class && !is_literal;
        match character {
            _ if is_literal => is_literal = false,
            '\\' => is_literal = true,
            '[' if !is_class => is_class = true,
            ']' => is_class = false,
            '{' if !is_class => braces = braces.saturating_add(1),
            '}' if !is_class => braces = braces.saturating_sub(1),
            _ => {}
        }
        if is_end {
            globs.push(String::new());
        } else if let Some(last) = globs.last_mut() {
            last.push(character);
        }
    }
    globs.retain(|glob| !glob.trim().is_empty());
    globs.iter().map(|glob| glob.trim().to_owned()).collect()
}

/// Sees that the globs choose something, and says what as eksctl does. What they do not choose stays asked for: it may share
/// a role with what they do.
pub(super) fn select(asked: &[Asked], filter: &Filter, globs: &Globs, problems: &mut Problems) -> Vec<String> {
    if globs.include.is_empty() && globs.exclude.is_empty() {
        return Vec::new();
    }
    let names: Vec<ServiceAccountName> = asked.iter().flat_map(Asked::names).collect();
    match filter.select(&names) {
        Ok(selection) => selection.summary(),
        Err(error) => {
            problems.usage(error.to_string());
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_divide_globs_but_not_those_in_braces() {
        assert_eq!(split("a/*,b/?"), ["a/*", "b/?"]);
        assert_eq!(split("{a,b}/*, c"), ["{a,b}/*", "c"]);
        assert_eq!(split("[,]x,\\,y,"), ["[,]x", "\\,y"]);
        assert_eq!(split(""), [""; 0]);
    }
}
