use std::fmt::Display;

use similar::TextDiff;

use crate::failure::Failure;
use crate::output::{self, BAD, FAINT, GOOD, HINT, STRONG};

/// What stands on the screen, and which step is told.
#[derive(Default)]
pub(super) struct Story {
    number: usize,
    title: &'static str,
}

impl Story {
    pub(super) fn title(&self, text: &str) {
        output::data(format_args!("{STRONG}{text}{STRONG:#}"));
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &'static str) {
        self.number += 1;
        self.title = title;
        output::data(format_args!("\n{STRONG}{:>2}  {title}{STRONG:#}", self.number));
    }

    /// What a person would type.
    pub(super) fn command(&self, text: impl Display) {
        output::data(format_args!("    {HINT}${HINT:#} {text}"));
    }

    /// What a command or a file says.
    pub(super) fn prints(&self, text: &str) {
        for line in text.trim_end().lines() {
            output::data(format_args!("      {line}"));
        }
    }

    /// A named value.
    pub(super) fn shows(&self, name: &str, value: impl Display) {
        output::data(format_args!("      {name:<9} {value}"));
    }

    /// Something that was checked and holds.
    pub(super) fn good(&self, text: impl Display) {
        output::data(format_args!("    {GOOD}✓{GOOD:#} {text}"));
    }

    /// A refusal that was expected.
    pub(super) fn denied(&self, text: impl Display) {
        output::data(format_args!("    {GOOD}✓{GOOD:#} {BAD}denied{BAD:#} {text}"));
    }

    /// The changed lines of two texts.
    pub(super) fn diff(&self, name: &str, before: &str, after: &str) {
        let diff = TextDiff::from_lines(before, after);
        for line in diff
            .unified_diff()
            .header(name, "as the webhook changes it")
            .context_radius(3)
            .to_string()
            .lines()
        {
            let style = match line.as_bytes().first() {
                Some(b'+') => GOOD,
                Some(b'-') => BAD,
                _ => FAINT,
            };
            output::data(format_args!("      {style}{line}{style:#}"));
        }
    }

    /// Goes on only if something is as it should be.
    #[expect(clippy::unused_self, reason = "reads as a part of the story, like its other lines")]
    pub(super) fn expect(&self, holds: bool, instead: impl FnOnce() -> String) -> anyhow::Result<()> {
        if holds {
            Ok(())
        } else {
            Err(Failure::new(instead()).into())
        }
    }

    /// Names the step in which something went wrong.
    pub(super) fn check<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        outcome.map_err(|error| {
            Failure::new(format!(
                "step {} of the quickstart did not do what it says (`{}`)",
                self.number, self.title
            ))
            .hint("this is a bug: please report it with all of the output above")
            .caused_by(error)
            .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    #[test]
    fn a_step_that_does_not_hold_is_named() {
        let mut story = Story::default();
        story.step("A role");
        assert!(story.check(story.expect(true, String::new)).is_ok());
        let failed = story
            .check(story.expect(false, || "the ARN is `x`".to_owned()))
            .unwrap_err();
        assert_eq!(
            failure::line(&failed),
            "step 1 of the quickstart did not do what it says (`A role`): the ARN is `x`"
        );
    }
}
