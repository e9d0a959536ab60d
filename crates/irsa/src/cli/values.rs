//! Values that several commands take.

use std::time::Duration;

use irsa_core::Timestamp;

/// `namespace/name` of a service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServiceAccountName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::str::FromStr for ServiceAccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or("a service account is named `namespace/name`")?;
        if !irsa_webhook::manifest::is_namespace_name(namespace) {
            return Err(format!(
                "`{namespace}` is no namespace's name: lower-case letters, digits and hyphens"
            ));
        }
        if !irsa_webhook::manifest::is_service_account_name(name) {
            return Err(format!(
                "`{name}` is no service account's name: lower-case letters, digits, hyphens and dots"
            ));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A point in time, or a distance back from now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now.plus_seconds(-i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Some(time) = Timestamp::parse_iso8601(text) {
        return Ok(Moment::At(time));
    }
    duration(text)
        .map(Moment::Ago)
        .map_err(|_| "a time is `2026-11-22T10:00:00Z`, or a duration before now such as `15m`".to_owned())
}

/// `90s`, `10m`, `1h`, `2d`, `1h30m`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is a number with `s`, `m`, `h` or `d`, such as `1h30m`".to_owned();
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (unit, after) = match after.chars().next() {
            None if rest.len() == text.len() => (1, after),
            Some('s') => (1, &after[1..]),
            Some('m') => (60, &after[1..]),
            Some('h') => (3600, &after[1..]),
            Some('d') => (86_400, &after[1..]),
            _ => return Err(wrong()),
        };
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// Go's syntax of a duration: decimal numbers, each with `h`, `m`, `s`, `ms`, `us` or `ns`, such as `25m0s` or `1.5h`.
/// See <https://pkg.go.dev/time#ParseDuration>.
pub(super) fn go_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 8] = [
        // The longer names before their beginnings.
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let wrong = || "a duration is a number with `s`, `m` or `h`, such as `25m0s`".to_owned();
    let mut nanoseconds = 0_u64;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    while !rest.is_empty() {
        let end = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let (name, unit) = UNITS
            .into_iter()
            .find(|(name, _)| after.starts_with(name))
            .ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(fraction) {
            return Err(wrong());
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| wrong())?
        };
        let mut part = whole.checked_mul(unit).ok_or_else(wrong)?;
        let mut scale = unit;
        for digit in fraction.bytes() {
            scale /= 10;
            part = part.checked_add(u64::from(digit - b'0') * scale).ok_or_else(wrong)?;
        }
        nanoseconds = nanoseconds.checked_add(part).ok_or_else(wrong)?;
        rest = after.strip_prefix(name).unwrap_or_default();
    }
    match nanoseconds {
        0 => Err("a duration longer than none is needed, such as `25m0s`".to_owned()),
        _ => Ok(Duration::from_nanos(nanoseconds)),
    }
}

/// The words that Go's flags take for a truth value.
/// See <https://pkg.go.dev/strconv#ParseBool>.
pub(super) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("`true` or `false` is needed".to_owned()),
    }
}

/// A region becomes a part of ARNs, credential scopes and shell lines.
pub(super) fn region(text: &str) -> Result<String, String> {
    let well_formed = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err("a region is lower-case letters, digits and hyphens, such as `us-east-1`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h", 3600),
            ("2d", 172_800),
            ("1h30m", 5400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "h",
            "1x",
            "1h30",
            "-1s",
            "1.5h",
            "99999999999999999999s",
            "9999999999999999999d",
            "1ü",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_of_go() {
        for (text, milliseconds) in [
            ("25m0s", 1_500_000),
            ("25m", 1_500_000),
            ("1h15m30.5s", 4_530_500),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("300ms", 300),
            ("1500us", 1),
            ("+1s", 1_000),
        ] {
            let duration = go_duration(text).map(|duration| duration.as_millis());
            assert_eq!(duration, Ok(milliseconds), "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "-1s",
            "25",
            "1x",
            ".s",
            "1.2.3s",
            "s",
            "99999999999h",
            "1m2",
            "ü",
        ] {
            assert!(go_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        let now = Timestamp::parse_iso8601("2026-11-22T10:00:00Z").unwrap();
        assert_eq!(moment("15m").unwrap().before(now).iso8601(), "2026-11-22T09:45:00Z");
        assert_eq!(
            moment("2026-11-22T09:00:00Z").unwrap().before(now).iso8601(),
            "2026-11-22T09:00:00Z"
        );
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn service_account_names() {
        let name: ServiceAccountName = "app/s3-reader".parse().unwrap();
        assert_eq!((name.namespace.as_str(), name.name.as_str()), ("app", "s3-reader"));
        for text in ["s3-reader", "/a", "a/", "A/b", "a/b/c", "a b/c", "a:b/c", "../x"] {
            assert!(text.parse::<ServiceAccountName>().is_err(), "{text}");
        }
    }
}
