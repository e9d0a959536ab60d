//! DynamoDB's item operations: tables, indexes, and the condition keys about items and attributes.
//!
//! `dynamodb:LeadingKeys` holds the values of partition keys, and a request does not say which of its attributes is the
//! partition key. A rule file can (`partitionKeys`); otherwise every attribute that could be it is asked about, and
//! all answers must be yes: the true one is among them.
//!
//! See <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>.

use std::collections::BTreeMap;

use crate::error::GatewayError;
use crate::expression::{attributes, equalities};
use crate::json::Tree;
use crate::path::member;

/// One thing that a request does to one table.
pub(crate) struct Subject {
    /// The action without its prefix, where it is not that of the operation.
    pub(crate) action: Option<&'static str>,
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    pub(crate) keys: Vec<(String, Vec<String>)>,
    /// What the leading keys may be; none: the request has no such key.
    pub(crate) leading: Vec<Vec<String>>,
}

type Result<T> = std::result::Result<T, GatewayError>;

/// What one request does. `partition_keys` says which attribute is a table's partition key.
pub(crate) fn subjects(
    operation: &str,
    root: &Tree,
    partition_keys: &BTreeMap<String, String>,
) -> Result<Vec<Subject>> {
    match operation {
        "GetItem" | "DeleteItem" | "UpdateItem" => Ok(vec![by_key(root, "Key", partition_keys)?]),
        "PutItem" => Ok(vec![by_key(root, "Item", partition_keys)?]),
        "Query" => Ok(vec![query(root)?]),
        "Scan" => {
            let mut subject = of_table(root)?;
            subject.index = text(root, "IndexName")?;
            about(root, root, &[], true, &mut subject)?;
            Ok(vec![subject])
        }
        "BatchGetItem" => batch_get(root, partition_keys),
        "BatchWriteItem" => batch_write(root, partition_keys),
        "TransactGetItems" | "TransactWriteItems" => transaction(operation, root, partition_keys),
        _ => Err(GatewayError::UnknownOperation(operation.to_owned())),
    }
}

fn of_table(holder: &Tree) -> Result<Subject> {
    Ok(Subject {
        action: None,
        table: text(holder, "TableName")?.ok_or_else(|| GatewayError::Missing("TableName".to_owned()))?,
        index: None,
        keys: Vec::new(),
        leading: Vec::new(),
    })
}

fn by_key(holder: &Tree, name: &'static str, partition_keys: &BTreeMap<String, String>) -> Result<Subject> {
    let mut subject = of_table(holder)?;
    let key = member(holder, name)?.ok_or_else(|| GatewayError::Missing(name.to_owned()))?;
    subject.leading = leading(&[key], declared(&subject.table, partition_keys), name)?;
    // Only reads have a selection.
    let is_read = name == "Key" && member(holder, "UpdateExpression")?.is_none();
    about(holder, holder, &[key], is_read, &mut subject)?;
    Ok(subject)
}

fn query(root: &Tree) -> Result<Subject> {
    let mut subject = of_table(root)?;
    subject.index = text(root, "IndexName")?;
    let expression = text(root, "KeyConditionExpression")?;
    let conditions = member(root, "KeyConditions")?;
    let missing = || GatewayError::Missing("KeyConditionExpression".to_owned());
    subject.leading = match (expression, conditions) {
        (Some(_), Some(_)) => return Err(GatewayError::Ambiguous("it has two key conditions".to_owned())),
        (None, None) => return Err(missing()),
        (Some(expression), None) => {
            let values = member(root, "ExpressionAttributeValues")?.ok_or_else(missing)?;
            let mut found = Vec::new();
            for (_, placeholder) in equalities(&expression, root)? {
                let value = values.members().iter().find(|(name, _)| *name == placeholder);
                found.extend(value.and_then(|(_, value)| scalar(value)).map(|value| vec![value]));
            }
            found
        }
        (None, Some(conditions)) => {
            let mut found = Vec::new();
            for (_, condition) in conditions.members() {
                if text(condition, "ComparisonOperator")?.as_deref() == Some("EQ")
                    && let Some(Tree::List(values)) = member(condition, "AttributeValueList")?
                    && let [value] = values.as_slice()
                {
                    found.extend(scalar(value).map(|value| vec![value]));
                }
            }
            found
        }
    };
    if subject.leading.is_empty() {
        return Err(missing());
    }
    let conditions = member(root, "KeyConditions")?;
    about(root, root, conditions.as_slice(), true, &mut subject)?;
    Ok(subject)
}

