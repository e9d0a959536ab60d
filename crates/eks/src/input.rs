//! The members of a request's body, each of the type that it must have.

use std::collections::BTreeMap;

use irsa_oidc::ProviderUrl;
use serde_json::{Map, Value, json};

use crate::error::EksError;

const MAX_TAGS: usize = 50;
const MAX_NAME: usize = 100;
const MAX_TEXT: usize = 2048;
/// The most elements of a list of the network's description.
const MAX_ELEMENTS: usize = 100;
/// The kinds of clusters that the EKS connector knows.
const CONNECTOR_PROVIDERS: [&str; 9] = [
    "EKS_ANYWHERE",
    "ANTHOS",
    "GKE",
    "AKS",
    "OPENSHIFT",
    "TANZU",
    "RANCHER",
    "EC2",
    "OTHER",
];

/// A JSON object, and how it is called in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    members: &'a Map<String, Value>,
    name: &'static str,
}

/// The issuer that a cluster brings.
pub(crate) struct GivenIssuer {
    pub(crate) url: ProviderUrl,
    /// Its key set, if that is not to be fetched.
    pub(crate) keys: Option<Value>,
}

impl<'a> Input<'a> {
    /// The body itself.
    pub(crate) fn body(members: &'a Map<String, Value>) -> Self {
        Self { members, name: "" }
    }

    /// A member that is there and not null.
    fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    fn wrong(&self, member: &str, must: &str) -> EksError {
        let dot = if self.name.is_empty() { "" } else { "." };
        EksError::InvalidParameter(format!("{}{dot}{member} must be {must}", self.name))
    }

