//! Reads a teacher's classes by name: its logits, and the matrix and bias that make them, are put in the student's order.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::classes::stage_of;
use super::heads::TOP_LOGITS;
use crate::adaptor::Adaptor;
use crate::distill::Pipeline;
use crate::error::{Error, Problem, Result};
use crate::model::{Model as _, listed, order_of};
use crate::role::{Logits, OutputBias, OutputWeight, Role};
use crate::side::Owner;

/// For each teacher read by class name: the teacher's class for each class of the student.
#[derive(Debug, Default)]
pub(super) struct Orders(BTreeMap<usize, Vec<i64>>);

impl Orders {
    /// Whether this teacher is read by name.
    pub(super) fn reads_by_name(&self, teacher: usize) -> bool {
        self.0.contains_key(&teacher)
    }

    /// The orders of a pipeline's teachers.
    ///
    /// # Errors
    /// Classes without names, and names that differ between the two sides; for all teachers at once.
    pub(super) fn of<T: 'static, A: Adaptor>(pipeline: &Pipeline<T, A>) -> Result<Self> {
        let mut orders = BTreeMap::new();
        let mut problems = Vec::new();
        let student = pipeline.student.class_names();
        for (index, teacher) in pipeline.teachers.iter().enumerate() {
            if !teacher.takes_classes_by_name() {
                continue;
            }
            let message = match (teacher.class_names(), &student) {
                (Some(names), Some(wanted)) => match order_of(&names, wanted) {
                    Some(order) => {
                        orders.insert(index, order);
                        continue;
                    }
                    None => format!(
                        "its classes cannot be matched by name: they are {}, and the student's are {}; both must name the same classes",
                        listed(&names),
                        listed(wanted)
                    ),
                },
                (None, _) => {
                    "its classes cannot be matched by name: they have no names; remove `.classes_by_name()`, or add names to `id2label` in its config.json".to_owned()
                }
                (_, None) => {
                    "its classes cannot be put in the student's order: the student's have no names; give them with `.classes([…])`".to_owned()
                }
            };
            problems.push(Problem::Unfit { stage: stage_of(&pipeline.plan, Owner::Teacher(index)), message });
        }
        if problems.is_empty() { Ok(Orders(orders)) } else { Err(Error::Plan(problems)) }
    }

    /// What a teacher provides for a role, with its classes in the student's order.
    pub(super) fn apply(&self, teacher: usize, role: &str, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        match (self.0.get(&teacher), role) {
            (Some(order), OutputWeight::NAME | OutputBias::NAME) => {
                let rows = |weight: &Tensor| -> Result<Tensor> {
                    let order = Tensor::f_from_slice(order)?.f_to_device(weight.device())?;
                    Ok(weight.f_index_select(0, &order)?)
                };
                tensors.iter().map(rows).collect()
            }
            (Some(order), Logits::NAME) => Self::logits(order, tensors),
            _ => Ok(tensors),
        }
    }

    /// A teacher's logits in the student's order: all of them, or the top k as three tensors per head.
    fn logits(order: &[i64], logits: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let ids_first = logits.first().is_some_and(|first| first.kind() == Kind::Int64);
        let change = |(place, tensor): (usize, Tensor)| match (ids_first, place % TOP_LOGITS) {
            (false, _) => in_order(&tensor, order),
            (true, 0) => {
                let classes = i64::try_from(order.len()).unwrap_or(i64::MAX);
                let places = (0..classes).map(|class| order.iter().position(|found| *found == class));
                let places: Vec<i64> = places
                    .map(|place| place.and_then(|place| i64::try_from(place).ok()).unwrap_or(0))
                    .collect();
                let places = Tensor::f_from_slice(&places)?.f_to_device(tensor.device())?;
                Ok(places.f_take(&tensor)?)
            }
            _ => Ok(tensor),
        };
        logits.into_iter().enumerate().map(change).collect()
    }
}

fn in_order(logits: &Tensor, order: &[i64]) -> Result<Tensor> {
    let classes = logits.size().last().copied().unwrap_or(0);
    if usize::try_from(classes) != Ok(order.len()) {
        return Err(Error::invalid(format!(
            "a teacher names {} classes, but its logits have {classes}",
            order.len()
        )));
    }
    Ok(logits.f_index_select(-1, &Tensor::f_from_slice(order)?.f_to_device(logits.device())?)?)
}
