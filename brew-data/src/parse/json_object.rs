//! Parses one JSON row: an object whose long whole numbers are not silently rounded.

use super::json::{Json, Members, TWICE};
use super::{ParseError, json_not_finite};

/// The object of the row that begins in this line.
///
/// # Errors
/// The text is not one JSON object, by line and byte.
pub(crate) fn object(line: usize, text: &[u8]) -> Result<Members, ParseError> {
    match json_not_finite::parse(text) {
        Ok(Json::Object(mut members)) => {
            if members.iter().any(|(_, value)| value.may_be_rounded()) && has_long_integer(text) {
                members.iter_mut().for_each(|(_, value)| value.unround());
            }
            Ok(members)
        }
        Ok(other) => {
            let pandas = "; pandas writes rows so by `df.to_json(path, orient=\"records\", lines=True)`";
            let mend = if matches!(other, Json::List(_)) { pandas } else { "" };
            Err(ParseError::line(
                line,
                format!("{} is not an object: each row must be one{mend}", other.kind()),
            ))
        }
        Err(error) => {
            let message = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = message.strip_suffix(&place).unwrap_or(&message);
            // A duplicate key is valid JSON, so it gets its own message.
            let message = match message.starts_with(TWICE) {
                true => format!("{message}, up to byte {} of the line", error.column()),
                false => format!("not JSON from byte {} of the line: {message}", error.column()),
            };
            Err(ParseError::line(line + error.line().saturating_sub(1), message))
        }
    }
}

/// Whether the text has a whole number that does not fit 64 bits: the parser rounds it silently.
fn has_long_integer(text: &[u8]) -> bool {
    let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let is_long = |number: &[u8]| {
        let number = std::str::from_utf8(number).unwrap_or_default();
        number.len() > 18
            && !number.contains(['.', 'e', 'E'])
            && number.parse::<i64>().is_err()
            && number.parse::<u64>().is_err()
    };
    let (mut in_text, mut escaped, mut begins) = (false, false, None);
    for (place, &byte) in text.iter().enumerate() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if is_part(byte) {
            begins = begins.or(Some(place));
        } else {
            if begins.take().is_some_and(|begins| is_long(&text[begins..place])) {
                return true;
            }
            in_text = byte == b'"';
        }
    }
    false
}
