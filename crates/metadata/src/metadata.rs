//! The table as a whole: AWS's services and those that a user registers.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use crate::{
    fold,
    keys::{KeyTable, split_template},
    kinds::{AccessLevel, Width},
    model::{ActionModel, ServiceModel, TypeModel, TypeUseModel},
    pattern::{ActionPattern, States},
    registration::{self, RegistrationError},
    service::{Action, ConditionKey, Service},
    suggest::nearest,
    table::{self, Head, Table},
};

const AWS: &str = include_str!("../data/aws.txt");

/// Where a table comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The package it was made from; empty for a table that came from nowhere but registrations.
    pub package: Cow<'static, str>,
    /// The package's version.
    pub version: Cow<'static, str>,
    /// The day of the package, `YYYY-MM-DD`.
    pub date: Cow<'static, str>,
}

/// A service: its head, and its table once somebody has asked for it.
pub(crate) struct Entry {
    pub(crate) prefix: Cow<'static, str>,
    pub(crate) name: Cow<'static, str>,
    pub(crate) supports_resource_control_policies: bool,
    /// Of all actions.
    width: Width,
    pub(crate) block: Cow<'static, str>,
    table: OnceLock<Table>,
}

impl Entry {
    fn of_head(head: &Head<'static>) -> Self {
        Self {
            prefix: Cow::Borrowed(head.prefix),
            name: Cow::Borrowed(head.name),
            supports_resource_control_policies: head.supports_resource_control_policies,
            width: head.width,
            block: Cow::Borrowed(head.block),
            table: OnceLock::new(),
        }
    }

    fn of_model(model: &ServiceModel) -> Self {
        Self {
            prefix: Cow::Owned(model.prefix.clone()),
            name: Cow::Owned(model.name.clone()),
            supports_resource_control_policies: model.supports_resource_control_policies,
            width: model.width(),
            block: Cow::Owned(table::write(model).1),
            table: OnceLock::new(),
        }
    }

    pub(crate) fn table(&self, keys: &KeyTable) -> &Table {
        // Key numbers never change, so it does not matter which of several tables that share this entry reads it.
        self.table.get_or_init(|| Table::read(&self.block, &self.prefix, keys))
    }
}

/// Services with their actions, resource types and condition keys.
///
/// [`Metadata::aws`] is AWS's; [`with_services`](Self::with_services) adds own ones. Names are compared whatever the
/// case of their ASCII letters, as IAM does. A name that is not in the table is `None`: services that are newer than
/// the table, or private, exist.
#[derive(Clone, Default)]
pub struct Metadata {
    source: Source,
    pub(crate) keys: KeyTable,
    /// By prefix.
    services: Vec<Arc<Entry>>,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Metadata")
            .field("source", &self.source)
            .field("services", &self.services.len())
            .finish_non_exhaustive()
    }
}

