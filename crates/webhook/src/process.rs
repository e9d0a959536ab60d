//! A container as a process of this machine: what `irsa run` and `irsa exec` start.
//!
//! Command, arguments and environment come out as the kubelet would compute them; the token mounts say which tokens
//! have to lie where. There is no image, so a container without a `command` cannot be run, and no other volume is
//! provided. Nothing here touches the machine: [`LocalProcess::relocate`] only rewrites paths.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::path;
use crate::warning::Shown;

mod expand;

/// Who a pod is, for `fieldRef` variables.
#[derive(Clone, Copy, Debug)]
pub struct PodContext<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// `spec.serviceAccountName`.
    pub service_account: &'a str,
}

/// What a local process needs to stand for a container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalProcess {
    /// The container's name.
    pub container: String,
    /// When it runs.
    pub kind: ContainerKind,
    /// Program and arguments, expanded; never empty.
    pub argv: Vec<String>,
    /// The environment, expanded, each name once.
    pub env: Vec<(String, String)>,
    /// `workingDir`.
    pub working_dir: Option<String>,
    /// The tokens that the process expects.
    pub token_mounts: Vec<TokenMount>,
    /// Mount paths of volumes that have no counterpart on this machine.
    pub other_mounts: Vec<String>,
}

/// When a container runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContainerKind {
    /// To its end before the next one starts.
    Init,
    /// From its turn among the init containers to the end of the pod: `restartPolicy: Always`.
    Sidecar,
    /// Beside the other containers, after all init containers.
    Main,
}

/// A token in a container's file system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenMount {
    /// Where the volume is mounted: absolute and clean.
    pub mount_path: String,
    /// The token's file in the volume: relative, clean, never upwards.
    pub file: String,
    /// The token's audience; empty means the issuer's default.
    pub audience: String,
    /// The token's life in seconds, as the volume says; 3600 if it does not.
    pub expiration_seconds: i64,
}

impl TokenMount {
    /// The token file's whole path.
    #[must_use]
    pub fn path(&self) -> String {
        path::join(&self.mount_path, &self.file)
    }
}

/// A container cannot be run as a local process.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProcessError {
    /// A field has another type than the Kubernetes API gives it, or a value that it does not allow.
    #[error("container `{}`: `{field}` is malformed", Shown(.container))]
    Malformed {
        /// The container's name.
        container: String,
        /// The field.
        field: &'static str,
    },
    /// The program is the image's, and there is no image.
    #[error("container `{}` has no `command`; the one of its image is not known here", Shown(.container))]
    NoCommand {
        /// The container's name.
        container: String,
    },
    /// A variable's value comes from something that does not exist here.
    #[error("container `{}`: variable `{}` takes its value from `{source_kind}`, which is not available here", Shown(.container), Shown(.variable))]
    Unresolvable {
        /// The container's name.
        container: String,
        /// The variable's name.
        variable: String,
        /// What it refers to: `secretKeyRef`, `configMapKeyRef`, `fieldRef status.podIP`…
        source_kind: String,
    },
    /// A whole set of variables comes from something that does not exist here.
    #[error("container `{}`: `envFrom` refers to {source_kind} `{}`, which is not available here", Shown(.container), Shown(.name))]
    EnvFrom {
        /// The container's name.
        container: String,
        /// `configMapRef` or `secretRef`.
        source_kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// A token volume is mounted in a way that has no counterpart here.
    #[error("container `{}`: token volume `{}` cannot be mounted at `{}`", Shown(.container), Shown(.volume), Shown(.mount_path))]
    TokenMount {
        /// The container's name.
        container: String,
        /// The volume's name.
        volume: String,
        /// The mount path.
        mount_path: String,
    },
    /// A token's file name leads out of its volume, or is none.
    #[error("token volume `{}`: `{}` is not a file name inside the volume", Shown(.volume), Shown(.path))]
    TokenPath {
        /// The volume's name.
        volume: String,
        /// The file name.
        path: String,
    },
    /// An expanded value is longer than an operating system passes to a process.
    #[error("container `{}`: a value of `{field}` is longer than 128 KiB", Shown(.container))]
    TooLong {
        /// The container's name.
        container: String,
        /// `env`, `command` or `args`.
        field: &'static str,
    },
    /// The folder to relocate to cannot be written in an environment variable.
    #[error("the folder's name is not Unicode")]
    RootNotUnicode,
}

