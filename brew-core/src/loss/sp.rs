//! Similarity-preserving distillation: compares which examples of a batch activate a network similarly.
//!
//! With F the features of N examples, one row each, flattened:
//!
//! - G = F F^T with its rows divided by their L2 norms
//! - | G of the student - G of the teacher |_F^2 / N^2
//!
//! Padding counts as 0, and an example of only padding is not among the N. It reads the whole batch;
//! everything except the number of examples may differ between the sides. Source: Tung and Mori,
//! "Similarity-Preserving Knowledge Distillation" (2019). The rows' norm is the L2 norm of the paper;
//! torchdistill divides by L1 norms.

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::examples::Examples;
use super::uses::{MatchLoss, OneLayer};
use super::vectors::unit;
use super::{Average, Features, Loss, Masks, Term, states};
use crate::error::Result;
use crate::role::{Embedding, Hidden};
use crate::words::shape;

/// Squared difference of the similarities of a batch's examples.
///
/// Features are `(batch, …)`: embeddings, hidden states or feature maps.
///
/// ```
/// use brew_core::loss::{Loss, Features, Sp};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice2(&[[1.0, 0.0], [0.0, 1.0]]));
/// let teacher = Features::one(Tensor::from_slice2(&[[1.0, 1.0], [1.0, 1.0]]));
/// // Rows of (1, 0) against rows of (1, 1) / sqrt(2).
/// let expected = (4.0 - 2.0 * 2.0_f64.sqrt()) / 4.0;
/// assert!((Sp.term(&student, &teacher)?.mean()?.double_value(&[]) - expected).abs() < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sp;

impl Loss for Sp {
    fn name(&self) -> &'static str {
        "sp"
    }
    fn masks(&self) -> Masks {
        Masks::Own
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let mut problems = Vec::new();
        if of_student.len() < 2 || of_teacher.len() < 2 || of_student[0] != of_teacher[0] {
            problems.push(format!(
                "the student's features are {}, the teacher's {}; both must be (batch, …) of the same rows",
                shape(&of_student),
                shape(&of_teacher)
            ));
        }
        problems.extend(states::mask_problem("student", student));
        problems.extend(states::mask_problem("teacher", teacher));
        problems
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let teachers_mask = teacher.mask.as_ref().or(student.mask.as_ref());
        let examples = Examples::of(student, teacher)?;
        let student = similarities(student, student.mask.as_ref())?;
        let difference = student.f_sub(&similarities(teacher, teachers_mask)?)?;
        // An example of only padding is 0 on both sides, and so are its rows and columns of G.
        let sum = difference.f_square()?.f_sum(difference.kind())?;
        let rows = difference.size().first().copied().unwrap_or(0);
        let count = examples.number(rows, &sum)?.f_clamp_min(1.0)?;
        examples.batch_term(&sum.f_div(&count.f_square()?)?, rows)
    }
}

/// G of one side.
fn similarities(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let features = read.first()?;
    let mask = mask.filter(|_| features.dim() == 3);
    let flat = states::kept(&features, mask)?.f_flatten(1, -1)?;
    unit(&flat.f_matmul(&flat.f_transpose(0, 1)?)?, 1)
}

impl MatchLoss<Hidden, OneLayer> for Sp {}
impl MatchLoss<Embedding, OneLayer> for Sp {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "sp",
    summary: "squared difference of the similarities of a batch's examples",
    source: "Tung and Mori 2019, arXiv 1907.09682",
    roles: &["hidden", "embedding"],
    make: |_| boxed(Sp),
    ..Entry::EMPTY
}];
