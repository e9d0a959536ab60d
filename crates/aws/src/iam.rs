//! IAM: what reconciling roles needs of it.

mod detail;

use std::collections::BTreeMap;
use std::fmt::Display;

pub use detail::{NewRole, ProviderDetail, Quotas, RoleDetail, RoleHead};

use crate::{Client, ClientError, Element, QueryService};

/// The most that IAM gives on one page.
const PAGE: &str = "1000";

/// IAM, as a session sees it.
///
/// Calls are tried again when their failure may pass, and a call whose answer was lost may have been carried out the
/// first time. For all but two of them that is no matter: they say what is to be, and say it twice. [`Self::create_role`]
/// and [`Self::create_provider`] may then answer that there is one already ([`ClientError::is_already_there`]), and
/// deletions that there is none ([`ClientError::is_not_found`]). Whose it is that is there, the caller has to look.
#[derive(Clone, Debug)]
pub struct Iam {
    pub(crate) client: Client,
}

/// The parameters of a call.
#[derive(Default)]
struct Params(Vec<(String, String)>);

impl Params {
    fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    fn list<'a>(mut self, name: &str, values: impl IntoIterator<Item = &'a String>) -> Self {
        for (index, value) in values.into_iter().enumerate() {
            self.0.push((format!("{name}.member.{}", index + 1), value.clone()));
        }
        self
    }

    fn tags(mut self, tags: &BTreeMap<String, String>) -> Self {
        for (index, (key, value)) in tags.iter().enumerate() {
            let member = format!("Tags.member.{}", index + 1);
            self.0.push((format!("{member}.Key"), key.clone()));
            self.0.push((format!("{member}.Value"), value.clone()));
        }
        self
    }
}

fn role_params(role: &str) -> Params {
    Params::default().with("RoleName", role)
}

