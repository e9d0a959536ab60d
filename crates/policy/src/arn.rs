//! The patterns of `ArnLike` and `ArnEquals`, which are the same operator.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use crate::context::Context;
use crate::pattern::{Pattern, Syntax, Token, sixth_field, tokenize};
use crate::policy::Dialect;

/// An ARN pattern: each of the six fields for itself, split after variables are replaced. Wildcards of the first five
/// fields match no colon, so the pattern's colons and the value's go together one by one, and the whole is matched in
/// one go.
#[derive(Clone, Debug)]
pub(crate) enum ArnPattern {
    /// A lone `*`.
    Any,
    /// Without variables: its fields are known.
    Fixed(Pattern),
    /// With variables, whose values may bring colons.
    Variable(Pattern),
    /// Fewer than six fields, or a broken variable.
    Never,
}

impl ArnPattern {
    pub(crate) fn new(text: &str, dialect: &Dialect) -> Self {
        if text == "*" && dialect.profile.lone_star_matches_any_arn {
            return Self::Any;
        }
        let Some(mut tokens) = tokenize(text, Syntax::new(true, dialect.variables, &dialect.profile)) else {
            return Self::Never;
        };
        if tokens.iter().any(|token| matches!(token, Token::Variable(_))) {
            return Self::Variable(Pattern::of_tokens(tokens));
        }
        let Some(sixth) = sixth_field(&tokens, &[]) else {
            return Self::Never;
        };
        for token in tokens.iter_mut().take(sixth) {
            match token {
                Token::Run => *token = Token::RunInField,
                Token::One => *token = Token::OneInField,
                _ => {}
            }
        }
        Self::Fixed(Pattern::of(tokens))
    }

    /// Whether `arn` matches; a text without six fields matches only a lone `*`.
    pub(crate) fn matches(&self, arn: &str, context: &Context) -> bool {
        match self {
            Self::Any => true,
            Self::Fixed(pattern) => pattern.matches(arn, context),
            Self::Variable(pattern) => pattern.matches_fields(arn, context),
            Self::Never => false,
        }
    }

    /// The pattern with the request's values in place of its variables; `None` if there is none.
    pub(crate) fn resolved(&self, context: &Context) -> Option<String> {
        match self {
            Self::Variable(pattern) => pattern.resolved(context),
            Self::Any | Self::Fixed(_) | Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyKind;

    #[test]
    fn arn_conditions_never_cross_a_colon() {
        let none = Context::default();
        let matches = |pattern: &str, arn: &str| {
            ArnPattern::new(pattern, &Dialect::for_tests(PolicyKind::Identity, true)).matches(arn, &none)
        };
        assert!(matches(
            "arn:aws:sns:*:111122223333:t",
            "arn:aws:sns:us-east-1:111122223333:t"
        ));
        assert!(!matches("arn:aws:sns:*:t", "arn:aws:sns:us-east-1:111122223333:t"));
        assert!(!matches("arn:aws:iam::*:role/x", "arn:aws:iam::1:2:role/x"));
        assert!(matches("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/a:b/c"));
        assert!(!matches("arn:aws:iam::1:role/A", "arn:aws:iam::1:role/a"));
        assert!(matches("*", "not an arn"));
        assert!(!matches("*:*:*:*:*:*", "not an arn"));
        assert!(!matches("arn:aws:iam::1", "arn:aws:iam::1"));
    }

    #[test]
    fn variables_in_arn_conditions() {
        let mut context = Context::new();
        context.set("aws:PrincipalAccount", "111122223333");
        context.set("colon", "1:role/x");
        context.set("whole", "arn:aws:iam::1:role/*");
        context.set("one", "1");
        let matches = |pattern: &str, arn: &str| {
            ArnPattern::new(pattern, &Dialect::for_tests(PolicyKind::Identity, true)).matches(arn, &context)
        };
        assert!(matches(
            "arn:aws:iam::${aws:PrincipalAccount}:role/*",
            "arn:aws:iam::111122223333:role/x"
        ));
        // The fields are those of the text after replacing.
        assert!(matches("arn:aws:iam::${colon}", "arn:aws:iam::1:role/x"));
        assert!(matches("${whole}", "arn:aws:iam::1:role/*"));
        assert!(!matches("${whole}", "arn:aws:iam::1:role/x"));
        assert!(matches("arn:*:iam::${colon}*", "arn:aws:iam::1:role/x:y"));
        assert!(!matches("arn:*${colon}", "arn:aws:iam::1:role/x"));
        assert!(matches("arn:*:iam:${one}:*:role/?", "arn:aws:iam:1:2:role/x"));
        assert!(!matches("arn:*:iam:${one}:*:role/?", "arn:aws:iam:1:2:3:role/x"));
        assert!(!matches("${one}", "1"));
        assert!(!matches("arn:aws:iam::${colon}:role/x", "arn:aws:iam::1:role/x"));
    }
}
