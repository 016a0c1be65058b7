//! Trains one epoch over the recorded batches and records every batch's losses.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use brew_core::batch::{Columns, FromColumns};
use brew_core::observe::{Event, Observer};
use brew_core::plan::Plan;
use brew_core::plan::{Flow, StageKind};
use brew_core::prelude::*;
use brew_core::schedule::Schedule;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::DistillationConfig;

use crate::compare::Comparison;
use crate::free::Free;
use crate::recording::{Recording, read_tensors};

/// The losses of one batch, by TextBrewer's names.
type Row = Vec<(String, f64)>;

/// The recorded learning-rate factors.
#[derive(Debug)]
struct Table(Vec<f64>);

impl Schedule for Table {
    fn multiplier(&self, step: u64, _: u64) -> f64 {
        usize::try_from(step).ok().and_then(|step| self.0.get(step)).copied().unwrap_or(0.0)
    }
}

/// Keeps the losses of every batch.
struct Keep {
    names: BTreeMap<String, String>,
    rows: Rc<RefCell<Vec<Row>>>,
}

impl Observer for Keep {
    fn on(&mut self, event: &Event<'_>) {
        let Event::Batch(report) = event else { return };
        // A batch's share of the window's mean of means, times the number of batches, is its own mean.
        let own = |(name, share): &(String, f64)| {
            let name = self.names.get(name).unwrap_or(name);
            (name.clone(), share * report.batches as f64)
        };
        self.rows.borrow_mut().push(report.losses.iter().map(own).collect());
    }
}

/// Trains and compares; returns whether everything is within the tolerance.
pub(crate) fn run<A: Adaptor>(
    recording: &Recording,
    tolerance: f64,
    load: impl Fn(&Path) -> Result<Seen<A>>,
) -> Result<bool>
where
    A::Batch: FromColumns,
{
    let folder = |name: &str| recording.folder.join(name);
    let (teacher, student) = (load(&folder("teacher"))?, load(&folder("student_init"))?);
    let pipeline = GeneralDistiller::new(&recording.train, &recording.distill, teacher, student)
        .with_weightless_losses()
        .plan()?;
    println!("{}", pipeline.explain());
    let losses = losses(recording, pipeline.plan());
    let projections = projections(&losses, &recording.distill);
    let rows = Rc::new(RefCell::new(Vec::new()));
    let names = losses.into_iter().map(|loss| (loss.stage, loss.name)).collect();
    let accumulation = usize::try_from(recording.train.gradient_accumulation_steps).unwrap_or(usize::MAX);
    let mut trainer = Trainer::new(pipeline)
        .optimizer(recording.optimizer)
        .schedule(Table(recording.expected.lr_multiplier.clone()))
        .accumulate(accumulation)
        .log_every(1)
        .observe(Keep { names, rows: rows.clone() });
    if let Some(norm) = recording.expected.max_grad_norm.filter(|norm| *norm > 0.0) {
        trainer = trainer.clip(norm);
    }
    if !projections.is_empty() {
        trainer = trainer.projections(renamed(&folder("projections_init.safetensors"), &projections)?);
    }
    let trained = trainer.run(batches::<A::Batch>(recording)?)?;

    let rows = rows.take();
    let Some(expected) = &recording.expected.losses else {
        for row in &rows {
            println!("{}", serde_json::Value::from_iter(row.iter().cloned()));
        }
        return Ok(true);
    };
    let named = |parameters: &Parameters| -> BTreeMap<String, Tensor> {
        parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
    };
    let student = named(&trained.student().parameters());
    let free = Free::of(&student, &recording.distill);
    let mut comparison = Comparison::new(tolerance);
    comparison.losses(|name| free.decides(name), &rows, expected);
    let final_student = load(&folder("student_final"))?;
    comparison.tensors(
        "the final student",
        |name| free.includes(name),
        &student,
        &named(&final_student.parameters()),
    )?;
    if !projections.is_empty() {
        let expected = renamed(&folder("projections_final.safetensors"), &projections)?;
        comparison.tensors("the final projections", |_| false, &named(trained.projections()), &expected)?;
    }
    Ok(comparison.finish())
}

/// A loss of the plan, with the name under which TextBrewer logs it.
struct NamedLoss {
    stage: String,
    name: String,
    /// Which of the config's matches it is.
    of_match: Option<usize>,
}

/// The losses of the plan; matches are in the order of the config.
fn losses(recording: &Recording, plan: &Plan) -> Vec<NamedLoss> {
    let mut matches = recording.distill.intermediate_matches.iter().enumerate();
    let mut losses = Vec::new();
    for (id, stage) in plan.stages() {
        let StageKind::Loss(_) = stage.kind else { continue };
        let reads = |wanted: &str| {
            (plan.inputs(id).iter())
                .any(|(_, _, flow)| matches!(flow, Flow::Feature { role, .. } if role == wanted))
        };
        let (name, of_match) = if reads("losses") {
            ("unweighted_hard_label_loss".to_owned(), None)
        } else if reads("logits") {
            ("unweighted_kd_loss".to_owned(), None)
        } else {
            let Some((index, found)) = matches.next() else { continue };
            let [student, teacher] = [&found.layer_s, &found.layer_t]
                .map(|layers| layers.indices().iter().map(i64::to_string).collect::<Vec<_>>().join("-"));
            (format!("unweighted_{}_{}_{student}_{teacher}", found.feature, found.loss.name), Some(index))
        };
        losses.push(NamedLoss { stage: stage.name.clone(), name, of_match });
    }
    losses
}

/// The names of the recorded projections' parameters, and of the plan's: those of match i are
/// `match{i}.weight`, or `match{i}.0.weight` where an activation follows the linear map.
fn projections(losses: &[NamedLoss], config: &DistillationConfig) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (index, stage) in losses.iter().filter_map(|loss| Some((loss.of_match?, &loss.stage))) {
        let Some(projection) = config.intermediate_matches.get(index).and_then(|found| found.proj.as_ref())
        else {
            continue;
        };
        let inner = if projection.name == "linear" { "" } else { ".0" };
        for parameter in ["weight", "bias"] {
            let recorded = format!("match{index}{inner}.{parameter}");
            names.insert(recorded, format!("projection_{stage}.{parameter}"));
        }
    }
    names
}

/// Recorded projections under the plan's names; unknown names are kept, and reported.
fn renamed(path: &Path, names: &BTreeMap<String, String>) -> Result<BTreeMap<String, Tensor>> {
    let tensors = read_tensors(path)?.into_iter();
    Ok(tensors.map(|(name, tensor)| (names.get(&name).cloned().unwrap_or(name), tensor)).collect())
}

/// The recorded batches that are used for steps.
fn batches<B: FromColumns>(recording: &Recording) -> Result<Vec<B>> {
    (0..i64::try_from(recording.batches()?).unwrap_or(i64::MAX))
        .map(|index| {
            let mut columns = Columns::new();
            for (name, column) in &recording.columns {
                columns.insert(name, column.f_select(0, index)?);
            }
            B::from_columns(&mut columns)
        })
        .collect()
}