/// A pod with one container that runs a command: what `irsa exec` mutates. The command is taken to the letter, so
/// `$(NAME)` in it stays as it is.
#[must_use]
pub fn pod_of_command(argv: &[String], namespace: &str, service_account: &str) -> Value {
    let command: Vec<String> = argv.iter().map(|argument| argument.replace('$', "$$")).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "command", "namespace": namespace},
        "spec": {"serviceAccountName": service_account, "containers": [{"name": "command", "command": command}]},
    })
}

/// All containers of a pod as processes, in the order of their start: init containers first.
///
/// # Errors
/// The first container that cannot be run, and why: see [`ProcessError`].
pub fn local_processes(pod: &Value, context: &PodContext<'_>) -> Result<Vec<LocalProcess>, ProcessError> {
    let containers = |pointer| pod.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let init = containers("/spec/initContainers").map(|container| {
        let always = container.get("restartPolicy").is_some_and(|policy| policy == "Always");
        (
            if always {
                ContainerKind::Sidecar
            } else {
                ContainerKind::Init
            },
            container,
        )
    });
    let main = containers("/spec/containers").map(|container| (ContainerKind::Main, container));
    init.chain(main)
        .map(|(kind, container)| local_process(pod, container, kind, context))
        .collect()
}

/// One container of a pod as a process.
///
/// # Errors
/// Why it cannot be run: see [`ProcessError`].
pub fn local_process(
    pod: &Value,
    container: &Value,
    kind: ContainerKind,
    context: &PodContext<'_>,
) -> Result<LocalProcess, ProcessError> {
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    Reader {
        pod,
        container,
        name,
        context,
    }
    .process(kind)
}

impl LocalProcess {
    /// Moves the token mounts into a folder of this machine: `/var/run/x` becomes `<root>/var/run/x`, in the mounts and
    /// wherever a variable or argument names a path at or below one of them, be it written for Windows. Containers that
    /// mount different tokens at the same path need different roots. To be called once.
    ///
    /// # Errors
    /// [`ProcessError::RootNotUnicode`].
    pub fn relocate(&mut self, root: &Path) -> Result<(), ProcessError> {
        let root = root.to_str().ok_or(ProcessError::RootNotUnicode)?.trim_end_matches('/');
        let moved = |mount_path: &str| format!("{root}{mount_path}");
        let moves: Vec<(String, String)> = self
            .token_mounts
            .iter()
            .map(|mount| (mount.mount_path.clone(), moved(&mount.mount_path)))
            .collect();
        for text in self.argv.iter_mut().chain(self.env.iter_mut().map(|(_, value)| value)) {
            if let Some(changed) = relocated(text, &moves) {
                *text = changed;
            }
        }
        for mount in &mut self.token_mounts {
            mount.mount_path = moved(&mount.mount_path);
        }
        Ok(())
    }
}

/// The text with the moved paths; `None` if there are none.
fn relocated(text: &str, moves: &[(String, String)]) -> Option<String> {
    if let Some(changed) = relocate_occurrences(text, moves) {
        return Some(changed);
    }
    // A single path in another spelling: Windows, doubled slashes, dots.
    let unix = text
        .strip_prefix("C:\\")
        .map(|rest| format!("/{}", rest.replace('\\', "/")));
    let whole = unix.as_deref().unwrap_or(text);
    if !whole.starts_with('/') {
        return None;
    }
    let whole = path::clean(whole);
    moves.iter().find_map(|(from, to)| {
        path::is_at_or_below(&whole, from)
            .then(|| whole.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}")))?
    })
}

/// Replaces every occurrence of a moved path that is not a part of another path.
fn relocate_occurrences(text: &str, moves: &[(String, String)]) -> Option<String> {
    let in_name = |character: char| character.is_alphanumeric() || "_-.~".contains(character);
    let mut changed = None;
    let mut copied = 0_usize;
    let mut previous = None;
    let mut resume = 0_usize;
    for (at, character) in text.char_indices() {
        let before = previous.replace(character);
        if character != '/' || at < resume || before.is_some_and(|before| before == '/' || in_name(before)) {
            continue;
        }
        let tail = text.get(at..).unwrap_or_default();
        let found = moves.iter().find(|(from, _)| {
            tail.strip_prefix(from.as_str())
                .is_some_and(|after| !after.starts_with(in_name))
        });
        if let Some((from, to)) = found {
            let output: &mut String = changed.get_or_insert_default();
            output.push_str(text.get(copied..at).unwrap_or_default());
            output.push_str(to);
            resume = at.saturating_add(from.len());
            copied = resume;
        }
    }
    if let Some(output) = &mut changed {
        output.push_str(text.get(copied..).unwrap_or_default());
    }
    changed
}

