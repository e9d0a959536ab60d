//! Conditions.

use super::Random;
use super::access::{self, recased};
use super::text;
use super::words::{self, KEYS, Type};
use crate::case::DraftCondition;
use crate::evaluator::Choices;
use crate::evaluator::{Base, Condition, Keys, OPERATORS, Quantifier, Values, binary, holds, value_of};

/// A condition that holds for the keys, or one that does not, if a few tries find one.
pub(super) fn condition(random: &mut Random, keys: &Keys, has_variables: bool, wanted: bool) -> DraftCondition {
    let mut last = None;
    for _ in 0..5 {
        let (draft, condition) = attempt(random, keys);
        if holds(&condition, has_variables, keys, &Choices::AWS) == wanted {
            return draft;
        }
        last = Some(draft);
    }
    last.unwrap_or_else(|| attempt(random, keys).0)
}

fn attempt(random: &mut Random, keys: &Keys) -> (DraftCondition, Condition) {
    let (name, kind) = key(random, keys);
    let (operator, base, negated) = if random.percent(75) {
        let fitting: Vec<_> = OPERATORS.into_iter().filter(|(_, base, _)| fits(*base, kind)).collect();
        fitting[random.below(fitting.len())]
    } else {
        random.pick(&OPERATORS)
    };
    let found = value_of(keys, &name);
    let prefers_set = matches!(found, Some(Values::List(_)));
    let quantifier = if random.percent(if prefers_set { 85 } else { 15 }) {
        random.pick(&[Quantifier::ForAllValues, Quantifier::ForAnyValue])
    } else {
        Quantifier::Plain
    };
    let if_exists = base != Base::Null && random.one_in(5);
    let count = if random.one_in(40) {
        0
    } else {
        random.pick(&[1, 1, 1, 2, 2, 3])
    };
    let values: Vec<String> = (0..count).map(|_| value(random, base, kind, found, keys)).collect();
    let written = match quantifier {
        Quantifier::Plain => "",
        Quantifier::ForAllValues => "ForAllValues:",
        Quantifier::ForAnyValue => "ForAnyValue:",
    };
    let mut written = format!("{written}{operator}{}", if if_exists { "IfExists" } else { "" });
    if random.one_in(12) {
        written = text::swapped_case(&written, random);
    }
    let draft = DraftCondition {
        operator: written,
        key: recased(&name, random),
        values: values.clone(),
    };
    let condition = Condition {
        quantifier,
        base,
        negated,
        if_exists,
        key: name,
        values,
    };
    (draft, condition)
}

/// A key: mostly one of the request's.
fn key(random: &mut Random, keys: &Keys) -> (String, Type) {
    if !keys.is_empty() && random.percent(75) {
        let (name, _) = &keys[random.below(keys.len())];
        let known = KEYS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
        (name.clone(), known.map_or(Type::Text, |(_, kind, _)| *kind))
    } else {
        let (name, kind, _) = random.pick(&KEYS);
        (name.to_owned(), kind)
    }
}

fn fits(base: Base, kind: Type) -> bool {
    use Base::*;
    match base {
        StringEquals | StringEqualsIgnoreCase | StringLike => kind == Type::Text,
        NumericEquals | NumericLessThan | NumericLessThanEquals | NumericGreaterThan | NumericGreaterThanEquals => {
            kind == Type::Number
        }
        DateEquals | DateLessThan | DateLessThanEquals | DateGreaterThan | DateGreaterThanEquals => kind == Type::Date,
        Bool => kind == Type::Bool,
        BinaryEquals => kind == Type::Binary,
        IpAddress => kind == Type::Ip,
        ArnEquals | ArnLike => kind == Type::Arn,
        Null => true,
    }
}

