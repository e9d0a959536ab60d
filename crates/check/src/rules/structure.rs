//! The shape of the document: JSON, elements, types.

use irsa_policy::syntax::JsonFault;

use crate::rule::{Findings, Kinds, Rule, Subject, clip};

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "JSON_SYNTAX_ERROR",
        "the text is no JSON",
        Kinds::ALL,
        json_syntax_error,
    ),
    Rule::error(
        "DATA_TYPE_MISMATCH",
        "a value of the wrong JSON type",
        Kinds::ALL,
        data_type_mismatch,
    ),
    Rule::error(
        "INVALID_POLICY_ELEMENT",
        "an element that the language does not have",
        Kinds::ALL,
        invalid_policy_element,
    ),
    Rule::error(
        "MISSING_STATEMENT",
        "a policy without statements",
        Kinds::ALL,
        missing_statement,
    ),
];

const ELEMENTS: [&str; 12] = [
    "Version",
    "Id",
    "Statement",
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// Members under which AWS's APIs and tools hand out documents.
const WRAPPERS: [&str; 9] = [
    "PolicyDocument",
    "AssumeRolePolicyDocument",
    "Document",
    "PolicyVersion",
    "Policy",
    "PolicyText",
    "Role",
    "RoleDetail",
    "Content",
];

fn json_syntax_error(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(error) = subject.json_error else {
        return;
    };
    let bytes = error.at..error.at.saturating_add(1).min(subject.text.len());
    let root = &subject.tree_path();
    let start = subject.text.trim_start();
    match &error.fault {
        JsonFault::Expected(what) => {
            let finding = findings.add(root, &bytes, format!("the text is no JSON: here should be {what}"));
            if start.starts_with("%7B") || start.starts_with("%7b") {
                finding.fix("the document is URL-encoded, as some APIs of IAM answer it: decode it first");
            } else if start.starts_with('\u{feff}') {
                finding.fix("remove the byte order mark at the beginning");
            }
        }
        JsonFault::TooDeep => {
            findings.add(
                root,
                &bytes,
                "arrays and objects are nested deeper than a policy ever is",
            );
        }
        JsonFault::Repeated(name) => {
            let end = error.at.saturating_add(name.len()).saturating_add(2);
            let bytes = error.at..end.min(subject.text.len());
            findings
                .add(root, &bytes, format!("`{}` stands twice in one object", clip(name)))
                .fix("merge the two: of members with one name IAM keeps none");
        }
    }
}

fn data_type_mismatch(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for mismatch in &subject.tree.mismatches {
        findings.add(
            &mismatch.path,
            &mismatch.bytes,
            format!("this should be of the JSON type {}", mismatch.expected),
        );
    }
}

fn invalid_policy_element(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for unknown in &subject.tree.unknown {
        let message = format!("the language has no element `{}`", clip(&unknown.text));
        let finding = findings.at_name(unknown, message);
        if let Some(meant) = ELEMENTS.into_iter().find(|known| is_near(known, &unknown.text)) {
            finding.fix(format!("write `{meant}`")).retext(&unknown.bytes, meant);
        }
    }
}

fn missing_statement(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let tree = subject.tree;
    if !tree.is_object {
        return;
    }
    match &tree.statement {
        None => {
            let open = tree.bytes.start..tree.bytes.start.saturating_add(1);
            let finding = findings.add(&subject.tree_path(), &open, "the policy has no `Statement`");
            let wrapper = tree.members.iter().find(|member| WRAPPERS.contains(&&*member.text));
            match wrapper {
                Some(name) => finding.fix(format!(
                    "this looks like the answer of an API, with the policy inside `{name}`: check the document alone, with \
                     the AWS CLI by `--query` and a pipe to `irsa policy check -`",
                    name = name.text
                )),
                None => finding.fix("add a `Statement`: an object, or an array of objects"),
            };
        }
        Some(bytes) if tree.statements.is_empty() && tree.mismatches.is_empty() => {
            findings
                .add(
                    &subject.tree_path().member("Statement"),
                    bytes,
                    "the policy has no statement",
                )
                .fix("add a statement");
        }
        Some(_) => {}
    }
}

/// Whether two names differ by case, or by one letter that is missing, added, changed or swapped with its neighbour.
fn is_near(known: &str, written: &str) -> bool {
    let (known, written) = (known.to_ascii_lowercase(), written.to_ascii_lowercase());
    let (one, other) = (known.as_bytes(), written.as_bytes());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (one, other) = (
        one.get(same..).unwrap_or_default(),
        other.get(same..).unwrap_or_default(),
    );
    match (one, other) {
        ([], [] | [_]) | ([_], []) => true,
        ([first, second, one @ ..], [third, fourth, other @ ..])
            if first == fourth && second == third && one == other =>
        {
            true
        }
        ([_, one @ ..], [_, other @ ..]) if one == other => true,
        _ => one.get(1..) == Some(other) || other.get(1..) == Some(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_near() {
        for written in ["action", "Acton", "Actoin", "Actions", "Axtion", "ACTION"] {
            assert!(is_near("Action", written), "{written}");
        }
        for written in ["NotAction", "Resource", "", "Actionable", "Atcoin"] {
            assert!(!is_near("Action", written), "{written}");
        }
    }
}
