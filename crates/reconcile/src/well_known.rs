//! `wellKnownPolicies`: what the controllers that everybody runs need.
//!
//! The inline documents are data files, `data/well-known/<name>.json`, with `${Partition}` for the partition; each was
//! written from the document that its controller publishes. What AWS keeps up to date as a managed policy is
//! attached. [`VERSION`] names the day of the last look.
//!
//! | name | what | source |
//! |---|---|---|
//! | `imageBuilder` | managed `AmazonEC2ContainerRegistryPowerUser` | ECR's user guide |
//! | `autoScaler` | inline | cluster-autoscaler's README for AWS, "full features" |
//! | `awsLoadBalancerController` | inline | `iam_policy.json` of the controller's installation guide (2.13 to 3.1), and `wafv2:ListWebACLs`, which its annotation `wafv2-acl-name` (since 2.14) needs; Global Accelerator has a policy of its own (3.4), which nobody gets unasked |
//! | `externalDNS` | inline | external-dns's tutorial for AWS; both `ListTagsForResource` (to 0.14) and `ListTagsForResources` |
//! | `certManager` | inline | cert-manager's guide for Route 53; only `TXT` records can be changed |
//! | `ebsCSIController` | managed `service-role/AmazonEBSCSIDriverPolicy` | its successor `AmazonEBSCSIDriverPolicyV2` cuts off volumes that carry no tag of the driver, so nobody gets it unasked |
//! | `efsCSIController` | managed `service-role/AmazonEFSCSIDriverPolicy` | EFS's user guide |

use std::fmt;

/// When the documents were last compared with their sources.
pub const VERSION: &str = "2026-11";

/// A policy that is known by a name of eksctl's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum WellKnownPolicy {
    /// Pull and push images.
    ImageBuilder,
    /// The Cluster Autoscaler.
    AutoScaler,
    /// The AWS Load Balancer Controller.
    AwsLoadBalancerController,
    /// external-dns.
    ExternalDns,
    /// cert-manager.
    CertManager,
    /// The controller of the EBS CSI driver.
    EbsCsiController,
    /// The controller of the EFS CSI driver.
    EfsCsiController,
}

/// What a well-known policy comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expansion {
    /// A managed policy of AWS's, by its ARN.
    Managed(String),
    /// An inline policy.
    Inline {
        /// Its name in the role.
        name: &'static str,
        /// Its text, compact.
        document: String,
    },
}

impl WellKnownPolicy {
    /// All, in eksctl's order.
    pub const ALL: [Self; 7] = [
        Self::ImageBuilder,
        Self::AutoScaler,
        Self::AwsLoadBalancerController,
        Self::ExternalDns,
        Self::CertManager,
        Self::EbsCsiController,
        Self::EfsCsiController,
    ];

    /// The name in a config file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageBuilder => "imageBuilder",
            Self::AutoScaler => "autoScaler",
            Self::AwsLoadBalancerController => "awsLoadBalancerController",
            Self::ExternalDns => "externalDNS",
            Self::CertManager => "certManager",
            Self::EbsCsiController => "ebsCSIController",
            Self::EfsCsiController => "efsCSIController",
        }
    }

    /// The policy of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// What it comes to in a partition.
    #[must_use]
    pub fn expand(self, partition: &str) -> Expansion {
        let managed = |name: &str| Expansion::Managed(format!("arn:{partition}:iam::aws:policy/{name}"));
        let inline = |name: &'static str, text: &str| Expansion::Inline {
            name,
            document: compact(&text.replace("${Partition}", partition)),
        };
        match self {
            Self::ImageBuilder => managed("AmazonEC2ContainerRegistryPowerUser"),
            Self::EbsCsiController => managed("service-role/AmazonEBSCSIDriverPolicy"),
            Self::EfsCsiController => managed("service-role/AmazonEFSCSIDriverPolicy"),
            Self::AutoScaler => inline("irsa-autoScaler", include_str!("../data/well-known/auto-scaler.json")),
            Self::AwsLoadBalancerController => inline(
                "irsa-awsLoadBalancerController",
                include_str!("../data/well-known/aws-load-balancer-controller.json"),
            ),
            Self::ExternalDns => inline("irsa-externalDNS", include_str!("../data/well-known/external-dns.json")),
            Self::CertManager => inline("irsa-certManager", include_str!("../data/well-known/cert-manager.json")),
        }
    }
}

impl fmt::Display for WellKnownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn compact(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use irsa_check::{FindingType, Options, check};
    use irsa_policy::PolicyKind;
    use irsa_policy::validate::non_whitespace_len;

    use super::*;

    #[test]
    fn every_document_is_one_that_iam_takes_in_every_partition() {
        let mut size = 0;
        for policy in WellKnownPolicy::ALL {
            for partition in ["aws", "aws-cn", "aws-us-gov", "aws-iso"] {
                let Expansion::Inline { document, .. } = policy.expand(partition) else {
                    continue;
                };
                let options = Options {
                    kind: Some(PolicyKind::Identity),
                    ..Options::default()
                };
                let report = check(&document, &options);
                let bad: Vec<_> = report
                    .findings
                    .iter()
                    .filter(|finding| finding.finding_type >= FindingType::Warning)
                    .filter(|finding| !finding.code.contains("STAR"))
                    .map(|finding| (finding.code, &finding.message))
                    .collect();
                assert!(bad.is_empty(), "{policy}: {bad:#?}");
                assert!(!document.contains("${Partition}"));
                assert!(partition == "aws" || !document.contains("arn:aws:"), "{policy}");
                if partition == "aws" {
                    size += non_whitespace_len(&document);
                }
            }
        }
        assert!(size <= 10_240, "all of them together fit into one role: {size}");
    }

    #[test]
    fn names() {
        for policy in WellKnownPolicy::ALL {
            assert_eq!(WellKnownPolicy::of_name(policy.name()), Some(policy));
        }
        assert_eq!(WellKnownPolicy::of_name("ebsCsiController"), None);
        assert_eq!(
            WellKnownPolicy::EfsCsiController.expand("aws-cn"),
            Expansion::Managed("arn:aws-cn:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy".to_owned())
        );
    }
}
