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
    /// Its first eight bytes, folded.
    pub(crate) head: u64,
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
}

/// The first eight bytes with ASCII letters in lower case; some other bytes are made equal too. A shorter text is filled
/// up with a byte that is not compared.
fn head(bytes: &[u8]) -> u64 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let word = match bytes.first_chunk::<8>() {
        Some(chunk) => *chunk,
        None => {
            let mut word = [0_u8; 8];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            word
        }
    };
    u64::from_le_bytes(word) | CASE
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
    Wild(Box<Pattern>),
}

impl ActionPattern {
    fn new(text: &str) -> Self {
        let form = if text.contains(['*', '?']) {
            match Pattern::new(text, Syntax::WILDCARDS) {
                Pattern::Any => ActionForm::Any,
                pattern => ActionForm::Wild(Box::new(pattern)),
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
            ActionForm::Wild(pattern) => pattern.matches_ignoring_case(action.text, &NO_KEYS),
        }
    }

    /// The beginning of a pattern with wildcards, in a form that is compared at once.
    pub(crate) fn beginning(&self) -> Beginning {
        let literal = match &self.form {
            ActionForm::Any => "",
            ActionForm::Exact => &*self.text,
            ActionForm::Wild(pattern) => pattern.beginning(),
        };
        let compared = u32::try_from(literal.len().min(8)).unwrap_or_default();
        let mask = u64::MAX
            .checked_shr(64_u32.saturating_sub(compared.saturating_mul(8)))
            .unwrap_or_default();
        Beginning {
            head: head(literal.as_bytes()) & mask,
            mask,
        }
    }
}

/// The first bytes of a pattern, as many as are literal, but eight at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    head: u64,
    mask: u64,
}

impl Beginning {
    /// Whether the action can begin like this. A `true` may be wrong, a `false` never is.
    #[inline]
    pub(crate) fn fits(self, action: &Action<'_>) -> bool {
        action.head & self.mask == self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_never_rules_out_what_matches() {
        for (pattern, action) in [
            ("s3:*", "S3:GetObject"),
            ("s3:Get*", "s3:getobject"),
            ("S3:GETOBJECT*", "s3:GetObjectAcl"),
            ("*", "a"),
            ("*:Get?", "x:get1"),
            ("a*", "a"),
            ("ab?", "abc"),
            ("?3:Get*", "s3:Get"),
        ] {
            let pattern = ActionPattern::new(pattern);
            let action = Action::new(action);
            assert!(pattern.matches(&action), "{}", pattern.text);
            assert!(pattern.beginning().fits(&action), "{}", pattern.text);
        }
        for (pattern, action) in [("s3:*", "sts:AssumeRole"), ("s3:Get*", "s3:PutObject"), ("abc*", "ab")] {
            assert!(
                !ActionPattern::new(pattern).beginning().fits(&Action::new(action)),
                "{pattern}"
            );
        }
    }
}
