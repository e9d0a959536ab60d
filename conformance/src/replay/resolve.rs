//! Placeholders of recorded cases: filled in on the way out, matched on the way back.

use std::collections::HashMap;

use anyhow::{Result, bail};
use serde_json::{Map, Number, Value};

/// How far a time in a message may be from the one that we reckon, in seconds: the request's own way.
const SLACK: i64 = 3;

/// Values of the placeholders `${NAME}` of one case.
#[derive(Clone, Debug, Default)]
pub(super) struct Placeholders(HashMap<&'static str, String>);

impl Placeholders {
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.0.insert(name, value.to_owned());
    }

    /// Fills a text in; a name without a value stays as it is, and is an error if `strict`.
    fn text(&self, text: &str, strict: bool) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            filled.push_str(before);
            match self.0.get(name) {
                Some(value) => filled.push_str(value),
                None if strict => bail!("the case uses the placeholder ${{{name}}}, which is not known"),
                None => filled.push_str(&format!("${{{name}}}")),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Fills every text and member name of a value in.
    pub(super) fn fill(&self, value: &Value) -> Result<Value> {
        self.walk(value, None)
    }

    /// As [`fill`](Self::fill), and turns the marked values into plain ones: `$now` and `$now_string` (offsets from `now`, in seconds), `$repeat`, `$upper`.
    pub(super) fn claims(&self, value: &Value, now: i64) -> Result<Value> {
        self.walk(value, Some(now))
    }

    fn walk(&self, value: &Value, now: Option<i64>) -> Result<Value> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text, true)?),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.walk(item, now)).collect::<Result<_>>()?),
            Value::Object(members) => match now.and_then(|now| Some((marked(members)?, now))) {
                Some(((mark, argument), now)) => self.marked(mark, argument, now)?,
                None => Value::Object(
                    members
                        .iter()
                        .map(|(name, value)| Ok((self.text(name, true)?, self.walk(value, now)?)))
                        .collect::<Result<_>>()?,
                ),
            },
            other => other.clone(),
        })
    }

    fn marked(&self, mark: &str, argument: &Value, now: i64) -> Result<Value> {
        match (mark, argument) {
            ("$now", Value::Number(offset)) => Ok(Value::Number(time(now, offset)?)),
            ("$now_string", Value::Number(offset)) => Ok(Value::String(time(now, offset)?.to_string())),
            ("$upper", Value::String(text)) => Ok(Value::String(self.text(text, true)?.to_uppercase())),
            ("$repeat", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(text), Value::Number(count)] => {
                    let count: usize = count.as_u64().unwrap_or_default().try_into()?;
                    Ok(Value::String(self.text(text, true)?.repeat(count)))
                }
                _ => bail!("`$repeat` takes a text and a count, not {argument}"),
            },
            _ => bail!("the mark `{mark}` with {argument} is not known"),
        }
    }

    /// A recorded text with what is known filled in, for people to read.
    pub(super) fn show(&self, text: &str) -> String {
        self.text(text, false).unwrap_or_else(|_| text.to_owned())
    }

    /// Whether `actual` is what the recorded text says: `${NOW±n}` stands for a time near that, the rest for its value.
    pub(super) fn matches(&self, recorded: &str, actual: &str, now: i64) -> bool {
        let recorded = self.show(recorded);
        let Some((before, after)) = recorded.split_once("${NOW") else {
            return recorded == actual;
        };
        let Some((offset, after)) = after.split_once('}') else {
            return false;
        };
        let Some(rest) = actual.strip_prefix(before) else {
            return false;
        };
        let digits = rest.len()
            - rest
                .trim_start_matches(|character: char| character.is_ascii_digit())
                .len();
        let (time, rest) = rest.split_at(digits);
        let offset: i64 = if offset.is_empty() {
            0
        } else {
            offset.parse().unwrap_or(i64::MAX / 4)
        };
        time.parse::<i64>()
            .is_ok_and(|time| (time - now - offset).abs() <= SLACK)
            && self.matches(after, rest, now)
    }
}

/// The mark and argument of an object with one member whose name begins with `$` and is no placeholder.
fn marked(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next()?;
    (members.len() == 1 && name.starts_with('$') && !name.starts_with("${")).then_some((name.as_str(), argument))
}

fn time(now: i64, offset: &Number) -> Result<Number> {
    if let Some(whole) = offset.as_i64() {
        return Ok((now + whole).into());
    }
    let (Some(offset), Ok(now)) = (offset.as_f64(), i32::try_from(now)) else {
        bail!("{offset} is no offset")
    };
    let Some(time) = Number::from_f64(f64::from(now) + offset) else {
        bail!("{offset} is no offset")
    };
    Ok(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placeholders() -> Placeholders {
        let mut placeholders = Placeholders::default();
        placeholders.set("ISS", "https://issuer.example/a");
        placeholders.set("ROLE_ARN", "arn:aws:iam::111122223333:role/r");
        placeholders
    }

    #[test]
    fn marks_become_values() {
        let claims = json!({"iss": "${ISS}", "iat": {"$now": -18}, "exp": {"$now": 0.5}, "nbf": {"$now_string": 2}, "sub": {"$repeat": ["ab", 3]},
            "roles": {"$upper": "${ROLE_ARN}"}, "null": null, "${ISS}/x": {"role": "${ROLE_ARN}"}});
        assert_eq!(
            placeholders().claims(&claims, 1_000).unwrap(),
            json!({"iss": "https://issuer.example/a", "iat": 982, "exp": 1000.5, "nbf": "1002", "sub": "ababab",
                "roles": "ARN:AWS:IAM::111122223333:ROLE/R", "null": null, "https://issuer.example/a/x": {"role": "arn:aws:iam::111122223333:role/r"}})
        );
    }

    #[test]
    fn an_unknown_placeholder_or_mark_is_an_error_not_a_text() {
        assert!(placeholders().fill(&json!("${WHAT}")).is_err());
        assert!(placeholders().claims(&json!({"$later": 1}), 0).is_err());
    }

    #[test]
    fn times_in_messages_match_by_value() {
        let mut placeholders = placeholders();
        placeholders.set("EXP", "900");
        let recorded = "Token expired: current date/time ${NOW-300} must be before the expiration date/time ${EXP}";
        let message = |now: &str, exp: &str| {
            format!("Token expired: current date/time {now} must be before the expiration date/time {exp}")
        };
        assert!(placeholders.matches(recorded, &message("1701", "900"), 2_000));
        assert!(!placeholders.matches(recorded, &message("1701", "901"), 2_000));
        assert!(!placeholders.matches(recorded, &message("2000", "900"), 2_000));
        assert!(!placeholders.matches(recorded, &message("", "900"), 2_000));
        assert!(placeholders.matches("plain", "plain", 0));
        assert!(!placeholders.matches("plain", "plain.", 0));
    }
}
