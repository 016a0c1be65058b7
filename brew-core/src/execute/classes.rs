//! Class names of teachers, student and data: compared before the first step, and reordered on request.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::Executor;
use super::heads::TOP_LOGITS;
use crate::adaptor::Adaptor;
use crate::distill::Pipeline;
use crate::error::{Error, Problem, Result};
use crate::model::{Agreement, Model as _, agreement, listed, order_of};
use crate::plan::{Flow, Plan, StageId, StageKind};
use crate::role::{Labels, Logits, Losses, Role};
use crate::side::Owner;

/// For each teacher read by class name: the teacher's class for each class of the student.
#[derive(Debug, Default)]
pub(super) struct Orders(BTreeMap<usize, Vec<i64>>);

impl Orders {
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

    /// A teacher's logits in the student's order: all of them, or the top k as three tensors per head.
    pub(super) fn apply(&self, teacher: usize, logits: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Some(order) = self.0.get(&teacher) else { return Ok(logits) };
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

/// The result of comparing all sides.
#[derive(Debug, Default)]
pub(super) struct ClassFindings {
    pub(super) problems: Vec<Problem>,
    /// Notes to the user about things that may be intended.
    pub(super) notes: Vec<String>,
    /// What the student took over from its teachers or the data.
    pub(super) found: Vec<String>,
}

/// One side with names for its classes.
struct Named {
    whose: String,
    /// The stage that a problem is reported for.
    stage: String,
    owner: Option<Owner>,
    names: Vec<String>,
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Compares the class names of all sides that take part in the same losses: teachers whose logits are
    /// read, the student, and the data (`data`: the names of its labels) if a loss reads labels. A student
    /// that states neither names nor problem type takes over those of its teachers, or else of the data.
    pub(super) fn compare_classes(&self, data: Option<&[String]>) -> ClassFindings {
        let mut findings = ClassFindings::default();
        let plan = self.plan();
        let teachers: Vec<usize> = (0..self.pipeline.teachers.len())
            .filter(|index| gives(plan, Owner::Teacher(*index), &[Logits::NAME]))
            .collect();
        let student = self.pipeline.student.class_names();
        let mut sides: Vec<Named> = Vec::new();
        for index in &teachers {
            let owner = Owner::Teacher(*index);
            let names = self.pipeline.teachers[*index].class_names();
            // A teacher that is read by name has the student's order.
            let names = if self.orders.0.contains_key(index) { student.clone() } else { names };
            let whose = self.called(*index);
            sides.extend(names.map(|names| Named {
                whose,
                stage: stage_of(plan, owner),
                owner: Some(owner),
                names,
            }));
        }
        let owner = Owner::Student;
        sides.extend(student.clone().map(|names| Named {
            whose: "the student".to_owned(),
            stage: stage_of(plan, owner),
            owner: Some(owner),
            names,
        }));
        if gives(plan, Owner::Student, &[Labels::NAME, Losses::NAME]) {
            sides.extend(data.map(|names| Named {
                whose: "the data".to_owned(),
                stage: "batch".to_owned(),
                owner: None,
                names: names.to_vec(),
            }));
        }
        for (place, one) in sides.iter().enumerate() {
            for other in &sides[place + 1..] {
                match agreement(&one.names, &other.names) {
                    Agreement::Same => {}
                    Agreement::OtherOrder => findings
                        .problems
                        .push(Problem::Unfit { stage: one.stage.clone(), message: refusal(one, other) }),
                    Agreement::OtherNames => findings.notes.push(format!(
                        "the classes of {} are {}, those of {} are {}: they are assumed to be the same classes in this order",
                        one.whose,
                        listed(&one.names),
                        other.whose,
                        listed(&other.names)
                    )),
                }
            }
        }
        if findings.problems.is_empty() {
            let names = if student.is_some() { None } else { sides.first() };
            self.tell_student(
                &teachers,
                names.map(|side| (side.whose.as_str(), &*side.names)),
                &mut findings,
            );
        }
        findings
    }

    /// What messages call a teacher.
    pub(super) fn called(&self, teacher: usize) -> String {
        if self.pipeline.teachers.len() == 1 {
            "the teacher".to_owned()
        } else {
            format!("teacher {teacher}")
        }
    }

    fn tell_student(
        &self,
        teachers: &[usize],
        names: Option<(&str, &[String])>,
        findings: &mut ClassFindings,
    ) {
        let student = &self.pipeline.student;
        let mut stated = teachers.iter().filter_map(|index| self.pipeline.teachers[*index].problem_type());
        let first = stated.next();
        let of_teachers = first.filter(|first| stated.all(|other| other == *first));
        let problem = match (of_teachers, student.problem_type()) {
            (of_teachers, None) => of_teachers,
            (Some(of_teachers), Some(own)) if own != of_teachers => {
                findings.notes.push(format!(
                    "`problem_type` is {of_teachers} for the teacher but {own} for the student, and their logits are compared"
                ));
                None
            }
            _ => None,
        };
        student.learn_task(problem, names.map(|(_, names)| names));
        if let (Some((whose, names)), Some(_)) = (names, student.class_names()) {
            findings
                .found
                .push(format!("student: its classes are named after those of {whose}, {}", listed(names)));
        }
    }
}

fn refusal(one: &Named, other: &Named) -> String {
    let mend = match (one.owner, other.owner) {
        (Some(Owner::Teacher(_)), Some(Owner::Student)) => {
            "put the teacher's in the student's order by `.seen_by(…).classes_by_name()`, or name the classes of a student with a new head in the teacher's order by `.classes([…])`"
        }
        (Some(Owner::Teacher(_)), Some(Owner::Teacher(_))) => {
            "put each teacher's in the student's order by `.seen_by(…).classes_by_name()`; the classes of a student with a new head are named by `.classes([…])`"
        }
        (Some(Owner::Teacher(_)), None) => {
            "number the labels in the teacher's order, or name the classes of a student with a new head in the data's order by `.classes([…])` and put the teacher's in it by `.seen_by(…).classes_by_name()`"
        }
        _ => {
            "name the classes of a student with a new head in the data's order by `.classes([…])`, or number the labels in the student's"
        }
    };
    format!(
        "the classes of {} are {}, those of {} are {}: the same name stands for different classes; {mend}",
        one.whose,
        listed(&one.names),
        other.whose,
        listed(&other.names)
    )
}

/// The adaptor of a side.
fn adaptor_of(plan: &Plan, owner: Owner) -> Option<(StageId, &str)> {
    plan.stages().find_map(|(id, stage)| match &stage.kind {
        StageKind::Adaptor { owner: found, .. } if *found == owner => Some((id, stage.name.as_str())),
        _ => None,
    })
}

pub(super) fn stage_of(plan: &Plan, owner: Owner) -> String {
    adaptor_of(plan, owner).map_or_else(String::new, |(_, name)| name.to_owned())
}

/// Whether a loss reads one of these roles from a side.
fn gives(plan: &Plan, owner: Owner, roles: &[&str]) -> bool {
    let Some((adaptor, _)) = adaptor_of(plan, owner) else { return false };
    let read = |flow: &Flow| matches!(flow, Flow::Feature { role, .. } if roles.contains(&role.as_str()));
    plan.outputs(adaptor).iter().any(|(_, _, flow)| read(flow))
}
