//! The config of a BiGRU: sizes, dropout and classes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::class_order::{default_names, inverse};
use crate::model::problem::ProblemType;
use crate::words::numbered;

/// The config of a BiGRU; missing keys have defaults.
///
/// ```
/// use brew_core::model::BiGruConfig;
///
/// let config = BiGruConfig { hidden_size: 128, num_labels: 13, ..BiGruConfig::default() };
/// assert_eq!(config.vocab_size, 30522);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BiGruConfig {
    /// `bigru`.
    pub model_type: String,
    /// The class of the model, `BiGruForSequenceClassification` or `BiGruForTokenClassification`; written
    /// when the model is saved.
    pub architectures: Vec<String>,
    /// Number of tokens with an embedding.
    pub vocab_size: i64,
    /// Width of the embeddings.
    pub embedding_size: i64,
    /// Width of the states of one direction; a layer's output per token is twice as wide.
    pub hidden_size: i64,
    /// Number of bidirectional layers.
    pub num_hidden_layers: usize,
    /// Number of classes.
    pub num_labels: usize,
    /// The name of each class; `LABEL_0`, `LABEL_1`, … if empty.
    pub id2label: BTreeMap<i64, String>,
    /// The class of each name.
    pub label2id: BTreeMap<String, i64>,
    /// Dropout probability before each layer and before the head.
    pub dropout: f64,
    /// The padding token, whose embedding gets no gradient.
    pub pad_token_id: Option<i64>,
    /// The kind of labels of sequences; derived from the labels if `None`.
    pub problem_type: Option<ProblemType>,
}

impl Default for BiGruConfig {
    /// One layer with 256 units per direction, BERT's vocabulary, two classes, dropout 0.1.
    fn default() -> Self {
        BiGruConfig {
            model_type: "bigru".to_owned(),
            architectures: Vec::new(),
            vocab_size: 30522,
            embedding_size: 128,
            hidden_size: 256,
            num_hidden_layers: 1,
            num_labels: 2,
            id2label: BTreeMap::new(),
            label2id: BTreeMap::new(),
            dropout: 0.1,
            pad_token_id: Some(0),
            problem_type: None,
        }
    }
}

impl BiGruConfig {
    /// Checks the config, and reports all problems at once.
    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        for (name, size) in [
            ("vocab_size", self.vocab_size),
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", i64::try_from(self.num_hidden_layers).unwrap_or(i64::MAX)),
            ("num_labels", i64::try_from(self.num_labels).unwrap_or(i64::MAX)),
        ] {
            if size < 1 {
                problems.push(format!("`{name}` is {size}; it must be at least 1"));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            problems.push(format!("`dropout` is {}; it must be from 0 to below 1", self.dropout));
        }
        if let Some(pad) = self.pad_token_id.filter(|pad| !(0..self.vocab_size.max(1)).contains(pad)) {
            problems.push(format!("`pad_token_id` is {pad}; it must be a token of the vocabulary, or null"));
        }
        if !self.id2label.is_empty() && !self.id2label.keys().copied().eq(0..self.classes()) {
            problems.push(format!(
                "`id2label` names the classes {:?}, but `num_labels` is {}: they must be 0 to {}",
                self.id2label.keys().collect::<Vec<_>>(),
                self.num_labels,
                self.classes() - 1
            ));
        }
        if self.model_type != "bigru" {
            problems.push(format!("`model_type` is `{}`; a BiGRU's is `bigru`", self.model_type));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(numbered("invalid BiGRU config", &problems)))
        }
    }

    /// Number of classes.
    pub(super) fn classes(&self) -> i64 {
        i64::try_from(self.num_labels).unwrap_or(i64::MAX)
    }

    /// Sets the class names, by number from 0.
    pub(super) fn name_classes(&mut self, names: BTreeMap<i64, String>) {
        self.label2id = inverse(&names);
        self.id2label = names;
    }

    /// The names of the classes, with defaults for unnamed ones.
    pub(super) fn names(&self) -> BTreeMap<i64, String> {
        if self.id2label.is_empty() { default_names(self.classes()) } else { self.id2label.clone() }
    }

    /// Names and shapes of the parameters of all layers, as in PyTorch's `nn.GRU`; for one layer see
    /// [`layer_parameters_of`](Self::layer_parameters_of).
    pub(super) fn layer_parameters(&self) -> impl Iterator<Item = (String, Vec<i64>)> {
        (0..self.num_hidden_layers).flat_map(|layer| self.layer_parameters_of(layer))
    }

    /// In libtorch's order: input and state weights, then their biases; first for the forward, then for the
    /// reverse direction.
    pub(super) fn layer_parameters_of(&self, layer: usize) -> Vec<(String, Vec<i64>)> {
        let inputs = if layer == 0 { self.embedding_size } else { 2 * self.hidden_size };
        let gates = 3 * self.hidden_size;
        let of_direction = |suffix: &str| {
            [
                (format!("gru.weight_ih_l{layer}{suffix}"), vec![gates, inputs]),
                (format!("gru.weight_hh_l{layer}{suffix}"), vec![gates, self.hidden_size]),
                (format!("gru.bias_ih_l{layer}{suffix}"), vec![gates]),
                (format!("gru.bias_hh_l{layer}{suffix}"), vec![gates]),
            ]
        };
        of_direction("").into_iter().chain(of_direction("_reverse")).collect()
    }
}
