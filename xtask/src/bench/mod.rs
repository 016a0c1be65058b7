//! The benchmarks: each measures one claim of the README and prints its table as Markdown.

pub(crate) mod accuracy;
pub(crate) mod data;
pub(crate) mod growth;
pub(crate) mod lm;
mod measured;
pub(crate) mod race;
pub(crate) mod ranks;
mod remembered;
mod report;
mod stage;
pub(crate) mod step;
mod store;
mod table;
