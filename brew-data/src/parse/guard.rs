//! Why bytes cannot be decoded, as far as that is known, and the one place where a panic of somebody
//! else's decoder is caught and becomes an error.
//!
//! Arrow and Parquet headers are full of offsets and counts that a flipped bit changes. The decoders
//! check most of them and panic over some; no file may end a training run that way.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why bytes cannot be decoded. It reads on from the name of the file's kind.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// Bytes are missing, or contradict each other.
    Damaged(String),
    /// The end is missing, which a writer that was not closed leaves out too.
    Unfinished(String),
    /// It is known to be whole, and is not read.
    Unsupported(String),
    /// A decoder gave up, in its own words: over damage, or over what it does not support.
    Unknown(String),
}

impl fmt::Display for Undecoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undecoded::Damaged(message) => write!(formatter, "is damaged or cut short: {message}"),
            Undecoded::Unfinished(message) => {
                write!(formatter, "is not complete: {message}; it is cut short, or its writer was not closed")
            }
            Undecoded::Unsupported(message) => write!(formatter, "is not supported: {message}"),
            Undecoded::Unknown(message) => write!(
                formatter,
                "cannot be decoded: {message} (it is damaged, or uses what is not supported yet; in the second \
                 case the program that wrote it can write it in another form)"
            ),
        }
    }
}

/// What our own checks find is damage.
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

/// What was found, without what it means: for files whose bytes are known to be the right ones or not.
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

/// What `decode` returns, or the text of its panic as an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, Undecoded>) -> Result<T, Undecoded> {
    // What a panic leaves half done is dropped here, with the error as all that is left of it.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Undecoded::Unknown(format!("the decoder gave up: {}", text.unwrap_or("no reason given"))))
    })
}
