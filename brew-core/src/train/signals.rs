//! SIGINT and SIGTERM during a run: the first requests a checkpoint and an orderly end, the second ends the
//! process. Outside of runs both have their usual effect.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The flags that the signal handlers read and write; handlers are registered once per process.
struct Signals {
    /// Whether a signal ends the process: true if no run listens, or if a run has already been asked to end.
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    runs: AtomicUsize,
}

fn signals() -> Result<&'static Signals, String> {
    static SIGNALS: OnceLock<Result<Signals, String>> = OnceLock::new();
    let made = SIGNALS.get_or_init(|| {
        let (ends, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let register = |signal| -> io::Result<()> {
            // The order matters: the first signal is only recorded, and the second finds that the first has
            // set `ends`.
            flag::register_conditional_default(signal, Arc::clone(&ends))?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&ends))?;
            Ok(())
        };
        register(SIGINT).and_then(|()| register(SIGTERM)).map_err(|error| error.to_string())?;
        Ok(Signals { ends, asked, runs: AtomicUsize::new(0) })
    });
    made.as_ref().map_err(Clone::clone)
}

/// Listens for signals until it is dropped, so that a run can end in an orderly way.
#[derive(Debug)]
pub(super) struct Listening(());

impl Listening {
    /// Begins to listen.
    pub(super) fn begin() -> Result<Self, String> {
        let signals = signals()?;
        if signals.runs.fetch_add(1, Ordering::SeqCst) == 0 {
            signals.asked.store(false, Ordering::SeqCst);
            signals.ends.store(false, Ordering::SeqCst);
        }
        Ok(Listening(()))
    }

    /// Whether a signal has asked the run to end.
    pub(super) fn asked(&self) -> bool {
        signals().is_ok_and(|signals| signals.asked.load(Ordering::SeqCst))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Ok(signals) = signals()
            && signals.runs.fetch_sub(1, Ordering::SeqCst) == 1
        {
            signals.ends.store(true, Ordering::SeqCst);
        }
    }
}
