//! Set-up: after it, plain `cargo test -p …` and `cargo run -p examples --bin …` work with no
//! environment variable. Every other command begins with it; where all is in place it takes no time.

use std::fs::{self, File};
use std::path::Path;

use crate::failure::{AtPath, Failure, Result};
use crate::layout::Layout;
use crate::libtorch::{self, Libtorch};
use crate::{machine, model, python, workspace};

/// `cargo xtask setup`.
pub(crate) fn command() -> Result<()> {
    run()?;
    println!("Set up: libtorch and the model all-MiniLM-L6-v2 are in place");
    Ok(())
}

/// Lays out what is missing, and says nothing if that is nothing.
pub(crate) fn run() -> Result<()> {
    let brew = workspace::brew();
    fs::create_dir_all(&brew).at("create", &brew)?;
    let _alone = lock(&brew.join("lock"))?;

    let libtorch = Libtorch::chosen();
    let mut layouts = vec![model::layout()];
    if libtorch == Libtorch::LaidOut {
        layouts.insert(0, libtorch::layout(machine::has_nvidia_gpu()));
    }
    layouts.retain(|layout| !layout.is_there());

    let problems = problems(&libtorch, &layouts, &brew);
    if !problems.is_empty() {
        return Err(Failure::all(problems));
    }
    layouts.iter().try_for_each(Layout::make)
}

/// All that stands in the way of building and of making `layouts`.
fn problems(libtorch: &Libtorch, layouts: &[Layout], brew: &Path) -> Vec<String> {
    let mut problems: Vec<String> =
        [libtorch.problem(), machine::compiler_problem()].into_iter().flatten().collect();
    if !layouts.is_empty() {
        let needed = layouts.iter().map(|layout| layout.disk_megabytes).sum();
        problems.extend(python::problem());
        problems.extend(machine::disk_problem(brew, needed));
    }
    if *libtorch == Libtorch::LaidOut && !machine::HAS_A_WHEEL {
        problems.push(
            "libtorch can be laid out on x86-64 Linux with glibc alone: set LIBTORCH to a libtorch 2.11.0 of your own"
                .into(),
        );
    }
    problems
}

/// Waits until no other set-up is at work in this repository; the lock ends with the file's handle.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).at("create", path)?;
    file.lock().at("lock", path)?;
    Ok(file)
}
