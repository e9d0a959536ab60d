//! `ResourceHandlingOption`: what RunInstances needs, scenario by scenario.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html>.

use super::invalid;
use crate::error::IamError;

const CLASSIC: &[&str] = &["instance", "image", "security-group"];
const CLASSIC_VOLUME: &[&str] = &["instance", "image", "security-group", "volume"];
const NETWORK: &[&str] = &["instance", "image", "security-group", "network-interface"];
const NETWORK_SUBNET: &[&str] = &["instance", "image", "security-group", "network-interface", "subnet"];
const NETWORK_VOLUME: &[&str] = &["instance", "image", "security-group", "network-interface", "volume"];
const ALL: &[&str] = &[
    "instance",
    "image",
    "security-group",
    "network-interface",
    "subnet",
    "volume",
];

/// The scenarios, and the types of resources that each must name.
const SCENARIOS: &[(&str, &[&str])] = &[
    ("EC2-Classic-InstanceStore", CLASSIC),
    ("EC2-Classic-EBS", CLASSIC_VOLUME),
    ("EC2-VPC-InstanceStore", NETWORK),
    ("EC2-VPC-InstanceStore-Subnet", NETWORK_SUBNET),
    ("EC2-VPC-EBS", NETWORK_VOLUME),
    ("EC2-VPC-EBS-Subnet", ALL),
];

/// Checks that a scenario has its resources.
pub(super) fn check(option: &str, resources: &[String]) -> Result<(), IamError> {
    let Some((_, types)) = SCENARIOS.iter().find(|(name, _)| *name == option) else {
        return invalid(format!("The resource handling option {option} is unknown."));
    };
    let is_there = |kind: &str| {
        resources.iter().any(|resource| {
            let mut fields = resource.splitn(6, ':').skip(2);
            fields.next() == Some("ec2") && fields.nth(2).is_some_and(|rest| rest.split('/').next() == Some(kind))
        })
    };
    match types.iter().find(|kind| !is_there(kind)) {
        Some(kind) => invalid(format!(
            "The resource handling option {option} needs a resource of the type {kind}."
        )),
        None => Ok(()),
    }
}
