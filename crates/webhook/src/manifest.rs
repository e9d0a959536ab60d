//! Kubernetes manifests: which service accounts and workloads a set of documents describes.
//!
//! The documents come parsed, one JSON value each; how they were written is the caller's business. A workload keeps
//! its pod template as a pod, ready for [`mutate`](crate::mutate), and knows its place in the document, so that the
//! mutation can also be applied to, and shown in, the document that it came from.

use json_patch::{Patch, PatchError};
use serde_json::{Map, Value, json};

use crate::warning::Shown;

/// One object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A service account.
    ServiceAccount(ServiceAccount),
    /// A pod, or something that makes pods.
    Workload(Box<Workload>),
    /// Anything else.
    Other(Other),
}

/// A service account of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccount {
    /// The document's index, from 0.
    pub document: usize,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object, for [`identity_of`](crate::identity_of).
    pub value: Value,
}

/// An object that this module has no use for.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The document's index, from 0.
    pub document: usize,
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name; empty if it has none.
    pub name: String,
}

/// A pod, or something that makes pods of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The document's index, from 0.
    pub document: usize,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name; for an object with only a `generateName` that, without a final hyphen.
    pub name: String,
    /// The service account that its pods run as.
    pub service_account: String,
    /// How many pods run at a time: `replicas`, or a job's `parallelism`; 1 where neither is set.
    pub replicas: u64,
    /// The pod template as a Pod: `apiVersion`, `kind`, `metadata` with the namespace, `spec`.
    pub pod: Value,
    /// Where the pod template stands in the document: a JSON Pointer (RFC 6901), empty if the document is the pod.
    pub template_pointer: String,
}

impl Workload {
    /// Applies a patch that was made for [`Self::pod`] to the template in the document that the workload came from.
    ///
    /// # Errors
    /// The patch does not fit, which is then not of this workload's pod, or the document is another one.
    pub fn apply(&self, document: &mut Value, patch: &Patch) -> Result<(), PatchError> {
        match document.pointer_mut(&self.template_pointer) {
            Some(template) => json_patch::patch(template, patch),
            // Fails as it must, and names the path.
            None => json_patch::patch(&mut Value::Null, patch),
        }
    }
}

/// The kinds of objects with a pod template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WorkloadKind {
    /// A single pod.
    Pod,
    /// `apps` Deployment.
    Deployment,
    /// `apps` ReplicaSet.
    ReplicaSet,
    /// `apps` StatefulSet.
    StatefulSet,
    /// `apps` DaemonSet; one pod here, as there are no nodes.
    DaemonSet,
    /// `batch` Job.
    Job,
    /// `batch` CronJob.
    CronJob,
}

impl WorkloadKind {
    const ALL: [Self; 7] = [
        Self::Pod,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
    ];

    /// The kind as manifests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// Whether an object of this kind and API group is ours to read. Other groups have kinds of these names too.
    fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self::ALL.into_iter().find(|candidate| {
            let groups: &[&str] = match candidate {
                Self::Pod => &[""],
                Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => &["apps", "extensions"],
                Self::Job | Self::CronJob => &["batch"],
            };
            candidate.as_str() == kind && groups.contains(&group)
        })
    }

    /// The fields that lead to the pod template, and the field that counts the pods.
    fn layout(self) -> (&'static [&'static str], Option<&'static [&'static str]>) {
        const TEMPLATE: &[&str] = &["spec", "template"];
        match self {
            Self::Pod => (&[], None),
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet => (TEMPLATE, Some(&["spec", "replicas"])),
            Self::DaemonSet => (TEMPLATE, None),
            Self::Job => (TEMPLATE, Some(&["spec", "parallelism"])),
            Self::CronJob => (
                &["spec", "jobTemplate", "spec", "template"],
                Some(&["spec", "jobTemplate", "spec", "parallelism"]),
            ),
        }
    }
}

