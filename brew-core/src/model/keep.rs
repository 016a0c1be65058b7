//! Choosing the teacher's layers that a student starts from.
//!
//! A student that starts from trained layers learns faster and ends up better than one with random weights.
//! Which layers to take is the only choice to make, so it has its own type.

use super::influence::BlockInfluence;
use crate::error::{Error, Result};

/// The layers that a student keeps, counted from 0, which is next to the embeddings.
///
/// Embeddings, pooler and head are always kept. Hidden states count differently from layers: state 0 is the
/// output of the embeddings and state `n` that of layer `n - 1`. A student that keeps every second of six
/// layers (0, 2 and 4) has hidden states 0 to 3, and each of its layers stands for two of the teacher's, so
/// states 0, 1, 2, 3 are matched with the teacher's 0, 2, 4, 6.
///
/// ```
/// use brew_core::model::Keep;
///
/// # fn main() -> brew_core::Result<()> {
/// assert_eq!(Keep::every(2).of(6)?, [0, 2, 4]);
/// assert_eq!(Keep::first(3).of(6)?, [0, 1, 2]);
/// assert_eq!(Keep::layers([0, 3, 5]).of(6)?, [0, 3, 5]);
/// assert!(Keep::first(7).of(6).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep(KeepRule);

#[derive(Debug, Clone, PartialEq, Eq)]
enum KeepRule {
    Every(usize),
    First(usize),
    These(Vec<usize>),
    /// How many, and all layers from the most to the least influential.
    Influential(usize, Vec<usize>),
}

impl Keep {
    /// Every `stride`-th layer, starting with the first: layers 0, `stride`, 2 `stride`, and so on.
    ///
    /// `every(2)` is the initialisation of DistilBERT (Sanh et al. 2019, "taking one layer out of
    /// two").
    pub fn every(stride: usize) -> Self {
        Keep(KeepRule::Every(stride))
    }

    /// The first `count` layers, next to the embeddings.
    pub fn first(count: usize) -> Self {
        Keep(KeepRule::First(count))
    }

    /// These layers in this order. A layer that occurs twice is copied twice.
    pub fn layers(layers: impl IntoIterator<Item = usize>) -> Self {
        Keep(KeepRule::These(layers.into_iter().collect()))
    }

    /// The `count` layers with the largest [block influence](BlockInfluence), in their order in the model.
    ///
    /// This is the start for decoders, which predict worse than chance if they keep only their first layers.
    ///
    /// ```no_run
    /// # use brew_core::model::{CausalLmBatch, DecoderForCausalLm, Keep};
    /// # fn main() -> brew_core::Result<()> {
    /// # let (teacher, sample): (DecoderForCausalLm, Vec<CausalLmBatch>) = todo!();
    /// let influence = teacher.block_influence(&sample)?;
    /// println!("{influence}");
    /// let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::by_influence(20, &influence))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_influence(count: usize, influence: &BlockInfluence) -> Self {
        Keep(KeepRule::Influential(count, influence.ranking()))
    }

    /// The indices of the kept layers, in a model with `layers` layers.
    ///
    /// # Errors
    /// No layer left, or layers that the model does not have; every such layer is named. An influence measured on a
    /// model with another number of layers.
    pub fn of(&self, layers: usize) -> Result<Vec<usize>> {
        let kept: Vec<usize> = match &self.0 {
            KeepRule::Every(0) => Vec::new(),
            KeepRule::Every(stride) => (0..layers).step_by(*stride).collect(),
            KeepRule::First(count) => (0..*count).collect(),
            KeepRule::These(these) => these.clone(),
            KeepRule::Influential(_, ranking) if ranking.len() != layers => {
                return Err(Error::invalid(format!(
                    "the influence was measured on a model of {} layers, and this one has {layers}: measure it on the model whose layers are kept",
                    ranking.len()
                )));
            }
            KeepRule::Influential(count, _) if *count > layers => {
                return Err(Error::invalid(format!(
                    "{count} layers would be kept, and the model has {layers}"
                )));
            }
            KeepRule::Influential(count, ranking) => {
                let mut kept: Vec<usize> = ranking.iter().copied().take(*count).collect();
                kept.sort_unstable();
                kept
            }
        };
        if kept.is_empty() {
            return Err(Error::invalid(format!("no layer would be kept: keep at least one of {layers}")));
        }
        let lacking: Vec<String> =
            kept.iter().filter(|layer| **layer >= layers).map(ToString::to_string).collect();
        if lacking.is_empty() {
            return Ok(kept);
        }
        Err(Error::invalid(format!(
            "no such layers: {}; the model has {layers} layers, numbered from 0 to {}",
            lacking.join(", "),
            layers.saturating_sub(1)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::Keep;

    #[test]
    fn layers_that_are_not_there_are_all_named() {
        let message = Keep::layers([1, 4, 9]).of(4).unwrap_err().to_string();
        assert_eq!(message, "no such layers: 4, 9; the model has 4 layers, numbered from 0 to 3");
    }

    #[test]
    fn a_student_without_layers_is_refused() {
        for keep in [Keep::every(0), Keep::first(0), Keep::layers([])] {
            let message = keep.of(4).unwrap_err().to_string();
            assert!(message.contains("no layer would be kept"), "{message}");
        }
    }

    #[test]
    fn every_third_of_seven_ends_with_the_last() {
        assert_eq!(Keep::every(3).of(7).unwrap(), [0, 3, 6]);
    }
}
