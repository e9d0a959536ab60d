//! Numbers, dates and addresses: a few texts stand for all the values that the constants of a policy tell apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use irsa_core::Timestamp;
use irsa_policy::syntax::{AddressBlock, Comparison, Decimal, Instant};

/// What a typed operator compares with.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    Number(Comparison, Vec<String>),
    Date(Comparison, Vec<Instant>),
    Address(Vec<AddressBlock>),
}

impl Typed {
    /// Whether `value` agrees with one of the constants.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Number(comparison, constants) => Decimal::parse(value).is_some_and(|value| {
                constants.iter().any(|constant| {
                    Decimal::parse(constant).is_some_and(|constant| holds(*comparison, value.compare(constant)))
                })
            }),
            Self::Date(comparison, constants) => Instant::parse(value)
                .is_some_and(|value| constants.iter().any(|constant| holds(*comparison, value.cmp(constant)))),
            Self::Address(blocks) => value
                .parse()
                .is_ok_and(|address| blocks.iter().any(|block| block.contains(address))),
        }
    }

    /// What it costs to ask it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Number(_, constants) => constants.len(),
            Self::Date(_, constants) => constants.len() / 8,
            Self::Address(constants) => constants.len() / 8,
        }
        .saturating_add(1)
    }
}

fn holds(comparison: Comparison, ordering: std::cmp::Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}

/// Texts of which at least one lies in every set of values that the tests can tell apart, the pleasant ones first; and
/// whether that is certain.
pub(crate) fn candidates(tests: &[&Typed]) -> (Vec<String>, bool) {
    let (mut numbers, mut dates, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let mut families = [false; 3];
    for test in tests {
        match test {
            Typed::Number(_, constants) => {
                families[0] = true;
                numbers.extend(constants.iter().map(String::as_str));
            }
            Typed::Date(_, constants) => {
                families[1] = true;
                dates.extend(constants.iter().copied());
            }
            Typed::Address(constants) => {
                families[2] = true;
                blocks.extend(constants.iter().copied());
            }
        }
    }
    let mut texts = Vec::new();
    // A text that is two kinds of value at once may be in a set that neither kind alone shows.
    let mut complete = families.iter().filter(|family| **family).count() <= 1;
    if families[0] {
        complete &= around_numbers(&numbers, &mut texts);
    }
    if families[1] {
        around_dates(&dates, &mut texts);
    }
    if families[2] {
        around_blocks(&blocks, &mut texts);
    }
    texts.push("x".to_owned());
    (texts, complete)
}

/// Sign, digits without zeros at either end, and the power of ten that they are a fraction of.
struct Number {
    negative: bool,
    digits: String,
    point: i64,
}

impl Number {
    /// Reads what [`Decimal::parse`] accepts.
    fn parse(text: &str) -> Option<Self> {
        Decimal::parse(text)?;
        let unsigned = text.trim_start_matches(['+', '-']);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let cut = all.trim_start_matches('0');
        let zeros = i64::try_from(all.len().checked_sub(cut.len())?).ok()?;
        let point = i64::try_from(whole.len())
            .ok()?
            .checked_sub(zeros)?
            .checked_add(exponent)?;
        let digits = cut.trim_end_matches('0').to_owned();
        Some(Self {
            negative: text.starts_with('-') && !digits.is_empty(),
            point: if digits.is_empty() { 0 } else { point },
            digits,
        })
    }
}

fn write_number(negative: bool, digits: &str, point: i64) -> String {
    let sign = if negative { "-" } else { "" };
    let len = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    if (-8..=0).contains(&point) {
        format!("{sign}0.{}{digits}", zeros(point.saturating_neg()))
    } else if (1..=30).contains(&point) && point >= len {
        format!("{sign}{digits}{}", zeros(point.saturating_sub(len)))
    } else if let (1..=30, Some((whole, fraction))) = (
        point,
        usize::try_from(point).ok().and_then(|at| digits.split_at_checked(at)),
    ) {
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}{digits}e{}", point.saturating_sub(len))
    }
}

