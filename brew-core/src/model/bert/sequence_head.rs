//! The head for sequences: maps the first token's last hidden state to one score per class.
//!
//! All architectures have a linear layer and an activation in between; in BERT it is the pooler and part of
//! the encoder, in RoBERTa and DistilBERT it is part of the head.

use tch::Tensor;

use super::architecture::Network;
use super::config::BertConfig;
use super::head::{ClassHead, Head, renew_linear};
use crate::error::{InStage, Result};
use crate::model::parts::{Linear, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// The head of a model that classifies sequences.
#[derive(Debug)]
pub struct SequenceHead {
    network: Network,
    dense: Linear,
    output: Linear,
    dropout: f64,
}

/// The name of the linear layer before the activation.
fn dense_name(network: Network) -> &'static str {
    match network {
        Network::Bert => "bert.pooler.dense",
        Network::Roberta => "classifier.dense",
        Network::DistilBert => "pre_classifier",
    }
}

impl Head for SequenceHead {
    const TASK: &'static str = "SequenceClassification";

    fn output_name(config: &BertConfig) -> &'static str {
        match config.model_type.network() {
            Network::Bert | Network::DistilBert => "classifier",
            Network::Roberta => "classifier.out_proj",
        }
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let (network, width) = (config.model_type.network(), config.hidden_size);
        let output = Self::output_name(config).to_owned();
        SequenceHead {
            network,
            dense: Linear::take(weights, dense_name(network).to_owned(), width, width),
            output: Linear::take(weights, output, width, config.classes()),
            dropout: match network {
                Network::Bert | Network::Roberta => config.classifier_dropout(),
                Network::DistilBert => config.seq_classif_dropout,
            },
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let (network, width) = (config.model_type.network(), config.hidden_size);
        let deviation = config.initializer_range;
        match network {
            // A BERT keeps its pooler; one that was trained for another task may have none.
            Network::Bert if weights.has(&format!("{}.weight", dense_name(network))) => {}
            _ => {
                if network == Network::Bert {
                    weights.note("this BERT has no pooler: a new, untrained one was added");
                }
                // A different seed, because the layer above uses the seed itself.
                renew_linear(weights, dense_name(network), (width, width), deviation, !seed)?;
            }
        }
        renew_linear(weights, Self::output_name(config), (width, config.classes()), deviation, seed)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.dense.parameters().chain(self.output.parameters()).collect()
    }
}

impl ClassHead for SequenceHead {}

impl SequenceHead {
    /// Maps `(batch, length, width)` to logits `(batch, classes)`.
    pub(crate) fn forward(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        let first = hidden.f_select(1, 0).in_stage("first token")?;
        let first = match self.network {
            Network::Bert | Network::DistilBert => first,
            Network::Roberta => dropout(first, self.dropout, pass)?,
        };
        let dense = self.dense.forward(&first, pass)?;
        let activated = match self.network {
            Network::Bert | Network::Roberta => dense.f_tanh(),
            Network::DistilBert => dense.f_relu(),
        };
        self.output
            .forward(&dropout(activated.in_stage("activation of the head")?, self.dropout, pass)?, pass)
    }
}
