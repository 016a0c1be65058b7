//! A model from a Hugging Face folder or a GGUF file, and back into a folder.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind};

use super::{DecoderConfig, DecoderForCausalLm};
use crate::error::{Error, Result};
use crate::gguf::{self, Gguf};
use crate::model::folder::{CONFIG, companions, copy_companions, read_config, read_weights};
use crate::model::lora::{self, Attached};
use crate::model::subset::layers_in;
use crate::model::weights::Weights;
use crate::model::{CausalLm, Model, identity_of};
use crate::parameters::{Parameters, WEIGHTS, write_tensors};
use crate::vocabulary::Vocabulary;

/// The number of unexpected tensors that an error names.
const NAMED: usize = 5;

impl DecoderForCausalLm {
    /// Loads a language model: a Llama, Mistral, Qwen2, Qwen3, SmolLM3, GPT-2, Gemma 2 or Gemma 3.
    ///
    /// Weights may be float16, bfloat16, float32 or float64, in one safetensors file or in shards; in memory
    /// they are float32 and require gradients. A tied head may be stored or not.
    ///
    /// The path is that of a Hugging Face folder or of a GGUF file, whose architecture must be `llama`, `qwen2` or
    /// `qwen3`. Its weights may be F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K; quantised ones become
    /// the float32 numbers that they stand for. [`save`](Model::save) then writes a Hugging Face folder, with the
    /// tokenizer, the chat template and the special tokens of the file.
    ///
    /// ```no_run
    /// use brew_core::model::DecoderForCausalLm;
    /// use brew_core::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let path = ".brew/models/SmolLM2-135M-Instruct/Q4_1.gguf";
    /// let model = DecoderForCausalLm::from_pretrained(path, Device::Cpu)?;
    /// model.save("models/smollm2".as_ref())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Names the file, and every tensor that is missing, has a different shape from the config's, or has no place in
    /// the model; an unsupported architecture, `rope_type`, key or type of a GGUF file; weights in PyTorch's own format,
    /// with a line of Python that converts them.
    pub fn from_pretrained(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::open(path.as_ref(), device, None)
    }

    /// Loads a teacher whose weights are held in this dtype and get no gradient: float16 and bfloat16 need half the
    /// memory of float32. It also computes in that dtype, except for norms and the softmax, which use float32.
    ///
    /// ```no_run
    /// use brew_core::model::DecoderForCausalLm;
    /// use brew_core::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let teacher = DecoderForCausalLm::frozen("models/qwen3-4b", Kind::BFloat16, Device::Cuda(0))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_pretrained`](Self::from_pretrained), and for a dtype that is not a floating-point one.
    pub fn frozen(path: impl AsRef<Path>, kind: Kind, device: Device) -> Result<Self> {
        dtype(kind)?;
        Self::open(path.as_ref(), device, Some(kind))
    }

    fn open(path: &Path, device: Device, frozen_in: Option<Kind>) -> Result<Self> {
        let (config, mut weights) = if gguf::is_gguf(path) {
            let file = Gguf::open(path)?;
            let config = DecoderConfig::understand(path, file.config()?)?;
            // In their own dtype at once: no second copy of a large model.
            let stored = file.weights(frozen_in.unwrap_or(Kind::Float))?;
            let stored = stored.into_iter().map(|(name, tensor)| (name, Ok(tensor)));
            (config, Weights::new(path, device, stored).named_by(gguf::name_in_file))
        } else {
            let config = DecoderConfig::understand(&path.join(CONFIG), read_config(path)?)?;
            let weights = read_weights(path, &config.model_type.switches().names.layout(), device)?;
            (config, weights)
        };
        let names = config.model_type.switches().names;
        if let Some(kind) = frozen_in {
            weights = weights.frozen_in(kind);
        }
        settle_head(&mut weights, &config).map_err(|message| Error::file(path, message))?;
        let layers = layers_in(&weights, names.layers);
        let wanted = config.num_hidden_layers;
        if layers != wanted && layers > 0 {
            let mend = if layers > wanted {
                ": to use some of them, load all and pass the model to from_layers_of"
            } else {
                ""
            };
            let key = config.key("num_hidden_layers").unwrap_or_default();
            weights.problem(format!("the checkpoint has {layers} layers, but {key} is {wanted}{mend}"));
        }
        Self::build(config, weights, companions(path))
    }
}

