//! The memory of this process, sampled while it works.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The largest values seen, in kilobytes (of 1024 bytes) as Linux counts them.
#[derive(Debug, Default)]
struct Peaks {
    /// The process's own memory, without mapped pages of files.
    anonymous: AtomicU64,
    /// All of it.
    resident: AtomicU64,
    stopped: AtomicBool,
}

/// Samples the memory every few milliseconds until it is asked for what it saw.
#[derive(Debug)]
pub struct Sampler {
    peaks: Arc<Peaks>,
    thread: JoinHandle<()>,
}

impl Sampler {
    /// Starts sampling.
    pub fn start() -> Sampler {
        let peaks = Arc::new(Peaks::default());
        let seen = peaks.clone();
        let thread = std::thread::spawn(move || {
            while !seen.stopped.load(Ordering::Relaxed) {
                seen.sample();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Sampler { peaks, thread }
    }

    /// The peaks of anonymous and resident memory, in megabytes of 10^6 bytes; 0 if the system does not report
    /// them.
    pub fn finish(self) -> (f64, f64) {
        self.peaks.sample();
        self.peaks.stopped.store(true, Ordering::Relaxed);
        // The thread only sleeps and reads: it cannot fail.
        let _ = self.thread.join();
        let megabytes = |kilobytes: &AtomicU64| kilobytes.load(Ordering::Relaxed) as f64 * 1024.0 / 1e6;
        (megabytes(&self.peaks.anonymous), megabytes(&self.peaks.resident))
    }
}

impl Peaks {
    fn sample(&self) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        self.anonymous.fetch_max(field(&status, "RssAnon:"), Ordering::Relaxed);
        self.resident.fetch_max(field(&status, "VmRSS:"), Ordering::Relaxed);
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
