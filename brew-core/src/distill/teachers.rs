//! One or several teachers: they provide a role if each of them does.

use crate::adaptor::{Adaptor, Gives, Provides};
use crate::model::{ErasedModel, Seen};
use crate::role::Role;

/// One or several teachers that read the same batches.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a teacher",
    label = "not a teacher, nor several",
    note = "join a model to an adaptor: `model.seen_by(PredictionAdaptor)`; several: a `Vec` of them, or `first.and(second)`"
)]
pub trait Teachers {
    /// The batch that they read.
    type Batch: 'static;
    /// The teachers with their adaptors' types erased, in order.
    fn into_sides(self) -> Vec<Box<dyn ErasedModel<Self::Batch>>>;
}

/// Marks that one of several teachers may provide a role: if they share an adaptor the compiler knows; if
/// each has its own, the plan checks the chosen one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give the role `{R}`",
    label = "the loss needs `{R}` of the teacher that was chosen and of the student",
    note = "add a function of that name to `#[adaptor] impl …`, mark a field with the role, or leave out the loss"
)]
pub trait MayGive<R: Role> {}

impl<A: Provides<R>, R: Role> MayGive<R> for Seen<A> {}
impl<A: Provides<R>, R: Role> MayGive<R> for Vec<Seen<A>> {}
impl<R: Role, H, T> MayGive<R> for And<H, T> {}

impl<A: Provides<R>, R: Role> Gives<R> for Seen<A> {}
impl<A: Provides<R>, R: Role> Gives<R> for Vec<Seen<A>> {}
impl<R: Role, H: Gives<R>, T: Gives<R>> Gives<R> for And<H, T> {}

impl<A: Adaptor> Teachers for Seen<A> {
    type Batch = A::Batch;
    fn into_sides(self) -> Vec<Box<dyn ErasedModel<A::Batch>>> {
        vec![Box::new(self)]
    }
}

/// Checkpoints of one model.
impl<A: Adaptor> Teachers for Vec<Seen<A>> {
    type Batch = A::Batch;
    fn into_sides(self) -> Vec<Box<dyn ErasedModel<A::Batch>>> {
        self.into_iter().flat_map(Teachers::into_sides).collect()
    }
}

/// Teachers with different adaptors, made by [`AndMore::and`].
#[derive(Debug)]
pub struct And<H, T>(H, T);

impl<H: Teachers, T: Teachers<Batch = H::Batch>> Teachers for And<H, T> {
    type Batch = H::Batch;
    fn into_sides(self) -> Vec<Box<dyn ErasedModel<H::Batch>>> {
        let mut sides = self.0.into_sides();
        sides.extend(self.1.into_sides());
        sides
    }
}

/// Joins teachers.
pub trait AndMore: Teachers + Sized {
    /// These teachers and another that reads the same batches.
    fn and<T: Teachers<Batch = Self::Batch>>(self, another: T) -> And<Self, T> {
        And(self, another)
    }
}

impl<T: Teachers> AndMore for T {}
