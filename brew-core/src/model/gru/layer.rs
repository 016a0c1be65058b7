//! One bidirectional GRU layer over sequences of different lengths.
//!
//! It uses libtorch's kernel for packed sequences: padding is never read, and the reverse direction starts at
//! each sequence's last token.

use tch::{Device, Kind, Tensor};

use super::config::BiGruConfig;
use crate::error::{Error, InStage, Result};
use crate::model::weights::Weights;

/// `r, z = σ(W x + b + U h + c)`, `n = tanh(W x + b + r (U h + c))`, `h' = (1 - z) n + z h`, in both
/// directions (Cho et al. 2014, in PyTorch's form).
#[derive(Debug)]
pub(super) struct GruLayer {
    name: String,
    hidden_size: i64,
    /// By name, in libtorch's order.
    parameters: Vec<(String, Tensor)>,
}

impl GruLayer {
    pub(super) fn take(weights: &mut Weights, config: &BiGruConfig, layer: usize) -> Self {
        let parameters = config.layer_parameters_of(layer).into_iter().map(|(name, shape)| {
            let tensor = weights.take(&name, &shape);
            (name, tensor)
        });
        GruLayer {
            name: format!("gru layer {layer}"),
            hidden_size: config.hidden_size,
            parameters: parameters.collect(),
        }
    }

    /// The states at each token, `(batch, length, 2 hidden)`, 0 at padding; and the last state of each
    /// direction, `(batch, 2 hidden)`.
    pub(super) fn forward(&self, input: &Tensor, packing: &Packing) -> Result<(Tensor, Tensor)> {
        self.run(input, packing).in_stage(&self.name)
    }

    fn run(&self, input: &Tensor, packing: &Packing) -> Result<(Tensor, Tensor)> {
        let sorted = input.f_index_select(0, &packing.order)?;
        let (data, sizes) = sorted.f_internal_pack_padded_sequence(&packing.lengths, true)?;
        let rows = packing.order.numel() as i64;
        let start = Tensor::f_zeros([2, rows, self.hidden_size], (input.f_kind()?, input.device()))?;
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|(_, tensor)| tensor).collect();
        let (states, ends) = Tensor::f_gru_data(&data, &sizes, &start, &tensors, true, 1, 0.0, false, true)?;
        let (states, _) = Tensor::f_internal_pad_packed_sequence(&states, &sizes, true, 0.0, packing.length)?;
        let ends = ends.f_transpose(0, 1)?.f_reshape([rows, 2 * self.hidden_size])?;
        Ok((states.f_index_select(0, &packing.place)?, ends.f_index_select(0, &packing.place)?))
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
    }
}

/// A batch's rows sorted from the longest to the shortest.
#[derive(Debug)]
pub(super) struct Packing {
    /// The lengths in sorted order, int64 on the CPU.
    lengths: Tensor,
    /// The batch's row at each place of the sorted order.
    order: Tensor,
    /// The place in the sorted order of each row of the batch.
    place: Tensor,
    /// The length of the batch, padding included.
    length: i64,
}

