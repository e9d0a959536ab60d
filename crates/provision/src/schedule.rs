//! Which step is run when.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use irsa_reconcile::plan::{Resource, Step};
use tokio::time::{Instant, sleep_until};

use crate::attempt::{Context, attempt};
use crate::{Event, Halt, Limits, StepResult, Target};

/// How long what is under way has when the time is over.
const GRACE: Duration = Duration::from_secs(5);

/// The steps of IAM, or of Kubernetes, that wait for nothing but their turn.
struct Queue {
    ready: BTreeSet<usize>,
    running: usize,
    limit: usize,
}

impl Queue {
    fn new(limit: usize) -> Self {
        Self {
            ready: BTreeSet::new(),
            running: 0,
            limit: limit.max(1),
        }
    }
}

struct Queues {
    iam: Queue,
    kubernetes: Queue,
}

impl Queues {
    fn of(&mut self, resource: &Resource) -> &mut Queue {
        match resource {
            Resource::Provider(_) | Resource::Role(_) => &mut self.iam,
            Resource::Namespace { .. } | Resource::ServiceAccount { .. } => &mut self.kubernetes,
        }
    }
}

/// Runs steps: each after those that it waits for, one at a time of each resource, in their order, and no more than the
/// limits say. Answers with a result for each.
pub(crate) async fn run_steps<T: Target>(context: &Context<'_, T>, steps: &[Step], limits: Limits) -> Vec<StepResult> {
    let mut results: Vec<Option<StepResult>> = vec![None; steps.len()];
    let mut waits: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let resources: Vec<Resource> = steps.iter().map(Step::resource).collect();
    for (index, step) in steps.iter().enumerate() {
        for before in &step.after {
            waiters[*before].push(index);
        }
    }
    let mut queues = Queues {
        iam: Queue::new(limits.iam),
        kubernetes: Queue::new(limits.kubernetes),
    };
    for (index, resource) in resources.iter().enumerate() {
        if waits[index] == 0 {
            queues.of(resource).ready.insert(index);
        }
    }
    let mut begun = vec![false; steps.len()];
    let mut busy: BTreeSet<&Resource> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    let mut halted = context.halt.subscribe();
    let mut last_moment: Option<Instant> = None;
    loop {
        let halt = *context.halt.borrow();
        if halt == Some(Halt::Deadline) && last_moment.is_none() {
            last_moment = Some(Instant::now() + GRACE);
        }
        if halt.is_none() {
            for queue in [&mut queues.iam, &mut queues.kubernetes] {
                while queue.running < queue.limit {
                    let mut ready = queue.ready.iter().copied();
                    let Some(index) = ready.find(|index| !busy.contains(&resources[*index])) else {
                        break;
                    };
                    queue.ready.remove(&index);
                    queue.running += 1;
                    busy.insert(&resources[index]);
                    begun[index] = true;
                    let step = &steps[index];
                    running.push(async move {
                        (context.observer)(Event::Started { step });
                        let begun = Instant::now();
                        let result = attempt(context, step).await;
                        (index, result, begun.elapsed())
                    });
                }
            }
        }
        let ended = tokio::select! {
            ended = running.next() => ended,
            _ = halted.wait_for(Option::is_some), if halt.is_none() => continue,
            () = until(last_moment) => None,
        };
        let Some((index, result, took)) = ended else {
            break;
        };
        let resource = &resources[index];
        busy.remove(resource);
        queues.of(resource).running -= 1;
        (context.observer)(Event::Ended {
            step: &steps[index],
            result: &result,
            took,
        });
        if result.is_success() {
            for waiter in &waiters[index] {
                waits[*waiter] -= 1;
                if waits[*waiter] == 0 {
                    queues.of(&resources[*waiter]).ready.insert(*waiter);
                }
            }
        } else {
            // Whatever waits for it, directly or not, is told of the step that failed.
            let mut skipped = waiters[index].clone();
            while let Some(waiter) = skipped.pop() {
                if results[waiter].is_none() {
                    let result = StepResult::Skipped { because: index };
                    (context.observer)(Event::Ended {
                        step: &steps[waiter],
                        result: &result,
                        took: Duration::ZERO,
                    });
                    results[waiter] = Some(result);
                    skipped.extend(&waiters[waiter]);
                }
            }
        }
        results[index] = Some(result);
    }
    drop(running);
    let unfinished = |(result, begun): (Option<StepResult>, bool)| match (result, begun) {
        (Some(result), _) => result,
        (None, true) => StepResult::Unknown,
        (None, false) => StepResult::NotStarted,
    };
    results.into_iter().zip(begun).map(unfinished).collect()
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
