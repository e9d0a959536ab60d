//! Action patterns: `s3:Get*` against names, one pass a name, no backtracking.
//!
//! The pattern becomes a nondeterministic automaton whose states are the bits of one number (the shift-and method):
//! a byte of the name costs a shift, a mask and an or, however many wildcards the pattern has.

/// The longest `prefix:name` that a table holds, in bytes. Longer patterns than this match nothing, unless their
/// length is wildcards.
pub(crate) const LONGEST_ACTION: usize = 127;

/// A set of states: bit `n` is set if the first `n` signs of the pattern can have matched.
pub(crate) type States = u128;

#[derive(Clone, Debug)]
pub(crate) struct ActionPattern {
    /// For each ASCII byte, lower-cased, the signs that it satisfies.
    masks: Vec<States>,
    /// The states with a `*` after them.
    loops: States,
    accept: States,
}

impl ActionPattern {
    /// Reads a policy's action pattern: `*` is any run, `?` one character, ASCII letters match whatever the case.
    pub(crate) fn new(pattern: &str) -> Self {
        let mut masks = vec![0; 128];
        let mut loops: States = 0;
        let mut accept: States = 1;
        for byte in pattern.bytes() {
            if byte == b'*' {
                loops |= accept;
                continue;
            }
            if byte == b'?' {
                masks.iter_mut().for_each(|mask| *mask |= accept);
            } else if let Some(mask) = masks.get_mut(usize::from(byte.to_ascii_lowercase())) {
                *mask |= accept;
            }
            accept = accept.checked_shl(1).unwrap_or(0);
            if accept == 0 {
                // More signs than any name has bytes.
                break;
            }
        }
        Self { masks, loops, accept }
    }

    pub(crate) fn start(&self) -> States {
        1
    }

    /// The states after more of the text. No state left means that nothing can match any more.
    pub(crate) fn advance(&self, mut states: States, text: &str) -> States {
        for byte in text.bytes() {
            let mask = self.masks.get(usize::from(byte.to_ascii_lowercase())).copied();
            states = ((states & mask.unwrap_or(0)) << 1) | (states & self.loops);
            if states == 0 {
                break;
            }
        }
        states
    }

    /// The states after a service's prefix and the colon.
    pub(crate) fn after_prefix(&self, prefix: &str) -> States {
        self.advance(self.advance(self.start(), prefix), ":")
    }

    /// Whether every text that follows is accepted: the whole pattern has matched and ends with `*`.
    pub(crate) fn accepts_all_after(&self, states: States) -> bool {
        states & self.accept & self.loops != 0
    }

    pub(crate) fn accepts(&self, states: States) -> bool {
        states & self.accept != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = ActionPattern::new(pattern);
        pattern.accepts(pattern.advance(pattern.start(), text))
    }

    /// By the definition, sign by sign.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => naive(rest, text),
            (Some((b'*', rest)), Some((_, text_rest))) => naive(rest, text) || naive(pattern, text_rest),
            (Some((sign, rest)), Some((byte, text_rest))) => {
                (*sign == b'?' || sign.eq_ignore_ascii_case(byte)) && naive(rest, text_rest)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[aAbc:?*]{0,9}", text in "[abBc:]{0,9}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()), "{} {}", pattern, text);
        }

        #[test]
        fn takes_any_text(pattern in ".*", text in ".*") {
            matches(&pattern, &text);
        }
    }

    #[test]
    fn wildcards_stand_anywhere_and_case_does_not_count() {
        assert!(matches("s3:getobject", "s3:GetObject"));
        assert!(matches("S3:Get*", "s3:GetObject"));
        assert!(matches("s3:*Object", "s3:GetObject"));
        assert!(matches("s3:?etObject", "s3:GetObject"));
        assert!(matches("*", "s3:GetObject"));
        assert!(matches("*:*", "s3:GetObject"));
        assert!(matches("s3:GetObject*", "s3:GetObject"));
        assert!(!matches("s3:GetObject?", "s3:GetObject"));
        assert!(!matches("s3:Get.bject", "s3:GetObject"));
        assert!(!matches("", "s3:GetObject"));
        assert!(!matches("s3", "s3:GetObject"));
    }

    #[test]
    fn the_longest_pattern_that_can_match_does() {
        let name = "a".repeat(LONGEST_ACTION);
        assert!(matches(&name, &name));
        assert!(matches(&"?".repeat(LONGEST_ACTION), &name));
        assert!(!matches(&"?".repeat(LONGEST_ACTION + 1), &name));
        assert!(!matches(&"?".repeat(4000), &name));
        assert!(matches(&"*".repeat(4000), &name));
        assert!(matches(&"*a".repeat(LONGEST_ACTION), &name));
        assert!(!matches(&"*a".repeat(LONGEST_ACTION + 1), &name));
    }

    #[test]
    fn letters_outside_ascii_match_no_action() {
        assert!(!matches("s3:Gét*", "s3:GetObject"));
        assert!(!matches("s3:\u{212a}*", "s3:kms"));
    }
}
