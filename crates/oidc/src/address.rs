use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to a fetcher that must not be turned against its own network.
///
/// The ranges are those of IANA's special-purpose registries
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AddressClass {
    /// Anybody's.
    Public,
    /// Of this host or this network: fetched from only where an operator allows it.
    Private,
    /// Never an issuer: instance metadata, multicast, unassigned. No setting lets it through.
    Forbidden,
}

/// Tells what an address is. An IPv6 address that carries an IPv4 address is what that one is.
pub(crate) fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        // Loopback, RFC 1918, shared address space (RFC 6598), benchmarking nets (RFC 2544).
        [127 | 10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18 | 19, ..] => {
            AddressClass::Private
        }
        // This network; link-local with the metadata services in it; protocol assignments, documentation and the retired 6to4 relay;
        // multicast, reserved and broadcast.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => AddressClass::Forbidden,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        classify_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Private,
        // IPv4-mapped, and NAT64's well-known prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        // EC2's metadata, time and name services live in fd00:ec2::/32.
        [0xfd00, 0xec2, ..] => AddressClass::Forbidden,
        // Unique local, and NAT64 prefixes of a network's own (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => AddressClass::Private,
        // Protocol assignments with Teredo in them, and documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Forbidden,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        // Outside of 2000::/3 nothing is global unicast.
        _ => AddressClass::Forbidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jk_03_special_addresses_are_not_public() {
        for (class, addresses) in [
            (
                AddressClass::Private,
                [
                    "127.0.0.1",
                    "127.255.255.254",
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "198.18.0.1",
                    "::1",
                    "fc00::1",
                    "fd12:3456::1",
                    "::ffff:127.0.0.1",
                    "::ffff:10.1.2.3",
                    "64:ff9b::7f00:1",
                    "64:ff9b:1::1",
                    "2002:7f00:1::1",
                    "2002:c0a8:101::",
                ]
                .as_slice(),
            ),
            (
                AddressClass::Forbidden,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "169.254.169.254",
                    "169.254.170.2",
                    "192.0.0.170",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "224.0.0.1",
                    "239.1.1.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "::7f00:1",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::",
                    "fd00:ec2::254",
                    "fe80::1",
                    "fec0::1",
                    "ff02::1",
                    "100::1",
                    "2001::1",
                    "2001:db8::1",
                    "3fff::1",
                    "5f00::1",
                    "4000::1",
                ],
            ),
            (
                AddressClass::Public,
                &[
                    "1.1.1.1",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.1",
                    "169.253.1.1",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.0.1.1",
                    "192.167.1.1",
                    "198.17.1.1",
                    "198.20.0.1",
                    "223.255.255.255",
                    "2606:4700:4700::1111",
                    "2001:4860:4860::8888",
                    "::ffff:1.1.1.1",
                    "64:ff9b::101:101",
                    "2002:101:101::1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(classify(address.parse().unwrap()), class, "{address}");
            }
        }
    }
}
