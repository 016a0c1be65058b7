//! The `config.json` that a GGUF file stands for.

use serde_json::{Map, Value as Json, json};

use super::file::Gguf;
use super::names::{self, HEAD, TOKENS};
use super::parse::Value;
use crate::error::Result;
use crate::words::numbered;

const ARCHITECTURE: &str = "general.architecture";

/// A supported architecture, by its name in GGUF files, which is also its `model_type`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Architecture {
    pub(super) name: &'static str,
    /// Whether the rows of queries and keys are stored in llama.cpp's order: number i of the first half of a head beside
    /// number i of the second.
    pub(super) interleaved: bool,
}

const ARCHITECTURES: [Architecture; 3] = [
    Architecture { name: "llama", interleaved: true },
    Architecture { name: "qwen2", interleaved: false },
    Architecture { name: "qwen3", interleaved: false },
];

/// The keys of an architecture that are read, or that say nothing about what a model computes.
const READ: [&str; 17] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

/// Keys with the only value that changes nothing.
const WITHOUT_EFFECT: [(&str, Value); 7] = [
    ("attention.causal", Value::Bool(true)),
    ("attention.clamp_kqv", Value::Float(0.0)),
    ("attention.sliding_window", Value::Integer(0)),
    ("expert_count", Value::Integer(0)),
    ("expert_used_count", Value::Integer(0)),
    ("rope.scaling.attn_factor", Value::Float(1.0)),
    ("use_parallel_residual", Value::Bool(false)),
];

impl Gguf {
    /// The architecture of the model.
    ///
    /// # Errors
    /// It is not supported.
    pub(super) fn architecture(&self) -> Result<&'static Architecture> {
        let name = self.needed(ARCHITECTURE, self.text(ARCHITECTURE)?)?;
        ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
            let known: Vec<_> = ARCHITECTURES.iter().map(|known| format!("`{}`", known.name)).collect();
            self.error(format!(
                "the architecture `{name}` is not supported in GGUF files; {} are: open the model's Hugging Face folder instead",
                known.join(", ")
            ))
        })
    }

    /// The config with the keys of transformers.
    ///
    /// # Errors
    /// A key that is missing, has a wrong type, or asks for a computation that is not supported.
    pub(crate) fn config(&self) -> Result<Map<String, Json>> {
        let architecture = self.architecture()?.name;
        self.refuse_unknown_keys(architecture)?;
        let key = |name: &str| format!("{architecture}.{name}");
        let integer = |name: &str| self.integer(&key(name));
        let needed = |name: &str| self.needed(&key(name), integer(name)?);
        let (width, heads) = (needed("embedding_length")?, needed("attention.head_count")?);
        let usual = if heads > 0 { width / heads } else { 0 };
        let head = integer("attention.key_length")?.unwrap_or(usual);
        for name in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = integer(name)?.filter(|other| *other != head) {
                return Err(self.error(format!(
                    "key `{}` is {other} and the heads of keys are {head} wide; only equal widths are supported",
                    key(name)
                )));
            }
        }
        let epsilon = key("attention.layer_norm_rms_epsilon");
        let mut config = json!({
            "model_type": architecture,
            "vocab_size": self.vocabulary_size(&key("vocab_size"))?,
            "hidden_size": width,
            "intermediate_size": needed("feed_forward_length")?,
            "num_hidden_layers": self.layers(&key("block_count"))?,
            "num_attention_heads": heads,
            "num_key_value_heads": integer("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": head,
            "max_position_embeddings": needed("context_length")?,
            "rms_norm_eps": self.needed(&epsilon, self.float(&epsilon)?)?,
            "hidden_act": "silu",
            "tie_word_embeddings": self.shape(HEAD).is_none(),
            "attention_bias": self.shape("blk.0.attn_q.bias").is_some(),
            "mlp_bias": self.shape("blk.0.ffn_up.bias").is_some(),
        });
        for (key, id) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            config[key] = json!(self.integer(&format!("tokenizer.ggml.{id}_token_id"))?);
        }
        let mut config: Map<String, Json> = config.as_object_mut().map(std::mem::take).unwrap_or_default();
        self.rope(&key(""), &mut config)?;
        Ok(config)
    }

    /// Refuses keys that may change what the model computes.
    fn refuse_unknown_keys(&self, architecture: &str) -> Result<()> {
        let mut problems = Vec::new();
        for (key, value) in self.values() {
            let Some(name) = key.strip_prefix(architecture).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            if READ.contains(&name) {
                continue;
            }
            match WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
                Some((_, only)) if value == only => {}
                Some((_, only)) => problems.push(format!(
                    "`{key}` is {}, which is not supported; {} is",
                    value.shown(),
                    only.shown()
                )),
                None => problems.push(format!(
                    "`{key}` ({}) is unknown and may change what the model computes",
                    value.shown()
                )),
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.error(numbered(
            "not supported in a GGUF file, so open the model's Hugging Face folder instead",
            &problems,
        )))
    }

    /// The number of tokens that have an embedding.
    fn vocabulary_size(&self, key: &str) -> Result<i64> {
        let rows = self.shape(TOKENS).and_then(|shape| shape.first()).copied();
        let rows = rows.ok_or_else(|| self.error(format!("there is no tensor `{TOKENS}`")))?;
        match self.integer(key)? {
            Some(stated) if stated != rows => Err(self.error(format!(
                "key `{key}` is {stated}, but `{TOKENS}` has {rows} rows: convert the original model again"
            ))),
            _ => Ok(rows),
        }
    }

    /// The number of layers: the one that is stated, if the file has just these.
    fn layers(&self, key: &str) -> Result<i64> {
        let stated = self.needed(key, self.integer(key)?)?;
        let found = self.tensors().filter_map(names::layer).max().map_or(0, |last| last.saturating_add(1));
        if usize::try_from(stated) == Ok(found) {
            return Ok(stated);
        }
        Err(self.error(format!(
            "key `{key}` is {stated}, but the file has {found} layers: convert the original model again"
        )))
    }
}