impl Metadata {
    /// AWS's services. The list of services and keys is read on the first call, a service when it is first asked for.
    #[must_use]
    pub fn aws() -> &'static Self {
        static METADATA: LazyLock<Metadata> = LazyLock::new(|| Metadata::read(AWS));
        &METADATA
    }

    /// No service at all: a table for registrations only.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    fn read(text: &'static str) -> Self {
        let (head, rest) = text.split_once("\n\nkeys\n").unwrap_or_default();
        let (keys, mut rest) = rest.split_once("\n\n").unwrap_or_default();
        let source = head.lines().find_map(|line| line.strip_prefix("package\t"));
        let mut words = source.unwrap_or_default().split('\t').map(Cow::Borrowed);
        let source = Source {
            package: words.next().unwrap_or_default(),
            version: words.next().unwrap_or_default(),
            date: words.next().unwrap_or_default(),
        };
        let heads = std::iter::from_fn(|| table::next_service(&mut rest));
        let services = heads.map(|head| Arc::new(Entry::of_head(&head))).collect();
        Self {
            source,
            keys: KeyTable::read(keys),
            services,
        }
    }

    /// This table with a user's own services beside it, or over it: what has the name of something that is there
    /// already replaces it, action by action and type by type.
    ///
    /// The text is JSON; the [crate's documentation](crate#own-services) describes it.
    ///
    /// # Errors
    ///
    /// The first thing in the text that is wrong, with its line and column.
    pub fn with_services(&self, text: &str) -> Result<Self, RegistrationError> {
        let (keys, models) = registration::read(self, text)?;
        let mut metadata = Self { keys, ..self.clone() };
        for model in models {
            let entry = Arc::new(Entry::of_model(&model));
            match metadata.place(&model.prefix) {
                Ok(place) => {
                    if let Some(known) = metadata.services.get_mut(place) {
                        *known = entry;
                    }
                }
                Err(place) => metadata.services.insert(place, entry),
            }
        }
        Ok(metadata)
    }

    /// Where the table comes from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn place(&self, prefix: &str) -> Result<usize, usize> {
        self.services
            .binary_search_by(|entry| fold::compare(&entry.prefix, prefix))
    }

    /// All services, by prefix.
    pub fn services(&self) -> impl ExactSizeIterator<Item = Service<'_>> {
        self.services.iter().map(|entry| Service::new(self, entry))
    }

    /// The service with a prefix, `s3` for example.
    #[must_use]
    pub fn service(&self, prefix: &str) -> Option<Service<'_>> {
        let entry = self.services.get(self.place(prefix).ok()?)?;
        Some(Service::new(self, entry))
    }

    /// The action with a name, `s3:GetObject` for example. Wildcards have no meaning here.
    #[must_use]
    pub fn action(&self, action: &str) -> Option<Action<'_>> {
        let (prefix, name) = action.split_once(':')?;
        self.service(prefix)?.action(name)
    }

    /// The actions that a pattern of a policy's `Action` or `NotAction` matches, by service and name: `*` is any run of
    /// characters, `?` one, wherever they stand.
    #[must_use]
    pub fn actions_matching(&self, pattern: &str) -> ActionMatches<'_> {
        ActionMatches {
            metadata: self,
            pattern: ActionPattern::new(pattern),
            next_service: 0,
            current: None,
        }
    }

    /// How many actions a pattern matches, by access level.
    #[must_use]
    pub fn width(&self, pattern: &str) -> Width {
        let mut width = Width::default();
        let pattern = ActionPattern::new(pattern);
        for entry in &self.services {
            let states = pattern.after_prefix(&entry.prefix);
            if pattern.accepts_all_after(states) {
                for level in AccessLevel::ALL {
                    width.add(level, entry.width.count(level));
                }
            } else if states != 0 {
                let actions = Service::new(self, entry).actions();
                for action in actions.filter(|action| pattern.accepts(pattern.advance(states, action.name()))) {
                    width.add(action.access_level(), 1);
                }
            }
        }
        width
    }

    /// The condition key that a policy's text names: a key of the table (`aws:SourceIp`), or one that fits the variable
    /// part of such a key (`aws:PrincipalTag/team`).
    #[must_use]
    pub fn condition_key(&self, name: &str) -> Option<ConditionKey<'_>> {
        ConditionKey::new(self, self.keys.find(name)?)
    }

    /// All condition keys, by name.
    pub fn condition_keys(&self) -> impl Iterator<Item = ConditionKey<'_>> {
        self.keys.ids().iter().filter_map(|id| ConditionKey::new(self, *id))
    }

    /// The global condition keys, which do not belong to one service, by name.
    pub fn global_condition_keys(&self) -> impl Iterator<Item = ConditionKey<'_>> {
        self.condition_keys().filter(|key| key.category().is_some())
    }

    /// Prefixes of services near a misspelt one, nearest first, at most three.
    #[must_use]
    pub fn suggest_services(&self, prefix: &str) -> Vec<&str> {
        nearest(prefix, self.services.iter().map(|entry| entry.prefix.as_ref()))
    }

    /// Actions near a misspelt one, as `prefix:Name`, nearest first, at most three: others of the same service, or the
    /// same name in a service that is near.
    #[must_use]
    pub fn suggest_actions(&self, action: &str) -> Vec<String> {
        let Some((prefix, name)) = action.split_once(':') else {
            return Vec::new();
        };
        let near: Vec<Action<'_>> = match self.service(prefix) {
            Some(service) => service.suggest_actions(name),
            None => {
                let services = self.suggest_services(prefix).into_iter();
                services
                    .filter_map(|prefix| self.service(prefix)?.action(name))
                    .collect()
            }
        };
        near.iter().map(ToString::to_string).collect()
    }

    /// Condition keys near a misspelt one, nearest first, at most three. The variable part of a key is kept as written.
    #[must_use]
    pub fn suggest_condition_keys(&self, name: &str) -> Vec<String> {
        let names = || self.condition_keys().map(|key| key.name());
        let mut found: Vec<String> = nearest(name, names()).into_iter().map(str::to_owned).collect();
        if let Some((head, variable)) = name.split_once('/')
            && !variable.is_empty()
        {
            let heads = names().filter_map(|name| match split_template(name) {
                Some((before, "")) => before.strip_suffix('/'),
                _ => None,
            });
            let templates = nearest(head, heads).into_iter();
            found.extend(templates.map(|head| [head, "/", variable].concat()));
            found.truncate(3);
        }
        found
    }

    /// The whole table in its compact form, with this source written at its head.
    #[must_use]
    pub fn to_text(&self, source: &Source) -> String {
        let mut text = format!(
            "# AWS's services, actions, resource types and condition keys, from the npm package {package}, whose notice stands\n\
             # beside this file. Written by `cargo xtask metadata`, not by hand; src/table.rs describes the form.\n\
             package\t{package}\t{version}\t{date}\n\nkeys\n",
            package = source.package,
            version = source.version,
            date = source.date,
        );
        for key in self.condition_keys() {
            text.push_str(key.name());
            text.push('\t');
            text.push_str(&key.key_type().to_string());
            if let Some(category) = key.category() {
                text.push('\t');
                text.push_str(category.name());
            }
            text.push('\n');
        }
        for service in self.services() {
            text.push('\n');
            let (head, block) = table::write(&self.model(service));
            text.push_str(&head);
            text.push_str(&block);
        }
        text
    }

    /// A service in plain form.
    pub(crate) fn model(&self, service: Service<'_>) -> ServiceModel {
        let names = |keys: Vec<ConditionKey<'_>>| keys.iter().map(|key| key.name().to_owned()).collect();
        let types = service.resource_types().map(|resource_type| TypeModel {
            name: resource_type.name().to_owned(),
            arns: resource_type.arn_patterns().map(str::to_owned).collect(),
            keys: names(resource_type.condition_keys().collect()),
        });
        let actions = service.actions().map(|action| ActionModel {
            name: action.name().to_owned(),
            level: action.access_level(),
            types: action
                .resource_types()
                .map(|accepted| TypeUseModel {
                    name: accepted.resource_type().name().to_owned(),
                    is_required: accepted.is_required(),
                    keys: names(accepted.condition_keys().collect()),
                })
                .collect(),
            keys: names(action.condition_keys().collect()),
        });
        ServiceModel {
            prefix: service.prefix().to_owned(),
            name: service.name().to_owned(),
            supports_resource_control_policies: service.supports_resource_control_policies(),
            types: types.collect(),
            actions: actions.collect(),
        }
    }
}

