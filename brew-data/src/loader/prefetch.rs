//! Makes the next few batches on other threads while the model works on the current one.
//!
//! Each batch has a number. A worker takes the next number, makes the batch, and stores it under its number;
//! the consumer takes batches in order, whatever order they were made in. Only a few are in progress or
//! waiting. Whatever ends the work (the last batch, an error, a panic) ends the iterator, after the batches
//! before it. Dropping the iterator stops the threads and waits for them, except for a thread inside the
//! `next` of a user's source, which may block forever.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Items that may wait, in addition to one in progress per worker.
const WAITING: usize = 3;

/// Whose jobs they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Jobs {
    /// Our own: the next one arrives in finite time.
    Own,
    /// A user's: the next one may never arrive.
    Foreign,
}

/// Prefetched items, in the order of their numbers.
pub(super) struct Prefetched<T, E> {
    shared: Arc<dyn Shelf<T, E>>,
    workers: Vec<JoinHandle<()>>,
    of: Jobs,
}

/// State shared by the workers and the consumer.
struct Shared<J, T, E> {
    /// Locked separately: finding the next job may take long, and must not block the consumer.
    jobs: Mutex<J>,
    state: Mutex<Queue<T, E>>,
    /// An item was stored, or the end was found.
    laid_down: Condvar,
    /// An item was taken, or no more are wanted.
    taken: Condvar,
    /// Items that may be in progress or waiting.
    ahead: usize,
}

struct Queue<T, E> {
    /// The number of the next job.
    next: usize,
    /// The number of the next item for the consumer.
    wanted: usize,
    done: BTreeMap<usize, Result<T, E>>,
    /// The number of items, once known.
    end: Option<usize>,
    /// The consumer is gone.
    stopped: bool,
    /// A worker is waiting for the next job.
    asking: bool,
}

impl<T, E> Prefetched<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Starts making an item for each job; the first error is the last item. `panicked` makes an error from
    /// the number of a job (from 0) and the text of its panic.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(super) fn start<I, J>(
        of: Jobs,
        jobs: J,
        workers: usize,
        make: impl Fn(usize, I) -> Result<T, E> + Send + Sync + 'static,
        panicked: impl Fn(usize, &str) -> E + Send + Sync + 'static,
    ) -> std::io::Result<Self>
    where
        J: Iterator<Item = Result<I, E>> + Send + 'static,
        I: 'static,
    {
        let state =
            Queue { next: 0, wanted: 0, done: BTreeMap::new(), end: None, stopped: false, asking: false };
        let shared = Arc::new(Shared {
            jobs: Mutex::new(jobs),
            state: Mutex::new(state),
            laid_down: Condvar::new(),
            taken: Condvar::new(),
            ahead: workers + WAITING,
        });
        let mut prefetched = Prefetched { shared: shared.clone(), workers: Vec::with_capacity(workers), of };
        let work = Arc::new((make, panicked));
        for _ in 0..workers {
            let (shared, work) = (shared.clone(), work.clone());
            let thread = std::thread::Builder::new().name("brew-prefetch".to_owned());
            // If this fails, dropping `prefetched` stops the threads started so far.
            let worker = thread.spawn(move || shared.work(&work.0, &work.1))?;
            prefetched.workers.push(worker);
        }
        Ok(prefetched)
    }
}

impl<J, T, E> Shared<J, T, E> {
    fn lock(&self) -> MutexGuard<'_, Queue<T, E>> {
        // Nothing that can panic runs under the lock uncaught.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work<I>(&self, make: &impl Fn(usize, I) -> Result<T, E>, panicked: &impl Fn(usize, &str) -> E)
    where
        J: Iterator<Item = Result<I, E>>,
    {
        while let Some((number, job)) = self.next_job(panicked) {
            let item = caught(|| make(number, job)).unwrap_or_else(|text| Err(panicked(number, &text)));
            self.lay_down(&mut self.lock(), number, item);
        }
    }

    /// The next job and its number; `None` if there is none or none is wanted.
    fn next_job<I>(&self, panicked: &impl Fn(usize, &str) -> E) -> Option<(usize, I)>
    where
        J: Iterator<Item = Result<I, E>>,
    {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        while !state.stopped && state.end.is_none() && state.next - state.wanted >= self.ahead {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped || state.end.is_some() {
            return None;
        }
        let number = state.next;
        state.asking = true;
        drop(state);
        let job = caught(|| jobs.next());
        let mut state = self.lock();
        state.asking = false;
        if state.stopped {
            return None;
        }
        match job {
            Ok(Some(Ok(job))) => {
                state.next += 1;
                return Some((number, job));
            }
            Ok(None) => self.end(&mut state, number),
            Ok(Some(Err(error))) => self.lay_down(&mut state, number, Err(error)),
            Err(text) => self.lay_down(&mut state, number, Err(panicked(number, &text))),
        }
        None
    }

    fn lay_down(&self, state: &mut Queue<T, E>, number: usize, item: Result<T, E>) {
        if item.is_err() {
            self.end(state, number + 1);
        }
        state.done.insert(number, item);
        self.laid_down.notify_all();
    }

    fn end(&self, state: &mut Queue<T, E>, end: usize) {
        state.end = Some(state.end.map_or(end, |known| known.min(end)));
        self.laid_down.notify_all();
        self.taken.notify_all();
    }
}

/// The consumer's side, independent of the type of jobs.
trait Shelf<T, E>: Send + Sync {
    /// Waits for the next item; `None` at the end.
    fn take(&self) -> Option<Result<T, E>>;
    /// Stops the workers; returns whether one is waiting for the next job.
    fn stop(&self) -> bool;
}

impl<J: Send, T: Send, E: Send> Shelf<T, E> for Shared<J, T, E> {
    fn take(&self) -> Option<Result<T, E>> {
        let mut state = self.lock();
        loop {
            let wanted = state.wanted;
            if state.stopped || state.end.is_some_and(|end| wanted >= end) {
                return None;
            }
            if let Some(item) = state.done.remove(&wanted) {
                state.wanted += 1;
                self.taken.notify_all();
                return Some(item);
            }
            state = self.laid_down.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) -> bool {
        let mut state = self.lock();
        state.stopped = true;
        state.done.clear();
        self.taken.notify_all();
        state.asking
    }
}

impl<T, E> Iterator for Prefetched<T, E> {
    type Item = Result<T, E>;

    fn next(&mut self) -> Option<Result<T, E>> {
        self.shared.take()
    }
}

impl<T, E> Drop for Prefetched<T, E> {
    fn drop(&mut self) {
        if self.shared.stop() && self.of == Jobs::Foreign {
            // The thread ends by itself when the source answers.
            return;
        }
        for worker in self.workers.drain(..) {
            // The thread itself has printed a panic of a batch nobody asked for.
            let _ = worker.join();
        }
    }
}

/// The result of `make`, or the text of its panic.
pub(super) fn caught<T>(make: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(make)).map_err(|panic| text_of(panic.as_ref()))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
