//! The real thing.

use std::collections::{BTreeMap, BTreeSet};

use irsa_aws::{ClientError, Iam, NewRole, RoleDetail};
use irsa_kubernetes::{AccountMetadata, CallError, Cluster};
use irsa_reconcile::actual::{KubernetesAccount, KubernetesState, Provider, Role};
use irsa_reconcile::plan::{Action, Quotas};
use irsa_reconcile::{MANAGER, ServiceAccountName};

use crate::{RoleHead, Target, TargetError, TargetErrorKind};

/// IAM and the Kubernetes APIs themselves.
///
/// Both clients try again by themselves what passes, so what they hand on is an end.
#[derive(Clone)]
pub struct Live {
    iam: Iam,
    clusters: BTreeMap<String, Cluster>,
}

impl Live {
    /// A target of clusters, each by what plans call it ([`labels`](irsa_reconcile::desired::labels)). Those whose
    /// Kubernetes API is not needed may be left out.
    #[must_use]
    pub fn new(iam: Iam, clusters: impl IntoIterator<Item = (String, Cluster)>) -> Self {
        Self {
            iam,
            clusters: clusters.into_iter().collect(),
        }
    }

    fn cluster(&self, name: &str) -> Result<&Cluster, TargetError> {
        self.clusters.get(name).ok_or_else(|| {
            TargetError::new(
                TargetErrorKind::Other,
                format!("there is no way to the Kubernetes API of cluster `{name}`"),
            )
        })
    }
}

impl Target for Live {
    async fn roles(&self, seen: &(dyn Fn(usize) + Sync)) -> Result<Vec<Role>, TargetError> {
        let roles = self.iam.roles(seen).await.map_err(|error| of_aws(&error))?;
        Ok(roles.into_iter().map(role).collect())
    }

    async fn role(&self, name: &str) -> Result<Option<Role>, TargetError> {
        let found = self.iam.role(name).await.map_err(|error| of_aws(&error))?;
        Ok(found.map(role))
    }

    async fn role_head(&self, name: &str) -> Result<Option<RoleHead>, TargetError> {
        let found = self.iam.role_head(name).await.map_err(|error| of_aws(&error))?;
        Ok(found.map(|head| RoleHead {
            arn: head.arn,
            trust: head.trust,
            boundary: head.boundary,
            tags: head.tags,
        }))
    }

    async fn provider(&self, arn: &str) -> Result<Option<Provider>, TargetError> {
        let found = self.iam.provider(arn).await.map_err(|error| of_aws(&error))?;
        Ok(found.map(|provider| Provider {
            arn: provider.arn,
            client_ids: provider.client_ids,
        }))
    }

    async fn quotas(&self) -> Result<Quotas, TargetError> {
        let told = self.iam.account_summary().await.map_err(|error| of_aws(&error))?;
        let usual = Quotas::default();
        let or = |told: Option<u64>, usual: usize| told.and_then(|told| usize::try_from(told).ok()).unwrap_or(usual);
        Ok(Quotas {
            trust_policy: or(told.trust_policy, usual.trust_policy),
            inline_policies: or(told.inline_policies, usual.inline_policies),
            attached_policies: or(told.attached_policies, usual.attached_policies),
            ..usual
        })
    }

    async fn kubernetes(&self, cluster: &str, seen: &(dyn Fn(usize) + Sync)) -> Result<KubernetesState, TargetError> {
        let api = self.cluster(cluster)?;
        let of = |error: CallError| of_kubernetes(cluster, &error);
        let listed = tokio::join!(
            irsa_kubernetes::list_namespaces(api),
            irsa_kubernetes::list_all_service_accounts(api, MANAGER),
        );
        let namespaces: BTreeSet<String> = listed.0.map_err(of)?;
        let accounts = listed.1.map_err(of)?;
        seen(accounts.len());
        Ok(KubernetesState {
            namespaces,
            service_accounts: accounts.into_iter().map(account).collect(),
        })
    }

