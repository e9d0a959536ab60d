//! Registration files: a user's own services, in JSON.

use std::{borrow::Cow, collections::HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    keys::{KeyRow, KeyTable, split_template},
    kinds::{AccessLevel, KeyCategory, KeyType},
    metadata::Metadata,
    model::{ActionModel, ServiceModel, TypeModel, TypeUseModel},
    pattern::LONGEST_ACTION,
};

/// What is wrong with a registration file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct RegistrationError {
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: RegistrationProblem,
}

/// What can be wrong with a registration file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationProblem {
    /// Not JSON, or not of the shape that the documentation describes.
    #[error("{0}")]
    Shape(String),
    /// A text was expected.
    #[error("expected a text")]
    NotText,
    /// A service's prefix has other signs than letters, digits and hyphens, or none.
    #[error("`{0}` is no prefix of a service: it may hold letters, digits and hyphens")]
    Prefix(String),
    /// A service's name has a line break or begins with a space.
    #[error("`{0}` is no name of a service: it must be one line, without spaces around it")]
    ServiceName(String),
    /// An action's name has other signs than letters, digits, `.`, `_` and `-`, or none.
    #[error("`{0}` is no name of an action: it may hold letters, digits, `.`, `_` and `-`")]
    ActionName(String),
    /// A resource type's name has other signs than letters, digits, spaces, `.`, `_`, `/` and `-`, or none.
    #[error("`{0}` is no name of a resource type: it may hold letters, digits, spaces inside, `.`, `_`, `/` and `-`")]
    TypeName(String),
    /// An action's name is too long with its prefix.
    #[error("`{0}` is too long: with its prefix, an action may have {LONGEST_ACTION} characters")]
    TooLong(String),
    /// A condition key is not `prefix:name`.
    #[error("`{0}` is no condition key: it must be `prefix:name` in printable ASCII, with one variable part at most")]
    KeyName(String),
    /// A resource type's ARN pattern is not one.
    #[error("`{0}` is no ARN pattern: it must be `arn:` and five more fields in printable ASCII")]
    Arn(String),
    /// An access level that does not exist.
    #[error("`{0}` is no access level: List, Read, Write, Tagging and Permissions management are")]
    AccessLevel(String),
    /// A type of condition keys that does not exist.
    #[error(
        "`{0}` is no type of condition keys: String, Numeric, Bool, Date, ARN, IPAddress and Binary are, and each with ArrayOf before it"
    )]
    KeyType(String),
    /// A category of condition keys that does not exist.
    #[error("`{0}` is no category: principal, session, network, resource and request are")]
    Category(String),
    /// The same name twice.
    #[error("`{0}` is there twice")]
    Repeated(String),
    /// An action accepts a resource type that neither the file nor the table declares for its service.
    #[error("the service has no resource type `{0}`")]
    UnknownType(String),
    /// A condition key that neither the file nor the table declares.
    #[error("no condition key `{0}` is declared")]
    UnknownKey(String),
    /// A resource type without an ARN pattern.
    #[error("the resource type `{0}` has no ARN pattern")]
    NoArn(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileJson<'a> {
    #[serde(borrow, default)]
    services: Vec<ServiceJson<'a>>,
    #[serde(borrow, default)]
    condition_keys: Vec<KeyJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceJson<'a> {
    #[serde(borrow)]
    prefix: Text<'a>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(default)]
    resource_control_policies: Option<bool>,
    #[serde(borrow, default)]
    condition_keys: Vec<KeyJson<'a>>,
    #[serde(borrow, default)]
    resource_types: Vec<TypeJson<'a>>,
    #[serde(borrow, default)]
    actions: Vec<ActionJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyJson<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "type")]
    key_type: Text<'a>,
    #[serde(borrow, default)]
    category: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TypeJson<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arns: Vec<Text<'a>>,
    #[serde(borrow, default)]
    condition_keys: Vec<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActionJson<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    access_level: Text<'a>,
    #[serde(borrow, default)]
    resource_types: Vec<TypeUseJson<'a>>,
    #[serde(borrow, default)]
    condition_keys: Vec<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TypeUseJson<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default)]
    required: bool,
    #[serde(borrow, default)]
    condition_keys: Vec<Text<'a>>,
}

/// A value as it stands in the file, so that its place is known.
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] &'a RawValue);

