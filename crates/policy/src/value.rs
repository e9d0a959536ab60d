//! The typed values of condition operators. Text that is no such value is no error: it compares with nothing.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use irsa_core::Timestamp;

/// An exact decimal number, read in place: no rounding at any size, so 2^53 + 1 is not 2^53.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'t> {
    negative: bool,
    /// Digits with leading and trailing zeros cut off, perhaps with a point among them.
    digits: &'t str,
    /// The value is 0.`digits` × 10^`point`.
    point: i64,
}

impl<'t> Decimal<'t> {
    /// Reads `[+-]digits[.digits][e[+-]digits]`; no blanks. `None` for anything else.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Self::exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.is_empty() || mantissa.ends_with('.') {
            return None;
        }
        let whole_len = i64::try_from(whole.trim_start_matches('0').len()).ok()?;
        let point = if whole_len > 0 {
            whole_len
        } else {
            let zeros = fraction.len().saturating_sub(fraction.trim_start_matches('0').len());
            0_i64.checked_sub(i64::try_from(zeros).ok()?)?
        };
        let cut = |text: &'t str| text.trim_start_matches(['0', '.']);
        let significant = if fraction.is_empty() {
            cut(mantissa).trim_end_matches('0')
        } else {
            cut(mantissa).trim_end_matches(['0', '.'])
        };
        Some(if significant.is_empty() {
            Self {
                negative: false,
                digits: "",
                point: 0,
            }
        } else {
            Self {
                negative,
                digits: significant,
                point: point.checked_add(exponent)?,
            }
        })
    }

    fn exponent(text: &str) -> Option<i64> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok()
    }

    /// Numeric order.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        let sign = |number: Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude = || {
            let digits = |number: Self| number.digits.bytes().filter(|byte| *byte != b'.');
            self.point
                .cmp(&other.point)
                .then_with(|| digits(self).cmp(digits(other)))
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            -1 => magnitude().reverse(),
            _ => magnitude(),
        })
    }
}

/// A decimal of a policy, which is kept.
#[derive(Clone, Debug)]
pub(crate) struct DecimalConstant {
    negative: bool,
    digits: Box<str>,
    point: i64,
}

impl DecimalConstant {
    pub(crate) fn new(number: Decimal<'_>) -> Self {
        Self {
            negative: number.negative,
            digits: number.digits.into(),
            point: number.point,
        }
    }

    pub(crate) fn get(&self) -> Decimal<'_> {
        Decimal {
            negative: self.negative,
            digits: &self.digits,
            point: self.point,
        }
    }
}

/// An instant as seconds and nanoseconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Instant {
    seconds: i64,
    nanos: u32,
}

impl Instant {
    /// Whole seconds since the beginning of 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// The nanoseconds after them.
    #[must_use]
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// Reads the W3C subset of ISO 8601, or epoch seconds: digits only, even four of them. Digits beyond nanoseconds are
    /// dropped.
    ///
    /// See <https://www.w3.org/TR/NOTE-datetime>.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, false)
    }

    /// As [`parse`](Self::parse), but four digits may be a year.
    pub(crate) fn read(text: &str, has_years: bool) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (!has_years || text.len() != 4) {
            return Some(Self {
                seconds: text.parse().ok()?,
                nanos: 0,
            });
        }
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut fields = date.split('-');
        let year = i64::from(number(fields.next()?, 4)?);
        let month = fields.next().map_or(Some(1), |month| number(month, 2))?;
        let day = fields.next();
        if fields.next().is_some() || (time.is_some() && day.is_none()) {
            return None;
        }
        let day = day.map_or(Some(1), |day| number(day, 2))?;
        let Some(time) = time else {
            return Some(Self {
                seconds: Timestamp::from_civil(year, month, day, 0, 0, 0)?.unix_seconds(),
                nanos: 0,
            });
        };
        let (clock, offset) = match time.strip_suffix('Z') {
            Some(clock) => (clock, 0),
            None => {
                let at = time.rfind(['+', '-'])?;
                let (clock, zone) = time.split_at_checked(at)?;
                let (hours, minutes) = zone.get(1..)?.split_once(':')?;
                let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
                (clock, if zone.starts_with('-') { -seconds } else { seconds })
            }
        };
        let mut parts = clock.splitn(3, ':');
        let hour = number(parts.next()?, 2)?;
        let minute = number(parts.next()?, 2)?;
        let (second, nanos) = match parts.next() {
            None => (0, 0),
            Some(seconds) => match seconds.split_once('.') {
                None => (number(seconds, 2)?, 0),
                Some((seconds, fraction)) => (number(seconds, 2)?, fraction_nanos(fraction)?),
            },
        };
        // W3C's format knows no leap seconds.
        if second > 59 {
            return None;
        }
        let local = Timestamp::from_civil(year, month, day, hour, minute, second)?.unix_seconds();
        Some(Self {
            seconds: local.checked_sub(offset)?,
            nanos,
        })
    }
}

