//! What a table says about services, actions, resource types and condition keys. All of these are cheap to copy and
//! live as long as their [`Metadata`].

use std::fmt;

use crate::{
    arn::{Resource, Template},
    fold,
    keys::{KeyId, KeyRow, index, split_template},
    kinds::{AccessLevel, KeyCategory, KeyType},
    metadata::{Entry, Metadata},
    suggest::nearest,
    table::{ArnPattern, Table, TypeUse},
};

/// A service of AWS, or one of a user's own.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    metadata: &'a Metadata,
    entry: &'a Entry,
}

impl<'a> Service<'a> {
    pub(crate) fn new(metadata: &'a Metadata, entry: &'a Entry) -> Self {
        Self { metadata, entry }
    }

    fn table(self) -> &'a Table {
        self.entry.table(&self.metadata.keys)
    }

    fn keys_of(self, ids: &'a [KeyId]) -> impl Iterator<Item = ConditionKey<'a>> {
        ids.iter().filter_map(move |id| ConditionKey::new(self.metadata, *id))
    }

    /// What its actions begin with, `s3` for example.
    #[must_use]
    pub fn prefix(self) -> &'a str {
        &self.entry.prefix
    }

    /// Its name for people, `Amazon S3` for example.
    #[must_use]
    pub fn name(self) -> &'a str {
        &self.entry.name
    }

    /// Whether resource control policies apply to its actions.
    ///
    /// See <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html>.
    #[must_use]
    pub fn supports_resource_control_policies(self) -> bool {
        self.entry.supports_resource_control_policies
    }

    /// Its actions, by name.
    pub fn actions(self) -> impl ExactSizeIterator<Item = Action<'a>> {
        (0..self.table().action_count()).map(move |place| Action { service: self, place })
    }

    pub(crate) fn action_at(self, place: usize) -> Option<Action<'a>> {
        (place < self.table().action_count()).then_some(Action { service: self, place })
    }

    /// The action with a name, `GetObject` for example.
    #[must_use]
    pub fn action(self, name: &str) -> Option<Action<'a>> {
        let place = self.table().find_action(&self.entry.block, name)?;
        Some(Action { service: self, place })
    }

    /// Its actions with a name near a misspelt one, nearest first, at most three.
    #[must_use]
    pub fn suggest_actions(self, name: &str) -> Vec<Action<'a>> {
        let names = nearest(name, self.actions().map(Action::name)).into_iter();
        names.filter_map(|name| self.action(name)).collect()
    }

    /// Its resource types, by name.
    pub fn resource_types(self) -> impl ExactSizeIterator<Item = ResourceType<'a>> {
        (0..self.table().type_count()).map(move |place| ResourceType { service: self, place })
    }

    /// The resource type with a name, `bucket` for example.
    #[must_use]
    pub fn resource_type(self, name: &str) -> Option<ResourceType<'a>> {
        let place = self.table().find_type(&self.entry.block, name)?;
        Some(ResourceType { service: self, place })
    }

    /// The condition keys with its prefix and those that its actions and resource types list, by name.
    pub fn condition_keys(self) -> impl Iterator<Item = ConditionKey<'a>> {
        self.keys_of(self.table().keys())
    }

    /// Its resource types that a policy's `Resource` text can mean. Where the text fits a narrower type whole, one that
    /// would take it with a slash in a name is left out: `arn:aws:s3:::b/*` means objects, not buckets.
    #[must_use]
    pub fn resource_types_named_by(self, resource: &str) -> Vec<ResourceType<'a>> {
        let resource = Resource::new(resource);
        let mut possible: Vec<(ResourceType<'a>, &Template)> = Vec::new();
        for resource_type in self.resource_types() {
            let templates = resource_type.templates();
            let met = templates.filter(|template| template.overlaps(&resource));
            possible.extend(met.map(|template| (resource_type, template)));
        }
        let covering: Vec<&Template> = possible
            .iter()
            .map(|(_, template)| *template)
            .filter(|template| template.covers(&resource))
            .collect();
        let mut found: Vec<ResourceType<'a>> = Vec::new();
        for (resource_type, template) in &possible {
            let is_narrowest = !covering.iter().any(|narrow| template.is_wider_than(narrow));
            if is_narrowest && found.last() != Some(resource_type) {
                found.push(*resource_type);
            }
        }
        found
    }
}

