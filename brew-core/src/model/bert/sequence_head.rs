//! From the first token's last hidden state to one score a class.
//!
//! All three architectures put a linear layer and an activation between; BERT calls it the pooler and
//! counts it to the encoder, RoBERTa and DistilBERT to the head.

use tch::Tensor;

use super::architecture::Architecture;
use super::config::BertConfig;
use super::head::{ClassHead, Head, renew_linear};
use crate::error::{InStage, Result};
use crate::model::parts::{Linear, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// The head of a model that classifies sequences.
#[derive(Debug)]
pub struct SequenceHead {
    architecture: Architecture,
    dense: Linear,
    output: Linear,
    dropout: f64,
}

/// The name of the linear layer before the activation.
fn dense_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Bert => "bert.pooler.dense",
        Architecture::Roberta => "classifier.dense",
        Architecture::DistilBert => "pre_classifier",
    }
}

impl Head for SequenceHead {
    const TASK: &'static str = "SequenceClassification";

    fn output_name(config: &BertConfig) -> &'static str {
        match config.model_type {
            Architecture::Bert | Architecture::DistilBert => "classifier",
            Architecture::Roberta => "classifier.out_proj",
        }
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let (architecture, width) = (config.model_type, config.hidden_size);
        let output = Self::output_name(config).to_owned();
        SequenceHead {
            architecture,
            dense: Linear::take(weights, dense_name(architecture).to_owned(), width, width),
            output: Linear::take(weights, output, width, config.classes()),
            dropout: match architecture {
                Architecture::Bert | Architecture::Roberta => config.classifier_dropout(),
                Architecture::DistilBert => config.seq_classif_dropout,
            },
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let width = config.hidden_size;
        match config.model_type {
            // A pretrained BERT comes with its pooler.
            Architecture::Bert => {}
            // Draws of their own: those of the layer above have the seed itself.
            Architecture::Roberta | Architecture::DistilBert => {
                renew_linear(weights, dense_name(config.model_type), width, width, !seed)?;
            }
        }
        renew_linear(weights, Self::output_name(config), width, config.classes(), seed)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.dense.parameters().into_iter().chain(self.output.parameters()).collect()
    }
}

impl ClassHead for SequenceHead {}

impl SequenceHead {
    /// `(batch, length, width)` to logits `(batch, classes)`.
    pub(crate) fn forward(&self, hidden: &Tensor, pass: &Pass) -> Result<Tensor> {
        let first = hidden.f_select(1, 0).in_stage("first token")?;
        let first = match self.architecture {
            Architecture::Bert | Architecture::DistilBert => first,
            Architecture::Roberta => dropout(first, self.dropout, pass)?,
        };
        let dense = self.dense.forward(&first)?;
        let activated = match self.architecture {
            Architecture::Bert | Architecture::Roberta => dense.f_tanh(),
            Architecture::DistilBert => dense.f_relu(),
        };
        self.output.forward(&dropout(activated.in_stage("activation of the head")?, self.dropout, pass)?)
    }
}
