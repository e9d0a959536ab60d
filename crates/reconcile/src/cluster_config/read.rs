//! From nodes to a cluster and its service accounts, keeping on after every mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use irsa_core::{Arn, partition_of_region};
use miette::{NamedSource, Severity};

use super::tree::{Entry, Node, Value};
use super::{ClusterConfig, fields};
use crate::account::{DEFAULT_NAMESPACE, ServiceAccount, ServiceAccountName};
use crate::names;
use crate::place::{Place, Problem, shown};
use crate::well_known::WellKnownPolicy;

const API_VERSION: &str = "eksctl.io/v1alpha5";
const KIND: &str = "ClusterConfig";

/// Reads the documents of one file.
pub(crate) struct Reader {
    source: NamedSource<Arc<str>>,
    pub(crate) problems: Vec<Problem>,
}

impl Reader {
    pub(crate) fn new(source: NamedSource<Arc<str>>) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, severity: Severity, message: String, place: Option<&Place>, help: Option<String>) {
        self.problems.push(Problem {
            severity,
            message: shown(&message),
            help: help.as_deref().map(shown),
            place: place.cloned(),
            source: Some(self.source.clone()),
        });
    }

    pub(crate) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.say(Severity::Error, message.into(), Some(place), None);
    }

    pub(crate) fn cluster(&mut self, document: &Node) -> Option<ClusterConfig> {
        let entries = self.map(document, "the document")?;
        let all: Vec<&str> = [fields::DOCUMENT, fields::OTHER].concat();
        self.unknown(entries, &all);
        self.kind(document, entries);
        let left_alone: Vec<&Entry> = entries
            .iter()
            .filter(|entry| fields::OTHER.contains(&entry.key.as_str()))
            .collect();
        if let Some(first) = left_alone.first() {
            let names: Vec<String> = left_alone.iter().map(|entry| format!("`{}`", entry.key)).collect();
            let message = format!("left alone, as not about service accounts: {}", names.join(", "));
            self.say(Severity::Advice, message, Some(&first.place), None);
        }
        let (name, region, tags) = self.metadata(document, entries);
        let mut cluster = ClusterConfig {
            place: document.place.clone(),
            name: name.unwrap_or_default(),
            region: region.unwrap_or_default(),
            tags,
            with_oidc: None,
            service_accounts: None,
            implies_aws_node: implies_aws_node(entries),
        };
        if let Some(iam) = present(entries, "iam") {
            self.iam(iam, &mut cluster);
        }
        Some(cluster)
    }

    fn kind(&mut self, document: &Node, entries: &[Entry]) {
        let text = |key| match present(entries, key).map(|entry| &entry.node.value) {
            Some(Value::Text(text)) => text.as_str(),
            _ => "",
        };
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version != API_VERSION || kind != KIND {
            let wrong = if version == API_VERSION { "kind" } else { "apiVersion" };
            let place = present(entries, wrong).map_or(&document.place, |entry| &entry.node.place);
            self.say(
                Severity::Error,
                format!("no kind \"{kind}\" is registered for version \"{version}\""),
                Some(place),
                Some(format!("`apiVersion: {API_VERSION}` and `kind: {KIND}` are needed")),
            );
        }
    }

    fn metadata(
        &mut self,
        document: &Node,
        entries: &[Entry],
    ) -> (Option<String>, Option<String>, BTreeMap<String, String>) {
        let Some(metadata) = present(entries, "metadata") else {
            self.error(&document.place, "metadata must be set");
            return Default::default();
        };
        let Some(entries) = self.map(&metadata.node, "metadata") else {
            return Default::default();
        };
        self.unknown(entries, fields::METADATA);
        let mut required = |key: &str, check: fn(&str) -> Result<(), String>| {
            let path = format!("metadata.{key}");
            match present(entries, key) {
                Some(entry) => self.checked(&entry.node, &path, check),
                None => {
                    self.error(&metadata.place, format!("{path} must be set"));
                    None
                }
            }
        };
        let name = required("name", names::cluster_name);
        let region = required("region", names::region);
        let tags = present(entries, "tags").and_then(|entry| self.tags(&entry.node, "metadata.tags"));
        (name, region, tags.unwrap_or_default())
    }

    fn iam(&mut self, iam: &Entry, cluster: &mut ClusterConfig) {
        let Some(entries) = self.map(&iam.node, "iam") else {
            return;
        };
        let all: Vec<&str> = [fields::IAM, fields::OTHER_IAM].concat();
        self.unknown(entries, &all);
        for entry in entries {
            if fields::OTHER_IAM.contains(&entry.key.as_str()) {
                let message = format!("left alone, as not about service accounts: `iam.{}`", entry.key);
                self.say(Severity::Advice, message, Some(&entry.place), None);
            }
        }
        let with_oidc = present(entries, "withOIDC");
        cluster.with_oidc = with_oidc.and_then(|entry| self.boolean(&entry.node, "iam.withOIDC"));
        let Some(list) = present(entries, "serviceAccounts") else {
            return;
        };
        let Value::List(items) = &list.node.value else {
            self.wrong_type(&list.node, "iam.serviceAccounts", "a list");
            return;
        };
        if cluster.with_oidc != Some(true) && !items.is_empty() {
            let place = with_oidc.map_or(&list.place, |entry| &entry.node.place);
            self.say(
                Severity::Error,
                "iam.withOIDC must be enabled explicitly for iam.serviceAccounts to be created".to_owned(),
                Some(place),
                Some("add `withOIDC: true` to `iam`".to_owned()),
            );
        }
        let partition = (!cluster.region.is_empty()).then(|| partition_of_region(&cluster.region));
        let mut seen: BTreeMap<ServiceAccountName, Place> = BTreeMap::new();
        let mut accounts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("iam.serviceAccounts[{index}]");
            let Some(account) = self.account(item, &path, partition) else {
                continue;
            };
            self.twin_tags(&cluster.tags, &account, &item.place, &path);
            if let Some(first) = seen.get(&account.name) {
                self.say(
                    Severity::Error,
                    format!("<namespace>/<name> of {path} \"{}\" is not unique", account.name),
                    Some(&item.place),
                    Some(format!("the first is at {first}")),
                );
            } else {
                seen.insert(account.name.clone(), item.place.clone());
                accounts.push(account);
            }
        }
        cluster.service_accounts = Some(accounts);
    }

    /// Tags of the cluster and of an account that IAM takes for one.
    fn twin_tags(
        &mut self,
        of_cluster: &BTreeMap<String, String>,
        account: &ServiceAccount,
        place: &Place,
        path: &str,
    ) {
        for key in account.tags.iter().flat_map(BTreeMap::keys) {
            let is_twin = |other: &&String| *other != key && other.to_lowercase() == key.to_lowercase();
            if let Some(twin) = of_cluster.keys().find(is_twin) {
                let message = format!(
                    "{path}: tags `{key}` and `{twin}` of metadata.tags differ only in case, which IAM does not allow"
                );
                self.error(place, message);
            }
        }
    }

    fn account(&mut self, node: &Node, path: &str, partition: Option<&str>) -> Option<ServiceAccount> {
        let entries = self.map(node, path)?;
        self.unknown(entries, fields::SERVICE_ACCOUNT);
        let metadata = present(entries, "metadata");
        let meta = metadata.and_then(|entry| self.map(&entry.node, &format!("{path}.metadata")));
        let meta = meta.unwrap_or_default();
        self.unknown(meta, fields::ACCOUNT_METADATA);
        let namespace = match present(meta, "namespace") {
            Some(entry) => self.checked(&entry.node, &format!("{path}.metadata.namespace"), names::dns_label),
            None => Some(DEFAULT_NAMESPACE.to_owned()),
        };
        let name = match present(meta, "name") {
            Some(entry) => self.checked(&entry.node, &format!("{path}.metadata.name"), names::dns_subdomain),
            None => {
                self.error(&node.place, format!("{path}.name must be set"));
                None
            }
        };
        let field = |key: &str| (present(entries, key), format!("{path}.{key}"));
        let mut account = ServiceAccount::new(ServiceAccountName::new("", ""));
        account.place = Some(node.place.clone());
        account.labels =
            present(meta, "labels").and_then(|entry| self.labels(&entry.node, &format!("{path}.metadata.labels")));
        account.annotations = present(meta, "annotations")
            .and_then(|entry| self.annotations(&entry.node, &format!("{path}.metadata.annotations")));
        let arn = |reader: &mut Self, key: &str, kind: &str| {
            let (entry, path) = field(key);
            entry.and_then(|entry| reader.arn(&entry.node, &path, kind, partition))
        };
        account.attach_role_arn = arn(self, "attachRoleARN", "role");
        account.permissions_boundary = arn(self, "permissionsBoundary", "policy");
        if let (Some(entry), path) = field("attachPolicyARNs") {
            account.attach_policy_arns = Some(self.policy_arns(&entry.node, &path, partition));
        }
        if let (Some(entry), path) = field("wellKnownPolicies") {
            account.well_known_policies = self.well_known(&entry.node, &path);
        }
        if let (Some(entry), path) = field("attachPolicy") {
            account.attach_policy = self.policy(&entry.node, &path);
        }
        if let (Some(entry), path) = field("roleName") {
            account.role_name = self.checked(&entry.node, &path, names::role_name);
        }
        if let (Some(entry), path) = field("roleOnly") {
            account.role_only = self.boolean(&entry.node, &path).unwrap_or_default();
        }
        if let (Some(entry), path) = field("tags") {
            account.tags = self.tags(&entry.node, &path);
        }
        if let (Some(entry), path) = field("subjectPattern") {
            account.subject_pattern = self.checked(&entry.node, &path, names::subject_pattern);
        }
        self.together(&account, node, entries, path);
        account.name = ServiceAccountName::new(namespace?, name?);
        Some(account)
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => {
                self.wrong_type(node, path, "a map");
                None
            }
        }
    }

    fn unknown(&mut self, entries: &[Entry], known: &[&str]) {
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let help = fields::nearest(&entry.key, known.iter().copied());
                let shown: String = entry.key.chars().take(128).collect();
                self.say(
                    Severity::Error,
                    format!("unknown field \"{shown}\""),
                    Some(&entry.place),
                    help.map(|name| format!("did you mean `{name}`?")),
                );
            }
        }
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, path: &str, wanted: &str) {
        let found = node.value.kind();
        let help = match &node.value {
            Value::Bool(_) | Value::Number(_) if wanted == "a string" => Some("quotes make it one".to_owned()),
            _ => None,
        };
        let message = format!("{path} must be {wanted}, not {found}");
        self.say(Severity::Error, message, Some(&node.place), help);
    }

    pub(crate) fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            _ => {
                self.wrong_type(node, path, "a string");
                None
            }
        }
    }

    fn boolean(&mut self, node: &Node, path: &str) -> Option<bool> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.wrong_type(node, path, "`true` or `false`");
                None
            }
        }
    }

    fn checked(&mut self, node: &Node, path: &str, check: fn(&str) -> Result<(), String>) -> Option<String> {
        let text = self.text(node, path)?;
        match check(text) {
            Ok(()) => Some(text.to_owned()),
            Err(why) => {
                let shown: String = text.chars().take(256).collect();
                self.error(&node.place, format!("{path} `{shown}` is not valid: {why}"));
                None
            }
        }
    }

    pub(crate) fn arn(&mut self, node: &Node, path: &str, kind: &str, partition: Option<&str>) -> Option<Arn> {
        let text = self.text(node, path)?;
        match names::iam_arn(text, kind, partition) {
            Ok(arn) => Some(arn),
            Err(why) => {
                let shown: String = text.chars().take(256).collect();
                self.error(&node.place, format!("{path} `{shown}` is not valid: {why}"));
                None
            }
        }
    }

    fn texts(&mut self, node: &Node, path: &str) -> Option<Vec<(Place, String, String)>> {
        let entries = self.map(node, path)?;
        let mut all = Vec::new();
        for entry in entries {
            if let Some(value) = self.text(&entry.node, &format!("{path}.{}", entry.key)) {
                all.push((entry.place.clone(), entry.key.clone(), value.to_owned()));
            }
        }
        Some(all)
    }

    fn tags(&mut self, node: &Node, path: &str) -> Option<BTreeMap<String, String>> {
        let mut tags: BTreeMap<String, String> = BTreeMap::new();
        for (place, key, value) in self.texts(node, path)? {
            // IAM's tag keys differ in more than their case.
            let twin = tags.keys().find(|other| other.to_lowercase() == key.to_lowercase());
            if let Some(twin) = twin {
                let message =
                    format!("{path}: tags `{twin}` and `{key}` differ only in case, which IAM does not allow");
                self.error(&place, message);
            }
            if names::is_ownership(&key) {
                let message = format!("{path}: tag `{key}` cannot be set: it says whose the role is");
                self.error(&place, message);
                continue;
            }
            match names::tag(&key, &value) {
                Ok(()) => drop(tags.insert(key, value)),
                Err(why) => self.error(&place, format!("{path}: {why}")),
            }
        }
        Some(tags)
    }

    fn labels(&mut self, node: &Node, path: &str) -> Option<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        for (place, key, value) in self.texts(node, path)? {
            if key == crate::MANAGED_BY_LABEL {
                let help = "it says who made the service account".to_owned();
                let message = format!("{path}: label `{key}` cannot be set");
                self.say(Severity::Error, message, Some(&place), Some(help));
                continue;
            }
            match names::label(&key, &value) {
                Ok(()) => drop(labels.insert(key, value)),
                Err(why) => self.error(&place, format!("{path}: {why}")),
            }
        }
        Some(labels)
    }

    fn annotations(&mut self, node: &Node, path: &str) -> Option<BTreeMap<String, String>> {
        let mut annotations = BTreeMap::new();
        let mut size = 0_usize;
        for (place, key, value) in self.texts(node, path)? {
            if key == crate::ROLE_ARN_ANNOTATION {
                let help = "`attachRoleARN` names a role that is there".to_owned();
                let message = format!("{path}: annotation `{key}` cannot be set");
                self.say(Severity::Error, message, Some(&place), Some(help));
                continue;
            }
            size = size.saturating_add(key.len()).saturating_add(value.len());
            match names::annotation(&key) {
                Ok(()) => drop(annotations.insert(key, value)),
                Err(why) => self.error(&place, format!("{path}: {why}")),
            }
        }
        if size > 262_144 {
            self.error(&node.place, format!("{path} have {size} bytes of at most 262144"));
        }
        Some(annotations)
    }

    fn well_known(&mut self, node: &Node, path: &str) -> Option<BTreeSet<WellKnownPolicy>> {
        let entries = self.map(node, path)?;
        let known = WellKnownPolicy::ALL.map(WellKnownPolicy::name);
        self.unknown(entries, &known);
        let mut policies = BTreeSet::new();
        for entry in entries {
            let wanted = self.boolean(&entry.node, &format!("{path}.{}", entry.key));
            if wanted == Some(true) {
                policies.extend(WellKnownPolicy::of_name(&entry.key));
            }
        }
        Some(policies)
    }
}

/// A member that is there and not null.
pub(crate) fn present<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Entry> {
    entries
        .iter()
        .find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
}

fn implies_aws_node(entries: &[Entry]) -> bool {
    let member = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => present(entries, key).map(|entry| entry.node.value.clone()),
        _ => None,
    };
    let has_cni = present(entries, "addons").is_some_and(|addons| match &addons.node.value {
        Value::List(items) => items
            .iter()
            .any(|item| matches!(member(item, "name"), Some(Value::Text(name)) if name == "vpc-cni")),
        _ => false,
    });
    let disabled = present(entries, "addonsConfig")
        .is_some_and(|config| matches!(member(&config.node, "disableDefaultAddons"), Some(Value::Bool(true))));
    !has_cni && !disabled
}
