//! Decides, while a model is built, which of its linear layers have an adapter and which modules learn whole.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Device, Kind, Tensor};

use super::adapter::{Adapter, names};
use super::attached::{Attached, Base};
use super::{Lora, Targets};
use crate::error::{Error, Result};
use crate::model::normal::{of_name, uniform};
use crate::model::subset::copy;
use crate::model::weights::Stored;
use crate::words::numbered;

/// The title of what is wrong with settings.
pub(super) const REFUSED: &str = "these adapters do not fit the model";

/// Where the values of adapters come from.
#[derive(Debug)]
pub(super) enum Source {
    /// They are new, drawn from this seed.
    Seed(u64),
    /// An adapter folder's file.
    Stored(BTreeMap<String, Stored>),
}

/// Adapters being attached to a model.
#[derive(Debug)]
pub(crate) struct Attach {
    lora: Lora,
    /// The targets as names or suffixes; `None` for all linear layers.
    suffixes: Option<Vec<String>>,
    source: Source,
    base: Base,
    /// The model's linear layers, and those with an adapter.
    linears: BTreeSet<String>,
    targeted: Vec<String>,
    /// What learns.
    tensors: Vec<(String, Tensor)>,
}

/// A parameter to take: its name, its shape, and its value if there is one.
pub(crate) type ToTake = (String, [i64; 2], Option<Stored>);

impl Attach {
    /// `usual` are the suffixes of [`Targets::Usual`].
    pub(super) fn new(lora: Lora, usual: &[&str], source: Source, base: Base) -> Self {
        let suffixes = match &lora.targets {
            Targets::Usual => Some(usual.iter().map(|suffix| (*suffix).to_owned()).collect()),
            Targets::AllLinear => None,
            Targets::Suffixes(suffixes) => Some(suffixes.clone()),
        };
        let (linears, targeted, tensors) = <(BTreeSet<_>, Vec<_>, Vec<_>)>::default();
        Attach { lora, suffixes, source, base, linears, targeted, tensors }
    }

    /// Whether a parameter belongs to a module that learns whole.
    pub(crate) fn saves(&self, parameter: &str) -> bool {
        saves(&self.lora.modules_to_save, parameter)
    }

    /// The first value of such a parameter: a copy of the base's, or that of the folder.
    pub(crate) fn value_of(&mut self, parameter: &str, of_base: Option<Stored>) -> Result<Option<Stored>> {
        match (&mut self.source, of_base) {
            (Source::Stored(stored), _) => Ok(stored.remove(parameter)),
            (Source::Seed(_), Some(Ok(tensor))) => Ok(Some(Ok(copy(&tensor)?))),
            (Source::Seed(_), other) => Ok(other),
        }
    }

