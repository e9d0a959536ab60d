//! From plans to calls: reads what IAM and Kubernetes have, and carries out what [`irsa_reconcile`] plans.
//!
//! [`read`] fills [`Actual`](irsa_reconcile::actual::Actual); whoever calls plans and shows the plan; [`carry_out`] runs its
//! steps against a [`Target`], tells an [`Observer`] how it goes, and answers with an [`Outcome`].
//!
//! Invariants:
//! * Steps of one resource run one after the other, a step runs after those that it waits for, and everything else runs
//!   beside each other up to [`Limits`].
//! * A failed step fails what waits for it and nothing else.
//! * "Is there already" and "is not there" are success only where that is what was wanted: what is there is looked at, and
//!   if it is not ours the step fails. What has changed since it was read is planned anew, a few times at most.
//! * A run that is cut off anywhere leaves a state to plan from. There is no file of state.
//! * Halting (a signal, the deadline) starts nothing new and lets what is under way come to its end.

mod attempt;
mod event;
mod live;
mod outcome;
mod read;
mod run;
mod schedule;
mod stop;
mod target;

pub use event::{Event, Observer};
pub use live::Live;
pub use outcome::{AccountReport, AccountState, Failure, Halt, Outcome, StepReport, StepResult};
pub use read::{ReadError, Scope, State, read};
pub use run::{Job, Limits, Options, carry_out};
pub use stop::Stop;
pub use target::{RoleHead, Target, TargetError, TargetErrorKind};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
