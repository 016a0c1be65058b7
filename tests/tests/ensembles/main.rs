//! Several teachers: how they are combined, which of them a match reads, and TextBrewer's front door.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

mod combining;
mod doors;
mod matches;
mod speaker;

pub(crate) use speaker::{OtherMaskView, Rows, Speaker, View, loss_of, speakers};
