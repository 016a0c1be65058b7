//! Reads the `generation_config.json` of a model.

use std::path::Path;

use serde_json::{Map, Value};

use super::config::GenerationConfig;
use crate::error::{Error, Result};
use crate::model::ModelFiles;
use crate::words::numbered;

/// The file's name.
const FILE: &str = "generation_config.json";

/// Settings that change what is written and are not supported, with the values at which they change nothing, besides
/// null.
const NOT_DONE: [(&str, &[f64]); 24] = [
    ("num_beams", &[1.0]),
    ("num_beam_groups", &[1.0]),
    ("penalty_alpha", &[0.0]),
    ("dola_layers", &[]),
    ("guidance_scale", &[1.0]),
    ("sequence_bias", &[]),
    ("diversity_penalty", &[0.0]),
    ("encoder_repetition_penalty", &[1.0]),
    ("no_repeat_ngram_size", &[0.0]),
    ("encoder_no_repeat_ngram_size", &[0.0]),
    ("bad_words_ids", &[]),
    ("force_words_ids", &[]),
    ("constraints", &[]),
    ("min_length", &[0.0]),
    ("min_new_tokens", &[0.0]),
    ("forced_bos_token_id", &[]),
    ("forced_eos_token_id", &[]),
    ("exponential_decay_length_penalty", &[]),
    ("suppress_tokens", &[]),
    ("begin_suppress_tokens", &[]),
    ("top_h", &[]),
    ("typical_p", &[1.0]),
    ("epsilon_cutoff", &[0.0]),
    ("eta_cutoff", &[0.0]),
];

/// Further ones that are off if they are missing, null, false or empty.
const NOT_DONE_EITHER: [&str; 4] = ["stop_strings", "watermarking_config", "token_healing", "max_time"];

impl GenerationConfig {
    /// These settings with those of the `generation_config.json` of a folder, if it has one, or of a GGUF file.
    ///
    /// Tokens that end a text are added to those already known: chat models list the end of a turn in one file and the
    /// end of a text in another. `max_length` is not read, since it counts the prompt; a missing `top_k` stays as it is,
    /// whereas transformers takes 50.
    ///
    /// # Errors
    /// Names the file, and every key of a wrong type or with a value that is not supported.
    ///
    /// ```no_run
    /// use brew_core::generate::GenerationConfig;
    /// use brew_core::model::DecoderForCausalLm;
    /// use brew_core::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let model = DecoderForCausalLm::from_pretrained("models/smollm2", Device::Cpu)?;
    /// let config = GenerationConfig::of(&model).with_file_of("models/smollm2")?;
    /// println!("{config}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_file_of(self, model: impl AsRef<Path>) -> Result<Self> {
        let files = ModelFiles::open(model)?;
        let path = files.place(FILE);
        let Some(bytes) = files.read(FILE)? else { return Ok(self) };
        let file: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|error| Error::file(&path, format!("not a JSON object: {error}")))?;
        self.with_keys(&file).map_err(|problems| Error::file(&path, numbered("generation", &problems)))
    }

    fn with_keys(mut self, file: &Map<String, Value>) -> std::result::Result<Self, Vec<String>> {
        let mut keys = Keys { file, problems: Vec::new() };
        keys.integer("max_new_tokens", &mut self.max_new_tokens);
        keys.integer("top_k", &mut self.top_k);
        keys.integer("num_return_sequences", &mut self.num_return_sequences);
        keys.number("temperature", &mut self.temperature);
        keys.number("top_p", &mut self.top_p);
        keys.number("min_p", &mut self.min_p);
        keys.number("repetition_penalty", &mut self.repetition_penalty);
        if let Some(value) = keys.get("do_sample") {
            match value.as_bool() {
                Some(sample) => self.do_sample = sample,
                None => keys.wrong("do_sample", value, "true or false"),
            }
        }
        if let Some(value) = keys.get("pad_token_id") {
            match value.as_i64() {
                Some(pad) => self.pad_token_id = Some(pad),
                None => keys.wrong("pad_token_id", value, "a token number"),
            }
        }
        if let Some(value) = keys.get("eos_token_id") {
            let ids = match value {
                Value::Array(ids) => ids.iter().map(Value::as_i64).collect(),
                one => one.as_i64().map(|id| vec![id]),
            };
            match ids {
                Some(ids) => self.stop_at(ids),
                None => keys.wrong("eos_token_id", value, "a token number or a list of them"),
            }
        }
        keys.refuse_what_is_not_done();
        if keys.problems.is_empty() { Ok(self) } else { Err(keys.problems) }
    }

    /// Adds tokens that end an answer to those already known.
    pub fn stop_at(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            if !self.eos_token_id.contains(&id) {
                self.eos_token_id.push(id);
            }
        }
    }
}

