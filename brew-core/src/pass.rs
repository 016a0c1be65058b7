//! The purpose of a forward pass: training or evaluation, the wanted features, and the step.
//!
//! The plan knows which features its losses read, and tells models through [`Pass::wants`], so that unused
//! hidden states are not kept and attention runs fused if its maps are not wanted.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// The context of one forward pass.
#[derive(Debug, Clone)]
pub struct Pass {
    training: bool,
    step: u64,
    steps: u64,
    wants: Wants,
    recomputes: bool,
    sparse_gradients: bool,
    dropout: Option<f64>,
    argument: Option<PassArgument>,
}

/// A user-defined value that every forward pass receives.
pub(crate) type PassArgument = Arc<dyn Any + Send + Sync>;

impl Pass {
    /// A training pass: dropout is on.
    pub fn training(step: u64, wants: Wants) -> Self {
        Pass { training: true, step, wants, ..Pass::evaluation(Wants::nothing()) }
    }

    /// The same pass in a run of this many optimizer steps, over which weights are scheduled.
    #[must_use]
    pub fn of_steps(self, steps: u64) -> Self {
        Pass { steps, ..self }
    }

    /// The same pass with gradient checkpointing, which asks the model not to store its layers' activations:
    /// see [`Trainer::gradient_checkpointing`](crate::train::Trainer::gradient_checkpointing).
    #[must_use]
    pub fn recomputing(self, recomputes: bool) -> Self {
        Pass { recomputes, ..self }
    }

    /// The same pass, asking the model for sparse gradients of its embeddings, which cover only the rows in
    /// use.
    #[must_use]
    pub fn with_sparse_gradients(self, sparse_gradients: bool) -> Self {
        Pass { sparse_gradients, ..self }
    }

    /// The same pass with this probability for all of the model's dropout, in [0, 1): see
    /// [`Trainer::student_dropout`](crate::train::Trainer::student_dropout). `None` leaves the model its own.
    #[must_use]
    pub fn with_dropout(self, probability: Option<f64>) -> Self {
        Pass { dropout: probability, ..self }
    }

    /// An evaluation pass: dropout is off.
    pub fn evaluation(wants: Wants) -> Self {
        Pass {
            training: false,
            step: 0,
            steps: 0,
            wants,
            recomputes: false,
            sparse_gradients: false,
            dropout: None,
            argument: None,
        }
    }

    /// The same pass without dropout, unless the run sets its probability.
    pub(crate) fn without_own_dropout(&self) -> Self {
        Pass { training: self.training && self.dropout.is_some(), ..self.clone() }
    }

    /// The same pass for a teacher: without dropout, and with these wants.
    pub(crate) fn for_teacher(&self, wants: Wants) -> Self {
        Pass { training: false, recomputes: false, wants, ..self.clone() }
    }

    /// The same pass with these wants. A model that wraps another can use it to request features that the
    /// plan does not ask for:
    ///
    /// ```
    /// use brew_core::prelude::*;
    ///
    /// /// Reads the mean of the last hidden states, whether or not the plan wants them.
    /// struct Pooled(BertForSequenceClassification);
    ///
    /// impl Pooled {
    ///     fn pooled(&self, input_ids: &Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<Tensor> {
    ///         let pass = pass.with_wants(pass.wants().clone().and_layer("hidden", -1));
    ///         let output = self.0.forward(input_ids, attention_mask, None, None, &pass)?;
    ///         let last = output.hidden_states.last().ok_or_else(|| Error::invalid("no hidden states"))?;
    ///         Ok(last.f_mean_dim(1, false, None)?)
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn with_wants(&self, wants: Wants) -> Self {
        Pass { wants, ..self.clone() }
    }

    /// The same pass with the pipeline's forward argument.
    pub(crate) fn with_argument(&self, argument: Option<PassArgument>) -> Self {
        Pass { argument, ..self.clone() }
    }

