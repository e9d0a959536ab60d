//! Instants, as dates of the W3C profile of ISO 8601 or as seconds since 1970.
//!
//! See <https://www.w3.org/TR/NOTE-datetime> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use std::cmp::Ordering;

use super::Choices;

/// Seconds since 1970, and the digits of their fraction without trailing zeros.
type Instant = (i128, String);

/// Compares two texts as instants; `None` if one is none.
pub(super) fn compare(left: &str, right: &str, choices: &Choices) -> Option<Ordering> {
    Some(instant(left, choices)?.cmp(&instant(right, choices)?))
}

fn instant(text: &str, choices: &Choices) -> Option<Instant> {
    let is_year = text.len() == 4 && !choices.digits_are_epoch_seconds;
    match epoch(text) {
        Some(seconds) if !is_year => Some((seconds, String::new())),
        _ => calendar(text),
    }
}

/// Digits and nothing else; 64 bits hold every second that anybody means.
fn epoch(text: &str) -> Option<i128> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits {
        return None;
    }
    let seconds: i64 = text.parse().ok()?;
    Some(seconds.into())
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a day and `Thh:mmTZD`, `Thh:mm:ssTZD`, `Thh:mm:ss.fTZD`.
fn calendar(text: &str) -> Option<Instant> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let (year, month, day) = match (parts.as_slice(), time) {
        ([year], None) => (number(year, 4)?, 1, 1),
        ([year, month], None) => (number(year, 4)?, number(month, 2)?, 1),
        ([year, month, day], _) => (number(year, 4)?, number(month, 2)?, number(day, 2)?),
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970) + days_before_month(year, month) + day - 1;
    match time {
        None => Some((days * 86_400, String::new())),
        Some(time) => {
            let (seconds, fraction) = time_of_day(time)?;
            Some((days * 86_400 + seconds, fraction))
        }
    }
}

/// The time with its zone, as seconds from midnight of the same date in UTC.
fn time_of_day(text: &str) -> Option<Instant> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at(zone_at);
    let offset = zone_minutes(zone)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match (parts.as_slice(), fraction) {
        ([hour, minute], None) => (number(hour, 2)?, number(minute, 2)?, 0),
        ([hour, minute, second], _) => (number(hour, 2)?, number(minute, 2)?, number(second, 2)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = fraction.unwrap_or("0");
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = hour * 3600 + (minute - offset) * 60 + second;
    // A nanosecond is the shortest time there is.
    let fraction = &fraction[..fraction.len().min(9)];
    Some((seconds, fraction.trim_end_matches('0').to_owned()))
}

/// `Z`, `+hh:mm` or `-hh:mm`.
fn zone_minutes(zone: &str) -> Option<i128> {
    if zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = hours * 60 + minutes;
    Some(if zone.starts_with('-') { -offset } else { offset })
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i128> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn is_leap(year: i128) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in_month(year: i128, month: i128) -> i128 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_before_month(year: i128, month: i128) -> i128 {
    (1..month).map(|month| days_in_month(year, month)).sum()
}

/// Days from the first day of year 0; year 0 is a leap year.
fn days_before_year(year: i128) -> i128 {
    let leap_years = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    year * 365 + leap_years
}
