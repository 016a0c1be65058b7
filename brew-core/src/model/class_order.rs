//! Class names: their form in a config, and whether those of two sides agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::words::numbered;

/// `LABEL_0`, `LABEL_1`, …: the names of unnamed classes, as in transformers.
pub(crate) fn default_names(classes: i64) -> BTreeMap<i64, String> {
    (0..classes).map(|class| (class, format!("LABEL_{class}"))).collect()
}

/// The class of each name.
pub(crate) fn inverse(id2label: &BTreeMap<i64, String>) -> BTreeMap<String, i64> {
    id2label.iter().map(|(class, name)| (name.clone(), *class)).collect()
}

/// The names in class order; `None` if all names are defaults.
pub(crate) fn own_names(id2label: &BTreeMap<i64, String>) -> Option<Vec<String>> {
    id2label.values().any(|name| key(name).is_some()).then(|| id2label.values().cloned().collect())
}

/// Checks user-given names for this many classes.
///
/// # Errors
/// The wrong number of names, empty names, and duplicates; all at once.
pub(crate) fn given_names(
    names: impl IntoIterator<Item = impl Into<String>>,
    classes: i64,
) -> Result<BTreeMap<i64, String>> {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut problems = Vec::new();
    if i64::try_from(names.len()) != Ok(classes) {
        problems.push(format!("there are {} names, but the head has {classes} classes", names.len()));
    }
    if let Some(class) = names.iter().position(|name| name.trim().is_empty()) {
        problems.push(format!("the name of class {class} is empty"));
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> =
        names.iter().filter(|name| !seen.insert(name.as_str())).map(String::as_str).collect();
    problems.extend(twice.iter().map(|name| format!("`{name}` is the name of two classes")));
    if problems.is_empty() {
        Ok((0..).zip(names).collect())
    } else {
        Err(Error::invalid(numbered("these class names cannot be used", &problems)))
    }
}

/// Refuses a reordering of a head's own names: renaming does not reorder weights.
pub(crate) fn not_reordered(had: Option<Vec<String>>, given: &BTreeMap<i64, String>) -> Result<()> {
    let given: Vec<String> = given.values().cloned().collect();
    match had {
        Some(had) if agreement(&had, &given) == Agreement::OtherOrder => Err(Error::invalid(format!(
            "the head's classes are {}, and {} are the same names in a different order: renaming does not reorder weights, so each class would get another class's name; number the labels in the head's order, or give the student a new head",
            listed(&had),
            listed(&given)
        ))),
        _ => Ok(()),
    }
}

/// How two lists of class names relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// No class is named differently on both sides.
    Same,
    /// Some name stands for different classes on the two sides.
    OtherOrder,
    /// Names differ, but none of them names a different class on the other side: they may be synonyms.
    OtherNames,
}

/// Compares names class by class, ignoring case and surrounding spaces; `LABEL_n` and empty names count as no
/// name.
pub(crate) fn agreement(left: &[String], right: &[String]) -> Agreement {
    let (left, right) = keys(left, right);
    let mut found = Agreement::Same;
    for (class, (one, other)) in left.iter().zip(&right).enumerate() {
        if one == other || (one.is_none() && other.is_none()) {
            continue;
        }
        let elsewhere = |name: &Option<String>, names: &[Option<String>]| {
            name.is_some() && names.iter().enumerate().any(|(place, found)| place != class && found == name)
        };
        if elsewhere(one, &right) || elsewhere(other, &left) {
            return Agreement::OtherOrder;
        }
        if one.is_some() && other.is_some() {
            found = Agreement::OtherNames;
        }
    }
    // A name among the classes that only one side has.
    let common = left.len().min(right.len());
    let beyond = |longer: &[Option<String>], shorter: &[Option<String>]| {
        longer.iter().skip(common).any(|name| name.is_some() && shorter.contains(name))
    };
    if beyond(&left, &right) || beyond(&right, &left) { Agreement::OtherOrder } else { found }
}

/// For each name in `wanted` its class in `names`; `None` if the two sets of names differ.
pub(crate) fn order_of(names: &[String], wanted: &[String]) -> Option<Vec<i64>> {
    let (names, wanted) = keys(names, wanted);
    let places = wanted.iter().map(|name| {
        let place = names.iter().position(|found| name.is_some() && found == name)?;
        i64::try_from(place).ok()
    });
    let places: Vec<i64> = places.collect::<Option<_>>()?;
    let distinct: BTreeSet<&i64> = places.iter().collect();
    (distinct.len() == names.len() && places.len() == names.len()).then_some(places)
}

/// The names in the form that is compared: lower case, unless that makes two classes of one side equal.
fn keys(left: &[String], right: &[String]) -> (Vec<Option<String>>, Vec<Option<String>>) {
    let exact = |names: &[String]| names.iter().map(|name| key(name)).collect::<Vec<_>>();
    let (left, right) = (exact(left), exact(right));
    let folded = |names: &[Option<String>]| -> Vec<Option<String>> {
        names.iter().map(|name| name.as_ref().map(|name| name.to_lowercase())).collect()
    };
    let distinct = |names: &[Option<String>]| names.iter().flatten().collect::<BTreeSet<_>>().len();
    let keeps = |names: &[Option<String>]| distinct(&folded(names)) == distinct(names);
    if keeps(&left) && keeps(&right) { (folded(&left), folded(&right)) } else { (left, right) }
}

/// A name without surrounding spaces; `None` for `LABEL_n` and for an empty name.
fn key(name: &str) -> Option<String> {
    let name = name.trim();
    let number = name.get(..6).filter(|start| start.eq_ignore_ascii_case("label_")).and(name.get(6..));
    let is_default =
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    (!name.is_empty() && !is_default).then(|| name.to_owned())
}

/// Formats names for messages.
pub(crate) fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
