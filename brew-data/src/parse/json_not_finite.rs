//! Parses `NaN`, `Infinity`, and `-Infinity`: not JSON, but Python's `json.dumps` writes them, and pandas and
//! pyarrow read them.

use super::json::Json;

/// Each word, with its value and two numbers of the same length.
const WORDS: [(&str, f64, [&str; 2]); 3] = [
    ("NaN", f64::NAN, ["0.0", "1.0"]),
    ("Infinity", f64::INFINITY, ["2.000000", "3.000000"]),
    ("-Infinity", f64::NEG_INFINITY, ["-2.000000", "-3.000000"]),
];

/// Parses a value that may contain these words.
///
/// The words are replaced by numbers of the same length, twice: where the two results differ, there was a
/// word. This keeps the positions of any other errors.
///
/// # Errors
/// The text is not JSON otherwise.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<Json> {
    serde_json::from_slice(text).or_else(|error| {
        let places = places(text);
        if places.is_empty() {
            return Err(error);
        }
        let mut read: Json = serde_json::from_slice(&with_numbers(text, &places, 0))?;
        put_back(&mut read, &serde_json::from_slice(&with_numbers(text, &places, 1))?);
        Ok(read)
    })
}

/// The positions of these words as values, outside of strings.
fn places(text: &[u8]) -> Vec<(usize, usize)> {
    let (mut places, mut at) = (Vec::new(), 0);
    let (mut in_text, mut escaped, mut begins) = (false, false, true);
    while let Some(&byte) = text.get(at) {
        let mut length = 1;
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if let Some(word) = WORDS.iter().position(|(word, ..)| begins && is_next(&text[at..], word)) {
            places.push((at, word));
            length = WORDS[word].0.len();
        } else {
            in_text = byte == b'"';
        }
        // A word must start a value: `1NaN` is not one.
        begins = matches!(byte, b',' | b':' | b'[') || byte.is_ascii_whitespace();
        at += length;
    }
    places
}

fn is_next(text: &[u8], word: &str) -> bool {
    let behind = text.strip_prefix(word.as_bytes()).map(|rest| rest.first());
    behind.is_some_and(|next| next.is_none_or(|next| b",]} \t\r\n".contains(next)))
}

fn with_numbers(text: &[u8], places: &[(usize, usize)], reading: usize) -> Vec<u8> {
    let mut numbers = text.to_vec();
    for &(at, word) in places {
        let number = WORDS[word].2[reading].as_bytes();
        numbers[at..at + number.len()].copy_from_slice(number);
    }
    numbers
}

/// Restores the words' values where the two results differ.
fn put_back(read: &mut Json, other: &Json) {
    match (read, other) {
        (Json::Float(value), Json::Float(other)) if value != other => {
            let of = WORDS.iter().find(|(.., [number, _])| number.parse() == Ok(*value));
            *value = of.map_or(f64::NAN, |(_, value, _)| *value);
        }
        (Json::List(values), Json::List(others)) => {
            values.iter_mut().zip(others).for_each(|(value, other)| put_back(value, other));
        }
        (Json::Object(members), Json::Object(others)) => {
            members.iter_mut().zip(others).for_each(|((_, value), (_, other))| put_back(value, other));
        }
        _ => {}
    }
}
