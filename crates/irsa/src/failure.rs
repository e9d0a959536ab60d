//! How a command says that it failed: one error, one hint.

use std::process::ExitCode;

use irsa_aws::ClientError;

use crate::output::{self, ERROR, HINT};

/// A failure whose reader can be told what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    wrong_usage: bool,
    /// Not a `source`, because in `anyhow` neither a context nor a boxed error can be found again by its type.
    cause: Option<anyhow::Error>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            wrong_usage: false,
            cause: None,
        }
    }

    /// The arguments make no sense together, or with what is there: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            wrong_usage: true,
            ..Self::new(message)
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(crate) fn caused_by(self, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }
}

/// A text with line breaks that stands for itself, such as a snippet of a file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Rendered(pub(crate) String);

/// Prints an error with its causes and the hint nearest to the top.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    output::note(text(error));
    let wrong_usage = causes(error)
        .iter()
        .filter_map(|cause| cause.downcast_ref::<Failure>())
        .any(|failure| failure.wrong_usage);
    if wrong_usage {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// An error and its causes on one line.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    let mut last = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        // Many errors print their source themselves.
        if line.is_empty() {
            line.push_str(&cause);
        } else if !last.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
        last = cause;
    }
    line
}

/// An error with its causes and the hint nearest to the top.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let causes = causes(error);
    if let Some(Rendered(text)) = causes.iter().find_map(|cause| cause.downcast_ref()) {
        return text.trim_end().to_owned();
    }
    let error = format!("{ERROR}error{ERROR:#}: {}", line(error));
    match causes.into_iter().find_map(hint) {
        Some(hint) => format!("{error}\n{HINT}hint{HINT:#}: {hint}"),
        None => error,
    }
}

/// An error and what is below it, outermost first.
fn causes(error: &anyhow::Error) -> Vec<&(dyn std::error::Error + 'static)> {
    let mut all = Vec::new();
    for cause in error.chain() {
        all.push(cause);
        if let Some(below) = cause
            .downcast_ref::<Failure>()
            .and_then(|failure| failure.cause.as_ref())
        {
            all.extend(causes(below));
        }
    }
    all
}

fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return failure.hint.clone();
    }
    cause.downcast_ref::<ClientError>().and_then(ClientError::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(error: &anyhow::Error) -> String {
        anstream::adapter::strip_str(&text(error)).to_string()
    }

    #[test]
    fn one_error_and_one_hint() {
        let inner = anyhow::Error::new(Failure::new("inner").hint("do this")).context("middle");
        let error = anyhow::Error::new(Failure::new("failed").caused_by(inner)).context("outer");
        assert_eq!(plain(&error), "error: outer: failed: middle: inner\nhint: do this");
    }

    #[test]
    fn the_outermost_hint_is_the_one() {
        let error = Failure::new("outer")
            .hint("first")
            .caused_by(Failure::new("inner").hint("second"));
        assert_eq!(plain(&error.into()), "error: outer: inner\nhint: first");
    }

    #[test]
    fn a_cause_that_was_said_is_not_repeated() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = anyhow::Error::new(io).context("`x` can't be read: no such file");
        assert_eq!(plain(&error), "error: `x` can't be read: no such file");
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        let wrong = anyhow::Error::new(Failure::usage("no"));
        assert_eq!(format!("{:?}", report(&wrong)), format!("{:?}", ExitCode::from(2)));
        let failed = anyhow::Error::new(Failure::new("no"));
        assert_eq!(format!("{:?}", report(&failed)), format!("{:?}", ExitCode::FAILURE));
    }
}
