//! Two rows through the plan before the first step: everything that types cannot know, all at once.

use tch::Tensor;

use super::{Executor, Held, reads};
use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::loss::{Read, is_binary};
use crate::model::Model;
use crate::pass::Pass;
use crate::plan::{Owner, Problem, Stage, StageKind};
use crate::role::{InputsMask, Labels, Logits, LogitsMask, Role};

/// What two rows of the data showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// One line a finding, such as ``student adaptor: `hidden` 7 x (2, 40, 384)``.
    pub found: Vec<String>,
}

/// What goes on being collected while the stages run.
#[derive(Default)]
struct Findings {
    found: Vec<String>,
    problems: Vec<Problem>,
}

impl Findings {
    fn problem(&mut self, stage: &Stage, error: Error) {
        let message = error.within(&stage.name);
        self.problems.push(Problem::Unfit { stage: stage.name.clone(), message });
    }
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Runs every stage on the first two rows, without gradients, and reports all problems at once.
    ///
    /// # Errors
    /// [`Error::Plan`] with every problem: layers that do not exist, widths and lengths that differ,
    /// masks that are not 0 and 1, labels out of range, losses that are not finite.
    pub fn probe<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Probe> {
        let batch = batch.first_rows(2)?;
        let pass = Pass::evaluation(crate::pass::Wants::nothing());
        let _guard = tch::no_grad_guard();
        let mut held = Held::default();
        let mut findings = Findings::default();
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match &stage.kind {
                StageKind::Batch => findings.found.push(batch_found(batch.student())),
                StageKind::Teacher { index } if batch.teacher_output(*index).is_some() => {}
                StageKind::Teacher { .. } | StageKind::Student => {
                    match self.forward(id, stage, &batch, &pass) {
                        Ok(output) => {
                            held.outputs.insert(id, output);
                        }
                        Err(error) => findings.problem(stage, error),
                    }
                }
                StageKind::Adaptor { owner, .. } => {
                    if *owner == Owner::Student {
                        self.check_labels(stage, &batch, &held, id, &mut findings);
                    }
                    // Where the model itself failed there is nothing to adapt.
                    let Ok(features) = self.adapt(id, *owner, &batch, &mut held) else { continue };
                    for (flow, feature) in features {
                        match feature {
                            Ok(feature) => {
                                held.flows.insert(flow, feature);
                            }
                            Err(error) => findings.problem(stage, error),
                        }
                    }
                    findings.found.extend(self.adaptor_found(id, stage, &held));
                }
                StageKind::Projection(_) => match self.project(id, &mut held) {
                    Ok(features) if features.iter().all(|(_, feature)| !feature.is_empty()) => {
                        held.flows.extend(features)
                    }
                    Ok(_) => {}
                    Err(error) => findings.problem(stage, error),
                },
                StageKind::Loss(_) => self.probe_loss(id, stage, &mut held, &mut findings),
                StageKind::Sum => {}
            }
        }
        findings.found.push(format!(
            "student: {} parameters{}",
            thousands(self.pipeline.student.parameters().scalars()),
            match self.projections().parameters().scalars() {
                0 => String::new(),
                scalars => format!("; projections: {}", thousands(scalars)),
            }
        ));
        if findings.problems.is_empty() {
            Ok(Probe { found: findings.found })
        } else {
            Err(Error::Plan(findings.problems))
        }
    }

    fn probe_loss(&self, id: crate::plan::StageId, stage: &Stage, held: &mut Held, findings: &mut Findings) {
        // A loss whose inputs failed before says nothing more.
        if self.plan().inputs(id).iter().any(|(flow, ..)| !held.flows.contains_key(flow)) {
            return;
        }
        let checked = (|| {
            let loss = &*self.weighed(id)?.loss;
            let (_, pairs) = reads::gather(self.plan(), id, loss, held)?;
            for (student, teacher) in pairs {
                let mismatches = loss.mismatches(&student, &teacher);
                if !mismatches.is_empty() {
                    return Err(Error::invalid(mismatches.join("; ")));
                }
                mask_of_zeros_and_ones("student", &student)?;
                mask_of_zeros_and_ones("teacher", &teacher)?;
                reads::same_masks(loss, &student, &teacher)?;
                let value = loss.term(&student, &teacher)?.mean()?.f_double_value(&[])?;
                if !value.is_finite() {
                    return Err(Error::invalid(format!("its value on the first two rows is {value}")));
                }
            }
            Ok(())
        })();
        if let Err(error) = checked {
            findings.problem(stage, error);
        }
    }

    /// Labels lie in 0 to classes - 1, or are -100, which no loss counts.
    fn check_labels<B: Feeds<T, A::Batch>>(
        &self,
        stage: &Stage,
        batch: &B,
        held: &Held,
        id: crate::plan::StageId,
        findings: &mut Findings,
    ) {
        let model = self.plan().inputs(id).into_iter().find_map(|(_, from, _)| held.outputs.get(&from));
        let Some(output) = model else { return };
        let read = |role| {
            self.student().read(role, batch.student(), &**output).ok().flatten().map(Feature::into_tensors)
        };
        let (Some(logits), Some(labels)) = (read(Logits::NAME), read(Labels::NAME)) else { return };
        for (logits, labels) in logits.iter().zip(&labels) {
            let classes = logits.size().last().copied().unwrap_or(0);
            match label_out_of_range(labels, classes) {
                Ok(Some(label)) => findings.problem(
                    stage,
                    Error::invalid(format!("a label is {label}, and the logits have {classes} classes: labels are 0 to {}, or -100 for what does not count", classes - 1)),
                ),
                Ok(None) => {}
                Err(error) => findings.problem(stage, error),
            }
        }
    }

    fn adaptor_found(&self, id: crate::plan::StageId, stage: &Stage, held: &Held) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (flow, _, kind) in self.plan().outputs(id) {
            let Some(tensors) = held.flows.get(&flow) else { continue };
            let shapes: Vec<String> =
                tensors.iter().map(|tensor| crate::loss::shape(&tensor.size())).collect();
            let line = format!("{}: `{kind}` {}", stage.name, shapes.join(", "));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

fn batch_found<B: Batch>(batch: &B) -> String {
    let columns: Vec<String> = (batch.tensors().iter())
        .map(|(name, tensor)| format!("`{name}` {} {:?}", crate::loss::shape(&tensor.size()), tensor.kind()))
        .collect();
    format!("batch: {}", columns.join(", "))
}

fn mask_of_zeros_and_ones(side: &str, read: &Read) -> Result<()> {
    match &read.mask {
        Some(mask) if !is_binary(mask)? => Err(Error::invalid(format!(
            "the {side}'s mask has values other than 0 and 1: `{}` and `{}` say which positions count",
            InputsMask::NAME,
            LogitsMask::NAME
        ))),
        _ => Ok(()),
    }
}

fn label_out_of_range(labels: &Tensor, classes: i64) -> Result<Option<i64>> {
    if !matches!(labels.kind(), tch::Kind::Int64 | tch::Kind::Int) || labels.numel() == 0 {
        return Ok(None);
    }
    let outside = labels.f_lt(0)?.f_logical_or(&labels.f_ge(classes)?)?.f_logical_and(&labels.f_ne(-100)?)?;
    let outside = labels.f_masked_select(&outside)?;
    if outside.numel() == 0 { Ok(None) } else { Ok(Some(outside.f_int64_value(&[0])?)) }
}

/// `22713602` as `22,713,602`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
