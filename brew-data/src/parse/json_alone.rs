//! Tells whether a file with a single JSON object is one row or a whole table.
//!
//! pandas and many other programs write tables this way. Read as a row, such a file would silently give one
//! row of the wrong columns. The object's shape decides; since a row may have the same shape, the message
//! says how to write it as one.

use super::json::Json;

/// Common names for the list of all rows.
const ROWS: [&str; 5] = ["data", "rows", "records", "examples", "instances"];

/// How to write rows with pandas.
const BY_PANDAS: &str = "`df.to_json(path, orient=\"records\", lines=True)`, after `df = df.reset_index()` where the \
                         index is data";

/// A table found in place of a row.
#[derive(Debug)]
pub(crate) struct WholeTable {
    /// What it is, and how to write it as rows.
    pub(crate) message: String,
    /// Whether a row may look like this too: a shard's only one, or the only line of JSON lines.
    pub(crate) of_lists: bool,
}

/// Describes the only object of a file if it is a table rather than a row.
pub(crate) fn table_of(members: &[(String, Json)]) -> Option<WholeTable> {
    let table = |why: &str, mend: &str, of_lists| {
        let message = format!(
            "the file's only object is treated as a table, not as a row: {why}. Write one row per \
             line: {mend}. If it is one row, put it into a list: `[{{…}}]`"
        );
        Some(WholeTable { message, of_lists })
    };
    let get = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let is_list = |name: &str| matches!(get(name), Some(Json::List(_)));
    let has_exactly =
        |names: &[&str]| members.len() == names.len() && names.iter().all(|name| get(name).is_some());
    if is_list("data") && is_list("columns") || is_list("data") && has_exactly(&["name", "index", "data"]) {
        return table("it has the keys of pandas' `orient=\"split\"`", BY_PANDAS, false);
    }
    if is_list("data") && matches!(get("schema"), Some(Json::Object(_))) {
        return table("it has the keys of pandas' `orient=\"table\"`", BY_PANDAS, false);
    }
    if !members.is_empty() && members.iter().all(|(key, _)| key.parse::<u64>().is_ok()) {
        return table("its keys are numbers of rows, as with pandas' `orient=\"index\"`", BY_PANDAS, false);
    }
    if have_the_same_keys(members) {
        let why = "its members are objects with the same keys, as columns are that pandas' `to_json` writes without \
                   an `orient`";
        return table(why, BY_PANDAS, false);
    }
    if let Some(name) = list_of_rows(members) {
        let by_python = |name: &str| {
            python(&format!("[print(json.dumps(row)) for row in json.load(sys.stdin)['{name}']]"))
        };
        let mend = if is_plain(name) { by_python(name) } else { "those of that list".to_owned() };
        return table(&format!("its member `{name}` is a list of objects"), &mend, false);
    }
    if are_columns(members) {
        let script =
            "t = json.load(sys.stdin); [print(json.dumps(dict(zip(t, row)))) for row in zip(*t.values())]";
        return table("its members are lists of one length, as columns are", &python(script), true);
    }
    None
}

/// Whether all members are objects with the same keys.
fn have_the_same_keys(members: &[(String, Json)]) -> bool {
    let mut objects = members.iter().map(|(_, value)| match value {
        Json::Object(members) => Some(members),
        _ => None,
    });
    let Some(Some(first)) = objects.next() else { return false };
    let same = |other: &Vec<(String, Json)>| {
        other.len() == first.len() && other.iter().zip(first).all(|((key, _), (known, _))| key == known)
    };
    !first.is_empty() && objects.all(|other| other.is_some_and(same))
}

/// The member with a list of objects, if its name, or the lack of plain values beside it, says that these are
/// the rows: a row may also have a list of objects beside its text and label.
fn list_of_rows(members: &[(String, Json)]) -> Option<&str> {
    let is_rows = |value: &Json| match value {
        Json::List(values) => values.iter().any(|value| matches!(value, Json::Object(_))),
        _ => false,
    };
    let mut lists = members.iter().filter(|(_, value)| is_rows(value)).map(|(key, _)| key.as_str());
    let plain = members.iter().any(|(_, value)| !matches!(value, Json::List(_) | Json::Object(_)));
    if plain { lists.find(|name| ROWS.contains(name)) } else { lists.next() }
}

/// Whether the members are two or more lists of plain values with the same length, some of them texts. Without
/// texts they are the numbers of one row, such as its token ids and their mask.
fn are_columns(members: &[(String, Json)]) -> bool {
    let length = |value: &Json| match value {
        Json::List(values) if values.iter().all(|value| !matches!(value, Json::Object(_))) => {
            Some(values.len())
        }
        _ => None,
    };
    let mut lengths = members.iter().map(|(_, value)| length(value));
    let Some(Some(first)) = lengths.next() else { return false };
    let several = members.len() > 1 && first > 1 && lengths.all(|length| length == Some(first));
    several && members.iter().any(|(_, value)| has_text(value))
}

/// Whether a text is in it, at any depth of lists.
fn has_text(value: &Json) -> bool {
    match value {
        Json::Text(_) => true,
        Json::List(values) => values.iter().any(has_text),
        _ => false,
    }
}

/// A shell command that converts one file into another.
fn python(script: &str) -> String {
    format!("`python3 -c \"import json, sys; {script}\" < table.json > rows.jsonl`")
}

/// Whether a name needs no escaping in Python and in a shell.
fn is_plain(name: &str) -> bool {
    name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' ' | '.'))
}
