//! Whether losses that compute logits themselves compute those of the model, which a forgotten bias, scale or soft cap
//! would change without an error.

use tch::{Kind, Tensor};

use super::classes::{gives, stage_of};
use super::probe::Findings;
use super::{Executor, reads};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::{Error, InStage as _, Result};
use crate::feature::Feature;
use crate::loss::{Features, logits_of};
use crate::model::ErasedModel;
use crate::pass::{Pass, Wants};
use crate::role::{Hidden, Logits, OutputWeight, PARTS_OF_HEAD, Role};
use crate::side::Owner;

/// Logits of more positions would need more memory than the losses are allowed to.
const POSITIONS: usize = 8;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Compares, for one row, the logits of each model with those that its hidden states and output layer give.
    /// Adaptors without logits leave nothing to compare.
    pub(super) fn check_output_layers<B: Feeds<T, A::Batch>>(&self, batch: &B, findings: &mut Findings) {
        let owners = (0..self.pipeline.teachers.len()).map(Owner::Teacher).chain([Owner::Student]);
        for owner in owners.filter(|owner| gives(self.plan(), *owner, &[OutputWeight::NAME])) {
            let checked = match owner {
                // Its weights are float32: autocast would only hide differences in rounding.
                Owner::Student => self.output_layer(self.student(), batch.student(), false),
                Owner::Teacher(index) if batch.teacher_output(index).is_none() => {
                    let low = self.precision.is_some();
                    self.autocast()
                        .and_then(|_autocast| self.output_layer(self.teacher(index)?, batch.teacher(), low))
                }
                Owner::Teacher(_) => Ok(()),
            };
            if let Err(error) = checked {
                findings.problem_of(&stage_of(self.plan(), owner), &error);
            }
        }
    }

    fn output_layer<B: 'static>(&self, model: &dyn ErasedModel<B>, batch: &B, low: bool) -> Result<()> {
        if !model.roles().contains(&Logits::NAME) {
            return Ok(());
        }
        let row = model.rows_of(batch, &[0])?;
        let keys = model.row_keys(&row)?;
        let row = match keys.length > POSITIONS {
            true => model.padded(&row, &keys.padded, POSITIONS, POSITIONS)?,
            false => row,
        };
        let wants = PARTS_OF_HEAD.iter().fold(Wants::nothing(), |wants, role| wants.and_role(*role));
        let wants = wants.and_role(Logits::NAME).and_layer(Hidden::NAME, -1);
        let pass = Pass::evaluation(wants).with_argument(self.pipeline.argument.clone());
        let output = model.forward(&row, &pass)?;
        let read = |role: &str| model.read(role, &row, &*output);
        let logits = read(Logits::NAME)?.map(Feature::into_tensors).unwrap_or_default();
        let [logits] = logits.as_slice() else { return Ok(()) };
        let hidden = reads::pick(Hidden::NAME, read(Hidden::NAME)?, Some(&[-1]))?;
        let mut side = Features::of(hidden);
        for role in PARTS_OF_HEAD {
            let part = read(role)?.map(Feature::into_tensors).unwrap_or_default();
            side.also.extend(part.into_iter().next().map(|tensor| (role, tensor)));
        }
        same(logits, &logits_of(&side)?, low).in_stage("output_weight")
    }
}

/// Refuses logits that differ by more than rounding.
fn same(logits: &Tensor, made: &Tensor, low: bool) -> Result<()> {
    let low = low || matches!(logits.kind(), Kind::Half | Kind::BFloat16);
    let [logits, made] = [logits, made].map(|side| side.f_to_kind(Kind::Double));
    let (logits, made) = (logits?, made?);
    let of_made = if logits.size() == made.size() { logits.f_sub(&made)? } else { logits.shallow_clone() };
    // A model may forbid tokens with -inf, and padding may hold anything: the other logits show whether the head is
    // whole.
    let unknown = logits.f_isfinite()?.f_logical_not()?;
    let largest = |values: &Tensor| -> Result<f64> {
        Ok(values.f_masked_fill(&unknown, 0.0)?.f_abs()?.f_max()?.f_double_value(&[])?)
    };
    let (difference, size) = (largest(&of_made)?, largest(&logits)?);
    if difference.is_nan() || difference > size * if low { 0.05 } else { 1e-3 } {
        return Err(Error::invalid(format!(
            "the model's logits are up to {size:.4}, and those that a loss computes of its adaptor's `hidden`, `output_weight`, `output_bias`, `logit_scale` and `logit_softcap` differ from them by up to {difference:.4}: give the adaptor every part of the model's head, or use the loss over `logits`"
        )));
    }
    Ok(())
}
