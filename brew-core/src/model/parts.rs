//! The building blocks of transformers: linear layers, layer norms, dropout.
//!
//! A part knows the full names of its parameters, so that saving needs no second list of names and an error
//! of libtorch names the layer that it occurred in.

use tch::{Device, Tensor};

use crate::error::{InStage, Result};
use crate::model::lora::{Adapter, adapted};
use crate::model::weights::Weights;
use crate::native::ffi;
use crate::pass::Pass;

/// `x Wᵀ + b`, for `x` of `(…, inputs)`.
#[derive(Debug)]
pub(crate) struct Linear {
    name: String,
    weight: Tensor,
    bias: Tensor,
    adapter: Option<Adapter>,
}

impl Linear {
    /// Takes `name.weight`, `(outputs, inputs)`, and `name.bias`, `(outputs,)`.
    pub(crate) fn take(weights: &mut Weights, name: String, inputs: i64, outputs: i64) -> Self {
        let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs]);
        let bias = weights.take(&format!("{name}.bias"), &[outputs]);
        let adapter = weights.adapter(&name, (inputs, outputs), &weight);
        Linear { name, weight, bias, adapter }
    }

    /// The same layer, with shared parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        let adapter = self.adapter.as_ref().map(Adapter::shallow_clone);
        Linear { name: self.name.clone(), weight, bias, adapter }
    }

    pub(crate) fn forward(&self, input: &Tensor, pass: &Pass) -> Result<Tensor> {
        let output = input.f_linear(&self.weight, Some(&self.bias)).in_stage(&self.name)?;
        adapted(output, self.adapter.as_ref(), input, pass)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + use<> {
        let adapter = self.adapter.as_ref().map(Adapter::parameters).into_iter().flatten();
        weight_and_bias(&self.name, &self.weight, &self.bias).into_iter().chain(adapter)
    }
}

/// The concatenated outputs of several linear layers with the same input, by one product: three narrow
/// matrices together use the processor better than each alone.
pub(crate) fn forward_together(layers: &[&Linear], input: &Tensor, pass: &Pass) -> Result<Tensor> {
    let name = layers.first().map_or("", |layer| &layer.name);
    let weights: Vec<_> = layers.iter().map(|layer| &layer.weight).collect();
    let biases: Vec<_> = layers.iter().map(|layer| &layer.bias).collect();
    let (weight, bias) = (Tensor::f_cat(&weights, 0), Tensor::f_cat(&biases, 0));
    let output = input.f_linear(&weight.in_stage(name)?, Some(&bias.in_stage(name)?)).in_stage(name)?;
    if layers.iter().all(|layer| layer.adapter.is_none()) {
        return Ok(output);
    }
    let sizes: Vec<i64> = layers.iter().flat_map(|layer| layer.bias.size()).collect();
    let parts = output.f_split_with_sizes(sizes, -1).in_stage(name)?.into_iter().zip(layers);
    let parts = parts.map(|(part, layer)| adapted(part, layer.adapter.as_ref(), input, pass));
    Tensor::f_cat(&parts.collect::<Result<Vec<_>>>()?, -1).in_stage(name)
}

/// `(x - mean) / sqrt(variance + epsilon) · w + b` over the last dimension.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// Takes `name.weight` and `name.bias`, both `(width,)`.
    pub(crate) fn take(weights: &mut Weights, name: String, width: i64, epsilon: f64) -> Self {
        let weight = weights.take(&format!("{name}.weight"), &[width]);
        let bias = weights.take(&format!("{name}.bias"), &[width]);
        LayerNorm { name, weight, bias, epsilon }
    }

    /// The same norm, with shared parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        LayerNorm { name: self.name.clone(), weight, bias, epsilon: self.epsilon }
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input
            .f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
            .in_stage(&self.name)
    }

    pub(crate) fn parameters(&self) -> [(String, Tensor); 2] {
        weight_and_bias(&self.name, &self.weight, &self.bias)
    }
}

fn weight_and_bias(name: &str, weight: &Tensor, bias: &Tensor) -> [(String, Tensor); 2] {
    [(format!("{name}.weight"), weight.shallow_clone()), (format!("{name}.bias"), bias.shallow_clone())]
}

/// Sets values to zero with this probability, or with that of the pass, and scales up the others; only in training
/// passes. `None` where an architecture has no dropout, so that none is set there.
///
/// On the CPU the probability is rounded to a multiple of 2⁻¹⁶, and the scale is that of the rounded
/// probability.
pub(crate) fn dropout(input: Tensor, own: impl Into<Option<f64>>, pass: &Pass) -> Result<Tensor> {
    let probability = own.into().map_or(0.0, |own| pass.dropout(own));
    // Not `<=`, so that one that is not a number is refused.
    if probability == 0.0 {
        return Ok(input);
    }
    match input.device() {
        Device::Cpu => ffi::dropout(&input, None, probability),
        _ => input.f_dropout(probability, true).in_stage("dropout"),
    }
}

