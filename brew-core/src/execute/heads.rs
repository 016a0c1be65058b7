//! Turns the features of all sides into one pair per head: assigns masks and labels to their head, and
//! combines several teachers into one.

use std::collections::BTreeMap;

use tch::Tensor;

use super::combine::{Guides, combine};
use super::reads::same_masks;
use super::shift;
use crate::error::{Error, Result};
use crate::loss::logits::labels_ahead;
use crate::loss::{Features, Loss};
use crate::plan::{Combine, LossStage};
use crate::role::{InputsMask, Labels, LogitsMask, Role, TeacherIndex, may_be_absent};

/// Features and masks of one side.
#[derive(Default)]
pub(super) struct RolesOfSide {
    pub(super) features: Vec<Tensor>,
    pub(super) masks: Vec<Tensor>,
    /// The role of the masks: `inputs_mask` if there is no `logits_mask`.
    pub(super) masked_by: Option<&'static str>,
    /// Its `inputs_mask`, which is also the mask if there is no `logits_mask`.
    pub(super) documents: Vec<Tensor>,
    /// The student's labels, for a probability shift or to combine teachers.
    pub(super) labels: Vec<Tensor>,
    /// The student's `teacher_index`, to combine teachers.
    pub(super) teacher: Vec<Tensor>,
    /// Other roles that the loss reads: one tensor per head, or one for all.
    pub(super) also: BTreeMap<&'static str, Vec<Tensor>>,
}

impl RolesOfSide {
    /// Puts a role's tensors in their place, and returns whether they are what the loss compares; `also` is the role if
    /// the loss itself declares that it reads it.
    pub(super) fn take(&mut self, role: &str, tensors: Vec<Tensor>, also: Option<&'static str>) -> bool {
        if role == Labels::NAME {
            self.labels = tensors.iter().map(Tensor::shallow_clone).collect();
        }
        if role == TeacherIndex::NAME {
            self.teacher = tensors.iter().map(Tensor::shallow_clone).collect();
        }
        if let Some(also) = also {
            self.also.insert(also, tensors);
        } else if role == LogitsMask::NAME {
            (self.masks, self.masked_by) = (tensors, Some(LogitsMask::NAME));
        } else if role == InputsMask::NAME {
            if self.masked_by.is_none() {
                self.masks = tensors.iter().map(Tensor::shallow_clone).collect();
                self.masked_by = Some(InputsMask::NAME);
            }
            self.documents = tensors;
        } else if role != Labels::NAME && role != TeacherIndex::NAME {
            self.features = tensors;
            return true;
        }
        false
    }

    pub(super) fn whole(self) -> Result<Features> {
        let (also, documents) = (self.also_of_head(0)?, self.documents());
        Ok(Features { tensors: self.features, mask: self.masks.into_iter().next(), documents, also })
    }

    /// The other roles that the loss reads for a head: one tensor for all heads, or one per head.
    fn also_of_head(&self, head: usize) -> Result<BTreeMap<&'static str, Tensor>> {
        let one = |(role, tensors): (&&'static str, &Vec<Tensor>)| {
            let index = if tensors.len() == 1 { 0 } else { head };
            match tensors.get(index) {
                Some(tensor) => Ok((*role, tensor.shallow_clone())),
                None => Err(Error::invalid(format!(
                    "the adaptor returns {} `{role}`: return one for all `logits`, or one for each",
                    tensors.len()
                ))),
            }
        };
        self.also
            .iter()
            .filter(|(role, tensors)| !(tensors.is_empty() && may_be_absent(role)))
            .map(one)
            .collect()
    }

    /// The per-row inputs that decide how a head's teachers are combined.
    fn guides<'g>(&'g self, head: usize, labels: Option<&'g Tensor>) -> Guides<'g> {
        let index = if self.teacher.len() == 1 { 0 } else { head };
        Guides { labels, teacher: self.teacher.get(index) }
    }

    /// The labels by which a head's logits are judged.
    fn labels(&self, head: usize, loss: &dyn Loss) -> Result<Option<Tensor>> {
        let judged = |labels: &Tensor| match labels.dim() > 1 && loss.pairs_next_token() {
            true => labels_ahead(labels, None),
            false => Ok(labels.shallow_clone()),
        };
        self.labels.get(head).map(judged).transpose()
    }

    fn head(&self, head: usize) -> Result<Features> {
        let features = self.features.get(head).map(Tensor::shallow_clone).into_iter().collect();
        let (mask, documents) = (self.mask(head), self.documents());
        Ok(Features { tensors: features, mask, documents, also: self.also_of_head(head)? })
    }

    fn documents(&self) -> Option<Tensor> {
        self.documents.first().map(Tensor::shallow_clone)
    }

    /// The mask of a head: one for all heads, or one per head.
    fn mask(&self, head: usize) -> Option<Tensor> {
        let index = if self.masks.len() == 1 { 0 } else { head };
        self.masks.get(index).map(Tensor::shallow_clone)
    }
}

