//! The trait for losses that have parameters or carry state from step to step.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::Term;
use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// The part of a loss that changes over a run: see [`Loss::learns`](super::Loss::learns).
///
/// Per optimizer step: [`before_step`](Learns::before_step), [`Loss::term`](super::Loss::term) for every
/// batch of the step, each followed by [`after_term`](Learns::after_term), then
/// [`after_step`](Learns::after_step). Everything except `term` takes `&mut self`, so plain fields suffice.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use brew_core::loss::{Features, Learns, Loss, Term};
/// use brew_core::prelude::*;
///
/// /// The squared difference of the logits, over its own value in the step before.
/// #[derive(Debug, Default)]
/// struct Relative {
///     before: Option<f64>,
///     now: Option<Tensor>,
/// }
///
/// impl Loss for Relative {
///     fn name(&self) -> &'static str {
///         "relative"
///     }
///     fn mismatches(&self, _: &Features, _: &Features) -> Vec<String> {
///         Vec::new()
///     }
///     fn learns(&mut self) -> Option<&mut dyn Learns> {
///         Some(self)
///     }
///     fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
///         let squares = student.tensors[0].f_sub(&teacher.tensors[0])?.f_square()?;
///         Term::rows(&squares.f_mean_dim(-1, false, None)?)?.times(1.0 / self.before.unwrap_or(1.0))
///     }
/// }
///
/// impl Learns for Relative {
///     fn after_term(&mut self, term: &Term) -> Result<()> {
///         self.now = Some(term.mean()?.f_detach()?);
///         Ok(())
///     }
///     fn after_step(&mut self) -> Result<()> {
///         if let Some(now) = self.now.take() {
///             self.before = Some(now.f_double_value(&[])?);
///         }
///         Ok(())
///     }
///     fn state(&self) -> Result<BTreeMap<String, Tensor>> {
///         Ok(self.before.map(|before| ("before".to_owned(), Tensor::from(before))).into_iter().collect())
///     }
///     fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
///         self.before = state.get("before").map(|before| before.f_double_value(&[])).transpose()?;
///         Ok(())
///     }
/// }
/// ```
pub trait Learns {
    /// Creates its parameters and state, once, before the first step of a run.
    fn prepare(&mut self, _place: &Place) -> Result<()> {
        Ok(())
    }

    /// Its parameters, which are trained together with the student; called after [`Learns::prepare`].
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }

    /// Called before each optimizer step (from 0) of a run of `steps`; 0 if the number is unknown. Discard
    /// here whatever an earlier step's batches left behind without [`Learns::after_step`]: that step was
    /// skipped.
    fn before_step(&mut self, _step: u64, _steps: u64) -> Result<()> {
        Ok(())
    }

    /// Called with every term of a training pass, and only those, so that probes and evaluations leave no
    /// trace. [`Learns::state`] must not change yet: the step may still be skipped.
    ///
    /// On several ranks it is called for the batches of all ranks, in the order of the step, with sums that have no
    /// gradient.
    fn after_term(&mut self, _term: &Term) -> Result<()> {
        Ok(())
    }

    /// Whether [`Loss::term`](super::Loss::term) depends on what [`after_term`](Learns::after_term) was told earlier in
    /// the same step. If so, several ranks run the forward passes of a step one after another, each knowing the terms
    /// before it; if not, all at once. The default is `true`, which trains the same student in any case: return `false`
    /// if `term` depends only on [`Learns::state`].
    fn reads_own_step(&self) -> bool {
        true
    }

    /// Called after each optimizer step that was made: only here may [`Learns::state`] change. A step that
    /// was skipped, because of a non-finite loss or gradient, ends without this call.
    fn after_step(&mut self) -> Result<()> {
        Ok(())
    }

    /// Its state from step to step, by its own names, without its parameters.
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// Restores a state that [`Learns::state`] returned; called after [`Learns::prepare`].
    ///
    /// # Errors
    /// Names what is missing or does not fit. The default implementation refuses any state.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::invalid(format!(
                "the loss has the state `{name}` but cannot restore it: implement `restore` in its `Learns`"
            ))),
        }
    }
}

/// Device, dtype and seed for a loss's parameters and state.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Float32, or float64 if the student is in float64.
    pub kind: Kind,
    /// The student's device.
    pub device: Device,
    /// The run's seed, mixed with the loss's position in the plan.
    pub seed: i64,
}