/// A manifest cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestError {
    /// The document's index, from 0; the message counts from 1.
    pub document: usize,
    /// The object's kind, as far as it was read.
    pub kind: Option<String>,
    /// The object's name, as far as it was read.
    pub name: Option<String>,
    /// The field's path in the object, such as `spec.template.spec`; empty for the object itself.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field of a manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It has another type.
    #[error("is not an object")]
    NotAnObject,
    /// It has another type.
    #[error("is not a string")]
    NotAString,
    /// It has another type.
    #[error("is not a list")]
    NotAList,
    /// It has another type, or is negative.
    #[error("is not a whole number of at least 0")]
    NotACount,
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is no name by Kubernetes' rules: lower-case letters, digits, hyphens and, but for namespaces, dots.
    #[error("is not a valid name")]
    NotAName,
    /// Lists in lists are read up to a small depth.
    #[error("is nested too deeply")]
    TooDeep,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "document {}", self.document.saturating_add(1))?;
        match (&self.kind, &self.name) {
            (Some(kind), Some(name)) => write!(f, ", {} `{}`", Shown(kind), Shown(name))?,
            (Some(kind), None) => write!(f, ", {}", Shown(kind))?,
            _ => {}
        }
        if self.field.is_empty() {
            write!(f, ": the object {}", self.problem)
        } else {
            write!(f, ": `{}` {}", self.field, self.problem)
        }
    }
}

impl std::error::Error for ManifestError {}

/// The objects of a manifest's documents, in order. Lists are flattened, empty documents passed over.
///
/// # Errors
/// The first object that the Kubernetes API would refuse for a field that matters here: see [`Problem`].
pub fn read(documents: &[Value], default_namespace: &str) -> Result<Vec<Object>, ManifestError> {
    let mut objects = Vec::new();
    for (document, value) in documents.iter().enumerate() {
        if !value.is_null() {
            let reader = Reader {
                document,
                default_namespace,
            };
            reader.read(value, String::new(), None, 0, &mut objects)?;
        }
    }
    Ok(objects)
}

struct Reader<'a> {
    document: usize,
    default_namespace: &'a str,
}