fn around_numbers(constants: &[&str], texts: &mut Vec<String>) -> bool {
    const FAR: i64 = 400_000_000;
    let numbers: Vec<Number> = constants.iter().filter_map(|text| Number::parse(text)).collect();
    let complete = numbers
        .iter()
        .all(|number| number.point.saturating_abs() < FAR && number.digits.len() < 100_000);
    // Whole neighbours read better than the fractions that follow, and are mostly enough.
    for number in constants.iter().filter_map(|text| text.parse::<i64>().ok()) {
        for near in [number.saturating_add(1), number, number.saturating_sub(1)] {
            texts.push(near.to_string());
        }
    }
    texts.push("0".to_owned());
    for negative in [false, true] {
        let mut sizes: Vec<&Number> = numbers
            .iter()
            .filter(|number| number.negative == negative && !number.digits.is_empty())
            .collect();
        sizes.sort_by(|one, other| (one.point, &one.digits).cmp(&(other.point, &other.digits)));
        sizes.dedup_by(|one, other| one.point == other.point && one.digits == other.digits);
        for pair in sizes.windows(2) {
            let [one, other] = pair else { continue };
            let mut digits = one.digits.clone();
            if one.point == other.point {
                let missing = other.digits.len().saturating_sub(digits.len());
                digits.push_str(&"0".repeat(missing));
            }
            digits.push('1');
            texts.push(write_number(negative, &digits, one.point));
        }
        for number in &sizes {
            texts.push(write_number(negative, &number.digits, number.point));
        }
        match (sizes.first(), sizes.last()) {
            (Some(least), Some(most)) => {
                texts.push(write_number(negative, &least.digits, least.point.saturating_sub(1)));
                texts.push(write_number(negative, &most.digits, most.point.saturating_add(1)));
            }
            _ => texts.push(write_number(negative, "1", 1)),
        }
    }
    complete
}

const FIRST_CIVIL: i64 = -62_167_219_200;
const LAST_CIVIL: i64 = 253_402_300_799;
/// The widest offset from UTC that can be written.
const WIDEST: i64 = 86_340;

/// A text that is read as this instant, if there is one.
fn write_instant(seconds: i64, nanos: u32) -> Option<String> {
    let (local, zone) = match seconds {
        FIRST_CIVIL..=LAST_CIVIL => (seconds, "Z"),
        _ if nanos == 0 && seconds >= 0 => return Some(seconds.to_string()),
        _ if seconds < 0 => (seconds.checked_add(WIDEST)?, "+23:59"),
        _ => (seconds.checked_sub(WIDEST)?, "-23:59"),
    };
    if !(FIRST_CIVIL..=LAST_CIVIL).contains(&local) {
        return None;
    }
    let (year, month, day, hour, minute, second) = Timestamp::from_unix_seconds(local).civil();
    let fraction = if nanos == 0 {
        String::new()
    } else {
        format!(".{nanos:09}")
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    ))
}

fn around_dates(constants: &[Instant], texts: &mut Vec<String>) {
    let mut sorted = constants.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut near: Vec<(i64, u32)> = Vec::new();
    for (seconds, nanos) in sorted.into_iter().map(|instant| (instant.seconds(), instant.nanos())) {
        let (after, before) = (seconds.saturating_add(1), seconds.saturating_sub(1));
        near.extend([(after, 0), (seconds, nanos), (before, 0), (seconds, 0)]);
        near.push(if nanos == 999_999_999 {
            (after, 0)
        } else {
            (seconds, nanos.saturating_add(1))
        });
        near.push(match nanos.checked_sub(1) {
            Some(nanos) => (seconds, nanos),
            None => (before, 999_999_999),
        });
    }
    near.extend([
        (FIRST_CIVIL.saturating_sub(WIDEST), 0),
        (i64::MAX, 0),
        (LAST_CIVIL.saturating_add(WIDEST), 999_999_999),
    ]);
    texts.extend(
        near.into_iter()
            .filter_map(|(seconds, nanos)| write_instant(seconds, nanos)),
    );
}

