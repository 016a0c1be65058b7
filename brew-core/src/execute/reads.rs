//! From flows to what a loss reads: layers picked, heads paired, teachers combined.

use std::collections::BTreeMap;

use tch::Tensor;

use super::combine::{Guides, combine};
use super::{Held, shift};
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::loss::{self, Loss, Masks, Read};
use crate::plan::{Combine, Flow, LossStage, Owner, Plan, StageId, StageKind};
use crate::role::{InputsMask, Labels, Logits, LogitsMask, Losses, Role, TeacherIndex};

/// The wanted layers of a feature, in the order they are wanted; all of it without layers.
pub(super) fn pick(role: &str, feature: Option<Feature>, layers: Option<&[i64]>) -> Result<Vec<Tensor>> {
    let Some(feature) = feature else {
        return Err(Error::invalid(format!(
            "`{role}` is absent: the model or the batch left it out (hard labels need the batch's labels)"
        )));
    };
    let tensors = feature.into_tensors();
    let Some(layers) = layers else { return Ok(tensors) };
    let count = tensors.len();
    layers
        .iter()
        .map(|&layer| {
            let index = if layer < 0 { layer + i64::try_from(count).unwrap_or(i64::MAX) } else { layer };
            let tensor = usize::try_from(index).ok().and_then(|index| tensors.get(index)).ok_or_else(|| {
                Error::invalid(format!(
                    "layer {layer} of `{role}` does not exist: the adaptor gives {count}, 0 to {}",
                    count.saturating_sub(1)
                ))
            })?;
            if tensor.defined() {
                Ok(tensor.shallow_clone())
            } else {
                Err(Error::invalid(format!(
                    "layer {layer} of `{role}` is empty: the model did not keep it although `pass.wants()` names it"
                )))
            }
        })
        .collect()
}

/// A model's own loss as one value an example: a scalar is the mean of its batch.
pub(super) fn one_value_a_row(losses: Vec<Tensor>, rows: usize) -> Result<Vec<Tensor>> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    losses
        .into_iter()
        .map(|loss| if loss.dim() == 0 { Ok(loss.f_expand([rows], false)?) } else { Ok(loss) })
        .collect()
}

/// Takes what flows into a loss: the role it compares and the pairs, one a head or one in all.
pub(super) fn gather(
    plan: &Plan,
    id: StageId,
    loss: &dyn Loss,
    held: &mut Held,
) -> Result<(String, Vec<(Read, Read)>)> {
    let mut compared = String::new();
    let mut student = Side::default();
    let mut teachers: Vec<Side> = Vec::new();
    for (flow, from, kind) in plan.inputs(id) {
        let Flow::Feature { role, .. } = kind else { continue };
        let Some(tensors) = held.flows.remove(&flow) else {
            return Err(Error::invalid(format!("`{role}` did not arrive")));
        };
        let owner = owner(plan, from);
        let also =
            loss.also_reads().iter().find(|also| also.role == role && also.side == loss::Side::of(owner));
        let side = match owner {
            Owner::Student => &mut student,
            Owner::Teacher(index) => {
                teachers.resize_with(teachers.len().max(index + 1), Side::default);
                &mut teachers[index]
            }
        };
        if role == Labels::NAME {
            side.labels = tensors.iter().map(Tensor::shallow_clone).collect();
        }
        if role == TeacherIndex::NAME {
            side.teacher = tensors.iter().map(Tensor::shallow_clone).collect();
        }
        if let Some(also) = also {
            side.also.insert(also.role, tensors);
        } else if role == InputsMask::NAME || role == LogitsMask::NAME {
            side.masks = tensors;
        } else if role != Labels::NAME && role != TeacherIndex::NAME {
            compared.clone_from(role);
            side.features = tensors;
        }
    }
    let pairs = if compared == Logits::NAME || compared == Losses::NAME {
        let Some(StageKind::Loss(stage)) = plan.stage(id).map(|stage| &stage.kind) else {
            return Err(Error::invalid("what reads logits is not a loss"));
        };
        by_head(&compared, stage, loss, student, teachers)?
    } else {
        // The one that it reads is the last that anything arrived of.
        let teacher = teachers.pop().unwrap_or_default();
        vec![(student.whole()?, teacher.whole()?)]
    };
    Ok((compared, pairs))
}

/// Features and masks of one side.
#[derive(Default)]
struct Side {
    features: Vec<Tensor>,
    masks: Vec<Tensor>,
    /// The student's, for a probability shift or to combine teachers by.
    labels: Vec<Tensor>,
    /// The student's, to combine teachers by.
    teacher: Vec<Tensor>,
    /// What else the loss reads, one a head or one for all.
    also: BTreeMap<&'static str, Vec<Tensor>>,
}

impl Side {
    fn whole(self) -> Result<Read> {
        let also = self.also_of_head(0)?;
        Ok(Read { features: self.features, mask: self.masks.into_iter().next(), also })
    }

    /// What else the loss reads for a head: one value serves all of them, or each has its own.
    fn also_of_head(&self, head: usize) -> Result<BTreeMap<&'static str, Tensor>> {
        let one = |(role, tensors): (&&'static str, &Vec<Tensor>)| {
            let index = if tensors.len() == 1 { 0 } else { head };
            match tensors.get(index) {
                Some(tensor) => Ok((*role, tensor.shallow_clone())),
                None => Err(Error::invalid(format!(
                    "the adaptor gives {} `{role}`: give one for all `logits`, or one each",
                    tensors.len()
                ))),
            }
        };
        self.also.iter().map(one).collect()
    }

    /// What rows bring along for a head's teachers to be combined by.
    fn guides(&self, head: usize) -> Guides<'_> {
        let index = if self.teacher.len() == 1 { 0 } else { head };
        Guides { labels: self.labels.get(head), teacher: self.teacher.get(index) }
    }

    fn head(&self, head: usize) -> Result<Read> {
        let features = self.features.get(head).map(Tensor::shallow_clone).into_iter().collect();
        Ok(Read { features, mask: self.mask(head), also: self.also_of_head(head)? })
    }

    /// The mask of a head: one serves all of them, or each has its own.
    fn mask(&self, head: usize) -> Option<Tensor> {
        let index = if self.masks.len() == 1 { 0 } else { head };
        self.masks.get(index).map(Tensor::shallow_clone)
    }
}

