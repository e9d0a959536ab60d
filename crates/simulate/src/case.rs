//! One case: a line of JSON taken apart, its documents still text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use irsa_policy::Context;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// More condition keys than any request has; beyond it the engine's look-up would no longer be quick.
const MAX_KEYS: usize = 4096;
/// More values of keys than any request has: each may be compared with every value of a policy.
const MAX_VALUES: usize = 4096;
/// The longest action or resource: four times the longest ARN that AWS accepts anywhere.
const MAX_NAME: usize = 8192;

/// A case. What is absent is empty.
#[derive(Debug, Default)]
pub(crate) struct Case<'t> {
    pub(crate) id: Option<&'t RawValue>,
    pub(crate) policies: Documents<'t>,
    pub(crate) request: Asked<'t>,
}

#[derive(Debug, Default)]
pub(crate) struct Documents<'t> {
    pub(crate) identity: List<'t>,
    pub(crate) boundary: List<'t>,
    pub(crate) session: List<'t>,
    pub(crate) resource: List<'t>,
    pub(crate) service_control: Levels<'t>,
    pub(crate) resource_control: Levels<'t>,
    pub(crate) vpc_endpoint: List<'t>,
}

#[derive(Debug, Default)]
pub(crate) struct Asked<'t> {
    pub(crate) principal: Cow<'t, str>,
    pub(crate) action: Cow<'t, str>,
    pub(crate) resource: Cow<'t, str>,
    pub(crate) resource_account: Option<Cow<'t, str>>,
    pub(crate) context: Context,
}

impl<'t> Case<'t> {
    /// Reads a line. The error is for the case's author.
    pub(crate) fn parse(line: &'t str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }

    /// The id of a line that may be damaged: what stands before the damage, if it stands there once.
    pub(crate) fn id(line: &'t str) -> Option<&'t RawValue> {
        let mut finder = FindId { ids: Vec::new() };
        let mut deserializer = serde_json::Deserializer::from_str(line);
        // That the line is damaged is known.
        let _ = deserializer.deserialize_map(&mut finder);
        match *finder.ids {
            [id] if is_id(id) => Some(id),
            _ => None,
        }
    }
}

/// Whether the value is a string or a number.
fn is_id(id: &RawValue) -> bool {
    id.get()
        .starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

struct FindId<'t> {
    ids: Vec<&'t RawValue>,
}

impl<'t> Visitor<'t> for &mut FindId<'t> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a case")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            if name == "id" {
                self.ids.push(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The members of an object that were met, to find one that stands twice.
#[derive(Default)]
struct Met<'t> {
    few: Vec<Cow<'t, str>>,
    many: HashSet<Cow<'t, str>>,
}

impl<'t> Met<'t> {
    /// Up to here, looking through a list is quicker than hashing.
    const FEW: usize = 16;

    fn meet<E: Error>(&mut self, name: Cow<'t, str>) -> Result<(), E> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(E::custom(format_args!("`{}` stands twice", clip(&name))));
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// Foreign text in a message.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

/// Says which member an error is about.
fn of<E: Error>(member: &'static str) -> impl FnOnce(E) -> E {
    move |error| E::custom(format_args!("`{member}`: {error}"))
}

/// An object of known members that stand once each; the others are ignored.
macro_rules! members {
    ($type:ident, $what:literal, |$into:ident, $map:ident| { $($name:literal => $member:literal, $read:expr;)* }) => {
        impl<'de: 't, 't> Deserialize<'de> for $type<'t> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> Visitor<'de> for Members {
                    type Value = $type<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut $map: A) -> Result<Self::Value, A::Error> {
                        let mut met = Met::default();
                        let mut $into = $type::default();
                        while let Some(Text(name)) = $map.next_key()? {
                            match &*name {
                                $($name => $read.map_err(of($member))?,)*
                                _ => {
                                    $map.next_value::<IgnoredAny>()?;
                                }
                            }
                            met.meet(name)?;
                        }
                        Ok($into)
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }
    };
}

members!(Case, "a case: an object", |case, map| {
    "id" => "id", read_id(&mut map).map(|id| case.id = id);
    "policies" => "policies", map.next_value::<Option<_>>().map(|policies| case.policies = policies.unwrap_or_default());
    "request" => "request", map.next_value().map(|request| case.request = request);
});

members!(Documents, "an object of policies", |policies, map| {
    "identity" => "identity", map.next_value().map(|list| policies.identity = list);
    "boundary" => "boundary", read_one(&mut map).map(|list| policies.boundary = list);
    "session" => "session", map.next_value().map(|list| policies.session = list);
    "resource" => "resource", read_one(&mut map).map(|list| policies.resource = list);
    "scp" => "scp", map.next_value().map(|levels| policies.service_control = levels);
    "rcp" => "rcp", map.next_value().map(|levels| policies.resource_control = levels);
    "vpce" => "vpce", map.next_value().map(|list| policies.vpc_endpoint = list);
});

members!(Asked, "a request: an object", |asked, map| {
    "principal" => "principal", map.next_value().map(|Text(text)| asked.principal = text);
    "action" => "action", read_name(&mut map).map(|text| asked.action = text);
    "resource" => "resource", read_name(&mut map).map(|text| asked.resource = text);
    "resourceAccount" => "resourceAccount", read_scalar(&mut map).map(|account| asked.resource_account = account);
    "context" => "context", map.next_value::<Option<Keys>>().map(|keys| asked.context = keys.unwrap_or_default().0);
});

fn read_id<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<&'de RawValue>, A::Error> {
    let id: Option<&RawValue> = map.next_value()?;
    match id {
        Some(id) if !is_id(id) => Err(A::Error::custom("an id is a string or a number")),
        id => Ok(id),
    }
}

fn read_name<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Cow<'de, str>, A::Error> {
    let Text(name) = map.next_value()?;
    if name.len() > MAX_NAME {
        return Err(A::Error::custom(format_args!("longer than {MAX_NAME} bytes")));
    }
    Ok(name)
}

fn read_scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    let value: Option<&RawValue> = map.next_value()?;
    value.map(|value| scalar(value).map_err(A::Error::custom)).transpose()
}

/// The documents of one place: a list of them, or one.
#[derive(Debug, Default)]
pub(crate) struct List<'t>(pub(crate) Vec<&'t RawValue>);

