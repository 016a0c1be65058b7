//! Loads and saves a BiGRU folder: `config.json` and `model.safetensors`, in brew's own layout with the names
//! of PyTorch's modules.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::{BiGru, BiGruConfig, BiGruTask};
use crate::error::{Error, Result};
use crate::model::class_order::own_names;
use crate::model::folder::{CONFIG, Layout, companions, copy_companions, read_config, read_weights};
use crate::model::{Model, ProblemType, identity_of};
use crate::parameters::{Parameters, WEIGHTS, write_weights};
use crate::vocabulary::Vocabulary;

impl<T: BiGruTask> BiGru<T> {
    /// The class of this model, as `config.json` names it.
    fn architecture() -> String {
        format!("BiGruFor{}", T::NAME)
    }

    /// Loads a model written by [`Model::save`].
    ///
    /// # Errors
    /// Names the file and its problems: an unknown key, an invalid size, a different task, every tensor that
    /// is missing or of the wrong shape.
    pub fn from_pretrained(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let file = folder.join(CONFIG);
        let of_file = |error: &dyn std::fmt::Display| Error::file(&file, error);
        let read = serde_json::Value::Object(read_config(folder)?);
        let config: BiGruConfig = serde_json::from_value(read)
            .map_err(|error| of_file(&format!("not the config of a BiGRU: {error}")))?;
        config.check().map_err(|error| of_file(&error))?;
        if let Some(other) = config.architectures.iter().find(|found| **found != Self::architecture()) {
            return Err(of_file(&format!("this is a {other}, not a {}", Self::architecture())));
        }
        Self::build(config, read_weights(folder, &Layout::default(), device)?, companions(folder))
    }

    /// The same model, which also saves the tokenizer files of this folder when it is saved.
    #[must_use]
    pub fn with_tokenizer_of(self, folder: impl AsRef<Path>) -> Self {
        BiGru { companions: companions(folder.as_ref()), ..self }
    }
}

impl<T: BiGruTask> Model for BiGru<T> {
    fn parameters(&self) -> Parameters {
        self.named_parameters()
    }

    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = identity_of::<Self>(&self.config)?;
        identity.extend(self.cross_entropy.identity()?);
        Ok(identity)
    }

    fn problem_type(&self) -> Option<ProblemType> {
        T::PROBLEM.or_else(|| self.problem.get())
    }

    fn class_names(&self) -> Option<Vec<String>> {
        own_names(&self.config.id2label).or_else(|| self.learned_names.get().cloned())
    }

    fn takes_dropout(&self) -> bool {
        true
    }

    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        Vocabulary::of_files(&self.companions)
    }

    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.problem.learn(problem);
        if let Some(names) = names.filter(|names| names.len() == self.config.num_labels) {
            let _ = self.learned_names.set(names.to_vec());
        }
    }

    /// Writes `model.safetensors` in float32, `config.json`, and its tokenizer files.
    fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        write_weights(&folder.join(WEIGHTS), &self.parameters())?;
        let config = BiGruConfig { architectures: vec![Self::architecture()], ..self.told_config() };
        let config = serde_json::to_vec_pretty(&config).map_err(Error::other)?;
        crate::disk::write(&folder.join(CONFIG), &config)?;
        copy_companions(&self.companions, folder)
    }
}
