//! Findings for people: what is wrong, the line with a mark under it, and what to do.

use std::fmt::Write as _;

use anstyle::Style;
use irsa_check::{Finding, FindingType, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::Checked;
use crate::output::{self, ERROR, FAINT, HINT, WARNING};

/// Lines up to so many bytes are shown whole.
const WHOLE_LINE: usize = 240;
/// Characters that are shown on either side of a place in a longer line.
const AROUND: usize = 50;

pub(super) fn print(document: &Checked) {
    let source = harmless(&document.text);
    for finding in &document.report.findings {
        output::data(rendered(&output::shown(&document.name), &source, finding));
    }
}

/// How a type of finding is called in sentences.
pub(super) fn word(finding_type: FindingType) -> &'static str {
    match finding_type {
        FindingType::Error => "error",
        FindingType::SecurityWarning => "security warning",
        FindingType::Warning => "warning",
        FindingType::Suggestion => "suggestion",
    }
}

fn style(finding_type: FindingType) -> Style {
    match finding_type {
        FindingType::Error => ERROR,
        FindingType::SecurityWarning | FindingType::Warning => WARNING,
        FindingType::Suggestion => HINT,
    }
}

/// The text without characters that could play with a terminal, byte for byte as long.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        let is_space = matches!(character, '\n' | '\t' | '\r');
        let mut buffer = [0; 4];
        let one = character.encode_utf8(&mut buffer);
        if is_space || output::shown(one) == *one {
            harmless.push(character);
        } else {
            harmless.push_str(match one.len() {
                1 => "?",
                2 => "¿",
                3 => "\u{fffd}",
                _ => "????",
            });
        }
    }
    harmless
}

fn rendered(name: &str, source: &str, finding: &Finding) -> String {
    let style = style(finding.finding_type);
    let mut text = format!(
        "{style}{}[{}]{style:#}: {}\n",
        word(finding.finding_type),
        finding.code,
        output::shown(&finding.message)
    );
    text.push_str(&snippet(name, source, &finding.location.span));
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "  {HINT}help{HINT:#}: {}", output::shown(&fix.description));
    }
    let path = finding.location.path.to_string();
    if !path.is_empty() {
        let _ = writeln!(text, "  {FAINT}at {}{FAINT:#}", output::shown(&path));
    }
    text
}

/// The line of a place, with a mark under it.
fn snippet(name: &str, source: &str, span: &Span) -> String {
    let start = span.start.byte.min(source.len());
    let line_start = source
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let line_end = source
        .get(start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(source.len(), |at| start + at);
    // Of a place that spans lines, its first one tells enough.
    let end = span.end.byte.clamp(start, line_end);
    if line_end - line_start > WHOLE_LINE {
        return cut(name, source, span, (line_start, line_end), (start, end));
    }
    let diagnostic = MietteDiagnostic::new("").with_label(LabeledSpan::underline(start..end));
    let report = Report::new(diagnostic).with_source_code(NamedSource::new(name, source.to_owned()));
    let mut shown = String::new();
    let written = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_width(100)
        .with_context_lines(1)
        .with_links(false)
        .render_report(&mut shown, report.as_ref());
    match (written, shown.find('╭')) {
        (Ok(()), Some(at)) => {
            let line = shown
                .get(..at)
                .and_then(|before| before.rfind('\n'))
                .map_or(0, |at| at + 1);
            format!("{}\n", shown.get(line..).unwrap_or_default().trim_end())
        }
        _ => cut(name, source, span, (line_start, line_end), (start, end)),
    }
}

/// The same for a line that is too long to be shown whole.
fn cut(name: &str, source: &str, span: &Span, line: (usize, usize), place: (usize, usize)) -> String {
    let part = |from: usize, to: usize| source.get(from..to).unwrap_or_default();
    let before = part(line.0, place.0);
    let skipped = before.chars().count().saturating_sub(AROUND);
    let before: String = before.chars().skip(skipped).collect();
    let inside: String = part(place.0, place.1).chars().take(AROUND).collect();
    let after: String = part(place.0 + inside.len(), line.1).chars().take(AROUND).collect();
    let lead = if skipped > 0 { "…" } else { "" };
    let tail = if place.0 + inside.len() + after.len() < line.1 {
        "…"
    } else {
        ""
    };
    let number = span.start.line.to_string();
    let margin = " ".repeat(number.len() + 2);
    let blank = " ".repeat(lead.chars().count() + before.chars().count());
    let mark = "─".repeat(inside.chars().count().max(1));
    format!(
        "{margin}╭─[{name}:{number}:{}]\n {number} │ {lead}{before}{inside}{after}{tail}\n{margin}· {blank}{mark}\n{margin}╰────\n",
        span.start.column
    )
}
