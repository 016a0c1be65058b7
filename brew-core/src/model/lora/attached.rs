//! What a model with adapters holds of them: the settings, what learns, and the frozen base.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use super::Lora;
use crate::error::{Error, InStage as _, Result};
use crate::parameters::Parameters;

/// The parameters of a model before it got adapters: the very tensors that the model computes with.
#[derive(Debug)]
pub(super) struct Base {
    parameters: Parameters,
    /// Whether they learned before.
    learned: bool,
    hash: OnceLock<String>,
}

impl Base {
    /// Freezes parameters.
    pub(super) fn freeze(parameters: Parameters) -> Result<Self> {
        let learned = parameters.iter().any(|(_, tensor)| tensor.requires_grad());
        parameters.freeze()?;
        Ok(Base { parameters, learned, hash: OnceLock::new() })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name)
    }

    pub(super) fn device(&self) -> Device {
        self.parameters.device()
    }

    /// Handles of their own: whoever converts or frees these leaves the model's as they are.
    pub(super) fn handles(&self) -> Result<Vec<(String, Tensor)>> {
        let handle =
            |(name, tensor): (&str, &Tensor)| Ok((name.to_owned(), tensor.f_detach().in_stage(name)?));
        self.parameters.iter().map(handle).collect()
    }
}

/// Adapters that are attached to a model.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(super) lora: Lora,
    /// The linear layers that have an adapter.
    pub(super) targeted: Vec<String>,
    /// What learns: the adapters' matrices and the modules that learn whole.
    pub(super) tensors: Vec<(String, Tensor)>,
    pub(super) base: Base,
}

impl Attached {
    pub(crate) fn settings(&self) -> &Lora {
        &self.lora
    }

    /// What learns.
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters::new(self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())))
    }

    /// The base, also of modules that have a trained copy.
    pub(crate) fn base(&self) -> Parameters {
        let shared = |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.shallow_clone());
        Parameters::new(self.base.parameters.iter().map(shared))
    }

    /// What the model's output depends on beside these: the settings, and the base by the hash of its weights.
    pub(crate) fn add_identity(&self, identity: &mut BTreeMap<String, String>) -> Result<()> {
        identity.insert("lora".to_owned(), serde_json::to_string(&self.lora).map_err(Error::other)?);
        identity.insert("lora.base".to_owned(), self.hash_of_base()?);
        Ok(())
    }

    /// The hash of what the base adds to the adapter: not of modules that have a trained copy.
    pub(super) fn hash_of_base(&self) -> Result<String> {
        if let Some(hash) = self.base.hash.get() {
            return Ok(hash.clone());
        }
        let replaced: BTreeSet<&str> = self.tensors.iter().map(|(name, _)| name.as_str()).collect();
        let used = self.base.parameters.iter().filter(|(name, _)| !replaced.contains(name));
        let hash =
            Parameters::new(used.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))).hash()?;
        Ok(self.base.hash.get_or_init(|| hash).clone())
    }

    /// The dtype of the base's weights.
    pub(super) fn kind_of_base(&self) -> Kind {
        self.base.parameters.iter().next().map_or(Kind::Float, |(_, tensor)| tensor.kind())
    }

    /// The weights of the model without adapters that computes the same: `W + s B A` for each adapted layer, the trained
    /// copy of a module that learns whole, and copies of all others, each in the dtype of the base.
    pub(super) fn merged(&self, inputs_first: bool) -> Result<Vec<(String, Tensor)>> {
        let _guard = tch::no_grad_guard();
        let learned: BTreeMap<&str, &Tensor> =
            self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let one = |name: &str, weight: &Tensor| -> Result<Tensor> {
            let kind = weight.f_kind()?;
            let own = learned.get(name).copied();
            let linear = name.strip_suffix(".weight").unwrap_or_default();
            let [down, up] = super::adapter::names(linear).map(|name| learned.get(name.as_str()).copied());
            let merged = match (own, down, up) {
                (Some(own), ..) => own.f_to_kind(kind)?,
                (None, Some(down), Some(up)) => {
                    let product = up.f_matmul(down)?.f_mul_scalar(self.lora.scale())?;
                    let product = if inputs_first { product.f_tr()? } else { product };
                    weight.f_to_kind(product.f_kind()?)?.f_add(&product)?.f_to_kind(kind)?
                }
                _ => weight.shallow_clone(),
            };
            // Training the merged model must not change what shares the base.
            let mut copy = merged.f_empty_like()?;
            copy.f_copy_(&merged)?;
            Ok(copy.f_set_requires_grad(self.base.learned)?)
        };
        let all = self.base.parameters.iter();
        all.map(|(name, weight)| Ok((name.to_owned(), one(name, weight).in_stage(name)?))).collect()
    }
}
