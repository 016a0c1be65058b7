//! The demo: fine-tunes a teacher and distils a student on movie reviews, within minutes.

use crate::failure::Result;
use crate::{machine, sentiment, setup, workspace};

/// Training reviews on a machine without a GPU: the demo then takes about four minutes on two cores.
const REVIEWS_ON_A_CPU: usize = 1_280;

/// `cargo xtask demo`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    setup::run()?;
    let mut defaults = sentiment::sources().to_vec();
    defaults.push(("--stage", "all".into()));
    defaults.push(("--run-dir", sentiment::shown(&workspace::runs("demo"))));
    if !machine::has_nvidia_gpu() {
        defaults.push(("--sample", REVIEWS_ON_A_CPU.to_string()));
    }
    sentiment::run(arguments, &defaults)
}
