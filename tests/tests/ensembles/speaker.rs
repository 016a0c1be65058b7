//! Models that always return the same logits.

use brew_core::distill::{GivenBy, Targets};
use brew_core::execute::Executor;
use brew_core::loss::SoftTargets;
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::seq;

/// The columns of the batch.
#[derive(Debug, Batch)]
pub(crate) struct Rows {
    /// `(batch,)` or `(batch, length)`.
    #[column(i64)]
    pub(crate) labels: Tensor,
    /// `(batch,)`.
    #[column(i64)]
    pub(crate) teacher: Tensor,
    /// `(batch, length)`.
    #[column(i64)]
    pub(crate) mask: Tensor,
}

/// The output of a speaker.
#[derive(Debug)]
pub(crate) struct Spoken(pub(crate) Tensor);

/// Returns these logits.
#[derive(Debug)]
pub(crate) struct Speaker(pub(crate) Tensor);

#[distill(batch = Rows)]
impl Speaker {
    fn forward(&self) -> Spoken {
        Spoken(self.0.shallow_clone())
    }
}

impl Model for Speaker {
    fn parameters(&self) -> Parameters {
        Parameters::new([("logits".to_owned(), self.0.shallow_clone())])
    }
}

/// Everything that teachers are combined by.
pub(crate) struct View;
#[adaptor(batch = Rows, output = Spoken)]
impl View {
    fn logits(output: &Spoken) -> &Tensor {
        &output.0
    }
    fn logits_mask(batch: &Rows) -> &Tensor {
        &batch.mask
    }
    fn labels(batch: &Rows) -> &Tensor {
        &batch.labels
    }
    fn teacher_index(batch: &Rows) -> &Tensor {
        &batch.teacher
    }
}

/// A teacher that masks other positions.
pub(crate) struct OtherMaskView;
#[adaptor(batch = Rows, output = Spoken)]
impl OtherMaskView {
    fn logits(output: &Spoken) -> &Tensor {
        &output.0
    }
    fn logits_mask(batch: &Rows) -> Tensor {
        batch.mask.ones_like()
    }
}

/// Three teachers of logits of this shape, and a student: those of the script in `combining`.
pub(crate) fn speakers(shape: &[i64]) -> (Vec<Seen<View>>, Seen<View>) {
    let teachers = [0.9, 1.1, 1.3].map(|pace| Speaker(seq(shape, pace, 0.4, 3.0)).seen_by(View));
    let student = Speaker(seq(shape, 0.7, 0.1, 2.0).set_requires_grad(true)).seen_by(View);
    (teachers.into(), student)
}

/// The loss of these teachers and this student on these rows.
pub(crate) fn loss_of<K>(teachers: Vec<Seen<View>>, student: Seen<View>, loss: K, rows: &Rows) -> Result<f64>
where
    K: Targets,
    K::Loss: SoftTargets<Vec<Seen<View>>, Seen<View>>,
    K::Also: GivenBy<Seen<View>>,
{
    let pipeline = Distill::new(teachers, student).soft_targets(loss).plan()?;
    let executor = Executor::new(&pipeline, 0)?;
    executor.probe(rows)?;
    let pass = Pass::training(0, Wants::nothing());
    let losses = executor.run(rows, &pass, None)?;
    Ok(losses.total.double_value(&[]))
}
