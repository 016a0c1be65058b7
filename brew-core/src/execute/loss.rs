//! Runs the stages of losses and of their sum.

use tch::Tensor;

use super::held::Held;
use super::reads::LossInputs;
use super::run::PassInputs;
use super::window::Divided;
use super::{Executor, Noted, Window, balance, reads};
use crate::adaptor::Adaptor;
use crate::error::{Error, InStage as _, Result};
use crate::loss::{Loss, Term};
use crate::plan::StageId;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// The value of a loss: the sum of its terms, each divided by its count.
    pub(super) fn loss<B>(&self, id: StageId, inputs: &PassInputs<'_, B>, held: &mut Held) -> Result<Tensor> {
        let weighed = self.weighed(id)?;
        let (value, terms) = self.terms(id, &*weighed.loss(), inputs.window, held)?;
        // Only a training pass is part of a step.
        let mut of_step = terms.into_iter().filter(|term| term.sum.requires_grad());
        if inputs.notes_apart {
            if weighed.learns(|_| ()).is_some() {
                for term in of_step {
                    held.noted.push(Noted { stage: id, term: term.detached()? });
                }
            }
        } else {
            weighed.learns(|learns| of_step.try_for_each(|term| learns.after_term(&term))).transpose()?;
        }
        Ok(value)
    }

    /// Tells losses of terms that passes left in [`StepLosses::noted`](super::StepLosses), of this process or another.
    pub(crate) fn note(&self, noted: &[Noted]) -> Result<()> {
        for Noted { stage, term } in noted {
            let name = self.plan().stage(*stage).map_or("", |stage| &stage.name);
            self.weighed(*stage)?.learns(|learns| learns.after_term(term)).transpose().in_stage(name)?;
        }
        Ok(())
    }

    /// The value of a loss and its terms: one per head.
    fn terms(
        &self,
        id: StageId,
        loss: &dyn Loss,
        window: Option<&Window>,
        held: &mut Held,
    ) -> Result<(Tensor, Vec<Term>)> {
        let LossInputs { role, mask, pairs } = reads::gather(self.plan(), id, loss, &self.orders, held)?;
        let (mut total, mut terms): (Option<Tensor>, _) = (None, Vec::new());
        let heads = pairs.len();
        for (head, (student, teacher)) in pairs.into_iter().enumerate() {
            reads::same_masks(loss, &student, &teacher)?;
            let term = loss.term(&student, &teacher)?;
            let value = match window {
                Some(window) => window.divide(&term, &Divided { loss, role: &role, mask, head, heads })?,
                None => term.mean()?,
            };
            total = Some(match total {
                Some(sum) => sum.f_add(&value)?,
                None => value,
            });
            terms.push(term);
        }
        let total = total.ok_or_else(|| Error::invalid("a loss has nothing to compare"))?;
        Ok((total, terms))
    }

    /// The weighted and balanced sum of the terms.
    pub(super) fn sum<B>(&self, id: StageId, inputs: &PassInputs<'_, B>, held: &mut Held) -> Result<Tensor> {
        let (semantics, pass) = (self.plan().semantics(), inputs.pass);
        let mut terms = Vec::new();
        for (flow, from, _) in self.plan().inputs(id) {
            let values = held.flows.remove(&flow).unwrap_or_default();
            let name = self.plan().stage(from).map_or_else(String::new, |stage| stage.name.clone());
            let weight = self.weighed(from)?.weight.at(semantics, pass.step(), pass.steps());
            let weighed = |value| balance::WeighedTerm { name: name.clone(), value, weight };
            terms.extend(values.into_iter().map(weighed));
        }
        // This batch's share of the optimizer step.
        let share = inputs.window.map_or(1.0, Window::share);
        balance::sum(self.plan().balance(), &self.variances, &terms, share)
    }
}
