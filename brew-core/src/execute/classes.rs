//! Class names of teachers, student and data: compared before the first step, and reordered on request.

use super::Executor;
use crate::adaptor::Adaptor;
use crate::error::Problem;
use crate::model::{Agreement, Model as _, agreement, listed};
use crate::plan::{Flow, Plan, StageId, StageKind};
use crate::role::{Labels, Logits, Losses, OutputWeight, Role};
use crate::side::Owner;

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
            .filter(|index| gives(plan, Owner::Teacher(*index), &[Logits::NAME, OutputWeight::NAME]))
            .collect();
        let student = self.pipeline.student.class_names();
        let sides = self.named_sides(&teachers, student.as_ref(), data);
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

    /// Everyone whose names are compared: these teachers, the student, and the data.
    fn named_sides(
        &self,
        teachers: &[usize],
        student: Option<&Vec<String>>,
        data: Option<&[String]>,
    ) -> Vec<Named> {
        let plan = self.plan();
        let mut sides: Vec<Named> = Vec::new();
        for index in teachers {
            let owner = Owner::Teacher(*index);
            let names = self.pipeline.teachers[*index].class_names();
            // A teacher that is read by name has the student's order.
            let names = if self.orders.reads_by_name(*index) { student.cloned() } else { names };
            let whose = self.called(*index);
            sides.extend(names.map(|names| Named {
                whose,
                stage: stage_of(plan, owner),
                owner: Some(owner),
                names,
            }));
        }
        let owner = Owner::Student;
        sides.extend(student.cloned().map(|names| Named {
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
        sides
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
pub(super) fn gives(plan: &Plan, owner: Owner, roles: &[&str]) -> bool {
    let Some((adaptor, _)) = adaptor_of(plan, owner) else { return false };
    let read = |flow: &Flow| matches!(flow, Flow::Feature { role, .. } if roles.contains(&role.as_str()));
    plan.outputs(adaptor).iter().any(|(_, _, flow)| read(flow))
}
