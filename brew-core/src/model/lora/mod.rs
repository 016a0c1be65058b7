//! LoRA: a frozen base whose linear layers have low-rank adapters, which learn in its place.
//!
//! A model with adapters is of the same type as its base, so that adaptors, losses and checks know nothing of them:
//! its linear layers hold them. They are attached while a model is built from [`Weights`](super::weights::Weights),
//! which decides layer by layer (`attach.rs`). Folders are those of Python's peft.

mod adaptable;
mod adapter;
mod attach;
mod attached;
mod config_file;
mod folder;
mod methods;

use serde::Serialize;

pub(crate) use adaptable::{Adaptable, Facts, lora_off, merge_lora, merged_parameters, with_lora};
pub(crate) use adapter::{Adapter, adapted};
pub(crate) use attach::Attach;
pub(crate) use attached::Attached;
pub(crate) use folder::{CONFIG as ADAPTER_CONFIG, load, save};
pub(crate) use methods::methods_of_lora;

/// The settings of low-rank adapters (Hu et al. 2021): a targeted linear layer computes
/// `W x + s B A dropout(x)`, where `W` is frozen and `A`, `(rank, inputs)`, and `B`, `(outputs, rank)`, learn.
///
/// `A` starts uniform in ±1/√inputs and `B` at 0, so a new adapter changes nothing. Both are float32, or float64 if the
/// base is, whatever the dtype of the base.
///
/// ```
/// use brew_core::model::Lora;
///
/// let lora = Lora::rank(16).alpha(32.0).dropout(0.05).targets(["q_proj", "v_proj"]);
/// assert_eq!(lora.scale(), 2.0);
/// assert_eq!(Lora::rank(16).alpha(32.0).rs_lora().scale(), 8.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lora {
    /// The rank of each adapter: `r` in peft. At least 1.
    pub rank: i64,
    /// The numerator of the scale: `lora_alpha`. Above 0.
    pub alpha: f64,
    /// The probability with which an element of the adapter's input is set to 0 in training, `lora_dropout`; the others
    /// are scaled up. In [0, 1).
    pub dropout: f64,
    /// Which linear layers have an adapter: `target_modules`.
    pub targets: Targets,
    /// Whether the scale is `alpha / sqrt(rank)` instead of `alpha / rank` (Kalajdzievski 2023): `use_rslora`.
    pub rs_lora: bool,
    /// Modules that learn whole, by the ends of their names, and are saved with the adapters.
    pub modules_to_save: Vec<String>,
}

/// Which linear layers have an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// What peft targets unless told otherwise: queries and values; in GPT-2 `c_attn`.
    Usual,
    /// All linear layers but those that give the scores: `"all-linear"` in peft.
    AllLinear,
    /// Those with one of these names, or whose name ends with a dot and one of them.
    Suffixes(Vec<String>),
}

impl Targets {
    /// The names that are given.
    fn suffixes(&self) -> &[String] {
        match self {
            Targets::Suffixes(suffixes) => suffixes,
            Targets::Usual | Targets::AllLinear => &[],
        }
    }
}

impl Lora {
    /// Adapters of this rank with alpha equal to it, so that the scale is 1; no dropout; [`Targets::Usual`].
    pub fn rank(rank: i64) -> Self {
        Lora {
            rank,
            alpha: rank as f64,
            dropout: 0.0,
            targets: Targets::Usual,
            rs_lora: false,
            modules_to_save: Vec::new(),
        }
    }

    /// The same with this numerator of the scale.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Lora { alpha, ..self }
    }

    /// The same with this dropout of each adapter's input. Like all dropout, it is seeded from the run's seed, the step
    /// and the batch.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Self {
        Lora { dropout, ..self }
    }

    /// The same for the linear layers with these names, or names that end with a dot and one of these.
    #[must_use]
    pub fn targets(self, suffixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Lora { targets: Targets::Suffixes(suffixes.into_iter().map(Into::into).collect()), ..self }
    }

    /// The same for all linear layers but those that give the scores.
    #[must_use]
    pub fn all_linear(self) -> Self {
        Lora { targets: Targets::AllLinear, ..self }
    }

    /// The same with the scale `alpha / sqrt(rank)`, for large ranks.
    #[must_use]
    pub fn rs_lora(self) -> Self {
        Lora { rs_lora: true, ..self }
    }

    /// The same with modules that learn whole, as float32 copies of the base's: those whose names end with one of these,
    /// with everything in them. They cannot be targets too.
    #[must_use]
    pub fn modules_to_save(self, suffixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Lora { modules_to_save: suffixes.into_iter().map(Into::into).collect(), ..self }
    }

    /// The factor of `B A`.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rs_lora { rank.sqrt() } else { rank }
    }

    /// What is wrong with the settings, whatever the model.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.rank < 1 {
            problems.push(format!("the rank is {}; it must be at least 1", self.rank));
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            problems.push(format!("alpha is {}; it must be above 0", self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            problems.push(format!("the dropout is {}; it must lie in [0, 1)", self.dropout));
        }
        if self.targets == Targets::Suffixes(Vec::new()) {
            problems.push("there are no targets: name linear layers, or use `all_linear`".to_owned());
        }
        if self.targets.suffixes().iter().chain(&self.modules_to_save).any(String::is_empty) {
            problems.push("a target or a module to save has an empty name".to_owned());
        }
        problems
    }
}
