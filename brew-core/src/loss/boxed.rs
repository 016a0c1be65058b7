//! A loss whose type is not known, such as one named in a config, as a loss that others go around.

use super::{AlsoReads, Average, Features, Learns, Loss, Masks, Term, forward_loss};
use crate::error::Result;

#[brew_macros::forwards(|this| **this)]
impl Loss for Box<dyn Loss> {}
