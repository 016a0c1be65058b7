//! Why bytes cannot be decoded, as far as known; and the one place where panics of other crates' decoders
//! become errors.
//!
//! Arrow and Parquet headers are full of offsets and counts that a flipped bit can change. The decoders check
//! most of them but panic on some, which must not end a training run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why bytes cannot be decoded. The text continues a sentence that begins with the kind of file.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// Bytes are missing or inconsistent.
    Damaged(String),
    /// The end is missing: the file is truncated, or its writer was not closed.
    Unfinished(String),
    /// It is complete, but not supported.
    Unsupported(String),
    /// A decoder's error: damage, or something unsupported.
    Unknown(String),
}

impl fmt::Display for Undecoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undecoded::Damaged(message) => write!(formatter, "is damaged or truncated: {message}"),
            Undecoded::Unfinished(message) => {
                write!(formatter, "is incomplete: {message}; it is truncated, or its writer was not closed")
            }
            Undecoded::Unsupported(message) => write!(formatter, "is not supported: {message}"),
            Undecoded::Unknown(message) => write!(
                formatter,
                "cannot be decoded: {message} (it is damaged, or uses a feature that is not supported yet; \
                 if it is intact, write it in another form)"
            ),
        }
    }
}

/// Our own checks find only damage.
impl From<String> for Undecoded {
    fn from(message: String) -> Self {
        Undecoded::Damaged(message)
    }
}

impl From<&str> for Undecoded {
    fn from(message: &str) -> Self {
        Undecoded::Damaged(message.to_owned())
    }
}

/// The finding without its interpretation, for files with a checksum.
impl From<Undecoded> for String {
    fn from(undecoded: Undecoded) -> Self {
        match undecoded {
            Undecoded::Damaged(message)
            | Undecoded::Unfinished(message)
            | Undecoded::Unsupported(message)
            | Undecoded::Unknown(message) => message,
        }
    }
}

/// The result of `decode`, or the text of its panic as an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, Undecoded>) -> Result<T, Undecoded> {
    // Whatever a panic leaves half done is dropped here; only the error remains.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Undecoded::Unknown(format!("the decoder gave up: {}", text.unwrap_or("no reason given"))))
    })
}
