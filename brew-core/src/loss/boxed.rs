//! Lets a boxed loss, such as one named in a config, be wrapped by other losses.

use super::{AlsoReads, Average, Features, Learns, Loss, Masks, Term, forward_loss};
use crate::error::Result;

#[brew_macros::forwards(|this| **this)]
impl Loss for Box<dyn Loss> {}
