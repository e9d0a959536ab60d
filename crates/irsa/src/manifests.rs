//! The manifests of `-f`: their documents, service accounts and workloads.

use std::path::PathBuf;

use irsa_webhook::manifest::{self, Object, ServiceAccount, Workload};
use irsa_webhook::{Identity, Settings, identity_with_warnings};

use crate::cli::ServiceAccountName;
use crate::failure::Failure;
use crate::{output, yaml};

/// What all files together hold.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(crate) service_accounts: Vec<ServiceAccount>,
    pub(crate) workloads: Vec<Workload>,
}

impl Manifests {
    /// Reads the files. An object's namespace, if it names none, is `namespace`.
    pub(crate) fn read(files: &[PathBuf], namespace: &str) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for file in files {
            let (name, text) = yaml::read(file)?;
            all.add(&name, &text, namespace)?;
        }
        Ok(all)
    }

    /// Adds a file's objects.
    pub(crate) fn add(&mut self, name: &str, text: &str, namespace: &str) -> anyhow::Result<()> {
        let documents = yaml::documents(name, text)?;
        let objects = manifest::read(&documents, namespace)
            .map_err(|error| anyhow::Error::new(error).context(format!("`{name}` can't be used")))?;
        for object in objects {
            match object {
                Object::ServiceAccount(account) => {
                    let twice = self
                        .service_accounts
                        .iter()
                        .any(|known| known.namespace == account.namespace && known.name == account.name);
                    if twice {
                        let (namespace, account) = (&account.namespace, &account.name);
                        return Err(Failure::new(format!(
                            "`{name}`: service account `{namespace}/{account}` is defined a second time"
                        ))
                        .into());
                    }
                    self.service_accounts.push(account);
                }
                Object::Workload(workload) => self.workloads.push(*workload),
                Object::Other(other) => {
                    output::note(format_args!(
                        "{name}: {} `{}` has no meaning here and is left out",
                        output::shown(&other.kind),
                        output::shown(&other.name)
                    ));
                }
            }
        }
        Ok(())
    }

    /// The role and the rest that a service account's annotations ask for. What is odd about them is said on stderr.
    pub(crate) fn identity(&self, name: &ServiceAccountName, settings: &Settings) -> anyhow::Result<Found> {
        let found = self
            .service_accounts
            .iter()
            .find(|account| account.namespace == name.namespace && account.name == name.name);
        let Some(account) = found else {
            return Ok(Found::NoServiceAccount);
        };
        let (identity, warnings) = identity_with_warnings(&account.value, settings)
            .map_err(|error| anyhow::Error::new(error).context(format!("service account `{name}`")))?;
        for warning in warnings {
            output::warning(format_args!("service account `{name}`: {warning}"));
        }
        Ok(identity.map_or(Found::NoRole, Found::Identity))
    }
}

/// What the manifests say of a service account.
#[derive(Debug)]
pub(crate) enum Found {
    Identity(Identity),
    /// It is there, without a role.
    NoRole,
    NoServiceAccount,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
apiVersion: v1
kind: ServiceAccount
metadata:
  name: s3-reader
  namespace: app
  annotations:
    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/S3ReadRole
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: plain}
";

    #[test]
    fn identities() {
        let mut manifests = Manifests::default();
        manifests.add("a.yaml", TEXT, "default").unwrap();
        let of = |name: &str| {
            manifests
                .identity(&name.parse().unwrap(), &Settings::default())
                .unwrap()
        };
        let Found::Identity(identity) = of("app/s3-reader") else {
            panic!("no identity")
        };
        assert_eq!(identity.role_arn, "arn:aws:iam::123456789012:role/S3ReadRole");
        assert!(matches!(of("default/plain"), Found::NoRole));
        assert!(matches!(of("app/plain"), Found::NoServiceAccount));
    }

    #[test]
    fn a_service_account_has_one_definition() {
        let mut manifests = Manifests::default();
        manifests.add("a.yaml", TEXT, "default").unwrap();
        let error = manifests.add("b.yaml", TEXT, "default").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`b.yaml`: service account `app/s3-reader` is defined a second time"
        );
    }

    #[test]
    fn an_error_names_file_document_and_field() {
        let error = Manifests::default()
            .add(
                "a.yaml",
                "a: 1\nkind: X\napiVersion: v1\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n",
                "default",
            )
            .unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "`a.yaml` can't be used: document 2, Pod `p`: `spec` is missing"
        );
    }
}
