//! What changes the features before a loss reads them, whatever the loss.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::{AlsoReads, Average, Loss, Masks, Place, Read, Term, forward_loss};
use crate::error::Result;
use crate::parameters::Parameters;

/// A change of what a loss reads.
pub trait Transform: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// Its options, as they stand in a plan on disk.
    fn options(&self) -> Map<String, Value> {
        Map::new()
    }

    /// What is wrong with the options themselves, each with its mend.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the changed loss averages over, where the loss itself averages over this.
    fn average(&self, average: Average) -> Average {
        average
    }

    /// Whether it can change logits of which some classes alone are known: three tensors, see
    /// [`Read::features`].
    fn changes_some_logits(&self) -> bool;

    /// Why it cannot change what a side reads.
    fn mismatch(&self, side: &str, read: &Read) -> Option<String>;

    /// What the loss reads in place of what a side gives.
    fn apply(&self, read: &Read) -> Result<Read>;
}

/// A loss whose features are changed first: made by [`standardised`](super::standardised),
/// [`next_token`](super::next_token) and [`within_vocabulary`](super::within_vocabulary).
#[derive(Debug, Clone)]
pub struct Transformed<X, K> {
    pub(crate) transform: X,
    pub(crate) loss: K,
}

impl Read {
    /// The same with each feature changed.
    pub(super) fn with_features(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Read> {
        Ok(Read {
            features: self.features.iter().map(change).collect::<Result<_>>()?,
            mask: self.mask.as_ref().map(Tensor::shallow_clone),
            also: self.also.iter().map(|(role, tensor)| (*role, tensor.shallow_clone())).collect(),
        })
    }
}

impl<X: Transform, K: Loss> Loss for Transformed<X, K> {
    forward_loss! {
        |this| &this.loss;
        name options problems average reads_top_logits reads_drawn_logits mismatches term
    }

    fn name(&self) -> &'static str {
        self.transform.name()
    }

    fn options(&self) -> Value {
        let mut options = self.transform.options();
        options.insert("loss".to_owned(), json!([self.loss.name(), self.loss.options()]));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        self.transform.problems().into_iter().chain(self.loss.problems()).collect()
    }

    fn average(&self, masked: bool) -> Average {
        self.transform.average(self.loss.average(masked))
    }

    fn reads_top_logits(&self) -> bool {
        self.transform.changes_some_logits() && self.loss.reads_top_logits()
    }

    fn reads_drawn_logits(&self) -> bool {
        self.transform.changes_some_logits() && self.loss.reads_drawn_logits()
    }

    fn mismatches(&self, student: &Read, teacher: &Read) -> Vec<String> {
        let sides = [("student", student), ("teacher", teacher)];
        let found: Vec<String> =
            sides.iter().filter_map(|(side, read)| self.transform.mismatch(side, read)).collect();
        if !found.is_empty() {
            return found;
        }
        match (self.transform.apply(student), self.transform.apply(teacher)) {
            (Ok(student), Ok(teacher)) => self.loss.mismatches(&student, &teacher),
            (student, teacher) => {
                student.err().into_iter().chain(teacher.err()).map(|error| error.to_string()).collect()
            }
        }
    }

    fn term(&self, student: &Read, teacher: &Read) -> Result<Term> {
        let (student, teacher) = (self.transform.apply(student)?, self.transform.apply(teacher)?);
        let term = self.loss.term(&student, &teacher)?;
        Ok(Term { average: self.transform.average(term.average), ..term })
    }
}