/// Exactly `width` digits.
fn number(text: &str, width: usize) -> Option<u32> {
    (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Any number of digits; those after the ninth are read and dropped.
fn fraction_nanos(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = text.get(..9).unwrap_or(text);
    let scale = 10_u32.checked_pow(9_u32.checked_sub(u32::try_from(text.len()).ok()?)?)?;
    number(text, text.len())?.checked_mul(scale)
}

/// Reads an address as the standard library does, the usual form sooner.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    match dotted_quad(text) {
        Some(address) => Some(address.into()),
        None => text.parse().ok(),
    }
}

/// Four numbers without leading zeros.
fn dotted_quad(text: &str) -> Option<Ipv4Addr> {
    // Longer than any: what follows cannot overflow.
    if text.len() > 15 {
        return None;
    }
    let (mut bits, mut dots, mut number, mut digits) = (0_u64, 0_u32, 0_u64, 0_u32);
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 && (digits == 0 || number > 0) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits = digits.wrapping_add(1);
        } else if byte == b'.' && digits > 0 && number < 256 {
            bits = bits << 8 | number;
            dots = dots.wrapping_add(1);
            (number, digits) = (0, 0);
        } else {
            return None;
        }
    }
    let bits = u32::try_from(bits << 8 | number).ok()?;
    (dots == 3 && digits > 0 && number < 256).then(|| Ipv4Addr::from_bits(bits))
}

/// A block of addresses. IPv4 and IPv6 are disjoint, an IPv4-mapped IPv6 address included.
#[derive(Clone, Copy, Debug)]
pub struct AddressBlock {
    address: IpAddr,
    prefix: u32,
}

impl AddressBlock {
    /// Reads `address[/prefix]`. Host bits are ignored; no prefix means the one address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width)?
            }
            Some(_) => return None,
        };
        Some(Self { address, prefix })
    }

    /// Its first address, and how many leading bits are fixed.
    #[must_use]
    pub fn range(self) -> (IpAddr, u32) {
        let hosts = |width: u32| width.saturating_sub(self.prefix);
        let first = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(hosts(32)).unwrap_or_default();
                IpAddr::from(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(hosts(128)).unwrap_or_default();
                IpAddr::from(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        (first, self.prefix)
    }

    /// Whether `address` is in the block.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(theirs)) => {
                let differing = mine.to_bits() ^ theirs.to_bits();
                differing
                    .checked_shr(32_u32.saturating_sub(self.prefix))
                    .unwrap_or_default()
                    == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(theirs)) => {
                let differing = mine.to_bits() ^ theirs.to_bits();
                differing
                    .checked_shr(128_u32.saturating_sub(self.prefix))
                    .unwrap_or_default()
                    == 0
            }
            _ => false,
        }
    }
}

