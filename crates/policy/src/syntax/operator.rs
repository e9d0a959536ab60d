//! Names of condition operators.

/// An operator with its qualifier and suffix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Operator {
    /// `ForAllValues:`, `ForAnyValue:` or neither.
    pub quantifier: Quantifier,
    /// What is compared.
    pub predicate: Predicate,
    /// Whether it is the `Not` form.
    pub negated: bool,
    /// Whether it ends in `IfExists`.
    pub if_exists: bool,
}

/// `ForAllValues:`, `ForAnyValue:` or neither.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantifier {
    /// No set qualifier.
    None,
    /// `ForAllValues:`.
    All,
    /// `ForAnyValue:`.
    Any,
}

/// What is compared, and how, before any negation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Predicate {
    /// Exact text.
    StringEquals,
    /// Text without regard to ASCII case.
    StringEqualsIgnoreCase,
    /// Text with wildcards.
    StringLike,
    /// Exact decimal numbers.
    Numeric(Comparison),
    /// Instants.
    Date(Comparison),
    /// `true` or `false`.
    Bool,
    /// Bytes, in base64.
    Binary,
    /// An address in a block.
    IpAddress,
    /// `ArnEquals` and `ArnLike` are one operator.
    Arn,
    /// Whether the key is absent.
    Null,
}

/// How the request's value stands to the policy's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// The request's is less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
}

const NAMES: [(&str, Predicate, bool); 27] = [
    ("StringEquals", Predicate::StringEquals, false),
    ("StringNotEquals", Predicate::StringEquals, true),
    ("StringEqualsIgnoreCase", Predicate::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Predicate::StringEqualsIgnoreCase, true),
    ("StringLike", Predicate::StringLike, false),
    ("StringNotLike", Predicate::StringLike, true),
    ("NumericEquals", Predicate::Numeric(Comparison::Equal), false),
    ("NumericNotEquals", Predicate::Numeric(Comparison::Equal), true),
    ("NumericLessThan", Predicate::Numeric(Comparison::Less), false),
    (
        "NumericLessThanEquals",
        Predicate::Numeric(Comparison::LessOrEqual),
        false,
    ),
    ("NumericGreaterThan", Predicate::Numeric(Comparison::Greater), false),
    (
        "NumericGreaterThanEquals",
        Predicate::Numeric(Comparison::GreaterOrEqual),
        false,
    ),
    ("DateEquals", Predicate::Date(Comparison::Equal), false),
    ("DateNotEquals", Predicate::Date(Comparison::Equal), true),
    ("DateLessThan", Predicate::Date(Comparison::Less), false),
    ("DateLessThanEquals", Predicate::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Predicate::Date(Comparison::Greater), false),
    (
        "DateGreaterThanEquals",
        Predicate::Date(Comparison::GreaterOrEqual),
        false,
    ),
    ("Bool", Predicate::Bool, false),
    ("BinaryEquals", Predicate::Binary, false),
    ("IpAddress", Predicate::IpAddress, false),
    ("NotIpAddress", Predicate::IpAddress, true),
    ("ArnEquals", Predicate::Arn, false),
    ("ArnLike", Predicate::Arn, false),
    ("ArnNotEquals", Predicate::Arn, true),
    ("ArnNotLike", Predicate::Arn, true),
    ("Null", Predicate::Null, false),
];

impl Operator {
    /// Whether it has no set qualifier.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self.quantifier == Quantifier::None
    }

    /// Reads a name in any case. `None` for an unknown one, `NullIfExists` included.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (quantifier, rest) = if let Some(rest) = strip_prefix(name, "ForAllValues:") {
            (Quantifier::All, rest)
        } else if let Some(rest) = strip_prefix(name, "ForAnyValue:") {
            (Quantifier::Any, rest)
        } else {
            (Quantifier::None, name)
        };
        let suffix = rest.len().checked_sub("IfExists".len());
        let (rest, if_exists) = match suffix.and_then(|at| rest.split_at_checked(at)) {
            Some((rest, suffix)) if suffix.eq_ignore_ascii_case("IfExists") => (rest, true),
            _ => (rest, false),
        };
        let (_, predicate, negated) = NAMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(rest))?;
        (*predicate != Predicate::Null || !if_exists).then_some(Self {
            quantifier,
            predicate: *predicate,
            negated: *negated,
            if_exists,
        })
    }
}

fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case() {
        let operator = Operator::parse("forallvalues:STRINGnotLIKEifexists").unwrap();
        assert_eq!(
            operator,
            Operator {
                quantifier: Quantifier::All,
                predicate: Predicate::StringLike,
                negated: true,
                if_exists: true
            }
        );
        for (name, ..) in NAMES {
            assert!(Operator::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn unknown_names() {
        for name in [
            "",
            "IfExists",
            "StringEqual",
            "NullIfExists",
            "ForAnyValue:",
            "ForAllValues:NullIfExists",
            "StringEquals ",
            "ForAnyValue:ForAllValues:StringEquals",
            "StringEqualsIfExistsIfExists",
            "Ünicode",
            "NotBool",
        ] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
    }
}
