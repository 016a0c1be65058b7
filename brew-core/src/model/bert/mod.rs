//! BERT's family (BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT) with a head, as teachers or students.
//!
//! The computation, the names of the parameters and the folders are those of Python's transformers,
//! so that checkpoints travel both ways. Each part of the network is a file of its own; this one
//! puts them together. A task is a head, with a file of its own for what the model reads and returns;
//! everything else is the same for all tasks and architectures.

mod architecture;
mod attended;
mod attention;
mod class_names;
mod config;
mod config_file;
mod embeddings;
mod encoder;
mod folder;
mod freeze;
mod fresh;
mod head;
mod layer;
pub(super) mod loss;
mod question_answering;
mod sequence_classification;
mod sequence_head;
mod span_head;
mod spans;
mod stored_head;
mod student;
mod task;
mod token_classification;

use std::path::PathBuf;
use std::sync::OnceLock;

use tch::Tensor;

pub use architecture::Architecture;
pub use config::BertConfig;
pub(super) use head::renew_linear;
pub use head::{ClassHead, Head};
pub use question_answering::BertForQuestionAnswering;
pub use sequence_classification::{
    BertForSequenceClassification, ClassifierOutput, ClassifierOutputAdaptor, FloatLabelClassifierAdaptor,
    FloatLabelTextBatch, TextBatch,
};
pub use sequence_head::SequenceHead;
pub use span_head::SpanHead;
pub use spans::{SpanBatch, SpanOutput, SpanOutputAdaptor};
pub use token_classification::{
    BertForTokenClassification, TokenBatch, TokenClassifierOutput, TokenClassifierOutputAdaptor, TokenHead,
};

use self::embeddings::Embeddings;
use self::encoder::{Encoded, Encoder};
use crate::error::{Error, Result};
use crate::model::cross_entropy::CrossEntropy;
use crate::model::problem::HeadProblem;
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::pass::Pass;

/// An encoder of BERT's family with the head of a task: see [`BertForSequenceClassification`],
/// [`BertForTokenClassification`] and [`BertForQuestionAnswering`].
///
/// Which of the architectures it is, its folder's config says.
#[derive(Debug)]
pub struct Bert<H> {
    config: BertConfig,
    embeddings: Embeddings,
    encoder: Encoder,
    head: H,
    problem: HeadProblem,
    cross_entropy: CrossEntropy,
    /// Names of classes that the config has none for, from the teacher or the data.
    learned_names: OnceLock<Vec<String>>,
    /// The tokenizer files of the folder it came from, which a saved model takes along.
    companions: Vec<PathBuf>,
}

impl<H: Head> Bert<H> {
    /// Puts the model together of weights that must all be there.
    fn build(config: BertConfig, mut weights: Weights, companions: Vec<PathBuf>) -> Result<Self> {
        let model = Bert {
            embeddings: Embeddings::take(&mut weights, &config),
            encoder: Encoder::take(&mut weights, &config),
            head: H::take(&mut weights, &config),
            problem: HeadProblem::new(config.problem_type),
            cross_entropy: CrossEntropy::default(),
            learned_names: OnceLock::new(),
            config,
            companions,
        };
        weights.finish()?;
        Ok(model)
    }

    /// The config with what the model has learned of its task beside it.
    fn told_config(&self) -> BertConfig {
        let mut config = self.config.clone();
        config.problem_type = self.problem.get();
        if let Some(names) = self.learned_names.get() {
            config.name_classes((0..).zip(names.iter().cloned()).collect());
        }
        config
    }

    /// Architecture, sizes, dropout and classes, as they were when the model was made.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    fn named_parameters(&self) -> Parameters {
        let body = self.embeddings.parameters().chain(self.encoder.parameters());
        Parameters::new(body.chain(self.head.parameters()))
    }

    /// Everything below the head.
    fn encode(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Encoded> {
        check_shapes(input_ids, attention_mask, token_type_ids)?;
        let embedded = self.embeddings.forward(input_ids, token_type_ids, pass)?;
        self.encoder.forward(embedded, attention_mask, pass)
    }
}

fn check_shapes(input_ids: &Tensor, attention_mask: &Tensor, token_type_ids: Option<&Tensor>) -> Result<()> {
    let shape = input_ids.size();
    if shape.len() != 2 {
        return Err(Error::invalid(format!("`input_ids` is {shape:?}; it must be (batch, length)")));
    }
    for (name, column) in [("attention_mask", Some(attention_mask)), ("token_type_ids", token_type_ids)] {
        if let Some(found) = column.map(Tensor::size).filter(|found| *found != shape) {
            return Err(Error::invalid(format!(
                "`{name}` is {found:?} and `input_ids` {shape:?}; they must be equal"
            )));
        }
    }
    Ok(())
}