impl Packing {
    /// Reads the lengths from a mask, `(batch, length)`: 1 for tokens, then 0 to the end.
    ///
    /// # Errors
    /// A row with a token after padding. A row without tokens is treated as having one.
    pub(super) fn of(mask: &Tensor) -> Result<Self> {
        let mask = mask.f_to_device(Device::Cpu)?.f_ne(0)?;
        let length = mask.size()[1];
        let lengths = mask.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64)?;
        let prefix = Tensor::f_arange(length, (Kind::Int64, Device::Cpu))?
            .f_unsqueeze(0)?
            .f_lt_tensor(&lengths.f_unsqueeze(1)?)?;
        if !prefix.f_equal(&mask)? {
            return Err(Error::invalid(
                "a row of `attention_mask` has a token after padding: a BiGRU needs padding at the end",
            ));
        }
        let (lengths, order) = lengths.f_clamp_min(1)?.f_sort_stable(true, 0, true)?;
        let place = order.f_argsort(0, false)?;
        Ok(Packing { lengths, order, place, length })
    }

    /// The same with the orders on a device; libtorch requires the lengths on the CPU.
    pub(super) fn to_device(&self, device: Device) -> Result<Self> {
        Ok(Packing {
            lengths: self.lengths.shallow_clone(),
            order: self.order.f_to_device(device)?,
            place: self.place.f_to_device(device)?,
            length: self.length,
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{BiGruConfig, GruLayer, Packing};
    use crate::model::weights::Weights;

    // torch 2.11.0:
    // gru = torch.nn.GRU(3, 2, num_layers=2, bidirectional=True, batch_first=True)
    // for k, (n, p) in enumerate(sorted(gru.named_parameters())):
    //     p.data = (.4 * torch.sin(.7 * torch.arange(p.numel(), dtype=torch.float64) + k)).reshape(p.shape).float()
    // x = torch.sin(.9 * torch.arange(24, dtype=torch.float64)).float().reshape(2, 4, 3)
    // out, h = gru(pack_padded_sequence(x, [2, 4], batch_first=True, enforce_sorted=False))
    // out, _ = pad_packed_sequence(out, batch_first=True, total_length=4)
    // print(out.flatten(), torch.cat([h[2], h[3]], 1).flatten()); out.pow(2).sum().backward()
    // print(gru.weight_hh_l0_reverse.grad[0, 0], gru.bias_ih_l1.grad[0])
    const STATES: [f32; 32] = [
        0.0072785, -0.0836634, -0.0362284, -0.3492284, 0.0818953, -0.1978402, 0.0146699, -0.3325422, 0.0,
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1085887, -0.2362866, -0.0156346, -0.4463319, 0.1292178,
        -0.2343259, 0.0330562, -0.4480934, 0.1877011, -0.3009259, 0.0228699, -0.4245684, 0.1289697,
        -0.1930648, -0.0176424, -0.2762008,
    ];
    const ENDS: [f32; 8] =
        [0.0818953, -0.1978402, -0.0362284, -0.3492284, 0.1289697, -0.1930648, -0.0156346, -0.4463319];
    const GRADIENTS: [f64; 2] = [-0.0026803, -0.0816379];

    fn sines(count: usize, factor: f64, step: f64, start: f64) -> Tensor {
        let values: Vec<f32> =
            (0..count).map(|i| (factor * (step * i as f64 + start).sin()) as f32).collect();
        Tensor::from_slice(&values)
    }

    fn off(found: &Tensor, golden: &[f32]) -> f64 {
        (found.reshape([-1]) - Tensor::from_slice(golden)).abs().max().double_value(&[])
    }

    #[test]
    fn states_and_gradients_are_those_of_torch() {
        let config =
            BiGruConfig { embedding_size: 3, hidden_size: 2, num_hidden_layers: 2, ..Default::default() };
        let mut named: Vec<_> = config.layer_parameters().collect();
        named.sort();
        let stored = named.into_iter().enumerate().map(|(place, (name, shape))| {
            let count = shape.iter().product::<i64>() as usize;
            (name, Ok(sines(count, 0.4, 0.7, place as f64).reshape(shape)))
        });
        let mut weights = Weights::new("a test", Device::Cpu, stored);
        let layers = [0, 1].map(|layer| GruLayer::take(&mut weights, &config, layer));
        weights.finish().unwrap();

        let input = sines(24, 1.0, 0.9, 0.0).reshape([2, 4, 3]);
        let packing = Packing::of(&Tensor::from_slice2(&[[1_i64, 1, 0, 0], [1, 1, 1, 1]])).unwrap();
        let (states, _) = layers[0].forward(&input, &packing).unwrap();
        let (states, ends) = layers[1].forward(&states, &packing).unwrap();
        assert!(off(&states, &STATES) < 1e-6, "{}", off(&states, &STATES));
        assert!(off(&ends, &ENDS) < 1e-6, "{}", off(&ends, &ENDS));

        states.square().sum(Kind::Float).backward();
        let gradient = |layer: usize, name: &str| {
            let (_, tensor) = layers[layer].parameters().find(|(found, _)| found == name).unwrap();
            tensor.grad().reshape([-1]).double_value(&[0])
        };
        assert!((gradient(0, "gru.weight_hh_l0_reverse") - GRADIENTS[0]).abs() < 1e-6);
        assert!((gradient(1, "gru.bias_ih_l1") - GRADIENTS[1]).abs() < 1e-6);
    }
}
