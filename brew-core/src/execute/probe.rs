//! The probe: runs two rows through the plan before the first step to check everything that types cannot, all
//! at once.

use super::held::Held;
use super::run::{PassInputs, Provided};
use super::vocabularies::OfColumn;
use super::{Executor, Keys, reads};
use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::error::{Error, Problem, Result};
use crate::loss::check_mask;
use crate::model::Model;
use crate::pass::{Pass, Wants};
use crate::plan::{Stage, StageId, StageKind};
use crate::side::Owner;
use crate::words::thousands;

/// The findings from two rows of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// One line per finding, such as ``student adaptor: `hidden` 7 x (2, 40, 384)``.
    pub found: Vec<String>,
    /// Things that may be intended but deserve a warning, such as classes with different names on two sides.
    pub warnings: Vec<String>,
}

/// Collected while the stages run.
#[derive(Default)]
pub(super) struct Findings {
    found: Vec<String>,
    problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn problem(&mut self, stage: &Stage, error: Error) {
        let message = error.within(&stage.name);
        self.problems.push(Problem::Unfit { stage: stage.name.clone(), message });
    }

    /// The same for a stage that is known by its name.
    pub(super) fn problem_of(&mut self, stage: &str, error: &Error) {
        self.problems.push(Problem::Unfit { stage: stage.to_owned(), message: error.to_string() });
    }
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Runs every stage on the first two rows, without gradients, and reports all problems at once.
    ///
    /// # Errors
    /// [`Error::Plan`] with every problem: layers that do not exist, widths and lengths that differ, masks with
    /// values other than 0 and 1, labels out of range, non-finite losses, classes of the same names in a
    /// different order, token ids that stand for different tokens on two sides.
    pub fn probe<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<Probe> {
        self.probe_data(batch, None, &|_| Ok(None))
    }

    /// The same for data that names the classes of its labels and the vocabulary of each column.
    ///
    /// # Errors
    /// Those of [`probe`](Self::probe).
    pub fn probe_data<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        names: Option<&[String]>,
        vocabulary: OfColumn<'_>,
    ) -> Result<Probe> {
        let mut classes = self.compare_classes(names);
        let vocabularies = self.compare_vocabularies(batch, vocabulary)?;
        classes.problems.extend(vocabularies.problems);
        classes.notes.extend(vocabularies.notes);
        let start = Findings { found: classes.found, problems: classes.problems };
        let mut findings = self.findings(start, &batch.first_rows(2)?, true)?;
        findings.found.push(format!(
            "student: {} parameters{}",
            thousands(self.pipeline.student.parameters().scalars()),
            match self.projections().parameters().scalars() {
                0 => String::new(),
                scalars => format!("; projections: {}", thousands(scalars)),
            }
        ));
        if findings.problems.is_empty() {
            Ok(Probe { found: findings.found, warnings: classes.notes })
        } else {
            Err(Error::Plan(findings.problems))
        }
    }

    /// Whether models and adaptors accept this row: the problems by stage, each with the row's location. No
    /// loss is computed, since its value for two equal rows says little.
    pub(crate) fn probe_row<B: Feeds<T, A::Batch>>(&self, row: &str, batch: &B) -> Result<Vec<Problem>> {
        let problems = self.findings(Findings::default(), batch, false)?.problems.into_iter().map(
            |problem| match problem {
                Problem::Unfit { stage, message } => {
                    Problem::Unfit { stage, message: format!("{row}: {message}") }
                }
                other => other,
            },
        );
        Ok(problems.collect())
    }

    fn findings<B: Feeds<T, A::Batch>>(
        &self,
        mut findings: Findings,
        batch: &B,
        losses: bool,
    ) -> Result<Findings> {
        let pass = Pass::evaluation(Wants::nothing());
        let inputs = PassInputs { batch, keys: &Keys::new(), pass: &pass, window: None, notes_apart: false };
        let _guard = tch::no_grad_guard();
        let mut held = Held::default();
        if losses {
            self.check_output_layers(batch, &mut findings);
        }
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match &stage.kind {
                StageKind::Batch => findings.found.push(batch_found(batch.student())),
                StageKind::Adaptor { owner: Owner::Student, .. } => {
                    self.check_labels(stage, batch, &held, id, &mut findings);
                    if let Err(error) = self.check_masks(batch, &held, id) {
                        findings.problem(stage, error);
                    }
                }
                StageKind::Adaptor { owner: Owner::Teacher(index), .. } => {
                    if let Err(error) = self.check_documents(*index, batch) {
                        findings.problem(stage, error);
                    }
                }
                StageKind::Loss(_) if losses => self.probe_loss(id, stage, &mut held, &mut findings),
                _ => {}
            }
            if matches!(stage.kind, StageKind::Loss(_) | StageKind::Sum) {
                continue;
            }
            match self.provide(id, stage, &inputs, &mut held) {
                Ok(Provided::Output(output)) => {
                    held.outputs.insert(id, output);
                }
                Ok(Provided::Features(features)) => {
                    for (flow, feature) in features {
                        match feature {
                            // If the input of a projection failed earlier, there is no output.
                            Ok(feature) => drop(held.flows.insert(flow, feature)),
                            Err(error) => findings.problem(stage, error),
                        }
                    }
                }
                // If a model failed, its adaptor has nothing to read.
                Err(_) if matches!(stage.kind, StageKind::Adaptor { .. }) => continue,
                Err(error) => findings.problem(stage, error),
                Ok(_) => {}
            }
            if matches!(stage.kind, StageKind::Adaptor { .. }) {
                findings.found.extend(self.adaptor_found(id, stage, &held));
            }
        }
        Ok(findings)
    }

    fn probe_loss(&self, id: StageId, stage: &Stage, held: &mut Held, findings: &mut Findings) {
        // If a loss's inputs failed earlier, the loss adds no further problem.
        if self.plan().inputs(id).iter().any(|(flow, ..)| !held.flows.contains_key(flow)) {
            return;
        }
        let checked = (|| {
            let loss = &*self.weighed(id)?.loss();
            let reads::LossInputs { pairs, .. } = reads::gather(self.plan(), id, loss, &self.orders, held)?;
            for (student, teacher) in pairs {
                let mismatches = loss.mismatches(&student, &teacher);
                if !mismatches.is_empty() {
                    return Err(Error::invalid(mismatches.join("; ")));
                }
                if let Some(mask) = &teacher.mask {
                    // Whether the teacher tells documents apart is checked where its adaptor is.
                    check_mask("the teacher's mask", mask, true)?;
                }
                reads::same_masks(loss, &student, &teacher)?;
                let value = loss.term(&student, &teacher)?.mean()?.f_double_value(&[])?;
                if !value.is_finite() {
                    return Err(Error::invalid(format!("its value for the first two rows is {value}")));
                }
            }
            Ok(())
        })();
        if let Err(error) = checked {
            findings.problem(stage, error);
        }
    }

    fn adaptor_found(&self, id: StageId, stage: &Stage, held: &Held) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (flow, _, kind) in self.plan().outputs(id) {
            let Some(tensors) = held.flows.get(&flow).filter(|tensors| !tensors.is_empty()) else { continue };
            let shapes: Vec<String> =
                tensors.iter().map(|tensor| crate::words::shape(&tensor.size())).collect();
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
        .map(|(name, tensor)| format!("`{name}` {} {:?}", crate::words::shape(&tensor.size()), tensor.kind()))
        .collect();
    format!("batch: {}", columns.join(", "))
}
