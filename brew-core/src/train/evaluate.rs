//! Evaluations during a run, and the best student so far.

use std::path::Path;

use tracing::info_span;

use super::caller::{Caller, Measured, Tell};
use super::checkpoint::Checkpoint;
use super::run::Run;
use crate::error::{During, Result};
use crate::observe::{Best, Event};

impl Run<'_, '_> {
    /// Evaluates, and adds the results to this step's checkpoint if there is one. If the evaluation fails and
    /// there is no checkpoint yet, one is written, so that no step is lost.
    pub(super) fn evaluate_after(
        &mut self,
        saved: Option<&Path>,
        caller: &mut dyn Caller,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        let epoch = self.to_evaluate.unwrap_or_default();
        if let Err(error) = self.evaluate(epoch, caller, tell) {
            // Ranks that are gone cannot compare their students: the reason to tell is the evaluation's.
            let written = if saved.is_none() { self.checkpoint(tell).unwrap_or_default() } else { None };
            let saved = saved.map(Path::to_owned).or(written);
            return Err(error.during(During::Evaluation { step: self.step, saved }));
        }
        self.to_evaluate = None;
        let (Some(path), true) = (saved, self.ranks.leads()) else { return Ok(()) };
        let restated = self.state().and_then(|state| Checkpoint::restate(path, &state));
        if let Err(error) = restated {
            tell(&Event::Warning(&format!(
                "the checkpoint of step {} lacks its evaluation, which is repeated if the run resumes there: {error}",
                self.step
            )));
        }
        Ok(())
    }

    fn evaluate(&mut self, epoch: u64, caller: &mut dyn Caller, tell: &mut Tell<'_>) -> Result<()> {
        let step = self.step;
        let _span = info_span!("evaluation", step).entered();
        let doing = format!("evaluation after step {step}");
        let (mut values, mut less_is_better) = (Vec::new(), None);
        caller.evaluate((self.ranks, &doing), &mut |measured| {
            let Measured { metric, value, .. } = measured;
            values.push(value);
            less_is_better.get_or_insert(measured.less_is_better);
            tell(&Event::Evaluated { epoch, step, metric, value });
        })?;
        self.evaluations.extend(&values);
        let Some((value, less_is_better)) = values.first().copied().zip(less_is_better) else {
            return Ok(());
        };
        if improves(value, self.best.as_ref().map(|best| best.value), less_is_better) {
            self.best = Some(Best { step, value });
            self.evaluations_since_best = 0;
            if let Some(folder) = self.folder {
                match caller.save(&folder.best()) {
                    Ok(()) => tell(&Event::Saved(&folder.best())),
                    Err(error) => {
                        tell(&Event::Warning(&format!("the best student so far is not kept: {error}")))
                    }
                }
            }
        } else {
            self.evaluations_since_best += 1;
        }
        Ok(())
    }

    /// Whether the first metric has not improved for as many evaluations as `stop_after` allows.
    pub(super) fn stops_early(&self) -> bool {
        self.settings.patience.is_some_and(|patience| self.evaluations_since_best >= patience)
    }
}

/// Whether a value is better than the best so far, if any. NaN, and the worst value of all, never are.
fn improves(value: f64, best: Option<f64>, less_is_better: bool) -> bool {
    if less_is_better {
        value < best.unwrap_or(f64::INFINITY)
    } else {
        value > best.unwrap_or(f64::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::improves;

    #[test]
    fn the_best_is_the_largest_or_the_smallest_and_never_nan() {
        for (value, best, more, less) in [
            (1.0, None, true, true),
            (2.0, Some(1.0), true, false),
            (1.0, Some(2.0), false, true),
            (1.0, Some(1.0), false, false),
            (f64::NAN, None, false, false),
            (f64::NAN, Some(1.0), false, false),
            (f64::INFINITY, None, true, false),
        ] {
            assert_eq!(improves(value, best, false), more, "{value} after {best:?}");
            assert_eq!(improves(value, best, true), less, "{value} after {best:?}");
        }
    }
}