impl<'de: 't, 't> Deserialize<'de> for List<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: &RawValue = Deserialize::deserialize(deserializer)?;
        Ok(Self(elements(value)?))
    }
}

/// The documents of an organization's levels: a list for each. A level may be one document.
#[derive(Debug, Default)]
pub(crate) struct Levels<'t>(pub(crate) Vec<List<'t>>);

impl<'de: 't, 't> Deserialize<'de> for Levels<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: &RawValue = Deserialize::deserialize(deserializer)?;
        let levels = elements(value)?;
        Ok(Self(
            levels
                .into_iter()
                .map(|level| elements(level).map(List))
                .collect::<Result<_, _>>()?,
        ))
    }
}

/// The elements of a list; what is none is its own only one, and `null` has none.
fn elements<E: Error>(value: &RawValue) -> Result<Vec<&RawValue>, E> {
    match value.get().bytes().next() {
        Some(b'[') => serde_json::from_str(value.get()).map_err(E::custom),
        Some(b'n') => Ok(Vec::new()),
        _ => Ok(vec![value]),
    }
}

fn read_one<'de, A: MapAccess<'de>>(map: &mut A) -> Result<List<'de>, A::Error> {
    let list: List<'_> = map.next_value()?;
    if list.0.len() > 1 {
        return Err(A::Error::custom("more than one document"));
    }
    Ok(list)
}

/// A string, borrowed from the line unless it holds an escape.
struct Text<'t>(Cow<'t, str>);

impl<'de: 't, 't> Deserialize<'de> for Text<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowed)
    }
}

/// The text of a string, a number as it is written, or a boolean.
fn scalar(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = value.get();
    match text.bytes().next() {
        Some(b'"') => decoded(text),
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => Ok(Cow::Borrowed(text)),
        _ => Err("a string, a number or a boolean is needed".to_owned()),
    }
}

/// The text of a policy: an object, or a string that holds one.
pub(crate) fn document(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = value.get();
    if !text.starts_with('"') {
        return Ok(Cow::Borrowed(text));
    }
    decoded(text)
}

/// The text of a JSON string.
fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    match serde_json::from_str(text) {
        Ok(Text(text)) => Ok(text),
        // All else that could be wrong with it would have been met before.
        Err(_) => Err("the string has half of a surrogate pair".to_owned()),
    }
}

