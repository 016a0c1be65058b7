//! The header of separated text: the column names, or why the line is not a header.

use super::delimited::Delimited;
use super::records::{Record, check_fields};
use super::{ParseError, utf8};

/// pandas' name for an unnamed first column, which is how it writes an index.
const INDEX: &str = "Unnamed: 0";

/// The names in a header. A line with a number, a blank, or a duplicate is not a header: accepting it could
/// silently lose a row.
///
/// # Errors
/// A field is not a name or not UTF-8, or the only name contains another separator.
pub(crate) fn names(
    settings: &Delimited,
    line: usize,
    header: Record<'_>,
) -> Result<Vec<String>, ParseError> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, field) in header.fields().enumerate() {
        let mut name = utf8(line, &(index + 1).to_string(), field)?;
        if index == 0 && name.is_empty() && header.len() > 1 {
            name = INDEX;
        }
        if let Some(why) = no_name(name, &names) {
            return Err(refusal(settings, line, header.len(), &why));
        }
        names.push(name.to_owned());
    }
    match &names[..] {
        [name] => match name.chars().find(|letter| matches!(letter, ',' | ';' | '\t' | '|')) {
            Some(separator) => Err(one_name(settings, line, name, separator)),
            None => Ok(names),
        },
        _ => Ok(names),
    }
}

/// Why this is not a valid column name after those before it, if so.
fn no_name(name: &str, before: &[String]) -> Option<String> {
    if name.trim().is_empty() {
        Some("one of its fields is blank".to_owned())
    } else if name.contains('\r') {
        Some("it has a carriage return without a line feed, which ends no line here".to_owned())
    } else if name.parse::<f64>().is_ok() {
        Some(format!("`{name}` is a number"))
    } else {
        before.iter().any(|known| known == name).then(|| format!("`{name}` appears twice"))
    }
}

/// The error for a line that is not a header, with both ways to name the columns.
pub(crate) fn refusal(settings: &Delimited, line: usize, fields: usize, why: &str) -> ParseError {
    let columns: String = (1..=fields).map(|number| format!(".text(\"column_{number}\")")).collect();
    let (code, layout) = (settings.code(), format!("Layout::new(){columns}"));
    ParseError::line(
        line,
        format!(
            "this is not treated as a header: {why}. If it is a header, name the columns: \
             `Dataset::open_as(path, {code}.layout_below_header({layout}))`; if it is a row, name them with \
             `Dataset::open_as(path, {code}.layout({layout}))`. `.integer` and `.float` instead of `.text` are \
             for numbers"
        ),
    )
}

/// The error for a header of one name that contains a possible separator.
fn one_name(settings: &Delimited, line: usize, name: &str, separator: char) -> ParseError {
    let code = settings.code();
    let other = match separator {
        ',' => "Delimited::csv()".to_owned(),
        '\t' => "Delimited::tsv()".to_owned(),
        other => format!("Delimited::csv().separated_by(b{other:?})"),
    };
    ParseError::line(
        line,
        format!(
            "the header is one name, {name:?}. If {separator:?} separates its columns, read it by \
             `Dataset::open_as(path, {other})`; if not, by `Dataset::open_as(path, \
             {code}.layout_below_header(Layout::new().text({name:?})))`"
        ),
    )
}

/// Checks a header against the declared columns: if it names them, the names must match.
///
/// # Errors
/// The number of fields differs, or a name does.
pub(crate) fn check(line: usize, header: Record<'_>, declared: &[&str]) -> Result<(), ParseError> {
    check_fields(line, header, declared.iter().copied())?;
    let mut found: Vec<String> = Vec::with_capacity(declared.len());
    for (index, field) in header.fields().enumerate() {
        let name = utf8(line, &(index + 1).to_string(), field)?;
        let is_index = index == 0 && name.is_empty();
        if !is_index && no_name(name, &found).is_some() {
            // A line that is not a valid header is replaced as a whole.
            return Ok(());
        }
        found.push(name.to_owned());
    }
    let renamed = found.iter().zip(declared).find(|(name, declared)| name != *declared && !name.is_empty());
    let Some((name, other)) = renamed else { return Ok(()) };
    Err(ParseError::line(
        line,
        format!(
            "the header names the columns {}, but they are declared as {}: declare them with its names, and \
             rename with `.column({name:?}).as_({other:?})`",
            found.join(", "),
            declared.join(", ")
        ),
    ))
}
