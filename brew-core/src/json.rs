//! Reads and writes floating-point numbers in JSON, including NaN and infinity.
//!
//! serde_json writes non-finite numbers as `null`, which cannot be read back as a number. Here they are the
//! strings `"NaN"`, `"Infinity"` and `"-Infinity"`, which Python's `float` and JavaScript's `Number` also
//! accept; a finite number has as many digits as needed to restore the same bits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A floating-point number, finite or not, as represented in JSON.
#[derive(Debug, Clone, Copy)]
struct Float(f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match text_of(self.0) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(deserializer)?;
        let wrong =
            || serde::de::Error::custom(format!("{found} is neither a number nor \"NaN\" or \"Infinity\""));
        number(&found).map(Float).ok_or_else(wrong)
    }
}

/// The string for a number that JSON does not have.
fn text_of(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// A number as a JSON value.
pub(crate) fn value(number: f64) -> Value {
    text_of(number).map_or_else(|| Value::from(number), Value::from)
}

/// The number in a JSON value made by [`value`]; `None` for anything else.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

/// For `#[serde(with = "…")]` on a field.
pub(crate) mod float {
    use super::*;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Float(*number).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Float::deserialize(deserializer).map(|float| float.0)
    }
}

/// The same for a field that may be `None`.
pub(crate) mod optional {
    use super::*;

    #[expect(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(crate) fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(Float).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<Float>::deserialize(deserializer).map(|float| float.map(|float| float.0))
    }
}

/// The same for a list.
pub(crate) mod floats {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().copied().map(Float))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Float>::deserialize(deserializer)
            .map(|floats| floats.into_iter().map(|float| float.0).collect())
    }
}

/// The same for a list of numbers with names.
pub(crate) mod named {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        numbers: &[(String, f64)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|(name, number)| (name, Float(*number))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        Vec::<(String, Float)>::deserialize(deserializer)
            .map(|numbers| numbers.into_iter().map(|(name, float)| (name, float.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Held {
        #[serde(with = "float")]
        one: f64,
        #[serde(with = "optional")]
        perhaps: Option<f64>,
        #[serde(with = "floats")]
        many: Vec<f64>,
    }

    /// The bits, with all NaNs equal.
    fn bits(number: f64) -> u64 {
        if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() }
    }

    #[test]
    fn every_number_comes_back_with_its_bits() {
        let mut numbers = vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            1.0,
            -3.0,
            f64::MIN_POSITIVE,
            5e-324,
            -5e-324,
            f64::MAX,
            f64::EPSILON,
            787.0 / 872.0,
            1e-5 * 23.0_f64.sqrt(),
            f64::from(0.1_f32),
            f64::from(f32::MIN_POSITIVE / 2.0),
        ];
        // Quotients and roots, like accuracies and learning rates.
        numbers.extend((1..2_000_u32).map(|number| f64::from(number) / 2_003.0));
        numbers.extend((1..2_000_u32).map(|number| 1e-5 * f64::from(number).sqrt()));
        for number in &numbers {
            let held = Held { one: *number, perhaps: Some(*number), many: vec![*number, 1.0] };
            for text in [serde_json::to_string(&held).unwrap(), serde_json::to_string_pretty(&held).unwrap()]
            {
                let back: Held = serde_json::from_str(&text).unwrap();
                assert_eq!(bits(back.one), bits(*number), "{text}");
                assert_eq!(back.perhaps.map(bits), Some(bits(*number)), "{text}");
                assert_eq!(bits(back.many[0]), bits(*number), "{text}");
            }
            assert_eq!(super::number(&value(*number)).map(bits), Some(bits(*number)));
        }
    }

    #[test]
    fn what_is_no_number_is_an_error_that_shows_it() {
        for wrong in ["null", "\"high\"", "[1]"] {
            let text = format!("{{\"one\": {wrong}, \"perhaps\": null, \"many\": []}}");
            let error = serde_json::from_str::<Held>(&text).err().unwrap().to_string();
            assert!(error.contains("is neither a number"), "{wrong}: {error}");
        }
    }
}