impl Reader<'_> {
    const MAX_DEPTH: usize = 4;

    /// Reads one object, or those of a list. `default_type` is what an item of a typed list is without saying so.
    fn read(
        &self,
        value: &Value,
        pointer: String,
        default_type: Option<(&str, &str)>,
        depth: usize,
        objects: &mut Vec<Object>,
    ) -> Result<(), ManifestError> {
        let mut head = Head {
            document: self.document,
            kind: None,
            name: None,
        };
        let object = value.as_object().ok_or_else(|| head.error("", Problem::NotAnObject))?;
        let (default_api_version, default_kind) = default_type.unzip();
        let kind = head
            .text(object, "kind")?
            .or(default_kind)
            .ok_or_else(|| head.error("kind", Problem::Missing))?;
        head.kind = Some(kind.to_owned());
        let api_version = head
            .text(object, "apiVersion")?
            .or(default_api_version)
            .ok_or_else(|| head.error("apiVersion", Problem::Missing))?;

        if let Some(item_kind) = kind.strip_suffix("List")
            && let Some(items) = object.get("items")
        {
            let items = match items {
                Value::Null => &[][..],
                Value::Array(items) => items,
                _ => return Err(head.error("items", Problem::NotAList)),
            };
            if depth >= Self::MAX_DEPTH {
                return Err(head.error("items", Problem::TooDeep));
            }
            let default_type = (!item_kind.is_empty()).then_some((api_version, item_kind));
            for (index, item) in items.iter().enumerate() {
                self.read(
                    item,
                    format!("{pointer}/items/{index}"),
                    default_type,
                    depth.saturating_add(1),
                    objects,
                )?;
            }
            return Ok(());
        }

        let metadata = head.object(object, "metadata")?;
        let given_name = head.text_of(metadata, "metadata.name", "name")?;
        if api_version == "v1" && kind == "ServiceAccount" {
            let name = given_name.ok_or_else(|| head.error("metadata.name", Problem::Missing))?;
            head.name = Some(name.to_owned());
            head.check_name("metadata.name", name, NameRule::Subdomain)?;
            let namespace = self.namespace(&head, metadata)?;
            let (name, value) = (name.to_owned(), value.clone());
            objects.push(Object::ServiceAccount(ServiceAccount {
                document: self.document,
                namespace,
                name,
                value,
            }));
        } else if let Some(kind) = WorkloadKind::of(api_version, kind) {
            let workload = self.workload(head, kind, object, metadata, given_name, pointer)?;
            objects.push(Object::Workload(Box::new(workload)));
        } else {
            objects.push(Object::Other(Other {
                document: self.document,
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                name: given_name.unwrap_or_default().to_owned(),
            }));
        }
        Ok(())
    }

    fn workload(
        &self,
        mut head: Head,
        kind: WorkloadKind,
        object: &Map<String, Value>,
        metadata: Option<&Map<String, Value>>,
        given_name: Option<&str>,
        pointer: String,
    ) -> Result<Workload, ManifestError> {
        let name = match given_name {
            Some(name) => name,
            None => head
                .text_of(metadata, "metadata.generateName", "generateName")?
                .map(|prefix| prefix.trim_end_matches('-'))
                .ok_or_else(|| head.error("metadata.name", Problem::Missing))?,
        };
        head.name = Some(name.to_owned());
        head.check_name("metadata.name", name, NameRule::Subdomain)?;
        let namespace = self.namespace(&head, metadata)?;

        let (template_fields, count_fields) = kind.layout();
        let mut template = object;
        for (index, field) in template_fields.iter().enumerate() {
            let child = head
                .object(template, field)
                .map_err(|error| error.below(template_fields.get(..index)))?;
            template = child.ok_or_else(|| head.error(field, Problem::Missing).below(template_fields.get(..index)))?;
        }
        let in_template = |error: ManifestError| error.below(Some(template_fields));
        let template_metadata = head.object(template, "metadata").map_err(in_template)?;
        let spec = head
            .object(template, "spec")
            .and_then(|spec| spec.ok_or_else(|| head.error("spec", Problem::Missing)))
            .map_err(in_template)?;
        let service_account = head.service_account(spec).map_err(in_template)?;
        head.containers(spec).map_err(in_template)?;

        let mut pod_metadata = template_metadata.cloned().unwrap_or_default();
        pod_metadata.insert("namespace".into(), json!(namespace));
        let mut pod = template.clone();
        pod.insert("apiVersion".into(), json!("v1"));
        pod.insert("kind".into(), json!("Pod"));
        pod.insert("metadata".into(), Value::Object(pod_metadata));

        let replicas = match count_fields {
            Some(fields) => head.count(object, fields)?,
            None => 1,
        };
        let template_pointer = template_fields
            .iter()
            .fold(pointer, |pointer, field| format!("{pointer}/{field}"));
        Ok(Workload {
            document: self.document,
            kind,
            namespace,
            name: name.to_owned(),
            service_account,
            replicas,
            pod: Value::Object(pod),
            template_pointer,
        })
    }

    fn namespace(&self, head: &Head, metadata: Option<&Map<String, Value>>) -> Result<String, ManifestError> {
        let namespace = head
            .text_of(metadata, "metadata.namespace", "namespace")?
            .unwrap_or(self.default_namespace);
        head.check_name("metadata.namespace", namespace, NameRule::Label)?;
        Ok(namespace.to_owned())
    }
}

/// What an error says of the object that is being read.
struct Head {
    document: usize,
    kind: Option<String>,
    name: Option<String>,
}

impl Head {
    fn error(&self, field: &str, problem: Problem) -> ManifestError {
        let (kind, name) = (self.kind.clone(), self.name.clone());
        ManifestError {
            document: self.document,
            kind,
            name,
            field: field.to_owned(),
            problem,
        }
    }

