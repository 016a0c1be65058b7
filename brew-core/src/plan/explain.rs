//! The plan as a table: what each stage reads and provides, and by which rules it runs.

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

use super::{Flow, Plan, StageId, StageKind};
use crate::semantics::Semantics;

impl Plan {
    /// The declared stages as a table; works before anything has run.
    pub fn explain(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["stage", "kind", "reads", "provides", "gradient", "notes"]);
        for id in self.order().unwrap_or_else(|_| self.stages().map(|(id, _)| id).collect()) {
            let Some(stage) = self.stage(id) else { continue };
            table.add_row([
                stage.name.clone(),
                stage.kind.row().name.to_owned(),
                self.reads(id),
                self.provides(id),
                if stage.kind.needs_gradient() { "yes" } else { "no" }.to_owned(),
                match &stage.kind {
                    StageKind::Sum if !self.balance.is_by_weights() => self.balance.to_string(),
                    kind => notes(kind),
                },
            ]);
        }
        format!("{table}\n{}\n", rules(self.semantics))
    }

    fn reads(&self, id: StageId) -> String {
        let inputs = self.inputs(id);
        if matches!(self.stage(id).map(|stage| &stage.kind), Some(StageKind::Sum)) {
            return format!("{} terms", inputs.len());
        }
        let read = |(_, from, flow): &(_, StageId, &Flow)| {
            let from = self.stage(*from).map_or("?", |stage| stage.name.as_str());
            match flow {
                Flow::Batch => from.to_owned(),
                Flow::Output => format!("{from}'s output"),
                feature => format!("{from}: {feature}"),
            }
        };
        if inputs.is_empty() {
            "the data".to_owned()
        } else {
            inputs.iter().map(read).collect::<Vec<_>>().join("\n")
        }
    }

    fn provides(&self, id: StageId) -> String {
        let mut provided: Vec<String> = Vec::new();
        for (_, _, flow) in self.outputs(id) {
            let text = flow.to_string();
            if !provided.contains(&text) {
                provided.push(text);
            }
        }
        if provided.is_empty() { "the loss".to_owned() } else { provided.join("\n") }
    }
}

fn notes(kind: &StageKind) -> String {
    match kind {
        StageKind::Teacher { .. } => "frozen, evaluation mode".to_owned(),
        StageKind::Student => "trained".to_owned(),
        StageKind::Rollout(rollout) => {
            format!("{}\nno dropout, unless the run sets it", rollout.lines().join("\n"))
        }
        StageKind::Recall(recall) => {
            let keeps: Vec<String> = recall.keeps.iter().map(ToString::to_string).collect();
            format!("keeps {}\n{}, {}", keeps.join(", "), recall.payload, recall.place)
        }
        StageKind::Projection(projection) => {
            let mut notes = vec![
                format!("{:?} {} -> {}", projection.activation, projection.student, projection.teacher)
                    .to_lowercase(),
            ];
            if let Ok(serde_json::Value::Object(changes)) = serde_json::to_value(projection.optimizer) {
                notes.extend(changes.iter().map(|(name, value)| format!("{name} {value}")));
            }
            notes.join("\n")
        }
        StageKind::Loss(loss) => {
            let schedule = loss.schedule.iter().map(|schedule| format!(", {schedule}"));
            let mut notes = vec![format!("weight {}{}", loss.weight, schedule.collect::<String>())];
            if let serde_json::Value::Object(options) = &loss.options {
                notes.extend(options.iter().map(|(name, value)| format!("{name} {value}")));
            }
            notes.push(format!("averages over {}", loss.average.words()));
            notes.extend(loss.combine.iter().map(|combine| format!("teachers by {combine}")));
            notes.extend(loss.probability_shift.then(|| "probability shift".to_owned()));
            notes.join("\n")
        }
        StageKind::Batch | StageKind::Adaptor { .. } | StageKind::Sum => String::new(),
    }
}

fn rules(semantics: Semantics) -> &'static str {
    match semantics {
        Semantics::Exact => {
            "semantics: exact (clips student and projections together; no weight decay on biases and norms; \
             an accumulation window divides by what the whole window counts; \
             a schedule multiplies its weight)"
        }
        Semantics::TextBrewer => {
            "semantics: TextBrewer (clips the student only; weight decay on every parameter; \
             an accumulation window is the mean of its batches' means; \
             after the first step a schedule's value replaces its weight)"
        }
    }
}
