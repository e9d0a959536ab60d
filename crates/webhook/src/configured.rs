//! Identities that do not stand on service accounts: those of the ConfigMap, and those that EKS Pod Identity serves.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::{Identity, Settings};

/// Identities of a ConfigMap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfiguredIdentities {
    /// By namespace and name, `app/reader`.
    exact: HashMap<String, Identity>,
    /// By name alone, for all namespaces.
    anywhere: HashMap<String, Identity>,
}

/// A text that holds no identities at all; what was known before stays.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfiguredError {
    /// It is no JSON.
    #[error("line {line}, column {column}: {reason}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// It is some other JSON.
    #[error("expected {expected}")]
    Shape {
        /// What it should be.
        expected: &'static str,
    },
}

/// One entry that is left out; the others count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{entry}`: {reason}")]
pub struct EntryFault {
    /// Its key, or its place.
    pub entry: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl ConfiguredIdentities {
    /// Reads the ConfigMap's text: an object of `namespace/name`, or `*/name`, to `RoleARN`, `Audience`, `UseRegionalSTS` and `TokenExpiration`,
    /// whose case does not count. What an entry does not say is as the settings have it.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(text: &str, settings: &Settings) -> Result<(Self, Vec<EntryFault>), ConfiguredError> {
        let Value::Object(entries) = json(text)? else {
            return Err(ConfiguredError::Shape {
                expected: "an object of `namespace/name` to identities",
            });
        };
        let (mut read, mut faults) = (Self::default(), Vec::new());
        for (key, entry) in entries {
            match read_entry(&key, &entry, settings) {
                Ok(identity) => match key.strip_prefix("*/") {
                    Some(name) => drop(read.anywhere.insert(name.to_owned(), identity)),
                    None => drop(read.exact.insert(key, identity)),
                },
                Err(reason) => faults.push(EntryFault { entry: key, reason }),
            }
        }
        Ok((read, faults))
    }

    /// The identity of a service account: its own entry before the one for all namespaces.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Identity> {
        self.exact(namespace, name).or_else(|| self.anywhere.get(name))
    }

    /// The identity of a service account by an entry of its own.
    #[must_use]
    pub fn exact(&self, namespace: &str, name: &str) -> Option<&Identity> {
        self.exact.get(&format!("{namespace}/{name}"))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.anywhere.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn read_entry(key: &str, entry: &Value, settings: &Settings) -> Result<Identity, &'static str> {
    let (namespace, name) = key.split_once('/').ok_or("the key is not `namespace/name`")?;
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err("the key is not `namespace/name`");
    }
    if namespace != "*" && namespace.contains('*') {
        return Err("`*` stands for all namespaces, and only alone");
    }
    let entry = entry.as_object().ok_or("the identity is not an object")?;
    let role_arn = match field(entry, "RoleARN") {
        Some(Value::String(role_arn)) if !role_arn.is_empty() => role_arn,
        _ => return Err("`RoleARN` is missing"),
    };
    let mut identity = Identity::new(role_arn, settings);
    match field(entry, "Audience") {
        None | Some(Value::Null) => {}
        Some(Value::String(audience)) if audience.is_empty() => {}
        Some(Value::String(audience)) => audience.clone_into(&mut identity.audience),
        Some(_) => return Err("`Audience` is not a string"),
    }
    match field(entry, "UseRegionalSTS") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(regional)) => identity.regional_sts = *regional,
        Some(_) => return Err("`UseRegionalSTS` is neither true nor false"),
    }
    match field(entry, "TokenExpiration") {
        None | Some(Value::Null) => {}
        Some(seconds) => match seconds.as_i64() {
            Some(0) => {}
            Some(seconds) => identity.token_expiration_seconds = settings.clamp_expiration(seconds),
            None => return Err("`TokenExpiration` is not a whole number of seconds"),
        },
    }
    Ok(identity)
}

/// The service accounts that EKS Pod Identity serves, as `namespace/name`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServedAccounts(HashSet<String>);

impl ServedAccounts {
    /// Reads the file: `{"identities": [{"namespace": …, "serviceAccount": …}]}`; an empty text is an empty set.
    ///
    /// # Errors
    /// It is no JSON of that shape.
    pub fn read(text: &str) -> Result<(Self, Vec<EntryFault>), ConfiguredError> {
        if text.trim().is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        let shape = || ConfiguredError::Shape {
            expected: "an object with a list `identities`",
        };
        let Value::Object(document) = json(text)? else {
            return Err(shape());
        };
        let empty = Vec::new();
        let identities = match field(&document, "identities") {
            None | Some(Value::Null) => &empty,
            Some(Value::Array(identities)) => identities,
            Some(_) => return Err(shape()),
        };
        let (mut read, mut faults) = (HashSet::new(), Vec::new());
        for (number, identity) in identities.iter().enumerate() {
            let text = |name: &str| {
                let value = identity.as_object().and_then(|identity| field(identity, name));
                value.and_then(Value::as_str).filter(|text| !text.is_empty())
            };
            match (text("namespace"), text("serviceAccount")) {
                (Some(namespace), Some(name)) => drop(read.insert(format!("{namespace}/{name}"))),
                _ => faults.push(EntryFault {
                    entry: format!("identities[{number}]"),
                    reason: "`namespace` and `serviceAccount` must be there",
                }),
            }
        }
        Ok((Self(read), faults))
    }

