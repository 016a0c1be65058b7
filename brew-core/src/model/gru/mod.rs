//! A small recurrent student: embeddings, a bidirectional GRU, and a head for sequences or tokens.
//!
//! TextBrewer's results include a BiGRU distilled from BERT. This one has the same batch and output types as
//! brew's BERTs, so that one adaptor serves both sides: hidden states are the embeddings followed by each
//! layer's outputs, and there are no attention maps. Its outputs equal those of PyTorch's `nn.GRU` over
//! packed sequences.

mod config;
mod folder;
mod layer;
mod sequence;
mod token;
mod told;

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::OnceLock;

use tch::{Device, Tensor};

pub use config::BiGruConfig;
pub use sequence::{BiGruForSequenceClassification, SequenceTask};
pub use token::{BiGruForTokenClassification, TokenTask};

use self::layer::{GruLayer, Packing};
use super::ProblemType;
use super::bert::renew_linear;
use super::cross_entropy::CrossEntropy;
use super::documents::one_document_per_row;
use super::normal::{normal, uniform};
use super::parts::{Linear, dropout};
use super::problem::HeadProblem;
use super::weights::Weights;
use crate::error::{Error, InStage, Result};
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::role;

/// The name of the embeddings.
const EMBEDDINGS: &str = "embeddings.weight";
/// The name of the head.
const CLASSIFIER: &str = "classifier";

/// A task of a [`BiGru`]. Only brew's own types implement it.
pub trait BiGruTask: Send + std::fmt::Debug + 'static {
    /// The task in the class name: the part after `BiGruFor`.
    const NAME: &'static str;

    /// The fixed problem type of its labels; `None` if its config or its labels decide.
    const PROBLEM: Option<ProblemType> = None;
}

/// Embeddings, bidirectional GRU layers and a linear head: see [`BiGruForSequenceClassification`] and
/// [`BiGruForTokenClassification`].
#[derive(Debug)]
pub struct BiGru<T> {
    config: BiGruConfig,
    embeddings: Tensor,
    layers: Vec<GruLayer>,
    classifier: Linear,
    problem: HeadProblem,
    cross_entropy: CrossEntropy,
    /// Class names taken over from the teacher or the data, if the config has none.
    learned_names: OnceLock<Vec<String>>,
    /// The tokenizer files that are saved with the model.
    companions: Vec<PathBuf>,
    task: PhantomData<T>,
}

/// The layers' output for a batch.
struct Encoded {
    /// `(batch, length, 2 hidden)`, 0 at padding.
    last: Tensor,
    /// The last state of each direction, `(batch, 2 hidden)`.
    ends: Tensor,
    hidden_states: Vec<Tensor>,
}

impl<T: BiGruTask> BiGru<T> {
    /// A model with new weights, the same for the same seed: embeddings from N(0, 1) and layers uniform in
    /// ±1/√hidden, as in PyTorch's modules; the head from N(0, 0.02) with bias 0.
    ///
    /// # Errors
    /// Lists every invalid value of the config.
    pub fn new(config: BiGruConfig, seed: u64, device: Device) -> Result<Self> {
        config.check()?;
        let mut weights = Weights::new("a new BiGRU", device, []);
        let draw =
            |values: &[f32], shape: &[i64]| Ok::<_, Error>(Tensor::f_from_slice(values)?.f_reshape(shape)?);
        let shape = [config.vocab_size, config.embedding_size];
        weights.set(EMBEDDINGS, draw(&normal(seed, scalars(&shape), 1.0), &shape)?);
        let bound = 1.0 / (config.hidden_size as f64).sqrt();
        for (place, (name, shape)) in (1..).zip(config.layer_parameters()) {
            let seed = seed.wrapping_add(place << 32);
            weights.set(name, draw(&uniform(seed, scalars(&shape), bound), &shape)?);
        }
        let outputs = i64::try_from(config.num_labels).unwrap_or(i64::MAX);
        renew_linear(&mut weights, CLASSIFIER, (2 * config.hidden_size, outputs), 0.02, seed)?;
        Self::build(config, weights, Vec::new())
    }

