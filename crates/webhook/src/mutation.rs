mod shape;

use std::collections::BTreeSet;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchError, PatchOperation};
use serde_json::{Value, json};

use self::shape::{ContainerShape, Shape, name_of};
use crate::identity::check_role_arn;
use crate::injection::{DEFAULT_REGION, Injection, REGION, REGIONAL_STS, SESSION_NAME, pod_annotation, region_of};
use crate::{ContainerIdentity, EnvFrom, EnvKeys, EnvSource, Identity, Settings, Warning, path, skip};

/// What becomes of one pod.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// Additions only; empty when the pod has all that it is to get, or may get nothing.
    pub patch: Patch,
    /// What the pod's owner should hear.
    pub warnings: Vec<Warning>,
    /// The outcome for the pod as a whole.
    pub decision: Decision,
    /// What happened container by container: the containers first, then the init containers, as in the patch. Empty
    /// where the pod as a whole was refused.
    pub containers: Vec<ContainerMutation>,
}

/// The outcome for a pod, from best to worst.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Something was injected, and no container was refused.
    Injected,
    /// There was nothing to add.
    Unchanged,
    /// At least one container goes without the credentials that its service account asks for; the reason is the first
    /// one's. The patch still holds what the other containers get.
    Refused(Refusal),
}

/// Why a container gets no credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The role's ARN is not acceptable, and [`Settings::role_arn_check`] says to refuse such.
    RoleArn,
    /// A field has another type than the Kubernetes API gives it: the API server will not take this pod.
    Malformed,
    /// The token volume's name belongs to a volume that does not hold this token.
    ForeignVolume,
    /// Another volume is mounted in the token's place.
    MountPathTaken,
}

/// What happened to one container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContainerMutation {
    /// The list that holds it.
    pub list: ContainerList,
    /// Its place in the list, from 0.
    pub index: usize,
    /// Its name; empty if it has none.
    pub name: String,
    /// What happened.
    pub outcome: Outcome,
}

/// The lists of containers that are mutated. Ephemeral containers are not: they cannot mount volumes of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContainerList {
    /// `spec.containers`.
    Containers,
    /// `spec.initContainers`.
    InitContainers,
}

/// What happened to one container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Something was added.
    Injected {
        /// The added variables, in order.
        variables: Vec<&'static str>,
        /// Whether the token volume was mounted.
        mount: bool,
    },
    /// It has everything, or sets credentials, region and STS endpoint itself.
    Unchanged,
    /// The pod's skip list names it.
    Skipped,
    /// It gets nothing.
    Refused(Refusal),
}

/// The additions that give a pod's containers the identity's role.
///
/// Pure and idempotent: the mutation of a mutated pod has an empty patch. Any JSON is allowed; what is not shaped like a
/// pod is refused with a warning. Additions, in the reference webhook's order: the token volume in front of the others
/// (even if no container uses it), then for each container the missing variables at the end of its `env` and the mount
/// at the end of its `volumeMounts`.
#[must_use]
pub fn mutate(pod: &Value, identity: &Identity, settings: &Settings) -> Mutation {
    mutate_with(pod, identity, settings, &EnvKeys::default())
}

/// As [`mutate`], where the [sources](env_sources) of containers' variables were read: what they set the containers set themselves.
#[must_use]
pub fn mutate_with(pod: &Value, identity: &Identity, settings: &Settings, keys: &EnvKeys) -> Mutation {
    let mut warnings = Vec::new();
    match check_role_arn(&identity.role_arn, region_of(identity, settings), settings) {
        Ok(warning) => warnings.extend(warning),
        Err(warning) => return Mutation::refused(Refusal::RoleArn, vec![warning]),
    }
    let injection = Injection::web_identity(pod, identity, settings, &mut warnings);
    inject(pod, &injection, lists_of(identity), settings, (keys, warnings))
}

