//! Numbers of classes: finds a name, checks a number, and maps numbers to another order of the names.

use std::collections::BTreeSet;

use brew_core::words::suggest;

/// The number of a class.
pub(super) fn number(names: &[String], text: &str) -> Result<i64, String> {
    let place = names.iter().position(|name| name == text);
    place.map(|place| place as i64).ok_or_else(|| {
        let near = suggest(text, names.iter().map(String::as_str));
        format!("`{text}` is none of the {} classes{near}", names.len())
    })
}

/// For each name its place among the others: without regard to case, unless that makes two names one.
pub(super) fn places(names: &[String], others: &[String]) -> Vec<Option<usize>> {
    let folded = |names: &[String]| names.iter().map(|name| name.trim().to_lowercase()).collect::<Vec<_>>();
    let distinct = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    let (mut names, mut others) = (names.to_vec(), others.to_vec());
    if distinct(&folded(&names)) && distinct(&folded(&others)) {
        (names, others) = (folded(&names), folded(&others));
    }
    names.iter().map(|name| others.iter().position(|other| other == name)).collect()
}

/// The number, if it is that of a class.
pub(super) fn within(names: &[String], number: i64) -> Result<i64, String> {
    match usize::try_from(number) {
        Ok(place) if place < names.len() => Ok(number),
        _ => Err(format!(
            "{number} is not the number of one of the {} classes {}",
            names.len(),
            names.join(", ")
        )),
    }
}
