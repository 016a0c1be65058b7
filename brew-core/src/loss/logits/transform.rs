//! Transforms: changes to the features that apply before any loss reads them.

use std::fmt;

use serde_json::{Map, Value, json};

use super::super::uses::{SoftTargets, TargetsRead};
use super::super::{AlsoReads, Average, Features, Learns, Loss, Masks, Term, forward_loss};
use crate::error::Result;

/// A change to the features that a loss reads.
pub trait Transform: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// Its options, as stored in a plan on disk.
    fn options(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The problems of the options themselves, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it pairs the features of each position with the mask, label and token of the next.
    fn pairs_next_token(&self) -> bool {
        false
    }

    /// Whether it can change logits of which only some classes are known: three tensors, see
    /// [`Features::tensors`].
    fn changes_some_logits(&self) -> bool;

    /// Why it cannot be applied to a side's features.
    fn mismatch(&self, side: &str, read: &Features) -> Option<String>;

    /// The changed features that the loss reads, which may pair them with the next token afterwards.
    fn apply(&self, read: &Features, shifted_later: bool) -> Result<Features>;
}

/// A loss whose features are transformed first: made by [`standardised`](super::standardised),
/// [`next_token`](super::next_token) and [`within_vocabulary`](super::within_vocabulary).
#[derive(Debug, Clone)]
pub struct Transformed<X, K> {
    pub(crate) transform: X,
    pub(crate) loss: K,
}

impl<X: Transform, K: Loss> Transformed<X, K> {
    fn changed(&self, read: &Features) -> Result<Features> {
        self.transform.apply(read, self.loss.pairs_next_token())
    }
}

#[brew_macros::forwards(|this| this.loss)]
impl<X: Transform, K: Loss> Loss for Transformed<X, K> {
    fn name(&self) -> &'static str {
        self.transform.name()
    }

    fn options(&self) -> Value {
        let mut options = self.transform.options();
        options.insert("loss".to_owned(), json!([self.loss.name(), self.loss.options()]));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.transform.problems();
        if self.transform.pairs_next_token() && self.loss.pairs_next_token() {
            problems.push("the loss is shifted to the next token twice: remove one `next_token`".to_owned());
        }
        problems.extend(self.loss.problems());
        problems
    }

    fn pairs_next_token(&self) -> bool {
        self.transform.pairs_next_token() || self.loss.pairs_next_token()
    }

    fn reads_top_logits(&self) -> bool {
        self.transform.changes_some_logits() && self.loss.reads_top_logits()
    }

    fn reads_drawn_logits(&self) -> bool {
        self.transform.changes_some_logits() && self.loss.reads_drawn_logits()
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let sides = [("student", student), ("teacher", teacher)];
        let found: Vec<String> =
            sides.iter().filter_map(|(side, read)| self.transform.mismatch(side, read)).collect();
        if !found.is_empty() {
            return found;
        }
        match (self.changed(student), self.changed(teacher)) {
            (Ok(student), Ok(teacher)) => self.loss.mismatches(&student, &teacher),
            (student, teacher) => {
                student.err().into_iter().chain(teacher.err()).map(|error| error.to_string()).collect()
            }
        }
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let (student, teacher) = (self.changed(student)?, self.changed(teacher)?);
        self.loss.term(&student, &teacher)
    }
}

impl<T, S, X: Transform, K: SoftTargets<T, S>> SoftTargets<T, S> for Transformed<X, K> {
    const READ: TargetsRead = K::READ;
}
