//! The file of rules as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::RulesError;
use crate::path::Path;
use crate::resource::{Kind, KindJson};
use crate::route::Route;
use crate::rules::{Form, Key, Operation, Protocol, Reader, Resource, Tags, is_word};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileJson<'a> {
    #[serde(default, rename = "about")]
    _about: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    pub(super) services: Vec<&'a RawValue>,
}

/// One service. Kinds and operations are read on their own, so that what is wrong with one has its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ServiceJson<'a> {
    pub(super) signing_names: Vec<String>,
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) event_source: Option<String>,
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) targets: Vec<String>,
    #[serde(default)]
    pub(super) versions: Vec<String>,
    #[serde(default)]
    pub(super) xml_namespace: String,
    #[serde(default)]
    pub(super) denied_code: Option<String>,
    #[serde(default)]
    pub(super) global: bool,
    #[serde(default)]
    pub(super) partition_keys: Unique<String>,
    #[serde(borrow, default)]
    pub(super) resources: Unique<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) operations: Unique<&'a RawValue>,
}

/// Where in the file something stands.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Where a piece of the text begins, in bytes.
    pub(super) fn place(self, piece: &RawValue) -> usize {
        // Both are the same memory: the piece was borrowed from the text.
        piece.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    /// Reads the whole text.
    pub(super) fn file(self) -> Result<FileJson<'a>, RulesError> {
        let piece: &RawValue = serde_json::from_str(self.text)?;
        self.read(piece)
    }

    /// Reads an object of the text; errors have their place in the whole.
    pub(super) fn read<T: Deserialize<'a>>(self, piece: &'a RawValue) -> Result<T, RulesError> {
        // Serde would take a list of the members for the object.
        if !piece.get().starts_with('{') {
            return Err(self.error(self.place(piece), "an object was expected".to_owned()));
        }
        serde_json::from_str(piece.get()).map_err(|error| {
            let within = RulesError::from(error);
            let start = self.error(self.place(piece), String::new());
            RulesError {
                line: start.line.saturating_add(within.line.saturating_sub(1)),
                column: if within.line <= 1 {
                    start.column.saturating_add(within.column.saturating_sub(1))
                } else {
                    within.column
                },
                problem: within.problem,
            }
        })
    }

    /// An error at a place.
    pub(super) fn error(self, place: usize, problem: String) -> RulesError {
        let before = self.text.get(..place).unwrap_or_default();
        RulesError {
            line: before.matches('\n').count().saturating_add(1),
            column: before.rsplit('\n').next().map_or(0, str::len).saturating_add(1),
            problem,
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(KindJson::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OperationJson {
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    data: bool,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
    #[serde(default)]
    keys: Unique<Key>,
    #[serde(default)]
    tags: Option<Tags>,
    #[serde(default)]
    tag_keys: Option<Path>,
    #[serde(default)]
    route: Option<Route>,
    #[serde(default)]
    reader: Option<Reader>,
    #[serde(default)]
    refuse: Option<String>,
    #[serde(default)]
    nameless: Vec<Path>,
    #[serde(default)]
    unread: Vec<String>,
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = OperationJson::deserialize(deserializer)?;
        if let Some(action) = json.action.as_ref().filter(|action| !is_word(action)) {
            return Err(D::Error::custom(format!("`{action}` is no action without its prefix")));
        }
        let known = |key: &&String| {
            !key.split_once(':')
                .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
        };
        if let Some(key) = json.keys.0.keys().find(known) {
            return Err(D::Error::custom(format!("`{key}` is no condition key")));
        }
        Ok(Self {
            read_only: json.read_only,
            is_data: json.data,
            action: json.action,
            resources: json.resources,
            keys: json.keys.0,
            tags: json.tags,
            tag_keys: json.tag_keys,
            route: json.route,
            reader: json.reader,
            refuse: json.refuse,
            nameless: json.nameless,
            unread: json.unread,
        })
    }
}

/// What is written as a text or, with more to say, as an object.
trait TextOrObject: Sized {
    type Object: DeserializeOwned;
    const EXPECTED: &'static str;

    fn of_text(text: &str) -> Result<Self, String>;
    fn of_object(object: Self::Object) -> Self;
}

fn text_or_object<'de, D: Deserializer<'de>, T: TextOrObject>(deserializer: D) -> Result<T, D::Error> {
    struct Either<T>(PhantomData<T>);

    impl<'de, T: TextOrObject> Visitor<'de> for Either<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::of_text(text).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::Object::deserialize(MapAccessDeserializer::new(map)).map(T::of_object)
        }
    }

    deserializer.deserialize_any(Either(PhantomData))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedJson {
    kind: String,
    from: OneOrMore,
    #[serde(default)]
    optional: bool,
    #[serde(default, rename = "else")]
    otherwise: Option<Box<Resource>>,
    #[serde(default)]
    action: Option<String>,
}

impl TextOrObject for Resource {
    type Object = NamedJson;
    const EXPECTED: &'static str = "`\"*\"`, `\"?\"` or an object with `kind` and `from`";

    fn of_text(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::Any),
            "?" => Ok(Self::Unsaid),
            _ => Err(format!(
                "`{text}` is no resource: write `\"*\"`, `\"?\"` or {{\"kind\": …, \"from\": …}}"
            )),
        }
    }

    fn of_object(json: NamedJson) -> Self {
        Self::Named {
            kinds: json.kind.split('|').map(str::to_owned).collect(),
            from: json.from.0,
            optional: json.optional,
            otherwise: json.otherwise,
            action: json.action,
        }
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_object(deserializer)
    }
}

/// A path, or a list of them.
struct OneOrMore(Vec<Path>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Paths;

        impl<'de> Visitor<'de> for Paths {
            type Value = OneOrMore;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a path or a list of paths")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![Path::parse(text).map_err(E::custom)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(OneOrMore(paths))
            }
        }

        deserializer.deserialize_any(Paths)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormedJson {
    from: Path,
    #[serde(default, rename = "as")]
    form: Form,
}

impl TextOrObject for Key {
    type Object = FormedJson;
    const EXPECTED: &'static str = "a path or an object with `from`";

    fn of_text(text: &str) -> Result<Self, String> {
        let from = Path::parse(text)?;
        Ok(Self { from, form: Form::AsIs })
    }

    fn of_object(json: FormedJson) -> Self {
        Self {
            from: json.from,
            form: json.form,
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_object(deserializer)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagsJson {
    #[serde(default)]
    map: Option<Path>,
    #[serde(default)]
    each: Option<Path>,
    #[serde(default = "default_key")]
    key: String,
    #[serde(default = "default_value")]
    value: String,
}

fn default_key() -> String {
    "Key".to_owned()
}

fn default_value() -> String {
    "Value".to_owned()
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = TagsJson::deserialize(deserializer)?;
        match (json.map, json.each) {
            (Some(map), None) => Ok(Self::Map(map)),
            (None, Some(each)) => Ok(Self::List {
                each,
                key: json.key,
                value: json.value,
            }),
            _ => Err(D::Error::custom("tags have either `map` or `each`")),
        }
    }
}

/// An object whose names are unique: JSON readers keep the last of two.
pub(super) struct Unique<V>(pub(super) BTreeMap<String, V>);

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Unique<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("`{name}` is there twice")));
                    }
                    members.insert(name, map.next_value()?);
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}
