//! A loss whose type is not known, such as one named in a config, as a loss that others go around.

use std::collections::BTreeMap;

use tch::Tensor;

use super::{AlsoReads, Average, Loss, Masks, Place, Read, Term, forward_loss};
use crate::error::Result;
use crate::parameters::Parameters;

impl Loss for Box<dyn Loss> {
    forward_loss! { |this| &**this; }
}
