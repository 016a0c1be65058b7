//! From the plan's flows to a loss's inputs: picks layers and separates the sides.

use tch::Tensor;

use super::class_orders::Orders;
use super::heads::{RolesOfSide, by_head};
use super::held::Held;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::loss::{Features, HardLabels, Loss, Masks};
use crate::plan::{Flow, Plan, StageId, StageKind};
use crate::role::{Logits, Losses, Role, may_be_absent};
use crate::side::Owner;

/// The usual cause: the labels were not carried along when the texts were tokenised.
const LOSSES_MISSING: &str = "`losses` is missing: a model provides its own loss if the batch has labels. The data needs a column `labels`: rename one by `.column(\"…\").as_(\"labels\")`, and keep it beside the tokens by `.carry(&[\"labels\"])`";

/// The requested layers of a feature, in the requested order; the whole feature if `layers` is `None`.
pub(super) fn pick(role: &str, feature: Option<Feature>, layers: Option<&[i64]>) -> Result<Vec<Tensor>> {
    let Some(feature) = feature else {
        if may_be_absent(role) {
            return Ok(Vec::new());
        }
        return Err(Error::invalid(match role {
            Losses::NAME => LOSSES_MISSING.to_owned(),
            _ => format!("`{role}` is missing: neither the model nor the batch provided it"),
        }));
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
                    "no layer {layer} of `{role}`: the adaptor gives {count}, 0 to {}",
                    count.saturating_sub(1)
                ))
            })?;
            if tensor.defined() {
                Ok(tensor.shallow_clone())
            } else {
                Err(Error::invalid(format!(
                    "layer {layer} of `{role}` is empty: the model did not keep it although `pass.wants()` asks for it"
                )))
            }
        })
        .collect()
}

/// A model's own losses, each with the counts of its values; a scalar without counts counts once per row.
pub(super) fn own_losses(
    losses: Vec<Tensor>,
    counts: Option<&[Tensor]>,
    rows: usize,
) -> Result<Vec<(Features, Features)>> {
    if losses.is_empty() {
        return Err(Error::invalid("the student's `losses` is an empty list"));
    }
    let heads = losses.len();
    let own = |(head, losses): (usize, Tensor)| {
        let counts = of_head(counts, head, heads).map(Tensor::shallow_clone);
        let losses = match (losses.dim(), &counts) {
            (0, None) => losses.f_expand([i64::try_from(rows).unwrap_or(i64::MAX)], false)?,
            _ => losses,
        };
        Ok((HardLabels::read(losses, counts), Features::default()))
    };
    losses.into_iter().enumerate().map(own).collect()
}

/// The counts of one loss among `heads`: one tensor for all losses, or one for each.
pub(super) fn of_head(counts: Option<&[Tensor]>, head: usize, heads: usize) -> Option<&Tensor> {
    match counts? {
        [one] => Some(one),
        each if each.len() == heads => each.get(head),
        _ => None,
    }
}

/// What flows into a loss.
pub(super) struct LossInputs {
    /// The role it compares.
    pub(super) role: String,
    /// The role of the student's mask, if there is one.
    pub(super) mask: Option<&'static str>,
    /// The student's features and the teacher's, one pair a head or one in all.
    pub(super) pairs: Vec<(Features, Features)>,
}

/// Takes the inputs of a loss.
pub(super) fn gather(
    plan: &Plan,
    id: StageId,
    loss: &dyn Loss,
    orders: &Orders,
    held: &mut Held,
) -> Result<LossInputs> {
    let mut compared = String::new();
    let mut student = RolesOfSide::default();
    let mut teachers: Vec<RolesOfSide> = Vec::new();
    for (flow, from, kind) in plan.inputs(id) {
        let Flow::Feature { role, .. } = kind else { continue };
        let Some(tensors) = held.flows.remove(&flow) else {
            return Err(Error::invalid(format!("`{role}` did not arrive")));
        };
        let owner = owner(plan, from);
        let tensors = match owner {
            Owner::Teacher(index) => orders.apply(index, role, tensors)?,
            Owner::Student => tensors,
        };
        let also = loss
            .also_reads()
            .iter()
            .find(|also| also.role == role && also.side == crate::side::Side::of(owner));
        let side = match owner {
            Owner::Student => &mut student,
            Owner::Teacher(index) => {
                teachers.resize_with(teachers.len().max(index + 1), RolesOfSide::default);
                &mut teachers[index]
            }
        };
        if side.take(role, tensors, also.map(|also| also.role)) {
            compared.clone_from(role);
        }
    }
    let mask = student.masked_by;
    if mask.is_some() && loss.masks() == Masks::Same {
        // Which positions are tokens is not which of them count: only masks of one role can be compared.
        let others = teachers.iter_mut().filter(|teacher| teacher.masked_by != mask);
        others.for_each(|teacher| teacher.masks.clear());
    }
    let pairs = if compared == Losses::NAME {
        own_losses(student.features, held.counts.losses.as_deref(), held.counts.rows)?
    } else if compared == Logits::NAME {
        let Some(StageKind::Loss(stage)) = plan.stage(id).map(|stage| &stage.kind) else {
            return Err(Error::invalid("a stage that reads logits is not a loss"));
        };
        by_head(&compared, stage, loss, student, teachers)?
    } else {
        // The teacher that it reads is the last one for which anything arrived.
        let teacher = teachers.pop().unwrap_or_default();
        vec![(student.whole()?, teacher.whole()?)]
    };
    Ok(LossInputs { role: compared, mask, pairs })
}

pub(super) fn owner(plan: &Plan, from: StageId) -> Owner {
    match plan.stage(from).map(|stage| &stage.kind) {
        Some(StageKind::Adaptor { owner, .. }) => *owner,
        Some(StageKind::Recall(recall)) => Owner::Teacher(recall.teacher),
        // Projections only apply to the student's features.
        _ => Owner::Student,
    }
}

/// Checks that both sides mask the same positions if the loss compares position by position; names the first
/// row that differs.
pub(super) fn same_masks(loss: &dyn Loss, student: &Features, teacher: &Features) -> Result<()> {
    if loss.masks() != Masks::Same {
        return Ok(());
    }
    let (Some(of_student), Some(of_teacher)) = (&student.mask, &teacher.mask) else { return Ok(()) };
    if of_student.data_ptr() == of_teacher.data_ptr() {
        return Ok(());
    }
    if of_student.size() != of_teacher.size() {
        return Err(Error::invalid(format!(
            "the student's mask is {:?}, the teacher's is {:?}: both sides must read the same rows at the same length",
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