/// The condition keys of a request.
#[derive(Default)]
struct Keys(Context);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of condition keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut context = Context::new();
                let mut count = 0_usize;
                while let Some(Text(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if context.len() >= MAX_KEYS {
                        return Err(A::Error::custom(format_args!("more than {MAX_KEYS} condition keys")));
                    }
                    let wrong = |problem| A::Error::custom(format_args!("`{}`: {problem}", clip(&key)));
                    if value.get().starts_with('[') {
                        let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(A::Error::custom)?;
                        count = count.saturating_add(values.len());
                        if count > MAX_VALUES {
                            return Err(A::Error::custom(format_args!("more than {MAX_VALUES} values")));
                        }
                        let values: Vec<_> = values
                            .into_iter()
                            .map(scalar)
                            .collect::<Result<_, _>>()
                            .map_err(wrong)?;
                        context.try_set_list(&key, values).map_err(A::Error::custom)?;
                    } else {
                        context
                            .try_set(&key, scalar(value).map_err(wrong)?)
                            .map_err(A::Error::custom)?;
                    }
                }
                Ok(Keys(context))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use irsa_policy::Values;

    use super::*;

    #[test]
    fn a_whole_case() {
        let case = Case::parse(
            r#" {"x":[{}],"id":"c\u0031","policies":{"identity":[{"a":1},"{}"],"boundary":null,"scp":[[{}],[]],"y":1},
                "request":{"principal":"p\n","action":"a:b","resource":"*","resourceAccount":111122223333,"z":{},
                           "context":{"n":1.50,"b":true,"l":["a",2],"e":[]}}} "#,
        )
        .unwrap();
        assert_eq!(case.id.unwrap().get(), r#""c\u0031""#);
        assert_eq!(case.policies.identity.0.len(), 2);
        assert!(case.policies.boundary.0.is_empty());
        assert_eq!(case.policies.service_control.0[0].0.len(), 1);
        assert!(case.policies.service_control.0[1].0.is_empty());
        assert_eq!(case.request.principal, "p\n");
        assert_eq!(case.request.resource_account.as_deref(), Some("111122223333"));
        let context = &case.request.context;
        assert!(matches!(context.get("N"), Values::Single("1.50")));
        assert!(matches!(context.get("b"), Values::Single("true")));
        assert!(matches!(context.get("l"), Values::List(list) if list.iter().eq(["a", "2"])));
        assert!(matches!(context.get("e"), Values::Absent));
    }

    #[test]
    fn what_is_no_case() {
        for (line, problem) in [
            ("", "EOF"),
            ("[]", "expected a case: an object"),
            (r#"{"id":1,"id":1}"#, "`id` stands twice"),
            (r#"{"x":1,"\u0078":1}"#, "`x` stands twice"),
            (r#"{"id":[]}"#, "an id is a string or a number"),
            (
                r#"{"request":{"context":{"k":null}}}"#,
                "`k`: a string, a number or a boolean",
            ),
            (
                r#"{"request":{"context":{"k":[["a"]]}}}"#,
                "`k`: a string, a number or a boolean",
            ),
            (r#"{"request":{"context":{"k":1,"K":2}}}"#, "`K` is there twice"),
            (r#"{"request":{"context":{"k":"\ud800"}}}"#, "surrogate"),
            (
                r#"{"request":{"principal":{"type":"x"}}}"#,
                "`principal`: invalid type: map",
            ),
            (r#"{"request":null}"#, "expected a request"),
            (r#"{} {}"#, "trailing characters"),
        ] {
            let error = Case::parse(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
    }

    #[test]
    fn the_id_of_a_damaged_line() {
        let id = |line| Case::id(line).map(RawValue::get);
        assert_eq!(id(r#"{"id":"a","x"#), Some(r#""a""#));
        assert_eq!(id(r#"{"x":{"id":2},"id":-1.50,"#), Some("-1.50"));
        assert_eq!(id(r#"{"x":,"id":1}"#), None);
        assert_eq!(id(r#"{"id":1,"id":2}"#), None);
        assert_eq!(id(r#"{"id":{}}"#), None);
        assert_eq!(id("[1]"), None);
    }

    #[test]
    fn deep_nesting_is_skipped() {
        let deep = "[".repeat(1_000_000);
        assert!(Case::parse(&format!(r#"{{"x":{deep}"#)).is_err());
        let closed = "]".repeat(1_000_000);
        assert!(Case::parse(&format!(r#"{{"x":{deep}{closed}}}"#)).is_ok());
    }

    #[test]
    fn many_members_and_many_keys() {
        let members: Vec<String> = (0..1000).map(|n| format!("\"m{n}\":0")).collect();
        assert!(Case::parse(&format!("{{{}}}", members.join(","))).is_ok());
        assert!(Case::parse(&format!("{{{},\"m999\":0}}", members.join(","))).is_err());
        let keys: Vec<String> = (0..5000).map(|n| format!("\"k{n}\":0")).collect();
        let error = Case::parse(&format!(r#"{{"request":{{"context":{{{}}}}}}}"#, keys.join(","))).unwrap_err();
        assert!(error.contains("more than 4096"), "{error}");
    }
}