    /// Builds the model from weights, all of which must exist.
    fn build(config: BiGruConfig, mut weights: Weights, companions: Vec<PathBuf>) -> Result<Self> {
        let outputs = i64::try_from(config.num_labels).unwrap_or(i64::MAX);
        let model = BiGru {
            embeddings: weights.take(EMBEDDINGS, &[config.vocab_size, config.embedding_size]),
            layers: (0..config.num_hidden_layers)
                .map(|layer| GruLayer::take(&mut weights, &config, layer))
                .collect(),
            classifier: Linear::take(&mut weights, CLASSIFIER.to_owned(), 2 * config.hidden_size, outputs),
            problem: HeadProblem::new(config.problem_type),
            cross_entropy: CrossEntropy::default(),
            learned_names: OnceLock::new(),
            config,
            companions,
            task: PhantomData,
        };
        weights.finish()?;
        Ok(model)
    }

    /// The same model with a copy of these embeddings, `(vocab_size, embedding_size)`, for example those of a
    /// teacher with the same tokenizer.
    ///
    /// # Errors
    /// Embeddings of a different shape.
    pub fn with_embeddings(mut self, embeddings: &Tensor) -> Result<Self> {
        if embeddings.size() != self.embeddings.size() {
            return Err(Error::invalid(format!(
                "the embeddings are {:?}, but the model's are {:?}: set vocab_size and embedding_size in its config",
                embeddings.size(),
                self.embeddings.size()
            )));
        }
        let _guard = tch::no_grad_guard();
        self.embeddings.f_copy_(embeddings).in_stage(EMBEDDINGS)?;
        Ok(self)
    }

    /// The same model with frozen embeddings.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn freeze_embeddings(self) -> Result<Self> {
        let _ = self.embeddings.f_set_requires_grad(false).in_stage(EMBEDDINGS)?;
        Ok(self)
    }

    /// Sizes, dropout and classes from when the model was created.
    pub fn config(&self) -> &BiGruConfig {
        &self.config
    }

    /// Everything below the head.
    fn encode(&self, input_ids: &Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<Encoded> {
        let shape = input_ids.size();
        if shape.len() != 2 || attention_mask.size() != shape {
            return Err(Error::invalid(format!(
                "`input_ids` is {shape:?} and `attention_mask` {:?}; both must be (batch, length)",
                attention_mask.size()
            )));
        }
        let pad = self.config.pad_token_id.unwrap_or(-1);
        let mut states =
            Tensor::f_embedding(&self.embeddings, input_ids, pad, false, false).in_stage(EMBEDDINGS)?;
        one_document_per_row(attention_mask)?;
        let packing = Packing::of(attention_mask)?.to_device(input_ids.device())?;
        let wanted = |layer| pass.wants().layer::<role::Hidden>(layer, self.layers.len() + 1);
        let keep =
            |layer, states: &Tensor| if wanted(layer) { states.shallow_clone() } else { Tensor::new() };
        let mut hidden_states = vec![keep(0, &states)];
        let mut ends = Tensor::new();
        for (number, layer) in (1..).zip(&self.layers) {
            let input = dropout(states, self.config.dropout, pass)?;
            (states, ends) = layer.forward(&input, &packing)?;
            hidden_states.push(keep(number, &states));
        }
        Ok(Encoded { last: states, ends, hidden_states })
    }

    fn classify(&self, states: Tensor, pass: &Pass) -> Result<Tensor> {
        self.classifier.forward(&dropout(states, self.config.dropout, pass)?, pass)
    }

    fn named_parameters(&self) -> Parameters {
        let embeddings = [(EMBEDDINGS.to_owned(), self.embeddings.shallow_clone())];
        let layers = self.layers.iter().flat_map(GruLayer::parameters);
        Parameters::new(embeddings.into_iter().chain(layers).chain(self.classifier.parameters()))
    }
}

fn scalars(shape: &[i64]) -> usize {
    usize::try_from(shape.iter().product::<i64>()).unwrap_or(0)
}
