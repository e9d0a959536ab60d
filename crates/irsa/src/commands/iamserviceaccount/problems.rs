//! Everything that is wrong with flags and files, said at once.

use irsa_reconcile::Problem;
use miette::{Diagnostic as _, GraphicalReportHandler, GraphicalTheme, SourceSpan};

use crate::failure::{Failure, Rendered};
use crate::output::{self, ERROR, HINT, WARNING, shown};

/// How many errors are shown.
const MOST: usize = 50;
/// How many bytes the lines around an error may have.
const MOST_SHOWN: usize = 4096;

/// What is to be said, in the order found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    is_usage: bool,
}

impl Problems {
    /// Something that is wrong with the flags.
    pub(super) fn usage(&mut self, message: impl Into<String>) {
        self.is_usage = true;
        self.found.push(Problem::error(message));
    }

    /// Things that are wrong with the flags.
    pub(super) fn usages(&mut self, problems: Vec<Problem>) {
        self.is_usage |= problems.iter().any(Problem::is_error);
        self.extend(problems);
    }

    pub(super) fn error(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    pub(super) fn extend(&mut self, problems: Vec<Problem>) {
        self.found.extend(problems);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(Problem::is_error)
    }

    /// Says all of it; fails if there is an error. Notes are said if `verbose` is 3 or more, warnings from 2.
    pub(super) fn check(self, verbose: u8) -> anyhow::Result<()> {
        for problem in self.found.iter().filter(|problem| !problem.is_error()) {
            let level = match problem.severity {
                miette::Severity::Warning => 2,
                _ => 3,
            };
            if verbose >= level {
                let (style, word) = match problem.severity {
                    miette::Severity::Warning => (WARNING, "warning"),
                    _ => (HINT, "note"),
                };
                output::note(format_args!("{style}{word}{style:#}: {}", shown(&problem.located())));
                if let Some(help) = &problem.help {
                    output::hint(shown(help));
                }
            }
        }
        let errors: Vec<&Problem> = self.found.iter().filter(|problem| problem.is_error()).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for problem in errors.iter().take(MOST) {
            text.push_str(&rendered(problem));
        }
        if errors.len() > 1 {
            let first = match errors.len() > MOST {
                true => format!(", of which the first {MOST} are shown"),
                false => String::new(),
            };
            text.push_str(&format!("{} errors{first}; nothing was changed\n", errors.len()));
        }
        let failure = match self.is_usage {
            true => Failure::usage(""),
            false => Failure::new(""),
        };
        Err(failure.caused_by(Rendered(text)).into())
    }
}

/// An error as text: with its place in the file, or on one line.
fn rendered(problem: &Problem) -> String {
    let heading = format!("{ERROR}error{ERROR:#}: ");
    let plain = || {
        let hint = problem.help.as_ref();
        let hint = hint.map(|help| format!("{HINT}hint{HINT:#}: {}\n", shown(help)));
        format!("{heading}{}\n{}", shown(&problem.located()), hint.unwrap_or_default())
    };
    // What has no text, or lines that nobody could read, is only named.
    let lines = problem
        .place
        .as_ref()
        .zip(problem.source_code())
        .and_then(|(place, source)| {
            let span = SourceSpan::from((place.offset, place.length));
            let lines = source.read_span(&span, 1, 1).ok()?;
            Some(lines.data().len())
        });
    if lines.is_none_or(|length| length > MOST_SHOWN) {
        return plain();
    }
    let theme = if output::stderr_has_colour() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut shown = String::new();
    let written = GraphicalReportHandler::new_themed(theme)
        .with_width(120)
        .with_context_lines(1)
        .render_report(&mut shown, problem);
    match written {
        Ok(()) => format!("{heading}{}\n", shown.trim_start_matches([' ', '\n', '×'])),
        Err(_) => plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use irsa_reconcile::cluster_config;

    #[test]
    fn an_error_is_shown_in_its_place() {
        let text = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: c, region: us-west-2}\n\
                    iam:\n  withOIDC: true\n  serviceAccounts:\n  - metadata: {name: X_y}\n    attachPolicyARN: [a]\n";
        let configuration = cluster_config::read([("cluster.yaml", text)]);
        let all: String = configuration.problems.iter().map(rendered).collect();
        let all = anstream::adapter::strip_str(&all).to_string();
        assert!(all.contains("[cluster.yaml:7:22]"), "{all}");
        assert!(all.contains("[cluster.yaml:8:5]"), "{all}");
        assert!(all.contains("attachPolicyARN"), "{all}");
    }
}