/// The longest single string that Linux hands to a new process (`MAX_ARG_STRLEN`); also keeps expansions that double
/// themselves from filling the memory.
const MAX_VALUE_LEN: usize = 128 * 1024;

/// One container on its way to a process.
struct Reader<'a> {
    pod: &'a Value,
    container: &'a Value,
    name: &'a str,
    context: &'a PodContext<'a>,
}

/// The environment in order, each name once: a later value replaces an earlier one, as in a container.
#[derive(Default)]
struct Environment {
    variables: Vec<(String, String)>,
    index: HashMap<String, usize>,
}

impl Environment {
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.get(*self.index.get(name)?)?;
        Some(value)
    }

    fn set(&mut self, name: &str, value: String) {
        match self.index.get(name).and_then(|index| self.variables.get_mut(*index)) {
            Some((_, slot)) => *slot = value,
            None => {
                self.index.insert(name.to_owned(), self.variables.len());
                self.variables.push((name.to_owned(), value));
            }
        }
    }
}

impl<'a> Reader<'a> {
    fn process(&self, kind: ContainerKind) -> Result<LocalProcess, ProcessError> {
        let environment = self.environment()?;
        let argv = self.argv(&environment)?;
        let (token_mounts, other_mounts) = self.mounts()?;
        let working_dir = match self.container.get("workingDir") {
            None | Some(Value::Null) => None,
            Some(Value::String(folder)) if !folder.contains('\0') => Some(folder.clone()).filter(|f| !f.is_empty()),
            Some(_) => return Err(self.malformed("workingDir")),
        };
        let (container, env) = (self.name.to_owned(), environment.variables);
        Ok(LocalProcess {
            container,
            kind,
            argv,
            env,
            working_dir,
            token_mounts,
            other_mounts,
        })
    }

    fn argv(&self, environment: &Environment) -> Result<Vec<String>, ProcessError> {
        let command = self.words("command", environment)?;
        if command.is_empty() {
            return Err(ProcessError::NoCommand {
                container: self.name.to_owned(),
            });
        }
        let args = self.words("args", environment)?;
        Ok(command.into_iter().chain(args).collect())
    }

    fn words(&self, field: &'static str, environment: &Environment) -> Result<Vec<String>, ProcessError> {
        self.list(field)?
            .iter()
            .map(|word| {
                let word = word.as_str().ok_or_else(|| self.malformed(field))?;
                self.expand(field, word, environment)
            })
            .collect()
    }

