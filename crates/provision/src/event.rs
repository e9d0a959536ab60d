//! How it goes.

use std::time::Duration;

use irsa_reconcile::plan::{Plan, Step};

use crate::{Halt, StepResult, TargetError};

/// Something that happens while a state is read or a plan is carried out.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// So many roles have been read.
    Roles(usize),
    /// So many service accounts of a cluster have been read.
    ServiceAccounts {
        /// What plans call the cluster.
        cluster: &'e str,
        /// How many.
        count: usize,
    },
    /// A plan is begun: the one that was given, or one that was made anew.
    Begun {
        /// Zero for the plan that was given.
        round: usize,
        /// The plan.
        plan: &'e Plan,
    },
    /// A step is begun.
    Started {
        /// The step.
        step: &'e Step,
    },
    /// A step is tried again.
    Retrying {
        /// The step.
        step: &'e Step,
        /// How many times it was tried.
        tries: usize,
        /// After which pause.
        pause: Duration,
        /// What came of the last time.
        error: &'e TargetError,
    },
    /// A step has come to its end, or to none: whatever is skipped ends, too.
    Ended {
        /// The step.
        step: &'e Step,
        /// What came of it.
        result: &'e StepResult,
        /// How long it took.
        took: Duration,
    },
    /// Nothing new is started.
    Halting(Halt),
    /// The state is read and planned anew, as it has changed since it was read.
    Replanning {
        /// How many steps have found it so.
        changed: usize,
    },
    /// Everything is done; it is read until it can be seen (`--wait`).
    Waiting {
        /// How many times it was read.
        tries: usize,
    },
}

/// Is told of events, in their order.
pub type Observer<'o> = &'o (dyn Fn(Event<'_>) + Sync);