/// Finds the matrix of a tied head, which may be stored under either name or both.
fn settle_head(weights: &mut Weights, config: &DecoderConfig) -> Result<(), String> {
    let names = config.model_type.switches().names;
    let [head, table] = [names.head, names.tokens].map(|name| format!("{name}.weight"));
    if !config.tie_word_embeddings {
        if weights.has(&table) && !weights.has(&head) {
            return Err(format!(
                "there is no `{head}`: if the head uses the embedding matrix, set tie_word_embeddings to true in {CONFIG}; otherwise the folder holds a decoder without its language-model head"
            ));
        }
        return Ok(());
    }
    let differ = match (weights.get(&head), weights.get(&table)) {
        (Some(Ok(head)), Some(Ok(table))) => {
            head.size() != table.size() || !head.f_equal(table).unwrap_or(false)
        }
        _ => false,
    };
    if differ {
        return Err(format!(
            "tie_word_embeddings is true, but `{head}` differs from `{table}`: set tie_word_embeddings to false in {CONFIG} to use both, or remove `{head}` from the file"
        ));
    }
    if !weights.has(&table) {
        weights.rename(&head, table);
    }
    Ok(())
}

/// Refuses parameters that no part of the model uses: without them the model would be a different one.
pub(super) fn refuse_left_over(weights: &mut Weights, config: &DecoderConfig) {
    let names = config.model_type.switches().names;
    let (prefix, head) = (format!("{}.", names.prefix), format!("{}.", names.head));
    // The head that is the matrix of embeddings may be stored, too.
    let tied = config.tie_word_embeddings.then(|| format!("{head}weight"));
    let left: Vec<String> = (weights.left())
        .filter(|name| name.starts_with(&prefix) || name.starts_with(&head))
        .filter(|name| tied.as_deref() != Some(name))
        .filter(|name| !names.constants.iter().any(|constant| name.ends_with(constant)))
        // Surplus layers have their own message.
        .filter(|name| {
            let number = name.strip_prefix(names.layers).and_then(|rest| rest.split('.').next());
            number
                .and_then(|number| number.parse().ok())
                .is_none_or(|layer: usize| layer < config.num_hidden_layers)
        })
        .map(|name| weights.shown(name))
        .collect();
    if left.is_empty() {
        return;
    }
    let more = left.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = left.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    weights.problem(format!(
        "a `{}` with this config does not use {shown}{more}",
        config.model_type.switches().name
    ));
}

/// What a config calls the dtype of weights.
///
/// # Errors
/// For one that no weight has.
fn dtype(kind: Kind) -> Result<&'static str> {
    match kind {
        Kind::Half => Ok("float16"),
        Kind::BFloat16 => Ok("bfloat16"),
        Kind::Float => Ok("float32"),
        Kind::Double => Ok("float64"),
        other => Err(Error::invalid(format!(
            "weights cannot be held in {other:?}: take Half, BFloat16, Float or Double"
        ))),
    }
}

impl Model for DecoderForCausalLm {
    fn parameters(&self) -> Parameters {
        self.lora.as_ref().map_or_else(|| self.named_parameters(), Attached::parameters)
    }

    fn unlisted(&self) -> Parameters {
        self.lora.as_ref().map(Attached::base).unwrap_or_default()
    }

    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = identity_of::<Self>(&self.config)?;
        if let Some(lora) = &self.lora {
            lora.add_identity(&mut identity)?;
        }
        Ok(identity)
    }

    fn reads_documents(&self) -> bool {
        true
    }

    fn takes_dropout(&self) -> bool {
        true
    }

    fn causal_lm(&self) -> Option<&dyn CausalLm> {
        Some(self)
    }

    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        Vocabulary::of_files(&self.companions)
    }

    /// Writes a Hugging Face folder that Python's transformers loads as it is: `model.safetensors` in the weights'
    /// dtype, `config.json` with the keys of both transformers 4 and 5, and the tokenizer and generation files of
    /// the folder or GGUF file that the model came from. A model with adapters writes them alone, to a folder that Python's
    /// peft and [`load_adapter`](Self::load_adapter) read.
    fn save(&self, folder: &Path) -> Result<()> {
        if self.lora.is_some() {
            return lora::save(self, folder);
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        write_tensors(&folder.join(WEIGHTS), &self.parameters())?;
        let config = self.config.to_file(dtype(self.embeddings.table().kind())?)?;
        let config = serde_json::to_vec_pretty(&config).map_err(Error::other)?;
        crate::disk::write(&folder.join(CONFIG), &config)?;
        copy_companions(&self.companions, folder)
    }
}
