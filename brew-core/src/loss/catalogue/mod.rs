//! The catalogue: every loss by name, one declarative row per loss.
//!
//! A row describes what a loss is, what it compares, its options with their defaults and ranges, and how to
//! construct it. It is in the loss's own file. Configs, the program `loss` and its list all read the rows.
//!
//! ```
//! use brew_core::loss::{Loss as _, catalogue};
//! use serde_json::json;
//!
//! let loss = catalogue::make("kd_ce", json!({ "temperature": 2.0 }).as_object().unwrap())?;
//! assert_eq!(loss.options(), json!({ "temperature": 2.0, "temperature_squared": false }));
//!
//! let error = catalogue::make("kd_ce", json!({ "temprature": 2 }).as_object().unwrap()).unwrap_err();
//! assert_eq!(error.to_string(), "`kd_ce` takes no `temprature`; did you mean `temperature`?");
//! # Ok::<(), brew_core::Error>(())
//! ```

mod option_rows;
mod options;

use serde_json::{Map, Value};

use super::{Loss, chunked, logits, sparse, vocabularies};
use crate::error::{Error, Result};
use crate::role::{Logits, Role as _};
use crate::words::suggest;

pub use option_rows::{OptionKind, OptionRow, Range};
pub(in crate::loss) use option_rows::{choice, number, pairs, required, switch, temperature, whole};
pub use options::Options;

/// The source of TextBrewer's own losses.
pub(in crate::loss) const TEXTBREWER: &str = "TextBrewer (Yang et al. 2020)";

/// A loss of the catalogue.
#[derive(Debug)]
pub struct Entry {
    /// Its name in configs, plans, metrics and the program `loss`.
    pub name: &'static str,
    /// Other names for it, such as TextBrewer's.
    pub aliases: &'static [&'static str],
    /// What it is, in one line.
    pub summary: &'static str,
    /// The paper or program it comes from.
    pub source: &'static str,
    /// The roles it can compare. The first is the usual one.
    pub roles: &'static [&'static str],
    /// How many layers per side it compares.
    pub layers: LayersRead,
    /// Its options.
    pub options: &'static [OptionRow],
    /// The tensors that it learns, carries from step to step, or accepts in addition to its features.
    pub keeps: &'static [Kept],
    /// Whether a schedule may set its temperature per row.
    pub scheduled: bool,
    /// Constructs it from its options.
    pub make: fn(&Options) -> Result<Box<dyn Loss>>,
}

/// How many layers per side a loss compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayersRead {
    /// One with one.
    One,
    /// Two with two.
    Two,
    /// Any number with any number.
    Many,
}

/// A tensor that a loss learns or carries, or accepts in addition to its features.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Its name in [`Learns::parameters`](super::Learns::parameters), [`Learns::state`](super::Learns::state) or [`Features::also`](super::Features::also).
    pub name: &'static str,
    /// Which of the three.
    pub kind: KeptKind,
    /// Its shape, and what it holds.
    pub about: &'static str,
}

impl Kept {
    pub(in crate::loss) const fn learned(name: &'static str, about: &'static str) -> Self {
        Kept { name, kind: KeptKind::Learned, about }
    }

    pub(in crate::loss) const fn state(name: &'static str, about: &'static str) -> Self {
        Kept { name, kind: KeptKind::State, about }
    }

    pub(in crate::loss) const fn draw(name: &'static str, about: &'static str) -> Self {
        Kept { name, kind: KeptKind::Draw, about }
    }
}

/// What happens to a tensor that a loss keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptKind {
    /// It is trained with the student.
    Learned,
    /// It is carried from step to step.
    State,
    /// It may be given in place of a random draw.
    Draw,
}

/// The rows, room by room.
const ROOMS: &[&[&[Entry]]] = &[super::ROWS, logits::ROWS, sparse::ROWS, vocabularies::ROWS, chunked::ALL];

/// Every loss.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    ROOMS.iter().flat_map(|room| room.iter().copied().flatten())
}

/// The loss with this name or alias.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn find(name: &str) -> Result<&'static Entry> {
    entries().find(|entry| entry.is_called(name)).ok_or_else(|| {
        let near = suggest(name, entries().flat_map(Entry::names));
        Error::invalid(format!("no loss `{name}`{near}"))
    })
}

/// Constructs a loss from its name and options; missing options have their defaults.
///
/// # Errors
/// All problems of the name and the options, at once.
pub fn make(name: &str, options: &Map<String, Value>) -> Result<Box<dyn Loss>> {
    let entry = find(name)?;
    let mut problems = Vec::new();
    let options = Options::read(entry, options, &mut problems);
    if problems.is_empty() { (entry.make)(&options) } else { Err(Error::invalid(problems.join("\n"))) }
}

impl Entry {
    /// The defaults of a row: a loss on one layer without options. Rows end with `..Entry::EMPTY`.
    pub(in crate::loss) const EMPTY: Entry = Entry {
        name: "",
        aliases: &[],
        summary: "",
        source: "",
        roles: &[],
        layers: LayersRead::One,
        options: &[],
        keeps: &[],
        scheduled: false,
        make: |_| Err(Error::invalid("this row has no constructor")),
    };

    /// Whether it compares logits; the others compare layers.
    pub fn is_on_logits(&self) -> bool {
        self.roles.contains(&Logits::NAME)
    }

    /// Its name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether a name is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// A loss, as a row's constructor returns it.
pub(in crate::loss) fn boxed(loss: impl Loss) -> Result<Box<dyn Loss>> {
    Ok(Box::new(loss))
}
