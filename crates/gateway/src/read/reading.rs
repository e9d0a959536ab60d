//! What a rule says about the parameters of a request: its resources and condition keys.

use super::Ask;
use crate::dynamodb;
use crate::error::GatewayError;
use crate::json::Tree;
use crate::names::{parameter_name, record_name};
use crate::path::{Path, member};
use crate::resource::{Named, Place};
use crate::rules::{Form, Operation, Reader, Resource, ServiceRules, Tags};

/// The most questions that one request may raise.
pub(super) const MAX_ASKS: usize = 4096;

/// A request whose operation has a rule, while it is read.
pub(super) struct Reading<'a> {
    pub(super) service: &'a ServiceRules,
    pub(super) place: Place<'a>,
    pub(super) tree: &'a Tree,
    pub(super) asks: Vec<Ask>,
    pub(super) parameters: Vec<(String, Vec<String>)>,
    pub(super) approximate: bool,
}

impl Reading<'_> {
    pub(super) fn read(&mut self, name: &str, operation: &Operation) -> Result<(), GatewayError> {
        let keys = self.keys(operation)?;
        let action = operation.action.as_deref().unwrap_or(name);
        if operation.reader == Some(Reader::Dynamodb) {
            return self.items(name, action, &keys);
        }
        for path in &operation.nameless {
            if !path.trees(self.tree)?.is_empty() {
                return Err(GatewayError::Value {
                    parameter: path.text().to_owned(),
                    reason: "it names a resource by what no policy can be asked about",
                });
            }
        }
        let mut has_resource = false;
        for resource in operation.resources.iter().flatten() {
            for (named, own_action) in self.resources(resource)? {
                has_resource = true;
                self.ask(own_action.unwrap_or(action), named, &keys)?;
            }
        }
        if !has_resource {
            let any = Named {
                arn: "*".to_owned(),
                account: self.place.account,
                approximate: false,
            };
            self.ask(action, any, &keys)?;
        }
        Ok(())
    }

    fn ask(&mut self, action: &str, named: Named, keys: &[(String, Vec<String>)]) -> Result<(), GatewayError> {
        let ask = Ask {
            action: format!("{}:{action}", self.service.prefix),
            resource: named.arn,
            account: named.account,
            keys: keys.to_vec(),
        };
        self.approximate |= named.approximate;
        if self.asks.len() >= MAX_ASKS {
            return Err(GatewayError::Body("it names too many resources".to_owned()));
        }
        if !self.asks.contains(&ask) {
            self.asks.push(ask);
        }
        Ok(())
    }

    /// The resources that a rule finds, with the action where it is not the operation's.
    fn resources<'r>(&mut self, resource: &'r Resource) -> Result<Vec<(Named, Option<&'r str>)>, GatewayError> {
        let (kinds, from, optional, otherwise, action) = match resource {
            Resource::Any | Resource::Unsaid => {
                let any = Named {
                    arn: "*".to_owned(),
                    account: self.place.account,
                    approximate: matches!(resource, Resource::Unsaid),
                };
                return Ok(vec![(any, None)]);
            }
            Resource::Named {
                kinds,
                from,
                optional,
                otherwise,
                action,
            } => (kinds, from, optional, otherwise, action),
        };
        let mut values = Vec::new();
        for path in from {
            values.push(path.texts(self.tree)?);
        }
        let absent = values.iter().position(Vec::is_empty);
        if let Some(absent) = absent {
            return match otherwise {
                Some(otherwise) => {
                    let mut found = self.resources(otherwise)?;
                    for (_, own_action) in &mut found {
                        *own_action = own_action.or(action.as_deref());
                    }
                    Ok(found)
                }
                None if *optional => Ok(Vec::new()),
                None => Err(GatewayError::Missing(
                    from.get(absent).map_or("", Path::text).to_owned(),
                )),
            };
        }
        for (path, values) in from.iter().zip(&values) {
            self.record(&parameter_name(path.text()), values);
        }
        let parameter = from.first().map_or("", Path::text);
        let mut named = Vec::new();
        let sets: Vec<Vec<String>> = match values.as_slice() {
            [list] => list.iter().map(|value| vec![value.clone()]).collect(),
            several => vec![several.iter().filter_map(|values| values.first().cloned()).collect()],
        };
        for set in sets {
            named.push((self.name(kinds, &set, parameter)?, action.as_deref()));
        }
        Ok(named)
    }

    /// The resource of the first kind that fits.
    fn name(&self, kinds: &[String], values: &[String], parameter: &str) -> Result<Named, GatewayError> {
        let mut reason = "there is no such kind of resource";
        for kind in kinds {
            match self.service.kinds.get(kind).map(|kind| kind.name(values, &self.place)) {
                Some(Ok(named)) => return Ok(named),
                Some(Err(found)) => reason = found,
                None => {}
            }
        }
        Err(GatewayError::Value {
            parameter: parameter.to_owned(),
            reason,
        })
    }

    fn record(&mut self, name: &str, values: &[String]) {
        match self.parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => {
                for value in values {
                    if !known.contains(value) {
                        known.push(value.clone());
                    }
                }
            }
            None => self.parameters.push((name.to_owned(), values.to_vec())),
        }
    }

    fn keys(&self, operation: &Operation) -> Result<Vec<(String, Vec<String>)>, GatewayError> {
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for (key, source) in &operation.keys {
            if key.ends_with(['/', ':']) {
                // An object of names and values, such as KMS's encryption context.
                for place in source.from.trees(self.tree)? {
                    for (name, value) in place.members() {
                        if let Tree::Text(value) = value {
                            push(&mut keys, &format!("{key}{name}"), value.clone());
                        }
                    }
                }
                continue;
            }
            for value in source.from.texts(self.tree)? {
                let value = match source.form {
                    Form::AsIs => value,
                    Form::RecordName => record_name(&value).ok_or_else(|| GatewayError::Value {
                        parameter: source.from.text().to_owned(),
                        reason: "it is no name of a record",
                    })?,
                };
                push(&mut keys, key, value);
            }
        }
        if let Some(tags) = &operation.tags {
            for (name, value) in self.tags(tags)? {
                push(&mut keys, &format!("aws:RequestTag/{name}"), value);
                push(&mut keys, "aws:TagKeys", name);
            }
        }
        if let Some(path) = &operation.tag_keys {
            for name in path.texts(self.tree)? {
                push(&mut keys, "aws:TagKeys", name);
            }
        }
        Ok(keys)
    }

    fn tags(&self, tags: &Tags) -> Result<Vec<(String, String)>, GatewayError> {
        let mut found = Vec::new();
        match tags {
            Tags::Map(path) => {
                for place in path.trees(self.tree)? {
                    for (name, value) in place.members() {
                        match value {
                            Tree::Text(value) => found.push((name.clone(), value.clone())),
                            _ => {
                                return Err(GatewayError::Value {
                                    parameter: path.text().to_owned(),
                                    reason: "a tag's value must be a text",
                                });
                            }
                        }
                    }
                }
            }
            Tags::List { each, key, value } => {
                for place in each.trees(self.tree)? {
                    let text = |name: &str| match member(place, name)? {
                        Some(Tree::Text(text)) => Ok(Some(text.clone())),
                        None => Ok(None),
                        Some(_) => Err(GatewayError::Value {
                            parameter: each.text().to_owned(),
                            reason: "a tag is two texts",
                        }),
                    };
                    let name = text(key)?.ok_or_else(|| GatewayError::Missing(format!("{}.{key}", each.text())))?;
                    found.push((name, text(value)?.unwrap_or_default()));
                }
            }
        }
        Ok(found)
    }

    /// DynamoDB's item operations.
    fn items(&mut self, name: &str, action: &str, keys: &[(String, Vec<String>)]) -> Result<(), GatewayError> {
        for subject in dynamodb::subjects(name, self.tree, &self.service.partition_keys)? {
            self.record("tableName", std::slice::from_ref(&subject.table));
            let mut named = self.name(&["table".to_owned()], std::slice::from_ref(&subject.table), "TableName")?;
            if let Some(index) = &subject.index {
                self.record("indexName", std::slice::from_ref(index));
                // The table's ARN is proven; what an index adds to it must be a name.
                let is_name = !index.is_empty()
                    && index
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
                if !is_name {
                    return Err(GatewayError::Value {
                        parameter: "IndexName".to_owned(),
                        reason: "it is no name of such a resource",
                    });
                }
                named.arn = format!("{}/index/{index}", named.arn);
            }
            let action = subject.action.unwrap_or(action);
            let mut all = keys.to_vec();
            all.extend(subject.keys);
            if subject.leading.is_empty() {
                self.ask(action, named, &all)?;
                continue;
            }
            for values in subject.leading {
                let mut possible = all.clone();
                let mut values = values;
                values.sort_unstable();
                values.dedup();
                possible.push(("dynamodb:LeadingKeys".to_owned(), values));
                self.ask(action, named.clone(), &possible)?;
            }
        }
        Ok(())
    }
}

/// Adds a value to a key. Keys have no case: two tags `Team` and `team` are one key of two values.
fn push(keys: &mut Vec<(String, Vec<String>)>, key: &str, value: String) {
    match keys.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
        Some((_, values)) if values.contains(&value) => {}
        Some((_, values)) => values.push(value),
        None => keys.push((key.to_owned(), vec![value])),
    }
}
