//! Inserts a rollout into a plan: one stage between the batch and everything that reads it.
//!
//! ```text
//! batch ─ rollout ─┬─ teacher ─ teacher adaptor ─┐
//!                  └─ student ─ student adaptor ─┴─ reverse_kl
//! ```

use super::super::{Flow, Plan, Stage, StageKind};
use crate::rollout::Rollout;

/// The plan with this rollout after the batch. Existing stages keep their [`StageId`](crate::plan::StageId)s.
#[must_use]
pub fn rollout(plan: &Plan, settings: &Rollout) -> Plan {
    let mut with = Plan::new(plan.semantics());
    with.set_balance(plan.balance().clone());
    for (_, stage) in plan.stages() {
        with.add(stage.clone());
    }
    let rollout = with.add(Stage { name: "rollout".to_owned(), kind: StageKind::Rollout(settings.clone()) });
    for (batch, _) in plan.stages().filter(|(_, stage)| stage.kind == StageKind::Batch) {
        with.connect(batch, rollout, Flow::Batch);
    }
    for (from, to, flow) in plan.all_flows() {
        let from = if *flow == Flow::Batch { rollout } else { from };
        with.connect(from, to, flow.clone());
    }
    with
}
