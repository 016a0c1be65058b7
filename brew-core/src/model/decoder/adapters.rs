//! Low-rank adapters on a language model.

use std::path::PathBuf;

use super::DecoderForCausalLm;
use super::names::ProjectionNames;
use crate::error::Result;
use crate::model::lora::{Adaptable, Attached, Facts, methods_of_lora};
use crate::model::weights::Weights;
use crate::parameters::Parameters;

methods_of_lora!(DecoderForCausalLm);

impl Adaptable for DecoderForCausalLm {
    fn rebuilt(&self, weights: Weights, folder: Option<PathBuf>) -> Result<Self> {
        let rebuilt = Self::build(self.config.clone(), weights, self.companions.clone())?;
        Ok(DecoderForCausalLm { folder, ..rebuilt })
    }

    fn all_parameters(&self) -> Parameters {
        self.named_parameters()
    }

    fn attached(&self) -> Option<&Attached> {
        self.lora.as_ref()
    }

    fn facts(&self) -> Facts {
        let names = self.config.model_type.switches().names;
        Facts {
            usual: match names.layer.projections {
                ProjectionNames::Three { .. } => &["q_proj", "v_proj"],
                ProjectionNames::Joined(_) => &["c_attn"],
            },
            task_type: Some("CAUSAL_LM"),
            head: &[],
            tied: if self.config.tie_word_embeddings {
                [names.head, names.tokens].map(str::to_owned).into()
            } else {
                Vec::new()
            },
            prefix: String::new(),
            inputs_first: names.inputs_first,
            folder: self.folder.clone(),
        }
    }
}