/// [`dropout`] of the input, plus the residual: on the CPU in a single pass over both.
pub(crate) fn dropout_and_add(
    input: Tensor,
    residual: &Tensor,
    own: impl Into<Option<f64>>,
    pass: &Pass,
) -> Result<Tensor> {
    let own = own.into();
    let probability = own.map_or(0.0, |own| pass.dropout(own));
    if probability != 0.0 && input.device() == Device::Cpu && input.kind() == residual.kind() {
        return ffi::dropout(&input, Some(residual), probability);
    }
    dropout(input, own, pass)?.f_add(residual).in_stage("residual")
}

#[cfg(test)]
pub(crate) mod tests {
    use tch::Kind;

    use super::{Device, Pass, Tensor, dropout, dropout_and_add};
    use crate::pass::Wants;

    fn training() -> Pass {
        Pass::training(0, Wants::nothing())
    }

    #[test]
    fn dropout_drops_as_often_as_it_says_and_keeps_the_mean() {
        let _turn = crate::native::generator_alone();
        for (kind, probability, count) in [
            (Kind::Float, 0.1, 1_000_003),
            (Kind::Double, 0.5, 300_001),
            (Kind::BFloat16, 0.9, 300_000),
            (Kind::Half, 0.25, 7),
        ] {
            tch::manual_seed(3);
            let input = Tensor::ones([count], (kind, Device::Cpu)).set_requires_grad(true);
            let output = dropout(input.shallow_clone(), probability, &training()).unwrap();
            let dropped = output.eq(0.0).to_kind(Kind::Double).mean(None).double_value(&[]);
            // Five standard deviations of a binomial proportion.
            let deviation = (probability * (1.0 - probability) / count as f64).sqrt();
            assert!((dropped - probability).abs() < 5.0 * deviation, "{kind:?}: dropped {dropped}");
            let kept = output.max().double_value(&[]);
            assert!((kept * (1.0 - probability) - 1.0).abs() < 0.01, "{kind:?}: kept is {kept}");
            output.sum(kind).backward();
            assert_eq!(input.grad(), output.detach(), "the gradient goes where the values went");
        }
    }

    /// Two consecutive draws from one seed; the first is the same with a single thread.
    pub(crate) fn drawn_twice(draw: impl Fn() -> Tensor) -> (Tensor, Tensor) {
        let threads = tch::get_num_threads();
        tch::manual_seed(9);
        let (first, second) = (draw(), draw());
        tch::set_num_threads(1);
        tch::manual_seed(9);
        let again = draw();
        tch::set_num_threads(threads);
        assert_eq!(first, again);
        (first, second)
    }

    #[test]
    fn a_mask_follows_from_the_seed_whatever_the_threads_and_is_new_each_time() {
        let _turn = crate::native::generator_alone();
        let input = Tensor::ones([64, 1024], (Kind::Float, Device::Cpu));
        let (first, second) = drawn_twice(|| dropout(input.shallow_clone(), 0.3, &training()).unwrap());
        let equal = first.eq_tensor(&second).to_kind(Kind::Double).mean(None).double_value(&[]);
        // Both kept or both dropped: 0.7² + 0.3².
        assert!((equal - 0.58).abs() < 0.01, "{equal} of two masks are equal");
    }

    #[test]
    fn dropout_with_a_residual_is_dropout_and_then_a_sum() {
        let _turn = crate::native::generator_alone();
        let input = Tensor::rand([5, 33], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let residual = Tensor::rand([5, 33], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        tch::manual_seed(4);
        let both = dropout_and_add(input.shallow_clone(), &residual, 0.4, &training()).unwrap();
        tch::manual_seed(4);
        let one = dropout(input.shallow_clone(), 0.4, &training()).unwrap();
        assert_eq!(both, &one + &residual);
        both.square().sum(Kind::Double).backward();
        assert_eq!(residual.grad(), both.detach() * 2.0);
        assert_eq!(input.grad(), both.detach() * 2.0 * one.ne(0.0) * (65536.0 / (65536.0 - 26214.0)));
        let evaluation = Pass::evaluation(Wants::nothing());
        assert_eq!(dropout(input.shallow_clone(), 0.4, &evaluation).unwrap(), input);
        let error = dropout(input, 1.0, &training()).unwrap_err().to_string();
        assert!(error.contains("it must lie in [0, 1)"), "{error}");
    }
}
