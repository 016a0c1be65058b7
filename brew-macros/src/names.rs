//! Names in messages: what a user may have meant, and the possible choices.

/// `; did you mean …?` for the nearest of the known names, or all of them.
pub(crate) fn suggest(unknown: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 && distance < name.len() => {
            format!("; did you mean `{name}`?")
        }
        _ => format!("; there are: {}", quoted(known)),
    }
}

/// The names in backquotes, separated by commas.
pub(crate) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
