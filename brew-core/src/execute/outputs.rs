//! What the models give for a few rows: by it a run that resumes notices another teacher, and state of the
//! student that its model did not name.

use tch::Tensor;

use super::{Executor, Held};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::Result;
use crate::pass::{Pass, Wants};
use crate::plan::{Owner, StageKind};

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// The features that the plan reads of the student, or of the teachers, in evaluation mode: those of
    /// floating point, by adaptor, role and place.
    pub(crate) fn outputs_of<B: Feeds<T, A::Batch>>(
        &self,
        student: bool,
        batch: &B,
    ) -> Result<Vec<(String, Tensor)>> {
        let asked = |owner: Owner| student == (owner == Owner::Student);
        let _guard = tch::no_grad_guard();
        // A model that draws in evaluation mode too draws the same every time.
        tch::manual_seed(0);
        let pass = Pass::evaluation(Wants::nothing());
        let (mut held, mut named) = (Held::default(), Vec::new());
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match &stage.kind {
                StageKind::Teacher { index } if student || batch.teacher_output(*index).is_some() => {}
                StageKind::Student if !student => {}
                StageKind::Teacher { .. } | StageKind::Student => {
                    held.outputs.insert(id, self.pass_through(id, stage, batch, &pass)?);
                }
                StageKind::Adaptor { owner, .. } if asked(*owner) => {
                    let features = self.adapt(id, *owner, batch, &mut held)?;
                    let flows = self.plan().outputs(id);
                    for ((_, feature), (_, _, flow)) in features.into_iter().zip(flows) {
                        for (place, tensor) in feature?.into_iter().enumerate() {
                            if tensor.defined() && tensor.f_is_floating_point()? {
                                named.push((format!("{}/{flow}.{place}", stage.name), tensor));
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
