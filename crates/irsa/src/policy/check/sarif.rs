//! Findings as a SARIF log, which code hosts and editors show beside the text.
//!
//! See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use irsa_check::{Finding, FindingType, Rule, Span};
use serde_json::{Value, json};

use super::Checked;

pub(super) fn log(documents: &[Checked]) -> Value {
    let mut used: Vec<&'static Rule> = Vec::new();
    let mut results = Vec::new();
    for document in documents {
        let uri = uri(&document.name);
        for finding in &document.report.findings {
            let index = used.iter().position(|rule| rule.code == finding.code).or_else(|| {
                let rule = irsa_check::rules().find(|rule| rule.code == finding.code)?;
                used.push(rule);
                Some(used.len() - 1)
            });
            results.push(result(&uri, finding, index));
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "irsa policy check",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": used.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "helpUri": rule.learn_more(),
        "defaultConfiguration": {"level": level(rule.finding_type)},
        "properties": {"findingType": rule.finding_type.name()},
    })
}

fn level(finding_type: FindingType) -> &'static str {
    match finding_type {
        FindingType::Error => "error",
        FindingType::SecurityWarning | FindingType::Warning => "warning",
        FindingType::Suggestion => "note",
    }
}

fn result(uri: &str, finding: &Finding, rule: Option<usize>) -> Value {
    let path = finding.location.path.to_string();
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": region(&finding.location.span),
        },
    });
    if let (false, Some(members)) = (path.is_empty(), location.as_object_mut()) {
        members.insert("logicalLocations".to_owned(), json!([{"fullyQualifiedName": path}]));
    }
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.finding_type),
        "message": {"text": message(finding)},
        "locations": [location],
        "properties": {"findingType": finding.finding_type.name()},
    });
    if let Some(members) = result.as_object_mut() {
        if let Some(index) = rule {
            members.insert("ruleIndex".to_owned(), json!(index));
        }
        if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) {
            let replacements: Vec<Value> = fix
                .edits
                .iter()
                .map(|edit| {
                    json!({
                        "deletedRegion": region(&edit.span),
                        "insertedContent": {"text": edit.text},
                    })
                })
                .collect();
            members.insert(
                "fixes".to_owned(),
                json!([{
                    "description": {"text": fix.description},
                    "artifactChanges": [{
                        "artifactLocation": {"uri": uri},
                        "replacements": replacements,
                    }],
                }]),
            );
        }
    }
    result
}

/// What is wrong, and the advice, which viewers show only with a change that goes with it.
fn message(finding: &Finding) -> String {
    match &finding.fix {
        Some(fix) => format!("{}. Fix: {}", finding.message, fix.description),
        None => finding.message.clone(),
    }
}

fn region(span: &Span) -> Value {
    json!({
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
        "charOffset": span.start.offset,
        "charLength": span.end.offset.saturating_sub(span.start.offset),
    })
}

/// A file's name as a relative or absolute URI reference (RFC 3986).
fn uri(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    if name.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_uris() {
        assert_eq!(uri("policies/app.json"), "policies/app.json");
        assert_eq!(uri("/tmp/a b#1.json"), "file:///tmp/a%20b%231.json");
        assert_eq!(uri("ü"), "%C3%BC");
    }
}