impl PartialEq for Service<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.entry, other.entry)
    }
}

impl Eq for Service<'_> {}

impl fmt::Debug for Service<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Service({})", self.prefix())
    }
}

/// An action. Displays as `prefix:Name`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Action<'a> {
    service: Service<'a>,
    place: usize,
}

impl<'a> Action<'a> {
    /// The service it belongs to.
    #[must_use]
    pub fn service(self) -> Service<'a> {
        self.service
    }

    /// Its name as AWS spells it, without the prefix.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.service.table().action_name(&self.service.entry.block, self.place)
    }

    /// What kind of access it gives.
    #[must_use]
    pub fn access_level(self) -> AccessLevel {
        self.service.table().level(self.place)
    }

    /// The resource types that it accepts.
    pub fn resource_types(self) -> impl ExactSizeIterator<Item = AcceptedType<'a>> {
        let uses = self.service.table().uses(self.place).iter();
        uses.map(move |type_use| AcceptedType {
            service: self.service,
            type_use,
        })
    }

    /// Whether it accepts no resource type, so that only the resource `*` names what it acts on.
    #[must_use]
    pub fn is_wildcard_only(self) -> bool {
        self.service.table().uses(self.place).is_empty()
    }

    /// Whether a statement with this `Resource` text can apply to it: the text can mean a type that it accepts. An
    /// action that accepts none is only met by the text `*`.
    ///
    /// Types of other services are not looked at, and where AWS publishes no limit for a name it counts as possible:
    /// `false` is sure as far as the table is complete, `true` is not.
    #[must_use]
    pub fn accepts_resource(self, resource: &str) -> bool {
        if self.is_wildcard_only() {
            return !resource.is_empty() && resource.bytes().all(|byte| byte == b'*');
        }
        let named = self.service.resource_types_named_by(resource);
        self.resource_types()
            .any(|accepted| named.contains(&accepted.resource_type()))
    }

    /// The condition keys of the action itself, whatever its resource.
    pub fn condition_keys(self) -> impl Iterator<Item = ConditionKey<'a>> {
        self.service.keys_of(self.service.table().action_keys(self.place))
    }

    /// The condition keys that the table lists for it: its own, those it has with a type that it accepts, and those of
    /// these types; each once, by name. Global keys other than those of tags are not listed: any request can have them.
    #[must_use]
    pub fn listed_condition_keys(self) -> Vec<ConditionKey<'a>> {
        let mut keys: Vec<ConditionKey<'a>> = self.condition_keys().collect();
        for accepted in self.resource_types() {
            keys.extend(accepted.condition_keys());
            keys.extend(accepted.resource_type().condition_keys());
        }
        keys.sort_by(|a, b| fold::compare(a.name(), b.name()));
        keys.dedup();
        keys
    }

    /// Whether a request for this action can bring a condition key: the table lists it, or it is a global one.
    ///
    /// `aws:RequestTag/…`, `aws:ResourceTag/…` and `aws:TagKeys` are global but brought only where they are listed.
    #[must_use]
    pub fn carries(self, key: ConditionKey<'_>) -> bool {
        if key.category().is_some() && !key.is_about_tags() {
            return true;
        }
        let table = self.service.table();
        let listed = |ids: &[KeyId]| ids.contains(&key.id);
        listed(table.action_keys(self.place))
            || table.uses(self.place).iter().any(|type_use| {
                listed(table.use_keys(type_use)) || listed(table.type_keys(index(type_use.resource_type)))
            })
    }
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.service.prefix(), self.name())
    }
}

impl fmt::Debug for Action<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Action({self})")
    }
}

/// A resource type as an action accepts it.
#[derive(Clone, Copy)]
pub struct AcceptedType<'a> {
    service: Service<'a>,
    type_use: &'a TypeUse,
}

impl<'a> AcceptedType<'a> {
    /// The type.
    #[must_use]
    pub fn resource_type(self) -> ResourceType<'a> {
        ResourceType {
            service: self.service,
            place: index(self.type_use.resource_type),
        }
    }

    /// Whether every request for the action names a resource of this type.
    #[must_use]
    pub fn is_required(self) -> bool {
        self.type_use.is_required
    }

    /// The condition keys that the action has with a resource of this type.
    pub fn condition_keys(self) -> impl Iterator<Item = ConditionKey<'a>> {
        self.service.keys_of(self.service.table().use_keys(self.type_use))
    }
}

