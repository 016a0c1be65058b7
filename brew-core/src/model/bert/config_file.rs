//! Converts between `config.json` and [`BertConfig`].
//!
//! Keys that brew does not use are kept and written back, so that nothing in a folder gets lost. Each
//! architecture has its own names for the same settings: see `Architecture::key`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::architecture::{Architecture, Network};
use super::class_names::{ClassNames, class_names};
use super::config::{BertConfig, DEFAULT_CLASSES};
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::class_order::default_names;
use crate::model::folder::CONFIG;
use crate::words::{numbered, suggest};

/// The keys that `class_names.rs` reads.
const CLASS_NAMES: [&str; 2] = ["id2label", "label2id"];

impl BertConfig {
    /// Parses a folder's config.
    ///
    /// # Errors
    /// An unsupported architecture, values of the wrong type, and invalid values; all invalid values are
    /// listed at once.
    pub(crate) fn understand(folder: &Path, file: Map<String, Value>) -> Result<Self> {
        let path = folder.join(CONFIG);
        let architecture = architecture(&file).map_err(|message| Error::file(&path, message))?;
        let mut fields = BertConfig::base(architecture).fields()?;
        let mut misfits = Vec::new();
        for (field, value) in &mut fields {
            let Some(key) = architecture.key(field).filter(|key| !CLASS_NAMES.contains(key)) else {
                continue;
            };
            if let Some(given) = file.get(key) {
                misfits.extend(misfit(field, given).map(|error| format!("`{key}`: {error}")));
                *value = given.clone();
            }
        }
        let (id2label, label2id) = class_names(&file).unwrap_or_else(|problems| {
            misfits.extend(problems);
            ClassNames::default()
        });
        if !misfits.is_empty() {
            return Err(Error::file(path, numbered("values of the wrong type", &misfits)));
        }
        let mut config: BertConfig =
            serde_json::from_value(Value::Object(fields)).map_err(|error| Error::file(&path, error))?;
        (config.id2label, config.label2id) = (id2label, label2id);
        config.file = file;
        if config.id2label.is_empty() {
            let classes = config.file.get("num_labels").and_then(Value::as_i64).unwrap_or(DEFAULT_CLASSES);
            config.name_classes(default_names(classes));
        }
        let problems = config.problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Error::file(path, numbered("invalid model config", &problems)))
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let key = |field| self.model_type.key(field).unwrap_or(field);
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
            ("seq_classif_dropout", self.seq_classif_dropout),
            ("qa_dropout", self.qa_dropout),
        ];
        let mut problems = Vec::new();
        for (field, size) in sizes.into_iter().filter(|(_, size)| *size < 1) {
            problems.push(format!("{} is {size}; it must be at least 1", key(field)));
        }
        for (field, dropout) in dropouts.into_iter().filter(|(_, dropout)| !(0.0..1.0).contains(dropout)) {
            problems.push(format!("{} is {dropout}; it must be at least 0 and below 1", key(field)));
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps >= 0.0) {
            problems.push(format!(
                "{} is {}; it must be at least 0",
                key("layer_norm_eps"),
                self.layer_norm_eps
            ));
        }
        if self.num_attention_heads > 0 && self.hidden_size % self.num_attention_heads != 0 {
            problems.push(format!(
                "{} {} must be a multiple of {} {}",
                key("hidden_size"),
                self.hidden_size,
                key("num_attention_heads"),
                self.num_attention_heads
            ));
        }
        if !self.id2label.keys().copied().eq(0..self.classes()) {
            let classes: Vec<_> = self.id2label.keys().collect();
            problems
                .push(format!("id2label has the classes {classes:?}; they must count from 0 without gaps"));
        }
        if self.model_type.network() == Network::Roberta && self.pad_token_id.is_none() {
            problems.push(
                "pad_token_id is null; it must be set, since RoBERTa counts positions from it".to_owned(),
            );
        } else if self.max_position_embeddings > 0 && self.longest() < 1 {
            problems.push(format!(
                "max_position_embeddings is {}, but the first token has position {}: no sequence fits",
                self.max_position_embeddings,
                self.first_position()
            ));
        }
        problems.extend(self.unsupported());
        problems
    }

    /// Settings that another computation would need.
    fn unsupported(&self) -> Vec<String> {
        let mut problems = Vec::new();
        // Both change the computation, and neither occurs in checkpoints of the sentence encoders and
        // classifiers that this model is for.
        if let Some(kind) = self.file.get("position_embedding_type").and_then(Value::as_str)
            && kind != "absolute"
        {
            problems.push(format!("position_embedding_type is `{kind}`; only `absolute` is supported"));
        }
        if self.file.get("is_decoder").and_then(Value::as_bool) == Some(true) {
            problems.push("is_decoder is true; only encoders are supported".to_owned());
        }
        problems
    }

    /// The file to save for a model of this class of transformers: the original keys, updated with brew's
    /// current values.
    pub(crate) fn to_file(&self, class: &str) -> Result<Value> {
        let mut file = self.file.clone();
        // The number of classes follows from their names, and weights are saved as float32.
        file.remove("num_labels");
        file.remove("torch_dtype");
        file.insert("dtype".to_owned(), json!("float32"));
        file.insert("architectures".to_owned(), json!([class]));
        for (field, value) in self.fields()? {
            let Some(key) = self.model_type.key(&field) else { continue };
            // An activation keeps the name under which it was read.
            let same = field == "hidden_act" && file.get(key).is_some_and(|name| is(name, self.hidden_act));
            if !same {
                file.insert(key.to_owned(), value);
            }
        }
        Ok(Value::Object(file))
    }

    /// The values by field name.
    fn fields(&self) -> Result<Map<String, Value>> {
        let fields = serde_json::to_value(self).and_then(serde_json::from_value);
        fields.map_err(Error::other)
    }
}

/// The architecture that a file names, or the problem if it is not one of the family.
fn architecture(file: &Map<String, Value>) -> Result<Architecture, String> {
    let Some(name) = file.get("model_type").and_then(Value::as_str) else {
        return Err("model_type is missing: if this is a BERT, add \"model_type\": \"bert\"".to_owned());
    };
    let found = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name);
    found.ok_or_else(|| {
        let near = suggest(name, Architecture::ALL.map(Architecture::name));
        format!("model_type is `{name}`, an unsupported architecture{near}")
    })
}

/// Whether this is a name of the activation.
fn is(name: &Value, activation: Activation) -> bool {
    serde_json::from_value::<Activation>(name.clone()).is_ok_and(|named| named == activation)
}

/// The type error of one value, found by parsing a config with only this field.
fn misfit(field: &str, value: &Value) -> Option<serde_json::Error> {
    let alone = Map::from_iter([(field.to_owned(), value.clone())]);
    serde_json::from_value::<BertConfig>(Value::Object(alone)).err()
}
