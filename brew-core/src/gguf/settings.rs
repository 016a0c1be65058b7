//! The files beside the weights that a GGUF file stands for.

use serde_json::{Value as Json, json};

use super::file::Gguf;
use crate::error::{Error, Result};

const TEMPLATE: &str = "tokenizer.chat_template";

/// The files of a Hugging Face folder that a GGUF file has beside the weights and the config. The tokenizer comes last:
/// it may be of a kind that is not supported.
const FILES: [&str; 3] = ["generation_config.json", "tokenizer_config.json", "tokenizer.json"];

/// The named special tokens, and the parts of their keys.
const NAMED: [(&str, &str); 6] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
    ("sep_token", "seperator"),
    ("mask_token", "mask"),
];

impl Gguf {
    /// The files of the tokenizer and of generation: their names, and each one's content if the file has it.
    pub(crate) fn companions(&self) -> impl Iterator<Item = (&'static str, Result<Option<Vec<u8>>>)> + '_ {
        FILES.into_iter().map(|name| (name, self.file_of_folder(name)))
    }

    /// The content of a file that a folder with this model would have, other than its weights.
    ///
    /// # Errors
    /// The file is damaged, or what it says is not supported.
    pub(crate) fn file_of_folder(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let content = match name {
            "config.json" => Some(Json::Object(self.config()?)),
            "generation_config.json" => Some(self.generation_config()?),
            "tokenizer_config.json" => self.tokenizer_config()?,
            "tokenizer.json" => self.tokenizer()?,
            _ => None,
        };
        content.map(|content| serde_json::to_vec_pretty(&content).map_err(Error::other)).transpose()
    }

    fn id(&self, name: &str) -> Result<Option<i64>> {
        self.integer(&format!("tokenizer.ggml.{name}_token_id"))
    }

    /// The tokens that begin, fill and end a text. A text also ends with the end of a turn or of a message.
    fn generation_config(&self) -> Result<Json> {
        let mut ends = Vec::new();
        for name in ["eos", "eot", "eom"] {
            ends.extend(self.id(name)?.filter(|id| !ends.contains(id)));
        }
        let mut config = json!({});
        for (key, id) in [("bos_token_id", self.id("bos")?), ("pad_token_id", self.id("padding")?)] {
            if let Some(id) = id {
                config[key] = json!(id);
            }
        }
        match ends.as_slice() {
            [] => {}
            [one] => config["eos_token_id"] = json!(one),
            several => config["eos_token_id"] = json!(several),
        }
        Ok(config)
    }

    /// The special tokens and the chat template; `None` without a tokenizer.
    fn tokenizer_config(&self) -> Result<Option<Json>> {
        if self.tokenizer_model()?.is_none() {
            return Ok(None);
        }
        let mut config = json!({
            // `tokenizer.json` is complete.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
        });
        let length = format!("{}.context_length", self.architecture()?.name);
        if let Some(length) = self.integer(&length)? {
            config["model_max_length"] = json!(length);
        }
        for (token, name) in NAMED {
            if let Some(id) = self.id(name)? {
                config[token] = json!(self.token(&format!("tokenizer.ggml.{name}_token_id"), id)?);
            }
        }
        if let Some(templates) = self.chat_templates()? {
            config["chat_template"] = templates;
        }
        Ok(Some(config))
    }

    /// The chat template, or a list of named ones.
    fn chat_templates(&self) -> Result<Option<Json>> {
        let default = self.text(TEMPLATE)?;
        let mut named: Vec<_> = default.map(|text| ("default", text)).into_iter().collect();
        for (key, _) in self.values() {
            if let Some(name) = key.strip_prefix(TEMPLATE).and_then(|rest| rest.strip_prefix('.')) {
                named.extend(self.text(key)?.map(|text| (name, text)));
            }
        }
        Ok(match (named.as_slice(), default) {
            ([], _) => None,
            ([_], Some(text)) => Some(json!(text)),
            (several, _) => {
                let list = several.iter().map(|(name, text)| json!({ "name": name, "template": text }));
                Some(Json::Array(list.collect()))
            }
        })
    }
}
