//! Divergences by name, for losses that are built from one.

use super::super::catalogue::{OptionRow, Options, choice};
use super::Divergence;

/// A divergence that losses can be built from: an entry of [`DIVERGENCES`](super::DIVERGENCES).
pub(in crate::loss) struct NamedDivergence {
    pub(super) name: &'static str,
    pub(super) make: fn(&Options) -> Box<dyn Divergence>,
}

const ALL: &[NamedDivergence] = super::DIVERGENCES;

const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = ALL[at].name;
        at += 1;
    }
    names
};

/// The option for the divergence that a loss is built from.
pub(in crate::loss) const DIVERGENCE: OptionRow = choice(
    "divergence",
    &NAMES,
    "kl",
    "of the two sides' probabilities; each has its own of the options below",
);

/// The divergence that the options of a row name.
pub(in crate::loss) fn divergence(options: &Options) -> Box<dyn Divergence> {
    let name = options.choice(DIVERGENCE.name);
    let named = ALL.iter().find(|named| named.name == name);
    (named.map_or(super::kl::NAMED.make, |named| named.make))(options)
}
