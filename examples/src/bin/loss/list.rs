//! The list of losses, with what they read and take.

use brew_core::loss::catalogue::{Entry, KeptKind, LayersRead, OptionKind, entries};
use brew_core::role::may_be_absent;

use crate::inputs::keys_of;

/// Every loss of the catalogue, one paragraph per loss.
pub(crate) fn text() -> String {
    entries().map(|entry| described(entry) + "\n").chain([format!("{KEYS}\n")]).collect()
}

const KEYS: &str = "Keys of the inputs: `.N` is the number of a layer and may be omitted if there is only one; masks are
optional, (batch, length) of 0 and 1 or of the numbers of documents, and `teacher.inputs_mask` is the teacher's own;
where the tensors of several of a loss's roles are given, the value is the sum over them. A `loss.…` that is not given
starts from a seed.";

/// A paragraph about a loss.
fn described(entry: &Entry) -> String {
    let mut names = entry.name.to_owned();
    if !entry.aliases.is_empty() {
        names.push_str(&format!(" (or {})", entry.aliases.join(", ")));
    }
    let layers = match entry.layers {
        LayersRead::One => "",
        LayersRead::Two => ", two layers per side",
        LayersRead::Many => ", any number of layers per side",
    };
    let mut text = format!("{names}: {}\n    source: {}\n", entry.summary, entry.source);
    text.push_str(&format!("    inputs: {}{layers}\n", keys_of(entry).join(", ")));
    text.push_str(&also(entry));
    for row in entry.options {
        let default = match row.kind {
            kind @ (OptionKind::Required(_) | OptionKind::Pairs) => {
                format!("required, such as {}", kind.default())
            }
            kind => format!("default {}", kind.default()),
        };
        text.push_str(&format!("    {}: {}, {default}; {}\n", row.name, row.kind, row.about));
    }
    for kept in entry.keeps {
        let kind = match kept.kind {
            KeptKind::Learned => "learned",
            KeptKind::State => "carried from step to step",
            KeptKind::Draw => "drawn",
        };
        text.push_str(&format!("    loss.{}: {kind}; {}\n", kept.name, kept.about));
    }
    text
}

/// What a loss reads besides its features.
fn also(entry: &Entry) -> String {
    let required = |row: &&brew_core::loss::catalogue::OptionRow| {
        matches!(row.kind, OptionKind::Required(_) | OptionKind::Pairs)
    };
    let options = entry.options.iter().filter(required);
    let options = options.map(|row| (row.name.to_owned(), row.kind.default())).collect();
    let Ok(loss) = brew_core::loss::catalogue::make(entry.name, &options) else { return String::new() };
    let read = loss.also_reads().iter().map(|also| match also.role {
        bare @ ("labels" | "index") => bare.to_owned(),
        role if may_be_absent(role) => format!("{}.{role} (optional)", crate::inputs::word(also.side)),
        role => format!("{}.{role}", crate::inputs::word(also.side)),
    });
    let read: Vec<String> = read.collect();
    if read.is_empty() { String::new() } else { format!("    also: {}\n", read.join(", ")) }
}