impl fmt::Debug for AcceptedType<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AcceptedType")
            .field("resource_type", &self.resource_type())
            .field("is_required", &self.is_required())
            .finish_non_exhaustive()
    }
}

/// A type of resources.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResourceType<'a> {
    service: Service<'a>,
    place: usize,
}

impl<'a> ResourceType<'a> {
    /// The service whose table it stands in. Its ARNs may name another.
    #[must_use]
    pub fn service(self) -> Service<'a> {
        self.service
    }

    /// Its name, `bucket` for example. Unique within the service.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.service.table().type_name(&self.service.entry.block, self.place)
    }

    /// What its ARNs look like, `arn:${Partition}:s3:::${BucketName}` for example; several if it has several forms.
    pub fn arn_patterns(self) -> impl ExactSizeIterator<Item = &'a str> {
        let arns = self.service.table().type_arns(self.place).iter();
        arns.map(|pattern| pattern.text.as_ref())
    }

    fn templates(self) -> impl Iterator<Item = &'a Template> {
        let arns = self.service.table().type_arns(self.place).iter();
        arns.map(ArnPattern::template)
    }

    /// The condition keys that requests for resources of this type can bring.
    pub fn condition_keys(self) -> impl Iterator<Item = ConditionKey<'a>> {
        self.service.keys_of(self.service.table().type_keys(self.place))
    }

    /// Whether an ARN, without wildcards, looks like one of this type. A variable of the pattern stands for one
    /// character or more, after the fifth colon of any kind: an object's ARN looks like a bucket's, too
    /// ([`Service::resource_types_named_by`] knows better).
    #[must_use]
    pub fn matches_arn(self, arn: &str) -> bool {
        self.templates().any(|template| template.matches(arn))
    }

    /// Whether a policy's `Resource` text, with wildcards and policy variables, matches some ARN that looks like one of
    /// this type.
    #[must_use]
    pub fn overlaps(self, resource: &str) -> bool {
        let resource = Resource::new(resource);
        self.templates().any(|template| template.overlaps(&resource))
    }
}

impl fmt::Debug for ResourceType<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ResourceType({} of {})", self.name(), self.service.prefix())
    }
}

/// A condition key.
#[derive(Clone, Copy)]
pub struct ConditionKey<'a> {
    id: KeyId,
    row: &'a KeyRow,
}

impl<'a> ConditionKey<'a> {
    pub(crate) fn new(metadata: &'a Metadata, id: KeyId) -> Option<Self> {
        Some(Self {
            id,
            row: metadata.keys.row(id)?,
        })
    }

    /// Its name as AWS spells it, with its variable part if it has one: `aws:PrincipalTag/${TagKey}`.
    #[must_use]
    pub fn name(self) -> &'a str {
        &self.row.name
    }

    /// The type of its values, and whether a request can bring several.
    #[must_use]
    pub fn key_type(self) -> KeyType {
        self.row.key_type
    }

    /// What it tells about, if it is a global key; `None` for a key of a service.
    #[must_use]
    pub fn category(self) -> Option<KeyCategory> {
        self.row.category
    }

    /// The fixed text before and after its variable part; `None` if it has none.
    #[must_use]
    pub fn template(self) -> Option<(&'a str, &'a str)> {
        split_template(&self.row.name)
    }

    /// Whether it is `aws:RequestTag/…`, `aws:ResourceTag/…` or `aws:TagKeys`, which only some actions bring.
    #[must_use]
    pub fn is_about_tags(self) -> bool {
        let head = self.template().map_or(self.name(), |(before, _)| before);
        ["aws:RequestTag/", "aws:ResourceTag/", "aws:TagKeys"]
            .into_iter()
            .any(|name| head.eq_ignore_ascii_case(name))
    }
}

impl PartialEq for ConditionKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.row.name == other.row.name
    }
}

impl Eq for ConditionKey<'_> {}

impl fmt::Debug for ConditionKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConditionKey({}: {})", self.name(), self.key_type())
    }
}
