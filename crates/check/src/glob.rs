//! Patterns with `*` and `?`: whether one matches a text, and whether one matches all that another does.

/// Whether a pattern matches a text. Linear in the product of their lengths.
pub(crate) fn matches(pattern: &str, text: &str, fold: bool) -> bool {
    run(pattern.as_bytes(), text.as_bytes(), |pattern, byte| {
        pattern == b'?' || same(pattern, byte, fold)
    })
}

/// Whether a pattern surely matches all that another pattern matches. `false` may also mean that it is not clear.
///
/// The other pattern is read as a text in which a `*` can only be matched by a `*`, and a `?` by `?` or `*`.
pub(crate) fn covers(pattern: &str, other: &str, fold: bool) -> bool {
    run(pattern.as_bytes(), other.as_bytes(), |pattern, byte| match byte {
        b'*' => false,
        b'?' => pattern == b'?',
        _ => pattern == b'?' || same(pattern, byte, fold),
    })
}

fn same(one: u8, other: u8, fold: bool) -> bool {
    one == other || (fold && one.eq_ignore_ascii_case(&other))
}

/// Greedy matching that goes back to the last `*` only, which is enough for globs.
fn run(pattern: &[u8], text: &[u8], one: impl Fn(u8, u8) -> bool) -> bool {
    let (mut at, mut here) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(here).copied() {
        match pattern.get(at).copied() {
            Some(b'*') => {
                star = Some((at, here));
                at = at.saturating_add(1);
            }
            Some(token) if one(token, byte) => {
                at = at.saturating_add(1);
                here = here.saturating_add(1);
            }
            _ => match &mut star {
                Some((back, taken)) => {
                    *taken = taken.saturating_add(1);
                    at = back.saturating_add(1);
                    here = *taken;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|token| *token == b'*')
}

/// Whether a text has a `*` or a `?`.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        assert!(matches("s3:Get*", "s3:getobject", true));
        assert!(!matches("s3:Get*", "s3:getobject", false));
        assert!(matches("a?c", "abc", false));
        assert!(!matches("a?c", "ac", false));
        assert!(matches("*a*b*", "xxaxxbxx", false));
        assert!(matches("*", "", false));
        assert!(!matches("", "x", false));
    }

    #[test]
    fn covering() {
        for (pattern, other) in [
            ("*", "s3:*"),
            ("s3:*", "s3:Get*"),
            ("s3:Get*", "s3:GetObject"),
            ("s3:*Object", "s3:*Object"),
            ("s3:*Object", "s3:Get*Object"),
            ("a?", "a?"),
            ("a*", "a?"),
            ("*ab", "*aab"),
        ] {
            assert!(covers(pattern, other, true), "{pattern} {other}");
        }
        for (pattern, other) in [
            ("s3:Get*", "s3:*"),
            ("iam:Get*", "iam:*CredentialReport"),
            ("a?", "a*"),
            ("ab", "a?"),
            ("a?c", "a*c"),
        ] {
            assert!(!covers(pattern, other, true), "{pattern} {other}");
        }
    }

    #[test]
    fn hostile_patterns_take_little_time() {
        let pattern = "*a".repeat(2000);
        assert!(!matches(&format!("{pattern}b"), &"a".repeat(20_000), false));
    }
}
