//! Strict JSON for input that decides about access.
//!
//! A member name that stands twice in one object, in whatever spelling (`"sub"` and `"s\u0075b"`) and at whatever depth, is an
//! error. AWS takes the last one; two readers that disagree about which one counts are an attack waiting to happen (RFC 8725
//! section 3.1, RFC 7519 section 4), so this is a deliberate difference and it is made in this file only.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest. Real tokens and key sets need four.
const MAX_DEPTH: u8 = 32;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum JsonError {
    /// Not one JSON object and nothing else.
    Malformed,
    /// A member name stands twice in one object.
    Repeated,
}

/// Reads one JSON object and hands its members over in order. `member` says whether the name is new.
pub(crate) fn members<'a>(json: &'a [u8], member: impl FnMut(Cow<'a, str>, Value) -> bool) -> Result<(), JsonError> {
    let repeated = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer
        .deserialize_map(Members {
            member,
            repeated: &repeated,
        })
        .and_then(|()| deserializer.end())
        .map_err(|_| {
            if repeated.get() {
                JsonError::Repeated
            } else {
                JsonError::Malformed
            }
        })
}

/// Reads one JSON object into a map.
pub(crate) fn object(json: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut map = Map::new();
    members(json, |name, value| map.insert(name.into_owned(), value).is_none())?;
    Ok(map)
}

struct Members<'c, F> {
    member: F,
    repeated: &'c Cell<bool>,
}

impl<'de, F: FnMut(Cow<'de, str>, Value) -> bool> Visitor<'de> for Members<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(Strict {
                depth: 1,
                repeated: self.repeated,
            })?;
            if !(self.member)(name, value) {
                self.repeated.set(true);
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(())
    }
}

/// A member name, borrowed from the text unless it has escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// A value, whose objects have no repeated members and which is not nested too deep.
struct Strict<'c> {
    depth: u8,
    repeated: &'c Cell<bool>,
}

impl<'c> Strict<'c> {
    fn deeper<E: serde::de::Error>(&self) -> Result<Strict<'c>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deep"));
        }
        Ok(Strict {
            depth: self.depth.saturating_add(1),
            repeated: self.repeated,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(self.deeper()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(self.deeper()?)?;
            if members.insert(name.into_owned(), value).is_some() {
                self.repeated.set(true);
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_members_are_found_in_every_spelling_and_depth() {
        for json in [
            r#"{"sub":1,"sub":1}"#,
            r#"{"sub":1,"s\u0075b":1}"#,
            r#"{"a":{"b":{"c":1,"c":2}}}"#,
            r#"{"a":[{"b":1,"\u0062":1}]}"#,
            r#"{"":0,"":0}"#,
        ] {
            assert_eq!(object(json.as_bytes()), Err(JsonError::Repeated), "{json}");
        }
        assert!(object(br#"{"a":{"b":1},"b":{"b":1},"B":2}"#).is_ok());
    }

    #[test]
    fn only_one_whole_object_is_accepted() {
        for json in [
            "",
            " ",
            "null",
            "[]",
            "1",
            "\"a\"",
            "{",
            "{}{}",
            "{} x",
            "{\"a\"}",
            "{\"a\":1,}",
            "{'a':1}",
            "\u{feff}{}",
            "{\"a\":01}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{\"\\udc00\":1}",
            "{\"a\":\"\n\"}",
        ] {
            assert_eq!(object(json.as_bytes()), Err(JsonError::Malformed), "{json}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(JsonError::Malformed));
        assert_eq!(object(b"{\"\xff\":1}"), Err(JsonError::Malformed));
        assert!(object(b" \r\n\t{ } \n").is_ok());
    }

    #[test]
    fn nesting_has_an_exact_limit() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(31).as_bytes()).is_ok());
        assert_eq!(object(nested(32).as_bytes()), Err(JsonError::Malformed));
        assert_eq!(object(nested(100_000).as_bytes()), Err(JsonError::Malformed));
        assert_eq!(object("{\"a\":".repeat(100_000).as_bytes()), Err(JsonError::Malformed));
    }
}
