//! The plan: the stages of a pipeline and the flows between them, as plain data.
//!
//! A [`Plan`] holds no tensor and no model. It can be printed ([`Plan::explain`]), drawn ([`Plan::to_dot`],
//! [`Plan::to_mermaid`]), compared, written to disk and checked ([`Plan::check`]) before anything runs. Only
//! the executor brings tensors to a plan; the one function that a plan can hold is the activation of a
//! [`Projection`], which may be your own. petgraph is an implementation detail of this type.
//!
//! ```text
//! batch ─┬─ teacher ─ teacher adaptor ──────────────────────┬─ hidden_mse ─┐
//!        └─ student ─ student adaptor ─ projection ─────────┴─ kd_ce ──────┴─ sum
//! ```

mod balance;
mod check;
mod combine;
mod draw;
mod explain;
mod kinds;
pub mod passes;
mod projection;
mod stage;

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use serde::{Deserialize, Serialize};

use crate::pass::Wants;
use crate::rollout::Rollout;
use crate::semantics::Semantics;

pub use balance::Balance;
pub use combine::Combine;
pub use kinds::{KINDS, KindRow};
pub use projection::{OptimizerChanges, Projection, ProjectionActivation};
pub use stage::{Flow, LossStage, RecallStage, Stage, StageId, StageKind};

/// The stages of a pipeline and the flows between them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "PlanFile", into = "PlanFile")]
pub struct Plan {
    semantics: Semantics,
    balance: Balance,
    graph: DiGraph<Stage, Flow>,
}

/// The file format of a plan: lists that people can read and compare.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    semantics: Semantics,
    #[serde(default, skip_serializing_if = "Balance::is_by_weights")]
    balance: Balance,
    stages: Vec<Stage>,
    flows: Vec<(StageId, StageId, Flow)>,
}

impl Plan {
    /// A plan without stages.
    pub fn new(semantics: Semantics) -> Self {
        Plan { semantics, balance: Balance::default(), graph: DiGraph::new() }
    }

    /// The numeric rules to run it with.
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// How its losses are balanced.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// Changes how its losses are balanced.
    pub fn set_balance(&mut self, balance: Balance) {
        self.balance = balance;
    }

    /// Adds a stage.
    pub fn add(&mut self, stage: Stage) -> StageId {
        StageId::of(self.graph.add_node(stage))
    }

    /// Connects two stages with a flow.
    pub fn connect(&mut self, from: StageId, to: StageId, flow: Flow) {
        self.graph.add_edge(from.node(), to.node(), flow);
    }

    /// Every stage with its position.
    pub fn stages(&self) -> impl Iterator<Item = (StageId, &Stage)> {
        self.graph.node_indices().map(|node| (StageId::of(node), &self.graph[node]))
    }

    /// The stage at a position of this plan.
    pub fn stage(&self, id: StageId) -> Option<&Stage> {
        self.graph.node_weight(id.node())
    }

    /// The flows into a stage, in the order they were connected.
    pub fn inputs(&self, id: StageId) -> Vec<(FlowId, StageId, &Flow)> {
        self.flows(id, Direction::Incoming)
    }

    /// The flows out of a stage, in the order they were connected.
    pub fn outputs(&self, id: StageId) -> Vec<(FlowId, StageId, &Flow)> {
        self.flows(id, Direction::Outgoing)
    }

    fn flows(&self, id: StageId, direction: Direction) -> Vec<(FlowId, StageId, &Flow)> {
        let mut flows: Vec<_> = self
            .graph
            .edges_directed(id.node(), direction)
            .map(|edge| {
                let other = if direction == Direction::Incoming { edge.source() } else { edge.target() };
                (FlowId(edge.id()), StageId::of(other), edge.weight())
            })
            .collect();
        flows.sort_by_key(|(flow, ..)| *flow);
        flows
    }

