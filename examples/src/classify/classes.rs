//! Decides which classes there are, and refuses data that cannot teach or judge one of them.

use std::collections::{BTreeMap, BTreeSet};

use brew_core::{Error, Result};

use super::teacher_classes::{TeacherClasses, of_teacher};
use super::words::{Labelled, Words};
use super::{Columns, Labels};

/// What the labels of two parts of the data mean; renames labels that are a teacher's class numbers.
///
/// # Errors
/// Parts or a teacher whose labels or classes differ, in a word that says how to mend it.
pub(super) fn decide(
    (train, dev): (&mut Labelled, &mut Labelled),
    names: (&str, &str),
    columns: &Columns,
    teacher: Option<&TeacherClasses>,
) -> Result<Labels> {
    let refused = |message: String| Error::invalid(format!("column `{}`: {message}", columns.label));
    let several = match (&train.words, &dev.words) {
        (Words::Number, Words::Number) => return number(teacher).map_err(refused),
        (Words::One(_), Words::One(_)) => false,
        (Words::Several(_), Words::Several(_)) => true,
        (of_train, of_dev) => {
            return Err(refused(format!(
                "its labels are {} in {} and {} in {}: both must be of one type",
                of_train.described(),
                names.0,
                of_dev.described(),
                names.1
            )));
        }
    };
    let classes = match teacher {
        Some(teacher) => of_teacher(teacher, [&mut *train, &mut *dev]),
        None => Ok(train.names.clone().unwrap_or_else(|| in_order(&train.words, train.digits))),
    };
    let classes = classes.map_err(refused)?;
    let whose = if teacher.is_some() { "the teacher has" } else { "the data names" };
    check([&train.words, &dev.words], names, &classes, whose).map_err(refused)?;
    if !several && classes.len() < 2 {
        return Err(refused(format!(
            "every row has the label {}: there is nothing to tell apart",
            listed(&classes)
        )));
    }
    Ok(if several { Labels::Several(classes) } else { Labels::One(classes) })
}

fn number(teacher: Option<&TeacherClasses>) -> Result<Labels, String> {
    match teacher {
        Some(teacher) if teacher.outputs != 1 => Err(format!(
            "its labels are numbers to predict, but the teacher has {} classes: give a teacher with one output",
            teacher.outputs
        )),
        _ => Ok(Labels::Number),
    }
}

/// Refuses a class without rows to train on, and classes that only one part has.
fn check(parts: [&Words; 2], names: (&str, &str), classes: &[String], whose: &str) -> Result<(), String> {
    let [train, dev] = parts.map(counted);
    let missing: Vec<&String> = classes.iter().filter(|name| !train.contains_key(name)).collect();
    let only = |one: &BTreeMap<&String, usize>, other: &BTreeMap<&String, usize>| -> Vec<String> {
        let found = one.iter().filter(|(name, _)| !other.contains_key(*name));
        found.map(|(name, rows)| format!("`{name}` ({rows} rows)")).collect()
    };
    let of_dev = only(&dev, &train);
    if !of_dev.is_empty() {
        return Err(format!(
            "{} has labels that {} lacks: {}. Nothing would teach them: add rows to train on, or remove these rows",
            names.1,
            names.0,
            of_dev.join(", ")
        ));
    }
    if !missing.is_empty() {
        return Err(format!(
            "{whose} {} classes, of which {} have no row in {}: add rows, or {}",
            classes.len(),
            listed(missing),
            names.0,
            if whose == "the teacher has" {
                "give a teacher of the other classes alone"
            } else {
                "write the labels as words"
            }
        ));
    }
    let of_train = only(&train, &dev);
    if !of_train.is_empty() {
        return Err(format!(
            "{} has labels that {} lacks: {}. Nothing would judge them: add rows to judge by, or remove these rows",
            names.0,
            names.1,
            of_train.join(", ")
        ));
    }
    Ok(())
}

fn counted(words: &Words) -> BTreeMap<&String, usize> {
    let mut counts = BTreeMap::new();
    for word in words.all() {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// The distinct labels: numbers by size, words in the order of Python's `sorted`.
fn in_order(words: &Words, digits: bool) -> Vec<String> {
    let distinct: BTreeSet<&String> = words.all().into_iter().collect();
    let mut distinct: Vec<String> = distinct.into_iter().cloned().collect();
    if digits {
        distinct.sort_by_key(|word| word.parse::<i64>().unwrap_or_default());
    }
    distinct
}

/// Names in a message.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
