//! How texts are split before byte-pair encoding, by the name of the rule in a GGUF file.
//!
//! The patterns are those that the models' own `tokenizer.json` have.

use serde_json::{Value, json};

/// A rule.
pub(super) struct PreTokenizer {
    pub(super) name: &'static str,
    /// Each digit is a word of its own, and the rest is split as in GPT-2.
    single_digits: bool,
    /// The pattern of words, if they are not GPT-2's.
    words: Option<&'static str>,
    /// Whether characters are composed first.
    composed: bool,
    /// Whether a word of the vocabulary is a token whatever the merges make of it.
    pub(super) whole_words: bool,
    /// Whether a text begins with the first token if no key says so.
    pub(super) begins: bool,
}

const GPT2: PreTokenizer = PreTokenizer {
    name: "gpt-2",
    single_digits: false,
    words: None,
    composed: false,
    whole_words: false,
    begins: false,
};

/// The supported rules.
pub(super) static TABLE: [PreTokenizer; 4] = [
    GPT2,
    PreTokenizer { name: "smollm", single_digits: true, ..GPT2 },
    PreTokenizer {
        name: "llama-bpe",
        words: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        whole_words: true,
        begins: true,
        ..GPT2
    },
    PreTokenizer {
        name: "qwen2",
        words: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        composed: true,
        ..GPT2
    },
];

impl PreTokenizer {
    /// The `normalizer` of `tokenizer.json`.
    pub(super) fn normalizer(&self) -> Value {
        if self.composed { json!({ "type": "NFC" }) } else { Value::Null }
    }

    /// The `pre_tokenizer` of `tokenizer.json`.
    pub(super) fn pre_tokenizer(&self) -> Value {
        let bytes = |splits: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": splits });
        let in_order =
            |first: Value, then: Value| json!({ "type": "Sequence", "pretokenizers": [first, then] });
        match self.words {
            Some(words) => in_order(
                json!({ "type": "Split", "pattern": { "Regex": words }, "behavior": "Isolated", "invert": false }),
                bytes(false),
            ),
            None if self.single_digits => {
                in_order(json!({ "type": "Digits", "individual_digits": true }), bytes(true))
            }
            None => bytes(true),
        }
    }
}