fn around_blocks(blocks: &[AddressBlock], texts: &mut Vec<String>) {
    // Addresses for documentation, then the beginning of every block and what follows its end: nothing changes between.
    let mut addresses: Vec<IpAddr> = vec![
        Ipv4Addr::new(203, 0, 113, 10).into(),
        Ipv4Addr::new(198, 51, 100, 10).into(),
        Ipv4Addr::new(192, 0, 2, 10).into(),
    ];
    for block in blocks {
        let (first, prefix) = block.range();
        match first {
            IpAddr::V4(first) => {
                let bits = first.to_bits();
                addresses.push(Ipv4Addr::from_bits(bits.saturating_add(1)).into());
                addresses.push(first.into());
                let size = 1_u64.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or_default();
                if let Ok(after) = u32::try_from(u64::from(bits).saturating_add(size)) {
                    addresses.push(Ipv4Addr::from_bits(after).into());
                }
            }
            IpAddr::V6(first) => {
                addresses.push(first.into());
                let after = 1_u128
                    .checked_shl(128_u32.saturating_sub(prefix))
                    .and_then(|size| first.to_bits().checked_add(size));
                if let Some(after) = after {
                    addresses.push(Ipv6Addr::from_bits(after).into());
                }
            }
        }
    }
    addresses.push(Ipv4Addr::UNSPECIFIED.into());
    addresses.push(Ipv6Addr::UNSPECIFIED.into());
    texts.extend(addresses.into_iter().map(|address| address.to_string()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every combination of answers that some sample shows is shown by a candidate too.
    fn covers(tests: &[Typed], samples: &[String]) {
        let tests: Vec<&Typed> = tests.iter().collect();
        let (texts, complete) = candidates(&tests);
        assert!(complete);
        let answers = |text: &str| tests.iter().map(|test| test.accepts(text)).collect::<Vec<_>>();
        for sample in samples {
            assert!(
                texts.iter().any(|text| answers(text) == answers(sample)),
                "{sample}: {:?} is not among {texts:?}",
                answers(sample)
            );
        }
    }

    #[test]
    fn instants_are_written_as_they_are_read() {
        for text in [
            "0",
            "2026-01-02T03:04:05.000000001Z",
            "0000-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59.5-23:59",
            "9223372036854775807",
            "300000000000",
        ] {
            let instant = Instant::parse(text).unwrap();
            let (seconds, nanos) = (instant.seconds(), instant.nanos());
            assert_eq!(
                Instant::parse(&write_instant(seconds, nanos).unwrap()),
                Some(instant),
                "{text}: {seconds} {nanos}"
            );
        }
    }

    proptest! {
        #[test]
        fn numbers(
            constants in prop::collection::vec("-?[0-9]{1,3}(\\.[0-9]{1,3})?(e-?[0-9])?", 1..5),
            samples in prop::collection::vec("-?[0-9]{1,4}(\\.[0-9]{1,5})?(e-?[0-9]{1,2})?", 20),
        ) {
            let mut all = samples;
            all.extend(constants.iter().cloned());
            let tests: Vec<Typed> = constants
                .iter()
                .flat_map(|constant| {
                    [Comparison::Equal, Comparison::Less].map(|comparison| Typed::Number(comparison, vec![constant.clone()]))
                })
                .collect();
            covers(&tests, &all);
        }

        #[test]
        fn dates(
            constants in prop::collection::vec((-3_i64..3, 0_u32..3), 1..4),
            samples in prop::collection::vec((-4_i64..5, 0_u32..4), 20),
            shift in prop::sample::select(vec![0, FIRST_CIVIL, LAST_CIVIL, LAST_CIVIL + WIDEST, 2_000_000_000]),
        ) {
            let text = |(seconds, nanos): (i64, u32)| write_instant(seconds + shift, nanos);
            let constants: Vec<Instant> = constants.into_iter().filter_map(text).map(|text| Instant::parse(&text).unwrap()).collect();
            let tests: Vec<Typed> = constants
                .iter()
                .flat_map(|constant| {
                    [Comparison::Equal, Comparison::Less].map(|comparison| Typed::Date(comparison, vec![*constant]))
                })
                .collect();
            covers(&tests, &samples.into_iter().filter_map(text).collect::<Vec<_>>());
        }

        #[test]
        fn addresses(
            constants in prop::collection::vec((0_u32..4, 0_u32..4, 0_u32..=32), 1..5),
            samples in prop::collection::vec((0_u32..4, 0_u32..4), 20),
        ) {
            let address = |high: u32, low: u32| Ipv4Addr::from_bits((high << 30) | low);
            let tests: Vec<Typed> = constants
                .iter()
                .map(|(high, low, prefix)| {
                    Typed::Address(vec![AddressBlock::parse(&format!("{}/{prefix}", address(*high, *low))).unwrap()])
                })
                .collect();
            covers(&tests, &samples.iter().map(|(high, low)| address(*high, *low).to_string()).collect::<Vec<_>>());
        }
    }
}
