//! Every rule with a policy that it is about and one that it is not; what holds for all policies.

mod cases;
mod documents;
mod good;
mod reach;

use irsa_policy::PolicyKind;

use crate::{Finding, FindingType, Options, Report, check};

/// Checks a policy of a kind.
fn checked(kind: PolicyKind, text: &str) -> Report {
    let options = Options {
        kind: Some(kind),
        ..Options::default()
    };
    check(text, &options)
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn errors(report: &Report) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings
        .filter(|finding| finding.finding_type == FindingType::Error)
        .collect()
}

/// A text after all edits of a finding.
fn fixed(text: &str, finding: &Finding) -> String {
    let mut edits = finding.fix.iter().flat_map(|fix| &fix.edits).collect::<Vec<_>>();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start.byte));
    let mut text = text.to_owned();
    for edit in edits {
        text.replace_range(edit.span.start.byte..edit.span.end.byte, &edit.text);
    }
    text
}