/// What the service account says of containers to skip, and of those to include.
fn lists_of(identity: &Identity) -> [Option<&str>; 2] {
    [
        identity.skip_containers.as_deref(),
        identity.include_containers.as_deref(),
    ]
}

/// The sources of containers' variables that are to be read before [`mutate_with`]: those that could make a difference, where
/// [`Settings::env_from`] respects such. There may be as many as a pod can name.
#[must_use]
pub fn env_sources(pod: &Value, identity: &Identity, settings: &Settings) -> Vec<EnvSource> {
    if settings.env_from == EnvFrom::Ignore {
        return Vec::new();
    }
    let injection = Injection::web_identity(pod, identity, settings, &mut Vec::new());
    sources(pod, &injection, lists_of(identity), settings)
}

/// The same for [`mutate_container_credentials_with`].
#[must_use]
pub fn container_credentials_env_sources(
    pod: &Value,
    identity: &ContainerIdentity,
    settings: &Settings,
) -> Vec<EnvSource> {
    if settings.env_from == EnvFrom::Ignore {
        return Vec::new();
    }
    let injection = Injection::container_credentials(pod, identity, settings, &mut Vec::new());
    sources(pod, &injection, [None, None], settings)
}

fn sources(pod: &Value, injection: &Injection, lists: [Option<&str>; 2], settings: &Settings) -> Vec<EnvSource> {
    let mut sources = Vec::new();
    // What is wrong with the pod is told by its mutation.
    let Ok(shape) = Shape::of(pod) else {
        return sources;
    };
    let chosen = Chosen::of(pod, &shape, lists, settings, &mut Vec::new());
    for container in shape.containers.iter().chain(shape.init_containers) {
        if let Ok(read) = ContainerShape::of(container)
            && !read.env_from.is_empty()
            && !chosen.leaves_out(name_of(container))
            && injection.adds_to(injection.own(&read.names().collect()))
        {
            settings.env_from.collect(read.env_from, &mut sources);
        }
    }
    sources
}

/// The additions that give a pod's containers the credentials of EKS Pod Identity. As [`mutate`] in everything else.
#[must_use]
pub fn mutate_container_credentials(pod: &Value, identity: &ContainerIdentity, settings: &Settings) -> Mutation {
    mutate_container_credentials_with(pod, identity, settings, &EnvKeys::default())
}

/// As [`mutate_container_credentials`], where the [sources](container_credentials_env_sources) of containers' variables were read.
#[must_use]
pub fn mutate_container_credentials_with(
    pod: &Value,
    identity: &ContainerIdentity,
    settings: &Settings,
    keys: &EnvKeys,
) -> Mutation {
    let mut warnings = Vec::new();
    let injection = Injection::container_credentials(pod, identity, settings, &mut warnings);
    inject(pod, &injection, [None, None], settings, (keys, warnings))
}

fn inject(
    pod: &Value,
    injection: &Injection,
    lists: [Option<&str>; 2],
    settings: &Settings,
    (keys, mut warnings): (&EnvKeys, Vec<Warning>),
) -> Mutation {
    let shape = match Shape::of(pod) {
        Ok(shape) => shape,
        Err(field) => {
            warnings.push(Warning::Malformed { field: field.into() });
            return Mutation::refused(Refusal::Malformed, warnings);
        }
    };
    let chosen = Chosen::of(pod, &shape, lists, settings, &mut warnings);
    let mut draft = Draft {
        injection,
        keys,
        shape: &shape,
        operations: Vec::new(),
        warnings,
    };
    draft.add_label(pod);
    draft.add_volume();

    let mut containers = Vec::new();
    for (list, key, values) in [
        (ContainerList::Containers, "containers", shape.containers),
        (ContainerList::InitContainers, "initContainers", shape.init_containers),
    ] {
        for (index, container) in values.iter().enumerate() {
            let name = name_of(container);
            let outcome = if chosen.leaves_out(name) {
                Outcome::Skipped
            } else {
                draft.add_to_container(Place { key, index, name }, container)
            };
            containers.push(ContainerMutation {
                list,
                index,
                name: name.to_owned(),
                outcome,
            });
        }
    }

    let refusal = containers.iter().find_map(|container| match container.outcome {
        Outcome::Refused(refusal) => Some(refusal),
        _ => None,
    });
    let decision = match refusal {
        Some(refusal) => Decision::Refused(refusal),
        None if draft.operations.is_empty() => Decision::Unchanged,
        None => Decision::Injected,
    };
    Mutation {
        patch: Patch(draft.operations),
        warnings: draft.warnings,
        decision,
        containers,
    }
}

