//! Resource patterns: ARNs with wildcards, split at their first five colons.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>.

use crate::PolicyKind;
use crate::context::{Context, same};
use crate::pattern::{Pattern, Syntax, Token, tokenize};
use crate::policy::Dialect;

#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) patterns: Box<[ResourcePattern]>,
}

impl Resources {
    pub(crate) fn new<'n>(texts: impl Iterator<Item = &'n str>, negated: bool, dialect: &Dialect) -> Self {
        Self {
            negated,
            patterns: texts.map(|text| ResourcePattern::new(text, dialect)).collect(),
        }
    }

    /// Whether the element is about this resource.
    #[inline]
    pub(crate) fn cover(&self, resource: &str, context: &Context) -> bool {
        let named = self.patterns.iter().any(|pattern| pattern.matches(resource, context));
        named != self.negated
    }
}

/// One entry of `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(crate) struct ResourcePattern {
    pub(crate) text: Box<str>,
    form: Form,
    /// How long the literal text is that the pattern begins with, and the last eight bytes of it: what does not match
    /// mostly differs there, near the end of what all ARNs of a service share.
    literal: usize,
    end: u64,
}

#[derive(Clone, Debug)]
enum Form {
    /// `*` alone.
    Everything,
    /// The text itself.
    Exact,
    /// The text, whose last byte is `*`.
    Prefix,
    /// Anything else; of a short ARN both readings. None of them: it matches nothing.
    Readings(Box<[Pattern]>),
}

impl ResourcePattern {
    pub(crate) fn new(text: &str, dialect: &Dialect) -> Self {
        let (form, literal) = match simple(text) {
            Some(simple) => simple,
            None => Self::compiled(text, dialect),
        };
        let literal = match &form {
            // What the first reading begins with, a padded one begins with too.
            Form::Readings(readings) => readings.first().map_or("", Pattern::beginning),
            _ => literal,
        };
        let end = literal.as_bytes().last_chunk::<8>();
        Self {
            text: text.into(),
            literal: literal.len(),
            end: end.map_or(0, |end| u64::from_le_bytes(*end)),
            form,
        }
    }

    fn compiled<'n>(text: &'n str, dialect: &Dialect) -> (Form, &'n str) {
        match readings(text, dialect) {
            Some((tokens, None)) => match &*tokens {
                [Token::Literal(literal)] if **literal == *text => (Form::Exact, text),
                [Token::Literal(literal), Token::Run] if text.strip_suffix('*') == Some(literal) => {
                    (Form::Prefix, text.strip_suffix('*').unwrap_or_default())
                }
                _ => (Form::Readings([Pattern::of(tokens)].into()), ""),
            },
            Some((first, Some(padded))) => (Form::Readings([Pattern::of(first), Pattern::of(padded)].into()), ""),
            None => (Form::Readings([].into()), ""),
        }
    }

    /// Whether `resource` matches. The resource `*` of an action without resource types matches only a lone `*`.
    #[inline]
    pub(crate) fn matches(&self, resource: &str, context: &Context) -> bool {
        let bytes = resource.as_bytes();
        let Some(head) = bytes.get(..self.literal) else {
            return false;
        };
        if let Some(end) = head.last_chunk::<8>()
            && u64::from_le_bytes(*end) != self.end
        {
            return false;
        }
        match &self.form {
            Form::Everything => true,
            Form::Exact => same(self.text.as_bytes(), bytes),
            Form::Prefix => {
                let literal = self.text.as_bytes().get(..self.literal);
                resource != "*" && literal.is_some_and(|literal| same(literal, head))
            }
            Form::Readings(readings) => {
                resource != "*" && readings.iter().any(|reading| reading.matches(resource, context))
            }
        }
    }

    /// The literal text that everything that matches begins with.
    pub(crate) fn beginning(&self) -> &str {
        match &self.form {
            Form::Everything => "",
            Form::Exact | Form::Prefix => self.text.get(..self.literal).unwrap_or_default(),
            Form::Readings(readings) => readings.first().map_or("", Pattern::beginning),
        }
    }

    /// Whether nothing matches.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(&self.form, Form::Readings(readings) if readings.is_empty())
    }

    /// The pattern with the request's values in place of its variables.
    pub(crate) fn resolved(&self, context: &Context) -> Option<String> {
        match &self.form {
            Form::Readings(readings) => readings.first()?.resolved(context),
            Form::Everything | Form::Exact | Form::Prefix => None,
        }
    }
}

