//! BERT's family (BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT) with a task head or without one, for
//! teachers and students.
//!
//! The computation, the names of the parameters and the folders are those of Python's transformers, so that
//! checkpoints can be exchanged in both directions. Each part of the network has its own file; this one
//! assembles them. A task is a head, with its own file for the model's inputs and outputs; everything else is
//! the same for all tasks and architectures.

mod adapters;
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
mod headless;
mod layer;
pub(super) mod loss;
mod masked_lm;
mod masked_lm_head;
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
pub use headless::{BertModel, EncoderOutput, EncoderOutputAdaptor, NoHead};
pub use masked_lm::{BertForMaskedLm, MaskedLmBatch, MaskedLmOutput, MaskedLmOutputAdaptor};
pub use masked_lm_head::MaskedLmHead;
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
use self::encoder::Encoder;
use crate::error::Result;
use crate::model::cross_entropy::CrossEntropy;
use crate::model::layer_outputs::LayerOutputs;
use crate::model::lora::Attached;
use crate::model::problem::HeadProblem;
use crate::model::shapes::check_shapes;
use crate::model::weights::Weights;
use crate::parameters::Parameters;
use crate::pass::Pass;

/// An encoder of BERT's family with a task head: see [`BertForSequenceClassification`],
/// [`BertForTokenClassification`], [`BertForQuestionAnswering`] and [`BertForMaskedLm`]; or without a head:
/// [`BertModel`].
///
/// Its folder's config determines the architecture.
#[derive(Debug)]
pub struct Bert<H> {
    config: BertConfig,
    embeddings: Embeddings,
    encoder: Encoder,
    head: H,
    problem: HeadProblem,
    cross_entropy: CrossEntropy,
    /// Class names taken over from the teacher or the data, if the config has none.
    learned_names: OnceLock<Vec<String>>,
    /// The tokenizer files of its original folder, which are saved with the model.
    companions: Vec<PathBuf>,
    /// The folder that it came from.
    folder: Option<PathBuf>,
    lora: Option<Attached>,
}

impl<H: Head> Bert<H> {
    /// Builds the model from weights, all of which must exist.
    fn build(config: BertConfig, mut weights: Weights, companions: Vec<PathBuf>) -> Result<Self> {
        let model = Bert {
            embeddings: Embeddings::take(&mut weights, &config, H::is_tied(&config)),
            encoder: Encoder::take(&mut weights, &config),
            head: H::take(&mut weights, &config),
            problem: HeadProblem::new(config.problem_type),
            cross_entropy: CrossEntropy::default(),
            learned_names: OnceLock::new(),
            folder: weights.folder(),
            lora: weights.attached()?,
            config,
            companions,
        };
        weights.finish()?;
        Ok(model)
    }

    /// The config, updated with what the model has learned about its task.
    fn told_config(&self) -> BertConfig {
        let mut config = self.config.clone();
        config.problem_type = self.problem.get();
        if let Some(names) = self.learned_names.get() {
            config.name_classes((0..).zip(names.iter().cloned()).collect());
        }
        config
    }

    /// Architecture, sizes, dropout and classes from when the model was created.
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
    ) -> Result<LayerOutputs> {
        let others = [("attention_mask", Some(attention_mask)), ("token_type_ids", token_type_ids)];
        check_shapes(input_ids, &others)?;
        let embedded = self.embeddings.forward(input_ids, token_type_ids, pass)?;
        self.encoder.forward(embedded, attention_mask, pass)
    }
}