    async fn service_account(
        &self,
        cluster: &str,
        name: &ServiceAccountName,
    ) -> Result<Option<KubernetesAccount>, TargetError> {
        let api = self.cluster(cluster)?;
        let found = irsa_kubernetes::look_up_account(api, &name.namespace, &name.name, MANAGER).await;
        let found = found.map_err(|error| of_kubernetes(cluster, &error))?;
        Ok(found.map(|found| account(found).1))
    }

    async fn change(&self, action: &Action) -> Result<(), TargetError> {
        match action {
            Action::CreateNamespace { .. }
            | Action::ApplyServiceAccount { .. }
            | Action::ReleaseServiceAccount { .. }
            | Action::DeleteServiceAccount { .. } => self.change_kubernetes(action).await,
            _ => self.change_iam(action).await.map_err(|error| {
                let refused = of_aws(&error);
                let help = refused.help.or_else(|| of_issuer(action, &error));
                TargetError { help, ..refused }
            }),
        }
    }
}

impl Live {
    async fn change_iam(&self, action: &Action) -> Result<(), ClientError> {
        let iam = &self.iam;
        match action {
            Action::CreateProvider {
                url, client_ids, tags, ..
            } => iam.create_provider(url, client_ids, tags).await.map(|_| ()),
            Action::AddClientId { arn, client_id } => iam.add_client_id(arn, client_id).await,
            Action::CreateRole {
                role,
                trust,
                boundary,
                description,
                tags,
            } => {
                let role = NewRole {
                    name: role.clone(),
                    trust: trust.clone(),
                    boundary: boundary.clone(),
                    description: description.clone(),
                    tags: tags.clone(),
                };
                iam.create_role(&role).await.map(|_| ())
            }
            Action::TagRole { role, tags } => iam.tag_role(role, tags).await,
            Action::UntagRole { role, keys } => iam.untag_role(role, keys).await,
            Action::UpdateTrust { role, trust, .. } => iam.update_assume_role_policy(role, trust).await,
            Action::PutRolePolicy { role, policy, document } => iam.put_role_policy(role, policy, document).await,
            Action::DeleteRolePolicy { role, policy } => iam.delete_role_policy(role, policy).await,
            Action::AttachRolePolicy { role, arn } => iam.attach_role_policy(role, arn).await,
            Action::DetachRolePolicy { role, arn } => iam.detach_role_policy(role, arn).await,
            Action::PutBoundary { role, arn } => iam.put_role_permissions_boundary(role, arn).await,
            Action::DeleteBoundary { role } => iam.delete_role_permissions_boundary(role).await,
            Action::DeleteRole { role } => iam.delete_role(role).await,
            Action::CreateNamespace { .. }
            | Action::ApplyServiceAccount { .. }
            | Action::ReleaseServiceAccount { .. }
            | Action::DeleteServiceAccount { .. } => Ok(()),
        }
    }

    async fn change_kubernetes(&self, action: &Action) -> Result<(), TargetError> {
        use irsa_kubernetes as api;
        let (cluster, done) = match action {
            Action::CreateNamespace { cluster, name } => {
                (cluster, api::create_namespace(self.cluster(cluster)?, name).await)
            }
            Action::ApplyServiceAccount {
                cluster,
                name,
                labels,
                annotations,
                uid,
            } => {
                let uid = uid.as_deref();
                let ServiceAccountName { namespace, name } = name;
                let at = self.cluster(cluster)?;
                let done = api::apply_service_account(at, namespace, name, labels, annotations, uid, MANAGER);
                (cluster, done.await)
            }
            Action::ReleaseServiceAccount { cluster, name, uid } => {
                let ServiceAccountName { namespace, name } = name;
                let done = api::release_service_account(self.cluster(cluster)?, namespace, name, uid, MANAGER);
                (cluster, done.await)
            }
            Action::DeleteServiceAccount { cluster, name, uid } => {
                let ServiceAccountName { namespace, name } = name;
                let done = api::delete_service_account(self.cluster(cluster)?, namespace, name, uid);
                (cluster, done.await)
            }
            _ => return Ok(()),
        };
        done.map_err(|error| of_kubernetes(cluster, &error))
    }
}

