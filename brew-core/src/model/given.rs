//! A teacher that is not loaded, because its outputs come with the batches.

use std::marker::PhantomData;

use super::{Forward, Model, Seen};
use crate::adaptor::Adaptor;
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::pass::Pass;

/// No model.
struct Absent<A>(PhantomData<fn() -> A>);

impl<A: Adaptor> Model for Absent<A> {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}

impl<A: Adaptor> Forward<A::Batch> for Absent<A> {
    type Output = A::Output;
    fn run(&self, _: &A::Batch, _: &Pass) -> Result<A::Output> {
        Err(Error::invalid(
            "this teacher was not loaded, and the batch does not bring its output: stream `WithTeacherOutput::of(batch, output)`, or load the model",
        ))
    }
}

impl<A: Adaptor> Seen<A> {
    /// A teacher that is not loaded, because every batch brings its output:
    /// [`WithTeacherOutput`](crate::batch::WithTeacherOutput). This adaptor reads it.
    pub fn given(adaptor: A) -> Self {
        let _ = adaptor;
        Seen { model: Box::new(Absent::<A>(PhantomData)), by_name: false }
    }
}
