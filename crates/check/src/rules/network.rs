//! Addresses and networks in conditions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use irsa_policy::syntax::{AddressBlock, Predicate};

use super::conditions::conditions;
use crate::glob::has_wildcard;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Condition, Item};

pub(super) static RULES: &[Rule] = &[
    Rule::suggestion(
        "IMPROVE_IP_RANGE",
        "bits behind a block's mask",
        Kinds::ALL,
        improve_range,
    ),
    // AWS sees public addresses only, but a server of one's own sees private ones, so these are no errors here.
    Rule::doubt(
        "PRIVATE_IP_ADDRESS",
        "only private addresses for aws:SourceIp",
        Kinds::ALL,
        |subject, findings| {
            private(subject, findings, false, true);
        },
    ),
    Rule::doubt(
        "PRIVATE_NOT_IP_ADDRESS",
        "only private addresses excluded for aws:SourceIp",
        Kinds::ALL,
        |subject, findings| private(subject, findings, true, true),
    ),
    Rule::suggestion(
        "PRIVATE_IP_ADDRESS_SUBSET",
        "private and public addresses for aws:SourceIp",
        Kinds::ALL,
        |subject, findings| private(subject, findings, false, false),
    ),
    Rule::suggestion(
        "PRIVATE_NOT_IP_ADDRESS_SUBSET",
        "private and public addresses excluded for aws:SourceIp",
        Kinds::ALL,
        |subject, findings| private(subject, findings, true, false),
    ),
    Rule::error(
        "INVALID_VPC_FORMAT",
        "a value that is no VPC's id",
        Kinds::ALL,
        |subject, findings| {
            network_id(subject, findings, "aws:SourceVpc", "vpc-");
        },
    ),
    Rule::error(
        "INVALID_VPCE_FORMAT",
        "a value that is no VPC endpoint's id",
        Kinds::ALL,
        |subject, findings| {
            network_id(subject, findings, "aws:SourceVpce", "vpce-");
        },
    ),
];

/// Conditions on addresses.
fn address_conditions<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Condition<'t>> {
    conditions(subject).filter(|condition| {
        condition
            .operator
            .is_some_and(|operator| operator.predicate == Predicate::IpAddress)
    })
}

/// The block's first address and its length in bits.
fn block(text: &str) -> Option<(IpAddr, u32)> {
    AddressBlock::parse(text).map(AddressBlock::range)
}

fn improve_range(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for value in address_conditions(subject).flat_map(|condition| &condition.values) {
        let Some((address, _)) = value.text.split_once('/') else {
            continue;
        };
        let (Some((first, length)), Ok(address)) = (block(&value.text), address.parse::<IpAddr>()) else {
            continue;
        };
        if first == address {
            continue;
        }
        let better = format!("{first}/{length}");
        findings
            .at(
                value,
                format!("the bits of `{address}` behind the first {length} are ignored"),
            )
            .fix(format!("write `{better}`"))
            .retext(&value.bytes, &better);
    }
}

fn is_private(value: &Item<'_>) -> Option<bool> {
    let (first, length) = block(&value.text)?;
    let inside = |network: IpAddr, bits: u32| {
        length >= bits
            && match (first, network) {
                (IpAddr::V4(first), IpAddr::V4(network)) => {
                    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                    first.to_bits() & mask == network.to_bits()
                }
                (IpAddr::V6(first), IpAddr::V6(network)) => {
                    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
                    first.to_bits() & mask == network.to_bits()
                }
                _ => false,
            }
    };
    let networks = [
        (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
        (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
        (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
        (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
        (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
        (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
        (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ];
    Some(networks.into_iter().any(|(network, bits)| inside(network, bits)))
}

fn private(subject: &Subject<'_, '_>, findings: &mut Findings, negated: bool, all: bool) {
    for condition in address_conditions(subject) {
        let is_negated = condition.operator.is_some_and(|operator| operator.negated);
        if is_negated != negated || !condition.is_on("aws:SourceIp") {
            continue;
        }
        let known: Vec<(&Item<'_>, bool)> = condition
            .values
            .iter()
            .filter_map(|value| is_private(value).map(|private| (value, private)))
            .collect();
        let Some((first, _)) = known.iter().find(|(_, private)| *private) else {
            continue;
        };
        let only = known.iter().all(|(_, private)| *private);
        if only != all {
            continue;
        }
        let what = match (negated, all) {
            (false, true) => "AWS sees public addresses only, so there this is never met",
            (true, true) => "AWS sees public addresses only, so there this is always met",
            (_, false) => "AWS sees public addresses only, so there the private ones have no effect",
        };
        findings.at(first, what).fix(
            "for private addresses that come through a VPC endpoint compare aws:VpcSourceIp; on a server of your own \
             private addresses do occur",
        );
    }
}

fn network_id(subject: &Subject<'_, '_>, findings: &mut Findings, key: &str, prefix: &str) {
    for condition in conditions(subject).filter(|condition| condition.is_on(key) && !condition.is_null()) {
        for value in &condition.values {
            let text = &*value.text;
            if (has_wildcard(text) && condition.has_wildcards()) || text.contains("${") {
                continue;
            }
            let rest = text.strip_prefix(prefix).unwrap_or_default();
            let fits = matches!(rest.len(), 8 | 17) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !fits {
                findings
                    .at(value, format!("`{}` is not an id of {key}", clip(text)))
                    .fix(format!("write `{prefix}` and 8 or 17 letters and digits"));
            }
        }
    }
}
