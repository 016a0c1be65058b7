//! What labels mean: one class per text, several, or a number.

use brew_core::model::ProblemType;
use brew_core::observe::{F1, Pearson, Spearman};
use brew_core::prelude::*;

/// What the labels of texts mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// One of these classes per text.
    One(Vec<String>),
    /// Any number of these classes per text.
    Several(Vec<String>),
    /// A number per text.
    Number,
}

impl Labels {
    /// The number of outputs of a head for them.
    pub fn outputs(&self) -> usize {
        match self {
            Labels::One(names) | Labels::Several(names) => names.len(),
            Labels::Number => 1,
        }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        match self {
            Labels::One(names) | Labels::Several(names) => names,
            Labels::Number => &[],
        }
    }

    /// The metrics that judge them; the first is taken after each epoch.
    pub fn metrics(&self) -> [&'static dyn Metric; 2] {
        match self {
            Labels::One(_) => [&Accuracy, &F1::Macro],
            Labels::Several(_) => [&F1::Micro, &Accuracy],
            Labels::Number => [&Pearson, &Spearman],
        }
    }

    /// The problem type of a head for them.
    pub fn problem(&self) -> ProblemType {
        match self {
            Labels::One(_) => ProblemType::SingleLabelClassification,
            Labels::Several(_) => ProblemType::MultiLabelClassification,
            Labels::Number => ProblemType::Regression,
        }
    }

    /// In words: `4 classes: business, sports, …`.
    pub fn described(&self) -> String {
        match self {
            Labels::One(names) => format!("{} classes: {}", names.len(), names.join(", ")),
            Labels::Several(names) => {
                format!("any of {} classes per text: {}", names.len(), names.join(", "))
            }
            Labels::Number => "a number per text".to_owned(),
        }
    }

    /// The same model with the classes and the problem type of these labels.
    pub(super) fn name(&self, model: BertForSequenceClassification) -> Result<BertForSequenceClassification> {
        match self {
            Labels::One(names) => model.classes(names.clone()),
            Labels::Several(names) => model.problem(self.problem())?.classes(names.clone()),
            Labels::Number => model.problem(self.problem()),
        }
    }
}
