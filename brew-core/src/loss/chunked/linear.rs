//! A sum over logits that are made some rows at a time, with its gradients taken as it goes.
//!
//! libtorch's autograd would keep every chunk's logits until the backward pass. So each chunk is a
//! graph of its own, from copies of its hidden states and of the output matrix to its part of the sum,
//! and is run backward at once; what is left are gradients G_h and G_w of the whole sum. The result is
//! <h, G_h> + <w, G_w>, whose gradients those are, with the sum's own value put in its place: factors
//! and weights that the caller multiplies by reach the gradients as they should.

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
    let hidden = student.hidden.f_detach()?;
    let weight = leaf(&student.weight.f_to_kind(hidden.kind())?, student.weight.requires_grad())?;
    let teacher_weight = teacher.weight.f_detach()?.f_to_kind(teacher.hidden.kind())?;
    let count = hidden.size().first().copied().unwrap_or(0);

    let mut value = Tensor::f_zeros([], (kind, device))?;
    let mut of_hidden = Vec::new();
    let mut of_weight: Option<Tensor> = None;
    let mut start = 0;
    for &end in ends {
        let length = end - start;
        if length == 0 {
            continue;
        }
        let chunk = leaf(&hidden.f_narrow(0, start, length)?, student.hidden.requires_grad())?;
        let teacher_logits = {
            let _guard = tch::no_grad_guard();
            let hidden = teacher.hidden.f_narrow(0, start, length)?;
            hidden.f_matmul(&teacher_weight.f_tr()?)?.f_to_kind(kind)?
        };
        let logits = wide(&chunk.f_matmul(&weight.f_tr()?)?)?;
        let part = loss(&logits, &teacher_logits, start)?;
        value = value.f_add(&part.f_detach()?)?;
        // Not so without gradients, as in a probe.
        if part.requires_grad() {
            drop((logits, teacher_logits));
            let leaves: Vec<&Tensor> =
                [&chunk, &weight].into_iter().filter(|leaf| leaf.requires_grad()).collect();
            let mut gradients = Tensor::f_run_backward(&[&part], &leaves, false, false)?.into_iter();
            if chunk.requires_grad() {
                of_hidden.extend(gradients.next());
            }
            if let Some(gradient) = gradients.next() {
                let gradient = wide(&gradient)?;
                of_weight = Some(match of_weight.take() {
                    Some(mut sum) => sum.f_add_(&gradient)?,
                    None => gradient,
                });
            }
        }
        start = end;
    }
    let mut carrier: Option<Tensor> = None;
    let of_hidden = if of_hidden.is_empty() { None } else { Some(Tensor::f_cat(&of_hidden, 0)?) };
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

/// The start of a graph of its own.
fn leaf(tensor: &Tensor, requires_grad: bool) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_set_requires_grad(requires_grad)?)
}