/// A value for an operator, mostly made from one of the request's.
fn value(random: &mut Random, base: Base, kind: Type, found: Option<&Values>, keys: &Keys) -> String {
    let given = match found {
        Some(Values::One(value)) => value.clone(),
        Some(Values::List(values)) => values[random.below(values.len())].clone(),
        None => access::value(random, kind),
    };
    if random.one_in(12) {
        return access::value(random, kind);
    }
    match base {
        Base::StringEqualsIgnoreCase if random.one_in(4) => {
            if random.one_in(2) {
                given.to_uppercase()
            } else {
                given.to_lowercase()
            }
        }
        Base::StringEquals | Base::StringEqualsIgnoreCase => match random.below(8) {
            0..=2 => given,
            3 => text::swapped_case(&given, random),
            4 => text::escaped(&given),
            5 => text::with_variable(&given, keys, random),
            6 => text::widened(&given, random),
            _ => text::bent(&given, random),
        },
        Base::StringLike => like(random, &given, keys),
        Base::ArnEquals | Base::ArnLike => match random.below(8) {
            0 => "*".to_owned(),
            1..=2 => fields_widened(&given, random),
            _ => like(random, &given, keys),
        },
        Base::Bool => match random.below(6) {
            0..=2 => given,
            3 => text::with_variable(&given, keys, random),
            _ => access::value(random, Type::Bool),
        },
        Base::Null => random
            .pick(&["true", "false", "true", "false", "True", "FALSE", "", "0"])
            .to_owned(),
        Base::BinaryEquals => match random.below(6) {
            0..=2 => binary::encode(given.as_bytes()),
            3 => given,
            4 => text::bent(&binary::encode(given.as_bytes()), random),
            _ => binary::encode(access::value(random, Type::Text).as_bytes()),
        },
        Base::IpAddress => match random.below(4) {
            0 => given,
            1 => format!(
                "{given}/{}",
                random.pick(&["0", "1", "8", "24", "31", "32", "33", "64", "127", "128", "129"])
            ),
            _ => random.pick(&words::BLOCKS).to_owned(),
        },
        Base::NumericEquals
        | Base::NumericLessThan
        | Base::NumericLessThanEquals
        | Base::NumericGreaterThan
        | Base::NumericGreaterThanEquals => match random.below(6) {
            0 => given,
            1 => renumbered(&given, random),
            2 => text::bent(&given, random),
            _ => access::value(random, Type::Number),
        },
        Base::DateEquals
        | Base::DateLessThan
        | Base::DateLessThanEquals
        | Base::DateGreaterThan
        | Base::DateGreaterThanEquals => match random.below(6) {
            0 => given,
            1 => text::bent(&given, random),
            _ => access::value(random, Type::Date),
        },
    }
}

fn like(random: &mut Random, given: &str, keys: &Keys) -> String {
    match random.below(9) {
        0 => given.to_owned(),
        1..=3 => text::widened(given, random),
        4 => text::escaped(given),
        5 => text::with_variable(given, keys, random),
        6 => {
            let wide = text::widened(given, random);
            text::with_variable(&wide, keys, random)
        }
        7 => text::bent(given, random),
        _ => "*".to_owned(),
    }
}

/// An ARN with wildcards for whole fields, and perhaps fewer fields.
pub(super) fn fields_widened(arn: &str, random: &mut Random) -> String {
    let mut fields: Vec<String> = arn.splitn(6, ':').map(str::to_owned).collect();
    for field in &mut fields {
        match random.below(6) {
            0..=1 => *field = "*".to_owned(),
            2 => *field = text::widened(field, random),
            _ => {}
        }
    }
    if random.one_in(3) && fields.len() > 1 {
        fields.truncate(1 + random.below(fields.len() - 1));
        if random.one_in(2) {
            fields.push("*".to_owned());
        }
    }
    fields.join(":")
}

/// The same number, written in another way; or the next one.
fn renumbered(number: &str, random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("{number}.0"),
        1 => format!("{number}e0"),
        2 => format!("{number}0e-1"),
        3 => format!("0{number}"),
        4 => format!("{number}1"),
        _ => format!("-{number}"),
    }
}