/// The form of what is seen at once: `*`, and six fields without any sign but a `*` at the end; with the literal text.
fn simple(text: &str) -> Option<(Form, &str)> {
    if text == "*" {
        return Some((Form::Everything, ""));
    }
    let literal = text.strip_suffix('*').unwrap_or(text);
    let colons = literal.bytes().filter(|byte| *byte == b':').count();
    if colons < 5 || literal.contains(['*', '?', '$']) {
        return None;
    }
    let form = if literal.len() == text.len() {
        Form::Exact
    } else {
        Form::Prefix
    };
    Some((form, literal))
}

pub(crate) type Readings = (Vec<Token>, Option<Vec<Token>>);

/// The tokens of `text`, wildcards confined to their fields, and for a short ARN also the padded form if this kind of
/// policy knows it. `None`: a broken or misplaced variable.
pub(crate) fn readings(text: &str, dialect: &Dialect) -> Option<Readings> {
    let tokens = tokenize(text, Syntax::new(true, dialect.variables, &dialect.profile))?;
    let (tokens, colons) = confine(tokens)?;
    if colons >= 5 || text == "*" {
        return Some((tokens, None));
    }
    let padded = match dialect.kind {
        _ if !dialect.profile.short_arns_are_padded => false,
        PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Session => true,
        PolicyKind::Resource | PolicyKind::Trust | PolicyKind::VpcEndpoint => text.contains('*'),
        // A service control policy's short ARN counts only with a trailing `*`, which needs no padding. In a resource
        // control policy it is not valid; as it can only deny, it is read as it stands.
        PolicyKind::ServiceControl | PolicyKind::ResourceControl => false,
    };
    // After a trailing `*`, which crosses colons, the padded form matches nothing more.
    if !padded || matches!(tokens.last(), Some(Token::Run)) {
        return Some((tokens, None));
    }
    let mut long = tokens.clone();
    for _ in colons..5 {
        long.push(Token::Literal(":".into()));
        long.push(Token::Run);
    }
    Some((tokens, Some(merge(long))))
}

/// Confines the wildcards before the fifth colon to their fields, except a `*` that ends its field: that one "can
/// expand to match beyond the colon boundaries". `None` if a variable stands before the fifth colon.
fn confine(mut tokens: Vec<Token>) -> Option<(Vec<Token>, usize)> {
    let mut colons = 0_usize;
    for index in 0..tokens.len() {
        let ends_field = match tokens.get(index.saturating_add(1)) {
            Some(Token::Literal(next)) => next.starts_with(':'),
            Some(_) => false,
            None => true,
        };
        match tokens.get_mut(index) {
            Some(Token::Literal(text)) => {
                colons = colons.saturating_add(text.bytes().filter(|byte| *byte == b':').count());
            }
            Some(token @ Token::Run) if colons < 5 && !ends_field => *token = Token::RunInField,
            Some(token @ Token::One) if colons < 5 => *token = Token::OneInField,
            Some(Token::Variable(_)) if colons < 5 => return None,
            _ => {}
        }
    }
    Some((tokens, colons))
}

/// Joins neighbouring literals.
fn merge(tokens: Vec<Token>) -> Vec<Token> {
    let mut merged: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        match (merged.last_mut(), token) {
            (Some(Token::Literal(before)), Token::Literal(text)) => *before = format!("{before}{text}").into(),
            (_, token) => merged.push(token),
        }
    }
    merged
}

