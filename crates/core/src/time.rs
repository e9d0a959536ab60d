use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant in milliseconds since the Unix epoch. Negative before 1970.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// An instant from whole seconds; saturates far outside of any calendar.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// An instant from milliseconds.
    #[must_use]
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// The instant `seconds` later, or earlier if negative.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Year, month, day, hour, minute, second in UTC (proleptic Gregorian).
    #[must_use]
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let seconds = self.unix_seconds();
        let days = seconds.div_euclid(86_400);
        let of_day = u32::try_from(seconds.rem_euclid(86_400)).unwrap_or_default();
        // Days to civil date by eras of 400 years, counted from 0000-03-01.
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (
            year,
            u32::try_from(month).unwrap_or(1),
            u32::try_from(day).unwrap_or(1),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
        )
    }

    /// The instant of a UTC date and time; `None` if a field is out of its range.
    #[must_use]
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<Self> {
        if !(-9999..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let month_from_march = i64::from(if month > 2 { month - 3 } else { month + 9 });
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(Self::from_unix_seconds(days * 86_400 + of_day))
    }

    /// `2026-01-02T03:04:05Z`: the form of AWS's XML answers and CloudTrail records.
    #[must_use]
    pub fn iso8601(self) -> String {
        let (year, month, day, hour, minute, second) = self.civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `20260102T030405Z`: the form of `X-Amz-Date`.
    #[must_use]
    pub fn basic(self) -> String {
        let (year, month, day, hour, minute, second) = self.civil();
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// Reads `20260102T030405Z`.
    #[must_use]
    pub fn parse_basic(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<u32> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        Self::from_civil(
            i64::from(number(0, 4)?),
            number(4, 6)?,
            number(6, 8)?,
            number(9, 11)?,
            number(11, 13)?,
            number(13, 15)?,
        )
    }

    /// Reads `2026-01-02T03:04:05Z`, with or without a fraction, which is kept to milliseconds.
    #[must_use]
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if punctuation.iter().any(|(at, byte)| bytes.get(*at) != Some(byte)) {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<u32> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        let base = Self::from_civil(
            i64::from(number(0, 4)?),
            number(5, 7)?,
            number(8, 10)?,
            number(11, 13)?,
            number(14, 16)?,
            number(17, 19)?,
        )?;
        let rest = text.get(19..)?.strip_suffix('Z')?;
        if rest.is_empty() {
            return Some(base);
        }
        let fraction = rest.strip_prefix('.')?;
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
        Some(Self(base.0.saturating_add(millis.parse().ok()?)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso8601())
    }
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Where the time comes from: the machine's clock in the server, a set one in tests.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(Timestamp::from_unix_seconds(0).iso8601(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::from_unix_seconds(1_767_323_045).iso8601(),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(
            Timestamp::from_unix_seconds(951_782_400).iso8601(),
            "2000-02-29T00:00:00Z"
        );
        assert_eq!(Timestamp::from_unix_seconds(-1).iso8601(), "1969-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix_seconds(1_767_323_045).basic(), "20260102T030405Z");
    }

    #[test]
    fn forms_round_trip() {
        for seconds in [0, 1, 951_782_399, 951_868_800, 1_767_323_045, 4_102_444_800] {
            let instant = Timestamp::from_unix_seconds(seconds);
            assert_eq!(Timestamp::parse_basic(&instant.basic()), Some(instant));
            assert_eq!(Timestamp::parse_iso8601(&instant.iso8601()), Some(instant));
        }
        assert_eq!(
            Timestamp::parse_iso8601("1970-01-01T00:00:00.25Z"),
            Some(Timestamp::from_unix_millis(250))
        );
    }

    #[test]
    fn bad_forms() {
        for bad in [
            "",
            "20260231T000000Z",
            "20260101T240000Z",
            "20260101T0000é0Z",
            "+0260101T000000Z",
            "20260101T000000z",
        ] {
            assert_eq!(Timestamp::parse_basic(bad), None, "{bad}");
        }
        for bad in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01 00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_iso8601(bad), None, "{bad}");
        }
    }
}
