//! Minifinetuning: corrects the teacher by mixing in the label until the label leads by a margin.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logit_shapes::logits_mismatches;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Features, temperature::Softened};
use super::log_space::kl;
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use super::target::classes_problem;
use crate::error::Result;
use crate::role::{Labels, Logits};

/// `mft`: mean_r( KL(p', q) ), where p' = (1 - w) p + w onehot(y) with the smallest w in [0, 1] that
/// gives p'_y >= max_{c != y} p'_c + threshold: w = (max_{c != y} p_c - p_y + threshold) /
/// (1 + max_{c != y} p_c - p_y), or 0 where that is negative; p and q at T.
///
/// Rows where the label already leads by the threshold keep the teacher's probabilities. The threshold lies
/// in [0, 1), default 0.2. Labels are `(batch,)` or `(batch, length)`; rows with a negative label count
/// neither in the value nor in the denominator. Shapes, mask, T squared and reduction: see
/// [`logits`](crate::loss::logits).
///
/// Source: the correction of Belcak et al., "Minifinetuning: Low-Data Generation Domain Adaptation through
/// Corrective Self-Distillation" (2025, arXiv:2506.15702). NVIDIA ModelOpt's `MFTLoss` has the same p' if the
/// teacher's best class is not the label. If it is, ModelOpt adds the threshold to the label's probability,
/// up to 1, however far the label leads, and so also sharpens teachers that are right.
///
/// ```
/// use brew_core::loss::{Loss, Mft, Features};
/// use brew_core::role::Labels;
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let student = student.with::<Labels>(Tensor::from_slice(&[0_i64]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// assert!(Mft::at(1.0).threshold(0.2).term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mft {
    softening: Softening,
    threshold: f64,
}

impl Mft {
    /// At a temperature in (0, inf), with a threshold of 0.2.
    pub fn at(temperature: f64) -> Self {
        Mft { softening: Softening::at(temperature), threshold: 0.2 }
    }

    /// By how much the label must lead, in [0, 1).
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        Mft { threshold, ..self }
    }

    /// The log-probabilities of the corrected teacher, from its original ones, `(rows, classes)`.
    fn mended(&self, teacher: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let column = labels.f_unsqueeze(-1)?;
        let probabilities = teacher.f_exp()?;
        let of_label = probabilities.f_gather(-1, &column, false)?;
        let of_next = probabilities.f_scatter_value(-1, &column, -1.0)?.f_amax(-1, true)?;
        let lead = of_next.f_sub(&of_label)?;
        let weight = lead.f_add_scalar(self.threshold)?.f_div(&lead.f_add_scalar(1.0)?)?.f_clamp(0.0, 1.0)?;
        let label = of_label.f_lerp_tensor(&of_label.f_ones_like()?, &weight)?.f_log()?;
        Ok(teacher.f_add(&weight.f_neg()?.f_log1p()?)?.f_scatter(-1, &column, &label)?)
    }
}

softened!(Mft);

impl PerRow for Mft {
    fn name(&self) -> &'static str {
        "mft"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("threshold".to_owned(), json!(self.threshold))])
    }

    fn problems(&self) -> Vec<String> {
        let message = || format!("the threshold is {}; it must lie in [0, 1)", self.threshold);
        (!(0.0..1.0).contains(&self.threshold)).then(message).into_iter().collect()
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn reads_labels(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = logits_mismatches(student, teacher);
        problems.extend(classes_problem(&student.shape()));
        problems
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let Softened { student, teacher, squared } = self.softening.soften(&rows.student, &rows.teacher)?;
        let mended = self.mended(&teacher, rows.labels()?)?;
        self.softening.scale(&kl(&mended, &student)?, &squared)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for Mft {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "mft",
    summary: "divergence from a teacher mixed with the label until that leads by a threshold",
    source: "Minifinetuning 2025, arXiv 2506.15702",
    roles: &["logits"],
    options: &[
        number("threshold", Range::Share, 0.2, "by how much the label must lead, below 1"),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    scheduled: true,
    make: |options| {
        boxed(Mft::at(options.temperature()).threshold(options.number("threshold")).softened(options))
    },
    ..Entry::EMPTY
}];
