//! Is the distilled student better than the same student trained without a teacher? One teacher, three seeds.

use std::fs;
use std::path::Path;

use crate::bench::stage::{Kind, Stage};
use crate::bench::table::{Seed, accuracies};
use crate::failure::{AtPath, Result};
use crate::{setup, workspace};

const SEEDS: [u64; 3] = [0, 1, 2];

/// `cargo xtask bench accuracy`.
pub(crate) fn command(fresh: bool, arguments: &[String]) -> Result<()> {
    setup::run()?;
    let table = measure(&workspace::runs("accuracy"), fresh, arguments)?;
    println!("\n{table}");
    Ok(())
}

/// Runs what has no report yet, and returns the table of all reports.
fn measure(folder: &Path, fresh: bool, arguments: &[String]) -> Result<String> {
    let stage = |kind, seed| Stage::new(kind, seed, folder, arguments);
    let teacher = stage(Kind::Teacher, 0);
    if fresh || !teacher.is_done()? {
        // Students depend on the teacher: reports of another teacher's students say nothing.
        if folder.exists() {
            fs::remove_dir_all(folder).at("remove", folder)?;
        }
        fs::create_dir_all(folder).at("create", folder)?;
        teacher.run()?;
    }
    let mut seeds = Vec::new();
    for seed in SEEDS {
        let [plain, distilled] = [Kind::Plain, Kind::Distill].map(|kind| stage(kind, seed));
        for student in [&plain, &distilled] {
            if !student.is_done()? {
                student.run()?;
            }
        }
        seeds.push(Seed { seed, plain: plain.accuracy()?, distilled: distilled.accuracy()? });
    }
    Ok(accuracies(teacher.accuracy()?, &seeds))
}
