//! Plans, progress and outcomes on the terminal and as values.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::Style;
use irsa_core::AccountId;
use irsa_provision::{AccountState, Event, Halt, Outcome, StepResult};
use irsa_reconcile::plan::{Plan, State};
use irsa_reconcile::render;
use serde_json::{Value, json};

use crate::output::{self, BAD, ERROR, FAINT, GOOD, STRONG, WARNING, shown};

/// Prints a plan.
pub(super) fn plan(plan: &Plan) {
    let text = render::text(plan);
    let mut lines: Vec<&str> = text.lines().collect();
    if plan.accounts.is_empty() {
        // There is nothing to count.
        lines.pop();
    }
    for line in lines {
        let style = style(line.trim_start());
        output::data(format_args!("{style}{line}{style:#}"));
    }
}

fn style(line: &str) -> Style {
    match line.split_once(' ').map(|(sign, _)| sign) {
        Some("+") => GOOD,
        Some("-") => BAD,
        Some("~") => WARNING,
        Some("!") => ERROR,
        Some("=" | "note:") => FAINT,
        Some("cluster") => STRONG,
        _ => Style::new(),
    }
}

/// A plan that is not carried out, for programs.
pub(super) fn plan_value(plan: &Plan, account: AccountId) -> Value {
    let mut value = render::value(plan);
    value["account"] = account.to_string().into();
    value["applied"] = false.into();
    value
}

/// How it goes, on a terminal: one line that is written over.
pub(super) struct Progress {
    line: Option<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    text: String,
    is_shown: bool,
    written: Option<Instant>,
    roles: usize,
    accounts: usize,
    steps: usize,
    done: usize,
    failed: usize,
}

impl Progress {
    /// How often the line is written at most.
    const PAUSE: Duration = Duration::from_millis(100);

    pub(super) fn new(wanted: bool) -> Self {
        let is_seen = wanted && std::io::stderr().is_terminal();
        Self {
            line: is_seen.then(Mutex::default),
        }
    }

    pub(super) fn on(&self, event: Event<'_>) {
        log(&event);
        let Some(line) = &self.line else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        line.on(event);
    }

    /// Wipes the line.
    pub(super) fn end(&self) {
        let Some(line) = &self.line else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut line.is_shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

impl Line {
    fn on(&mut self, event: Event<'_>) {
        let mut is_urgent = false;
        match event {
            Event::Roles(count) => self.roles = count,
            Event::ServiceAccounts { count, .. } => self.accounts = self.accounts.max(count),
            Event::Begun { plan, .. } => {
                (self.steps, self.done, self.failed) = (plan.steps.len(), 0, 0);
            }
            Event::Ended { result, .. } => {
                self.done += 1;
                self.failed += usize::from(!result.is_success());
            }
            Event::Halting(_) | Event::Waiting { .. } | Event::Replanning { .. } => is_urgent = true,
            Event::Started { .. } | Event::Retrying { .. } => {}
        }
        self.text = match event {
            Event::Halting(_) => "ending what is under way; once more ends it at once".to_owned(),
            Event::Waiting { .. } => "waiting until it can be seen".to_owned(),
            Event::Replanning { .. } => "planning again: what is there has changed".to_owned(),
            _ if self.steps == 0 => format!("reading: {} roles, {} service accounts", self.roles, self.accounts),
            _ if self.failed == 0 => format!("{} of {} steps", self.done, self.steps),
            _ => format!("{} of {} steps, {} failed", self.done, self.steps, self.failed),
        };
        let is_due = self.written.is_none_or(|written| written.elapsed() >= Progress::PAUSE);
        if is_due || is_urgent {
            // Nobody to tell is no failure.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{}", self.text);
            self.written = Some(Instant::now());
            self.is_shown = true;
        }
    }
}

/// With `--verbose=4` every step is a line of the log.
fn log(event: &Event<'_>) {
    match event {
        Event::Ended { step, result, took } => {
            tracing::debug!(step = step.id, action = %step.action, ?result, ?took, "step");
        }
        Event::Retrying { step, tries, error, .. } => {
            tracing::debug!(step = step.id, action = %step.action, tries, %error, "again");
        }
        Event::Replanning { changed } => tracing::debug!(changed, "planning again"),
        _ => {}
    }
}

/// What a run came to.
pub(super) struct Done<'d> {
    pub(super) outcome: &'d Outcome,
    pub(super) account: AccountId,
    pub(super) took: Duration,
}

impl Done<'_> {
    fn count(&self, is: impl Fn(&StepResult) -> bool) -> usize {
        self.outcome.steps.iter().filter(|report| is(&report.result)).count()
    }

