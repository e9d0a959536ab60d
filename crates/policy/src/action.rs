//! Actions: what a request asks for, and the patterns of `Action` and `NotAction`.
//!
//! Actions compare without regard to ASCII case, both halves.
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>.

use crate::context::{NO_KEYS, key_hash, same_name};
use crate::pattern::{Pattern, Syntax, starts_with};

/// The action of a request, prepared for comparing.
pub(crate) struct Action<'r> {
    pub(crate) text: &'r str,
    pub(crate) hash: u32,
    /// Its beginning, folded.
    head: Head,
}

impl<'r> Action<'r> {
    #[inline]
    pub(crate) fn new(text: &'r str) -> Self {
        Self {
            text,
            hash: key_hash(text.as_bytes()),
            head: head(text.as_bytes()),
        }
    }

    #[inline]
    pub(crate) fn is(&self, name: &str) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }

    #[inline]
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        starts_with::<true>(self.text.as_bytes(), prefix)
    }

    /// Whether it is an action of this service, whose name is given in lower case and with its colon: four bytes.
    #[inline]
    pub(crate) fn is_of(&self, service: &[u8; 4]) -> bool {
        let [low, _] = self.head;
        low & 0xffff_ffff == u64::from(u32::from_le_bytes(*service))
    }
}

/// The first sixteen bytes of a text with ASCII letters in lower case, filled up with zeros.
type Head = [u64; 2];

#[inline]
fn head(bytes: &[u8]) -> Head {
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    let [low, high] = match (bytes.first_chunk::<8>(), bytes.get(8..)) {
        (Some(low), Some(rest)) => {
            let high = match rest.first_chunk::<8>() {
                Some(high) => word(high),
                // The last eight bytes, less those that are in the first eight.
                None => {
                    let missing = 8_u32.saturating_sub(u32::try_from(rest.len()).unwrap_or(8));
                    let last = bytes.last_chunk::<8>().map_or(0, word);
                    last.checked_shr(missing.saturating_mul(8)).unwrap_or_default()
                }
            };
            [word(low), high]
        }
        _ => {
            let mut low = [0_u8; 8];
            for (to, from) in low.iter_mut().zip(bytes) {
                *to = *from;
            }
            [u64::from_le_bytes(low), 0]
        }
    };
    [lower(low), lower(high)]
}

/// Eight bytes at once: those from `A` to `Z` get the bit that makes them small.
#[inline]
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    let low_bits = word & !HIGH;
    let from_a = low_bits.wrapping_add(ONES * (0x80 - 0x41));
    let after_z = low_bits.wrapping_add(ONES * (0x80 - 0x5b));
    let capitals = (from_a ^ after_z) & !word & HIGH;
    word | capitals >> 2
}

#[derive(Clone, Debug)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) patterns: Box<[ActionPattern]>,
}

impl Actions {
    pub(crate) fn new<'n>(texts: impl Iterator<Item = &'n str>, negated: bool) -> Self {
        Self {
            negated,
            patterns: texts.map(ActionPattern::new).collect(),
        }
    }

    /// Whether the element is about this action.
    #[inline]
    pub(crate) fn cover(&self, action: &Action<'_>) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(action)) != self.negated
    }
}

/// One entry of `Action` or `NotAction`.
#[derive(Clone, Debug)]
pub(crate) struct ActionPattern {
    pub(crate) text: Box<str>,
    pub(crate) form: ActionForm,
    /// The hash of the text: most entries name one operation, and are told apart by a number.
    pub(crate) hash: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum ActionForm {
    /// `*`.
    Any,
    /// The text names one operation.
    Exact,
    /// Wildcards.
    Wild(Box<Wild>),
}

#[derive(Clone, Debug)]
pub(crate) struct Wild {
    pub(crate) beginning: Beginning,
    pattern: Pattern,
}

impl ActionPattern {
    fn new(text: &str) -> Self {
        let form = if text.contains(['*', '?']) {
            match Pattern::new(text, Syntax::WILDCARDS) {
                Pattern::Any => ActionForm::Any,
                pattern => ActionForm::Wild(Box::new(Wild {
                    beginning: Beginning::new(&pattern),
                    pattern,
                })),
            }
        } else {
            ActionForm::Exact
        };
        Self {
            text: text.into(),
            form,
            hash: key_hash(text.as_bytes()),
        }
    }

    #[inline]
    pub(crate) fn matches(&self, action: &Action<'_>) -> bool {
        match &self.form {
            ActionForm::Any => true,
            ActionForm::Exact => self.hash == action.hash && same_name(self.text.as_bytes(), action.text.as_bytes()),
            ActionForm::Wild(wild) => match wild.beginning.fits(action) {
                Fit::No => false,
                Fit::Yes => true,
                Fit::Perhaps => wild.pattern.matches_ignoring_case(action.text, &NO_KEYS),
            },
        }
    }
}

/// The first bytes of a pattern with wildcards, as many as are literal, but sixteen at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    head: Head,
    mask: Head,
    /// Its length, and whether nothing but `*` follows.
    length: u32,
    is_all: bool,
}

/// How an action and the beginning of a pattern go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fit {
    No,
    Perhaps,
    Yes,
}