/// Applies a patch; on an error the value is as it was.
///
/// # Errors
/// An operation does not fit the value, which is then not the pod that the patch was made for.
pub fn apply(pod: &mut Value, patch: &Patch) -> Result<(), PatchError> {
    json_patch::patch(pod, patch)
}

/// Whether the pod has the label with which its owner keeps it away from the webhook. In a cluster the webhook
/// configuration's object selector looks at it; who calls [`mutate`] without one asks here first.
#[must_use]
pub fn is_opted_out(pod: &Value) -> bool {
    let labels = pod.get("metadata").and_then(|metadata| metadata.get("labels"));
    labels.is_some_and(|labels| labels.get("eks.amazonaws.com/skip-pod-identity-webhook").is_some())
}

impl Mutation {
    fn refused(refusal: Refusal, warnings: Vec<Warning>) -> Self {
        Self {
            patch: Patch::default(),
            warnings,
            decision: Decision::Refused(refusal),
            containers: Vec::new(),
        }
    }
}

/// The containers that the pod's owner, or the account's, chose.
struct Chosen {
    skipped: BTreeSet<String>,
    included: Option<BTreeSet<String>>,
}

impl Chosen {
    /// A pod's own list goes before its account's.
    fn of(
        pod: &Value,
        shape: &Shape<'_>,
        [skip, include]: [Option<&str>; 2],
        settings: &Settings,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let present: BTreeSet<&str> = shape
            .containers
            .iter()
            .chain(shape.init_containers)
            .map(name_of)
            .collect();
        let unknown = |names: &BTreeSet<String>| -> Vec<String> {
            let unknown = names.iter().filter(|name| !present.contains(name.as_str()));
            unknown.cloned().collect()
        };
        // An account's list is for pods of many shapes, so only a pod's own is held to its containers.
        let own_skip = pod_annotation(pod, "skip-containers", settings, warnings);
        let own_include = pod_annotation(pod, "include-containers", settings, warnings);
        let mut skipped = BTreeSet::new();
        if let Some(text) = own_skip.or(skip) {
            match skip::first_record(text) {
                Some(names) => skipped.extend(names),
                None => warnings.push(Warning::SkipContainers { value: text.to_owned() }),
            }
            let names = unknown(&skipped);
            if own_skip.is_some() && !names.is_empty() {
                warnings.push(Warning::UnknownSkippedContainers { names });
            }
        }
        let mut included = None;
        if let Some(text) = own_include.or(include) {
            match skip::first_record(text) {
                Some(names) => {
                    let names: BTreeSet<String> = names.into_iter().collect();
                    let unknown = unknown(&names);
                    if own_include.is_some() && !unknown.is_empty() {
                        warnings.push(Warning::UnknownIncludedContainers { names: unknown });
                    }
                    included = Some(names);
                }
                None => warnings.push(Warning::IncludeContainers { value: text.to_owned() }),
            }
        }
        Self { skipped, included }
    }

    fn leaves_out(&self, name: &str) -> bool {
        self.skipped.contains(name) || self.included.as_ref().is_some_and(|included| !included.contains(name))
    }
}

/// One container's place in the pod.
#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'static str,
    index: usize,
    name: &'a str,
}

