//! What waits for its readers while a batch goes through the plan.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;

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
}

/// What the student's own losses of a batch count.
#[derive(Default)]
pub(super) struct OwnCounts {
    pub(super) losses: Option<Vec<Tensor>>,
    pub(super) rows: usize,
}

impl Held {
    /// Distinct tensors among the flows; handles of one tensor count once.
    pub(super) fn tensors(&self) -> usize {
        let pointers = self.flows.values().flatten().map(|tensor| tensor.data_ptr() as usize);
        pointers.collect::<BTreeSet<_>>().len()
    }
}
