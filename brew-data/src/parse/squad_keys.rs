//! Tells by its keys whether a JSON document is SQuAD's.

use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ParseError;

/// Whether the text is an object with a list `data` whose first object has `paragraphs`. Reads no more than
/// necessary; invalid JSON has no keys.
///
/// # Errors
/// Reading fails.
pub(crate) fn has_its_keys(reader: impl BufRead) -> Result<bool, ParseError> {
    let mut found = false;
    let outcome = serde_json::Deserializer::from_reader(reader).deserialize_map(SquadKeys(&mut found));
    match outcome {
        Err(error) if error.is_io() => Err(ParseError::Io(error.into())),
        _ => Ok(found),
    }
}

/// Looks for nested keys, and stops when the last one is found.
struct SquadKeys<'f>(&'f mut bool);

/// The first value of `data` if `.1` is set, otherwise an article.
struct Below<'f>(&'f mut bool, bool);

impl<'de> Visitor<'de> for SquadKeys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "data" => map.next_value_seed(Below(self.0, true))?,
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.1 { deserializer.deserialize_seq(self) } else { deserializer.deserialize_map(self) }
    }
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of articles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut articles: A) -> Result<(), A::Error> {
        articles.next_element_seed(Below(self.0, false))?;
        Err(A::Error::custom("no more is needed"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "paragraphs" {
                *self.0 = true;
                return Err(A::Error::custom("no more is needed"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