/// How a container comes to the token file.
enum TokenAccess<'a> {
    /// A volume with the token is mounted already, or at least one of its name.
    Mounted,
    /// The volume is to be mounted.
    Mount,
    /// It cannot be mounted.
    Blocked(Refusal, Option<&'a str>),
}

struct Draft<'a> {
    injection: &'a Injection,
    keys: &'a EnvKeys,
    shape: &'a Shape<'a>,
    operations: Vec<PatchOperation>,
    warnings: Vec<Warning>,
}

impl<'a> Draft<'a> {
    fn add_label(&mut self, pod: &Value) {
        let Some((name, value)) = self.injection.label else {
            return;
        };
        match pod.get("metadata").and_then(|metadata| metadata.get("labels")) {
            Some(Value::Object(labels)) if labels.get(name).is_some_and(|label| label == value) => {}
            Some(Value::Object(_)) => self.add(["metadata", "labels", name], json!(value)),
            None | Some(Value::Null) if pod.get("metadata").is_some_and(Value::is_object) => {
                self.add(["metadata", "labels"], json!({name: value}));
            }
            // Nothing to put a label into: the API server will not take this pod.
            _ => {}
        }
    }

    fn add_volume(&mut self) {
        let volume = self.injection.volume();
        match self.shape.volumes {
            None => self.add(["spec", "volumes"], json!([volume])),
            Some(_) if self.shape.volume(&self.injection.volume).is_some() => {}
            Some(_) => self.add(["spec", "volumes", "0"], volume),
        }
    }

