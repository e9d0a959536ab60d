//! How a command says that it failed: one error, one hint.

use std::fmt::Write as _;
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
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            wrong_usage: false,
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
}

/// A text with line breaks that stands for itself, such as a snippet of a file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Rendered(pub(crate) String);

/// Prints an error with its causes and the hint nearest to the top.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    output::note(format_args!("{}", text(error)));
    let wrong_usage = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>())
        .any(|cause| cause.wrong_usage);
    if wrong_usage {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

fn text(error: &anyhow::Error) -> String {
    if let Some(Rendered(text)) = error.downcast_ref() {
        return text.trim_end().to_owned();
    }
    let mut text = format!("{ERROR}error{ERROR:#}: ");
    let mut last = String::new();
    for (index, cause) in error.chain().enumerate() {
        let cause = cause.to_string();
        // Many errors print their source themselves.
        if index == 0 {
            text.push_str(&cause);
        } else if !last.contains(&cause) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
        }
        last = cause;
    }
    if let Some(hint) = error.chain().find_map(hint) {
        let _ = write!(text, "\n{HINT}hint{HINT:#}: {hint}");
    }
    text
}

fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return failure.hint.clone();
    }
    cause.downcast_ref::<ClientError>().and_then(ClientError::hint)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn plain(error: &anyhow::Error) -> String {
        anstream::adapter::strip_str(&text(error)).to_string()
    }

    #[test]
    fn one_error_and_one_hint() {
        let error = Err::<(), _>(Failure::new("inner").hint("do this"))
            .context(Failure::new("middle"))
            .context("outer")
            .unwrap_err();
        assert_eq!(plain(&error), "error: outer: middle: inner\nhint: do this");
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
