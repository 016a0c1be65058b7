//! Formatting for messages: numbered lists, shapes, thousands, and suggestions of the nearest name.

use std::fmt;

/// "title:" and one numbered line per item; a single item is on the title's line.
pub(crate) fn numbered(title: &str, items: &[impl fmt::Display]) -> String {
    match items {
        [one] => format!("{title}: {one}"),
        many => many
            .iter()
            .enumerate()
            .fold(format!("{title}, {} problems:", many.len()), |text, (index, item)| {
                format!("{text}\n  {}. {item}", index + 1)
            }),
    }
}

/// `; did you mean …?` with the nearest known name, or the list of all of them.
pub fn suggest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 && distance < name.len() => {
            format!("; did you mean `{name}`?")
        }
        _ if known.is_empty() => String::new(),
        _ => format!(
            "; there are: {}",
            known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// `(2, 3)`.
pub(crate) fn shape(sizes: &[i64]) -> String {
    format!("({})", sizes.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

/// `22713602` as `22,713,602`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
