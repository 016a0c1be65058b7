//! Set-up: after it, plain `cargo test -p …` and `cargo run -p examples --bin …` work without environment variables.
//! Every other command starts with it; if everything is in place it takes no time.

use std::fs::{self, File};
use std::path::Path;

use crate::failure::{AtPath, Failure, Result};
use crate::layout::Layout;
use crate::libtorch::{self, Libtorch};
use crate::{machine, model, python, workspace};

/// `cargo xtask setup`.
pub(crate) fn command() -> Result<()> {
    run()?;
    println!("Set up: libtorch and the models all-MiniLM-L6-v2 and SmolLM2-135M-Instruct are in place");
    Ok(())
}

/// Sets up what is missing; silent if nothing is.
pub(crate) fn run() -> Result<()> {
    let brew = workspace::brew();
    fs::create_dir_all(&brew).at("create", &brew)?;
    let _alone = lock(&brew.join("lock"))?;

    let libtorch = Libtorch::chosen();
    let mut layouts = Vec::from(model::layouts());
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

/// Everything that prevents building and setting up `layouts`.
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
            "set-up provides libtorch only on x86-64 Linux with glibc: set LIBTORCH to your own libtorch 2.11.0"
                .into(),
        );
    }
    problems
}

/// Waits until no other set-up is running in this repository; dropping the file releases the lock.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).at("create", path)?;
    file.lock().at("lock", path)?;
    Ok(file)
}
