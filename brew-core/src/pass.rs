//! What a forward pass is for: training or not, which features are wanted, at which step.
//!
//! The plan knows which features its losses read. Models are told through [`Pass::wants`], so that
//! hidden states nobody matches are not kept and attention runs fused when its maps are not wanted.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// The circumstances of one forward pass.
#[derive(Debug, Clone)]
pub struct Pass {
    training: bool,
    step: u64,
    steps: u64,
    wants: Wants,
    recomputes: bool,
    sparse_gradients: bool,
    argument: Option<Argument>,
}

/// A value of the user's own for every forward pass.
pub(crate) type Argument = Arc<dyn Any + Send + Sync>;

impl Pass {
    /// A pass of training: dropout is on.
    pub fn training(step: u64, wants: Wants) -> Self {
        Pass { training: true, step, wants, ..Pass::evaluation(Wants::nothing()) }
    }

    /// The same pass in a run of so many optimizer steps, which is what schedules of weights go by.
    #[must_use]
    pub fn of_steps(self, steps: u64) -> Self {
        Pass { steps, ..self }
    }

    /// The same pass, whose model is asked to keep the activations of none of its layers: see
    /// [`Trainer::gradient_checkpointing`](crate::train::Trainer::gradient_checkpointing).
    #[must_use]
    pub fn recomputing(self, recomputes: bool) -> Self {
        Pass { recomputes, ..self }
    }

    /// The same pass, whose model is asked for sparse gradients of its embeddings: of the rows in use alone.
    #[must_use]
    pub fn with_sparse_gradients(self, sparse_gradients: bool) -> Self {
        Pass { sparse_gradients, ..self }
    }

    /// A pass of evaluation: dropout is off.
    pub fn evaluation(wants: Wants) -> Self {
        Pass {
            training: false,
            step: 0,
            steps: 0,
            wants,
            recomputes: false,
            sparse_gradients: false,
            argument: None,
        }
    }

    /// The same pass without dropout, with other wishes: what a teacher is given.
    pub(crate) fn for_teacher(&self, wants: Wants) -> Self {
        Pass { training: false, recomputes: false, wants, ..self.clone() }
    }

    /// The same pass with other wishes. A model around another passes its own pass on this way where it
    /// needs features that the plan does not ask it for:
    ///
    /// ```
    /// use brew_core::prelude::*;
    ///
    /// /// Reads the mean of the last hidden states, whoever wants them.
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

    /// The same pass with what the pipeline hands to every forward pass.
    pub(crate) fn with_argument(&self, argument: Option<Argument>) -> Self {
        Pass { argument, ..self.clone() }
    }

    /// The value that [`Pipeline::forward_argument`](crate::distill::Pipeline::forward_argument) was given,
    /// where it is of this type.
    pub fn argument<V: Any>(&self) -> Option<&V> {
        self.argument.as_deref()?.downcast_ref()
    }

    /// Whether dropout and its like are on.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// The optimizer step this pass belongs to, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The optimizer steps of the whole run; 0 where nobody said.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether the model is to compute the activations of its layers again in the backward pass, by
    /// [`recomputed`](crate::native::recomputed), rather than keep them.
    pub fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// Whether the gradient of an embedding is to be sparse, as `sparse` of
    /// [`Tensor::f_embedding`](tch::Tensor::f_embedding) makes it; a dense one serves too.
    pub fn sparse_gradients(&self) -> bool {
        self.sparse_gradients
    }

    /// Which features somebody reads.
    pub fn wants(&self) -> &Wants {
        &self.wants
    }
}

/// The features that somebody reads, by role and layer.
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
pub struct Wants(BTreeMap<String, Layers>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Layers {
    All,
    These(BTreeSet<i64>),
}

impl Wants {
    /// Nobody reads anything.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The whole role is read, too.
    #[must_use]
    pub fn and_role(mut self, role: impl Into<String>) -> Self {
        self.0.insert(role.into(), Layers::All);
        self
    }

    /// This layer of the role is read, too; negative layers count from the end.
    #[must_use]
    pub fn and_layer(mut self, role: impl Into<String>, layer: i64) -> Self {
        match self.0.entry(role.into()).or_insert_with(|| Layers::These(BTreeSet::new())) {
            Layers::All => {}
            Layers::These(layers) => {
                layers.insert(layer);
            }
        }
        self
    }

    /// Whether anybody reads any part of the role.
    pub fn role<R: Role>(&self) -> bool {
        self.0.contains_key(R::NAME)
    }

    /// Whether anybody reads this layer, of a role that has `layers` of them.
    ///
    /// A model that does not keep a layer puts an undefined tensor (`Tensor::new()`) in its place,
    /// so that the others keep their numbers.
    pub fn layer<R: Role>(&self, layer: usize, layers: usize) -> bool {
        let (Ok(index), Ok(count)) = (i64::try_from(layer), i64::try_from(layers)) else { return false };
        match self.0.get(R::NAME) {
            None => false,
            Some(Layers::All) => true,
            Some(Layers::These(wanted)) => wanted.contains(&index) || wanted.contains(&(index - count)),
        }
    }
}
