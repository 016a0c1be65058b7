//! The student's outputs for a few rows: a resumed run compares them to detect state that the model did not
//! list.

use tch::Tensor;

use super::held::Held;
use super::run::PassInputs;
use super::{Executor, Keys};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::{InStage, Result};
use crate::pass::{Pass, Wants};
use crate::plan::StageKind;
use crate::side::Owner;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// The student's floating-point features that the plan reads, in evaluation mode, by role and index.
    pub(crate) fn student_outputs<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Vec<(String, Tensor)>> {
        let _guard = tch::no_grad_guard();
        // A model that also draws random numbers in evaluation mode draws the same ones every time.
        tch::manual_seed(0);
        let pass = Pass::evaluation(Wants::nothing());
        let inputs = PassInputs { batch, keys: &Keys::new(), pass: &pass, window: None, notes_apart: false };
        let (mut held, mut named) = (Held::default(), Vec::new());
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match &stage.kind {
                StageKind::Student => {
                    held.outputs.insert(id, self.student_output(id, &inputs).in_stage(&stage.name)?);
                }
                StageKind::Adaptor { owner: Owner::Student, .. } => {
                    let features = self.student_features(id, &inputs, &mut held)?;
                    let flows = self.plan().outputs(id);
                    for ((_, feature), (_, _, flow)) in features.into_iter().zip(flows) {
                        for (place, tensor) in feature?.into_iter().enumerate() {
                            if tensor.defined() && tensor.f_is_floating_point()? {
                                named.push((format!("{flow}.{place}"), tensor));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        named.dedup_by(|(left, _), (right, _)| left == right);
        Ok(named)
    }
}
