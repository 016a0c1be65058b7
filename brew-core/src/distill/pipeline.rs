//! A pipeline: the plan with its parts, laid from what the builder collected.

use std::collections::BTreeMap;
use std::fmt;

use super::{Declared, Reads, Sides};
use crate::adaptor::Adaptor;
use crate::error::{Error, Result};
use crate::loss::{Loss, Masks};
use crate::model::{Seen, Side};
use crate::plan::{Flow, LossStage, Owner, Plan, Problem, Semantics, Stage, StageId, StageKind};
use crate::role::{Attention, Hidden, InputsMask, Labels, Logits, LogitsMask, Losses, Role};
use crate::schedule::Weight;

/// A plan with the models and losses that its stages stand for.
///
/// Its teachers read `T`, its student is seen by `A`.
pub struct Pipeline<T, A: Adaptor> {
    pub(crate) plan: Plan,
    pub(crate) teachers: Sides<T>,
    pub(crate) student: Seen<A>,
    pub(crate) losses: BTreeMap<StageId, Weighed>,
    pub(crate) warnings: Vec<String>,
}

/// A loss with its factor in the sum.
pub(crate) struct Weighed {
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) weight: Weight,
}

impl<T, A: Adaptor> fmt::Debug for Pipeline<T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pipeline").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<T: 'static, A: Adaptor> Pipeline<T, A> {
    /// The plan: plain data, to print, draw, compare and write.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is declared, as a table; nothing has run yet.
    pub fn explain(&self) -> String {
        self.plan.explain()
    }

    /// The student, as it stands.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// The names of the losses whose rows depend on one another.
    pub(crate) fn whole_batch_losses(&self) -> impl Iterator<Item = &str> {
        let whole = |id: &StageId| self.losses.get(id).is_some_and(|part| part.loss.reads_whole_batch());
        self.plan.stages().filter(move |(id, _)| whole(id)).map(|(_, stage)| stage.name.as_str())
    }

    pub(crate) fn into_student(self) -> Seen<A> {
        self.student
    }

    /// Lays the plan and checks it; `problems` are those that were found before.
    pub(crate) fn lay(
        teachers: Sides<T>,
        student: Seen<A>,
        losses: Vec<Declared>,
        semantics: Semantics,
        mut problems: Vec<Problem>,
    ) -> Result<Self> {
        let mut layout = Layout::new(semantics, &teachers, &student);
        let mut parts = BTreeMap::new();
        for declared in losses {
            problems.extend(
                declared
                    .loss
                    .problems()
                    .into_iter()
                    .map(|message| Problem::Unfit { stage: declared.name.clone(), message }),
            );
            if matches!(declared.reads, Reads::Layers { .. }) && teachers.len() > 1 {
                problems.push(Problem::Unfit {
                    stage: declared.name.clone(),
                    message: format!(
                        "it reads layers of one teacher, and the pipeline has {}: match layers with a single teacher",
                        teachers.len()
                    ),
                });
                continue;
            }
            let (id, loss) = layout.loss(declared);
            parts.insert(id, loss);
        }
        let plan = layout.finish();
        match plan.check() {
            Ok(()) if problems.is_empty() => {
                Ok(Pipeline { plan, teachers, student, losses: parts, warnings: Vec::new() })
            }
            Ok(()) => Err(Error::Plan(problems)),
            Err(Error::Plan(found)) => {
                // Where a loss was refused its absence is not another problem.
                let refused = !problems.is_empty();
                problems
                    .extend(found.into_iter().filter(|problem| !(refused && *problem == Problem::NoLoss)));
                Err(Error::Plan(problems))
            }
            Err(other) => Err(other),
        }
    }
}

/// Lays stages one after another.
struct Layout {
    plan: Plan,
    teachers: Vec<StageId>,
    student: StageId,
    terms: Vec<StageId>,
}