    /// The value that [`Pipeline::forward_argument`](crate::distill::Pipeline::forward_argument) was given,
    /// if it has this type.
    pub fn argument<V: Any>(&self) -> Option<&V> {
        self.argument.as_deref()?.downcast_ref()
    }

    /// Whether dropout and similar training behaviour is on.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// The probability of a dropout in this pass, for a model that has it with probability `own`: 0 unless the pass
    /// is for training, and that of [`Trainer::student_dropout`](crate::train::Trainer::student_dropout) if the run
    /// sets one.
    ///
    /// A model that asks for all its probabilities here says so with
    /// [`Model::takes_dropout`](crate::model::Model::takes_dropout).
    ///
    /// ```
    /// use brew_core::pass::{Pass, Wants};
    ///
    /// let training = Pass::training(0, Wants::nothing());
    /// assert_eq!(training.dropout(0.1), 0.1);
    /// assert_eq!(training.with_dropout(Some(0.0)).dropout(0.1), 0.0);
    /// assert_eq!(Pass::evaluation(Wants::nothing()).with_dropout(Some(0.3)).dropout(0.1), 0.0);
    /// ```
    pub fn dropout(&self, own: f64) -> f64 {
        if self.training { self.dropout.unwrap_or(own) } else { 0.0 }
    }

    /// The optimizer step that this pass belongs to, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The optimizer steps of the whole run; 0 if unknown.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether the model should recompute its layers' activations in the backward pass, with
    /// [`recomputed`](crate::native::recomputed), instead of storing them.
    pub fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// Whether the gradient of an embedding should be sparse (the `sparse` argument of
    /// [`Tensor::f_embedding`](tch::Tensor::f_embedding)); a dense gradient also works.
    pub fn sparse_gradients(&self) -> bool {
        self.sparse_gradients
    }

    /// The features that are read.
    pub fn wants(&self) -> &Wants {
        &self.wants
    }
}

/// The features that are read, by role and layer.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::pass::Wants;
/// use brew_core::role::{Attention, Hidden};
///
/// let wants = Wants::nothing().and_layer("hidden", 0).and_layer("hidden", -1);
/// assert!(wants.layer::<Hidden>(0, 4) && wants.layer::<Hidden>(3, 4));
/// assert!(!wants.layer::<Hidden>(1, 4) && !wants.role::<Attention>());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants(BTreeMap<String, WantedLayers>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum WantedLayers {
    All,
    These(BTreeSet<i64>),
}

impl Wants {
    /// No features.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds a whole role.
    #[must_use]
    pub fn and_role(mut self, role: impl Into<String>) -> Self {
        self.0.insert(role.into(), WantedLayers::All);
        self
    }

    /// Adds this layer of the role; negative layers count from the end.
    #[must_use]
    pub fn and_layer(mut self, role: impl Into<String>, layer: i64) -> Self {
        match self.0.entry(role.into()).or_insert_with(|| WantedLayers::These(BTreeSet::new())) {
            WantedLayers::All => {}
            WantedLayers::These(layers) => {
                layers.insert(layer);
            }
        }
        self
    }

    /// Whether any part of the role is read.
    pub fn role<R: Role>(&self) -> bool {
        self.0.contains_key(R::NAME)
    }

    /// Whether this layer is read, in a role with `layers` layers.
    ///
    /// A model that does not keep a layer puts an undefined tensor (`Tensor::new()`) in its place, so that
    /// the others keep their indices.
    pub fn layer<R: Role>(&self, layer: usize, layers: usize) -> bool {
        let (Ok(index), Ok(count)) = (i64::try_from(layer), i64::try_from(layers)) else { return false };
        match self.0.get(R::NAME) {
            None => false,
            Some(WantedLayers::All) => true,
            Some(WantedLayers::These(wanted)) => wanted.contains(&index) || wanted.contains(&(index - count)),
        }
    }
}