    fn add_to_container(&mut self, place: Place<'a>, container: &'a Value) -> Outcome {
        let read = match ContainerShape::of(container) {
            Ok(shape) => shape,
            Err(field) => {
                let field = format!("spec.{}[{}]{field}", place.key, place.index);
                self.warnings.push(Warning::Malformed { field });
                return Outcome::Refused(Refusal::Malformed);
            }
        };
        let ContainerShape { env, mounts, .. } = read;
        let names: BTreeSet<&str> = read.names().chain(self.keys.set_by(read.env_from)).collect();
        let injection = self.injection;
        let own = injection.own(&names);
        let has_all = own.credentials && own.region && own.regional_sts;
        let access = self.token_access(mounts);

        if let TokenAccess::Blocked(refusal, volume) = access
            && !own.credentials
        {
            self.warn_of_block(place.name, volume);
            return Outcome::Refused(refusal);
        }
        self.warn_of_halves(place.name, &names);
        self.warn_of_mounts(place.name, mounts);
        // Without the mount too, even where one is missing: the reference webhook's own tests fix this.
        if has_all {
            return Outcome::Unchanged;
        }

        let mut variables: Vec<(&'static str, &str)> = Vec::new();
        if injection.regional_sts && !own.regional_sts {
            variables.push((REGIONAL_STS, "regional"));
        }
        if let Some(region) = &injection.region
            && !own.region
        {
            variables.extend([(DEFAULT_REGION, region.as_str()), (REGION, region.as_str())]);
        }
        let mut session_name = None;
        if !own.credentials {
            let credentials = injection.credentials.iter();
            variables.extend(credentials.map(|(name, value)| (*name, value.as_str())));
            session_name = injection.session_name.clone().filter(|_| !names.contains(SESSION_NAME));
        }
        let mount = matches!(access, TokenAccess::Mount);
        if variables.is_empty() && !mount {
            return Outcome::Unchanged;
        }
        let entries = variables
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}));
        let named = session_name.is_some();
        self.append(place, "env", env.is_some(), entries.chain(session_name).collect());
        let mount_entry = mount.then(|| injection.mount());
        self.append(
            place,
            "volumeMounts",
            mounts.is_some(),
            mount_entry.into_iter().collect(),
        );
        Outcome::Injected {
            variables: variables
                .into_iter()
                .map(|(name, _)| name)
                .chain(named.then_some(SESSION_NAME))
                .collect(),
            mount,
        }
    }

    /// A mount by the volume's name counts wherever it leads, as for the reference webhook; another volume in the token's
    /// place is as good as ours if it holds the same token, and in the way if not.
    fn token_access(&self, mounts: Option<&'a Vec<Value>>) -> TokenAccess<'a> {
        let mounts = || mounts.into_iter().flatten();
        let volume = self.injection.volume.as_str();
        if mounts().any(|mount| name_of(mount) == volume) {
            return TokenAccess::Mounted;
        }
        let folder = path::clean(&self.injection.mount_path);
        let file = path::join(&folder, &self.injection.token_file);
        for mount in mounts() {
            let mount_path = path::clean(mount_path_of(mount));
            if mount_path != folder && !path::is_at_or_below(&mount_path, &file) {
                continue;
            }
            let name = name_of(mount);
            let whole = mount.get("subPath").is_none() && mount.get("subPathExpr").is_none();
            let same_token = self
                .shape
                .volume(name)
                .is_some_and(|volume| self.injection.is_token_volume(volume));
            if mount_path == folder && whole && same_token {
                return TokenAccess::Mounted;
            }
            return TokenAccess::Blocked(Refusal::MountPathTaken, Some(name));
        }
        match self.shape.volume(volume) {
            Some(taken) if !self.injection.is_token_volume(taken) => TokenAccess::Blocked(Refusal::ForeignVolume, None),
            _ => TokenAccess::Mount,
        }
    }

    fn warn_of_block(&mut self, container: &str, volume: Option<&str>) {
        let container = container.to_owned();
        self.warnings.push(match volume {
            Some(volume) => Warning::MountPathTaken {
                container,
                volume: volume.to_owned(),
            },
            None => Warning::ForeignVolume {
                container,
                volume: self.injection.volume.clone(),
            },
        });
    }

    fn warn_of_halves(&mut self, container: &str, names: &BTreeSet<&str>) {
        let [(first, _), (second, _)] = self.injection.credentials;
        let (present, missing) = match (names.contains(first), names.contains(second)) {
            (true, false) => (first, second),
            (false, true) => (second, first),
            _ => return,
        };
        self.warnings.push(Warning::HalfCredentials {
            container: container.to_owned(),
            present,
            missing,
        });
    }

    fn warn_of_mounts(&mut self, container: &str, mounts: Option<&Vec<Value>>) {
        let name = self.injection.volume.as_str();
        let mut ours = mounts
            .into_iter()
            .flatten()
            .filter(|mount| name_of(mount) == name)
            .peekable();
        let Some(first) = ours.peek() else {
            return;
        };
        let first_path = mount_path_of(first).to_owned();
        let folder = path::clean(&self.injection.mount_path);
        let in_place = ours.any(|mount| path::clean(mount_path_of(mount)) == folder);
        let container = container.to_owned();
        match self.shape.volume(name) {
            Some(volume) if !self.injection.is_token_volume(volume) => {
                self.warnings.push(Warning::ForeignVolumeMounted {
                    container,
                    volume: name.to_owned(),
                });
            }
            _ if !in_place => self.warnings.push(Warning::MountedElsewhere {
                container,
                mount_path: first_path,
            }),
            _ => {}
        }
    }

    /// Appends entries to a list of a container, one operation each if the list exists.
    fn append(&mut self, place: Place<'_>, field: &'static str, exists: bool, entries: Vec<Value>) {
        let index = place.index.to_string();
        if exists {
            for entry in entries {
                self.add(["spec", place.key, &index, field, "-"], entry);
            }
        } else if !entries.is_empty() {
            self.add(["spec", place.key, &index, field], Value::Array(entries));
        }
    }

    fn add<'t>(&mut self, tokens: impl IntoIterator<Item = &'t str>, value: Value) {
        let path = PointerBuf::from_tokens(tokens);
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }
}

fn mount_path_of(mount: &Value) -> &str {
    mount.get("mountPath").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
