//! The architectures of the family, and what each calls its parts and its settings.
//!
//! RoBERTa and DistilBERT compute what BERT computes but for a few steps: three networks. XLM-RoBERTa and
//! CamemBERT compute what RoBERTa computes. What keeps their folders apart is names. They are all here,
//! so that the parts of the network are written once.

use serde::{Deserialize, Serialize};

/// Which architecture a model folder holds: the `model_type` of its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// BERT (Devlin et al. 2019): embeddings of tokens, types and positions; a pooler.
    Bert,
    /// RoBERTa (Liu et al. 2019): BERT whose positions are counted from the padding token's number on,
    /// without a pooler. The ready batches pad `input_ids` with 0, and its padding token is 1. Padding
    /// is masked, so that only the softmax over the length, of start and end logits, sees it: for
    /// transformers' values there, read a batch of one's own with `pad = 1`.
    Roberta,
    /// XLM-RoBERTa (Conneau et al. 2020): RoBERTa with a vocabulary of a hundred languages.
    #[serde(rename = "xlm-roberta")]
    XlmRoberta,
    /// CamemBERT (Martin et al. 2020): RoBERTa with a French vocabulary.
    Camembert,
    /// DistilBERT (Sanh et al. 2019): BERT without token types and without a pooler.
    DistilBert,
}

/// What an architecture computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Bert,
    Roberta,
    DistilBert,
}

/// The parts of a layer, by the names that follow the layer's own.
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

    /// What it computes.
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

    /// The start of the names of transformers' classes.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Architecture::Bert => "Bert",
            Architecture::Roberta => "Roberta",
            Architecture::XlmRoberta => "XLMRoberta",
            Architecture::Camembert => "Camembert",
            Architecture::DistilBert => "DistilBert",
        }
    }

    /// The start of the names of the encoder's parameters, without the dot.
    pub(crate) fn prefix(self) -> &'static str {
        match self.network() {
            Network::Bert => "bert",
            Network::Roberta => "roberta",
            Network::DistilBert => "distilbert",
        }
    }

    /// The parts that a checkpoint of the encoder alone has without the encoder's prefix.
    pub(crate) fn roots(self) -> &'static [&'static str] {
        match self.network() {
            Network::Bert | Network::Roberta => &["embeddings", "encoder", "pooler"],
            Network::DistilBert => &["embeddings", "transformer"],
        }
    }

    /// The start of the name of every layer's parameters.
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

    /// What its `config.json` calls a field of [`BertConfig`](super::BertConfig); `None` for a field
    /// that its config does not have.
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