/// One pair per head; several teachers' logits are combined.
pub(super) fn by_head(
    role: &str,
    stage: &LossStage,
    loss: &dyn Loss,
    student: RolesOfSide,
    teachers: Vec<RolesOfSide>,
) -> Result<Vec<(Features, Features)>> {
    let heads = student.features.len();
    if heads == 0 {
        return Err(Error::invalid(format!("the student's `{role}` is an empty list")));
    }
    for (side, owner) in
        std::iter::once((&student, "the student")).chain(teachers.iter().map(|side| (side, "a teacher")))
    {
        if !matches!(side.masks.len(), 0 | 1) && side.masks.len() != heads {
            return Err(Error::invalid(format!(
                "{owner} gives {} masks for {heads} `{role}`: give one mask for all, or one for each",
                side.masks.len()
            )));
        }
    }
    if let [teacher] = teachers.as_slice()
        && teacher.features.len() == TOP_LOGITS * heads
        && (loss.reads_top_logits() || loss.reads_drawn_logits())
    {
        return top_logits(&student, teacher);
    }
    if let Some(teacher) = teachers.iter().find(|teacher| teacher.features.len() != heads) {
        return Err(Error::invalid(format!(
            "the student gives {heads} `{role}`, a teacher gives {}: both must have the same heads",
            teacher.features.len()
        )));
    }
    (0..heads)
        .map(|head| {
            let read = student.head(head)?;
            let labels = student.labels(head, loss)?;
            let of_teachers: Vec<&Tensor> = teachers.iter().map(|teacher| &teacher.features[head]).collect();
            let features = match of_teachers.as_slice() {
                [] => Vec::new(),
                [one] => vec![one.shallow_clone()],
                many => {
                    teachers_mask_alike(loss, &read, &teachers, head)?;
                    let policy = stage.combine.as_ref().unwrap_or(&Combine::MeanOfLogits);
                    vec![combine(policy, loss.temperature(), many, &student.guides(head, labels.as_ref()))?]
                }
            };
            let features = match labels.as_ref().filter(|_| stage.probability_shift) {
                Some(labels) => {
                    features.iter().map(|logits| shift::to_labels(logits, labels)).collect::<Result<_>>()?
                }
                None => features,
            };
            let mask = teachers.iter().find_map(|teacher| teacher.mask(head));
            let documents = teachers.iter().find_map(RolesOfSide::documents);
            let also = teachers.first().map(|teacher| teacher.also_of_head(head)).transpose()?;
            Ok((read, Features { tensors: features, mask, documents, also: also.unwrap_or_default() }))
        })
        .collect()
}

/// Combined teachers must mask the same positions: each is compared with the student.
fn teachers_mask_alike(
    loss: &dyn Loss,
    student: &Features,
    teachers: &[RolesOfSide],
    head: usize,
) -> Result<()> {
    for (index, teacher) in teachers.iter().enumerate() {
        let read = Features { mask: teacher.mask(head), ..Features::default() };
        same_masks(loss, student, &read)
            .map_err(|error| Error::invalid(format!("teacher {index} of {}: {error}", teachers.len())))?;
    }
    Ok(())
}

/// The number of tensors per head when only the top logits are known.
pub(super) const TOP_LOGITS: usize = 3;

/// One pair per head, for a teacher of which only the top k logits are known.
fn top_logits(student: &RolesOfSide, teacher: &RolesOfSide) -> Result<Vec<(Features, Features)>> {
    let heads = teacher.features.chunks_exact(TOP_LOGITS).enumerate();
    heads
        .map(|(head, top)| {
            let features = top.iter().map(Tensor::shallow_clone).collect();
            let (mask, also) = (teacher.mask(head), teacher.also_of_head(head)?);
            let documents = teacher.documents();
            Ok((student.head(head)?, Features { tensors: features, mask, documents, also }))
        })
        .collect()
}
