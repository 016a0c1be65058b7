//! Loads models from Hugging Face folders, and saves them.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::head::checked_classes;
use super::{Bert, BertConfig, ClassHead, Head};
use crate::error::{Error, Result};
use crate::model::class_order::own_names;
use crate::model::folder::{CONFIG, companions, copy_companions, read_config, read_weights};
use crate::model::lora::{self, Attached};
use crate::model::subset::layers_in;
use crate::model::weights::Weights;
use crate::model::{Model, ProblemType, identity_of};
use crate::parameters::{Parameters, WEIGHTS, write_weights};
use crate::vocabulary::Vocabulary;

impl<H: Head> Bert<H> {
    /// Loads a model that was trained for this task, or an encoder with any head or none as a
    /// [`BertModel`](super::BertModel): a BERT, RoBERTa, XLM-RoBERTa, CamemBERT or DistilBERT.
    ///
    /// Weights may be float16, bfloat16, float32 or float64, in one safetensors file or in shards; in memory
    /// they are float32 and require gradients. Their names may lack the encoder's prefix (`bert.`) or have
    /// the prefix of a wrapping module (`module.`, `model.`, `0.auto_model.`).
    ///
    /// # Errors
    /// Names the file, and the tensors that are missing or whose shapes do not match the config. For a head
    /// of another task the error names the type to load it with; for weights in PyTorch's own format it gives
    /// the line of Python that converts them.
    pub fn from_pretrained(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let (config, mut weights) = read(folder, device)?;
        if let Some(message) = H::refusal(&config, &weights) {
            return Err(Error::file(folder, message));
        }
        H::settle(&mut weights, &config).map_err(|message| Error::file(folder, message))?;
        Self::build(config, weights, companions(folder))
    }

    /// The encoder of a folder with a new head for this many classes.
    pub(super) fn from_encoder_of(folder: &Path, classes: i64, seed: u64, device: Device) -> Result<Self> {
        let (mut config, mut weights) = read(folder, device)?;
        config.begin_task(classes);
        H::renew(&mut weights, &config, seed)?;
        Self::build(config, weights, companions(folder))
    }
}

impl<H: ClassHead> Bert<H> {
    /// Loads a pretrained encoder, ignoring its head, and adds a new classifier with weights from N(0,
    /// `initializer_range`²) and bias 0; the same for the same seed.
    ///
    /// For sequences, a BERT keeps its pooler. If it has none (a masked language model, a tagger), it gets a
    /// new one, drawn in the same way, and a line on standard error says so.
    ///
    /// This begins a new task: what the folder's config says about the old head (problem type, class names)
    /// is dropped. Name the new classes with [`classes`](Self::classes), and set the kind of labels with
    /// [`problem`](Self::problem); without it the labels themselves decide.
    ///
    /// For a student with only some of its layers, pass the result to
    /// [`from_layers_of`](Self::from_layers_of).
    ///
    /// # Errors
    /// Those of [`from_pretrained`](Self::from_pretrained), and fewer than one class.
    pub fn from_encoder(folder: impl AsRef<Path>, classes: usize, seed: u64, device: Device) -> Result<Self> {
        Self::from_encoder_of(folder.as_ref(), checked_classes(classes)?, seed, device)
    }
}

fn read(folder: &Path, device: Device) -> Result<(BertConfig, Weights)> {
    let config = BertConfig::understand(folder, read_config(folder)?)?;
    let architecture = config.model_type;
    let mut weights = read_weights(folder, &architecture.layout(), device)?;
    let layers = layers_in(&weights, architecture.layers());
    let key = architecture.key("num_hidden_layers").unwrap_or_default();
    let wanted = config.num_hidden_layers;
    if layers != wanted && layers > 0 {
        let mend = if layers > wanted {
            ": to use only some of them, load all and pass the model to from_layers_of"
        } else {
            ""
        };
        weights.problem(format!("the checkpoint has {layers} layers, but {key} is {wanted}{mend}"));
    }
    Ok((config, weights))
}

impl<H: Head> Model for Bert<H> {
    fn parameters(&self) -> Parameters {
        self.lora.as_ref().map_or_else(|| self.named_parameters(), Attached::parameters)
    }

    fn unlisted(&self) -> Parameters {
        self.lora.as_ref().map(Attached::base).unwrap_or_default()
    }

    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = identity_of::<Self>(&self.config)?;
        identity.extend(self.cross_entropy.identity()?);
        if let Some(lora) = &self.lora {
            lora.add_identity(&mut identity)?;
        }
        Ok(identity)
    }

    fn problem_type(&self) -> Option<ProblemType> {
        H::PROBLEM.or_else(|| self.problem.get())
    }

    fn class_names(&self) -> Option<Vec<String>> {
        let own = || own_names(&self.config.id2label).or_else(|| self.learned_names.get().cloned());
        H::NAMES_CLASSES.then(own).flatten()
    }

    fn takes_dropout(&self) -> bool {
        true
    }

    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        Vocabulary::of_files(&self.companions)
    }

    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.problem.learn(problem);
        let fits = |names: &&[String]| i64::try_from(names.len()) == Ok(self.config.classes());
        if let Some(names) = names.filter(|names| H::NAMES_CLASSES && fits(names)) {
            let _ = self.learned_names.set(names.to_vec());
        }
    }

    /// Writes a Hugging Face folder that Python's transformers can load directly: `model.safetensors` in
    /// float32, `config.json`, and the tokenizer files of the model's original folder. A model with adapters writes
    /// them alone, to a folder that Python's peft and [`load_adapter`](Self::load_adapter) read.
    fn save(&self, folder: &Path) -> Result<()> {
        if self.lora.is_some() {
            return lora::save(self, folder);
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        write_weights(&folder.join(WEIGHTS), &H::stored(self.named_parameters(), &self.config))?;
        let file = self.told_config().to_file(&H::class(self.config.model_type))?;
        let config = serde_json::to_vec_pretty(&file).map_err(Error::other)?;
        crate::disk::write(&folder.join(CONFIG), &config)?;
        copy_companions(&self.companions, folder)
    }
}