    /// Notes a linear layer, and returns the two matrices of its adapter if it has one.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn matrices_of(
        &mut self,
        linear: &str,
        (inputs, outputs): (i64, i64),
    ) -> Result<Option<[ToTake; 2]>> {
        self.linears.insert(linear.to_owned());
        let is_target = self
            .suffixes
            .as_ref()
            .is_none_or(|suffixes| suffixes.iter().any(|suffix| ends_with(linear, suffix)));
        if !is_target || self.saves(&format!("{linear}.weight")) {
            return Ok(None);
        }
        self.targeted.push(linear.to_owned());
        let shapes = [[self.lora.rank, inputs], [outputs, self.lora.rank]];
        let [down, up] = names(linear);
        let [first, second] = match &mut self.source {
            Source::Stored(stored) => [stored.remove(&down), stored.remove(&up)],
            Source::Seed(seed) => {
                let scalars = shapes[0].iter().product::<i64>();
                let bound = 1.0 / (inputs as f64).sqrt();
                let drawn = uniform(of_name(*seed, &down), usize::try_from(scalars).unwrap_or(0), bound);
                let drawn = Tensor::f_from_slice(&drawn)?.f_reshape(shapes[0])?;
                let zeros = Tensor::f_zeros(shapes[1], (Kind::Float, Device::Cpu))?;
                [Some(Ok(drawn)), Some(Ok(zeros))]
            }
        };
        Ok(Some([(down, shapes[0], first), (up, shapes[1], second)]))
    }

    /// The adapter of a linear layer from its two matrices.
    pub(crate) fn adapter(&mut self, linear: &str, [down, up]: [Tensor; 2]) -> Adapter {
        let (scale, dropout) = (self.lora.scale(), self.lora.dropout);
        let adapter = Adapter { name: linear.to_owned(), down, up, scale, dropout };
        self.tensors.extend(adapter.parameters());
        adapter
    }

    /// Notes a parameter that learns.
    pub(crate) fn learns(&mut self, parameter: &str, tensor: &Tensor) {
        self.tensors.push((parameter.to_owned(), tensor.shallow_clone()));
    }

    /// What was attached, once the model is built; or what is wrong with a folder's tensors.
    ///
    /// # Errors
    /// Why new adapters do not fit the model.
    pub(crate) fn close(self) -> Result<Result<Attached, Vec<String>>> {
        let problems = self.problems();
        match self.source {
            _ if problems.is_empty() => {
                let (lora, targeted, tensors, base) = (self.lora, self.targeted, self.tensors, self.base);
                Ok(Ok(Attached { lora, targeted, tensors, base }))
            }
            Source::Seed(_) => Err(Error::invalid(numbered(REFUSED, &problems))),
            Source::Stored(_) => Ok(Err(problems)),
        }
    }

    fn problems(&self) -> Vec<String> {
        match &self.source {
            Source::Seed(_) => {
                let targets = self.suffixes.iter().flatten();
                let unknown =
                    targets.filter(|suffix| !self.linears.iter().any(|name| ends_with(name, suffix)));
                unknown.map(|suffix| self.unknown(suffix)).chain(self.none()).collect()
            }
            // peft too accepts names of layers that a model lacks, if it has others.
            Source::Stored(stored) if stored.is_empty() => self.none().into_iter().collect(),
            Source::Stored(stored) => (stored.keys())
                .map(|name| {
                    format!("`{name}` has no place in a model with these targets and modules_to_save")
                })
                .collect(),
        }
    }

    fn none(&self) -> Option<String> {
        self.tensors.is_empty().then(|| format!("nothing would learn: {}", self.there_are()))
    }

    /// Why a target that is no linear layer cannot have an adapter.
    fn unknown(&self, suffix: &str) -> String {
        let is_module = self
            .base
            .names()
            .any(|name| name.rsplit_once('.').is_some_and(|(module, _)| ends_with(module, suffix)));
        if is_module {
            return format!(
                "`{suffix}` is not a linear layer that can have an adapter: it may learn whole, with modules_to_save; {}",
                self.there_are()
            );
        }
        format!("no linear layer has the name `{suffix}` or ends with `.{suffix}`; {}", self.there_are())
    }

    fn there_are(&self) -> String {
        let parts: BTreeSet<&str> =
            self.linears.iter().map(|name| name.rsplit('.').next().unwrap_or(name)).collect();
        let parts: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
        format!("the linear layers are {}", parts.join(", "))
    }
}

/// Whether a module has this name or ends with it.
pub(super) fn ends_with(module: &str, suffix: &str) -> bool {
    module.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a parameter is in a module that learns whole. As in peft, the name of a module may end with any of the
/// suffixes, also in the middle of a word: `classifier` means `pre_classifier` too.
pub(super) fn saves(suffixes: &[String], parameter: &str) -> bool {
    let modules = parameter.match_indices('.').map(|(dot, _)| &parameter[..dot]);
    modules.into_iter().any(|module| suffixes.iter().any(|suffix| module.ends_with(suffix.as_str())))
}
