//! Drawings of the plan: DOT for Graphviz, Mermaid for Markdown.

use std::fmt::Write as _;

use super::{Plan, StageKind};

impl Plan {
    /// A Graphviz drawing: `dot -Tsvg plan.dot`.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
        for (id, stage) in self.stages() {
            let look = if stage.kind.needs_gradient() { "" } else { ", color=gray" };
            let _ = writeln!(text, "  s{} [label=\"{}\"{look}];", id.0, escape(&stage.name, "\\\""));
        }
        self.each_flow(|from, to, label| {
            let _ = writeln!(text, "  s{from} -> s{to} [label=\"{}\"];", escape(label, "\\\""));
        });
        text + "}\n"
    }

    /// A Mermaid flowchart, which Markdown viewers draw.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (id, stage) in self.stages() {
            let name = escape(&stage.name, "#quot;");
            let _ = match stage.kind {
                StageKind::Loss(_) | StageKind::Sum => writeln!(text, "  s{}([\"{name}\"])", id.0),
                _ => writeln!(text, "  s{}[\"{name}\"]", id.0),
            };
        }
        self.each_flow(|from, to, label| {
            let _ = writeln!(text, "  s{from} -->|\"{}\"| s{to}", escape(label, "#quot;"));
        });
        text
    }

    fn each_flow(&self, mut draw: impl FnMut(u32, u32, &str)) {
        for (id, _) in self.stages() {
            for (_, to, flow) in self.outputs(id) {
                draw(id.0, to.0, &flow.to_string());
            }
        }
    }
}

fn escape(text: &str, quote: &str) -> String {
    text.replace('"', quote)
}
