//! What flags ask for, with eksctl's checks and its words.

use std::collections::{BTreeMap, BTreeSet};

use irsa_core::partition_of_region;

use crate::account::{DEFAULT_NAMESPACE, ServiceAccount, ServiceAccountName};
use crate::names;
use crate::place::Problem;

/// The flags of `create|update iamserviceaccount` as they are given.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--cluster`.
    pub clusters: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// The argument without a flag.
    pub argument: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--attach-policy-arn`; commas divide.
    pub attach_policy_arns: Vec<String>,
    /// `--attach-role-arn`.
    pub attach_role_arn: Option<String>,
    /// `--role-name`.
    pub role_name: Option<String>,
    /// `--role-only`.
    pub role_only: bool,
    /// `--tags`, each `key=value`; commas divide.
    pub tags: Vec<String>,
    /// `--subject-pattern`.
    pub subject_pattern: Option<String>,
    /// `--permissions-boundary`.
    pub permissions_boundary: Option<String>,
    /// The region, if it is known yet.
    pub region: Option<String>,
    /// They are those of `update`: what is not given stays, so any one thing is enough.
    pub is_update: bool,
}

impl Flags {
    /// The account that `get` and `delete` are about.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn account_name(&self) -> Result<ServiceAccountName, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = self.checked_name(&mut problems);
        if problems.is_empty() { Ok(name) } else { Err(problems) }
    }

    fn checked_name(&self, problems: &mut Vec<Problem>) -> ServiceAccountName {
        let mut say = |message: String| problems.push(Problem::error(message));
        if self.clusters.iter().all(String::is_empty) {
            say("--cluster must be set".to_owned());
        }
        for cluster in self.clusters.iter().filter(|cluster| !cluster.is_empty()) {
            if let Err(why) = names::cluster_name(cluster) {
                say(format!("--cluster `{cluster}` is not valid: {why}"));
            }
        }
        let name = match (&self.name, &self.argument) {
            (Some(name), Some(argument)) => {
                say(format!(
                    "--name={name} and argument {argument} cannot be used at the same time"
                ));
                name.clone()
            }
            (Some(name), None) | (None, Some(name)) if !name.is_empty() => name.clone(),
            _ => {
                say("--name must be set".to_owned());
                String::new()
            }
        };
        if !name.is_empty()
            && let Err(why) = names::dns_subdomain(&name)
        {
            say(format!("--name `{name}` is not valid: {why}"));
        }
        let namespace = self.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        if let Err(why) = names::dns_label(&namespace) {
            say(format!("--namespace `{namespace}` is not valid: {why}"));
        }
        ServiceAccountName::new(namespace, name)
    }

    /// What they ask for.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn account(&self) -> Result<ServiceAccount, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut account = ServiceAccount::new(self.checked_name(&mut problems));
        let mut say = |message: String| problems.push(Problem::error(message));
        let partition = self.region.as_deref().map(partition_of_region);
        let arns: Vec<&str> = self
            .attach_policy_arns
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|arn| !arn.is_empty())
            .collect();
        let anything_else = self.role_name.is_some()
            || self.subject_pattern.is_some()
            || self.permissions_boundary.is_some()
            || self.tags.iter().any(|tag| !tag.is_empty());
        if arns.is_empty() && self.attach_role_arn.is_none() && !(self.is_update && anything_else) {
            say("--attach-policy-arn or --attach-role-arn must be set".to_owned());
        }
        if self.attach_role_arn.is_some() {
            if self.role_only || self.role_name.is_some() {
                say("cannot provide --role-name or --role-only when --attach-role-arn is configured".to_owned());
            }
            if !arns.is_empty() {
                say("cannot provide --attach-role-arn and specify polices to attach".to_owned());
            }
        }
        let mut set = BTreeSet::new();
        for arn in arns {
            match names::iam_arn(arn, "policy", partition) {
                Ok(arn) => drop(set.insert(arn)),
                Err(why) => say(format!("--attach-policy-arn `{arn}` is not valid: {why}")),
            }
        }
        account.attach_policy_arns = (!set.is_empty()).then_some(set);
        if let Some(arn) = &self.attach_role_arn {
            match names::iam_arn(arn, "role", partition) {
                Ok(arn) => account.attach_role_arn = Some(arn),
                Err(why) => say(format!("--attach-role-arn `{arn}` is not valid: {why}")),
            }
        }
        if let Some(arn) = &self.permissions_boundary {
            match names::iam_arn(arn, "policy", partition) {
                Ok(arn) => account.permissions_boundary = Some(arn),
                Err(why) => say(format!("--permissions-boundary `{arn}` is not valid: {why}")),
            }
        }
        if let Some(name) = &self.role_name {
            if let Err(why) = names::role_name(name) {
                say(format!("--role-name `{name}` is not valid: {why}"));
            }
            account.role_name = Some(name.clone());
        }
        if let Some(pattern) = &self.subject_pattern {
            if let Err(why) = names::subject_pattern(pattern) {
                say(format!("--subject-pattern `{pattern}` is not valid: {why}"));
            }
            account.subject_pattern = Some(pattern.clone());
        }
        account.role_only = self.role_only;
        let mut tags = BTreeMap::new();
        for tag in self
            .tags
            .iter()
            .flat_map(|list| list.split(','))
            .filter(|tag| !tag.is_empty())
        {
            let Some((key, value)) = tag.split_once('=') else {
                say(format!("--tags `{tag}` is not valid: `key=value` is needed"));
                continue;
            };
            if names::is_ownership(key) {
                say(format!("--tags: tag `{key}` cannot be set: it says whose the role is"));
            } else if let Err(why) = names::tag(key, value) {
                say(format!("--tags: {why}"));
            }
            let is_twin = |other: &&String| *other != key && other.to_lowercase() == key.to_lowercase();
            if let Some(twin) = tags.keys().find(is_twin) {
                say(format!(
                    "--tags: tags `{twin}` and `{key}` differ only in case, which IAM does not allow"
                ));
            }
            tags.insert(key.to_owned(), value.to_owned());
        }
        account.tags = (!tags.is_empty()).then_some(tags);
        if problems.is_empty() {
            Ok(account)
        } else {
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(flags: &Flags) -> Vec<String> {
        flags.account().map_or_else(
            |problems| problems.iter().map(|problem| problem.message.clone()).collect(),
            |_| Vec::new(),
        )
    }

    #[test]
    fn updates_need_not_name_policies() {
        let mut flags = Flags {
            clusters: vec!["c".to_owned()],
            name: Some("reader".to_owned()),
            is_update: true,
            ..Flags::default()
        };
        assert_eq!(
            messages(&flags),
            ["--attach-policy-arn or --attach-role-arn must be set"]
        );
        flags.tags = vec!["team=x".to_owned()];
        let account = flags.account().unwrap();
        assert_eq!(account.attach_policy_arns, None);
        flags.is_update = false;
        assert!(flags.account().is_err());
    }

    #[test]
    fn the_commands_of_the_documentation() {
        let flags = Flags {
            clusters: vec!["my-cluster".to_owned()],
            name: Some("my-service-account".to_owned()),
            namespace: Some("my-namespace".to_owned()),
            role_name: Some("my-role-name".to_owned()),
            attach_policy_arns: vec!["arn:aws:iam::111122223333:policy/my-iam-policy".to_owned()],
            ..Flags::default()
        };
        let account = flags.account().unwrap();
        assert_eq!(account.name.to_string(), "my-namespace/my-service-account");
        assert_eq!(account.role_name.as_deref(), Some("my-role-name"));
        let flags = Flags {
            clusters: vec!["c".to_owned()],
            argument: Some("s3-read-only".to_owned()),
            attach_policy_arns: vec![
                "arn:aws:iam::aws:policy/A,arn:aws:iam::aws:policy/B".to_owned(),
                "arn:aws:iam::aws:policy/C".to_owned(),
            ],
            tags: vec!["a=1,b=x y".to_owned(), "c=".to_owned()],
            ..Flags::default()
        };
        let account = flags.account().unwrap();
        assert_eq!(account.name.to_string(), "default/s3-read-only");
        assert_eq!(account.attach_policy_arns.unwrap().len(), 3);
        assert_eq!(account.tags.unwrap()["b"], "x y");
        assert_eq!(account.permissions_boundary, None);
    }

    #[test]
    fn all_that_is_wrong_in_the_words_of_eksctl() {
        assert_eq!(
            messages(&Flags::default()),
            [
                "--cluster must be set",
                "--name must be set",
                "--attach-policy-arn or --attach-role-arn must be set"
            ]
        );
        let wrong = Flags {
            clusters: vec!["c".to_owned()],
            name: Some("A".to_owned()),
            argument: Some("b".to_owned()),
            attach_policy_arns: vec!["ReadOnly".to_owned()],
            attach_role_arn: Some("arn:aws:iam::111122223333:role/r".to_owned()),
            role_only: true,
            tags: vec!["x".to_owned(), "Irsa/name=y".to_owned(), "a=1,A=2".to_owned()],
            region: Some("cn-north-1".to_owned()),
            ..Flags::default()
        };
        assert_eq!(
            messages(&wrong),
            [
                "--name=A and argument b cannot be used at the same time",
                "--name `A` is not valid: lower-case letters, digits, `-` and `.` are allowed, and every part between dots begins and ends with a letter or digit",
                "cannot provide --role-name or --role-only when --attach-role-arn is configured",
                "cannot provide --attach-role-arn and specify polices to attach",
                "--attach-policy-arn `ReadOnly` is not valid: `arn:aws-cn:iam::ACCOUNT:policy/NAME` is needed",
                "--attach-role-arn `arn:aws:iam::111122223333:role/r` is not valid: it is of partition `aws`, the cluster's region is of `aws-cn`",
                "--tags `x` is not valid: `key=value` is needed",
                "--tags: tag `Irsa/name` cannot be set: it says whose the role is",
                "--tags: tags `a` and `A` differ only in case, which IAM does not allow",
            ]
        );
    }
}
