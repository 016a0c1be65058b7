//! The config of BERT's family: sizes, dropout and classes.
//!
//! The fields have BERT's names whatever the names in the folder; `config_file.rs` translates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::architecture::{Architecture, Network};
use crate::model::activation::Activation;
use crate::model::class_order::{default_names, inverse};
use crate::model::problem::ProblemType;

/// The number of classes in the config of a model without classes: transformers' default.
pub(super) const DEFAULT_CLASSES: i64 = 2;

/// Keys of a file that belong to the head and its task but are not fields.
const OF_A_TASK: [&str; 4] =
    ["finetuning_task", "function_to_apply", "task_specific_params", "custom_pipelines"];

/// The config of a model of BERT's family; missing keys have transformers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// BERT, RoBERTa, XLM-RoBERTa, CamemBERT or DistilBERT.
    pub model_type: Architecture,
    /// Number of tokens with an embedding.
    pub vocab_size: i64,
    /// Width of the hidden states.
    pub hidden_size: i64,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads per layer; must divide `hidden_size`.
    pub num_attention_heads: i64,
    /// Width between the two linear layers of a feed-forward block.
    pub intermediate_size: i64,
    /// The activation between them.
    pub hidden_act: Activation,
    /// Dropout probability after the embeddings, the attention and the feed-forward block.
    pub hidden_dropout_prob: f64,
    /// Dropout probability for attention probabilities.
    pub attention_probs_dropout_prob: f64,
    /// Dropout probability before the classifier; `hidden_dropout_prob` if `None`.
    pub classifier_dropout: Option<f64>,
    /// DistilBERT's dropout probability before the sequence classifier.
    pub seq_classif_dropout: f64,
    /// DistilBERT's dropout probability before the start and end scores.
    pub qa_dropout: f64,
    /// Number of position embeddings; [`longest`](Self::longest) gives the number of tokens that allows.
    pub max_position_embeddings: i64,
    /// Number of token types (segments).
    pub type_vocab_size: i64,
    /// The standard deviation of a new model's weights.
    pub initializer_range: f64,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// The padding token, whose embedding gets no gradient.
    pub pad_token_id: Option<i64>,
    /// Whether the head of a masked language model uses the matrix of the token embeddings.
    pub tie_word_embeddings: bool,
    /// The kind of labels of sequences; derived from the labels if `None`.
    pub problem_type: Option<ProblemType>,
    /// The name of each class.
    pub id2label: BTreeMap<i64, String>,
    /// The class of each name.
    pub label2id: BTreeMap<String, i64>,
    /// Every key of the `config.json` that it was read from, known or not: keys without a field are written
    /// back when the model is saved.
    #[serde(skip)]
    pub file: Map<String, Value>,
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
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            tie_word_embeddings: true,
            problem_type: None,
            id2label: BTreeMap::new(),
            label2id: BTreeMap::new(),
            file: Map::new(),
        }
    }
}

impl BertConfig {
    /// transformers' defaults for an architecture: the values of its smallest published model. To use your
    /// own sizes: `BertConfig { hidden_size: 312, ..BertConfig::base(Architecture::Bert) }`.
    pub fn base(model_type: Architecture) -> Self {
        let bert = BertConfig { model_type, ..BertConfig::default() };
        match model_type {
            Architecture::Bert => bert,
            Architecture::Roberta => BertConfig { vocab_size: 50265, pad_token_id: Some(1), ..bert },
            Architecture::XlmRoberta | Architecture::Camembert => {
                BertConfig { pad_token_id: Some(1), ..bert }
            }
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

    /// The maximum number of tokens in a sequence: the number of position embeddings, minus those that
    /// RoBERTa skips before its first position.
    pub fn longest(&self) -> i64 {
        self.max_position_embeddings - self.first_position()
    }

    /// The position of the first token.
    pub(crate) fn first_position(&self) -> i64 {
        match self.model_type.network() {
            Network::Bert | Network::DistilBert => 0,
            Network::Roberta => self.pad_token_id.unwrap_or_default() + 1,
        }
    }

    /// Dropout probability before the classifier, for heads without their own.
    pub(crate) fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// Sets the class names, by number from 0.
    pub(crate) fn name_classes(&mut self, names: BTreeMap<i64, String>) {
        self.label2id = inverse(&names);
        self.id2label = names;
    }

    /// Removes everything that the config says about its head, for a new head with this many classes.
    pub(crate) fn begin_task(&mut self, classes: i64) {
        self.name_classes(default_names(classes));
        self.problem_type = None;
        for key in OF_A_TASK {
            self.file.remove(key);
        }
    }
}
