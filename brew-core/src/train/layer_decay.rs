//! Layer-wise learning rate decay: learning rates that fall layer by layer towards the input.

use crate::parameters::Parameters;

/// The factor of each parameter's learning rate, by its name.
#[derive(Debug)]
pub(super) struct LayerFactors {
    factor: f64,
    layers: u32,
}

impl LayerFactors {
    /// Counts the layers by the names of these parameters.
    pub(super) fn of(parameters: &Parameters, factor: f64) -> Self {
        let layers = parameters.iter().filter_map(|(name, _)| layer_of(name)).max();
        LayerFactors { factor, layers: layers.map_or(0, |last| last + 1) }
    }

    /// The factor of a parameter; 1 outside layers and embeddings, such as in a head.
    pub(super) fn factor(&self, name: &str) -> f64 {
        let below = match layer_of(name) {
            Some(layer) => self.layers - layer.min(self.layers),
            None if name.contains("embeddings") => self.layers + 1,
            None => 0,
        };
        self.factor.powi(i32::try_from(below).unwrap_or(i32::MAX))
    }
}

/// The layer's index in a parameter's name: 3 in `bert.encoder.layer.3.output.dense.weight`.
fn layer_of(name: &str) -> Option<u32> {
    let mut parts = name.split('.').skip_while(|part| !matches!(*part, "layer" | "layers"));
    parts.next()?;
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn layers_count_from_the_head_down() {
        let names = [
            "bert.embeddings.word_embeddings.weight",
            "bert.encoder.layer.0.output.dense.weight",
            "bert.encoder.layer.2.output.dense.weight",
            "classifier.weight",
        ];
        let tensor = || Tensor::zeros([1], (Kind::Float, Device::Cpu));
        let parameters = Parameters::new(names.map(|name| (name.to_owned(), tensor())));
        let factors = LayerFactors::of(&parameters, 0.5);
        assert_eq!(names.map(|name| factors.factor(name)), [0.0625, 0.125, 0.5, 1.0]);
    }
}
