//! Policy documents compared by meaning, and what differs statement by statement.

use irsa_compare::{Answer, compare_texts};
use irsa_policy::PolicyKind;
use serde_json::{Map, Value};

use crate::plan::{Access, Gain, Sign, StatementChange};

/// Elements whose value is one string or several, in no order.
const LISTS: [&str; 4] = ["Action", "NotAction", "Resource", "NotResource"];

/// The order in which people write the elements of a statement.
const ORDER: [&str; 8] = [
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// Reads a text as a JSON object.
pub(crate) fn object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// The statements of a document, in its order.
pub(crate) fn statements(document: &Map<String, Value>) -> Vec<Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    }
}

/// A value as a list, sorted, nothing twice.
fn sorted(value: &Value) -> Value {
    let mut items = match value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    items.sort_by_key(Value::to_string);
    items.dedup();
    match (items.len(), items.pop()) {
        // A single one stands alone, which is how people write it.
        (1, Some(only)) => only,
        (_, last) => {
            items.extend(last);
            Value::Array(items)
        }
    }
}

/// A statement in the form in which equal ones look equal: lists sorted, members in one order, no `Sid`.
pub(crate) fn canonical(statement: &Value) -> Value {
    let Value::Object(members) = statement else {
        return statement.clone();
    };
    let mut names: Vec<&String> = members.keys().filter(|name| *name != "Sid").collect();
    let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    names.sort_by_key(|name| (rank(name), *name));
    let mut all = Map::new();
    for name in names {
        let Some(value) = members.get(name) else { continue };
        let value = match (name.as_str(), value) {
            (name, value) if LISTS.contains(&name) => sorted(value),
            ("Principal" | "NotPrincipal", Value::Object(types)) => Value::Object(by_name(types, sorted)),
            ("Condition", Value::Object(operators)) => Value::Object(by_name(operators, |keys| match keys {
                Value::Object(keys) => Value::Object(by_name(keys, sorted)),
                other => other.clone(),
            })),
            (_, value) => value.clone(),
        };
        all.insert(name.clone(), value);
    }
    Value::Object(all)
}

fn by_name(members: &Map<String, Value>, each: impl Fn(&Value) -> Value) -> Map<String, Value> {
    let mut names: Vec<&String> = members.keys().collect();
    names.sort();
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), each(members.get(name)?))))
        .collect()
}

