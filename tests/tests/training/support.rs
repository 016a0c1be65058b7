//! Pipelines of toys, data that record how they were read, and observers that record what they saw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use brew_core::batch::Walk;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::observe::{BatchReport, Event, Observer, StepReport};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use safetensors::SafeTensors;
use tests::{Sentence, Toy, ToyOutputAdaptor};

pub(crate) type ToyPipeline = Pipeline<Sentence, ToyOutputAdaptor>;

/// A student whose loss on logits, features (with a projection) and labels all count.
pub(crate) fn pipeline(semantics: Semantics, dropout: f64) -> (ToyPipeline, Parameters) {
    let student = Toy::new(1, 6, 1).with_dropout(dropout);
    let parameters = student.parameters();
    let teacher = Toy::new(2, 8, 0).with_dropout(dropout);
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .semantics(semantics)
        .soft_targets(KdCe::at(2.0))
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
        .hard_labels(1.0)
        .plan()
        .unwrap();
    (pipeline, parameters)
}

/// All numbers of some parameters.
pub(crate) fn flat(parameters: &Parameters) -> Vec<f64> {
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach().view([-1]).to_kind(Kind::Double));
    parameters.iter().flat_map(|(_, tensor)| numbers(tensor).unwrap()).collect()
}

/// A stream of unknown length that can be read a limited number of times, and records which epochs were.
pub(crate) struct Stream {
    pub(crate) batches: Vec<Sentence>,
    pub(crate) times: u64,
    pub(crate) walked: Rc<RefCell<Vec<u64>>>,
}

impl Stream {
    pub(crate) fn new(batches: Vec<Sentence>, times: u64) -> Self {
        Stream { batches, times, walked: Rc::default() }
    }
}

impl Batches for Stream {
    type Batch = Sentence;
    fn batches_per_epoch(&self) -> Option<usize> {
        None
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Sentence>> {
        self.walked.borrow_mut().push(epoch);
        if epoch < self.times { self.batches.epoch(epoch) } else { Ok(Box::new(std::iter::empty())) }
    }
}

/// What a run reported.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) steps: Rc<RefCell<Vec<StepReport>>>,
    pub(crate) batches: Rc<RefCell<Vec<BatchReport>>>,
    pub(crate) warnings: Rc<RefCell<Vec<String>>>,
    pub(crate) metrics: Rc<RefCell<Vec<(u64, String)>>>,
    pub(crate) found: Rc<RefCell<Vec<String>>>,
}

impl Observer for Seen {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { found, .. } => self.found.borrow_mut().extend_from_slice(found),
            Event::Step(report) => self.steps.borrow_mut().push((*report).clone()),
            Event::Batch(report) => self.batches.borrow_mut().push((*report).clone()),
            Event::Warning(text) => self.warnings.borrow_mut().push((*text).to_owned()),
            Event::Evaluated { step, metric, .. } => {
                self.metrics.borrow_mut().push((*step, (*metric).to_owned()));
            }
            _ => {}
        }
    }
}

impl Seen {
    /// Batches of each step, of a run that logs every step.
    pub(crate) fn windows(&self) -> Vec<usize> {
        let first = |report: &&BatchReport| report.index == 0;
        self.batches.borrow().iter().filter(first).map(|report| report.batches).collect()
    }
}

/// The steps that have checkpoints in a run folder, in order; anything else in `checkpoints` panics.
pub(crate) fn checkpoints(run: &Path) -> Vec<u64> {
    let mut steps: Vec<u64> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_prefix("step-").unwrap().parse().unwrap())
        .collect();
    steps.sort_unstable();
    steps
}

/// The tensors of a safetensors file as numbers, by name, with their dtype.
pub(crate) fn stored(path: &Path) -> BTreeMap<String, (String, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            let kind = match view.dtype() {
                safetensors::Dtype::F64 => Kind::Double,
                safetensors::Dtype::F32 => Kind::Float,
                safetensors::Dtype::I64 => Kind::Int64,
                other => unreachable!("a toy has no {other:?}"),
            };
            let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
            let tensor = Tensor::from_data_size(view.data(), &shape, kind).to_kind(Kind::Double).view([-1]);
            (name.to_owned(), (format!("{:?}", view.dtype()), Vec::try_from(tensor).unwrap()))
        })
        .collect()
}

/// An observer that shows nothing, instead of the progress.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}
