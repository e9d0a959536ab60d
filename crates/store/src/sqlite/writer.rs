use tokio::sync::{mpsc, oneshot, watch};

use crate::sqlite::recent::Recent;
use crate::sqlite::table::{Outcome, Table};
use crate::{Change, Entry, Revision, StoreError, Transaction};

/// The most jobs that wait; further callers wait to queue.
pub(super) const QUEUE: usize = 256;

/// The most bytes of writes in one flush.
const GROUP_BYTES: usize = 8 << 20;

/// How many revisions stay readable for watchers that lag. Compaction starts at twice as many.
const KEEP_REVISIONS: Revision = 4096;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the thread does for a caller. A caller that has gone is no error.
pub(super) enum Job {
    Commit {
        transaction: Transaction,
        answer: Answer<Revision>,
    },
    Load {
        answer: Answer<(Revision, Vec<Entry>)>,
    },
    Changes {
        after: Revision,
        answer: Answer<Vec<Change>>,
    },
    CheckWatch {
        after: Revision,
        answer: Answer<()>,
    },
    Compact {
        through: Revision,
        answer: Answer<()>,
    },
}

/// Runs jobs until every sender has gone.
pub(super) fn run(
    mut table: Table,
    mut queue: mpsc::Receiver<Job>,
    recent: &Recent,
    announce: &watch::Sender<Revision>,
) {
    let mut next = queue.blocking_recv();
    while let Some(job) = next.take() {
        match job {
            Job::Commit { transaction, answer } => {
                let mut bytes = transaction.bytes();
                let (mut transactions, mut answers) = (vec![transaction], vec![answer]);
                // Whatever queued while the last flush ran shares this one. Any other job ends the group, and comes after it.
                while bytes < GROUP_BYTES
                    && let Ok(job) = queue.try_recv()
                {
                    let Job::Commit { transaction, answer } = job else {
                        next = Some(job);
                        break;
                    };
                    bytes += transaction.bytes();
                    transactions.push(transaction);
                    answers.push(answer);
                }
                commit(&mut table, &transactions, answers, recent, announce);
                compact_history(&mut table);
            }
            Job::Load { answer } => drop(answer.send(table.load())),
            Job::Changes { after, answer } => drop(answer.send(table.changes(after))),
            Job::CheckWatch { after, answer } => drop(answer.send(table.check_watch(after))),
            Job::Compact { through, answer } => drop(answer.send(table.compact(through))),
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
}

fn commit(
    table: &mut Table,
    transactions: &[Transaction],
    answers: Vec<Answer<Revision>>,
    recent: &Recent,
    announce: &watch::Sender<Revision>,
) {
    let outcomes: Vec<Outcome> = match table.commit(transactions) {
        Ok(done) => {
            publish(recent, announce, done.changes);
            done.outcomes
        }
        Err(error) if transactions.len() == 1 => {
            tracing::warn!(%error, "a transaction was not written");
            vec![Err(error)]
        }
        // One of them may be at fault (too large for the space that is left): each gets its own chance and its own answer.
        Err(_) => transactions
            .chunks(1)
            .map(|alone| {
                let done = table.commit(alone).inspect_err(|error| {
                    tracing::warn!(%error, "a transaction was not written");
                })?;
                publish(recent, announce, done.changes);
                done.outcomes.into_iter().next().unwrap_or(Err(StoreError::Conflict))
            })
            .collect(),
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        drop(answer.send(outcome));
    }
}

/// Tells the watchers, before the writer is answered: who reads its own write finds it.
fn publish(recent: &Recent, announce: &watch::Sender<Revision>, changes: Vec<Change>) {
    if let Some(last) = changes.last() {
        let revision = last.revision;
        recent.push(changes);
        announce.send_replace(revision);
    }
}

fn compact_history(table: &mut Table) {
    let history = table.revision().saturating_sub(table.compacted());
    if history >= 2 * KEEP_REVISIONS
        && let Err(error) = table.compact(table.revision().saturating_sub(KEEP_REVISIONS))
    {
        tracing::warn!(%error, "old revisions were not compacted");
    }
}
