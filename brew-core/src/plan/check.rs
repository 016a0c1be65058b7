//! The rules that a plan must follow: one function and one table row per rule; all problems are reported at
//! once.

use std::collections::BTreeMap;

use super::{Balance, Flow, Plan, StageKind};
use crate::error::Problem;
use crate::words::suggest;

type PlanRule = fn(&Plan) -> Vec<Problem>;

const RULES: &[(&str, PlanRule)] = &[
    ("there is a loss", there_is_a_loss),
    ("no stage waits for itself", no_cycles),
    ("names are unique", names_are_unique),
    ("stages have their inputs", stages_have_their_inputs),
    ("roles are provided", roles_are_provided),
    ("weights are finite", weights_are_finite),
    ("the balance names a loss", balance_names_a_loss),
    ("projections have widths", projections_have_widths),
    ("optimizer settings are in range", optimizer_changes_are_in_range),
];

/// The problems found by all rules.
pub(super) fn problems(plan: &Plan) -> Vec<Problem> {
    RULES.iter().flat_map(|(_, rule)| rule(plan)).collect()
}

fn there_is_a_loss(plan: &Plan) -> Vec<Problem> {
    let found = plan.stages().any(|(_, stage)| matches!(stage.kind, StageKind::Loss(_)));
    if found { Vec::new() } else { vec![Problem::NoLoss] }
}

fn no_cycles(plan: &Plan) -> Vec<Problem> {
    plan.order().err().map(Problem::Cycle).into_iter().collect()
}

fn names_are_unique(plan: &Plan) -> Vec<Problem> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, stage) in plan.stages() {
        *counts.entry(&stage.name).or_default() += 1;
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, _)| Problem::SameName(name.to_owned()))
        .collect()
}

fn stages_have_their_inputs(plan: &Plan) -> Vec<Problem> {
    plan.stages()
        .filter_map(|(id, stage)| {
            let row = stage.kind.row();
            let given = plan.inputs(id).len();
            (!row.inputs.contains(&given)).then(|| Problem::Inputs {
                stage: stage.name.clone(),
                reads: row.reads.to_owned(),
                given,
            })
        })
        .collect()
}

fn roles_are_provided(plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, adaptor) in plan.stages() {
        let StageKind::Adaptor { roles, .. } = &adaptor.kind else { continue };
        for (_, reader, flow) in plan.outputs(id) {
            let (Flow::Feature { role, .. }, Some(reader)) = (flow, plan.stage(reader)) else { continue };
            if !roles.contains(role) {
                problems.push(Problem::MissingRole {
                    stage: reader.name.clone(),
                    role: role.clone(),
                    adaptor: adaptor.name.clone(),
                    hint: suggest(role, roles.iter().map(String::as_str)),
                });
            }
        }
    }
    problems
}

fn weights_are_finite(plan: &Plan) -> Vec<Problem> {
    unfit(plan, |kind| match kind {
        StageKind::Loss(loss) if !loss.weight.is_finite() => {
            Some(format!("its weight is {}; it must be finite", loss.weight))
        }
        _ => None,
    })
}

fn balance_names_a_loss(plan: &Plan) -> Vec<Problem> {
    let Balance::MagnitudeOf(chosen) = plan.balance() else { return Vec::new() };
    let losses = plan.stages().filter(|(_, stage)| matches!(stage.kind, StageKind::Loss(_)));
    let names: Vec<&str> = losses.map(|(_, stage)| stage.name.as_str()).collect();
    if names.contains(&chosen.as_str()) {
        return Vec::new();
    }
    let message =
        format!("the losses are scaled to `{chosen}`, but no loss has that name{}", suggest(chosen, names));
    vec![Problem::Unfit { stage: "sum".to_owned(), message }]
}

fn projections_have_widths(plan: &Plan) -> Vec<Problem> {
    unfit(plan, |kind| match kind {
        StageKind::Projection(projection) if projection.student < 1 || projection.teacher < 1 => {
            Some(format!(
                "it projects from {} to {}; both widths must be at least 1",
                projection.student, projection.teacher
            ))
        }
        _ => None,
    })
}

fn optimizer_changes_are_in_range(plan: &Plan) -> Vec<Problem> {
    unfit(plan, |kind| {
        let StageKind::Projection(projection) = kind else { return None };
        let changes = &projection.optimizer;
        let not_negative =
            [("lr", changes.learning_rate), ("eps", changes.epsilon), ("weight_decay", changes.weight_decay)];
        let (first, second) = changes.betas.unzip();
        let numbers =
            not_negative.map(|(name, value)| (name, value, f64::INFINITY, "finite and not negative"));
        let betas =
            [("betas[0]", first), ("betas[1]", second)].map(|(name, value)| (name, value, 1.0, "in [0, 1)"));
        let wrong: Vec<String> = (numbers.into_iter().chain(betas))
            .filter_map(|(name, value, end, words)| Some((name, value?, end, words)))
            .filter(|(_, value, end, _)| !(0.0..*end).contains(value))
            .map(|(name, value, _, words)| format!("`{name}` is {value}; it must be {words}"))
            .collect();
        (!wrong.is_empty()).then(|| wrong.join("; "))
    })
}

fn unfit(plan: &Plan, complaint: impl Fn(&StageKind) -> Option<String>) -> Vec<Problem> {
    plan.stages()
        .filter_map(|(_, stage)| {
            complaint(&stage.kind).map(|message| Problem::Unfit { stage: stage.name.clone(), message })
        })
        .collect()
}
