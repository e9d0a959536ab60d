//! What of a pod the mutation works on.

use serde_json::{Map, Value};

/// The lists of a pod that the mutation works on. Absent and `null` are the same, as in the Kubernetes API.
pub(super) struct Shape<'a> {
    pub(super) volumes: Option<&'a Vec<Value>>,
    pub(super) containers: &'a [Value],
    pub(super) init_containers: &'a [Value],
}

impl<'a> Shape<'a> {
    /// `Err`: the field that has the wrong type.
    pub(super) fn of(pod: &'a Value) -> Result<Self, &'static str> {
        let spec = pod.get("spec").and_then(Value::as_object).ok_or("spec")?;
        let all = |key| list(spec, key).map(|values| values.map_or(&[][..], Vec::as_slice));
        Ok(Self {
            volumes: list(spec, "volumes").map_err(|WrongType| "spec.volumes")?,
            containers: all("containers").map_err(|WrongType| "spec.containers")?,
            init_containers: all("initContainers").map_err(|WrongType| "spec.initContainers")?,
        })
    }

    pub(super) fn volume(&self, name: &str) -> Option<&'a Value> {
        self.volumes
            .into_iter()
            .flatten()
            .find(|volume| name_of(volume) == name)
    }
}

struct WrongType;

fn list<'a>(object: &'a Map<String, Value>, key: &str) -> Result<Option<&'a Vec<Value>>, WrongType> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(_) => Err(WrongType),
    }
}

pub(super) fn name_of(value: &Value) -> &str {
    value.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The lists of a container that the mutation works on.
pub(super) struct ContainerShape<'a> {
    pub(super) env: Option<&'a Vec<Value>>,
    pub(super) mounts: Option<&'a Vec<Value>>,
    /// Where further variables come from: those of `env` go before them.
    pub(super) env_from: &'a [Value],
}

impl<'a> ContainerShape<'a> {
    /// `Err`: the field that has the wrong type.
    pub(super) fn of(container: &'a Value) -> Result<Self, &'static str> {
        let container = container.as_object().ok_or("")?;
        Ok(Self {
            env: list(container, "env").map_err(|WrongType| ".env")?,
            mounts: list(container, "volumeMounts").map_err(|WrongType| ".volumeMounts")?,
            // Nothing is added to it, so it is in nobody's way: the API server will say what is wrong with it.
            env_from: container
                .get("envFrom")
                .and_then(Value::as_array)
                .map_or(&[], Vec::as_slice),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.env.into_iter().flatten().map(name_of)
    }
}
