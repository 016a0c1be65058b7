//! BERT (Devlin et al. 2019) with a classifier, as a teacher or a student.
//!
//! The computation, the names of the parameters and the folders are those of Python's transformers,
//! so that checkpoints travel both ways. Each part of the network is a file of its own; this one
//! puts them together.

mod attention;
mod config;
mod embeddings;
mod encoder;
mod folder;
mod head;
mod layer;
mod output;
mod pooler;
mod student;

use std::path::PathBuf;

use brew_macros::distill;
use tch::Tensor;

pub use config::BertConfig;
pub use output::{ClassifierOutput, ClassifierOutputAdaptor, TextBatch};

use self::embeddings::Embeddings;
use self::encoder::{Encoded, Encoder};
use self::head::{Head, cross_entropy};
use self::pooler::Pooler;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// A BERT that gives each sequence one score a class.
///
/// ```no_run
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let teacher = BertForSequenceClassification::from_pretrained("models/teacher", Device::Cpu)?;
/// let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2))?;
/// let input_ids = Tensor::from_slice(&[101_i64, 2023, 2003, 102]).unsqueeze(0);
/// let attention_mask = input_ids.ones_like();
/// let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
/// let output = student.forward(&input_ids, &attention_mask, None, None, &pass)?;
/// println!("{:?}", output.logits.size());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BertForSequenceClassification {
    config: BertConfig,
    embeddings: Embeddings,
    encoder: Encoder,
    pooler: Pooler,
    head: Head,
    /// The tokenizer files of the folder it came from, which a saved model takes along.
    companions: Vec<PathBuf>,
}

impl BertForSequenceClassification {
    /// Puts the model together of weights that must all be there.
    fn build(config: BertConfig, mut weights: Weights, companions: Vec<PathBuf>) -> Result<Self> {
        let model = BertForSequenceClassification {
            embeddings: Embeddings::take(&mut weights, &config),
            encoder: Encoder::take(&mut weights, &config),
            pooler: Pooler::take(&mut weights, &config),
            head: Head::take(&mut weights, &config),
            config,
            companions,
        };
        weights.finish()?;
        Ok(model)
    }

    /// Sizes, dropout and classes.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    fn named_parameters(&self) -> Parameters {
        let body = self.embeddings.parameters().chain(self.encoder.parameters());
        Parameters::new(body.chain(self.pooler.parameters()).chain(self.head.parameters()))
    }
}

#[distill(batch = TextBatch)]
impl BertForSequenceClassification {
    /// One forward pass.
    ///
    /// `input_ids` is `(batch, length)` int64; `attention_mask`, of the same shape, is 1 where there
    /// is a token and 0 where there is padding; `token_type_ids`, of the same shape, is 0 everywhere
    /// where it is absent; `labels` is `(batch,)` int64, the class of each example.
    ///
    /// # Errors
    /// When shapes differ, when a sequence is longer than `max_position_embeddings`, and, on a CPU,
    /// when a token, a type or a label is out of range.
    pub fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        token_type_ids: Option<&Tensor>,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<ClassifierOutput> {
        check_shapes(input_ids, attention_mask, token_type_ids)?;
        let embedded = self.embeddings.forward(input_ids, token_type_ids, pass)?;
        let Encoded { last, hidden_states, attentions } =
            self.encoder.forward(embedded, attention_mask, pass)?;
        let logits = self.head.forward(self.pooler.forward(&last)?, pass)?;
        let labels = labels.filter(|_| pass.wants().role::<role::Losses>());
        let loss = labels.map(|labels| cross_entropy(&logits, labels)).transpose()?;
        Ok(ClassifierOutput { logits, hidden_states, attentions, loss })
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