impl Beginning {
    fn new(pattern: &Pattern) -> Self {
        let literal = pattern.beginning();
        let length = literal.len().min(16);
        // All ones in the literal's bytes.
        let ones = |bytes: usize| {
            let bits = u32::try_from(bytes.min(8)).unwrap_or_default().saturating_mul(8);
            u64::MAX.checked_shr(64_u32.saturating_sub(bits)).unwrap_or_default()
        };
        let mask = [ones(length), ones(length.saturating_sub(8))];
        let [head_low, head_high] = head(literal.as_bytes());
        let [mask_low, mask_high] = mask;
        Self {
            head: [head_low & mask_low, head_high & mask_high],
            mask,
            length: u32::try_from(length).unwrap_or_default(),
            is_all: matches!(pattern, Pattern::Prefix(prefix) if prefix.len() <= 16),
        }
    }

    /// What all of these begin with.
    pub(crate) fn common(all: impl Iterator<Item = Self>) -> Self {
        all.reduce(|one, other| {
            let ([a, b], [c, d]) = (one.head, other.head);
            let ([m, n], [o, p]) = (one.mask, other.mask);
            // The bits in which both agree, whole bytes from the first on.
            let leading = |differing: u64| {
                let bits = differing.trailing_zeros() & !7;
                u64::MAX.checked_shr(64_u32.saturating_sub(bits)).unwrap_or_default()
            };
            let low = leading(a ^ c) & m & o;
            let high = if low == u64::MAX { leading(b ^ d) & n & p } else { 0 };
            Self {
                head: [a & low, b & high],
                mask: [low, high],
                length: (low.count_ones() + high.count_ones()) / 8,
                is_all: false,
            }
        })
        .unwrap_or(Self {
            head: [1, 0],
            mask: [0, 0],
            length: 0,
            is_all: false,
        })
    }

    /// Whether the action begins like this.
    #[inline]
    pub(crate) fn fits(&self, action: &Action<'_>) -> Fit {
        let ([low, high], [mask_low, mask_high], [head_low, head_high]) = (action.head, self.mask, self.head);
        if low & mask_low != head_low || high & mask_high != head_high || action.text.len() < self.length as usize {
            Fit::No
        } else if self.is_all {
            Fit::Yes
        } else {
            Fit::Perhaps
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beginnings() {
        for (pattern, action, expected) in [
            ("s3:*", "S3:GetObject", Fit::Yes),
            ("s3:Get*", "s3:getobject", Fit::Yes),
            ("S3:GETOBJECT*", "s3:GetObjectAcl", Fit::Yes),
            ("S3:GETOBJECT*", "s3:GetObject", Fit::Yes),
            ("dynamodb:BatchGet*", "dynamodb:BatchGetItem", Fit::Perhaps),
            ("*:Get?", "x:get1", Fit::Perhaps),
            ("ab?", "abc", Fit::Perhaps),
            ("s3:*", "sts:AssumeRole", Fit::No),
            ("s3:Get*", "s3:PutObject", Fit::No),
            ("abc*", "ab", Fit::No),
            ("ab\0*", "ab", Fit::No),
            ("s3[*", "s3{", Fit::No),
            ("s3:@*", "s3:`", Fit::No),
        ] {
            let pattern = ActionPattern::new(pattern);
            let action = Action::new(action);
            let ActionForm::Wild(wild) = &pattern.form else {
                panic!()
            };
            assert_eq!(
                wild.beginning.fits(&action),
                expected,
                "{} {}",
                pattern.text,
                action.text
            );
            assert_eq!(
                pattern.matches(&action),
                expected != Fit::No,
                "{} {}",
                pattern.text,
                action.text
            );
        }
    }

    proptest! {
        /// What one of several beginnings fits, the common one fits.
        #[test]
        fn common_beginnings(literals in prop::collection::vec("[abA:]{0,18}", 1..4), action in "[abA:]{0,20}") {
            let beginnings: Vec<Beginning> = literals
                .iter()
                .map(|literal| Beginning::new(&Pattern::new(&format!("{literal}*"), Syntax::WILDCARDS)))
                .collect();
            let action = Action::new(&action);
            let common = Beginning::common(beginnings.iter().copied());
            if beginnings.iter().any(|beginning| beginning.fits(&action) != Fit::No) {
                prop_assert_ne!(common.fits(&action), Fit::No);
            }
        }

        #[test]
        fn patterns_agree_with_the_slow_way(pattern in "[aA:\\*\\?]{0,3}[a-cA-C:@Z`\\[]{0,20}[\\*\\?]{0,2}[aA]?", action in "[aA:]{0,3}[a-cA-C:@Z`\\[]{0,20}") {
            let slow = Pattern::new(&pattern, Syntax::WILDCARDS).matches_ignoring_case(&action, &NO_KEYS);
            prop_assert_eq!(ActionPattern::new(&pattern).matches(&Action::new(&action)), slow);
        }

        #[test]
        fn a_literal_beginning_with_a_star(action in "\\PC{0,24}", cut in 0_usize..24) {
            let literal: String = action.chars().filter(|c| !matches!(c, '*' | '?')).take(cut).collect();
            let pattern = format!("{}*", literal.to_ascii_uppercase());
            let expected = action.to_ascii_lowercase().starts_with(&literal.to_ascii_lowercase());
            prop_assert_eq!(ActionPattern::new(&pattern).matches(&Action::new(&action)), expected);
        }
    }
}
