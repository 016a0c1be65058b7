//! Models in an `Arc<Mutex<…>>`, with several owners: the student of several tasks, or one that its owner
//! keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tch::Tensor;

use super::{Forward, Model, ProblemType};
use crate::error::Result;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::vocabulary::Vocabulary;

// A model with several owners: the student of several tasks, or one that its owner keeps. A tensor may be
// sent to another thread but not used by two at once, hence the lock, which costs nothing without contention.
// A poisoned lock is ignored: after a panic elsewhere the tensors are still the model's.
impl<M: Model> Model for Arc<Mutex<M>> {
    fn parameters(&self) -> Parameters {
        self.lock().unwrap_or_else(PoisonError::into_inner).parameters()
    }
    fn unlisted(&self) -> Parameters {
        self.lock().unwrap_or_else(PoisonError::into_inner).unlisted()
    }
    fn identity(&self) -> Result<BTreeMap<String, String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).identity()
    }

    fn problem_type(&self) -> Option<ProblemType> {
        self.lock().unwrap_or_else(PoisonError::into_inner).problem_type()
    }
    fn class_names(&self) -> Option<Vec<String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).class_names()
    }
    fn vocabulary(&self) -> Result<Option<Vocabulary>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).vocabulary()
    }
    fn reads_documents(&self) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).reads_documents()
    }
    fn takes_dropout(&self) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).takes_dropout()
    }
    fn learn_task(&self, problem: Option<ProblemType>, names: Option<&[String]>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).learn_task(problem, names);
    }
    fn save(&self, folder: &Path) -> Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).save(folder)
    }
}

impl<B, M: Forward<B> + Send> Forward<B> for Arc<Mutex<M>> {
    type Output = M::Output;
    fn run(&self, batch: &B, pass: &Pass) -> Result<M::Output> {
        self.lock().unwrap_or_else(PoisonError::into_inner).run(batch, pass)
    }
    fn reads(&self) -> Option<Vec<String>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).reads()
    }

    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).losses_count(batch)
    }
}
