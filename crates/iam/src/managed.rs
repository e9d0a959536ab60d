//! The policies that AWS manages and every account may attach: the ones of this project's examples and a few that
//! people reach for first.
//!
//! Documents, versions and dates are those that AWS publishes
//! (<https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>); a newer version is a change of
//! this file.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use irsa_policy::PolicyKind;

/// What the ARNs of AWS's policies begin with; path and name follow.
const ARN_PREFIX: &str = "arn:aws:iam::aws:policy";

/// A policy of AWS's own account.
#[derive(Clone, Copy, Debug)]
pub struct AwsManagedPolicy {
    /// The name: unique among AWS's policies, whatever the path.
    pub name: &'static str,
    /// Begins and ends with a slash.
    pub path: &'static str,
    /// `ANPA…`.
    pub id: &'static str,
    /// What it is for, in AWS's words.
    pub description: &'static str,
    /// When it was first published, ISO 8601.
    pub created: &'static str,
    /// When the version in force was published, ISO 8601.
    pub updated: &'static str,
    /// The version in force, such as `v3`; older ones are not kept.
    pub version: &'static str,
    /// The document of that version.
    pub document: &'static str,
}

impl AwsManagedPolicy {
    /// The ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}{}{}", self.path, self.name)
    }

    /// The policy of an ARN, which must agree in every character.
    #[must_use]
    pub fn find(arn: &str) -> Option<&'static Self> {
        let rest = arn.strip_prefix(ARN_PREFIX)?;
        AWS_MANAGED
            .iter()
            .find(|policy| rest.strip_prefix(policy.path) == Some(policy.name))
    }
}

macro_rules! aws_managed {
    ($path:literal $name:literal $id:literal $version:literal $created:literal $updated:literal $description:literal) => {
        AwsManagedPolicy {
            name: $name,
            path: $path,
            id: $id,
            description: $description,
            created: $created,
            updated: $updated,
            version: $version,
            document: include_str!(concat!("managed/", $name, ".json")),
        }
    };
}

/// All of them, in the order of their names.
pub static AWS_MANAGED: &[AwsManagedPolicy] = &[
    aws_managed!("/" "AdministratorAccess" "ANPAIWMBCKSKIEE64ZLYK" "v1" "2015-02-06T18:39:46Z" "2015-02-06T18:39:46Z"
        "Provides full access to AWS services and resources."),
    aws_managed!("/" "AmazonDynamoDBReadOnlyAccess" "ANPAIY2XFNA232XJ6J7X2" "v15" "2015-02-06T18:40:12Z" "2024-11-18T17:38:15Z"
        "Provides read only access to Amazon DynamoDB via the AWS Management Console."),
    aws_managed!("/service-role/" "AmazonEBSCSIDriverPolicy" "ANPAZKAPJZG4IV6FHD2UE" "v15" "2022-04-04T17:24:29Z" "2026-05-13T17:42:22Z"
        "IAM Policy that allows the CSI driver service account to make calls to related services such as EC2 on your behalf."),
    aws_managed!("/" "AmazonEC2ContainerRegistryPowerUser" "ANPAJDNE5PIHROIBGGDDW" "v3" "2015-12-21T17:05:33Z" "2019-12-10T20:48:08Z"
        "Provides full access to Amazon EC2 Container Registry repositories, but does not allow repository deletion or policy changes."),
    aws_managed!("/" "AmazonEC2ContainerRegistryReadOnly" "ANPAIFYZPA37OOHVIH7KQ" "v3" "2015-12-21T17:04:15Z" "2019-12-10T20:56:32Z"
        "Provides read-only access to Amazon EC2 Container Registry repositories."),
    aws_managed!("/" "AmazonEKS_CNI_Policy" "ANPAJWLAS474LDBXNNTM4" "v6" "2018-05-27T21:07:42Z" "2026-03-04T19:12:14Z"
        "This policy provides the Amazon VPC CNI Plugin (amazon-vpc-cni-k8s) the permissions it requires to modify the IP address configuration on your EKS worker nodes."),
    aws_managed!("/" "AmazonElastiCacheFullAccess" "ANPAIA2V44CPHAUAAECKG" "v3" "2015-02-06T18:40:20Z" "2023-11-28T03:49:56Z"
        "Provides full access to Amazon ElastiCache via the AWS Management Console."),
    aws_managed!("/" "AmazonS3FullAccess" "ANPAIFIR6V6BVTRAHWINE" "v2" "2015-02-06T18:40:58Z" "2021-09-27T20:16:37Z"
        "Provides full access to all buckets via the AWS Management Console."),
    aws_managed!("/" "AmazonS3ReadOnlyAccess" "ANPAIZTJ4DXE7G6AGAE6M" "v3" "2015-02-06T18:40:59Z" "2023-08-10T21:31:39Z"
        "Provides read only access to all buckets via the AWS Management Console."),
    aws_managed!("/" "IAMFullAccess" "ANPAI7XKCFMBPM3QQRRVQ" "v2" "2015-02-06T18:40:38Z" "2019-06-21T19:40:00Z"
        "Provides full access to IAM via the AWS Management Console."),
    aws_managed!("/" "IAMReadOnlyAccess" "ANPAJKSO7NDY4T57MWDSQ" "v4" "2015-02-06T18:40:39Z" "2018-01-25T19:11:27Z"
        "Provides read only access to IAM via the AWS Management Console."),
    aws_managed!("/" "SecretsManagerReadWrite" "ANPAI3VG7CI5BIQZQ6G2E" "v6" "2018-04-04T18:05:29Z" "2026-08-25T23:37:10Z"
        "Provides read/write access to AWS Secrets Manager via the AWS Management Console."),
];