fn batch_get(root: &Tree, partition_keys: &BTreeMap<String, String>) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for (table, request) in tables(root)? {
        let Some(Tree::List(keys)) = member(request, "Keys")? else {
            return Err(GatewayError::Missing("Keys".to_owned()));
        };
        let keys: Vec<&Tree> = keys.iter().collect();
        let mut subject = named(None, table);
        subject.leading = leading(&keys, declared(table, partition_keys), "Keys")?;
        about(request, root, &keys, true, &mut subject)?;
        subjects.push(subject);
    }
    Ok(subjects)
}

fn batch_write(root: &Tree, partition_keys: &BTreeMap<String, String>) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for (table, requests) in tables(root)? {
        let Tree::List(requests) = requests else {
            return Err(shape("RequestItems", "a list was expected"));
        };
        let mut keys = Vec::new();
        for request in requests {
            let (kind, body) = only_member(request, "RequestItems")?;
            let name = match kind {
                "PutRequest" => "Item",
                "DeleteRequest" => "Key",
                _ => return Err(shape("RequestItems", "a PutRequest or a DeleteRequest was expected")),
            };
            keys.push(member(body, name)?.ok_or_else(|| GatewayError::Missing(name.to_owned()))?);
        }
        let mut subject = named(None, table);
        subject.leading = leading(&keys, declared(table, partition_keys), "RequestItems")?;
        about(&Tree::Nothing, root, &keys, false, &mut subject)?;
        subjects.push(subject);
    }
    Ok(subjects)
}

fn transaction(operation: &str, root: &Tree, partition_keys: &BTreeMap<String, String>) -> Result<Vec<Subject>> {
    let Some(Tree::List(items)) = member(root, "TransactItems")? else {
        return Err(GatewayError::Missing("TransactItems".to_owned()));
    };
    let mut subjects = Vec::new();
    for item in items {
        let (kind, body) = only_member(item, "TransactItems")?;
        let (action, name) = match (operation, kind) {
            ("TransactGetItems", "Get") => ("GetItem", "Key"),
            ("TransactWriteItems", "Put") => ("PutItem", "Item"),
            ("TransactWriteItems", "Update") => ("UpdateItem", "Key"),
            ("TransactWriteItems", "Delete") => ("DeleteItem", "Key"),
            ("TransactWriteItems", "ConditionCheck") => ("ConditionCheckItem", "Key"),
            _ => return Err(shape("TransactItems", "an item of another kind was expected")),
        };
        let mut subject = by_key(body, name, partition_keys)?;
        subject.action = Some(action);
        if action != "ConditionCheckItem" {
            subject
                .keys
                .push(("dynamodb:EnclosingOperation".to_owned(), vec![operation.to_owned()]));
        }
        if action != "GetItem" {
            subject.keys.retain(|(key, _)| key != "dynamodb:Select");
        }
        subjects.push(subject);
    }
    if subjects.is_empty() {
        return Err(GatewayError::Missing("TransactItems".to_owned()));
    }
    Ok(subjects)
}

fn tables(root: &Tree) -> Result<&[(String, Tree)]> {
    match member(root, "RequestItems")? {
        Some(Tree::Object(tables)) if !tables.is_empty() => Ok(tables),
        _ => Err(GatewayError::Missing("RequestItems".to_owned())),
    }
}

fn named(action: Option<&'static str>, table: &str) -> Subject {
    Subject {
        action,
        table: table.to_owned(),
        index: None,
        keys: Vec::new(),
        leading: Vec::new(),
    }
}

/// The one member of an object that must have one only; absent ones may be there as `null`.
fn only_member<'t>(tree: &'t Tree, parameter: &str) -> Result<(&'t str, &'t Tree)> {
    let mut members = tree
        .members()
        .iter()
        .filter(|(_, value)| !matches!(value, Tree::Nothing));
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(shape(parameter, "exactly one kind of request was expected")),
    }
}

