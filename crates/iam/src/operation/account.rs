//! What is said about the account as a whole.

use irsa_wire::Params;

use crate::authorize::Target;
use crate::error::IamError;
use crate::operation::common::checked;
use crate::operation::page::Page;
use crate::operation::render::{Members, Node};
use crate::operation::users::access_keys_of;
use crate::operation::{Execution, Operation, Outcome, Question, read};

pub(crate) const OPERATIONS: &[Operation] = &[
    read!("GetAccountSummary", |_, question| Ok(whole(question)), summary),
    read!("ListAccountAliases", aliases_targets, aliases),
];

fn whole(question: &Question<'_>) -> Vec<Target> {
    vec![Target::new(question.action, "*", question.caller.account)]
}

/// What does not exist here (groups, certificates, second factors, instance profiles) is counted as none, with a quota
/// of none.
fn summary(_: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let account = execution.account()?;
    let quotas = execution.quotas;
    let versions = account
        .policies
        .values()
        .map(|policy| policy.record.versions.len())
        .sum::<usize>();
    let entries = [
        ("Users", account.users.size()),
        ("UsersQuota", quotas.users),
        ("Roles", account.roles.size()),
        ("RolesQuota", quotas.roles),
        ("Policies", account.policies.size()),
        ("PoliciesQuota", quotas.policies),
        ("Providers", account.providers.size()),
        ("PolicySizeQuota", quotas.policy_size),
        ("PolicyVersionsInUse", versions),
        (
            "PolicyVersionsInUseQuota",
            quotas.policies.saturating_mul(quotas.policy_versions),
        ),
        ("VersionsPerPolicyQuota", quotas.policy_versions),
        ("AttachedPoliciesPerRoleQuota", quotas.attached_policies),
        ("AttachedPoliciesPerUserQuota", quotas.attached_policies),
        ("RolePolicySizeQuota", quotas.role_policies_size),
        ("UserPolicySizeQuota", quotas.user_policies_size),
        ("AssumeRolePolicySizeQuota", quotas.trust_policy_size),
        ("AccessKeysPerUserQuota", quotas.access_keys),
        (
            "AccountAccessKeysPresent",
            usize::from(access_keys_of(account, None).next().is_some()),
        ),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("AttachedPoliciesPerGroupQuota", 0),
        ("GlobalEndpointTokenVersion", 2),
        ("GroupPolicySizeQuota", 0),
        ("Groups", 0),
        ("GroupsPerUserQuota", 0),
        ("GroupsQuota", 0),
        ("InstanceProfiles", 0),
        ("InstanceProfilesQuota", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("ServerCertificates", 0),
        ("ServerCertificatesQuota", 0),
        ("SigningCertificatesPerUserQuota", 0),
    ];
    let entries = entries
        .into_iter()
        .map(|(key, count)| (key, i64::try_from(count).unwrap_or(i64::MAX)))
        .collect();
    Ok(Outcome::read(
        Members::new().with("SummaryMap", Node::Map(entries)).xml(),
    ))
}

fn aliases_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    checked(|validator| Page::check(validator, params))?;
    Ok(whole(question))
}

/// Accounts have no aliases here.
fn aliases(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    Page::read(params, execution, &["account aliases"])?;
    Ok(Outcome::read(
        Members::new().texts("AccountAliases", [] as [&str; 0]).page(None).xml(),
    ))
}
