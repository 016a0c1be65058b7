//! Sums a loss over logits that are computed some rows at a time, and accumulates its gradients along the
//! way.
//!
//! libtorch's autograd would keep every chunk's logits until the backward pass. Instead, each chunk's logits
//! have their own graph, which is run backward immediately; the products from there to the gradients of the
//! hidden states and the output matrix, and the sum to that of the bias, are accumulated in buffers, G_h, G_w and
//! G_b, so that nothing of a chunk outlives it. The result is <h, G_h> + <w, G_w> + <b, G_b>, which has these
//! gradients, but with its value replaced by the loss's sum: factors that the caller multiplies by therefore reach
//! the gradients correctly.

use tch::{Kind, Tensor};

use super::super::term::wide;
use super::OutputLayer;
use crate::error::Result;

/// The loss of some rows, starting at this one, from the logits of both sides; a scalar.
pub(super) type OfRows<'f> = dyn Fn(&Tensor, &Tensor, i64) -> Result<Tensor> + 'f;

/// The sum of a loss over all rows, in chunks that end at these rows, with gradients to the student's hidden states and
/// matrix.
pub(super) fn summed(
    student: &OutputLayer,
    teacher: &OutputLayer,
    ends: &[i64],
    loss: &OfRows<'_>,
) -> Result<Tensor> {
    let kind = if student.hidden.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let device = student.hidden.device();
    let count = student.hidden.size().first().copied().unwrap_or(0);
    let student_products = Products::of(student)?;
    let teacher_products = Products::of(teacher)?;
    let buffer = |of: &Tensor| -> Result<Option<Tensor>> {
        let wanted = count > 0 && gets_gradient(of)?;
        Ok(if wanted { Some(Tensor::f_empty(of.size(), (kind, device))?) } else { None })
    };
    let mut of_hidden = buffer(&student.hidden)?;
    let mut of_weight = buffer(&student.weight)?;
    let mut of_bias = match &student.bias {
        Some(bias) if count > 0 && gets_gradient(bias)? => {
            Some(Tensor::f_zeros(bias.size(), (kind, device))?)
        }
        _ => None,
    };
    let wanted = of_hidden.is_some() || of_weight.is_some() || of_bias.is_some();
    let [bias, teacher_bias] = [student, teacher].map(|side| side.bias.as_ref().map(Tensor::f_detach));
    let (bias, teacher_bias) = (bias.transpose()?, teacher_bias.transpose()?);
    let mut value = Tensor::f_zeros([], (kind, device))?;
    let mut start = 0;
    for &end in ends {
        let length = end - start;
        if length == 0 {
            continue;
        }
        let products = wide(&student_products.at(start, length)?)?.f_set_requires_grad(wanted)?;
        let logits = student.logits(&products, bias.as_ref())?;
        let of_teacher = teacher_products.at(start, length)?.f_to_kind(kind)?;
        let part = loss(&logits, &teacher.logits(&of_teacher, teacher_bias.as_ref())?, start)?;
        drop((logits, of_teacher));
        let _ = value.f_add_(&part.f_detach()?)?;
        if part.requires_grad() {
            let gradient = Tensor::f_run_backward(&[&part], &[&products], false, false)?;
            drop((part, products));
            for gradient in gradient {
                if let Some(sum) = &mut of_bias {
                    let _ = sum.f_add_(&gradient.f_sum_dim_intlist(0, false, kind)?)?;
                }
                student_products.back(&gradient, (start, length), &mut of_hidden, &mut of_weight)?;
            }
        }
        start = end;
    }
    let mut carrier: Option<Tensor> = None;
    let bias = student.bias.as_ref().unwrap_or(&student.weight);
    for (input, gradient) in [(&student.hidden, of_hidden), (&student.weight, of_weight), (bias, of_bias)] {
        let Some(gradient) = gradient else { continue };
        // A dot product does not store the elementwise product.
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
        // No row counts: a 0 that still depends on the student's hidden states.
        None if count == 0 => Ok(wide(&student.hidden)?.f_sum(kind)?),
        None => Ok(value),
    }
}

/// Whether what is computed of this tensor now gets a gradient: not where gradients are disabled, as in a probe. (A view of
/// a parameter says that it requires one even there.)
fn gets_gradient(of: &Tensor) -> Result<bool> {
    Ok(of.f_narrow(0, 0, 0)?.f_neg()?.requires_grad())
}

/// The products before and after a chunk's logits, outside of any graph.
struct Products {
    hidden: Tensor,
    weight: Tensor,
}

impl Products {
    fn of(output: &OutputLayer) -> Result<Self> {
        let hidden = output.hidden.f_detach()?;
        let weight = output.weight.f_detach()?.f_to_kind(hidden.kind())?;
        Ok(Products { hidden, weight })
    }

    /// The products of some rows, in the model's dtype.
    fn at(&self, start: i64, length: i64) -> Result<Tensor> {
        Ok(self.hidden.f_narrow(0, start, length)?.f_matmul(&self.weight.f_tr()?)?)
    }

    /// Propagates a gradient of those products to the hidden states and to the matrix.
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

/// Writes a product to a place in float32 or wider, or adds it to the existing values. If all dtypes are
/// equal, libtorch does this without a temporary buffer.
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

#[cfg(test)]
mod tests {
    use super::*;

    // Buffers of gradients that nobody computes would hold whatever was in memory, and their products could be NaN.
    #[test]
    fn without_gradients_no_buffer_is_made_for_a_parameter() {
        let parameter = Tensor::ones([3, 2], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
        assert!(gets_gradient(&parameter).unwrap());
        assert!(!gets_gradient(&parameter.detach()).unwrap());
        let _guard = tch::no_grad_guard();
        assert!(!gets_gradient(&parameter).unwrap());
    }
}
