//! Questions to the cluster that several reviews share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

/// Questions under way: one a key, which all who asked before it began share. Nobody is answered by a question that began before they came.
pub(crate) struct Flights<A> {
    /// Who waits for the next answer, by key. An entry stands as long as a task serves it.
    waiting: Mutex<HashMap<String, Vec<oneshot::Sender<A>>>>,
    under_way: Semaphore,
}

impl<A: Clone + Send + 'static> Flights<A> {
    /// So many questions may be under way at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            under_way: Semaphore::new(most),
        })
    }

    /// The answer to a question that begins after this call; `ask` puts it, and ends in time. `None`: the process is at its end.
    pub(crate) async fn join<F>(self: &Arc<Self>, key: String, ask: impl Fn() -> F + Send + 'static) -> Option<A>
    where
        F: Future<Output = A> + Send,
    {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting();
            let present = waiting.get_mut(&key);
            let is_first = present.is_none();
            match present {
                Some(others) => others.push(sender),
                None => drop(waiting.insert(key.clone(), vec![sender])),
            }
            is_first
        };
        if is_first {
            let flights = Arc::clone(self);
            tokio::spawn(async move { flights.serve(&key, ask).await });
        }
        receiver.await.ok()
    }

    /// Asks for those who wait, again for those who came meanwhile, and ends when nobody waits.
    async fn serve<F>(&self, key: &str, ask: impl Fn() -> F)
    where
        F: Future<Output = A>,
    {
        // Whatever happens to this task, nobody must wait for one that is gone.
        let _forget = Forget {
            waiting: &self.waiting,
            key,
        };
        loop {
            let Ok(_permit) = self.under_way.acquire().await else {
                return;
            };
            let mut asked = {
                let mut waiting = self.waiting();
                let asked = waiting.get_mut(key).map(std::mem::take).unwrap_or_default();
                if asked.is_empty() {
                    // Under the same lock, so that nobody can come between.
                    waiting.remove(key);
                    return;
                }
                asked
            };
            asked.retain(|sender| !sender.is_closed());
            if asked.is_empty() {
                continue;
            }
            let answer = ask().await;
            for sender in asked {
                // Who does not wait any more has its answer.
                let _ = sender.send(answer.clone());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<A>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys are asked about.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting().len()
    }
}

struct Forget<'a, A> {
    waiting: &'a Mutex<HashMap<String, Vec<oneshot::Sender<A>>>>,
    key: &'a str,
}

impl<A> Drop for Forget<'_, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.remove(self.key);
        }
    }
}