#[cfg(test)]
pub(crate) fn confine_for_tests(text: &str) -> Vec<Vec<Token>> {
    let (first, padded) = readings(text, &Dialect::for_tests(PolicyKind::Identity, false)).unwrap();
    std::iter::once(first).chain(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, resource: &str) -> bool {
        matches_in(PolicyKind::Identity, pattern, resource)
    }

    fn matches_in(kind: PolicyKind, pattern: &str, resource: &str) -> bool {
        ResourcePattern::new(pattern, &Dialect::for_tests(kind, true)).matches(resource, &Context::default())
    }

    #[test]
    fn resources() {
        for (pattern, resource, expected) in [
            ("*", "arn:aws:s3:::b", true),
            ("*", "*", true),
            ("arn:*", "*", false),
            ("**", "*", false),
            ("?", "*", false),
            ("arn:aws:s3:::b", "arn:aws:s3:::b", true),
            ("arn:aws:s3:::b", "arn:aws:s3:::B", false),
            ("arn:aws:s3:::b", "arn:aws:s3:::b-evil", false),
            ("arn:aws:s3:::b", "arn:aws:s3:::b/k", false),
            ("arn:aws:s3:::b*", "arn:aws:s3:::b-evil/k", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("arn:aws:s3:::b/*/z", "arn:aws:s3:::b/x:y/\n/z", true),
            ("arn:aws:s3:::b/?", "arn:aws:s3:::b/é", true),
            ("arn:aws:ec2:*:*:*/*", "arn:aws:ec2:us-east-1:1:instance/i", true),
            ("arn:aws:iam::*:user/x", "arn:aws:iam::1:user/x", true),
            // A `*` that ends its field crosses colons; one inside does not; `?` never does.
            (
                "arn:aws:dynamodb:*:table/prod-*",
                "arn:aws:dynamodb:us-east-1:1:table/prod-x",
                true,
            ),
            ("arn:aws:x:us-*-1:1:r", "arn:aws:x:us-east-1:1:r", true),
            ("arn:aws:x:us-*-1:r", "arn:aws:x:us-east:1-1:r", false),
            ("arn:aws:x:*-1:1:r", "arn:aws:x:a:b-1:1:r", false),
            ("arn:aws:x:?:1:r", "arn:aws:x::1:r", false),
            ("arn:aws:x?:1:r:s", "arn:aws:x::1:r:s", false),
            // Short ARNs.
            ("arn:aws:s3", "arn:aws:s3:::b/k", true),
            ("arn:aws:s3:*", "arn:aws:s3:::b/k", true),
            ("arn:aws:sqs:*:*", "arn:aws:sqs:us-east-1:1:q", true),
            ("arn:aws:s", "arn:aws:s3:::b/k", false),
        ] {
            assert_eq!(matches(pattern, resource), expected, "{pattern} against {resource}");
        }
    }

    #[test]
    fn short_arns_depend_on_the_kind() {
        let resource = "arn:aws:sqs:us-east-1:1:q";
        for (kind, plain, inner, trailing) in [
            (PolicyKind::Identity, true, true, true),
            (PolicyKind::Session, true, true, true),
            (PolicyKind::Boundary, true, true, true),
            (PolicyKind::Resource, false, true, true),
            (PolicyKind::VpcEndpoint, false, true, true),
            (PolicyKind::ServiceControl, false, false, true),
            (PolicyKind::ResourceControl, false, false, true),
        ] {
            assert_eq!(matches_in(kind, "arn:aws:sqs", resource), plain, "{kind}");
            assert_eq!(matches_in(kind, "arn:a*s:sqs", resource), inner, "{kind}");
            assert_eq!(matches_in(kind, "arn:aws:sq*", resource), trailing, "{kind}");
        }
    }

    #[test]
    fn variables_only_after_the_fifth_colon() {
        let mut context = Context::new();
        context.set("k", "s3");
        let of = |text| ResourcePattern::new(text, &Dialect::for_tests(PolicyKind::Identity, true));
        assert!(of("arn:aws:s3:::${k}/*").matches("arn:aws:s3:::s3/x", &context));
        assert!(!of("arn:aws:${k}:::b").matches("arn:aws:s3:::b", &context));
        assert!(of("arn:aws:s3:::${aws:x, 'a:b'}").matches("arn:aws:s3:::a:b", &context));
    }
}
