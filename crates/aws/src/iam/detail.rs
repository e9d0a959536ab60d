//! Roles, providers and quotas as IAM tells them.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;

use crate::Element;

/// A role with all that belongs to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleDetail {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its unique id: another one if it was deleted and made anew.
    pub id: String,
    /// The trust policy as JSON.
    pub trust: String,
    /// Inline policies as JSON, by name.
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the managed policies that are attached.
    pub attached: BTreeSet<String>,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A role without its policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleHead {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its unique id: another one if it was deleted and made anew.
    pub id: String,
    /// The trust policy as JSON.
    pub trust: String,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its description.
    pub description: String,
}

/// A role to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// The trust policy as JSON.
    pub trust: String,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Its description; none if empty.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// An OIDC provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProviderDetail {
    /// Its ARN.
    pub arn: String,
    /// The issuer's URL, as IAM keeps it: without the scheme.
    pub url: String,
    /// The audiences that it accepts.
    pub client_ids: BTreeSet<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What an account has and may have, as far as the service says; sizes are in characters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    /// Roles that there are.
    pub roles: Option<u64>,
    /// Roles that there may be (`RolesQuota`).
    pub roles_quota: Option<u64>,
    /// OIDC and SAML providers that there are (`Providers`).
    pub providers: Option<u64>,
    /// A trust policy (`AssumeRolePolicySizeQuota`).
    pub trust_policy: Option<u64>,
    /// All inline policies of a role (`RolePolicySizeQuota`).
    pub inline_policies: Option<u64>,
    /// Managed policies attached to a role (`AttachedPoliciesPerRoleQuota`).
    pub attached_policies: Option<u64>,
}

impl RoleDetail {
    /// A member of `RoleDetailList`.
    pub(super) fn read(member: &Element) -> Result<Self, String> {
        let mut role = Self::from(RoleHead::read(member)?);
        for policy in member.all("RolePolicyList", "member") {
            let document = document(policy.text_at("PolicyDocument").unwrap_or_default())?;
            role.inline.insert(text(policy, "PolicyName"), document);
        }
        for policy in member.all("AttachedManagedPolicies", "member") {
            role.attached.insert(text(policy, "PolicyArn"));
        }
        Ok(role)
    }
}

impl From<RoleHead> for RoleDetail {
    fn from(head: RoleHead) -> Self {
        Self {
            name: head.name,
            arn: head.arn,
            id: head.id,
            trust: head.trust,
            boundary: head.boundary,
            tags: head.tags,
            ..Self::default()
        }
    }
}

impl RoleHead {
    /// What the elements of single roles and of the list have in common.
    pub(super) fn read(role: &Element) -> Result<Self, String> {
        let name = text(role, "RoleName");
        if name.is_empty() {
            return Err("it has a role without a name".to_owned());
        }
        Ok(Self {
            arn: text(role, "Arn"),
            id: text(role, "RoleId"),
            trust: document(role.text_at("AssumeRolePolicyDocument").unwrap_or_default())?,
            boundary: role
                .text_at("PermissionsBoundary/PermissionsBoundaryArn")
                .filter(|arn| !arn.is_empty())
                .map(ToOwned::to_owned),
            tags: tags(role),
            description: text(role, "Description"),
            name,
        })
    }
}

impl ProviderDetail {
    pub(super) fn read(arn: &str, result: &Element) -> Self {
        Self {
            arn: arn.to_owned(),
            url: text(result, "Url"),
            client_ids: result
                .all("ClientIDList", "member")
                .map(|member| member.text.clone())
                .collect(),
            tags: tags(result),
        }
    }
}

impl Quotas {
    pub(super) fn read(answer: &Element) -> Self {
        let number = |key: &str| {
            answer
                .all("GetAccountSummaryResult/SummaryMap", "entry")
                .find(|entry| entry.text_at("key") == Some(key))?
                .text_at("value")?
                .parse()
                .ok()
        };
        Self {
            roles: number("Roles"),
            roles_quota: number("RolesQuota"),
            providers: number("Providers"),
            trust_policy: number("AssumeRolePolicySizeQuota"),
            inline_policies: number("RolePolicySizeQuota"),
            attached_policies: number("AttachedPoliciesPerRoleQuota"),
        }
    }
}

/// A policy document: IAM sends it percent-encoded (RFC 3986), some other servers as it is.
pub(super) fn document(text: &str) -> Result<String, String> {
    if text.starts_with('{') {
        return Ok(text.to_owned());
    }
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| "a policy is not UTF-8")?.into_owned())
}

/// A text as it is: blanks at the ends of a tag's value belong to it.
fn text(element: &Element, name: &str) -> String {
    element.at(name).map(|child| child.text.clone()).unwrap_or_default()
}

fn tags(element: &Element) -> BTreeMap<String, String> {
    element
        .all("Tags", "member")
        .map(|tag| (text(tag, "Key"), text(tag, "Value")))
        .collect()
}