    /// The stages in topological order; if there is a cycle, the names of its stages.
    pub fn order(&self) -> Result<Vec<StageId>, Vec<String>> {
        match toposort(&self.graph, None) {
            // petgraph's order is reversed depth-first; breaking ties by position makes a plan always run in
            // the order it was written.
            Ok(_) => Ok(self.order_as_written()),
            Err(_) => Err(petgraph::algo::tarjan_scc(&self.graph)
                .into_iter()
                .find(|cycle| cycle.len() > 1 || self.graph.contains_edge(cycle[0], cycle[0]))
                .unwrap_or_default()
                .into_iter()
                .rev()
                .map(|node| self.graph[node].name.clone())
                .collect()),
        }
    }

    /// In the order in which the stages were added, except that a stage is moved before the stages that read
    /// it.
    fn order_as_written(&self) -> Vec<StageId> {
        let (mut order, mut done) = (Vec::new(), BTreeSet::new());
        let mut waiting: Vec<NodeIndex> = self.graph.node_indices().rev().collect();
        while let Some(node) = waiting.pop() {
            if done.contains(&node) {
                continue;
            }
            let before = self.inputs(StageId::of(node)).into_iter().map(|(_, from, _)| from.node());
            let unmet: Vec<NodeIndex> = before.filter(|before| !done.contains(before)).collect();
            if unmet.is_empty() {
                done.insert(node);
                order.push(StageId::of(node));
            } else {
                waiting.push(node);
                waiting.extend(unmet.into_iter().rev());
            }
        }
        order
    }

    /// Every flow with the two stages that it connects, in the order they were connected.
    pub(super) fn all_flows(&self) -> impl Iterator<Item = (StageId, StageId, &Flow)> {
        self.graph
            .edge_references()
            .map(|edge| (StageId::of(edge.source()), StageId::of(edge.target()), edge.weight()))
    }

    /// The features that are read from this adaptor, which its model must keep.
    pub fn wants(&self, adaptor: StageId) -> Wants {
        self.outputs(adaptor).into_iter().fold(Wants::nothing(), |wants, (_, _, flow)| match flow {
            Flow::Feature { role, layers: Some(layers) } => {
                layers.iter().fold(wants, |wants, layer| wants.and_layer(role, *layer))
            }
            Flow::Feature { role, layers: None } => wants.and_role(role),
            _ => wants,
        })
    }

    /// How the student answers the prompts that it learns from, if it does.
    pub fn rollout(&self) -> Option<&Rollout> {
        self.stages().find_map(|(_, stage)| match &stage.kind {
            StageKind::Rollout(rollout) => Some(rollout),
            _ => None,
        })
    }

    /// Checks the plan itself, and reports all problems at once.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every [`Problem`](crate::error::Problem).
    pub fn check(&self) -> crate::error::Result<()> {
        let problems = check::problems(self);
        if problems.is_empty() { Ok(()) } else { Err(crate::error::Error::Plan(problems)) }
    }
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        PlanFile::from(self.clone()) == PlanFile::from(other.clone())
    }
}

impl PartialEq for PlanFile {
    fn eq(&self, other: &Self) -> bool {
        (self.semantics, &self.balance, &self.stages, &self.flows)
            == (other.semantics, &other.balance, &other.stages, &other.flows)
    }
}

impl From<PlanFile> for Plan {
    fn from(file: PlanFile) -> Self {
        let mut plan = Plan::new(file.semantics);
        plan.balance = file.balance;
        for stage in file.stages {
            plan.add(stage);
        }
        for (from, to, flow) in file.flows {
            // petgraph would panic on a flow of a missing stage; `check` then reports the missing input.
            if plan.stage(from).is_some() && plan.stage(to).is_some() {
                plan.connect(from, to, flow);
            }
        }
        plan
    }
}

impl From<Plan> for PlanFile {
    fn from(plan: Plan) -> Self {
        let flows = plan.all_flows().map(|(from, to, flow)| (from, to, flow.clone())).collect();
        let stages = plan.graph.node_weights().cloned().collect();
        PlanFile { semantics: plan.semantics, balance: plan.balance, stages, flows }
    }
}

/// The position of a flow in a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(EdgeIndex);

impl StageId {
    fn of(node: NodeIndex) -> Self {
        StageId(u32::try_from(node.index()).unwrap_or(u32::MAX))
    }

    fn node(self) -> NodeIndex {
        NodeIndex::new(self.0 as usize)
    }
}
