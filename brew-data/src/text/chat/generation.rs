//! Which parts of a rendered chat the assistant wrote: the blocks `{% generation %} … {% endgeneration %}`.
//!
//! Jinja does not know the tag; transformers adds it. Here it becomes a filter block, which keeps the white space
//! around it, with a scope of its own. The filter puts a mark before and after the block's text, which is taken out
//! of the rendered text again.

use std::ops::Range;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// The name of the filter.
pub(super) const FILTER: &str = "brew_generation";
/// The variable that holds both marks, where they are asked for.
pub(super) const MARKS: &str = "brew_generation_marks";

/// Characters that Unicode keeps out of text; two that no input contains are the marks.
const CANDIDATES: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// The template in Jinja's own tags, and whether it has generation tags. Lines end as in Jinja, whatever the file has.
pub(super) fn rewritten(template: &str) -> (String, bool) {
    let template = &template.replace("\r\n", "\n").replace('\r', "\n");
    let (mut made, mut rest, mut found) = (String::with_capacity(template.len()), template.as_str(), false);
    while let Some(begins) = rest.find("{%") {
        let (before, tag) = rest.split_at(begins);
        let Some(ends) = tag.find("%}").map(|place| place + 2) else { break };
        let inside = &tag[2..ends - 2];
        let lead = inside.chars().next().filter(|sign| matches!(sign, '-' | '+'));
        let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
        let tail = inside.chars().next_back().filter(|sign| matches!(sign, '-' | '+'));
        let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside);
        // Lines before and after the word are kept, so that errors name the right one.
        let word = inside.trim();
        let (open, close) = match word {
            "generation" => (format!("filter {FILTER}"), format!("with {FILTER}=1")),
            "endgeneration" => ("endwith".to_owned(), "endfilter".to_owned()),
            _ => {
                let ends = begins + 2;
                made.push_str(&rest[..ends]);
                rest = &rest[ends..];
                continue;
            }
        };
        found |= word == "generation";
        let sign = |sign: Option<char>| sign.map(String::from).unwrap_or_default();
        let (spaces, after) = inside.split_once(word).unwrap_or_default();
        made.push_str(before);
        made.push_str(&format!("{{%{} {open}{spaces} %}}{{% {close}{after} {}%}}", sign(lead), sign(tail)));
        rest = &tag[ends..];
    }
    made.push_str(rest);
    (made, found)
}

/// Two marks that these values do not contain; `None` if they contain nearly all of the characters that Unicode
/// keeps out of text.
pub(super) fn marks(values: &[&Value], template: &str) -> Option<[char; 2]> {
    let mut free: Vec<char> = CANDIDATES.filter(|mark| !template.contains(*mark)).collect();
    values.iter().for_each(|value| remove(value, &mut free));
    Some([*free.first()?, *free.get(1)?])
}

/// Removes the characters that a value contains.
fn remove(value: &Value, free: &mut Vec<char>) {
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            // The first two bytes of each candidate: most text does not contain them.
            if text.as_bytes().windows(2).any(|pair| pair == [0xef, 0xb7]) {
                free.retain(|mark| !text.contains(*mark));
            }
        }
        ValueKind::Map => value.try_iter().into_iter().flatten().for_each(|key| {
            remove(&key, free);
            remove(&value.get_item(&key).unwrap_or_default(), free);
        }),
        ValueKind::Seq => value.try_iter().into_iter().flatten().for_each(|item| remove(&item, free)),
        _ => {}
    }
}

/// A block's text between the marks.
pub(super) fn marked(text: &str, marks: &Value) -> Result<String, Error> {
    let (open, close) = (marks.get_item_by_index(0)?, marks.get_item_by_index(1)?);
    Ok(format!("{open}{text}{close}"))
}

/// The text without its marks, and the bytes between each pair of them; `None` if the template moved the marks.
pub(super) fn spans(text: &str, [open, close]: [char; 2]) -> Option<(String, Vec<Range<usize>>)> {
    let (mut plain, mut spans, mut begins) = (String::with_capacity(text.len()), Vec::new(), None);
    for letter in text.chars() {
        if letter == open {
            begins.replace(plain.len()).is_none().then_some(())?;
        } else if letter == close {
            spans.push(begins.take()?..plain.len());
        } else {
            plain.push(letter);
        }
    }
    begins.is_none().then_some((plain, spans))
}
