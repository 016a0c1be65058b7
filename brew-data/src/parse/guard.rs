//! The one place where a panic of somebody else's decoder is caught and becomes an error.
//!
//! Arrow and Parquet headers are full of offsets and counts that a flipped bit changes. The decoders
//! check most of them and panic over some; no file may end a training run that way.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `decode` returns, or the text of its panic as an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // What a panic leaves half done is dropped here, with the error as all that is left of it.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the decoder gave up: {}", text.unwrap_or("no reason given")))
    })
}
