//! Counts the student's passes with dropout, so that a side that trains without it is found out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brew_core::model::{ClassifierOutput, Forward};
use brew_core::pass::Pass;
use brew_core::prelude::*;
use brew_core::tch::Tensor;

/// A student, and how many of its passes were training passes.
#[derive(Debug)]
pub(crate) struct Watched {
    student: BertForSequenceClassification,
    passes: Arc<AtomicU64>,
}

impl Watched {
    /// The student, and the count of its training passes from now on.
    pub(crate) fn new(student: BertForSequenceClassification) -> (Self, Arc<AtomicU64>) {
        let passes = Arc::default();
        (Watched { student, passes: Arc::clone(&passes) }, passes)
    }
}

impl Forward<TextBatch> for Watched {
    type Output = ClassifierOutput;

    fn run(&self, batch: &TextBatch, pass: &Pass) -> Result<ClassifierOutput> {
        self.passes.fetch_add(pass.is_training().into(), Ordering::Relaxed);
        self.student.run(batch, pass)
    }

    fn reads(&self) -> Option<Vec<String>> {
        Forward::<TextBatch>::reads(&self.student)
    }

    fn losses_count(&self, batch: &TextBatch) -> Result<Option<Vec<Tensor>>> {
        self.student.losses_count(batch)
    }
}

impl Model for Watched {
    fn parameters(&self) -> Parameters {
        self.student.parameters()
    }

    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.student)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Model::save(&self.student, folder)
    }
}
