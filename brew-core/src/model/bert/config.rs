//! What a model of the family is made of: its sizes, its dropout, its classes.
//!
//! The fields have BERT's names whatever the folder calls them; `config_file.rs` translates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::architecture::Architecture;
use crate::model::parts::Activation;

/// The config of a model of BERT's family; a key that the file lacks has transformers' default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// BERT, RoBERTa or DistilBERT.
    pub model_type: Architecture,
    /// Number of tokens that have an embedding.
    pub vocab_size: i64,
    /// Width of the hidden states.
    pub hidden_size: i64,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads of a layer; divides `hidden_size`.
    pub num_attention_heads: i64,
    /// Width between the two linear layers of a feed-forward block.
    pub intermediate_size: i64,
    /// The activation between them.
    pub hidden_act: Activation,
    /// Probability of dropout after the embeddings, the attention and the feed-forward block.
    pub hidden_dropout_prob: f64,
    /// Probability of dropout of attention probabilities.
    pub attention_probs_dropout_prob: f64,
    /// Probability of dropout before the classifier; `hidden_dropout_prob` where it is none.
    pub classifier_dropout: Option<f64>,
    /// DistilBERT's probability of dropout before the classifier of sequences.
    pub seq_classif_dropout: f64,
    /// DistilBERT's probability of dropout before the scores of start and end.
    pub qa_dropout: f64,
    /// Number of embeddings of positions; [`longest`](Self::longest) says how many tokens that is.
    pub max_position_embeddings: i64,
    /// Number of token types (segments).
    pub type_vocab_size: i64,
    /// What layer norms add to the variance.
    pub layer_norm_eps: f64,
    /// The padding token, whose embedding gets no gradient.
    pub pad_token_id: Option<i64>,
    /// What the labels of sequences are; found out from the labels where it is none.
    pub problem_type: Option<ProblemType>,
    /// The name of each class.
    pub id2label: BTreeMap<i64, String>,
    /// The class of each name.
    pub label2id: BTreeMap<String, i64>,
    /// Every key of the file, known or not.
    #[serde(skip)]
    pub(crate) file: Map<String, Value>,
}

/// What the labels of sequences are, and so which loss a classifier has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// A number a class: squared error.
    Regression,
    /// The class of each example: cross entropy.
    SingleLabelClassification,
    /// For each class whether it applies, 0 or 1: binary cross entropy.
    MultiLabelClassification,
}

impl Default for BertConfig {
    fn default() -> Self {
        BertConfig {
            model_type: Architecture::Bert,
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            seq_classif_dropout: 0.2,
            qa_dropout: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            problem_type: None,
            id2label: BTreeMap::new(),
            label2id: BTreeMap::new(),
            file: Map::new(),
        }
    }
}

impl BertConfig {
    /// transformers' defaults of an architecture: the values of its smallest published model.
    pub(crate) fn base(model_type: Architecture) -> Self {
        let bert = BertConfig { model_type, ..BertConfig::default() };
        match model_type {
            Architecture::Bert => bert,
            Architecture::Roberta => BertConfig { vocab_size: 50265, pad_token_id: Some(1), ..bert },
            Architecture::DistilBert => BertConfig { num_hidden_layers: 6, ..bert },
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> i64 {
        i64::try_from(self.id2label.len()).unwrap_or(i64::MAX)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> i64 {
        self.hidden_size / self.num_attention_heads
    }

    /// The most tokens that a sequence can have: as many as there are embeddings of positions, less
    /// those that RoBERTa leaves before its first position.
    pub fn longest(&self) -> i64 {
        self.max_position_embeddings - self.first_position()
    }

    /// The position of the first token.
    pub(crate) fn first_position(&self) -> i64 {
        match self.model_type {
            Architecture::Bert | Architecture::DistilBert => 0,
            Architecture::Roberta => self.pad_token_id.unwrap_or_default() + 1,
        }
    }

    /// Probability of dropout before the classifier, where no head has one of its own.
    pub(crate) fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// What these labels of sequences are, by transformers' rule where the config does not say.
    pub(crate) fn problem_of(&self, labels: &Tensor) -> ProblemType {
        let found = match (self.classes(), labels.kind()) {
            (1, _) => ProblemType::Regression,
            (_, Kind::Int64 | Kind::Int) => ProblemType::SingleLabelClassification,
            _ => ProblemType::MultiLabelClassification,
        };
        self.problem_type.unwrap_or(found)
    }

    /// Names the classes `LABEL_0`, `LABEL_1` and so on, unless there are as many names already.
    pub(crate) fn set_classes(&mut self, classes: i64) {
        if self.classes() != classes {
            self.id2label = (0..classes).map(|class| (class, format!("LABEL_{class}"))).collect();
            self.label2id = self.id2label.iter().map(|(class, name)| (name.clone(), *class)).collect();
        }
    }
}