    pub(crate) fn text(&self, member: &str) -> Result<Option<&'a str>, EksError> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= MAX_TEXT => Ok(Some(text)),
            Some(_) => Err(self.wrong(member, "a string of at most 2048 characters")),
        }
    }

    pub(crate) fn object(&self, member: &'static str) -> Result<Option<Self>, EksError> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { members, name: member })),
            Some(_) => Err(self.wrong(member, "an object")),
        }
    }

    /// The name of a new cluster. It becomes a part of ARNs and of the store's keys.
    pub(crate) fn cluster_name(&self) -> Result<&'a str, EksError> {
        let name = self.text("name")?.unwrap_or_default();
        let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
        let fits = name.len() <= MAX_NAME
            && name.bytes().next().is_some_and(alphanumeric)
            && name
                .bytes()
                .all(|byte| alphanumeric(byte) || byte == b'-' || byte == b'_');
        fits.then_some(name).ok_or_else(|| {
            self.wrong(
                "name",
                "1 to 100 letters, digits, hyphens and underscores that begin with a letter or a digit",
            )
        })
    }

    /// The member `resourcesVpcConfig` with what is known of it: it comes back in answers, whose readers expect these types.
    pub(crate) fn network(&self) -> Result<Option<Value>, EksError> {
        let Some(network) = self.object("resourcesVpcConfig")? else {
            return Ok(None);
        };
        let mut known = json!({ "subnetIds": [], "securityGroupIds": [] });
        for member in ["subnetIds", "securityGroupIds", "publicAccessCidrs"] {
            if let Some(value) = network.get(member) {
                let fits = value
                    .as_array()
                    .is_some_and(|values| values.len() <= MAX_ELEMENTS && values.iter().all(Self::is_word));
                if !fits {
                    return Err(network.wrong(member, "a list of at most 100 strings"));
                }
                known[member] = value.clone();
            }
        }
        for member in ["endpointPublicAccess", "endpointPrivateAccess"] {
            if let Some(value) = network.get(member) {
                if !value.is_boolean() {
                    return Err(network.wrong(member, "true or false"));
                }
                known[member] = value.clone();
            }
        }
        Ok(Some(known))
    }

    fn is_word(value: &Value) -> bool {
        value.as_str().is_some_and(|text| text.len() <= 256)
    }

    /// The member `connectorConfig`: provider and role.
    pub(crate) fn connector(&self) -> Result<(Option<&'a str>, Option<&'a str>), EksError> {
        let Some(connector) = self.object("connectorConfig")? else {
            return Ok((None, None));
        };
        let provider = connector.text("provider")?;
        if provider.is_some_and(|provider| !CONNECTOR_PROVIDERS.contains(&provider)) {
            let one = format!("one of {}", CONNECTOR_PROVIDERS.join(", "));
            return Err(connector.wrong("provider", &one));
        }
        Ok((provider, connector.text("roleArn")?))
    }

    /// Whether the cluster brings an issuer of its own: the member `oidc`, which is ours and not of EKS.
    pub(crate) fn brings_issuer(&self) -> bool {
        self.get("oidc").is_some()
    }

    /// The issuer that the cluster brings, and its keys if it brings those too. Ports are allowed here: whether one is fetched from is decided
    /// when a provider is made.
    pub(crate) fn issuer(&self) -> Result<Option<GivenIssuer>, EksError> {
        let Some(oidc) = self.object("oidc")? else {
            return Ok(None);
        };
        // A misspelled member would mean that keys are fetched that were meant to be given.
        if let Some(unknown) = oidc
            .members
            .keys()
            .find(|name| !matches!(name.as_str(), "issuer" | "keys"))
        {
            let unknown: String = unknown.chars().take(64).collect();
            return Err(EksError::InvalidParameter(format!(
                "oidc has the members issuer and keys, not {unknown}"
            )));
        }
        let url = oidc.text("issuer")?.unwrap_or_default();
        let url = ProviderUrl::parse(url, true)
            .map_err(|error| EksError::InvalidParameter(format!("oidc.issuer can't be used: {error}")))?;
        Ok(Some(GivenIssuer {
            url,
            keys: oidc.get("keys").cloned(),
        }))
    }

    /// The member `tags`.
    pub(crate) fn tags(&self) -> Result<BTreeMap<String, String>, EksError> {
        let Some(tags) = self.object("tags")? else {
            return Ok(BTreeMap::new());
        };
        let tag = |(key, value): (&String, &Value)| match value {
            Value::String(value) => Ok((key.clone(), value.clone())),
            _ => Err(EksError::InvalidParameter(
                "tags must be an object of strings".to_owned(),
            )),
        };
        let tags = tags.members.iter().map(tag).collect::<Result<_, _>>()?;
        check_tags(&tags)?;
        Ok(tags)
    }

    /// What an audit record shows of the body. Of keys only their ids: whoever sends a private one by mistake must not find it in records.
    pub(crate) fn recorded(&self) -> Map<String, Value> {
        let mut recorded = Map::new();
        for member in [
            "name",
            "version",
            "roleArn",
            "resourcesVpcConfig",
            "connectorConfig",
            "tags",
            "clientRequestToken",
        ] {
            if let Some(value) = self.get(member) {
                recorded.insert(member.to_owned(), value.clone());
            }
        }
        if let Ok(Some(oidc)) = self.object("oidc") {
            let mut shown = Map::new();
            if let Ok(Some(issuer)) = oidc.text("issuer") {
                shown.insert("issuer".to_owned(), issuer.into());
            }
            if let Some(keys) = oidc.get("keys") {
                let keys = keys.get("keys").and_then(Value::as_array).into_iter().flatten();
                let ids = keys.filter_map(|key| key.get("kid")?.as_str());
                let ids: Vec<String> = ids
                    .take(MAX_ELEMENTS)
                    .map(|id| id.chars().take(256).collect())
                    .collect();
                shown.insert("keyIds".to_owned(), ids.into());
            }
            recorded.insert("oidc".to_owned(), shown.into());
        }
        recorded
    }
}

/// The rules of a cluster's tags.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), EksError> {
    let fits = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && !key.to_ascii_lowercase().starts_with("aws:")
    };
    if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
        return Err(EksError::InvalidParameter(
            "A resource may have 50 tags with keys of 1 to 128 characters that do not begin with aws: and values of up to 256".to_owned(),
        ));
    }
    Ok(())
}
