//! What a container's `envFrom` sets, where an operator wants it respected.
//!
//! Sources are read by whoever has the IO; here it is said which, and what their keys mean. Only names count: a variable that a source sets is one that
//! the container sets itself, whatever its value. See
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables>.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::injection::VARIABLES;

/// What `envFrom` a container's variables are also looked for in. The reference webhook looks at none: what it injects goes before what they set, in
/// silence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EnvFrom {
    /// In none, as with the reference webhook.
    Ignore,
    /// In ConfigMaps.
    ConfigMaps,
    /// In ConfigMaps and Secrets.
    All,
}

/// What a source is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EnvSourceKind {
    /// `configMapRef`.
    ConfigMap,
    /// `secretRef`.
    Secret,
}

/// A source that a pod's containers take variables from, in the pod's namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvSource {
    /// What it is.
    pub kind: EnvSourceKind,
    /// Its name, as it was written: nothing of the pod was validated yet.
    pub name: String,
    /// Whether every container that names it can start without.
    pub is_optional: bool,
}

/// The keys of the sources that were read. What was not read sets nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvKeys(BTreeMap<EnvSourceKind, BTreeMap<String, Vec<String>>>);

impl EnvKeys {
    /// Whether a key can become one of the variables that are injected, with some prefix: no other need be kept.
    #[must_use]
    pub fn matters(key: &str) -> bool {
        VARIABLES.iter().any(|variable| variable.ends_with(key))
    }

    /// A source has these keys; others than those that [matter](Self::matters) may be left out.
    pub fn insert(&mut self, source: &EnvSource, keys: impl IntoIterator<Item = String>) {
        let keys = keys.into_iter().filter(|key| Self::matters(key)).collect();
        self.0.entry(source.kind).or_default().insert(source.name.clone(), keys);
    }

    fn of(&self, (kind, name): (EnvSourceKind, &str)) -> &[String] {
        let keys = self.0.get(&kind).and_then(|sources| sources.get(name));
        keys.map_or(&[], Vec::as_slice)
    }

    /// The variables of ours that the entries of an `envFrom` set.
    pub(crate) fn set_by(&self, entries: &[Value]) -> Vec<&'static str> {
        let mut set = Vec::new();
        for entry in entries {
            let prefix = entry.get("prefix").and_then(Value::as_str).unwrap_or_default();
            for (kind, reference) in references(entry) {
                for key in self.of((kind, name_of(reference))) {
                    let named = |variable: &&str| variable.strip_prefix(prefix) == Some(key.as_str());
                    set.extend(VARIABLES.into_iter().filter(named));
                }
            }
        }
        set
    }
}

impl EnvFrom {
    fn respects(self, kind: EnvSourceKind) -> bool {
        match kind {
            EnvSourceKind::ConfigMap => self != Self::Ignore,
            EnvSourceKind::Secret => self == Self::All,
        }
    }

    /// Adds the sources of an `envFrom` that are to be read to those that are known.
    pub(crate) fn collect(self, entries: &[Value], sources: &mut Vec<EnvSource>) {
        for (kind, reference) in entries.iter().flat_map(references) {
            let name = name_of(reference);
            if name.is_empty() || !self.respects(kind) {
                continue;
            }
            let is_optional = reference.get("optional") == Some(&Value::Bool(true));
            let known = |source: &&mut EnvSource| source.kind == kind && source.name == name;
            match sources.iter_mut().find(known) {
                Some(source) => source.is_optional &= is_optional,
                None => sources.push(EnvSource {
                    kind,
                    name: name.to_owned(),
                    is_optional,
                }),
            }
        }
    }
}

fn references(entry: &Value) -> impl Iterator<Item = (EnvSourceKind, &Value)> {
    let kinds = [
        ("configMapRef", EnvSourceKind::ConfigMap),
        ("secretRef", EnvSourceKind::Secret),
    ];
    kinds
        .into_iter()
        .filter_map(|(key, kind)| Some((kind, entry.get(key)?)))
}

fn name_of(reference: &Value) -> &str {
    reference.get("name").and_then(Value::as_str).unwrap_or_default()
}

impl fmt::Display for EnvSourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}