/// One pair a head; several teachers' logits are combined.
fn by_head(
    role: &str,
    stage: &LossStage,
    loss: &dyn Loss,
    student: Side,
    teachers: Vec<Side>,
) -> Result<Vec<(Read, Read)>> {
    let heads = student.features.len();
    if heads == 0 {
        return Err(Error::invalid(format!("the student's `{role}` is an empty list")));
    }
    for (side, owner) in
        std::iter::once((&student, "the student")).chain(teachers.iter().map(|side| (side, "a teacher")))
    {
        if !matches!(side.masks.len(), 0 | 1) && side.masks.len() != heads {
            return Err(Error::invalid(format!(
                "{owner} gives {} masks for {heads} `{role}`: give one mask for all, or one each",
                side.masks.len()
            )));
        }
    }
    if let [teacher] = teachers.as_slice()
        && teacher.features.len() == TOP_LOGITS * heads
        && loss.reads_top_logits()
    {
        return top_logits(&student, teacher);
    }
    if let Some(teacher) = teachers.iter().find(|teacher| teacher.features.len() != heads) {
        return Err(Error::invalid(format!(
            "the student gives {heads} `{role}`, a teacher {}: both must have the same heads",
            teacher.features.len()
        )));
    }
    (0..heads)
        .map(|head| {
            let read = student.head(head)?;
            let of_teachers: Vec<&Tensor> = teachers.iter().map(|teacher| &teacher.features[head]).collect();
            let features = match of_teachers.as_slice() {
                [] => Vec::new(),
                [one] => vec![one.shallow_clone()],
                many => {
                    teachers_mask_alike(loss, &read, &teachers, head)?;
                    let policy = stage.combine.as_ref().unwrap_or(&Combine::MeanOfLogits);
                    vec![combine(policy, loss.temperature(), many, &student.guides(head))?]
                }
            };
            let features = match student.labels.get(head).filter(|_| stage.probability_shift) {
                Some(labels) => {
                    features.iter().map(|logits| shift::to_labels(logits, labels)).collect::<Result<_>>()?
                }
                None => features,
            };
            let mask = teachers.iter().find_map(|teacher| teacher.mask(head));
            let also = teachers.first().map(|teacher| teacher.also_of_head(head)).transpose()?;
            Ok((read, Read { features, mask, also: also.unwrap_or_default() }))
        })
        .collect()
}

/// Teachers that are combined must mask the same positions: each is held against the student.
fn teachers_mask_alike(loss: &dyn Loss, student: &Read, teachers: &[Side], head: usize) -> Result<()> {
    for (index, teacher) in teachers.iter().enumerate() {
        let read = Read { mask: teacher.mask(head), ..Read::default() };
        same_masks(loss, student, &read)
            .map_err(|error| Error::invalid(format!("teacher {index} of {}: {error}", teachers.len())))?;
    }
    Ok(())
}

/// The tensors of one head's logits where the top k of them are known.
const TOP_LOGITS: usize = 3;

/// One pair a head, of a teacher whose logits are known as the top k alone.
fn top_logits(student: &Side, teacher: &Side) -> Result<Vec<(Read, Read)>> {
    let heads = teacher.features.chunks_exact(TOP_LOGITS).enumerate();
    heads
        .map(|(head, top)| {
            let features = top.iter().map(Tensor::shallow_clone).collect();
            let (mask, also) = (teacher.mask(head), teacher.also_of_head(head)?);
            Ok((student.head(head)?, Read { features, mask, also }))
        })
        .collect()
}

fn owner(plan: &Plan, from: StageId) -> Owner {
    match plan.stage(from).map(|stage| &stage.kind) {
        Some(StageKind::Adaptor { owner, .. }) => *owner,
        // Only the student's features are projected.
        _ => Owner::Student,
    }
}

/// Checks that both sides mask the same positions, where the loss compares position with position;
/// names the first row that differs.
pub(super) fn same_masks(loss: &dyn Loss, student: &Read, teacher: &Read) -> Result<()> {
    if loss.masks() != Masks::Same {
        return Ok(());
    }
    let (Some(of_student), Some(of_teacher)) = (&student.mask, &teacher.mask) else { return Ok(()) };
    if of_student.data_ptr() == of_teacher.data_ptr() {
        return Ok(());
    }
    if of_student.size() != of_teacher.size() {
        return Err(Error::invalid(format!(
            "the student's mask is {:?}, the teacher's {:?}: both sides must read the same rows at the same length",
            of_student.size(),
            of_teacher.size()
        )));
    }
    let differs = of_student.f_ne_tensor(of_teacher)?.f_any_dim(-1, false)?;
    if differs.f_any()?.f_int64_value(&[])? == 0 {
        return Ok(());
    }
    let row = differs.f_to_kind(tch::Kind::Int)?.f_argmax(0, false)?.f_int64_value(&[])?;
    Err(Error::invalid(format!(
        "the masks of teacher and student differ from row {row} of the batch on: losses over positions need the same tokens on both sides"
    )))
}
