//! `config.json` as a [`DecoderConfig`], and back.
//!
//! Keys that brew does not use are kept and written back, so nothing in a folder's config is lost.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::architecture::DecoderArchitecture;
use super::config::DecoderConfig;
use super::rope_file;
use crate::error::{Error, Result};
use crate::model::activation::Activation;
use crate::words::numbered;

/// Keys that, if true, ask for a computation that is not supported.
const NOT_DONE: [(&str, &str); 3] = [
    ("add_cross_attention", "cross attention is not supported"),
    ("use_bidirectional_attention", "attention to later tokens is not supported"),
    ("is_encoder_decoder", "a decoder with an encoder before it is not supported"),
];

impl DecoderConfig {
    /// Reads a config with transformers' keys; `path` is the file that errors name.
    ///
    /// # Errors
    /// An unsupported architecture; values of a wrong type; everything that is not supported or invalid, all at once.
    pub(crate) fn understand(path: &Path, file: Map<String, Value>) -> Result<Self> {
        let architecture = architecture(&file).map_err(|message| Error::file(path, message))?;
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
            serde_json::from_value(Value::Object(fields)).map_err(|error| Error::file(path, error))?;
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
            Err(Error::file(path, numbered("the model is invalid or not supported", &problems)))
        }
    }

    /// The file to save with weights of this dtype: the keys that were read, with brew's values. Keys whose name
    /// changed between versions of transformers are written under both names.
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
                // Written out, since the rule may depend on a layer's index.
                "layer_types" => json!(self.layers().map(|layer| self.layer_type(layer)).collect::<Vec<_>>()),
                "no_rope_layers" => json!(
                    self.layers().map(|layer| i64::from(self.rope_of(layer).is_some())).collect::<Vec<_>>()
                ),
                "num_key_value_heads" => json!(self.key_value_heads()),
                "head_dim" if value.is_null() => {
                    // Not null, which some of transformers' classes take for a number.
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

    pub(super) fn layers(&self) -> std::ops::Range<usize> {
        0..self.num_hidden_layers
    }
}

/// The architecture of a file, or why it is refused.
fn architecture(file: &Map<String, Value>) -> Result<DecoderArchitecture, String> {
    let names = DecoderArchitecture::names;
    let list = || names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let Some(name) = file.get("model_type").and_then(Value::as_str) else {
        return Err(format!("there is no model_type: it says which decoder this is, one of {}", list()));
    };
    // No "did you mean": a similar name is usually another architecture, not a typo.
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