/// The actions that a pattern matches. Reads only the services whose prefix can match.
#[derive(Clone, Debug)]
pub struct ActionMatches<'a> {
    metadata: &'a Metadata,
    pattern: ActionPattern,
    next_service: usize,
    /// The service in hand, the pattern's states after its prefix, and its next action.
    current: Option<(Service<'a>, States, usize)>,
}

impl<'a> Iterator for ActionMatches<'a> {
    type Item = Action<'a>;

    fn next(&mut self) -> Option<Action<'a>> {
        loop {
            if let Some((service, states, place)) = &mut self.current {
                while let Some(action) = service.action_at(*place) {
                    *place = place.saturating_add(1);
                    if self.pattern.accepts(self.pattern.advance(*states, action.name())) {
                        return Some(action);
                    }
                }
                self.current = None;
            }
            let entry = self.metadata.services.get(self.next_service)?;
            self.next_service = self.next_service.saturating_add(1);
            let states = self.pattern.after_prefix(&entry.prefix);
            if states != 0 {
                self.current = Some((Service::new(self.metadata, entry), states, 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read is what was written: no line of the data is passed over.
    #[test]
    fn the_table_survives_a_round_trip() {
        let metadata = Metadata::aws();
        let again = metadata.to_text(metadata.source());
        for (line, (committed, written)) in AWS.lines().zip(again.lines()).enumerate() {
            assert_eq!(committed, written, "line {}", line + 1);
        }
        assert!(AWS == again);
    }

    /// Lines without a tab in the services' blocks are actions.
    #[test]
    fn every_line_of_an_action_is_an_action() {
        let blocks = AWS.split("\n\n").filter(|block| block.starts_with("service\t"));
        let lines: usize = blocks
            .map(|block| block.lines().filter(|line| !line.contains('\t')).count())
            .sum();
        assert_eq!(lines, Metadata::aws().width("*").total());
        assert!(lines > 20_000);
    }
}
