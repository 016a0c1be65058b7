//! BERT-EMD: compares many layers with many, by the earth mover's distance between the two sides.
//!
//! With layers s_1 … s_n of the student and t_1 … t_m of the teacher, D_ij the mean squared difference
//! of two of them, and masses of 1/n and 1/m:
//!
//! - sum_ij F_ij D_ij, where F >= 0 transports the masses and minimizes that sum
//!
//! - `emd_hidden`: D over hidden states, as [`HiddenMse`](super::HiddenMse)
//! - `emd_attention`: D over attention maps, as [`AttentionMse`](super::AttentionMse)
//!
//! F is computed exactly for every batch and has no gradient. If the widths differ, one projection serves all
//! layers. Source: Li et al., "BERT-EMD: Many-to-Many Layer Mapping for BERT Compression with Earth Mover's
//! Distance" (2020), with equal masses; its cost attention, which changes the masses between steps, is not
//! implemented.

mod transport;

use tch::Tensor;

use super::attention::maps;
use super::catalogue::{Entry, LayersRead, boxed};
use super::term::{keep, pairs};
use super::uses::{ManyLayers, MatchLoss};
use super::{Average, Features, Loss, Term, states};
use crate::error::{Error, Result};
use crate::role::{Attention, Hidden};
use crate::words::shape;

/// The cheapest transport between two sides' hidden states.
///
/// Features are any number of layers per side, `(batch, length, width)` each.
///
/// ```
/// use brew_core::loss::{EmdHidden, Loss, Features};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let layer = |value: f64| Tensor::full([1, 2, 4], value, (Kind::Float, Device::Cpu));
/// let student = Features::of(vec![layer(0.0), layer(5.0)]);
/// let teacher = Features::of(vec![layer(5.0), layer(1.0)]);
/// // 5 is transported to 5 at no cost, and 0 to 1.
/// assert_eq!(EmdHidden.term(&student, &teacher)?.mean()?.double_value(&[]), 0.5);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmdHidden;

/// The cheapest transport between two sides' attention maps.
///
/// Features are any number of layers per side, `(batch, heads, length, length)` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmdAttention;

impl Loss for EmdHidden {
    fn name(&self) -> &'static str {
        "emd_hidden"
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, "hidden states", |rank| rank == 3)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        carried(student, teacher, |student, teacher| {
            let difference = states::kept(&student.first()?.f_sub(&teacher.first()?)?, mask)?;
            let per_position = difference.f_square()?.f_mean_dim(-1, false, None)?;
            Ok((Term::positions(&per_position, mask)?, per_position))
        })
        .and_then(|per_position| Term::positions(&per_position, mask))
    }
}

impl Loss for EmdAttention {
    fn name(&self) -> &'static str {
        "emd_attention"
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::Pairs } else { Average::Rows }
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, "attention maps", |rank| matches!(rank, 3 | 4))
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        carried(student, teacher, |student, teacher| {
            let difference = maps(student)?.f_sub(&maps(teacher)?)?;
            let difference = match mask {
                Some(mask) => keep(&difference, &pairs(mask)?.f_unsqueeze(1)?)?,
                None => difference,
            };
            let per_pair = difference.f_square()?.f_mean_dim(1, false, None)?;
            Ok((Term::pairs(&per_pair, mask)?, per_pair))
        })
        .and_then(|per_pair| Term::pairs(&per_pair, mask))
    }
}

/// The sum over all pairs of layers of their squared differences times the flow between them. `compare`
/// returns the differences of two layers, and the value they give.
fn carried(
    student: &Features,
    teacher: &Features,
    compare: impl Fn(&Features, &Features) -> Result<(Term, Tensor)>,
) -> Result<Tensor> {
    let mut costs = Vec::new();
    let mut differences = Vec::new();
    for of_student in &student.tensors {
        for of_teacher in &teacher.tensors {
            let (term, difference) = compare(
                &Features::one(of_student.shallow_clone()),
                &Features::one(of_teacher.shallow_clone()),
            )?;
            costs.push(term.mean()?.f_detach()?);
            differences.push(difference);
        }
    }
    let costs = Tensor::f_stack(&costs, 0)?.f_to_kind(tch::Kind::Double)?.f_to_device(tch::Device::Cpu)?;
    let costs: Vec<f64> = Vec::try_from(&costs)?;
    let flows = transport::cheapest(&costs, student.tensors.len(), teacher.tensors.len());
    let mut total: Option<Tensor> = None;
    // Most flows are 0: at most n + m - 1 of n m are not.
    for (flow, difference) in flows.iter().zip(&differences).filter(|(flow, _)| **flow > 0.0) {
        let part = difference.f_mul_scalar(*flow)?;
        total = Some(match total {
            Some(total) => total.f_add(&part)?,
            None => part,
        });
    }
    total.ok_or_else(|| Error::invalid("a loss over layers was given none"))
}

fn mismatches(
    student: &Features,
    teacher: &Features,
    what: &str,
    fits: impl Fn(usize) -> bool,
) -> Vec<String> {
    let first = student.shape();
    if student.tensors.is_empty() || teacher.tensors.is_empty() {
        return vec![format!("it was given no {what} to compare")];
    }
    let sides = [("student", student), ("teacher", teacher)];
    let others =
        sides.into_iter().flat_map(|(side, read)| read.tensors.iter().map(move |layer| (side, layer)));
    let mut problems: Vec<String> = others
        .filter(|(_, layer)| layer.size() != first || !fits(first.len()))
        .map(|(side, layer)| {
            format!(
                "a layer of the {side}'s {what} is {}, the student's first {}: all must have one shape; bring the student's widths to the teacher's with `.project(…)`",
                shape(&layer.size()),
                shape(&first)
            )
        })
        .collect();
    problems.dedup();
    if let Some(mask) = &student.mask
        && first.len() > 1
        && mask.size() != [first[0], first[first.len() - 2]]
    {
        problems.push(format!(
            "the student's `inputs_mask` is {}; it must be (batch, length)",
            shape(&mask.size())
        ));
    }
    problems
}

impl MatchLoss<Hidden, ManyLayers> for EmdHidden {}
impl MatchLoss<Attention, ManyLayers> for EmdAttention {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "emd_hidden",
        summary: "the cheapest transport between many layers' hidden states",
        source: "Li et al. 2020 (BERT-EMD), arXiv 2010.06133",
        roles: &["hidden"],
        layers: LayersRead::Many,
        make: |_| boxed(EmdHidden),
        ..Entry::EMPTY
    },
    Entry {
        name: "emd_attention",
        summary: "the cheapest transport between many layers' attention maps",
        source: "Li et al. 2020 (BERT-EMD), arXiv 2010.06133",
        roles: &["attention"],
        layers: LayersRead::Many,
        make: |_| boxed(EmdAttention),
        ..Entry::EMPTY
    },
];
