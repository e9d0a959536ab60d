//! The names of all fields that are known.

/// Fields of the document that concern other things than service accounts.
pub(crate) const OTHER: &[&str] = &[
    "accessConfig",
    "addons",
    "addonsConfig",
    "autoModeConfig",
    "availabilityZones",
    "capabilities",
    "cloudWatch",
    "controlPlaneScalingConfig",
    "deletionProtection",
    "fargateProfiles",
    "git",
    "gitops",
    "iamIdentityMappings",
    "identityProviders",
    "karpenter",
    "kubernetesNetworkConfig",
    "localZones",
    "managedNodeGroups",
    "nodeGroups",
    "outpost",
    "privateCluster",
    "remoteNetworkConfig",
    "secretsEncryption",
    "status",
    "upgradePolicy",
    "vpc",
    "zonalShiftConfig",
];

/// Fields of the document that are read.
pub(crate) const DOCUMENT: &[&str] = &["apiVersion", "iam", "kind", "metadata"];

/// Fields of `metadata`.
pub(crate) const METADATA: &[&str] = &[
    "accountID",
    "annotations",
    "forceUpdateVersion",
    "name",
    "region",
    "tags",
    "version",
];

/// Fields of `iam` that concern other things.
pub(crate) const OTHER_IAM: &[&str] = &[
    "autoCreatePodIdentityAssociations",
    "fargatePodExecutionRoleARN",
    "fargatePodExecutionRolePermissionsBoundary",
    "podIdentityAssociations",
    "serviceRoleARN",
    "serviceRolePermissionsBoundary",
    "vpcResourceControllerPolicy",
];

/// Fields of `iam` that are read.
pub(crate) const IAM: &[&str] = &["serviceAccounts", "withOIDC"];

/// Fields of a service account.
pub(crate) const SERVICE_ACCOUNT: &[&str] = &[
    "attachPolicy",
    "attachPolicyARNs",
    "attachRoleARN",
    "metadata",
    "permissionsBoundary",
    "roleName",
    "roleOnly",
    "status",
    "subjectPattern",
    "tags",
    "wellKnownPolicies",
];

/// Fields of a service account's `metadata`.
pub(crate) const ACCOUNT_METADATA: &[&str] = &["annotations", "labels", "name", "namespace"];

/// The known name that an unknown one most looks like.
pub(crate) fn nearest<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let (distance, name) = known
        .map(|name| (distance(&unknown.to_lowercase(), &name.to_lowercase()), name))
        .min()?;
    (distance <= 1 + unknown.len() / 4).then_some(name)
}

/// How many letters must be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    // Names are short; what is not is not like any of them.
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, letter_of_other) in row.iter_mut().skip(1).zip(other.chars()) {
            let changed = diagonal.saturating_add(usize::from(letter != letter_of_other));
            diagonal = *cell;
            left = changed.min(left.saturating_add(1)).min(cell.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        let of = |unknown| nearest(unknown, SERVICE_ACCOUNT.iter().copied());
        assert_eq!(of("attachPolicyArns"), Some("attachPolicyARNs"));
        assert_eq!(of("role"), None);
        assert_eq!(of("roleNme"), Some("roleName"));
        let long = "x".repeat(1000);
        assert_eq!(nearest(&long, SERVICE_ACCOUNT.iter().copied()), None);
        assert_eq!(of(""), None);
    }
}
