//! Findings for programs, in the form that Access Analyzer's ValidatePolicy answers them: lines count from 1, columns and
//! offsets in characters from 0. The file, the path as text and the fix are ours.
//!
//! See <https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicyFinding.html>.

use irsa_check::{Finding, Fix, Path, Position, Span, Step};
use serde_json::{Value, json};

use super::Checked;

pub(super) fn findings(documents: &[Checked]) -> Value {
    let all = documents.iter().flat_map(|document| {
        document
            .report
            .findings
            .iter()
            .map(|found| finding(&document.name, found))
    });
    Value::Array(all.collect())
}

fn finding(file: &str, finding: &Finding) -> Value {
    let mut value = json!({
        "file": file,
        "findingType": finding.finding_type.name(),
        "issueCode": finding.code,
        "findingDetails": finding.message,
        "learnMoreLink": finding.learn_more,
        "locations": [{
            "path": path(&finding.location.path),
            "span": span(&finding.location.span),
        }],
        "path": finding.location.path.to_string(),
    });
    if let (Some(fix), Some(members)) = (&finding.fix, value.as_object_mut()) {
        members.insert("fix".to_owned(), fix_value(fix));
    }
    value
}

fn fix_value(fix: &Fix) -> Value {
    let edits: Vec<Value> = fix
        .edits
        .iter()
        .map(|edit| json!({"span": span(&edit.span), "text": edit.text}))
        .collect();
    json!({"description": fix.description, "edits": edits})
}

fn path(path: &Path) -> Vec<Value> {
    path.0
        .iter()
        .map(|step| match step {
            Step::Member(name) => json!({"value": name}),
            Step::Index(index) => json!({"index": index}),
            Step::Key(name) => json!({"key": name}),
        })
        .collect()
}

fn span(span: &Span) -> Value {
    json!({"start": position(&span.start), "end": position(&span.end)})
}

fn position(position: &Position) -> Value {
    json!({
        "line": position.line,
        "column": position.column.saturating_sub(1),
        "offset": position.offset,
    })
}
