//! Low-rank adapters on a model of BERT's family.

use std::path::PathBuf;

use super::architecture::Network;
use super::{Bert, Head};
use crate::error::Result;
use crate::model::lora::{Adaptable, Attached, Facts, methods_of_lora};
use crate::model::weights::Weights;
use crate::parameters::Parameters;

methods_of_lora!(Bert<H: Head>);

impl<H: Head> Adaptable for Bert<H> {
    fn rebuilt(&self, weights: Weights, folder: Option<PathBuf>) -> Result<Self> {
        let rebuilt = Self::build(self.told_config(), weights, self.companions.clone())?;
        Ok(Bert { cross_entropy: self.cross_entropy.shallow_clone(), folder, ..rebuilt })
    }

    fn all_parameters(&self) -> Parameters {
        self.named_parameters()
    }

    fn attached(&self) -> Option<&Attached> {
        self.lora.as_ref()
    }

    fn facts(&self) -> Facts {
        let (task_type, head): (_, &[_]) = match H::TASK {
            "SequenceClassification" => (Some("SEQ_CLS"), &["classifier", "score"]),
            "TokenClassification" => (Some("TOKEN_CLS"), &["classifier", "score"]),
            "QuestionAnswering" => (Some("QUESTION_ANS"), &["qa_outputs"]),
            "Model" => (Some("FEATURE_EXTRACTION"), &[]),
            _ => (None, &[]),
        };
        let prefix = self.config.model_type.prefix();
        let (usual, output): (&[_], _) = match self.config.model_type.network() {
            Network::Bert => (&["query", "value"], "cls.predictions.decoder"),
            Network::Roberta => (&["query", "value"], "lm_head.decoder"),
            Network::DistilBert => (&["q_lin", "v_lin"], "vocab_projector"),
        };
        Facts {
            usual,
            task_type,
            head,
            tied: if H::is_tied(&self.config) {
                vec![output.to_owned(), format!("{prefix}.embeddings.word_embeddings")]
            } else {
                Vec::new()
            },
            prefix: if H::TASK == "Model" { format!("{prefix}.") } else { String::new() },
            inputs_first: false,
            folder: self.folder.clone(),
        }
    }
}
