//! Builds a plan's stages and flows from what the builder collected, one loss after another.

use std::collections::BTreeMap;

use super::pipeline::Weighed;
use super::{Declared, MatchedLayers, Reads, Sides};
use crate::adaptor::Adaptor;
use crate::loss::{AlsoReads, Loss, Masks};
use crate::model::{self, Seen};
use crate::plan::{Combine, Flow, LossStage, Plan, Projection, Stage, StageId, StageKind};
use crate::role::{Hidden, InputsMask, Labels, Logits, LogitsMask, Losses, Role, mask_of};
use crate::semantics::Semantics;
use crate::side::{Owner, Side};

/// A plan under construction.
pub(super) struct Layout {
    plan: Plan,
    teachers: Vec<StageId>,
    student: StageId,
    terms: Vec<StageId>,
    /// Shared projections, by name.
    shared: BTreeMap<String, StageId>,
}

impl Layout {
    pub(super) fn new<T: 'static, A: Adaptor>(
        semantics: Semantics,
        teachers: &Sides<T>,
        student: &Seen<A>,
    ) -> Self {
        let mut plan = Plan::new(semantics);
        let batch = plan.add(Stage { name: "batch".to_owned(), kind: StageKind::Batch });
        let alone = teachers.len() == 1;
        let teachers = (teachers.iter().enumerate())
            .map(|(index, teacher)| {
                let name = if alone { "teacher".to_owned() } else { format!("teacher {index}") };
                let kind = StageKind::Teacher { index };
                add_model(&mut plan, batch, name, kind, Owner::Teacher(index), teacher.roles())
            })
            .collect();
        let roles = <Seen<A> as model::ErasedModel<A::Batch>>::roles(student);
        let student =
            add_model(&mut plan, batch, "student".to_owned(), StageKind::Student, Owner::Student, roles);
        Layout { plan, teachers, student, terms: Vec::new(), shared: BTreeMap::new() }
    }

    pub(super) fn loss(&mut self, declared: Declared) -> (StageId, Weighed) {
        let Declared { name, weight, loss, reads } = declared;
        let role = match &reads {
            Reads::Logits { .. } => Logits::NAME,
            Reads::Losses => Losses::NAME,
            Reads::LastHidden { .. } => Hidden::NAME,
            Reads::Layers { role, .. } => role,
        };
        let mask = match &reads {
            // The logits that it makes count where those of the model would.
            Reads::LastHidden { .. } if self.gives(self.student, LogitsMask::NAME) => Some(LogitsMask::NAME),
            _ => mask_of(role),
        };
        let mask = mask.filter(|_| loss.masks() != Masks::Ignored);
        // Which positions are tokens, and of which document, if the mask does not say it.
        let documents = Some(InputsMask::NAME).filter(|role| loss.pairs_next_token() && mask != Some(*role));
        let masks = [mask, documents.filter(|_| loss.masks() != Masks::Ignored)];
        let masked = masks.into_iter().flatten().any(|mask| self.gives(self.student, mask));
        let stage = LossStage {
            loss: loss.name().to_owned(),
            options: loss.options(),
            weight: weight.value(),
            schedule: weight.schedule().map(|schedule| schedule.name().to_owned()),
            average: loss.average(masked),
            combine: match &reads {
                Reads::Logits { combine, .. } if self.teachers.len() > 1 => Some(combine.clone()),
                _ => None,
            },
            probability_shift: matches!(reads, Reads::Logits { probability_shift: true, .. }),
        };
        let guide = stage.combine.as_ref().and_then(Combine::reads);
        let projection = match &reads {
            Reads::Layers { projection: Some(projection), .. } => Some(self.projection(&name, projection)),
            _ => None,
        };
        let id = self.plan.add(Stage { name, kind: StageKind::Loss(stage) });
        let feature =
            |layers: Option<&Vec<i64>>| Flow::Feature { role: role.to_owned(), layers: layers.cloned() };
        let (of_teacher, of_student) = match &reads {
            Reads::Layers { layers: MatchedLayers { teacher, student, .. }, .. }
            | Reads::LastHidden { layers: MatchedLayers { teacher, student, .. }, .. } => {
                (feature(Some(teacher)), feature(Some(student)))
            }
            Reads::Logits { .. } | Reads::Losses => (feature(None), feature(None)),
        };
        let teachers = self.teachers_of(&reads);
        for teacher in &teachers {
            self.plan.connect(*teacher, id, of_teacher.clone());
            self.connect_mask(*teacher, id, mask);
            self.connect_mask(*teacher, id, documents);
        }
        if let Some(projection) = projection {
            self.plan.connect(self.student, projection, of_student.clone());
        }
        self.plan.connect(projection.unwrap_or(self.student), id, of_student);
        self.connect_mask(self.student, id, mask);
        self.connect_mask(self.student, id, documents);
        let shifted = matches!(reads, Reads::Logits { probability_shift: true, .. });
        let labels = shifted.then_some(Labels::NAME).filter(|labels| guide != Some(labels));
        let guides = [labels, guide].into_iter().flatten();
        self.connect_also_read(id, &*loss, guides, &teachers);
        self.terms.push(id);
        (id, Weighed::new(loss, weight))
    }

    /// Connects what the loss reads besides its feature, and these roles of the student, which guide it.
    fn connect_also_read(
        &mut self,
        id: StageId,
        loss: &dyn Loss,
        guides: impl Iterator<Item = &'static str>,
        teachers: &[StageId],
    ) {
        // Without duplicates if the loss reads one of them itself.
        let guides = guides.map(|role| AlsoReads { side: Side::Student, role });
        let guides: Vec<_> = guides.filter(|guide| !loss.also_reads().contains(guide)).collect();
        for also in loss.also_reads().iter().chain(&guides) {
            let adaptors = match also.side {
                Side::Student => std::slice::from_ref(&self.student),
                Side::Teacher => teachers,
            };
            for adaptor in adaptors.iter().copied() {
                let flow = Flow::Feature { role: also.role.to_owned(), layers: None };
                self.plan.connect(adaptor, id, flow);
            }
        }
    }

    /// The adaptors of the teachers whose features a loss reads: all teachers for logits, one for layers.
    fn teachers_of(&self, reads: &Reads) -> Vec<StageId> {
        match reads {
            Reads::Logits { .. } => self.teachers.clone(),
            Reads::Losses => Vec::new(),
            Reads::Layers { layers, .. } | Reads::LastHidden { layers, .. } => {
                self.teachers.get(layers.of.unwrap_or(0)).copied().into_iter().collect()
            }
        }
    }

    /// The stage of a projection: the match's own, or a shared one.
    fn projection(&mut self, of: &str, projection: &Projection) -> StageId {
        let name = projection.shared.as_deref().unwrap_or(of);
        if let Some(shared) = projection.shared.as_ref().and_then(|shared| self.shared.get(shared)) {
            return *shared;
        }
        let kind = StageKind::Projection(projection.clone());
        let id = self.plan.add(Stage { name: format!("projection_{name}"), kind });
        self.shared.extend(projection.shared.clone().map(|shared| (shared, id)));
        id
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

    pub(super) fn finish(mut self) -> Plan {
        let sum = self.plan.add(Stage { name: "sum".to_owned(), kind: StageKind::Sum });
        for term in self.terms {
            self.plan.connect(term, sum, Flow::Term);
        }
        self.plan
    }
}

/// Adds a model and its adaptor; returns the adaptor's stage.
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
