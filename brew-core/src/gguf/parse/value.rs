//! The values of a GGUF file's keys.

use std::io::Read;

use super::bytes::Bytes;

/// The value of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    /// A float32 as the shortest decimal that means it: 1e-5, not 9.999999747378752e-6.
    Float(f64),
    Bool(bool),
    Text(String),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

/// The types of values, by their numbers in a file, and the least bytes that one takes.
const TYPES: [(Kind, u64); 13] = [
    (Kind::U8, 1),
    (Kind::I8, 1),
    (Kind::U16, 2),
    (Kind::I16, 2),
    (Kind::U32, 4),
    (Kind::I32, 4),
    (Kind::F32, 4),
    (Kind::Bool, 1),
    (Kind::Text, 8),
    (Kind::Array, 12),
    (Kind::U64, 8),
    (Kind::I64, 8),
    (Kind::F64, 8),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn read<R: Read>(bytes: &mut Bytes<R>) -> Result<(Self, u64), String> {
        let code = bytes.u32()?;
        let known = usize::try_from(code).ok().and_then(|code| TYPES.get(code)).copied();
        known.ok_or_else(|| format!("its type is {code}; known types are 0 to {}", TYPES.len() - 1))
    }
}

impl Value {
    /// The next value: its type, then itself.
    pub(crate) fn read<R: Read>(bytes: &mut Bytes<R>) -> Result<Self, String> {
        let (kind, _) = Kind::read(bytes)?;
        if kind != Kind::Array {
            return Self::scalar(bytes, kind);
        }
        let (kind, size) = Kind::read(bytes)?;
        let count = bytes.u64()?;
        bytes.expect(count, size)?;
        let items = 0..count;
        match kind {
            Kind::Array => Err("an array of arrays, which is not supported".to_owned()),
            Kind::Text => items.map(|_| bytes.text()).collect::<Result<_, _>>().map(Value::Texts),
            Kind::Bool => items.map(|_| Self::bool(bytes)).collect::<Result<_, _>>().map(Value::Bools),
            Kind::F32 | Kind::F64 => {
                items.map(|_| Self::float(bytes, kind)).collect::<Result<_, _>>().map(Value::Floats)
            }
            _ => {
                let read = |_| i64::try_from(Self::integer(bytes, kind)?).map_err(|error| error.to_string());
                items.map(read).collect::<Result<_, _>>().map(Value::Integers)
            }
        }
    }

    fn scalar<R: Read>(bytes: &mut Bytes<R>, kind: Kind) -> Result<Self, String> {
        Ok(match kind {
            Kind::Text => Value::Text(bytes.text()?),
            Kind::Bool => Value::Bool(Self::bool(bytes)?),
            Kind::F32 | Kind::F64 => Value::Float(Self::float(bytes, kind)?),
            _ => Value::Integer(Self::integer(bytes, kind)?),
        })
    }

    fn bool<R: Read>(bytes: &mut Bytes<R>) -> Result<bool, String> {
        match bytes.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("a boolean is {other}; it must be 0 or 1")),
        }
    }

    fn float<R: Read>(bytes: &mut Bytes<R>, kind: Kind) -> Result<f64, String> {
        if kind == Kind::F64 {
            return bytes.array().map(f64::from_le_bytes);
        }
        let value = f32::from_le_bytes(bytes.array()?);
        Ok(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
    }

    fn integer<R: Read>(bytes: &mut Bytes<R>, kind: Kind) -> Result<i128, String> {
        Ok(match kind {
            Kind::U8 => u8::from_le_bytes(bytes.array()?).into(),
            Kind::I8 => i8::from_le_bytes(bytes.array()?).into(),
            Kind::U16 => u16::from_le_bytes(bytes.array()?).into(),
            Kind::I16 => i16::from_le_bytes(bytes.array()?).into(),
            Kind::U32 => u32::from_le_bytes(bytes.array()?).into(),
            Kind::I32 => i32::from_le_bytes(bytes.array()?).into(),
            Kind::I64 => i64::from_le_bytes(bytes.array()?).into(),
            _ => u64::from_le_bytes(bytes.array()?).into(),
        })
    }

    /// What a message calls it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Text(value) => format!("`{}`", value.chars().take(60).collect::<String>()),
            Value::Integers(list) => format!("a list of {} integers", list.len()),
            Value::Floats(list) => format!("a list of {} numbers", list.len()),
            Value::Bools(list) => format!("a list of {} booleans", list.len()),
            Value::Texts(list) => format!("a list of {} strings", list.len()),
        }
    }
}
