//! YAML and JSON: reading with the place of a mistake, writing for people.

use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity};
use serde_json::Value;

use crate::failure::Rendered;
use crate::output;

/// The documents of a text. JSON is YAML, so it needs no way of its own.
pub(crate) fn documents(name: &str, text: &str) -> Result<Vec<Value>, Rendered> {
    serde_saphyr::from_multiple::<Value>(text).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map(|location| (location.line(), location.column()));
        // The place is shown beside the text, so the message need not repeat it.
        let message = error.to_string();
        let message = message
            .split_once(" at line ")
            .or_else(|| message.split_once("\n"))
            .map_or(message.as_str(), |(message, _)| message);
        // That advice is for those who call the parser.
        let message = message.split_once(", set ").map_or(message, |(message, _)| message);
        mistake(name, text, message, place)
    })
}

/// Shows a mistake in its place; lines and columns count from 1.
pub(crate) fn mistake(name: &str, text: &str, message: &str, place: Option<(u64, u64)>) -> Rendered {
    let Some((line, column)) = place.filter(|(line, _)| *line > 0) else {
        return Rendered(format!("error: `{name}` is no YAML: {message}"));
    };
    let offset = offset(text, line, column);
    let length = usize::from(text.get(offset..).is_some_and(|rest| !rest.is_empty()));
    let diagnostic = MietteDiagnostic::new(format!("`{name}` can't be read: line {line}, column {column}"))
        .with_severity(Severity::Error)
        .with_label(LabeledSpan::at(offset..offset + length, message));
    let report = Report::new(diagnostic).with_source_code(NamedSource::new(name, text.to_owned()));
    let theme = if output::stderr_has_colour() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut shown = String::new();
    let written = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .render_report(&mut shown, report.as_ref());
    match written {
        Ok(()) => Rendered(format!("error: {}", shown.trim_start_matches([' ', '\n', '×']))),
        Err(_) => Rendered(format!(
            "error: `{name}` can't be read: line {line}, column {column}: {message}"
        )),
    }
}

/// The byte at a line and a column of characters, or the nearest one before.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let before = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}

/// Reads a file, or stdin if it is `-`; answers how to call it, and its text.
pub(crate) fn read(path: &Path) -> anyhow::Result<(String, String)> {
    use anyhow::Context as _;
    if path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin()).context("stdin can't be read")?;
        return Ok(("stdin".to_owned(), text));
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("`{name}` can't be read"))?;
    Ok((name, text))
}

/// A value as YAML.
pub(crate) fn text(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_else(|_| format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_documents() {
        let read = documents("x.yaml", "a: 1\n---\n# nothing\n---\nb: [x, 'y']\n").unwrap();
        assert_eq!(read.first(), Some(&json!({"a": 1})));
        assert_eq!(read.last(), Some(&json!({"b": ["x", "y"]})));
        assert_eq!(
            documents("x.json", "{\n\t\"a\": [true, null]\n}\n").unwrap(),
            [json!({"a": [true, null]})]
        );
    }

    #[test]
    fn a_mistake_is_shown_in_its_place() {
        let Rendered(shown) = documents("deploy.yaml", "kind: Pod\nmetadata:\n  name: \"x\n  y: [1\n").unwrap_err();
        assert!(
            shown.starts_with("error: `deploy.yaml` can't be read: line "),
            "{shown}"
        );
        assert!(shown.contains("deploy.yaml:"), "{shown}");
        let Rendered(shown) = documents("j.json", "{\"a\": 1,\n \"a\": 2}\n").unwrap_err();
        assert!(shown.contains("line 2, column 2"), "{shown}");
        assert!(shown.to_lowercase().contains("duplicate"), "{shown}");
    }

    #[test]
    fn places() {
        assert_eq!(offset("ab\ncü\nd", 2, 2), 4);
        assert_eq!(offset("ab\ncü\nd", 2, 9), 6);
        assert_eq!(offset("ab\n", 9, 9), 3);
        assert_eq!(offset("", 1, 1), 0);
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(documents("bomb.yaml", &bomb).is_err());
        assert!(documents("deep.yaml", &"[".repeat(100_000)).is_err());
    }
}
