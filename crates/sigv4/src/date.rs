//! The `Date` header, for the few signers that send no `x-amz-date`.

use irsa_core::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, the one form that may be sent) or `19941106T084937Z`.
pub(crate) fn parse_date_header(text: &str) -> Option<Timestamp> {
    if let Some(instant) = Timestamp::parse_basic(text) {
        return Some(instant);
    }
    let (_day_name, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day = digits(words.next()?, 2)?;
    let month = words.next()?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let year = digits(words.next()?, 4)?;
    let mut clock = words.next()?.split(':');
    let hour = digits(clock.next()?, 2)?;
    let minute = digits(clock.next()?, 2)?;
    let second = digits(clock.next()?, 2)?;
    if clock.next().is_some() || words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    Timestamp::from_civil(i64::from(year), month, day, hour, minute, second)
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let expected = Timestamp::from_civil(1994, 11, 6, 8, 49, 37);
        assert!(expected.is_some());
        assert_eq!(parse_date_header("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(parse_date_header("19941106T084937Z"), expected);
    }

    #[test]
    fn other_forms() {
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_date_header(bad), None, "{bad}");
        }
    }
}
