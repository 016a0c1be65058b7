//! The next few batches are made on a thread of their own while the model works on this one.
//!
//! They come in order, and no more than a few wait: the channel between the two is short. Whatever
//! ends the thread (its last batch, an error, a panic) ends the iterator; dropping the iterator ends
//! the thread.

use std::any::Any;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches that may wait; one more is being made.
const WAITING: usize = 3;

/// Makes an error of the number of the item that was being made, and of the panic's text.
type Panicked<E> = Box<dyn Fn(usize, &str) -> E>;

/// Numbered items made ahead of their use.
pub(crate) struct Prefetched<T, E> {
    /// Taken when the iterator ends, which lets the thread end.
    items: Option<Receiver<Result<T, E>>>,
    thread: Option<JoinHandle<()>>,
    /// Items received so far: the number of the one that a panic lost.
    received: usize,
    panicked: Panicked<E>,
}

impl<T: Send + 'static, E: Send + 'static> Prefetched<T, E> {
    /// Starts to make the items `0..count`; the first error is the last item.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(
        count: usize,
        make: impl Fn(usize) -> Result<T, E> + Send + 'static,
        panicked: impl Fn(usize, &str) -> E + 'static,
    ) -> std::io::Result<Self> {
        let (sender, items) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("brew-prefetch".to_owned()).spawn(move || {
            for number in 0..count {
                let item = make(number);
                let failed = item.is_err();
                // Nobody receives any more: the iterator was dropped.
                if sender.send(item).is_err() || failed {
                    break;
                }
            }
        })?;
        Ok(Prefetched { items: Some(items), thread: Some(thread), received: 0, panicked: Box::new(panicked) })
    }
}

impl<T, E> Prefetched<T, E> {
    /// Ends the thread and waits for it; the text of its panic, if that was its end.
    fn finish(&mut self) -> Option<String> {
        self.items = None;
        let outcome = self.thread.take()?.join();
        outcome.err().map(|panic| text_of(panic.as_ref()))
    }
}

impl<T, E> Iterator for Prefetched<T, E> {
    type Item = Result<T, E>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.items.as_ref()?.recv() {
            Ok(item) => {
                self.received += 1;
                Some(item)
            }
            Err(_) => {
                let text = self.finish()?;
                Some(Err((self.panicked)(self.received, &text)))
            }
        }
    }
}

impl<T, E> Drop for Prefetched<T, E> {
    fn drop(&mut self) {
        // A panic of a batch that nobody asked for has been printed by the thread itself.
        let _ = self.finish();
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
