//! A user's own loss whose terms depend on the batches before them in the same step.

use std::collections::BTreeMap;

use brew_core::loss::{Features, Gives, Learns, Loss, SoftTargets, Term};
use brew_core::prelude::*;
use brew_core::role::Logits;

/// The squared difference of the logits, less of it the more the step has had, and than the step before had.
#[derive(Debug, Default)]
pub(crate) struct Running {
    of_step: f64,
    before: f64,
}

impl Loss for Running {
    fn name(&self) -> &'static str {
        "running"
    }
    fn mismatches(&self, _: &Features, _: &Features) -> Vec<String> {
        Vec::new()
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let squares = student.tensors[0].f_sub(&teacher.tensors[0])?.f_square()?;
        Term::rows(&squares.f_mean_dim(-1, false, None)?)?.times(1.0 / (1.0 + self.of_step + self.before))
    }
}

impl Learns for Running {
    fn before_step(&mut self, _: u64, _: u64) -> Result<()> {
        self.of_step = 0.0;
        Ok(())
    }
    fn after_term(&mut self, term: &Term) -> Result<()> {
        self.of_step += term.mean()?.f_double_value(&[])?;
        Ok(())
    }
    fn after_step(&mut self) -> Result<()> {
        self.before = self.of_step;
        Ok(())
    }
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok([("before".to_owned(), Tensor::from(self.before))].into())
    }
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.before = state["before"].f_double_value(&[])?;
        Ok(())
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Running {}