impl Layout {
    fn new<T: 'static, A: Adaptor>(semantics: Semantics, teachers: &Sides<T>, student: &Seen<A>) -> Self {
        let mut plan = Plan::new(semantics);
        let batch = plan.add(Stage { name: "batch".to_owned(), kind: StageKind::Batch });
        let alone = teachers.len() == 1;
        let teachers = (teachers.iter().enumerate())
            .map(|(index, teacher)| {
                let name = if alone { "teacher".to_owned() } else { format!("teacher {}", index + 1) };
                let kind = StageKind::Teacher { index };
                add_model(&mut plan, batch, name, kind, Owner::Teacher(index), teacher.roles())
            })
            .collect();
        let roles = <Seen<A> as Side<A::Batch>>::roles(student);
        let student =
            add_model(&mut plan, batch, "student".to_owned(), StageKind::Student, Owner::Student, roles);
        Layout { plan, teachers, student, terms: Vec::new() }
    }

    fn loss(&mut self, declared: Declared) -> (StageId, Weighed) {
        let Declared { name, weight, loss, reads } = declared;
        let role = match &reads {
            Reads::Logits { .. } => Logits::NAME,
            Reads::Losses => Losses::NAME,
            Reads::Layers { role, .. } => role,
        };
        let mask = mask_of(role).filter(|_| loss.masks() != Masks::Ignored);
        let masked = mask.is_some_and(|mask| self.gives(self.student, mask));
        let stage = LossStage {
            loss: loss.name().to_owned(),
            options: loss.options(),
            weight: weight.value(),
            schedule: weight.schedule().map(|schedule| schedule.name().to_owned()),
            average: Some(loss.average(masked)),
        };
        let projection = match &reads {
            Reads::Layers { projection: Some(projection), .. } => {
                let kind = StageKind::Projection(projection.clone());
                Some(self.plan.add(Stage { name: format!("projection_{name}"), kind }))
            }
            _ => None,
        };
        let id = self.plan.add(Stage { name, kind: StageKind::Loss(stage) });
        let feature =
            |layers: Option<&Vec<i64>>| Flow::Feature { role: role.to_owned(), layers: layers.cloned() };
        let (of_teacher, of_student) = match &reads {
            Reads::Layers { teacher, student, .. } => (feature(Some(teacher)), feature(Some(student))),
            Reads::Logits { .. } | Reads::Losses => (feature(None), feature(None)),
        };
        if !matches!(reads, Reads::Losses) {
            for teacher in self.teachers.clone() {
                self.plan.connect(teacher, id, of_teacher.clone());
                self.connect_mask(teacher, id, mask);
            }
        }
        match projection {
            Some(projection) => {
                self.plan.connect(self.student, projection, of_student.clone());
                self.plan.connect(projection, id, of_student);
            }
            None => self.plan.connect(self.student, id, of_student),
        }
        self.connect_mask(self.student, id, mask);
        if let Reads::Logits { probability_shift: true } = reads {
            let labels = Flow::Feature { role: Labels::NAME.to_owned(), layers: None };
            self.plan.connect(self.student, id, labels);
        }
        self.terms.push(id);
        (id, Weighed { loss, weight })
    }

    fn connect_mask(&mut self, adaptor: StageId, loss: StageId, mask: Option<&str>) {
        if let Some(mask) = mask.filter(|mask| self.gives(adaptor, mask)) {
            self.plan.connect(adaptor, loss, Flow::Feature { role: mask.to_owned(), layers: None });
        }
    }

    fn gives(&self, adaptor: StageId, role: &str) -> bool {
        match self.plan.stage(adaptor).map(|stage| &stage.kind) {
            Some(StageKind::Adaptor { roles, .. }) => roles.iter().any(|given| given == role),
            _ => false,
        }
    }

    fn finish(mut self) -> Plan {
        let sum = self.plan.add(Stage { name: "sum".to_owned(), kind: StageKind::Sum });
        for term in self.terms {
            self.plan.connect(term, sum, Flow::Term);
        }
        self.plan
    }
}

/// Adds a model and its adaptor; what it returns is the adaptor.
fn add_model(
    plan: &mut Plan,
    batch: StageId,
    name: String,
    kind: StageKind,
    owner: Owner,
    roles: &[&str],
) -> StageId {
    let adaptor = Stage {
        name: format!("{name} adaptor"),
        kind: StageKind::Adaptor { owner, roles: roles.iter().map(|role| (*role).to_owned()).collect() },
    };
    let model = plan.add(Stage { name, kind });
    let adaptor = plan.add(adaptor);
    plan.connect(batch, model, Flow::Batch);
    plan.connect(batch, adaptor, Flow::Batch);
    plan.connect(model, adaptor, Flow::Output);
    adaptor
}

/// The role that masks another.
pub(crate) fn mask_of(role: &str) -> Option<&'static str> {
    match role {
        Logits::NAME => Some(LogitsMask::NAME),
        Hidden::NAME | Attention::NAME => Some(InputsMask::NAME),
        _ => None,
    }
}