impl Iam {
    /// All roles of the account with everything that belongs to them, by `GetAccountAuthorizationDetails`: one call for
    /// up to a thousand roles. `progress` is told how many there are so far, after each page.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roles(&self, mut progress: impl FnMut(usize)) -> Result<Vec<RoleDetail>, ClientError> {
        let mut roles = Vec::new();
        let params = || Params::default().with("Filter.member.1", "Role").with("MaxItems", PAGE);
        self.pages("GetAccountAuthorizationDetails", "roles", params, |page| {
            for member in page.all("RoleDetailList", "member") {
                roles.push(RoleDetail::read(member)?);
            }
            progress(roles.len());
            Ok(())
        })
        .await?;
        Ok(roles)
    }

    /// One role with everything that belongs to it, by a call for it, two for its policies, and one for each inline policy.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn role(&self, name: &str) -> Result<Option<RoleDetail>, ClientError> {
        let Some(head) = self.role_head(name).await? else {
            return Ok(None);
        };
        // Whoever deletes it in between is told as if it had never been there.
        found(self.with_policies(head).await)
    }

    async fn with_policies(&self, head: RoleHead) -> Result<RoleDetail, ClientError> {
        let name = head.name.clone();
        let mut role = RoleDetail::from(head);
        let params = || role_params(&name).with("MaxItems", PAGE);
        let resource = of_role(&name);
        self.pages("ListAttachedRolePolicies", &resource, params, |page| {
            for member in page.all("AttachedPolicies", "member") {
                role.attached.extend(member.text_at("PolicyArn").map(ToOwned::to_owned));
            }
            Ok(())
        })
        .await?;
        let mut names = Vec::new();
        self.pages("ListRolePolicies", &resource, params, |page| {
            names.extend(page.all("PolicyNames", "member").map(|name| name.text.clone()));
            Ok(())
        })
        .await?;
        for policy in names {
            let params = role_params(&name).with("PolicyName", &policy);
            let about = of_policy(&policy, &name);
            if let Some(answer) = found(self.call("GetRolePolicy", &about, params).await)? {
                let document = answer.text_at("GetRolePolicyResult/PolicyDocument").unwrap_or_default();
                let document = detail::document(document).map_err(|reason| self.client.unreadable(reason))?;
                role.inline.insert(policy, document);
            }
        }
        Ok(role)
    }

    /// One role without its policies, by one call (`GetRole`).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn role_head(&self, name: &str) -> Result<Option<RoleHead>, ClientError> {
        let Some(answer) = found(self.call("GetRole", &of_role(name), role_params(name)).await)? else {
            return Ok(None);
        };
        self.read_head(&answer, "GetRoleResult/Role").map(Some)
    }

    fn read_head(&self, answer: &Element, path: &str) -> Result<RoleHead, ClientError> {
        answer
            .at(path)
            .ok_or_else(|| "it has no role".to_owned())
            .and_then(RoleHead::read)
            .map_err(|reason| self.client.unreadable(reason))
    }

    /// An OIDC provider (`GetOpenIDConnectProvider`).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn provider(&self, arn: &str) -> Result<Option<ProviderDetail>, ClientError> {
        let params = Params::default().with("OpenIDConnectProviderArn", arn);
        let answer = found(self.call("GetOpenIDConnectProvider", &of_provider(arn), params).await)?;
        Ok(answer
            .as_ref()
            .and_then(|answer| answer.at("GetOpenIDConnectProviderResult"))
            .map(|result| ProviderDetail::read(arn, result)))
    }

    /// What the account has and may have (`GetAccountSummary`).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn account_summary(&self) -> Result<Quotas, ClientError> {
        let answer = self.call("GetAccountSummary", "the account", Params::default()).await?;
        Ok(Quotas::read(&answer))
    }

    /// `CreateOpenIDConnectProvider`: its ARN. AWS takes the issuer's certificate by the authorities that it knows, or
    /// finds the thumbprint itself, so none is sent.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is one already may be the work of this very call.
    pub async fn create_provider(
        &self,
        url: &str,
        client_ids: &[String],
        tags: &BTreeMap<String, String>,
    ) -> Result<String, ClientError> {
        let params = Params::default()
            .with("Url", url)
            .list("ClientIDList", client_ids)
            .tags(tags);
        let resource = format!("the OIDC provider of `{url}`");
        let answer = self.call("CreateOpenIDConnectProvider", &resource, params).await?;
        answer
            .text_at("CreateOpenIDConnectProviderResult/OpenIDConnectProviderArn")
            .map(ToOwned::to_owned)
            .ok_or_else(|| self.client.unreadable("it has no ARN".to_owned()))
    }

    /// `AddClientIDToOpenIDConnectProvider`. An audience that is there already is no error.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn add_client_id(&self, arn: &str, client_id: &str) -> Result<(), ClientError> {
        let params = Params::default()
            .with("OpenIDConnectProviderArn", arn)
            .with("ClientID", client_id);
        self.done("AddClientIDToOpenIDConnectProvider", &of_provider(arn), params)
            .await
    }

    /// `CreateRole`.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is one already may be the work of this very call.
    pub async fn create_role(&self, role: &NewRole) -> Result<RoleHead, ClientError> {
        let mut params = role_params(&role.name)
            .with("AssumeRolePolicyDocument", &role.trust)
            .tags(&role.tags);
        if !role.description.is_empty() {
            params = params.with("Description", &role.description);
        }
        if let Some(boundary) = &role.boundary {
            params = params.with("PermissionsBoundary", boundary);
        }
        let answer = self.call("CreateRole", &of_role(&role.name), params).await?;
        self.read_head(&answer, "CreateRoleResult/Role")
    }

    /// `TagRole`: sets these tags and leaves others.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tag_role(&self, role: &str, tags: &BTreeMap<String, String>) -> Result<(), ClientError> {
        self.done("TagRole", &of_role(role), role_params(role).tags(tags)).await
    }

    /// `UntagRole`. A key that is not there is no error.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn untag_role(&self, role: &str, keys: &[String]) -> Result<(), ClientError> {
        self.done("UntagRole", &of_role(role), role_params(role).list("TagKeys", keys))
            .await
    }

    /// `UpdateAssumeRolePolicy`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn update_assume_role_policy(&self, role: &str, document: &str) -> Result<(), ClientError> {
        let params = role_params(role).with("PolicyDocument", document);
        self.done("UpdateAssumeRolePolicy", &of_role(role), params).await
    }

    /// `PutRolePolicy`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_role_policy(&self, role: &str, policy: &str, document: &str) -> Result<(), ClientError> {
        let params = role_params(role)
            .with("PolicyName", policy)
            .with("PolicyDocument", document);
        self.done("PutRolePolicy", &of_policy(policy, role), params).await
    }

    /// `DeleteRolePolicy`.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is none is one.
    pub async fn delete_role_policy(&self, role: &str, policy: &str) -> Result<(), ClientError> {
        let params = role_params(role).with("PolicyName", policy);
        self.done("DeleteRolePolicy", &of_policy(policy, role), params).await
    }

    /// `AttachRolePolicy`. A policy that is attached already is no error.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn attach_role_policy(&self, role: &str, arn: &str) -> Result<(), ClientError> {
        let params = role_params(role).with("PolicyArn", arn);
        self.done("AttachRolePolicy", &of_managed(arn, role), params).await
    }

    /// Whether a managed policy is there: `GetPolicy`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn has_policy(&self, arn: &str) -> Result<bool, ClientError> {
        let params = Params::default().with("PolicyArn", arn);
        let answer = self.call("GetPolicy", &format!("policy `{arn}`"), params).await;
        Ok(found(answer)?.is_some())
    }

    /// `DetachRolePolicy`.
    ///
    /// # Errors
    /// See [`ClientError`]; that it is not attached is one.
    pub async fn detach_role_policy(&self, role: &str, arn: &str) -> Result<(), ClientError> {
        let params = role_params(role).with("PolicyArn", arn);
        self.done("DetachRolePolicy", &of_managed(arn, role), params).await
    }

    /// `PutRolePermissionsBoundary`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_role_permissions_boundary(&self, role: &str, arn: &str) -> Result<(), ClientError> {
        let params = role_params(role).with("PermissionsBoundary", arn);
        self.done("PutRolePermissionsBoundary", &of_managed(arn, role), params)
            .await
    }

    /// `DeleteRolePermissionsBoundary`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_role_permissions_boundary(&self, role: &str) -> Result<(), ClientError> {
        self.done("DeleteRolePermissionsBoundary", &of_role(role), role_params(role))
            .await
    }

    /// `DeleteRole`.
    ///
    /// # Errors
    /// See [`ClientError`]; that there is none, or that it still has policies, is one.
    pub async fn delete_role(&self, role: &str) -> Result<(), ClientError> {
        self.done("DeleteRole", &of_role(role), role_params(role)).await
    }

    async fn call(&self, action: &str, resource: &str, params: Params) -> Result<Element, ClientError> {
        self.client
            .query_about(Some(resource.to_owned()), QueryService::Iam, action, &params.0)
            .await
    }

    async fn done(&self, action: &str, resource: &str, params: Params) -> Result<(), ClientError> {
        self.call(action, resource, params).await.map(drop)
    }

    /// All pages of a list; `page` is given each one's result.
    async fn pages(
        &self,
        action: &str,
        resource: &str,
        params: impl Fn() -> Params,
        mut page: impl FnMut(&Element) -> Result<(), String>,
    ) -> Result<(), ClientError> {
        let path = format!("{action}Result");
        let mut marker: Option<String> = None;
        loop {
            let mut params = params();
            if let Some(marker) = &marker {
                params = params.with("Marker", marker);
            }
            let answer = self.call(action, resource, params).await?;
            let result = answer
                .at(&path)
                .ok_or_else(|| self.client.unreadable(format!("it has no `{path}`")))?;
            page(result).map_err(|reason| self.client.unreadable(reason))?;
            if result.text_at("IsTruncated") != Some("true") {
                return Ok(());
            }
            let next = result.text_at("Marker").filter(|next| !next.is_empty());
            if next.is_none() || next == marker.as_deref() {
                // Half a list taken for a whole one would look like resources that are gone.
                let reason = "there is more of the list, but no way to it";
                return Err(self.client.unreadable(reason.to_owned()));
            }
            marker = next.map(ToOwned::to_owned);
        }
    }
}

fn of_role(name: &str) -> String {
    format!("role `{name}`")
}

fn of_policy(policy: &str, role: &str) -> String {
    format!("policy `{policy}` of role `{role}`")
}

fn of_managed(arn: &str, role: &str) -> String {
    format!("policy `{arn}` and role `{role}`")
}

fn of_provider(arn: impl Display) -> String {
    format!("OIDC provider `{arn}`")
}

/// "There is none" is an answer, too.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
