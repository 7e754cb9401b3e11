//! Which addresses a plugin may be connected to. Pure.
//!
//! A granted name may lead anywhere: its owner may point it into the host's own network. So each
//! resolved address is checked, and the connection is made to an address that passed.
//! The ranges are those of IANA's special-purpose registries, and the metadata services of clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    /// Loopback, private, unique local and carrier-grade NAT: for names in `http-private`.
    Private,
    /// Metadata services, link-local, multicast and reserved addresses: only where an entry is the
    /// address itself.
    Special,
}

/// Which addresses a granted host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A name in `http`.
    Public,
    /// A name in `http-private`.
    Private,
    /// An entry that is an address.
    Anywhere,
}

impl Reach {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match kind(address) {
            Kind::Public => true,
            Kind::Private => self != Self::Public,
            Kind::Special => self == Self::Anywhere,
        }
    }
}

pub(super) fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // Alibaba Cloud's metadata, and Azure's wire server.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Kind::Special,
        [127 | 10, ..] | [192, 168, ..] => Kind::Private,
        [172, 16..=31, ..] | [100, 64..=127, ..] => Kind::Private,
        // This network, IETF protocols, documentation, the 6to4 relay and benchmarks.
        [0, ..] | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Special,
        [192, 88, 99, _] | [198, 18..=19, ..] => Kind::Special,
        // Link-local, where most clouds keep their metadata; multicast, reserved and broadcast.
        [169, 254, ..] | [224..=255, ..] => Kind::Special,
        _ => Kind::Public,
    }
}

fn v6(address: Ipv6Addr) -> Kind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private,
        // The metadata of AWS and of Google Cloud.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Kind::Special,
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] => Kind::Special,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        // IPv4 behind a NAT64 or in 6to4 is what it leads to.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(embedded(high, low)),
        [0x2002, high, low, ..] => v4(embedded(high, low)),
        // IETF protocols with Teredo, and documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] => Kind::Special,
        [0x3fff, 0..=0x0fff, ..] => Kind::Special,
        [0x2000..=0x3fff, ..] => Kind::Public,
        // IPv4-mapped among them, which no resolver has a reason to hand out.
        _ => Kind::Special,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_kind() {
        for (kind, addresses) in [
            (
                Kind::Public,
                &[
                    "1.1.1.1",
                    "172.32.0.1",
                    "100.63.0.1",
                    "192.0.1.1",
                    "2606:4700::1111",
                    "64:ff9b::101:101",
                ][..],
            ),
            (
                Kind::Private,
                &[
                    "127.0.0.1",
                    "127.9.9.9",
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "100.127.0.1",
                    "::1",
                    "fc00::1",
                    "fd12::1",
                    "64:ff9b::7f00:1",
                    "2002:a00:1::",
                ],
            ),
            (
                Kind::Special,
                &[
                    "0.0.0.0",
                    "169.254.169.254",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.1",
                    "192.0.2.1",
                    "198.18.0.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "224.0.0.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "fe80::1",
                    "fec0::1",
                    "ff02::1",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "::ffff:127.0.0.1",
                    "::ffff:1.1.1.1",
                    "::127.0.0.1",
                    "2001::1",
                    "2001:db8::1",
                    "3fff::1",
                    "100::1",
                    "64:ff9b::a9fe:a9fe",
                    "64:ff9b:1::1",
                    "2002:a9fe:a9fe::",
                ],
            ),
        ] {
            for text in addresses {
                let address: Option<IpAddr> = text.parse().ok();
                assert_eq!(address.map(super::kind), Some(kind), "{text}");
            }
        }
    }

    #[test]
    fn a_name_reaches_private_addresses_only_where_it_is_said() {
        let reached = |reach: Reach| {
            ["1.1.1.1", "10.0.0.1", "169.254.169.254"]
                .map(|text| text.parse().is_ok_and(|address| reach.allows(address)))
        };
        assert_eq!(reached(Reach::Public), [true, false, false]);
        assert_eq!(reached(Reach::Private), [true, true, false]);
        assert_eq!(reached(Reach::Anywhere), [true, true, true]);
    }
}
