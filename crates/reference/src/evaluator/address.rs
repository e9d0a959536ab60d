//! IP addresses and the blocks of RFC 4632.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use std::net::IpAddr;

use super::Choices;

/// Whether an address is in a block, bit by bit. An address alone is a block of one. IPv4 and IPv6 have nothing in common.
/// `None` if one is malformed.
pub(super) fn is_in(block: &str, address: &str, choices: &Choices) -> Option<bool> {
    let address = as_ipv4(bits(address)?, choices);
    let (network, length) = match block.split_once('/') {
        Some((network, length)) => (bits(network)?, Some(length)),
        None => (bits(block)?, None),
    };
    let length = match length {
        Some(length) => prefix_length(length, network.len())?,
        None => network.len(),
    };
    Some(network.len() == address.len() && network[..length] == address[..length])
}

/// An IPv4-mapped address as the IPv4 address, if it is to be read so.
fn as_ipv4(bits: Vec<bool>, choices: &Choices) -> Vec<bool> {
    let prefix: Vec<bool> = (0..96).map(|place| place >= 80).collect();
    match bits.strip_prefix(prefix.as_slice()) {
        Some(rest) if !choices.mapped_addresses_are_ipv6 => rest.to_vec(),
        _ => bits,
    }
}

/// The bits of an address, 32 or 128.
fn bits(text: &str) -> Option<Vec<bool>> {
    let octets = match text.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bit = |octet: u8, place: u32| octet >> (7 - place) & 1 == 1;
    Some(
        octets
            .iter()
            .flat_map(|octet| (0..8).map(move |place| bit(*octet, place)))
            .collect(),
    )
}

/// A decimal number of at most so many bits.
fn prefix_length(text: &str, most: usize) -> Option<usize> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|length| *length <= most)
}
