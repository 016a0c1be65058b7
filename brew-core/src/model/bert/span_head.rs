//! The head of a model that answers questions.

use tch::Tensor;

use super::architecture::Network;
use super::config::BertConfig;
use super::head::{Head, renew_linear};
use crate::error::Result;
use crate::model::parts::Linear;
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;

/// Scores per token: one for the start, one for the end.
pub(super) const SCORES: i64 = 2;

/// The head for question answering: a linear layer to two scores per token, after dropout in a DistilBERT.
#[derive(Debug)]
pub struct SpanHead {
    pub(super) output: Linear,
    /// `None` for those without dropout.
    pub(super) dropout: Option<f64>,
}

impl Head for SpanHead {
    const TASK: &'static str = "QuestionAnswering";
    const PROBLEM: Option<ProblemType> = Some(ProblemType::SingleLabelClassification);

    fn output_name(_: &BertConfig) -> &'static str {
        "qa_outputs"
    }

    fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let name = Self::output_name(config).to_owned();
        SpanHead {
            output: Linear::take(weights, name, config.hidden_size, SCORES),
            dropout: match config.model_type.network() {
                Network::Bert | Network::Roberta => None,
                Network::DistilBert => Some(config.qa_dropout),
            },
        }
    }

    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let sizes = (config.hidden_size, SCORES);
        renew_linear(weights, Self::output_name(config), sizes, config.initializer_range, seed)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.output.parameters().collect()
    }
}
