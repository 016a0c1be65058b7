//! An opened GGUF file: its keys by type, and its tensors one by one.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::parse::{Entry, Header, Value, supported};
use crate::error::{Error, InStage, Result};

/// The number of values that are decoded at a time, a multiple of every block: 64 MB of float32, which few tensors exceed.
const AT_ONCE: u64 = 1 << 24;

/// A GGUF file.
#[derive(Debug)]
pub(crate) struct Gguf {
    path: PathBuf,
    header: Header,
}

impl Gguf {
    /// Opens a file and reads its keys and its list of tensors.
    ///
    /// # Errors
    /// Names the file, and the key or tensor where it is damaged or not supported.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let length = file.metadata().map_err(|error| Error::file(path, error))?.len();
        let header = Header::read(BufReader::new(file), length).map_err(|error| Error::file(path, error))?;
        let gguf = Gguf { path: path.to_owned(), header };
        for (key, only) in
            [("split.count", Value::Integer(1)), ("general.type", Value::Text("model".to_owned()))]
        {
            if let Some(found) = gguf.header.keys.get(key).filter(|found| **found != only) {
                return Err(gguf.error(format!(
                    "key `{key}` is {}; only {} is supported: give a file with a whole model (parts are joined by `llama-gguf-split --merge`)",
                    found.shown(),
                    only.shown()
                )));
            }
        }
        Ok(gguf)
    }

    pub(super) fn error(&self, message: impl fmt::Display) -> Error {
        Error::file(&self.path, message.to_string())
    }

    /// A key's value.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.header.keys.get(key)
    }

    /// All keys with their values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.header.keys.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A key's value, if it is there, as `of` reads it.
    ///
    /// # Errors
    /// It is there and something else.
    fn typed<'v, T>(
        &'v self,
        key: &str,
        what: &str,
        of: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let wrong = || {
            self.error(format!(
                "key `{key}` is {}; it must be {what}: convert the original model again",
                value.shown()
            ))
        };
        of(value).map(Some).ok_or_else(wrong)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A size or a token: products of two of them do not overflow.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.typed(key, "an integer below 2^31", |value| match value {
            Value::Integer(integer) => i32::try_from(*integer).ok().map(i64::from),
            // One per layer, all equal.
            Value::Integers(list) => {
                let first = list.first().filter(|first| list.iter().all(|one| one == *first));
                first.and_then(|first| i32::try_from(*first).ok()).map(i64::from)
            }
            _ => None,
        })
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a finite number", |value| match value {
            Value::Float(float) => Some(*float).filter(|float| float.is_finite()),
            Value::Integer(integer) => Some(*integer as f64),
            _ => None,
        })
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        self.typed(key, "a list of strings", |value| match value {
            Value::Texts(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<&[i64]>> {
        self.typed(key, "a list of integers", |value| match value {
            Value::Integers(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    /// A value that must be there.
    pub(super) fn needed<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.error(format!("there is no key `{key}`: convert the original model again")))
    }

    /// The names of the tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, slowest dimension first.
    pub(super) fn shape(&self, name: &str) -> Option<&[i64]> {
        self.header.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// A tensor in this dtype, on the CPU.
    ///
    /// # Errors
    /// Its type is not supported, or the file cannot be read.
    pub(super) fn tensor(&self, name: &str, kind: Kind) -> Result<Tensor> {
        let missing = || self.error(format!("there is no tensor `{name}`"));
        let entry = self.header.tensors.get(name).ok_or_else(missing)?;
        let Some(decode) = entry.kind.decode else {
            return Err(self.error(format!(
                "tensor `{name}` is {}, which is not supported; {} are: quantise the model to one of these, for example with `llama-quantize --allow-requantize`",
                entry.kind.name,
                supported()
            )));
        };
        let mut parts = Vec::new();
        self.decode(entry, |bytes, values| {
            decode(bytes, values);
            parts.push(Tensor::f_from_slice(values).and_then(|part| part.f_to_kind(kind)).in_stage(name)?);
            Ok(())
        })?;
        let flat = match parts.as_slice() {
            [] => Tensor::f_empty([0], (kind, Device::Cpu)),
            [one] => Ok(one.shallow_clone()),
            several => Tensor::f_cat(several, 0),
        };
        flat.and_then(|flat| flat.f_reshape(&entry.shape)).in_stage(name)
    }

    /// Calls `take` with the bytes and the place for the values of each part of a tensor.
    fn decode(&self, entry: &Entry, mut take: impl FnMut(&[u8], &mut [f32]) -> Result<()>) -> Result<()> {
        let mut file = File::open(&self.path).map_err(|error| self.error(error))?;
        file.seek(SeekFrom::Start(entry.offset)).map_err(|error| self.error(error))?;
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let mut left = entry.values();
        while left > 0 {
            let count = AT_ONCE.min(left);
            values.resize(count as usize, 0.0);
            bytes.resize((count / entry.kind.values * entry.kind.bytes) as usize, 0);
            file.read_exact(&mut bytes).map_err(|error| self.error(error))?;
            take(&bytes, &mut values)?;
            left -= count;
        }
        Ok(())
    }
}
