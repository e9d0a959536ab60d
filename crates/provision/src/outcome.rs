//! What came of it, as data.

use std::collections::{BTreeMap, BTreeSet};

use irsa_reconcile::ServiceAccountName;
use irsa_reconcile::plan::{AccountPlan, Plan, Refusal, Resource, State, Step};

use crate::{TargetError, TargetErrorKind};

/// What came of carrying out a plan.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every step that changed something, and whatever the last plan's other steps came to.
    pub steps: Vec<StepReport>,
    /// One for every account of the plan, in its order.
    pub accounts: Vec<AccountReport>,
    /// What a new plan refused, after the state had changed.
    pub refusals: Vec<Refusal>,
    /// What went wrong beside the steps: the state could not be read again.
    pub errors: Vec<TargetError>,
    /// Why it ended early.
    pub halted: Option<Halt>,
    /// With `--wait`: whether everything could be seen in the end.
    pub settled: Option<bool>,
}

impl Outcome {
    /// Whether everything is as it was wanted.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.refusals.is_empty()
            && self.errors.is_empty()
            && self.settled != Some(false)
            && self.steps.iter().all(|report| report.result.is_success())
    }

    /// Whether anything was changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.steps.iter().any(|report| report.result == StepResult::Done)
    }

    /// The steps that failed, each once; what was skipped because of them is not among them.
    pub fn failures(&self) -> impl Iterator<Item = (&Step, &Failure)> {
        self.steps.iter().filter_map(|report| match &report.result {
            StepResult::Failed(failure) => Some((&report.step, &**failure)),
            _ => None,
        })
    }
}

/// What came of one step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The plan that it is of: zero for the one that was given.
    pub round: usize,
    /// The step.
    pub step: Step,
    /// What came of it.
    pub result: StepResult,
}

/// What came of one step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepResult {
    /// It is done.
    Done,
    /// There was nothing left to do.
    WasDone,
    /// It was not done.
    Failed(Box<Failure>),
    /// The state is not the one that the plan was made of: why.
    Changed(String),
    /// It was not tried.
    Skipped {
        /// The step that failed, by its number.
        because: usize,
    },
    /// It was not begun when everything was halted.
    NotStarted,
    /// It was under way when the time was over; nobody knows what came of it.
    Unknown,
}

impl StepResult {
    /// Whether what was wanted is there.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Done | Self::WasDone)
    }
}

/// Why a step failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("can't {action}: {error}")]
pub struct Failure {
    /// What it is about.
    pub resource: Resource,
    /// What was tried, in words that name it.
    pub action: String,
    /// What came of it.
    pub error: TargetError,
}

impl Failure {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &str {
        let usual = match self.error.kind {
            TargetErrorKind::Busy | TargetErrorKind::Unanswered | TargetErrorKind::Conflict => {
                "run the same command again: it goes on where this one ended"
            }
            TargetErrorKind::Denied => "have it granted, then run the same command again",
            TargetErrorKind::Limit => "make room or have the quota raised, then run the same command again",
            _ => "mend it, then run the same command again: it goes on where this one ended",
        };
        self.error.help.as_deref().unwrap_or(usual)
    }
}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Halt {
    /// It was stopped.
    Stopped,
    /// The time was over.
    Deadline,
}

/// What came of one account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountReport {
    /// What plans call the cluster.
    pub cluster: String,
    /// The account.
    pub name: ServiceAccountName,
    /// Its role's ARN.
    pub role_arn: Option<String>,
    /// What the plan said of it.
    pub planned: State,
    /// What came of it.
    pub state: AccountState,
}

/// What came of one account, the worst last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AccountState {
    /// There was nothing to do.
    Unchanged,
    /// It is as it was wanted.
    Done,
    /// Not all of its steps were begun, or nobody knows what came of them.
    Unfinished,
    /// One of its steps failed, or was skipped because another's did.
    Failed,
}

/// What a plan changes for one account.
fn resources(account: &AccountPlan) -> BTreeSet<Resource> {
    let role = account.role_arn.as_deref().and_then(|arn| arn.rsplit('/').next());
    let changed = account.changes.iter().map(|change| change.resource.clone());
    let mut resources: BTreeSet<Resource> = changed.collect();
    resources.extend(role.map(|role| Resource::Role(role.to_owned())));
    resources.insert(Resource::ServiceAccount {
        cluster: account.cluster.clone(),
        name: account.name.clone(),
    });
    resources
}

/// The reports of a plan's accounts. `changed` are the resources that earlier plans changed.
pub(crate) fn accounts(
    first: &Plan,
    last: &Plan,
    results: &[StepResult],
    changed: &BTreeSet<Resource>,
) -> Vec<AccountReport> {
    let mut of: BTreeMap<Resource, Vec<&StepResult>> = BTreeMap::new();
    for (step, result) in last.steps.iter().zip(results) {
        of.entry(step.resource()).or_default().push(result);
    }
    let key = |account: &AccountPlan| (account.cluster.clone(), account.name.clone());
    let latest: BTreeMap<_, &AccountPlan> = last.accounts.iter().map(|account| (key(account), account)).collect();
    let report = |account: &AccountPlan| {
        let now = latest.get(&key(account)).copied().unwrap_or(account);
        let mut state = AccountState::Unchanged;
        if resources(account)
            .union(&resources(now))
            .any(|resource| changed.contains(resource))
        {
            state = AccountState::Done;
        }
        for result in resources(now).iter().filter_map(|resource| of.get(resource)).flatten() {
            state = state.max(match result {
                StepResult::Done | StepResult::WasDone => AccountState::Done,
                StepResult::NotStarted | StepResult::Unknown => AccountState::Unfinished,
                StepResult::Failed(_) | StepResult::Skipped { .. } | StepResult::Changed(_) => AccountState::Failed,
            });
        }
        if now.state == State::Refused {
            state = AccountState::Failed;
        }
        AccountReport {
            cluster: account.cluster.clone(),
            name: account.name.clone(),
            role_arn: now.role_arn.clone().or_else(|| account.role_arn.clone()),
            planned: account.state,
            state,
        }
    };
    first.accounts.iter().map(report).collect()
}
