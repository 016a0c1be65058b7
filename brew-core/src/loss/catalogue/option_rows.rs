//! Option rows: the allowed values and the default of each option.

use std::fmt;

use serde_json::{Value, json};

use super::options::{named, pairs_of};

/// An option of a loss.
#[derive(Debug, Clone, Copy)]
pub struct OptionRow {
    /// Its key in JSON.
    pub name: &'static str,
    /// Its allowed values and its default.
    pub kind: OptionKind,
    /// What it does, in a few words.
    pub about: &'static str,
}

impl OptionRow {
    /// The loss that another one wraps.
    pub(in crate::loss) const INNER: OptionRow = OptionRow {
        name: "loss",
        kind: OptionKind::Loss("kl"),
        about: "the loss on logits that it goes around",
    };
}

/// The allowed values of an option. The last number or name in each variant is the default.
#[derive(Debug, Clone, Copy)]
pub enum OptionKind {
    /// A number in a range.
    Number(Range, f64),
    /// A whole number of at least the first one.
    Whole(i64, i64),
    /// A whole number of at least 1 without a default; holds an example.
    Required(i64),
    /// True or false.
    Switch(bool),
    /// One of these words.
    Choice(&'static [&'static str], &'static str),
    /// Another loss of the catalogue: a name, or [name, {option: value}].
    Loss(&'static str),
    /// A list of pairs of whole numbers of at least 0, without a default.
    Pairs,
}

/// The range of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Anywhere, if it is finite.
    Finite,
    /// In (0, inf).
    Positive,
    /// In [0, inf).
    NotNegative,
    /// In [0, 1].
    Share,
    /// In (0, 1).
    Inside,
}

impl Range {
    /// Whether a number lies in it.
    pub fn contains(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Range::Finite => true,
                Range::Positive => number > 0.0,
                Range::NotNegative => number >= 0.0,
                Range::Share => (0.0..=1.0).contains(&number),
                Range::Inside => number > 0.0 && number < 1.0,
            }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Range::Finite => "a finite number",
            Range::Positive => "a number in (0, inf)",
            Range::NotNegative => "a number in [0, inf)",
            Range::Share => "a number in [0, 1]",
            Range::Inside => "a number in (0, 1)",
        })
    }
}

impl OptionKind {
    /// The default value; for a required option the example.
    pub fn default(self) -> Value {
        match self {
            OptionKind::Number(_, number) => json!(number),
            OptionKind::Whole(_, number) | OptionKind::Required(number) => json!(number),
            OptionKind::Switch(on) => json!(on),
            OptionKind::Choice(_, word) | OptionKind::Loss(word) => json!(word),
            OptionKind::Pairs => json!([[0, 0]]),
        }
    }

    pub(super) fn takes(self, value: &Value) -> bool {
        match self {
            OptionKind::Number(range, _) => value.as_f64().is_some_and(|number| range.contains(number)),
            OptionKind::Whole(least, _) => value.as_i64().is_some_and(|number| number >= least),
            OptionKind::Required(_) => value.as_i64().is_some_and(|number| number >= 1),
            OptionKind::Switch(_) => value.is_boolean(),
            OptionKind::Choice(words, _) => value.as_str().is_some_and(|word| words.contains(&word)),
            OptionKind::Loss(_) => named(value).is_some(),
            OptionKind::Pairs => pairs_of(value).is_some(),
        }
    }
}

impl fmt::Display for OptionKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionKind::Number(range, _) => range.fmt(formatter),
            OptionKind::Whole(least, _) => write!(formatter, "a whole number of at least {least}"),
            OptionKind::Required(_) => write!(formatter, "a whole number of at least 1"),
            OptionKind::Switch(_) => formatter.write_str("true or false"),
            OptionKind::Choice(words, _) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                formatter.write_str(&words.join(" or "))
            }
            OptionKind::Pairs => formatter.write_str("pairs of whole numbers, such as [[0, 3], [2, 1]]"),
            OptionKind::Loss(_) => formatter.write_str("the name of a loss, or [name, {option: value}]"),
        }
    }
}

/// A row of a number.
pub(in crate::loss) const fn number(
    name: &'static str,
    range: Range,
    default: f64,
    about: &'static str,
) -> OptionRow {
    OptionRow { name, kind: OptionKind::Number(range, default), about }
}

/// A row of a whole number of at least `least`.
pub(in crate::loss) const fn whole(
    name: &'static str,
    least: i64,
    default: i64,
    about: &'static str,
) -> OptionRow {
    OptionRow { name, kind: OptionKind::Whole(least, default), about }
}

/// A row of a whole number without a default.
pub(in crate::loss) const fn required(name: &'static str, example: i64, about: &'static str) -> OptionRow {
    OptionRow { name, kind: OptionKind::Required(example), about }
}

/// A row of pairs of whole numbers.
pub(in crate::loss) const fn pairs(name: &'static str, about: &'static str) -> OptionRow {
    OptionRow { name, kind: OptionKind::Pairs, about }
}

/// A row of a switch.
pub(in crate::loss) const fn switch(name: &'static str, default: bool, about: &'static str) -> OptionRow {
    OptionRow { name, kind: OptionKind::Switch(default), about }
}

/// A row of a choice of words.
pub(in crate::loss) const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
    about: &'static str,
) -> OptionRow {
    OptionRow { name, kind: OptionKind::Choice(words, default), about }
}

/// The temperature of soft targets, which a config's `temperature` also sets.
pub(in crate::loss) const fn temperature(default: f64) -> OptionRow {
    number("temperature", Range::Positive, default, "divides both sides' logits")
}
