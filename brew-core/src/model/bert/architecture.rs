//! The architectures of BERT's family, and each one's names for its parts and settings.
//!
//! RoBERTa and DistilBERT differ from BERT only in a few steps, which makes three networks; XLM-RoBERTa and
//! CamemBERT compute the same as RoBERTa. Their folders differ in names. All names are defined here, so that
//! the parts of the network need to be written only once.

use serde::{Deserialize, Serialize};

use crate::model::folder::Layout;

/// The architecture of a model folder: the `model_type` in its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// BERT (Devlin et al. 2019): embeddings of tokens, types and positions; a pooler.
    Bert,
    /// RoBERTa (Liu et al. 2019): BERT with positions counted from the padding token's id, and without a
    /// pooler. brew's batch types pad `input_ids` with 0, while RoBERTa's padding token is 1. Padding is
    /// masked, so only the softmax over the length, of start and end logits, sees it: to get transformers'
    /// values there, use your own batch type with `pad = 1`.
    Roberta,
    /// XLM-RoBERTa (Conneau et al. 2020): RoBERTa with a vocabulary for a hundred languages.
    #[serde(rename = "xlm-roberta")]
    XlmRoberta,
    /// CamemBERT (Martin et al. 2020): RoBERTa with a French vocabulary.
    Camembert,
    /// DistilBERT (Sanh et al. 2019): BERT without token types and without a pooler.
    DistilBert,
}

/// The network that an architecture computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Bert,
    Roberta,
    DistilBert,
}

/// The names of a layer's parts, relative to the layer's name.
#[derive(Debug)]
pub(crate) struct LayerNames {
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) attention_output: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) output: &'static str,
    pub(crate) output_norm: &'static str,
}

const BERT_LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

const DISTILBERT_LAYER: LayerNames = LayerNames {
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    intermediate: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
};

impl Architecture {
    pub(crate) const ALL: [Architecture; 5] = [
        Architecture::Bert,
        Architecture::Roberta,
        Architecture::XlmRoberta,
        Architecture::Camembert,
        Architecture::DistilBert,
    ];

    /// The network that it computes.
    pub(crate) fn network(self) -> Network {
        match self {
            Architecture::Bert => Network::Bert,
            Architecture::Roberta | Architecture::XlmRoberta | Architecture::Camembert => Network::Roberta,
            Architecture::DistilBert => Network::DistilBert,
        }
    }

    /// Its `model_type`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Architecture::Bert => "bert",
            Architecture::Roberta => "roberta",
            Architecture::XlmRoberta => "xlm-roberta",
            Architecture::Camembert => "camembert",
            Architecture::DistilBert => "distilbert",
        }
    }

    /// The prefix of its class names in transformers.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Architecture::Bert => "Bert",
            Architecture::Roberta => "Roberta",
            Architecture::XlmRoberta => "XLMRoberta",
            Architecture::Camembert => "Camembert",
            Architecture::DistilBert => "DistilBert",
        }
    }

    /// The prefix of the encoder's parameter names, without the dot.
    pub(crate) fn prefix(self) -> &'static str {
        match self.network() {
            Network::Bert => "bert",
            Network::Roberta => "roberta",
            Network::DistilBert => "distilbert",
        }
    }

    /// How its checkpoints are recognised.
    pub(crate) fn layout(self) -> Layout<'static> {
        let roots: &[_] = match self.network() {
            Network::Bert | Network::Roberta => &["embeddings", "encoder", "pooler"],
            Network::DistilBert => &["embeddings", "transformer"],
        };
        Layout { prefix: self.prefix(), roots, anchor: "embeddings.word_embeddings.weight" }
    }

    /// The prefix of every layer's parameter names.
    pub(crate) fn layers(self) -> &'static str {
        match self.network() {
            Network::Bert => "bert.encoder.layer.",
            Network::Roberta => "roberta.encoder.layer.",
            Network::DistilBert => "distilbert.transformer.layer.",
        }
    }

    pub(crate) fn layer_names(self) -> &'static LayerNames {
        match self.network() {
            Network::Bert | Network::Roberta => &BERT_LAYER,
            Network::DistilBert => &DISTILBERT_LAYER,
        }
    }

    /// The key in its `config.json` for a field of [`BertConfig`](super::BertConfig); `None` if its config
    /// does not have the field.
    pub(crate) fn key(self, field: &str) -> Option<&str> {
        match (self.network(), field) {
            (Network::Bert | Network::Roberta, "seq_classif_dropout" | "qa_dropout") => None,
            (Network::Bert | Network::Roberta, _) => Some(field),
            (Network::DistilBert, "hidden_size") => Some("dim"),
            (Network::DistilBert, "num_hidden_layers") => Some("n_layers"),
            (Network::DistilBert, "num_attention_heads") => Some("n_heads"),
            (Network::DistilBert, "intermediate_size") => Some("hidden_dim"),
            (Network::DistilBert, "hidden_act") => Some("activation"),
            (Network::DistilBert, "hidden_dropout_prob") => Some("dropout"),
            (Network::DistilBert, "attention_probs_dropout_prob") => Some("attention_dropout"),
            (Network::DistilBert, "type_vocab_size" | "layer_norm_eps" | "classifier_dropout") => None,
            (Network::DistilBert, _) => Some(field),
        }
    }
}
