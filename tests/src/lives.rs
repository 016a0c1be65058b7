//! Runs that are killed and started again, and what is drawn for them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where a helper does, and says its seed"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;

/// Starts a single-threaded program on a run folder and reads what it prints.
///
/// # Panics
/// If it does not start.
pub fn start(program: &str, folder: &Path, steps: u64, arguments: &[&str]) -> Child {
    Command::new(program)
        .arg(folder)
        .arg(steps.to_string())
        .args(arguments)
        .env("OMP_NUM_THREADS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it printed, once it has finished successfully.
///
/// # Panics
/// If it failed.
pub fn finished(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The step of a run folder's newest checkpoint; 0 if there is none.
pub fn newest(folder: &Path) -> u64 {
    let names = fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let steps = names.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok());
    steps.max().unwrap_or(0)
}

/// Prints which checkpoint was loaded, what a teacher cache did, and all warnings.
#[derive(Debug)]
pub struct Tells;

impl Observer for Tells {
    fn on(&mut self, event: &Event<'_>) {
        let mut out = std::io::stdout();
        let _ = match event {
            Event::Resumed { step, .. } => writeln!(out, "resumed {step}"),
            Event::TeacherCache { report, .. } => {
                writeln!(out, "cache {} found, {} computed", report.found, report.computed)
            }
            Event::Warning(text) => writeln!(out, "warning {text}"),
            _ => Ok(()),
        };
    }
}

/// For `on_checkpoint`: ends a run at this step as if it had been killed.
pub fn killed_at<S>(stop: Option<u64>) -> impl FnMut(&S, u64) -> Result<()> {
    move |_, step| if Some(step) == stop { Err(Error::other("killed")) } else { Ok(()) }
}

/// Pseudo-random numbers from a seed (SplitMix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Seeded by this number.
    pub fn of(seed: u64) -> Self {
        Dice(seed)
    }

    /// Seeded by the clock; the seed is printed.
    ///
    /// # Panics
    /// Before 1970.
    pub fn seeded() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        println!("seed {seed}");
        Dice(seed)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) % end
    }
}