/// `true` or `false` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(one: &str, other: &str) -> Ordering {
        Decimal::parse(one).unwrap().compare(Decimal::parse(other).unwrap())
    }

    #[test]
    fn decimals_compare_exactly() {
        for (one, other, expected) in [
            ("0", "-0.00", Ordering::Equal),
            ("1", "1.0", Ordering::Equal),
            ("+1", "1", Ordering::Equal),
            ("007", "7", Ordering::Equal),
            ("100", "1e2", Ordering::Equal),
            ("0.001", "1E-3", Ordering::Equal),
            ("12.30", "1.23e1", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("0.1", "0.10000000000000000001", Ordering::Less),
            ("2", "10", Ordering::Less),
            ("-2", "-10", Ordering::Greater),
            ("-1", "0", Ordering::Less),
            ("0.09", "0.1", Ordering::Less),
            ("99", "100.5", Ordering::Less),
            ("10", "1", Ordering::Greater),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
            assert_eq!(compare(other, one), expected.reverse(), "{other} {one}");
        }
    }

    #[test]
    fn what_is_no_decimal() {
        for bad in [
            "",
            "-",
            "+",
            ".",
            ".5",
            "5.",
            " 1",
            "1 ",
            "1e",
            "1e+",
            "1e9999999999",
            "0x1",
            "1,0",
            "NaN",
            "inf",
            "--1",
            "1.2.3",
            "１",
        ] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn instants() {
        let at = |text: &str| Instant::parse(text).unwrap();
        assert_eq!(at("1970-01-01"), at("0"));
        assert_eq!(at("2026-01"), at("2026-01-01T00:00Z"));
        assert_eq!(at("2026-01-02T03:04:05Z"), at("1767323045"));
        assert_eq!(at("2026-01-02T03:04:05.5Z"), at("2026-01-02T04:04:05.500+01:00"));
        assert_eq!(at("2026-01-01T23:00:00-02:00"), at("2026-01-02T01:00Z"));
        assert!(at("2026-01-02T03:04:05.000000001Z") > at("2026-01-02T03:04:05Z"));
        assert_eq!(
            at("2026-01-02T03:04:05.1234567899Z"),
            at("2026-01-02T03:04:05.123456789Z")
        );
        // Four digits are seconds, not a year.
        assert_eq!(at("2026"), at("1970-01-01T00:33:46Z"));
        for bad in [
            "",
            "x",
            "2026-13",
            "2026-02-30",
            "2026-1-1",
            "2026-01-01T00",
            "2026-01-01T00:00",
            "2026-01T00:00Z",
            "2026-01-01T00:00z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00.Z",
            "-5",
            "1.5",
            "99999999999999999999",
            "2026-01-01-01",
            "2026-01-01T25:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.1234567890xZ",
        ] {
            assert!(Instant::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn address_blocks() {
        let contains =
            |block: &str, address: &str| AddressBlock::parse(block).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.9.9.9/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("10.0.0.1", "10.0.0.1"));
        assert!(!contains("10.0.0.1", "10.0.0.2"));
        assert!(contains("2001:db8::/32", "2001:DB8:0:0:0:0:0:1"));
        assert!(contains("::/0", "ffff::"));
        assert!(contains("::1", "0:0:0:0:0:0:0:1"));
        assert!(!contains("0.0.0.0/0", "::ffff:10.0.0.1"));
        assert!(!contains("::/0", "10.0.0.1"));
        for bad in [
            "",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.00",
            "fe80::1%eth0",
            "a",
        ] {
            assert!(AddressBlock::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decimals_agree_with_integers(one in -5000_i64..5000, other in -5000_i64..5000, shift in 0_u32..4) {
            let text = |number: i64| {
                let scale = 10_i64.pow(shift);
                let (sign, size) = (if number < 0 { "-" } else { "" }, number.abs());
                if shift == 0 { number.to_string() } else {
                    format!("{sign}{}.{:0width$}", size / scale, size % scale, width = shift as usize)
                }
            };
            prop_assert_eq!(compare(&text(one), &text(other)), one.cmp(&other));
        }

        #[test]
        fn addresses_are_read_as_the_library_does(text in "[0-9.]{0,16}|(1?[0-9]{1,3}\\.){3}[0-9]{1,3}|[0-9a-f:.]{0,12}") {
            prop_assert_eq!(address(&text), text.parse().ok());
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = Decimal::parse(&text).map(|number| number.compare(number));
            let _ = Instant::parse(&text);
            let _ = AddressBlock::parse(&text);
        }
    }
}