/// The compiled document of an ARN; each is compiled when it is first asked for.
pub(crate) fn compiled(arn: &str) -> Option<Arc<irsa_policy::Policy>> {
    static COMPILED: OnceLock<HashMap<String, OnceLock<Option<Arc<irsa_policy::Policy>>>>> = OnceLock::new();
    if !arn.starts_with(ARN_PREFIX) {
        return None;
    }
    let slots = COMPILED.get_or_init(|| {
        AWS_MANAGED
            .iter()
            .map(|policy| (policy.arn(), OnceLock::new()))
            .collect()
    });
    let compile = || {
        let policy = AwsManagedPolicy::find(arn)?;
        irsa_policy::Policy::parse(arn, PolicyKind::Identity, policy.document)
            .ok()
            .map(Arc::new)
    };
    slots.get(arn)?.get_or_init(compile).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_compiles_and_is_valid() {
        for policy in AWS_MANAGED {
            let arn = policy.arn();
            assert!(compiled(&arn).is_some(), "{arn}");
            assert_eq!(AwsManagedPolicy::find(&arn).map(|found| found.name), Some(policy.name));
            assert!(
                irsa_policy::validate::document(PolicyKind::Identity, policy.document).is_ok(),
                "{arn}"
            );
            for time in [policy.created, policy.updated] {
                assert!(irsa_core::Timestamp::parse_iso8601(time).is_some(), "{time}");
            }
            assert_eq!(policy.id.len(), 21, "{arn}");
        }
        assert!(AWS_MANAGED.is_sorted_by_key(|policy| policy.name));
    }

    #[test]
    fn only_the_exact_arn_is_known() {
        for arn in [
            "arn:aws:iam::aws:policy/AmazonEBSCSIDriverPolicy",
            "arn:aws:iam::aws:policy/amazons3readonlyaccess",
            "arn:aws:iam::111122223333:policy/AmazonS3ReadOnlyAccess",
            "arn:aws:iam::aws:policy/",
        ] {
            assert!(
                compiled(arn).is_none() && AwsManagedPolicy::find(arn).is_none(),
                "{arn}"
            );
        }
        assert!(compiled("arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy").is_some());
    }
}