    /// Whether the service account is one of them.
    #[must_use]
    pub fn contains(&self, namespace: &str, name: &str) -> bool {
        self.0.contains(&format!("{namespace}/{name}"))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn json(text: &str) -> Result<Value, ConfiguredError> {
    serde_json::from_str(text).map_err(|error| ConfiguredError::Json {
        line: error.line(),
        column: error.column(),
        reason: error
            .to_string()
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// A member as Go finds it: by its name, else by one that differs in case alone.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let mut same = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/x";

    fn read(text: &str) -> (ConfiguredIdentities, Vec<String>) {
        let settings = Settings {
            regional_sts: true,
            token_expiration_seconds: 7_200,
            ..Settings::default()
        };
        let (identities, faults) = ConfiguredIdentities::read(text, &settings).unwrap();
        (identities, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_entry_says_what_differs_from_the_settings() {
        let (identities, faults) = read(&format!(
            r#"{{"app/a": {{"rolearn": "{ROLE}"}},
                "app/b": {{"RoleARN": "{ROLE}", "Audience": "x", "UseRegionalSTS": false, "TokenExpiration": 100}},
                "*/a": {{"RoleARN": "{ROLE}-anywhere"}}}}"#
        ));
        assert_eq!(faults, Vec::<String>::new());
        let a = identities.get("app", "a").unwrap();
        assert_eq!(
            (
                a.role_arn.as_str(),
                a.audience.as_str(),
                a.regional_sts,
                a.token_expiration_seconds
            ),
            (ROLE, "sts.amazonaws.com", true, 7_200)
        );
        let b = identities.get("app", "b").unwrap();
        assert_eq!(
            (b.audience.as_str(), b.regional_sts, b.token_expiration_seconds),
            ("x", false, 600)
        );
        assert_eq!(
            identities.get("other", "a").unwrap().role_arn,
            format!("{ROLE}-anywhere")
        );
        assert_eq!(identities.get("other", "b"), None);
        assert_eq!(identities.get("*", "b"), None);
    }

    #[test]
    fn a_bad_entry_leaves_the_others_alone() {
        let (identities, faults) = read(&format!(
            r#"{{"good/a": {{"RoleARN": "{ROLE}"}}, "noslash": {{"RoleARN": "{ROLE}"}}, "n/null": null, "n/": {{"RoleARN": "{ROLE}"}},
                "test-*/x": {{"RoleARN": "{ROLE}"}}, "n/role": {{}}, "n/empty": {{"RoleARN": ""}}, "n/a/b": {{"RoleARN": "{ROLE}"}},
                "n/audience": {{"RoleARN": "{ROLE}", "Audience": 1}}, "n/sts": {{"RoleARN": "{ROLE}", "UseRegionalSTS": "true"}},
                "n/life": {{"RoleARN": "{ROLE}", "TokenExpiration": 1.5}}}}"#
        ));
        assert_eq!((identities.len(), faults.len()), (1, 10), "{faults:?}");
        assert!(identities.get("good", "a").is_some());
        assert!(faults.contains(&"`n/life`: `TokenExpiration` is not a whole number of seconds".to_owned()));
    }

    #[test]
    fn a_broken_text_is_told_by_its_place() {
        let settings = Settings::default();
        let error = ConfiguredIdentities::read("{\n  \"a/b\": }", &settings).unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 10: expected value");
        assert!(ConfiguredIdentities::read("[]", &settings).is_err());
        assert!(ServedAccounts::read("{\"identities\": 1}").is_err());
        assert!(ServedAccounts::read("{").is_err());
    }

    #[test]
    fn accounts_that_pod_identity_serves() {
        assert!(ServedAccounts::read(" \n").unwrap().0.is_empty());
        assert!(ServedAccounts::read("{}").unwrap().0.is_empty());
        let (served, faults) = ServedAccounts::read(
            r#"{"identities": [{"namespace": "n", "serviceAccount": "s", "extra": 1}, {"namespace": "n"}, 7, null], "other": {}}"#,
        )
        .unwrap();
        assert!(served.contains("n", "s") && !served.contains("n", "") && served.len() == 1);
        let faults: Vec<String> = faults.into_iter().map(|fault| fault.entry).collect();
        assert_eq!(faults, ["identities[1]", "identities[2]", "identities[3]"]);
    }
}
