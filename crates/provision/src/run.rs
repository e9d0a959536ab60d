//! Carrying out a plan, and planning anew where the state has changed.

use std::collections::BTreeSet;
use std::time::Duration;

use irsa_reconcile::actual::Actual;
use irsa_reconcile::desired::Cluster;
use irsa_reconcile::plan::{Plan, Resource};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::attempt::{Context, pause};
use crate::outcome::accounts;
use crate::read::read_again;
use crate::schedule::run_steps;
use crate::{
    Event, Failure, Halt, Observer, Outcome, ReadError, Scope, StepReport, StepResult, Stop, Target, TargetError,
    TargetErrorKind,
};

/// How many calls may be under way at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Of IAM, which throttles an account's writes.
    pub iam: usize,
    /// Of the Kubernetes APIs, all together.
    pub kubernetes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            iam: 12,
            kubernetes: 16,
        }
    }
}

/// How to carry out a plan.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many calls may be under way at once.
    pub limits: Limits,
    /// When everything is to be over (`--timeout`). What is under way then has a few seconds to end.
    pub deadline: Option<Instant>,
    /// How many times the state may be read and planned anew, because it has changed since it was read.
    pub replans: usize,
    /// Wait until what was done can be seen in what IAM answers (`--wait`), which is some seconds behind.
    pub wait: bool,
    /// What is read again.
    pub scope: Scope,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deadline: None,
            replans: 2,
            wait: false,
            scope: Scope::default(),
        }
    }
}

/// What is to be carried out.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// The clusters, in the order of those of the actual state.
    pub clusters: &'j [Cluster],
    /// The state that the plan was made of.
    pub actual: &'j Actual,
    /// The plan: one without refusals.
    pub plan: &'j Plan,
    /// Plans anew, by the same wishes.
    pub planner: &'j (dyn Fn(&Actual) -> Plan + Sync),
}

/// Carries out a plan.
///
/// Nothing of a plan with refusals is begun; the outcome then has them.
pub async fn carry_out<T: Target>(
    target: &T,
    job: &Job<'_>,
    options: &Options,
    stop: &Stop,
    observer: Observer<'_>,
) -> Outcome {
    let halt = watch::Sender::new(stop.is_stopped().then_some(Halt::Stopped));
    let halting = async {
        let reason = tokio::select! {
            () = stop.stopped() => Halt::Stopped,
            () = deadline(options.deadline) => Halt::Deadline,
        };
        observer(Event::Halting(reason));
        halt.send_replace(Some(reason));
        std::future::pending::<()>().await;
    };
    let rounds = rounds(target, job, options, &halt, observer);
    tokio::select! {
        biased;
        outcome = rounds => outcome,
        () = halting => Outcome::default(),
    }
}

async fn deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn rounds<T: Target>(
    target: &T,
    job: &Job<'_>,
    options: &Options,
    halt: &watch::Sender<Option<Halt>>,
    observer: Observer<'_>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut changed = BTreeSet::new();
    let mut made = BTreeSet::new();
    let mut actual = job.actual.clone();
    let mut plan = job.plan.clone();
    let mut results: Vec<StepResult> = Vec::new();
    let mut last = 0;
    if plan.refusals.is_empty() {
        for round in 0_usize.. {
            observer(Event::Begun { round, plan: &plan });
            let context = Context::new(target, &actual, &plan, &made, halt, observer);
            results = run_steps(&context, &plan.steps, options.limits).await;
            made.extend(context.made());
            changed.extend(of_result(&plan, &results, |result| *result == StepResult::Done));
            let stale = of_result(&plan, &results, |result| matches!(result, StepResult::Changed(_)));
            let is_last = round >= options.replans || halt.borrow().is_some();
            if stale.is_empty() || is_last {
                break;
            }
            observer(Event::Replanning { changed: stale.len() });
            let stale_roles = stale.iter().filter_map(|resource| match resource {
                Resource::Role(name) => Some(name.clone()),
                _ => None,
            });
            let stale_roles = stale_roles.collect();
            let again = read_again(target, job.clusters, options.scope, &stale_roles, &made, observer);
            let again = match unless_halted(halt, again).await {
                Some(Ok(again)) => again,
                Some(Err(ReadError { errors })) => {
                    outcome.errors = errors;
                    break;
                }
                None => break,
            };
            actual = again;
            let next = (job.planner)(&actual);
            for (step, result) in plan.steps.iter().zip(&results) {
                if result.is_success() {
                    outcome.steps.push(StepReport {
                        round,
                        step: step.clone(),
                        result: result.clone(),
                    });
                }
            }
            plan = next;
            last = round + 1;
            results.clear();
            if !plan.refusals.is_empty() {
                outcome.refusals.clone_from(&plan.refusals);
                break;
            }
        }
    } else {
        outcome.refusals.clone_from(&plan.refusals);
    }
    results.resize(plan.steps.len(), StepResult::NotStarted);
    for (step, result) in plan.steps.iter().zip(&mut results) {
        if let StepResult::Changed(why) = result
            && halt.borrow().is_none()
        {
            let message = format!("{why}, again and again");
            *result = StepResult::Failed(Box::new(Failure {
                resource: step.resource(),
                action: step.action.to_string(),
                error: TargetError::new(TargetErrorKind::Conflict, message),
            }));
        }
        outcome.steps.push(StepReport {
            round: last,
            step: step.clone(),
            result: result.clone(),
        });
    }
    outcome.accounts = accounts(job.plan, &plan, &results, &changed);
    if options.wait && outcome.is_success() {
        outcome.settled = Some(settle(target, job, options, halt, observer).await);
    }
    outcome.halted = *halt.borrow();
    outcome
}

/// The resources of the steps with such results.
fn of_result(plan: &Plan, results: &[StepResult], is: impl Fn(&StepResult) -> bool) -> BTreeSet<Resource> {
    let steps = plan.steps.iter().zip(results);
    steps
        .filter(|(_, result)| is(result))
        .map(|(step, _)| step.resource())
        .collect()
}

/// What a future brings, unless everything is halted before.
async fn unless_halted<O>(halt: &watch::Sender<Option<Halt>>, future: impl Future<Output = O>) -> Option<O> {
    let mut halted = halt.subscribe();
    tokio::select! {
        output = future => Some(output),
        _ = halted.wait_for(Option::is_some) => None,
    }
}

/// Reads until there is nothing left to plan.
async fn settle<T: Target>(
    target: &T,
    job: &Job<'_>,
    options: &Options,
    halt: &watch::Sender<Option<Halt>>,
    observer: Observer<'_>,
) -> bool {
    let none = BTreeSet::new();
    for tries in 1.. {
        observer(Event::Waiting { tries });
        let read = read_again(target, job.clusters, options.scope, &none, &none, observer);
        match unless_halted(halt, read).await {
            Some(Ok(actual)) => {
                let plan = (job.planner)(&actual);
                if plan.is_empty() && plan.refusals.is_empty() {
                    return true;
                }
            }
            Some(Err(error)) => tracing::debug!(%error, "what was done could not be read"),
            None => return false,
        }
        let wait = pause(Duration::from_secs(1), Duration::from_secs(10), tries);
        if unless_halted(halt, tokio::time::sleep(wait)).await.is_none() {
            return false;
        }
    }
    false
}