/// The canonical statements as texts, sorted.
fn texts(document: Option<&str>) -> Vec<String> {
    let mut texts: Vec<String> = document
        .and_then(object)
        .map(|document| statements(&document))
        .unwrap_or_default()
        .iter()
        .map(|statement| canonical(statement).to_string())
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

fn version(document: &Map<String, Value>) -> &str {
    document.get("Version").and_then(Value::as_str).unwrap_or("2008-10-17")
}

/// Whether two policies of a role mean the same.
pub(crate) fn is_same(old: &str, new: &str) -> bool {
    if old == new {
        return true;
    }
    if let (Some(one), Some(other)) = (object(old), object(new))
        && version(&one) == version(&other)
        && texts(Some(old)) == texts(Some(new))
    {
        return true;
    }
    compare_texts(PolicyKind::Identity, old, new).is_ok_and(|comparison| {
        // A denial that is dropped matters beside the role's other policies.
        comparison.is_equivalent() == Some(true)
            && matches!(comparison.undenied, Answer::None)
            && compare_texts(PolicyKind::Identity, new, old)
                .is_ok_and(|comparison| matches!(comparison.undenied, Answer::None))
    })
}

/// Whether a policy denies anything.
pub(crate) fn denies(text: &str) -> bool {
    object(text).is_none_or(|document| {
        statements(&document)
            .iter()
            .any(|statement| statement.get("Effect").is_none_or(|effect| effect != "Allow"))
    })
}

/// The statements that one document has and the other has not.
pub(crate) fn difference(old: Option<&str>, new: Option<&str>) -> Vec<StatementChange> {
    let (old, new) = (texts(old), texts(new));
    let only = |these: &[String], others: &[String], sign: Sign| -> Vec<StatementChange> {
        let only = these.iter().filter(|text| !others.contains(text));
        only.map(|text| StatementChange {
            sign,
            text: text.clone(),
        })
        .collect()
    };
    let mut changes = only(&old, &new, Sign::Remove);
    changes.extend(only(&new, &old, Sign::Add));
    changes
}

/// What a change of a policy comes to for requests.
pub(crate) fn access(old: &str, new: &str) -> Access {
    let gain = |answer: &Answer| match answer {
        Answer::None => Gain::Nothing,
        Answer::Witness(witness) => Gain::Example(format!("{} on {}", witness.action, witness.resource)),
        Answer::Unknown(_) => Gain::Unknown,
    };
    match compare_texts(PolicyKind::Identity, old, new) {
        Ok(comparison) => Access {
            gained: gain(&comparison.gained),
            lost: gain(&comparison.lost),
        },
        Err(_) => Access {
            gained: Gain::Unknown,
            lost: Gain::Unknown,
        },
    }
}

/// A document that allows what either allows (as far as neither denies it): for the moment between the two. `None` if
/// they cannot be joined.
pub(crate) fn union(old: &str, new: &str) -> Option<String> {
    let (old, new) = (object(old)?, object(new)?);
    if version(&old) != version(&new) {
        return None;
    }
    let mut all: Vec<Value> = Vec::new();
    for statement in statements(&old).iter().chain(&statements(&new)) {
        let statement = canonical(statement);
        if !all.contains(&statement) {
            all.push(statement);
        }
    }
    let mut document = Map::new();
    document.insert("Version".to_owned(), version(&old).into());
    document.insert("Statement".to_owned(), Value::Array(all));
    Some(Value::Object(document).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> String {
        format!(r#"{{"Version": "2012-10-17", "Statement": {statements}}}"#)
    }

    #[test]
    fn by_meaning_not_by_text() {
        let one = policy(r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#);
        let same = policy(
            r#"[{"Sid": "x", "Resource": ["arn:aws:s3:::b/*"], "Action": ["s3:GetObject", "s3:GetObject"], "Effect": "Allow"}]"#,
        );
        let redundant = policy(
            r#"[{"Effect": "Allow", "Action": "s3:getobject", "Resource": "arn:aws:s3:::b/*"},
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/x*"}]"#,
        );
        let more = policy(r#"{"Effect": "Allow", "Action": "s3:GetObject*", "Resource": "arn:aws:s3:::b/*"}"#);
        let denied = policy(
            r#"[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}]"#,
        );
        assert!(is_same(&one, &same));
        assert!(is_same(&one, &redundant));
        assert!(!is_same(&one, &more));
        assert!(!is_same(&one, &denied), "the denial counts beside other policies");
        assert!(!is_same(&denied, &one));
        assert!(!is_same(&one, "x"));
        assert_eq!(difference(Some(&one), Some(&same)), []);
        let changes = difference(Some(&one), Some(&more));
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0].sign, Sign::Remove);
        assert_eq!(
            changes[1].text,
            r#"{"Effect":"Allow","Action":"s3:GetObject*","Resource":"arn:aws:s3:::b/*"}"#
        );
        let access = access(&one, &more);
        assert!(matches!(access.gained, Gain::Example(_)), "{access:?}");
        assert_eq!(access.lost, Gain::Nothing);
    }

    #[test]
    fn a_union_allows_both() {
        let one = policy(r#"{"Sid": "a", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}"#);
        let other = policy(r#"{"Sid": "a", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}"#);
        let both = union(&one, &other).unwrap();
        assert!(irsa_policy::validate::document(PolicyKind::Identity, &both).is_ok());
        for part in [&one, &other] {
            assert_eq!(access(&both, part).gained, Gain::Nothing);
            assert!(matches!(access(&both, part).lost, Gain::Example(_)));
        }
        assert_eq!(union(&one, &other.replace("2012", "2008")), None);
    }
}