    /// Says what failed, and why, each with what to do about it.
    pub(super) fn failures(&self) {
        let account = self.account.to_string();
        for (_, failure) in self.outcome.failures() {
            let text = format!("can't {}: {}", failure.action, failure.error.message);
            // AWS's own errors name it.
            let text = match text.contains(&account) {
                true => text,
                false => format!("account {account}: {text}"),
            };
            output::note(format_args!("{ERROR}error{ERROR:#}: {}", shown(&text)));
            // That it is to be run again is said once, at the end.
            if let Some(help) = &failure.error.help {
                output::hint(shown(help));
            }
        }
        for refusal in &self.outcome.refusals {
            output::note(format_args!("{ERROR}error{ERROR:#}: {}", shown(&refusal.to_string())));
            output::hint(shown(&refusal.help));
        }
        let mut said = BTreeSet::new();
        for error in &self.outcome.errors {
            if said.insert(&error.message) {
                output::note(format_args!("{ERROR}error{ERROR:#}: {}", shown(&error.message)));
                if let Some(help) = &error.help {
                    output::hint(shown(help));
                }
            }
        }
    }

    /// `3 steps are done, 1 failed, 2 wait for it`.
    pub(super) fn counts(&self) -> String {
        let counts = [
            (self.count(StepResult::is_success), "done"),
            (
                self.count(|result| matches!(result, StepResult::Failed(_) | StepResult::Changed(_))),
                "failed",
            ),
            (
                self.count(|result| matches!(result, StepResult::Skipped { .. })),
                "waiting for what failed",
            ),
            (self.count(|result| *result == StepResult::NotStarted), "not begun"),
            (self.count(|result| *result == StepResult::Unknown), "in doubt"),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match told.is_empty() {
            true => "nothing was changed".to_owned(),
            false => format!("steps: {}", told.join(", ")),
        }
    }

    pub(super) fn what_failed(&self) -> String {
        let failed = self
            .outcome
            .accounts
            .iter()
            .filter(|account| account.state == AccountState::Failed)
            .count();
        match (self.outcome.settled, failed) {
            (Some(false), _) => "what was done cannot be seen yet".to_owned(),
            (_, 0) => "not everything could be done".to_owned(),
            (_, 1) => "1 service account could not be done".to_owned(),
            (_, count) => format!("{count} service accounts could not be done"),
        }
    }

    /// `2 created, 1 changed, 5 unchanged`.
    pub(super) fn summary(&self) -> String {
        let count = |planned: State, state: AccountState| {
            let accounts = self.outcome.accounts.iter();
            accounts
                .filter(|account| account.planned == planned && account.state == state)
                .count()
        };
        let counts = [
            (count(State::Create, AccountState::Done), "created"),
            (count(State::Change, AccountState::Done), "changed"),
            (count(State::Delete, AccountState::Done), "deleted"),
            // A role that it shares may have been done for another.
            (
                count(State::Unchanged, AccountState::Unchanged) + count(State::Unchanged, AccountState::Done),
                "unchanged",
            ),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let text = match told.is_empty() {
            true => "done".to_owned(),
            false => told.join(", "),
        };
        match std::io::stderr().is_terminal() {
            true => format!("{text} in {:.1} s", self.took.as_secs_f64()),
            false => text,
        }
    }

    /// All of it, for programs.
    pub(super) fn value(&self, plan: &Plan) -> Value {
        let mut value = plan_value(plan, self.account);
        // Whoever reads nothing else of it must not take half of it for all.
        value["applied"] = self.outcome.is_success().into();
        let accounts = self.outcome.accounts.iter().map(|account| {
            json!({
                "cluster": account.cluster,
                "namespace": account.name.namespace,
                "name": account.name.name,
                "roleARN": account.role_arn,
                "state": match account.state {
                    AccountState::Unchanged => "unchanged",
                    AccountState::Done => "done",
                    AccountState::Failed => "failed",
                    AccountState::Unfinished => "unfinished",
                },
            })
        });
        let failures = self.outcome.failures().map(|(step, failure)| {
            json!({
                "step": step.id,
                "action": failure.action,
                "resource": failure.resource.to_string(),
                "message": failure.error.message,
                "help": failure.help(),
            })
        });
        value["outcome"] = json!({
            "accounts": accounts.collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
            "errors": self.outcome.errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>(),
            "halted": self.outcome.halted.map(|halt| match halt {
                Halt::Stopped => "interrupted",
                Halt::Deadline => "timeout",
            }),
            "steps": {
                "done": self.count(StepResult::is_success),
                "failed": self.count(|result| matches!(result, StepResult::Failed(_) | StepResult::Changed(_))),
                "skipped": self.count(|result| matches!(result, StepResult::Skipped { .. })),
                "notStarted": self.count(|result| *result == StepResult::NotStarted),
                "unknown": self.count(|result| *result == StepResult::Unknown),
            },
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use irsa_provision::{AccountReport, StepReport};
    use irsa_reconcile::ServiceAccountName;
    use irsa_reconcile::plan::{Action, Step};

    use super::*;

    #[test]
    fn outcomes_are_counted() {
        let results = [
            StepResult::Done,
            StepResult::WasDone,
            StepResult::Skipped { because: 0 },
            StepResult::NotStarted,
            StepResult::Unknown,
        ];
        let report = |(id, result): (usize, StepResult)| StepReport {
            round: 0,
            step: Step {
                id,
                action: Action::DeleteRole { role: "r".to_owned() },
                after: Vec::new(),
            },
            result,
        };
        let account = |planned, state| AccountReport {
            cluster: "c".to_owned(),
            name: ServiceAccountName::new("default", "reader"),
            role_arn: None,
            planned,
            state,
        };
        let mut outcome = Outcome {
            steps: results.into_iter().enumerate().map(report).collect(),
            accounts: vec![
                account(State::Create, AccountState::Done),
                account(State::Create, AccountState::Unfinished),
                account(State::Unchanged, AccountState::Done),
                account(State::Change, AccountState::Failed),
            ],
            halted: Some(Halt::Stopped),
            ..Outcome::default()
        };
        let done = Done {
            outcome: &outcome,
            account: "111122223333".parse().unwrap(),
            took: Duration::from_secs(1),
        };
        assert_eq!(
            done.counts(),
            "steps: 2 done, 1 waiting for what failed, 1 not begun, 1 in doubt"
        );
        assert!(
            done.summary().starts_with("1 created, 1 unchanged"),
            "{}",
            done.summary()
        );
        assert_eq!(done.what_failed(), "1 service account could not be done");
        let value = done.value(&Plan::default());
        assert_eq!(value["applied"], false);
        assert_eq!(value["account"], "111122223333");
        assert_eq!(value["outcome"]["halted"], "interrupted");
        assert_eq!(value["outcome"]["steps"]["done"], 2);
        assert_eq!(value["outcome"]["accounts"][3]["state"], "failed");
        outcome.steps.clear();
        let done = Done {
            outcome: &outcome,
            account: "111122223333".parse().unwrap(),
            took: Duration::ZERO,
        };
        assert_eq!(done.counts(), "nothing was changed");
    }

    #[test]
    fn lines_of_a_plan_have_colours_by_their_signs() {
        assert_eq!(style("+ default/reader"), GOOD);
        assert_eq!(style("- managed policy x"), BAD);
        assert_eq!(style("~ trust policy"), WARNING);
        assert_eq!(style("2 to create"), Style::new());
    }
}