    fn environment(&self) -> Result<Environment, ProcessError> {
        for source in self.list("envFrom")? {
            for source_kind in ["configMapRef", "secretRef"] {
                let Some(reference) = source.get(source_kind).filter(|reference| !reference.is_null()) else {
                    continue;
                };
                if !is_optional(reference) {
                    let name = reference
                        .get("name")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned();
                    return Err(ProcessError::EnvFrom {
                        container: self.name.to_owned(),
                        source_kind,
                        name,
                    });
                }
            }
        }
        let mut environment = Environment::default();
        for entry in self.list("env")? {
            let name = entry
                .get("name")
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty() && !name.contains(['=', '\0']))
                .ok_or_else(|| self.malformed("env"))?;
            let value = match entry.get("value") {
                None | Some(Value::Null) => "",
                Some(value) => value.as_str().ok_or_else(|| self.malformed("env"))?,
            };
            let value_from = entry.get("valueFrom").filter(|source| !source.is_null());
            let value = match value_from {
                Some(source) if value.is_empty() => self.value_from(name, source)?,
                _ => Some(self.expand("env", value, &environment)?),
            };
            if let Some(value) = value {
                environment.set(name, value);
            }
        }
        Ok(environment)
    }

    /// A referenced value; `None` if it is optional and not here.
    fn value_from(&self, variable: &str, source: &Value) -> Result<Option<String>, ProcessError> {
        let present = |kind: &str| source.get(kind).filter(|reference| !reference.is_null());
        let unresolvable = |source_kind: String| ProcessError::Unresolvable {
            container: self.name.to_owned(),
            variable: variable.to_owned(),
            source_kind,
        };
        if let Some(reference) = present("fieldRef") {
            let field = reference
                .get("fieldPath")
                .and_then(Value::as_str)
                .ok_or_else(|| self.malformed("env"))?;
            return match self.field(field) {
                Some(value) => Ok(Some(value)),
                None => Err(unresolvable(format!("fieldRef {}", Shown(field)))),
            };
        }
        for kind in ["configMapKeyRef", "secretKeyRef", "fileKeyRef", "resourceFieldRef"] {
            match present(kind) {
                Some(reference) if is_optional(reference) => return Ok(None),
                Some(_) => return Err(unresolvable(kind.to_owned())),
                None => {}
            }
        }
        Err(unresolvable("valueFrom".to_owned()))
    }

    /// The downward API's fields that exist without a node. A label or annotation that is not there is empty.
    fn field(&self, field: &str) -> Option<String> {
        match field {
            "metadata.name" => return Some(self.context.name.to_owned()),
            "metadata.namespace" => return Some(self.context.namespace.to_owned()),
            "spec.serviceAccountName" => return Some(self.context.service_account.to_owned()),
            _ => {}
        }
        let (map, key) = field.strip_prefix("metadata.")?.strip_suffix("']")?.split_once("['")?;
        if !matches!(map, "labels" | "annotations") {
            return None;
        }
        let value = self
            .pod
            .get("metadata")
            .and_then(|metadata| metadata.get(map))
            .and_then(|map| map.get(key));
        Some(value.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn expand(&self, field: &'static str, text: &str, environment: &Environment) -> Result<String, ProcessError> {
        let expanded =
            expand::expand(text, |name| environment.get(name), MAX_VALUE_LEN).ok_or_else(|| ProcessError::TooLong {
                container: self.name.to_owned(),
                field,
            })?;
        if expanded.contains('\0') {
            Err(self.malformed(field))
        } else {
            Ok(expanded)
        }
    }

    fn mounts(&self) -> Result<(Vec<TokenMount>, Vec<String>), ProcessError> {
        let (mut tokens, mut others) = (Vec::new(), Vec::new());
        for mount in self.list("volumeMounts")? {
            let text = |key| mount.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, given_path) = (text("name"), text("mountPath"));
            // A relative mount path counts from the root, as the kubelet has it.
            let mount_path = path::clean(&format!("/{given_path}"));
            let sources = token_sources(self.pod, name);
            if sources.is_empty() {
                others.push(mount_path);
                continue;
            }
            let sub_path = !text("subPath").is_empty() || !text("subPathExpr").is_empty();
            if sub_path || mount_path == "/" || mount_path.contains('\0') {
                return Err(ProcessError::TokenMount {
                    container: self.name.to_owned(),
                    volume: name.to_owned(),
                    mount_path: given_path.to_owned(),
                });
            }
            for source in sources {
                tokens.push(self.token_mount(name, mount_path.clone(), source)?);
            }
        }
        Ok((tokens, others))
    }

    fn token_mount(&self, volume: &str, mount_path: String, source: &Value) -> Result<TokenMount, ProcessError> {
        let file = source.get("path").and_then(Value::as_str).unwrap_or_default();
        let leads_out =
            file.starts_with('/') || file.split('/').any(|part| part == "..") || file.contains(['\0', '\\']);
        let clean = path::clean(file);
        if leads_out || clean == "." {
            return Err(ProcessError::TokenPath {
                volume: volume.to_owned(),
                path: file.to_owned(),
            });
        }
        let audience = match source.get("audience") {
            None | Some(Value::Null) => "",
            Some(audience) => audience.as_str().ok_or_else(|| self.malformed("audience"))?,
        };
        let expiration_seconds = match source.get("expirationSeconds") {
            None | Some(Value::Null) => 3600,
            Some(seconds) => seconds.as_i64().ok_or_else(|| self.malformed("expirationSeconds"))?,
        };
        Ok(TokenMount {
            mount_path,
            file: clean,
            audience: audience.to_owned(),
            expiration_seconds,
        })
    }

    fn list(&self, field: &'static str) -> Result<&'a [Value], ProcessError> {
        match self.container.get(field) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.malformed(field)),
        }
    }

    fn malformed(&self, field: &'static str) -> ProcessError {
        ProcessError::Malformed {
            container: self.name.to_owned(),
            field,
        }
    }
}

fn is_optional(reference: &Value) -> bool {
    reference.get("optional").and_then(Value::as_bool).unwrap_or_default()
}

/// The service account tokens in a pod's volume.
fn token_sources<'a>(pod: &'a Value, volume: &str) -> Vec<&'a Value> {
    let volumes = pod
        .pointer("/spec/volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut named = volumes.filter(|candidate| candidate.get("name").is_some_and(|name| name == volume));
    let sources = named
        .next()
        .and_then(|found| found.pointer("/projected/sources"))
        .and_then(Value::as_array);
    let tokens = sources
        .into_iter()
        .flatten()
        .filter_map(|source| source.get("serviceAccountToken"));
    tokens.filter(|token| !token.is_null()).collect()
}

#[cfg(test)]
mod tests;