    /// A string that may be absent; empty and `null` are absent too.
    fn text<'a>(&self, object: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, ManifestError> {
        self.text_of(Some(object), field, field)
    }

    fn text_of<'a>(
        &self,
        object: Option<&'a Map<String, Value>>,
        field: &str,
        key: &str,
    ) -> Result<Option<&'a str>, ManifestError> {
        match object.and_then(|object| object.get(key)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.error(field, Problem::NotAString)),
        }
    }

    fn object<'a>(
        &self,
        object: &'a Map<String, Value>,
        field: &str,
    ) -> Result<Option<&'a Map<String, Value>>, ManifestError> {
        match object.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(child)) => Ok(Some(child)),
            Some(_) => Err(self.error(field, Problem::NotAnObject)),
        }
    }

    fn count(&self, object: &Map<String, Value>, fields: &[&str]) -> Result<u64, ManifestError> {
        let mut value = object.get(*fields.first().unwrap_or(&""));
        for field in fields.iter().skip(1) {
            value = value.and_then(|value| value.get(field));
        }
        match value {
            None | Some(Value::Null) => Ok(1),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| self.error(&fields.join("."), Problem::NotACount)),
        }
    }

    /// `serviceAccountName`, or its old name `serviceAccount`, or `default`, as the API server resolves them.
    fn service_account(&self, spec: &Map<String, Value>) -> Result<String, ManifestError> {
        for key in ["serviceAccountName", "serviceAccount"] {
            let field = format!("spec.{key}");
            if let Some(name) = self.text_of(Some(spec), &field, key)? {
                self.check_name(&field, name, NameRule::Subdomain)?;
                return Ok(name.to_owned());
            }
        }
        Ok("default".into())
    }

    fn containers(&self, spec: &Map<String, Value>) -> Result<(), ManifestError> {
        match spec.get("containers") {
            None | Some(Value::Null) => Err(self.error("spec.containers", Problem::Missing)),
            Some(Value::Array(containers)) if containers.is_empty() => {
                Err(self.error("spec.containers", Problem::Empty))
            }
            Some(Value::Array(_)) => Ok(()),
            Some(_) => Err(self.error("spec.containers", Problem::NotAList)),
        }
    }

    /// Names become token subjects and file names, so what Kubernetes would refuse is refused here.
    fn check_name(&self, field: &str, name: &str, rule: NameRule) -> Result<(), ManifestError> {
        if rule.allows(name) {
            Ok(())
        } else {
            Err(self.error(field, Problem::NotAName))
        }
    }
}

impl ManifestError {
    /// The same error with the fields before its own.
    fn below(mut self, fields: Option<&[&str]>) -> Self {
        for field in fields.unwrap_or_default().iter().rev() {
            self.field = format!("{field}.{}", self.field);
        }
        self
    }
}

/// Kubernetes' rules for names: RFC 1123 labels and subdomains.
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
#[derive(Clone, Copy)]
enum NameRule {
    Label,
    Subdomain,
}

impl NameRule {
    fn allows(self, name: &str) -> bool {
        let is_label = |label: &str| {
            let edges = [label.bytes().next(), label.bytes().next_back()];
            edges.iter().all(|edge| matches!(edge, Some(b'a'..=b'z' | b'0'..=b'9')))
                && label
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        match self {
            Self::Label => name.len() <= 63 && is_label(name),
            Self::Subdomain => name.len() <= 253 && name.split('.').all(is_label),
        }
    }
}

/// Whether a text is a namespace's name by Kubernetes' rules: an RFC 1123 label.
#[must_use]
pub fn is_namespace_name(text: &str) -> bool {
    NameRule::Label.allows(text)
}

/// Whether a text is a service account's name by Kubernetes' rules: an RFC 1123 subdomain.
#[must_use]
pub fn is_service_account_name(text: &str) -> bool {
    NameRule::Subdomain.allows(text)
}

#[cfg(test)]
mod tests;
