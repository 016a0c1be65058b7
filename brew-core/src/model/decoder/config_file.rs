//! `config.json` as a [`DecoderConfig`], and back.
//!
//! Keys that brew does not use are kept and written back, so that a folder loses nothing on its way through.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::architecture::DecoderArchitecture;
use super::config::{DecoderConfig, LayerType};
use super::rope_file;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::model::folder::CONFIG;
use crate::words::numbered;

/// Keys with a value that changes the computation into one that is not done.
const NOT_DONE: [(&str, &str); 3] = [
    ("add_cross_attention", "cross attention is not supported"),
    ("use_bidirectional_attention", "attention to later tokens is not supported"),
    ("is_encoder_decoder", "a decoder with an encoder before it is not supported"),
];

impl DecoderConfig {
    /// Understands the config of a folder.
    ///
    /// # Errors
    /// For another architecture, a value of another type, and what is not supported or makes no model; all of
    /// the last at once.
    pub(crate) fn understand(folder: &Path, file: Map<String, Value>) -> Result<Self> {
        let path = folder.join(CONFIG);
        let architecture = architecture(&file).map_err(|message| Error::file(&path, message))?;
        let switches = architecture.switches();
        let mut fields = DecoderConfig::base(architecture).fields()?;
        let mut misfits = Vec::new();
        for (field, value) in &mut fields {
            let Some(given) = switches.key(field).and_then(|key| file.get(key)) else { continue };
            match misfit(field, given) {
                None => *value = given.clone(),
                // As if the key were not there.
                Some(_) if given.is_null() => {}
                Some(error) => {
                    misfits.push(format!("`{}`: {error}", switches.key(field).unwrap_or(field)));
                }
            }
        }
        if !misfits.is_empty() {
            return Err(Error::file(path, numbered("a value that cannot be understood", &misfits)));
        }
        let mut config: DecoderConfig =
            serde_json::from_value(Value::Object(fields)).map_err(|error| Error::file(&path, error))?;
        let mut problems = not_done(&file);
        let ropes = (config.rope, config.local_rope);
        match rope_file::read(&file, switches, config.max_position_embeddings, ropes) {
            Ok((rope, local)) => (config.rope, config.local_rope) = (rope, local),
            Err(found) => problems.extend(found),
        }
        config.file = file;
        problems.extend(config.problems());
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Error::file(path, numbered("this makes no model that is supported", &problems)))
        }
    }

    /// The file as it is saved with weights of this dtype: what was read, with what brew knows better in its
    /// place. What newer and older readers call by two names is there under both.
    pub(crate) fn to_file(&self, dtype: &str) -> Result<Value> {
        let switches = self.model_type.switches();
        let mut file = self.file.clone();
        file.insert("model_type".to_owned(), json!(switches.name));
        file.insert("architectures".to_owned(), json!([switches.class]));
        for key in ["dtype", "torch_dtype"] {
            file.insert(key.to_owned(), json!(dtype));
        }
        for (field, value) in self.fields()? {
            let Some(key) = switches.key(&field) else { continue };
            let value = match field.as_str() {
                // An activation keeps the name it was read under.
                "hidden_act" if file.get(key).is_some_and(|name| is(name, self.hidden_act)) => continue,
                // What a rule decides is spelled out, since the rule may be of the layers' places.
                "layer_types" => json!(self.layers().map(|layer| self.layer_type(layer)).collect::<Vec<_>>()),
                "no_rope_layers" => json!(
                    self.layers().map(|layer| i64::from(self.rope_of(layer).is_some())).collect::<Vec<_>>()
                ),
                "num_key_value_heads" => json!(self.key_value_heads()),
                "head_dim" if value.is_null() => {
                    // Not null: some classes of transformers take that for a number.
                    file.remove(key);
                    continue;
                }
                _ => value,
            };
            file.insert(key.to_owned(), value);
        }
        rope_file::write(&mut file, switches, &self.rope, self.local_rope.as_ref());
        Ok(Value::Object(file))
    }

    /// The values by the names of the fields.
    fn fields(&self) -> Result<Map<String, Value>> {
        let fields = serde_json::to_value(self).and_then(serde_json::from_value);
        fields.map_err(Error::other)
    }

    fn layers(&self) -> std::ops::Range<usize> {
        0..self.num_hidden_layers
    }

    /// What makes no model.
    pub(super) fn problems(&self) -> Vec<String> {
        let key = |field| self.key(field).unwrap_or(field);
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.key_value_heads()),
            ("head_dim", self.head_size()),
            ("intermediate_size", self.feed_forward_size()),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
            ("query_pre_attn_scalar", self.query_pre_attn_scalar),
        ];
        let dropouts = [
            ("attention_dropout", self.attention_dropout),
            ("residual_dropout", self.residual_dropout),
            ("embedding_dropout", self.embedding_dropout),
        ];
        let above_zero = [
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ];
        let mut problems = Vec::new();
        for (field, size) in sizes.into_iter().filter(|(_, size)| *size < 1) {
            problems.push(format!("{} is {size}; it must be at least 1", key(field)));
        }
        for (field, dropout) in dropouts.into_iter().filter(|(_, dropout)| !(0.0..1.0).contains(dropout)) {
            problems.push(format!("{} is {dropout}; it must be at least 0 and below 1", key(field)));
        }
        for (field, number) in above_zero {
            if let Some(number) = number.filter(|number| !(number.is_finite() && *number > 0.0)) {
                problems.push(format!("{field} is {number}; it must be above 0"));
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        if self.head_dim.is_none() && self.hidden_size % self.num_attention_heads != 0 {
            problems.push(not_a_multiple(
                (key("hidden_size"), self.hidden_size),
                (key("num_attention_heads"), self.num_attention_heads),
            ));
        }
        if self.num_attention_heads % self.key_value_heads() != 0 {
            problems.push(not_a_multiple(
                (key("num_attention_heads"), self.num_attention_heads),
                ("num_key_value_heads", self.key_value_heads()),
            ));
        }
        if self.layers().any(|layer| self.rope_of(layer).is_some()) {
            problems.extend(rope_file::problems(&self.rope));
            problems.extend(self.local_rope.iter().flat_map(rope_file::problems));
            if self.head_size() % 2 != 0 {
                problems.push(format!("a head is {} wide; it must be even to be rotated", self.head_size()));
            }
        }
        problems.extend(self.problems_of_layers());
        problems
    }

    /// What is wrong with lists that have an entry for each layer.
    fn problems_of_layers(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let layers = self.num_hidden_layers;
        if let Some(types) = self.layer_types.as_ref().filter(|types| types.len() != layers) {
            problems.push(format!("layer_types has {} entries for {layers} layers", types.len()));
        }
        if let Some(rotating) = self.no_rope_layers.as_ref().filter(|rotating| rotating.len() < layers) {
            problems.push(format!("no_rope_layers has {} entries for {layers} layers", rotating.len()));
        }
        let windowed = self.layers().find(|layer| self.layer_type(*layer) == LayerType::SlidingAttention);
        if let (Some(layer), None) = (windowed, self.sliding_window) {
            problems
                .push(format!("layer {layer} is to see a window, and sliding_window does not say how long"));
        }
        problems
    }
}

