//! The value of a loss and its gradients.

use std::collections::BTreeMap;

use brew_core::loss::catalogue::{self, KeptKind};
use brew_core::loss::{Features, Learns, Place};
use brew_core::prelude::*;
use brew_core::tch;
use serde_json::{Map, Value};

use crate::inputs::Inputs;

/// The seed for what a loss learns, if the file has no values.
const SEED: i64 = 0;

/// The result.
pub(crate) struct Measured {
    pub(crate) value: f64,
    /// Under the keys of the inputs; what the loss learns is under `loss.NAME`.
    pub(crate) gradients: BTreeMap<String, Tensor>,
}

/// Computes a loss on the tensors of a file.
pub(crate) fn measure(
    name: &str,
    options: &Map<String, Value>,
    tensors: BTreeMap<String, Tensor>,
) -> Result<Measured> {
    let entry = catalogue::find(name)?;
    let mut loss = catalogue::make(name, options)?;
    refuse(loss.problems())?;
    let mut inputs = Inputs::new(tensors);
    let mut pairs = inputs.pairs(entry, &*loss)?;
    let kind = if inputs.is_double() { Kind::Double } else { Kind::Float };
    if let Some(learns) = loss.learns() {
        learns.prepare(&Place { kind, device: Device::Cpu, seed: SEED })?;
        fill(learns, &mut inputs)?;
    }
    for kept in entry.keeps.iter().filter(|kept| kept.kind == KeptKind::Draw) {
        if let Some(draw) = inputs.kept(kept.name) {
            for (student, _) in &mut pairs {
                student.also.insert(kept.name, draw.shallow_clone());
            }
        }
    }
    inputs.finish(entry);
    if inputs.problems.is_empty() {
        let mismatches = |(student, teacher): &(Features, Features)| loss.mismatches(student, teacher);
        inputs.problems.extend(pairs.iter().flat_map(mismatches));
    }
    refuse(std::mem::take(&mut inputs.problems))?;

    tch::manual_seed(SEED);
    if let Some(learns) = loss.learns() {
        learns.before_step(0, 0)?;
    }
    let mut total = Tensor::f_zeros([], (kind, Device::Cpu))?;
    for (student, teacher) in &pairs {
        total = total.f_add(&loss.term(student, teacher)?.mean()?)?;
    }
    let value = total.f_to_kind(Kind::Double)?.f_double_value(&[])?;
    if !value.is_finite() {
        return Err(Error::invalid(format!(
            "the loss is {value}: look for infinities and NaN in the inputs"
        )));
    }
    if total.requires_grad() {
        total.f_backward()?;
    }
    let learned = loss.learns().map(|learns| learns.parameters()).unwrap_or_default();
    let learned = learned.iter().map(|(name, tensor)| (format!("loss.{name}"), tensor.shallow_clone()));
    let mut gradients = BTreeMap::new();
    for (key, leaf) in inputs.leaves.into_iter().chain(learned) {
        let gradient = leaf.grad();
        let gradient = if gradient.defined() { gradient } else { leaf.f_detach()?.f_zeros_like()? };
        gradients.insert(key, gradient.f_to_kind(leaf.kind())?);
    }
    Ok(Measured { value, gradients })
}

/// Gives a loss its learned and carried state from the file.
fn fill(learns: &mut dyn Learns, inputs: &mut Inputs) -> Result<()> {
    let _guard = tch::no_grad_guard();
    for (name, parameter) in learns.parameters().iter() {
        let Some(given) = inputs.kept(name) else { continue };
        if given.size() == parameter.size() {
            parameter.shallow_clone().f_copy_(&given)?;
        } else {
            inputs.problems.push(format!(
                "`loss.{name}` is {:?}; it must be {:?}",
                given.size(),
                parameter.size()
            ));
        }
    }
    let mut state = learns.state()?;
    let mut given = false;
    for (name, value) in &mut state {
        if let Some(found) = inputs.kept(name) {
            (*value, given) = (found, true);
        }
    }
    if given { learns.restore(&state) } else { Ok(()) }
}

fn refuse(problems: Vec<String>) -> Result<()> {
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::invalid(one.clone())),
        many => {
            let lines = many.iter().enumerate().map(|(index, line)| format!("\n  {}. {line}", index + 1));
            Err(Error::invalid(format!("{} problems:{}", many.len(), lines.collect::<String>())))
        }
    }
}
