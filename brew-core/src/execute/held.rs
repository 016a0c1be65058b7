//! Intermediate results that wait for their readers while a batch runs through the plan.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;

use super::run::Noted;
use super::teacher::Origin;
use crate::plan::{FlowId, StageId};

/// The tensors and outputs that wait for their readers.
#[derive(Default)]
pub(super) struct Held {
    pub(super) outputs: BTreeMap<StageId, Box<dyn Any>>,
    pub(super) flows: BTreeMap<FlowId, Vec<Tensor>>,
    /// Where the features of each teacher come from.
    pub(super) origins: BTreeMap<usize, Origin>,
    pub(super) counts: OwnCounts,
    pub(super) noted: Vec<Noted>,
}

/// The counts of the student's own losses for a batch.
#[derive(Default)]
pub(super) struct OwnCounts {
    pub(super) losses: Option<Vec<Tensor>>,
    pub(super) rows: usize,
}

impl Held {
    /// The number of distinct tensors among the flows; handles of one tensor count once.
    pub(super) fn tensors(&self) -> usize {
        let pointers = self.flows.values().flatten().map(|tensor| tensor.data_ptr() as usize);
        pointers.collect::<BTreeSet<_>>().len()
    }
}
