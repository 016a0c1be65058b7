//! What `config.json` says about a BERT: its sizes, its dropout, its classes.
//!
//! Keys that brew does not use are kept and written back, so that a folder loses nothing on its way
//! through.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result, numbered};
use crate::model::folder::CONFIG;
use crate::model::parts::Activation;

/// The only `model_type` that this architecture has.
const MODEL_TYPE: &str = "bert";

/// The config of a BERT; a key that the file lacks has transformers' default, that of BERT base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
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
    /// The most tokens that a sequence can have.
    pub max_position_embeddings: i64,
    /// Number of token types (segments).
    pub type_vocab_size: i64,
    /// What layer norms add to the variance.
    pub layer_norm_eps: f64,
    /// The padding token, whose embedding gets no gradient.
    pub pad_token_id: Option<i64>,
    /// The name of each class.
    pub id2label: BTreeMap<i64, String>,
    /// The class of each name.
    pub label2id: BTreeMap<String, i64>,
    /// Every key of the file, known or not.
    #[serde(skip)]
    file: Map<String, Value>,
}

impl Default for BertConfig {
    fn default() -> Self {
        BertConfig {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            id2label: BTreeMap::new(),
            label2id: BTreeMap::new(),
            file: Map::new(),
        }
    }
}

impl BertConfig {
    /// Understands the config of a folder.
    ///
    /// # Errors
    /// For another architecture, a value of another type, and values that make no model; all of the
    /// last at once.
    pub(crate) fn understand(folder: &Path, file: Map<String, Value>) -> Result<Self> {
        let path = folder.join(CONFIG);
        match file.get("model_type").and_then(Value::as_str) {
            Some(MODEL_TYPE) => {}
            Some(other) => {
                let message = format!(
                    "model_type is `{other}`, an architecture that this model does not have; `{MODEL_TYPE}` is supported"
                );
                return Err(Error::file(path, message));
            }
            None => {
                let message = format!(
                    "there is no model_type: if this is a BERT, add \"model_type\": \"{MODEL_TYPE}\""
                );
                return Err(Error::file(path, message));
            }
        }
        let misfits: Vec<String> = file.iter().filter_map(|(key, value)| misfit(key, value)).collect();
        if !misfits.is_empty() {
            return Err(Error::file(path, numbered("a value of the wrong type", &misfits)));
        }
        let mut config: BertConfig =
            serde_json::from_value(Value::Object(file.clone())).map_err(|error| Error::file(&path, error))?;
        config.file = file;
        if config.id2label.is_empty() {
            let classes = config.file.get("num_labels").and_then(Value::as_i64).unwrap_or(2);
            config.set_classes(classes);
        }
        let problems = config.problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Error::file(path, numbered("this makes no model", &problems)))
        }
    }

    fn problems(&self) -> Vec<String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        let dropouts = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout()),
        ];
        let mut problems = Vec::new();
        for (key, size) in sizes.into_iter().filter(|(_, size)| *size < 1) {
            problems.push(format!("{key} is {size}; it must be at least 1"));
        }
        for (key, dropout) in dropouts.into_iter().filter(|(_, dropout)| !(0.0..1.0).contains(dropout)) {
            problems.push(format!("{key} is {dropout}; it must be at least 0 and below 1"));
        }
        if self.num_attention_heads > 0 && self.hidden_size % self.num_attention_heads != 0 {
            problems.push(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if !self.id2label.keys().copied().eq(0..self.classes()) {
            let classes: Vec<_> = self.id2label.keys().collect();
            problems
                .push(format!("id2label has the classes {classes:?}; they must count from 0 without a gap"));
        }
        // Both change the computation, and neither is in any checkpoint of the sentence encoders and
        // classifiers that this model is for.
        if let Some(kind) = self.file.get("position_embedding_type").and_then(Value::as_str)
            && kind != "absolute"
        {
            problems.push(format!("position_embedding_type is `{kind}`; `absolute` is supported"));
        }
        if self.file.get("is_decoder").and_then(Value::as_bool) == Some(true) {
            problems.push("is_decoder is true; only encoders are supported".to_owned());
        }
        problems
    }

    /// Number of classes.
    pub fn classes(&self) -> i64 {
        i64::try_from(self.id2label.len()).unwrap_or(i64::MAX)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> i64 {
        self.hidden_size / self.num_attention_heads
    }

    /// Probability of dropout before the classifier.
    pub(crate) fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// Names the classes `LABEL_0`, `LABEL_1` and so on, unless there are as many names already.
    pub(crate) fn set_classes(&mut self, classes: i64) {
        if self.classes() != classes {
            self.id2label = (0..classes).map(|class| (class, format!("LABEL_{class}"))).collect();
            self.label2id = self.id2label.iter().map(|(class, name)| (name.clone(), *class)).collect();
        }
    }

    /// The file as it is saved: what was read, with what brew knows better in its place.
    pub(crate) fn to_file(&self) -> Result<Value> {
        let mut file = self.file.clone();
        // The classes are counted by their names, and weights are saved as float32.
        file.remove("num_labels");
        file.remove("torch_dtype");
        file.insert("dtype".to_owned(), json!("float32"));
        file.insert("model_type".to_owned(), json!(MODEL_TYPE));
        file.insert("architectures".to_owned(), json!(["BertForSequenceClassification"]));
        if let Value::Object(known) = serde_json::to_value(self).map_err(Error::other)? {
            file.extend(known);
        }
        Ok(Value::Object(file))
    }
}

/// What is wrong with the type of one value; a config of this key alone is a config too.
fn misfit(key: &str, value: &Value) -> Option<String> {
    let alone = Map::from_iter([(key.to_owned(), value.clone())]);
    let error = serde_json::from_value::<BertConfig>(Value::Object(alone)).err()?;
    Some(format!("`{key}`: {error}"))
}
