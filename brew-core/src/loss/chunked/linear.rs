//! A sum over logits that are made some rows at a time, with its gradients taken as it goes.
//!
//! libtorch's autograd would keep every chunk's logits until the backward pass. So each chunk's logits are
//! a graph of their own, which is run backward to them at once; the products that lead from there to the
//! hidden states and the output matrix are added to two buffers, G_h and G_w, made once for all chunks, so
//! that nothing of a chunk outlives it. The result is <h, G_h> + <w, G_w>, whose gradients those are, with
//! the sum's own value put in its place: factors and weights that the caller multiplies by reach the
//! gradients as they should.

use tch::{Kind, Tensor};

use super::super::term::wide;
use crate::error::Result;

/// What makes logits: rows of hidden states, `(rows, width)`, and a matrix, `(vocabulary, width)`.
pub(super) struct Output {
    pub(super) hidden: Tensor,
    pub(super) weight: Tensor,
}

/// The loss of some rows from the logits of both sides, a scalar; the rows start at this one.
pub(super) type OfRows<'f> = dyn Fn(&Tensor, &Tensor, i64) -> Result<Tensor> + 'f;

/// The sum of a loss over all rows, in chunks that end at these rows, with gradients to the student's hidden states and
/// matrix.
pub(super) fn summed(student: &Output, teacher: &Output, ends: &[i64], loss: &OfRows<'_>) -> Result<Tensor> {
    let kind = if student.hidden.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let device = student.hidden.device();
    let count = student.hidden.size().first().copied().unwrap_or(0);
    let student_logits = Logits::of(student)?;
    let teacher_logits = Logits::of(teacher)?;
    let buffer = |of: &Tensor| -> Result<Option<Tensor>> {
        // A view requires a gradient only where gradients are taken at all: not so in a probe.
        let wanted = count > 0 && of.f_narrow(0, 0, 0)?.requires_grad();
        Ok(if wanted { Some(Tensor::f_empty(of.size(), (kind, device))?) } else { None })
    };
    let mut of_hidden = buffer(&student.hidden)?;
    let mut of_weight = buffer(&student.weight)?;
    let wanted = of_hidden.is_some() || of_weight.is_some();
    let mut value = Tensor::f_zeros([], (kind, device))?;
    let mut start = 0;
    for &end in ends {
        let length = end - start;
        if length == 0 {
            continue;
        }
        let logits = wide(&student_logits.at(start, length)?)?.f_set_requires_grad(wanted)?;
        let part = loss(&logits, &teacher_logits.at(start, length)?.f_to_kind(kind)?, start)?;
        let _ = value.f_add_(&part.f_detach()?)?;
        if part.requires_grad() {
            let gradient = Tensor::f_run_backward(&[&part], &[&logits], false, false)?;
            drop((part, logits));
            for gradient in gradient {
                student_logits.back(&gradient, (start, length), &mut of_hidden, &mut of_weight)?;
            }
        }
        start = end;
    }
    let mut carrier: Option<Tensor> = None;
    for (input, gradient) in [(&student.hidden, of_hidden), (&student.weight, of_weight)] {
        let Some(gradient) = gradient else { continue };
        // A dot product keeps no product of the two.
        let input = wide(input)?.f_reshape([-1])?;
        let gradient = gradient.f_to_kind(input.kind())?.f_reshape([-1])?;
        let product = input.f_dot(&gradient)?.f_to_kind(kind)?;
        carrier = Some(match carrier {
            Some(sum) => sum.f_add(&product)?,
            None => product,
        });
    }
    match carrier {
        // The difference is 0, and carries the gradient.
        Some(carrier) => Ok(carrier.f_sub(&carrier.f_detach()?)?.f_add(&value)?),
        // No row counts: a 0 that the student's hidden states are still the source of.
        None if count == 0 => Ok(wide(&student.hidden)?.f_sum(kind)?),
        None => Ok(value),
    }
}

/// The products on both sides of a chunk's logits, outside of any graph.
struct Logits {
    hidden: Tensor,
    weight: Tensor,
}

impl Logits {
    fn of(output: &Output) -> Result<Self> {
        let hidden = output.hidden.f_detach()?;
        let weight = output.weight.f_detach()?.f_to_kind(hidden.kind())?;
        Ok(Logits { hidden, weight })
    }

    /// The logits of some rows, in the model's dtype.
    fn at(&self, start: i64, length: i64) -> Result<Tensor> {
        Ok(self.hidden.f_narrow(0, start, length)?.f_matmul(&self.weight.f_tr()?)?)
    }

    /// What a gradient to those logits is to the hidden states and to the matrix.
    fn back(
        &self,
        gradient: &Tensor,
        (start, length): (i64, i64),
        of_hidden: &mut Option<Tensor>,
        of_weight: &mut Option<Tensor>,
    ) -> Result<()> {
        let gradient = gradient.f_to_kind(self.hidden.kind())?;
        if let Some(all) = of_hidden {
            put_product(&mut all.f_narrow(0, start, length)?, &gradient, &self.weight, false)?;
        }
        if let Some(sum) = of_weight {
            put_product(sum, &gradient.f_tr()?, &self.hidden.f_narrow(0, start, length)?, start > 0)?;
        }
        Ok(())
    }
}

/// Writes a product to a place in float32 or wider, or adds it to what is there. libtorch does so without
/// a block of its own where all are of one dtype.
fn put_product(place: &mut Tensor, left: &Tensor, right: &Tensor, adds: bool) -> Result<()> {
    let _ = match (adds, place.kind() == left.kind()) {
        (true, true) => place.f_addmm_(left, right)?,
        (false, true) => left.f_mm_out(place, right)?,
        (true, false) => place.f_add_(&left.f_matmul(right)?)?,
        (false, false) => {
            place.f_copy_(&left.f_matmul(right)?)?;
            place.shallow_clone()
        }
    };
    Ok(())
}