fn shape(parameter: &str, reason: &'static str) -> GatewayError {
    GatewayError::Value {
        parameter: parameter.to_owned(),
        reason,
    }
}

fn declared<'a>(table: &str, partition_keys: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let name = table.rsplit('/').next().unwrap_or(table);
    partition_keys.get(name).map(String::as_str)
}

/// What the partition keys of some keys or items may be: for every attribute that all have, its values.
fn leading(keys: &[&Tree], declared: Option<&str>, parameter: &str) -> Result<Vec<Vec<String>>> {
    let missing = || GatewayError::Missing(format!("{parameter} (no attribute can be the partition key)"));
    let first = keys.first().ok_or_else(missing)?;
    let mut found = Vec::new();
    for (name, _) in first.members() {
        if declared.is_some_and(|declared| declared != name) {
            continue;
        }
        let values: Option<Vec<String>> = keys
            .iter()
            .map(|key| {
                let attribute = key.members().iter().find(|(known, _)| known == name);
                attribute.and_then(|(_, value)| scalar(value))
            })
            .collect();
        found.extend(values);
    }
    if found.is_empty() { Err(missing()) } else { Ok(found) }
}

/// The value of an attribute that can be a key: a text, a number or bytes.
fn scalar(value: &Tree) -> Option<String> {
    match value.members() {
        [(kind, Tree::Text(value))] if matches!(kind.as_str(), "S" | "N" | "B") => Some(value.clone()),
        _ => None,
    }
}

/// Attributes, selection and what is returned. `holder` has the expressions, `root` what a batch says for all its tables.
fn about(holder: &Tree, root: &Tree, keys: &[&Tree], is_read: bool, subject: &mut Subject) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for key in keys {
        names.extend(key.members().iter().map(|(name, _)| name.clone()));
    }
    let projection = text(holder, "ProjectionExpression")?;
    let old_projection = texts(holder, "AttributesToGet")?;
    let is_selected = projection.is_some() || !old_projection.is_empty();
    names.extend(old_projection);
    for expression in [
        projection,
        text(holder, "KeyConditionExpression")?,
        text(holder, "FilterExpression")?,
        text(holder, "ConditionExpression")?,
        text(holder, "UpdateExpression")?,
    ]
    .into_iter()
    .flatten()
    {
        names.extend(attributes(&expression, holder)?);
    }
    for old in ["Expected", "AttributeUpdates", "QueryFilter", "ScanFilter"] {
        if let Some(conditions) = member(holder, old)? {
            names.extend(conditions.members().iter().map(|(name, _)| name.clone()));
        }
    }
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        subject.keys.push(("dynamodb:Attributes".to_owned(), names));
    }
    if is_read {
        let select = match text(holder, "Select")? {
            Some(select) => select,
            None if is_selected => "SPECIFIC_ATTRIBUTES".to_owned(),
            None if subject.index.is_some() => "ALL_PROJECTED_ATTRIBUTES".to_owned(),
            None => "ALL_ATTRIBUTES".to_owned(),
        };
        subject.keys.push(("dynamodb:Select".to_owned(), vec![select]));
    }
    if let Some(value) = text(holder, "ReturnValues")? {
        subject.keys.push(("dynamodb:ReturnValues".to_owned(), vec![value]));
    }
    if let Some(value) = text(root, "ReturnConsumedCapacity")? {
        subject
            .keys
            .push(("dynamodb:ReturnConsumedCapacity".to_owned(), vec![value]));
    }
    Ok(())
}

fn text(holder: &Tree, name: &'static str) -> Result<Option<String>> {
    match member(holder, name)? {
        None => Ok(None),
        Some(Tree::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(shape(name, "a text was expected")),
    }
}

fn texts(holder: &Tree, name: &'static str) -> Result<Vec<String>> {
    let Some(list) = member(holder, name)? else {
        return Ok(Vec::new());
    };
    let Tree::List(items) = list else {
        return Err(shape(name, "a list was expected"));
    };
    items
        .iter()
        .map(|item| match item {
            Tree::Text(text) => Ok(text.clone()),
            _ => Err(shape(name, "a text was expected")),
        })
        .collect()
}