fn role(detail: RoleDetail) -> Role {
    Role {
        name: detail.name,
        arn: detail.arn,
        trust: detail.trust,
        inline: detail.inline,
        attached: detail.attached,
        boundary: detail.boundary,
        tags: detail.tags,
    }
}

fn account(metadata: AccountMetadata) -> (ServiceAccountName, KubernetesAccount) {
    let account = KubernetesAccount {
        labels: metadata.labels,
        annotations: metadata.annotations,
        owned_labels: metadata.owned_labels,
        owned_annotations: metadata.owned_annotations,
        uid: metadata.uid,
    };
    (ServiceAccountName::new(metadata.namespace, metadata.name), account)
}

/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors> and its siblings.
fn of_aws(error: &ClientError) -> TargetError {
    let kind = match error.service() {
        _ if error.is_not_found() => TargetErrorKind::Absent,
        _ if error.is_already_there() => TargetErrorKind::Present,
        _ if error.is_denied() => TargetErrorKind::Denied,
        _ if error.is_throttled() || error.may_have_happened() => TargetErrorKind::Unanswered,
        Some(service) => match service.code.as_str() {
            "DeleteConflict" | "DeleteConflictException" => TargetErrorKind::Conflict,
            "LimitExceeded" | "LimitExceededException" => TargetErrorKind::Limit,
            // IAM's words for a principal that is well written and not known (yet).
            "MalformedPolicyDocument" | "MalformedPolicyDocumentException"
                if service.message.contains("Invalid principal") =>
            {
                TargetErrorKind::UnknownPrincipal
            }
            _ => TargetErrorKind::Other,
        },
        None if matches!(error, ClientError::Unreachable { .. }) => TargetErrorKind::Unanswered,
        None => TargetErrorKind::Other,
    };
    TargetError {
        kind,
        message: error.to_string(),
        help: error.hint(),
    }
}

/// What to do about an issuer that IAM does not take. A port is what it refuses most: those of clusters that serve it themselves have one.
/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>.
fn of_issuer(action: &Action, error: &ClientError) -> Option<String> {
    let Action::CreateProvider { url, .. } = action else {
        return None;
    };
    let refused = error.service()?;
    let host = url.strip_prefix("https://")?.split('/').next()?;
    let is_refused = matches!(refused.code.as_str(), "InvalidInput" | "ValidationError");
    (is_refused && host.contains(':')).then(|| {
        "AWS takes no issuer with a port; a server of ours does if it is started with `--allow-private-issuers`"
            .to_owned()
    })
}

fn of_kubernetes(cluster: &str, error: &CallError) -> TargetError {
    let mut help = None;
    let kind = match error {
        CallError::Forbidden {
            verb,
            resource,
            namespace,
            ..
        } => {
            let namespace = namespace.as_ref().map(|namespace| format!(" -n {namespace}"));
            help = Some(format!(
                "`kubectl auth can-i {verb} {resource}{}` says whether it is granted by now",
                namespace.unwrap_or_default()
            ));
            TargetErrorKind::Denied
        }
        // It passes, sooner or later.
        CallError::NamespaceTerminating(_) => TargetErrorKind::Conflict,
        CallError::Unauthenticated(_) => TargetErrorKind::Denied,
        CallError::Deadline(_) | CallError::Unreachable(_) => TargetErrorKind::Unanswered,
        CallError::Refused { code, .. } if *code == 429 || *code >= 500 => TargetErrorKind::Unanswered,
        CallError::Refused { reason, .. } if reason == "AlreadyExists" => TargetErrorKind::Present,
        _ if error.is_conflict() => TargetErrorKind::Conflict,
        _ if error.is_not_found() => TargetErrorKind::Absent,
        _ => TargetErrorKind::Other,
    };
    TargetError {
        kind,
        message: format!("cluster `{cluster}`: {error}"),
        help,
    }
}

#[cfg(test)]
mod tests;
