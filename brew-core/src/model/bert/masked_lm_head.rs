//! The head of a masked language model: one score per token of the vocabulary.
//!
//! A linear layer, an activation and a norm, then the matrix of the token embeddings (or one of its own) and a
//! bias. In transformers the bias of BERT and RoBERTa has two names. They are one parameter if the matrix is
//! tied; otherwise only the one beside the matrix is used.

use tch::Tensor;

use super::architecture::Network;
use super::config::BertConfig;
use super::head::{Head, renew_linear};
use crate::error::{InStage, Result};
use crate::model::activation::Activation;
use crate::model::folder::CONFIG;
use crate::model::parts::{LayerNorm, Linear};
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::pass::Pass;

/// The head of a masked language model.
#[derive(Debug)]
pub struct MaskedLmHead {
    dense: Linear,
    activation: Activation,
    norm: LayerNorm,
    /// `(name of the parameter, (tokens, width))`; `None` if it is the embeddings'.
    own: Option<(String, Tensor)>,
    /// `(name of the parameter, (tokens,))`.
    bias: (String, Tensor),
}

/// The names of its parts.
struct Names {
    dense: &'static str,
    norm: &'static str,
    decoder: &'static str,
    /// The bias of a tied matrix.
    bias: &'static str,
}

impl Names {
    fn of(config: &BertConfig) -> Self {
        match config.model_type.network() {
            Network::Bert => Names {
                dense: "cls.predictions.transform.dense",
                norm: "cls.predictions.transform.LayerNorm",
                decoder: "cls.predictions.decoder",
                bias: "cls.predictions.bias",
            },
            Network::Roberta => Names {
                dense: "lm_head.dense",
                norm: "lm_head.layer_norm",
                decoder: "lm_head.decoder",
                bias: "lm_head.bias",
            },
            Network::DistilBert => Names {
                dense: "vocab_transform",
                norm: "vocab_layer_norm",
                decoder: "vocab_projector",
                bias: "vocab_projector.bias",
            },
        }
    }

    fn matrix(&self) -> String {
        format!("{}.weight", self.decoder)
    }

    /// The bias beside the matrix.
    fn beside(&self) -> String {
        format!("{}.bias", self.decoder)
    }

    /// The bias that is used.
    fn used(&self, config: &BertConfig) -> String {
        if config.tie_word_embeddings { self.bias.to_owned() } else { self.beside() }
    }
}

impl Head for MaskedLmHead {
    const TASK: &'static str = "MaskedLM";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);
    const NAMES_CLASSES: bool = false;

    fn output_name(config: &BertConfig) -> &'static str {
        Names::of(config).dense
    }

    fn is_tied(config: &BertConfig) -> bool {
        config.tie_word_embeddings
    }

    fn settle(weights: &mut Weights, config: &BertConfig) -> Result<(), String> {
        let names = Names::of(config);
        let (matrix, beside) = (names.matrix(), names.beside());
        if config.tie_word_embeddings {
            let table = format!("{}.embeddings.word_embeddings.weight", config.model_type.prefix());
            let mend = format!("set tie_word_embeddings to false in {CONFIG} to use both");
            one_of(weights, &table, &matrix, &mend)?;
            return one_of(weights, names.bias, &beside, "keep the one that the model was trained with");
        }
        if !weights.has(&matrix) {
            return Err(format!(
                "tie_word_embeddings is false, but there is no `{matrix}`: if the head uses the embedding matrix, set tie_word_embeddings to true in {CONFIG}"
            ));
        }
        if !weights.has(&beside) {
            weights.rename(names.bias, beside);
        }
        Ok(())
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let names = Names::of(config);
        let (tokens, width) = (config.vocab_size, config.hidden_size);
        let mut named = |name: String, shape: &[i64]| {
            let taken = weights.take(&name, shape);
            (name, taken)
        };
        MaskedLmHead {
            own: (!config.tie_word_embeddings).then(|| named(names.matrix(), &[tokens, width])),
            bias: named(names.used(config), &[tokens]),
            dense: Linear::take(weights, names.dense.to_owned(), width, width),
            activation: match config.model_type.network() {
                Network::Bert | Network::DistilBert => config.hidden_act,
                Network::Roberta => Activation::Gelu,
            },
            norm: LayerNorm::take(weights, names.norm.to_owned(), width, config.layer_norm_eps),
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let names = Names::of(config);
        let (tokens, width, deviation) = (config.vocab_size, config.hidden_size, config.initializer_range);
        renew_linear(weights, names.dense, (width, width), deviation, seed)?;
        let zeros = |size: i64| Tensor::f_zeros([size], (tch::Kind::Float, tch::Device::Cpu));
        weights.set(format!("{}.weight", names.norm), zeros(width)?.f_ones_like().in_stage(names.norm)?);
        weights.set(format!("{}.bias", names.norm), zeros(width).in_stage(names.norm)?);
        if !config.tie_word_embeddings {
            // A different seed, because the layer above uses the seed itself.
            renew_linear(weights, names.decoder, (width, tokens), deviation, !seed)?;
        }
        weights.set(names.used(config), zeros(tokens).in_stage(names.bias)?);
        Ok(())
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.shallow_clone());
        let output = self.own.iter().chain([&self.bias]).map(named);
        self.dense.parameters().chain(self.norm.parameters()).chain(output).collect()
    }

    fn stored(parameters: Parameters, config: &BertConfig) -> Parameters {
        let names = Names::of(config);
        let used = names.used(config);
        let all = || parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        // transformers expects the name of a tied bias even if the bias is not tied.
        let again = all().filter(|(name, _)| *name == used && used != names.bias);
        Parameters::new(all().chain(again.map(|(_, bias)| (names.bias.to_owned(), bias))))
    }
}

impl MaskedLmHead {
    /// Maps `(…, width)` to logits `(…, tokens)`; `embeddings` is the matrix of a tied head.
    pub(super) fn forward(&self, hidden: &Tensor, embeddings: &Tensor, pass: &Pass) -> Result<Tensor> {
        let dense = self.dense.forward(hidden, pass)?;
        let transformed = self.norm.forward(&self.activation.forward(&dense)?)?;
        let (matrix, (name, bias)) = (self.own.as_ref().map_or(embeddings, |(_, own)| own), &self.bias);
        transformed.f_linear(matrix, Some(bias)).in_stage(name)
    }
}

/// Leaves a parameter that may be stored under two names, or under both, under the first.
fn one_of(weights: &mut Weights, kept: &str, other: &str, mend: &str) -> Result<(), String> {
    let differ = kept != other
        && match (weights.get(kept), weights.get(other)) {
            (Some(Ok(kept)), Some(Ok(other))) => {
                kept.size() != other.size() || !kept.f_equal(other).unwrap_or(false)
            }
            _ => false,
        };
    if differ {
        return Err(format!(
            "tie_word_embeddings is true, but `{other}` differs from `{kept}`: {mend}, or remove the wrong one from the file"
        ));
    }
    if !weights.has(kept) {
        weights.rename(other, kept.to_owned());
    }
    Ok(())
}
