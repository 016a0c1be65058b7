//! One side of the contrast: its learned map, its bank of vectors and its constant.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::super::Place;
use super::super::vectors::unit;
use crate::error::{Error, Result};
use crate::words::shape;

const EPSILON: f64 = 1e-7;

/// The state of one side.
#[derive(Debug)]
pub(super) struct Bank {
    /// `(width, features)`.
    weight: Tensor,
    /// `(width,)`.
    bias: Tensor,
    /// `(rows, width)`, each of length 1.
    vectors: Tensor,
    /// Z of this side's vectors.
    pub(super) constant: Constant,
}

/// Z of a side's vectors, `(1,)`: 0 until it is fixed by the first batch of the first step that is not
/// skipped.
#[derive(Debug)]
pub(super) struct Constant {
    kept: Tensor,
    /// The divisor of the current step's batches.
    of_step: Option<Tensor>,
}

impl Constant {
    /// Records the divisor of a batch of the current step: the first batch's own, which the others reuse.
    pub(super) fn of_batch(&mut self, divisor: Tensor) {
        self.of_step = Some(divisor);
    }

    /// Whether no step has fixed it yet.
    pub(super) fn is_open(&self) -> bool {
        // A value that cannot be read counts as open, which is right in any case.
        self.kept.f_double_value(&[0]).map_or(true, |kept| kept == 0.0)
    }

    /// The step was made.
    pub(super) fn keep(&mut self) {
        if let Some(of_step) = self.of_step.take() {
            self.kept = of_step;
        }
    }

    /// The step was skipped.
    pub(super) fn forget(&mut self) {
        self.of_step = None;
    }
}

impl Bank {
    /// Random vectors in the bank; the map is initialized like PyTorch's linear layers, in ±1 /
    /// sqrt(features).
    pub(super) fn new(features: i64, width: i64, rows: i64, place: &Place) -> Result<Self> {
        // Drawn on the CPU, so that the initial values do not depend on the device.
        let cpu = (place.kind, Device::Cpu);
        let bound = 1.0 / (features.max(1) as f64).sqrt();
        let leaf = |size: &[i64]| -> Result<Tensor> {
            let drawn = Tensor::f_rand(size, cpu)?.f_mul_scalar(2.0 * bound)?.f_sub_scalar(bound)?;
            Ok(drawn.f_to_device(place.device)?.f_set_requires_grad(true)?)
        };
        Ok(Bank {
            weight: leaf(&[width, features])?,
            bias: leaf(&[width])?,
            vectors: unit(&Tensor::f_randn([rows, width], cpu)?, 1)?.f_to_device(place.device)?,
            constant: Constant { kept: Tensor::f_zeros([1], (place.kind, place.device))?, of_step: None },
        })
    }

    pub(super) fn parameters(&self, side: &str) -> [(String, Tensor); 2] {
        [
            (format!("{side}.weight"), self.weight.shallow_clone()),
            (format!("{side}.bias"), self.bias.shallow_clone()),
        ]
    }

    pub(super) fn state(&self, side: &str) -> Result<[(String, Tensor); 2]> {
        // Copies, because the bank is updated in place.
        Ok([
            (format!("{side}_bank"), copy(&self.vectors)?),
            (format!("{side}_constant"), copy(&self.constant.kept)?),
        ])
    }

    pub(super) fn restore(&mut self, side: &str, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (part, tensor) in [("bank", &mut self.vectors), ("constant", &mut self.constant.kept)] {
            let name = format!("{side}_{part}");
            let given =
                state.get(&name).ok_or_else(|| Error::invalid(format!("the state lacks `{name}`")))?;
            if given.size() != tensor.size() {
                return Err(Error::invalid(format!(
                    "`{name}` is {}; it must be {}",
                    shape(&given.size()),
                    shape(&tensor.size())
                )));
            }
            tensor.f_copy_(given)?;
        }
        Ok(())
    }

    /// e, `(batch, width)`.
    pub(super) fn embed(&self, vectors: &Tensor) -> Result<Tensor> {
        let kind = self.weight.kind();
        unit(&vectors.f_to_kind(kind)?.f_linear(&self.weight, Some(&self.bias))?, 1)
    }

    /// Contrasts the other side's vectors with this side's bank, one value per example. `constant` is Z of
    /// those vectors; if it is not fixed yet, the batch's own is used. The second value is the Z that was
    /// used.
    pub(super) fn contrast(
        &self,
        constant: &Constant,
        vectors: &Tensor,
        rows: &Tensor,
        temperature: f64,
    ) -> Result<(Tensor, Tensor)> {
        let (batch, columns) = rows.size2()?;
        let (count, width) = self.vectors.size2()?;
        let picked =
            self.vectors.f_index_select(0, &rows.f_flatten(0, 1)?)?.f_view([batch, columns, width])?;
        let scores = picked.f_bmm(&vectors.f_unsqueeze(2)?)?.f_squeeze_dim(2)?;
        let out = scores.f_div_scalar(temperature)?.f_exp()?;
        let found = out.f_detach()?.f_mean(out.kind())?.f_mul_scalar(count as f64)?.f_view([1])?;
        let known = constant.of_step.as_ref().unwrap_or(&constant.kept);
        let divisor = known.f_where_self(&known.f_ne(0.0)?, &found)?;
        let out = out.f_div(&divisor)?;
        let noise = (columns - 1) as f64 / count as f64;
        let all = out.f_add_scalar(noise + EPSILON)?;
        let own = out.f_select(1, 0)?.f_div(&all.f_select(1, 0)?)?.f_log()?;
        let others = all.f_slice(1, 1, None, 1)?.f_reciprocal()?.f_mul_scalar(noise)?.f_log()?;
        Ok((own.f_add(&others.f_sum_dim_intlist(1, false, None)?)?.f_neg()?, divisor))
    }

    /// Updates the vectors of these rows: m old + (1 - m) new, divided by its norm.
    pub(super) fn move_towards(&mut self, rows: &Tensor, vectors: &Tensor, momentum: f64) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let old = self.vectors.f_index_select(0, rows)?.f_mul_scalar(momentum)?;
        let new = unit(&old.f_add(&vectors.f_mul_scalar(1.0 - momentum)?)?, 1)?;
        let _ = self.vectors.f_index_copy_(0, rows, &new)?;
        Ok(())
    }
}

fn copy(tensor: &Tensor) -> Result<Tensor> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

/// Uniformly drawn rows of the data.
pub(super) fn drawn(rows: i64, size: [i64; 2], device: Device) -> Result<Tensor> {
    // On the CPU, so that every device draws the same.
    Ok(Tensor::f_randint(rows, size, (Kind::Int64, Device::Cpu))?.f_to_device(device)?)
}
