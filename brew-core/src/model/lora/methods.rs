//! The methods of a model that may have adapters, the same for every architecture.

/// Generates the methods by which a model gets adapters and loses them. The model must be
/// [`Adaptable`](super::Adaptable).
macro_rules! methods_of_lora {
    ($model:ident $(<$head:ident: $bound:path>)?) => {
        impl $(<$head: $bound>)? $model $(<$head>)? {
            /// The same model with new low-rank adapters, drawn from a seed. From now on they alone learn: everything
            /// else is frozen, stays as it is in memory, and may be bfloat16 or float16.
            ///
            /// [`parameters`](crate::model::Model::parameters) then lists the adapters alone, so that optimizer,
            /// clipping and checkpoints see nothing else, and [`save`](crate::model::Model::save) writes an adapter
            /// folder as peft does. A run resumes only with the same base: the hash of its weights is compared. A
            /// classifier's last layer learns whole and is saved with the adapters, as in peft.
            ///
            /// ```
            /// use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm, Lora};
            /// use brew_core::prelude::*;
            ///
            /// # fn main() -> Result<()> {
            /// # let config = DecoderConfig {
            /// #     vocab_size: 50, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4,
            /// #     num_key_value_heads: None, intermediate_size: Some(24),
            /// #     ..DecoderConfig::base(DecoderArchitecture::Llama)
            /// # };
            /// let base = DecoderForCausalLm::new(config, 7, Device::Cpu)?;
            /// let student = base.with_lora(Lora::rank(8).all_linear(), 7)?;
            /// assert!(student.parameters().iter().all(|(name, _)| name.contains(".lora_")));
            /// // A teacher that shares the student's weights in memory.
            /// let teacher = student.lora_off()?;
            /// let input_ids = Tensor::from_slice(&[1_i64, 20, 30]).unsqueeze(0);
            /// let logits = |model: &DecoderForCausalLm| model.logits(&input_ids, &input_ids.ones_like());
            /// assert_eq!(logits(&student)?, logits(&teacher)?); // a new adapter changes nothing
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            /// Lists invalid settings, targets that name no linear layer with the names that there are, and targets
            /// or modules to save that share the matrix of a tied head; a model that has adapters already.
            pub fn with_lora(self, lora: $crate::model::Lora, seed: u64) -> $crate::error::Result<Self> {
                $crate::model::lora::with_lora(&self, lora, seed)
            }

            /// The same model with the adapters of a folder that brew or Python's peft wrote: `adapter_config.json`
            /// and `adapter_model.safetensors`. They learn, and everything else is frozen, as with
            /// [`with_lora`](Self::with_lora).
            ///
            /// ```no_run
            /// use brew_core::model::DecoderForCausalLm;
            /// use brew_core::prelude::*;
            ///
            /// # fn main() -> Result<()> {
            /// let model = DecoderForCausalLm::from_pretrained("models/smollm2", Device::Cpu)?
            ///     .load_adapter("runs/first/student")?;
            /// model.merge_lora()?.save("models/merged".as_ref())?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            /// Names the file and every key of the config that would change the result and is not supported, such
            /// as `use_dora` or `rank_pattern`; every tensor that is missing, left over or of another shape; an
            /// adapter that brew trained on a base with other weights; a model that has adapters already.
            pub fn load_adapter(
                self,
                folder: impl AsRef<std::path::Path>,
            ) -> $crate::error::Result<Self> {
                $crate::model::lora::load(&self, folder.as_ref())
            }

            /// The settings of its adapters; `None` if it has none.
            pub fn lora(&self) -> Option<&$crate::model::Lora> {
                self.lora.as_ref().map($crate::model::lora::Attached::settings)
            }

            /// The base of a model with adapters, which shares its weights in memory: a teacher for the student that
            /// it was, at no cost in memory. Its outputs are those before the adapters were added, to the last bit.
            /// The weights get no gradient.
            ///
            /// [`Precision::Bf16`](crate::train::Precision) and `F16` convert a teacher's float32 weights, which then
            /// takes memory of their own; load the base in that dtype to share it.
            ///
            /// # Errors
            /// A model without adapters.
            pub fn lora_off(&self) -> $crate::error::Result<Self> {
                $crate::model::lora::lora_off(self)
            }

            /// The model without adapters that computes the same: `W + s B A` for each adapted layer, and the trained
            /// copies of modules that learn whole. All weights are copies in the base's dtype, and learn if the base
            /// learned.
            ///
            /// # Errors
            /// A model without adapters.
            pub fn merge_lora(self) -> $crate::error::Result<Self> {
                $crate::model::lora::merge_lora(&self)
            }
        }
    };
}

pub(crate) use methods_of_lora;