/// The keys of a file, and what is wrong with them.
struct Keys<'f> {
    file: &'f Map<String, Value>,
    problems: Vec<String>,
}

impl<'f> Keys<'f> {
    /// A value that is there and not null.
    fn get(&self, key: &str) -> Option<&'f Value> {
        self.file.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, key: &str, value: &Value, wanted: &str) {
        self.problems.push(format!("{key} is {value}; it must be {wanted}"));
    }

    fn integer(&mut self, key: &str, setting: &mut i64) {
        if let Some(value) = self.get(key) {
            match value.as_i64() {
                Some(number) => *setting = number,
                None => self.wrong(key, value, "an integer"),
            }
        }
    }

    fn number(&mut self, key: &str, setting: &mut f64) {
        if let Some(value) = self.get(key) {
            match value.as_f64() {
                Some(number) => *setting = number,
                None => self.wrong(key, value, "a number"),
            }
        }
    }

    fn refuse_what_is_not_done(&mut self) {
        let numbers = NOT_DONE.iter().filter(|(key, neutral)| {
            let number = self.get(key).and_then(Value::as_f64);
            !number.is_some_and(|number| neutral.contains(&number))
        });
        let keys = numbers.map(|(key, _)| *key).chain(NOT_DONE_EITHER);
        let set: Vec<_> = keys.filter_map(|key| Some((key, self.get(key)?))).collect();
        for (key, value) in set {
            let empty = match value {
                Value::Bool(on) => !on,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !empty {
                self.problems.push(format!(
                    "{key} is {value}, which is not supported yet: remove the key to generate without it"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(file: Value) -> std::result::Result<GenerationConfig, Vec<String>> {
        let Value::Object(file) = file else { panic!("an object") };
        GenerationConfig { eos_token_id: vec![2], ..GenerationConfig::default() }.with_keys(&file)
    }

    // As Llama-3.2-1B-Instruct and Qwen2.5-0.5B-Instruct have it.
    #[test]
    fn settings_are_taken_and_stop_tokens_are_added() {
        let file = json!({
            "bos_token_id": 128_000, "do_sample": true, "eos_token_id": [128_001, 128_008, 2, 128_009],
            "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.1, "pad_token_id": 5,
            "max_length": 4096, "transformers_version": "4.45.0.dev0", "num_beams": 1, "typical_p": 1.0
        });
        let config = read(file).unwrap();
        assert_eq!(config.eos_token_id, [2, 128_001, 128_008, 128_009]);
        assert_eq!((config.do_sample, config.top_k, config.pad_token_id), (true, 20, Some(5)));
        assert_eq!((config.temperature, config.top_p, config.repetition_penalty), (0.6, 0.9, 1.1));
        assert_eq!(config.max_new_tokens, GenerationConfig::default().max_new_tokens);
        // Nothing is truncated unless the folder says so.
        let plain = read(json!({ "do_sample": true, "temperature": null, "eos_token_id": 7 })).unwrap();
        assert_eq!((plain.top_k, plain.top_p, plain.min_p, plain.temperature), (0, 1.0, 0.0, 1.0));
        assert_eq!(plain.eos_token_id, [2, 7]);
    }

    #[test]
    fn what_is_not_supported_or_of_a_wrong_type_is_named() {
        let problems = read(json!({
            "num_beams": 4, "stop_strings": ["END"], "typical_p": 0.9, "suppress_tokens": [1], "bad_words_ids": [],
            "watermarking_config": null, "token_healing": false, "top_k": "many", "eos_token_id": [1, "x"]
        }));
        let problems = problems.unwrap_err();
        for key in [
            "num_beams is 4",
            "stop_strings is",
            "typical_p is 0.9",
            "suppress_tokens is [1]",
            "top_k is \"many\"; it must be an integer",
            "eos_token_id is",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key}: {problems:?}");
        }
        assert_eq!(problems.len(), 6, "{problems:?}");
    }
}