/// The architecture that a file names; what is wrong where it names none of the family.
fn architecture(file: &Map<String, Value>) -> Result<DecoderArchitecture, String> {
    let names = DecoderArchitecture::names;
    let list = || names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let Some(name) = file.get("model_type").and_then(Value::as_str) else {
        return Err(format!("there is no model_type: it says which decoder this is, one of {}", list()));
    };
    // Without the nearest of them: a name like theirs is another architecture, and seldom a slip.
    DecoderArchitecture::of(name).ok_or_else(|| {
        format!("model_type is `{name}`, which is not supported; these decoders are: {}", list())
    })
}

fn not_done(file: &Map<String, Value>) -> Vec<String> {
    let asked = NOT_DONE.iter().filter(|(key, _)| file.get(*key) == Some(&Value::Bool(true)));
    let mut problems: Vec<_> = asked.map(|(key, what)| format!("{key} is true: {what}")).collect();
    if let Some(Value::Object(quantised)) = file.get("quantization_config") {
        let method = quantised.get("quant_method").and_then(Value::as_str).unwrap_or("unnamed");
        problems.push(format!(
            "the weights are quantised (quant_method `{method}`), which is not supported: save the model in float32, float16 or bfloat16"
        ));
    }
    problems
}

fn not_a_multiple((field, size): (&str, i64), (other, of): (&str, i64)) -> String {
    format!("{field} {size} is not a multiple of {other} {of}")
}

/// Whether this is a name of an activation.
fn is(name: &Value, activation: Activation) -> bool {
    serde_json::from_value::<Activation>(name.clone()).is_ok_and(|named| named == activation)
}

/// What is wrong with the type of one value; a config of this field alone is a config too.
fn misfit(field: &str, value: &Value) -> Option<serde_json::Error> {
    let alone = Map::from_iter([(field.to_owned(), value.clone())]);
    serde_json::from_value::<DecoderConfig>(Value::Object(alone)).err()
}

#[cfg(test)]
mod tests;
