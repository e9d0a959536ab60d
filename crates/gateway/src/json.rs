//! A tree of parameters, and JSON that has one reading only.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What a request says, whatever the protocol: forms and XML become the same tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// `null`: the same as nothing.
    Nothing,
    Text(String),
    /// Numbers and truth values, as written.
    Plain(String),
    List(Vec<Tree>),
    /// In the order of the request; names are unique.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn members(&self) -> &[(String, Tree)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }
}

/// Reads JSON; a member that comes twice is an error, since readers disagree about which one counts.
pub(crate) fn parse(body: &[u8]) -> Result<Tree, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let tree = Seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(tree)
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed)? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members: Vec<(String, Tree)> = Vec::new();
        let mut known = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !known.insert(name.clone()) {
                return Err(A::Error::custom("a member comes twice"));
            }
            members.push((name, map.next_value_seed(Seed)?));
        }
        Ok(Tree::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_comes_once_however_it_is_spelt() {
        for text in [
            r#"{"TableName":"a","TableName":"b"}"#,
            r#"{"TableName":"a","\u0054ableName":"b"}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            "{} {}",
            "{",
            "",
            "\u{feff}{}",
            r#"{"a":1,}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        let tree = parse(br#"{"a":null,"b":[1,true,"x"],"A":"y"}"#).unwrap();
        assert_eq!(tree.members().len(), 3);
    }
}
