//! Inserts a teacher cache into a plan: one stage between a teacher's adaptor and the readers of its
//! features.
//!
//! ```text
//! batch ─┬─ teacher ─ teacher adaptor ─┐
//!        └───────────────────────── teacher recall ─ kd_ce
//! ```
//!
//! Features that the batch alone provides, such as masks, still flow from the adaptor.

use super::super::{Flow, Plan, RecallStage, Stage, StageId, StageKind};
use crate::side::Owner;

/// The plan with an additional stage for each of these caches. Existing stages keep their [`StageId`]s.
#[must_use]
pub fn recall(plan: &Plan, caches: &[RecallStage]) -> Plan {
    let mut with = Plan::new(plan.semantics());
    with.set_balance(plan.balance().clone());
    for (_, stage) in plan.stages() {
        with.add(stage.clone());
    }
    let cached: Vec<PlacedCache<'_>> = (caches.iter())
        .filter_map(|cache| {
            let (adaptor, name) = adaptor_of(plan, cache.teacher)?;
            let stage = Stage { name: format!("{name} recall"), kind: StageKind::Recall(cache.clone()) };
            Some(PlacedCache { adaptor, cache, stage: with.add(stage) })
        })
        .collect();
    for (from, to, flow) in plan.all_flows() {
        let cache = cached.iter().find(|cached| cached.adaptor == from && cached.keeps(flow));
        let Some(cached) = cache else {
            with.connect(from, to, flow.clone());
            continue;
        };
        if !with.inputs(cached.stage).iter().any(|(_, _, known)| *known == flow) {
            with.connect(from, cached.stage, flow.clone());
        }
        with.connect(cached.stage, to, flow.clone());
    }
    // The keys of the rows come from the batch.
    let batches = plan.stages().filter(|(_, stage)| stage.kind == StageKind::Batch);
    for ((batch, _), cached) in batches.flat_map(|batch| cached.iter().map(move |cached| (batch, cached))) {
        with.connect(batch, cached.stage, Flow::Batch);
    }
    with
}

/// A cache with its position in the plan.
struct PlacedCache<'c> {
    adaptor: StageId,
    cache: &'c RecallStage,
    stage: StageId,
}

impl PlacedCache<'_> {
    fn keeps(&self, flow: &Flow) -> bool {
        matches!(flow, Flow::Feature { role, .. } if self.cache.keeps.iter().any(|keep| keep.role == *role))
    }
}

/// The adaptor of a teacher, and the teacher's name.
fn adaptor_of(plan: &Plan, teacher: usize) -> Option<(StageId, &str)> {
    let (adaptor, _) = plan.stages().find(|(_, stage)| {
        matches!(stage.kind, StageKind::Adaptor { owner: Owner::Teacher(index), .. } if index == teacher)
    })?;
    let inputs = plan.inputs(adaptor);
    let (_, model, _) = inputs.iter().find(|(_, _, flow)| matches!(flow, Flow::Output))?;
    Some((adaptor, plan.stage(*model)?.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{KeptFeature, Payload};
    use crate::loss::Average;
    use crate::plan::LossStage;
    use crate::semantics::Semantics;

    fn feature(role: &str) -> Flow {
        Flow::Feature { role: role.to_owned(), layers: None }
    }

    /// A teacher and a student whose logits and masks two losses read.
    fn declared() -> Plan {
        let mut plan = Plan::new(Semantics::Exact);
        let stage = |name: &str, kind| Stage { name: name.to_owned(), kind };
        let roles = || vec!["logits".to_owned(), "logits_mask".to_owned()];
        let batch = plan.add(stage("batch", StageKind::Batch));
        let mut side = |name: &str, kind, owner| {
            let model = plan.add(stage(name, kind));
            let kind = StageKind::Adaptor { owner, roles: roles() };
            let adaptor = plan.add(stage(&format!("{name} adaptor"), kind));
            plan.connect(batch, model, Flow::Batch);
            plan.connect(model, adaptor, Flow::Output);
            plan.connect(batch, adaptor, Flow::Batch);
            adaptor
        };
        let teacher = side("teacher", StageKind::Teacher { index: 0 }, Owner::Teacher(0));
        let student = side("student", StageKind::Student, Owner::Student);
        let losses = ["kd_ce", "kl"].map(|name| {
            let kind = StageKind::Loss(LossStage {
                loss: name.to_owned(),
                options: serde_json::Value::Null,
                weight: 1.0,
                schedule: None,
                average: Average::Rows,
                combine: None,
                probability_shift: false,
            });
            let loss = plan.add(stage(name, kind));
            for adaptor in [teacher, student] {
                plan.connect(adaptor, loss, feature("logits"));
                plan.connect(adaptor, loss, feature("logits_mask"));
            }
            loss
        });
        let sum = plan.add(stage("sum", StageKind::Sum));
        for loss in losses {
            plan.connect(loss, sum, Flow::Term);
        }
        plan
    }

    fn cache() -> RecallStage {
        let keeps = vec![KeptFeature { role: "logits".to_owned(), layer: None, padding: false }];
        RecallStage { teacher: 0, place: "in memory".to_owned(), payload: Payload::default(), keeps }
    }

    #[test]
    fn a_cache_stands_between_a_teacher_and_the_losses_that_read_what_it_keeps() {
        let with = recall(&declared(), &[cache()]);
        with.check().unwrap();
        let names = |flows: Vec<(_, StageId, &Flow)>| -> Vec<String> {
            let named = |(_, id, flow): &(_, StageId, &Flow)| {
                format!("{}: {flow}", with.stage(*id).map_or("?", |stage| stage.name.as_str()))
            };
            flows.iter().map(named).collect()
        };
        let find = |name: &str| with.stages().find(|(_, stage)| stage.name == name).unwrap().0;
        let stage = find("teacher recall");
        assert_eq!(names(with.inputs(stage)), ["teacher adaptor: logits", "batch: batch"]);
        assert_eq!(names(with.outputs(stage)), ["kd_ce: logits", "kl: logits"]);
        let inputs = names(with.inputs(find("kd_ce")));
        assert_eq!(
            inputs,
            [
                "teacher recall: logits",
                "teacher adaptor: logits_mask",
                "student adaptor: logits",
                "student adaptor: logits_mask"
            ]
        );
    }

    #[test]
    fn the_other_stages_keep_their_ids_and_their_order() {
        let (plan, with) = (declared(), recall(&declared(), &[cache()]));
        for (id, stage) in plan.stages() {
            assert_eq!(with.stage(id), Some(stage));
        }
        let order = with.order().unwrap();
        let recall = *order.iter().find(|id| plan.stage(**id).is_none()).unwrap();
        let others: Vec<StageId> = order.iter().copied().filter(|id| *id != recall).collect();
        assert_eq!(others, plan.order().unwrap());
        let place = |id| order.iter().position(|known| *known == id);
        let adaptor = with.inputs(recall)[0].1;
        let loss = with.outputs(recall)[0].1;
        assert!(place(adaptor) < place(recall) && place(recall) < place(loss), "{order:?}");
    }

    #[test]
    fn a_plan_without_a_cache_is_the_plan_that_was_declared() {
        assert_eq!(recall(&declared(), &[]), declared());
    }

    #[test]
    fn an_explanation_says_what_is_kept_and_where() {
        let text = recall(&declared(), &[cache()]).explain();
        let row = text.lines().find(|line| line.contains("teacher recall")).unwrap();
        assert!(row.contains("recall") && row.contains("teacher adaptor: logits"), "{text}");
        assert!(text.contains("in memory") && text.contains("keeps logits"), "{text}");
    }
}
