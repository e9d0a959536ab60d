//! `get iamserviceaccount`, as eksctl prints it.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use crate::list::Listed;
use crate::well_known::WellKnownPolicy;

/// What a table without rows says.
pub const NONE_FOUND: &str = "No iamserviceaccounts found\n";

/// A table with the column widths of Go's tabwriter (tabs of 8, padding 1).
#[must_use]
pub fn list_table(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return NONE_FOUND.to_owned();
    }
    let row = |one: &Listed| [&one.name.namespace, &one.name.name, &one.role_arn].map(|text| crate::place::shown(text));
    let mut rows: Vec<[String; 3]> = listed.iter().map(row).collect();
    rows.sort_unstable();
    rows.insert(0, ["NAMESPACE", "NAME", "ROLE ARN"].map(str::to_owned));
    let width = |column: usize| {
        let longest = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max();
        longest.unwrap_or_default().saturating_add(1).next_multiple_of(8)
    };
    let widths = [width(0), width(1)];
    let mut table = String::new();
    for row in &rows {
        for (index, cell) in row.iter().enumerate() {
            table.push_str(cell);
            if let Some(width) = widths.get(index) {
                let missing = width.saturating_sub(cell.chars().count());
                table.push_str(&"\t".repeat(missing.div_ceil(8)));
            }
        }
        table.push('\n');
    }
    table
}

/// One element, its keys in eksctl's order.
fn element(one: &Listed) -> Value {
    let known = WellKnownPolicy::ALL.map(|policy| (policy.name().to_owned(), one.well_known.contains(&policy).into()));
    let mut status = Map::new();
    status.insert("roleARN".to_owned(), one.role_arn.clone().into());
    if let Some(stack) = &one.stack_name {
        status.insert("stackName".to_owned(), stack.clone().into());
    }
    if !one.tags.is_empty() {
        let tags = one.tags.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        status.insert("tags".to_owned(), Value::Object(tags.collect()));
    }
    json!({
        "metadata": {"name": one.name.name, "namespace": one.name.namespace},
        "wellKnownPolicies": Value::Object(known.into_iter().collect()),
        "status": status,
    })
}

/// A JSON array, four blanks deep, without a line end behind it.
#[must_use]
pub fn list_json(listed: &[Listed]) -> String {
    let elements: Vec<Value> = listed.iter().map(element).collect();
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    match elements.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => Value::Array(elements).to_string(),
    }
}

/// The same as YAML, its keys sorted.
#[must_use]
pub fn list_yaml(listed: &[Listed]) -> String {
    let elements = Value::Array(listed.iter().map(|one| sorted(element(one))).collect());
    serde_saphyr::to_string(&elements).unwrap_or_else(|_| elements.to_string())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        other => other,
    }
}
