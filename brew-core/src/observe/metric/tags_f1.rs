//! F1 over the entities that tags mark.

use std::collections::BTreeSet;

use super::f1::ConfusionCounts;
use super::tags::{Scheme, entities};
use crate::error::{Error, Result};

impl Scheme {
    /// [`entity_f1`] over the entities that are complete by the scheme.
    ///
    /// # Errors
    /// Those of [`entity_f1`].
    pub fn entity_f1(self, predicted: &[Vec<&str>], labels: &[Vec<&str>]) -> Result<f64> {
        f1(predicted, labels, Some(self))
    }
}

/// F1 over the entities of some texts, read leniently, 0 to 1; 0 if there are none.
///
/// # Errors
/// Texts whose numbers of predicted and true tags differ; invalid tags, by text and token.
pub fn entity_f1(predicted: &[Vec<&str>], labels: &[Vec<&str>]) -> Result<f64> {
    f1(predicted, labels, None)
}

/// `2 tp / (2 tp + fp + fn)`: strictly by a scheme, or leniently.
pub(super) fn f1(predicted: &[Vec<&str>], labels: &[Vec<&str>], scheme: Option<Scheme>) -> Result<f64> {
    let mut counts = ConfusionCounts::default();
    if predicted.len() != labels.len() {
        return Err(Error::invalid(format!(
            "{} texts have predicted tags, but {} have true ones",
            predicted.len(),
            labels.len()
        )));
    }
    for (text, (predicted, labels)) in predicted.iter().zip(labels).enumerate() {
        if predicted.len() != labels.len() {
            return Err(Error::invalid(format!(
                "text {text} has {} predicted tags but {} true ones",
                predicted.len(),
                labels.len()
            )));
        }
        let found = |tags: &[&str]| -> Result<BTreeSet<(String, usize, usize)>> {
            let found = match scheme {
                Some(scheme) => scheme.entities(tags),
                None => entities(tags),
            };
            let found = found.map_err(|error| Error::invalid(format!("text {text}: {error}")))?;
            Ok(found.iter().map(|entity| (entity.kind.to_owned(), entity.first, entity.last)).collect())
        };
        let (predicted, labels) = (found(predicted)?, found(labels)?);
        let right = predicted.intersection(&labels).count();
        counts.right += right;
        counts.wrong += predicted.len() - right;
        counts.missed += labels.len() - right;
    }
    Ok(counts.f1())
}