/// Reads a registration file over a table: all condition keys, the table's and the file's, and the services of the file
/// as they are then.
pub(crate) fn read(base: &Metadata, text: &str) -> Result<(KeyTable, Vec<ServiceModel>), RegistrationError> {
    let file: FileJson<'_> = serde_json::from_str(text).map_err(|error| RegistrationError {
        line: error.line().max(1),
        column: error.column().max(1),
        problem: RegistrationProblem::Shape(without_place(&error)),
    })?;
    let mut reader = Reader {
        base,
        text,
        keys: base.keys.clone(),
    };
    reader.declare(&file)?;
    let mut seen = HashSet::new();
    let mut models = Vec::with_capacity(file.services.len());
    for service in &file.services {
        let model = reader.service(service)?;
        if !seen.insert(model.prefix.to_ascii_lowercase()) {
            return Err(reader.error(service.prefix, RegistrationProblem::Repeated(model.prefix)));
        }
        models.push(model);
    }
    Ok((reader.keys, models))
}

/// serde_json ends its message with the place, which has members of its own here.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    }
}

struct Reader<'r> {
    base: &'r Metadata,
    text: &'r str,
    keys: KeyTable,
}

impl Reader<'_> {
    fn error(&self, at: Text<'_>, problem: RegistrationProblem) -> RegistrationError {
        // The raw value is a part of the text: its place is the distance between their addresses.
        let offset = at.0.get().as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
        RegistrationError {
            line: before.matches('\n').count().saturating_add(1),
            column: before.len().saturating_sub(line_start).saturating_add(1),
            problem,
        }
    }

    fn string(&self, at: Text<'_>) -> Result<String, RegistrationError> {
        serde_json::from_str(at.0.get()).map_err(|_| self.error(at, RegistrationProblem::NotText))
    }

    /// A text that fulfils a condition.
    fn checked(
        &self,
        at: Text<'_>,
        is_good: impl FnOnce(&str) -> bool,
        problem: impl FnOnce(String) -> RegistrationProblem,
    ) -> Result<String, RegistrationError> {
        let text = self.string(at)?;
        if is_good(&text) {
            Ok(text)
        } else {
            Err(self.error(at, problem(text)))
        }
    }

    /// A text that stands for something.
    fn word<T>(
        &self,
        at: Text<'_>,
        meaning: impl FnOnce(&str) -> Option<T>,
        problem: impl FnOnce(String) -> RegistrationProblem,
    ) -> Result<T, RegistrationError> {
        let text = self.string(at)?;
        meaning(&text).ok_or_else(|| self.error(at, problem(text)))
    }

    fn name(
        &self,
        at: Text<'_>,
        signs: &[u8],
        problem: impl FnOnce(String) -> RegistrationProblem,
    ) -> Result<String, RegistrationError> {
        let is_good = |name: &str| {
            let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || signs.contains(&byte);
            name.bytes().all(is_sign) && name.bytes().any(|byte| byte.is_ascii_alphanumeric()) && name.trim() == name
        };
        self.checked(at, is_good, problem)
    }

    /// Adds the file's condition keys to the table's.
    fn declare(&mut self, file: &FileJson<'_>) -> Result<(), RegistrationError> {
        let mut rows: Vec<KeyRow> = Vec::new();
        let mut global = HashSet::new();
        for key in &file.condition_keys {
            let mut row = self.key(key)?;
            row.category.get_or_insert(KeyCategory::Request);
            if !global.insert(row.name.to_ascii_lowercase()) {
                return Err(self.error(key.name, RegistrationProblem::Repeated(row.name.into_owned())));
            }
            rows.push(row);
        }
        for service in &file.services {
            let mut own = HashSet::new();
            for key in &service.condition_keys {
                let row = self.key(key)?;
                let name = row.name.to_ascii_lowercase();
                if !own.insert(name.clone()) {
                    return Err(self.error(key.name, RegistrationProblem::Repeated(row.name.into_owned())));
                }
                // Several services may have one key; what is said last holds, and what the file says of all services
                // holds over what it says of one.
                if !global.contains(&name) {
                    rows.push(row);
                }
            }
        }
        self.keys.extend(rows);
        Ok(())
    }

    fn key(&self, key: &KeyJson<'_>) -> Result<KeyRow, RegistrationError> {
        let name = self.checked(key.name, is_key_name, RegistrationProblem::KeyName)?;
        let category = match key.category {
            Some(category) => Some(self.word(category, KeyCategory::from_name, RegistrationProblem::Category)?),
            None => None,
        };
        Ok(KeyRow {
            name: Cow::Owned(name),
            key_type: self.word(key.key_type, KeyType::from_name, RegistrationProblem::KeyType)?,
            category,
        })
    }

    /// Known keys, in their declared spelling.
    fn key_list(&self, list: &[Text<'_>]) -> Result<Vec<String>, RegistrationError> {
        let known = |name: &str| {
            let row = self.keys.row(self.keys.exact(name)?)?;
            Some(row.name.clone().into_owned())
        };
        let mut keys = Vec::with_capacity(list.len());
        for at in list {
            let key = self.word(*at, known, RegistrationProblem::UnknownKey)?;
            if keys.contains(&key) {
                return Err(self.error(*at, RegistrationProblem::Repeated(key)));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn service(&self, service: &ServiceJson<'_>) -> Result<ServiceModel, RegistrationError> {
        let is_prefix = |prefix: &str| {
            let signs = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !prefix.is_empty() && prefix.bytes().all(signs) && prefix.bytes().any(|byte| byte != b'-')
        };
        let prefix = self.checked(service.prefix, is_prefix, RegistrationProblem::Prefix)?;
        let mut model = match self.base.service(&prefix) {
            Some(known) => self.base.model(known),
            None => ServiceModel {
                name: prefix.clone(),
                prefix,
                ..ServiceModel::default()
            },
        };
        if let Some(name) = service.name {
            let is_name = |name: &str| {
                !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control) && name != "-"
            };
            model.name = self.checked(name, is_name, RegistrationProblem::ServiceName)?;
        }
        if let Some(policies) = service.resource_control_policies {
            model.supports_resource_control_policies = policies;
        }
        let mut seen = HashSet::new();
        for resource_type in &service.resource_types {
            let found = self.resource_type(resource_type)?;
            if !seen.insert(found.name.to_ascii_lowercase()) {
                return Err(self.error(resource_type.name, RegistrationProblem::Repeated(found.name)));
            }
            model
                .types
                .retain(|known| !known.name.eq_ignore_ascii_case(&found.name));
            model.types.push(found);
        }
        let mut actions = Vec::with_capacity(service.actions.len());
        let mut seen = HashSet::new();
        for action in &service.actions {
            let found = self.action(action, &model)?;
            if !seen.insert(found.name.to_ascii_lowercase()) {
                return Err(self.error(action.name, RegistrationProblem::Repeated(found.name)));
            }
            actions.push(found);
        }
        model
            .actions
            .retain(|known| !seen.contains(&known.name.to_ascii_lowercase()));
        model.actions.extend(actions);
        Ok(model)
    }

    fn resource_type(&self, resource_type: &TypeJson<'_>) -> Result<TypeModel, RegistrationError> {
        let name = self.name(resource_type.name, b"._-/ ", RegistrationProblem::TypeName)?;
        let mut arns = Vec::with_capacity(resource_type.arns.len());
        for arn in &resource_type.arns {
            arns.push(self.checked(*arn, is_arn_pattern, RegistrationProblem::Arn)?);
        }
        if arns.is_empty() {
            return Err(self.error(resource_type.name, RegistrationProblem::NoArn(name)));
        }
        Ok(TypeModel {
            name,
            arns,
            keys: self.key_list(&resource_type.condition_keys)?,
        })
    }

    fn action(&self, action: &ActionJson<'_>, service: &ServiceModel) -> Result<ActionModel, RegistrationError> {
        let name = self.name(action.name, b"._-", RegistrationProblem::ActionName)?;
        // The colon is one more.
        if service.prefix.len().saturating_add(name.len()) >= LONGEST_ACTION {
            return Err(self.error(action.name, RegistrationProblem::TooLong(name)));
        }
        let known = |name: &str| {
            let mut types = service.types.iter();
            types
                .find(|known| known.name.eq_ignore_ascii_case(name))
                .map(|known| known.name.clone())
        };
        let mut types: Vec<TypeUseModel> = Vec::with_capacity(action.resource_types.len());
        for accepted in &action.resource_types {
            let name = self.word(accepted.name, known, RegistrationProblem::UnknownType)?;
            if types.iter().any(|other| other.name == name) {
                return Err(self.error(accepted.name, RegistrationProblem::Repeated(name)));
            }
            types.push(TypeUseModel {
                name,
                is_required: accepted.required,
                keys: self.key_list(&accepted.condition_keys)?,
            });
        }
        Ok(ActionModel {
            name,
            level: self.word(
                action.access_level,
                AccessLevel::from_name,
                RegistrationProblem::AccessLevel,
            )?,
            types,
            keys: self.key_list(&action.condition_keys)?,
        })
    }
}

/// Signs that structure the compact form have no place in a name.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_graphic() && !b",()=!\"\\".contains(&byte))
}

fn is_key_name(name: &str) -> bool {
    let has_name = name
        .rsplit_once(':')
        .is_some_and(|(prefix, name)| !prefix.is_empty() && !name.is_empty());
    let one_variable = split_template(name).is_none_or(|(before, after)| {
        !before.contains(['{', '<']) && split_template(after).is_none() && !after.contains(['{', '<'])
    });
    // The compact form gives a meaning to a colon before a name and a slash behind it.
    has_name && one_variable && is_plain(name) && !name.starts_with(':') && !name.ends_with('/')
}

fn is_arn_pattern(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.split(':').count() >= 6 && is_plain(arn)
}
