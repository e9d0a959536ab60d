use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// What an answer says about its own lifetime (RFC 9111).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Freshness {
    /// Nothing.
    Unsaid,
    /// It must be asked for anew each time.
    Revalidate,
    /// It is good for this long.
    For(Duration),
}

/// Reads `Cache-Control` and `Age`; dates are not looked at, since clocks disagree. A `max-age` that is no number counts as zero
/// (RFC 9111, section 4.2.1), one that is too large for its type as very long.
pub(crate) fn freshness(headers: &HeaderMap) -> Freshness {
    let mut found = Freshness::Unsaid;
    let directives = headers.get_all(CACHE_CONTROL);
    for directive in directives
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-cache" | "no-store" => return Freshness::Revalidate,
            "max-age" if found == Freshness::Unsaid => found = Freshness::For(Duration::from_secs(seconds(value))),
            _ => {}
        }
    }
    let Freshness::For(lifetime) = found else { return found };
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()).map_or(0, seconds);
    match lifetime.saturating_sub(Duration::from_secs(age)) {
        Duration::ZERO if lifetime.is_zero() => Freshness::Revalidate,
        remaining => Freshness::For(remaining),
    }
}

fn seconds(text: &str) -> u64 {
    let text = text.trim().trim_matches('"');
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jk_17_lifetimes() {
        let seconds = |count| Freshness::For(Duration::from_secs(count));
        for (value, age, expected) in [
            ("", "", Freshness::Unsaid),
            ("public", "", Freshness::Unsaid),
            ("public, max-age=3600", "", seconds(3600)),
            ("MAX-AGE=\"60\"", "", seconds(60)),
            ("max-age=60, max-age=90", "", seconds(60)),
            ("max-age=60", "20", seconds(40)),
            ("max-age=60", "9999", seconds(0)),
            ("max-age=60", "-1", seconds(60)),
            ("max-age=31536000", "", seconds(31_536_000)),
            ("max-age=99999999999999999999999", "", seconds(u64::MAX)),
            ("max-age=0", "", Freshness::Revalidate),
            ("max-age=-1", "", Freshness::Revalidate),
            ("max-age=soon", "", Freshness::Revalidate),
            ("max-age", "", Freshness::Revalidate),
            ("max-age=60, no-cache", "", Freshness::Revalidate),
            ("no-store", "", Freshness::Revalidate),
            ("s-maxage=5", "", Freshness::Unsaid),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, value.parse().unwrap());
            if !age.is_empty() {
                headers.insert(AGE, age.parse().unwrap());
            }
            assert_eq!(freshness(&headers), expected, "{value} {age}");
        }
    }
}
