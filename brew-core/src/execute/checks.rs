//! What labels and masks of the student's batch must be, whatever its losses read.

use tch::{Kind, Tensor};

use super::Executor;
use super::classes::stage_of;
use super::held::Held;
use super::probe::Findings;
use super::vocabularies::same_batch;
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::{Error, InStage as _, Result};
use crate::feature::Feature;
use crate::loss::{check_mask, has_documents};
use crate::model::ProblemType;
use crate::plan::{Stage, StageId, StageKind};
use crate::role::{InputsMask, Labels, Logits, LogitsMask, Role};
use crate::side::Owner;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Checks that labels lie in 0 to classes - 1, or are -100, which no loss counts.
    pub(super) fn check_labels<B: Feeds<T, A::Batch>>(
        &self,
        stage: &Stage,
        batch: &B,
        held: &Held,
        id: StageId,
        findings: &mut Findings,
    ) {
        let model = self.plan().inputs(id).into_iter().find_map(|(_, from, _)| held.outputs.get(&from));
        let Some(output) = model else { return };
        let read = |role| {
            self.student().read(role, batch.student(), &**output).ok().flatten().map(Feature::into_tensors)
        };
        let (Some(logits), Some(labels)) = (read(Logits::NAME), read(Labels::NAME)) else { return };
        let stated = self.student().problem_type();
        // A model may leave out logits that no loss reads.
        for (logits, labels) in logits.iter().zip(&labels).filter(|(logits, _)| logits.defined()) {
            match labels_misfit(stated, logits, labels) {
                Ok(Some(message)) => findings.problem(stage, Error::invalid(message)),
                Ok(None) => {}
                Err(error) => findings.problem(stage, error),
            }
        }
    }

    /// Checks that the student's masks are 0 and 1, or number documents, even if only its model reads them; and that
    /// no loss mixes the documents.
    pub(super) fn check_masks<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        held: &Held,
        id: StageId,
    ) -> Result<()> {
        let model = self.plan().inputs(id).into_iter().find_map(|(_, from, _)| held.outputs.get(&from));
        let Some(output) = model else { return Ok(()) };
        for role in [InputsMask::NAME, LogitsMask::NAME] {
            // A mask that cannot be read is reported where it is read.
            let Ok(Some(masks)) = self.student().read(role, batch.student(), &**output) else { continue };
            for mask in masks.into_tensors() {
                self.check_mask_of_student(role, &mask)?;
            }
        }
        Ok(())
    }

    /// Refuses a batch of packed rows if a model or a loss would mix their documents. The probe sees only some rows of
    /// the data, and a model on a GPU cannot look at its mask without waiting.
    pub(crate) fn check_packed<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<()> {
        let student = self.student();
        if !student.reads_documents() || self.loss_of_whole_rows()?.is_some() {
            let stage = stage_of(self.plan(), Owner::Student);
            for role in [InputsMask::NAME, LogitsMask::NAME] {
                let masks = student.read_batch(role, batch.student()).in_stage(&stage)?;
                for mask in masks.into_iter().flat_map(Feature::into_tensors) {
                    if has_documents(&mask)? {
                        self.check_mask_of_student(role, &mask).in_stage(&stage)?;
                    }
                }
            }
        }
        for index in 0..self.pipeline.teachers.len() {
            self.check_documents(index, batch).in_stage(&stage_of(self.plan(), Owner::Teacher(index)))?;
        }
        Ok(())
    }

    fn check_mask_of_student(&self, role: &str, mask: &Tensor) -> Result<()> {
        check_mask(&format!("the student's `{role}`"), mask, self.student().reads_documents())?;
        match self.loss_of_whole_rows()? {
            Some(loss) if has_documents(mask)? => Err(Error::invalid(format!(
                "`{role}` numbers the documents of packed rows, but the loss `{loss}` reads each row as a whole and would mix them: give each document a row of its own, or leave out this loss"
            ))),
            _ => Ok(()),
        }
    }

    /// The name of the first loss that would mix the documents of packed rows.
    fn loss_of_whole_rows(&self) -> Result<Option<&str>> {
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            if matches!(stage.kind, StageKind::Loss(_)) && self.weighed(id)?.loss().reads_whole_row() {
                return Ok(Some(&stage.name));
            }
        }
        Ok(None)
    }

    /// Refuses packed rows for a teacher that does not tell their documents apart.
    pub(super) fn check_documents<B: Feeds<T, A::Batch>>(&self, index: usize, batch: &B) -> Result<()> {
        let teacher = self.teacher(index)?;
        if teacher.reads_documents() || batch.teacher_output(index).is_some() {
            return Ok(());
        }
        for role in [InputsMask::NAME, LogitsMask::NAME] {
            let own = teacher.read_batch(role, batch.teacher())?;
            // The columns of a shared batch are read whether or not the teacher's adaptor names them.
            let students = match same_batch(batch) {
                true => self.student().read_batch(role, batch.student())?,
                false => None,
            };
            for mask in own.into_iter().chain(students).flat_map(Feature::into_tensors) {
                if has_documents(&mask)? {
                    check_mask(&format!("the teacher's `{role}`"), &mask, false)?;
                }
            }
        }
        Ok(())
    }
}

/// The mismatch between labels and logits, if there is one; the model may state the problem type.
fn labels_misfit(stated: Option<ProblemType>, logits: &Tensor, labels: &Tensor) -> Result<Option<String>> {
    let classes = logits.size().last().copied().unwrap_or(0);
    let problem = match (ProblemType::of(stated, &logits.size(), labels), labels.kind()) {
        (Ok(problem), _) => problem,
        (Err(error), _) if stated.is_some() => return Ok(Some(error.to_string())),
        // Labels of a custom loss may have any shape; integers are still classes.
        (Err(_), Kind::Int64 | Kind::Int) => ProblemType::SingleLabelClassification,
        (Err(_), _) => return Ok(None),
    };
    problem.misfit(labels, classes)
}
