//! What the macros' expansions call. Not for people: nothing here is stable.

use tch::Tensor;

use crate::error::Result;
use crate::feature::{Feature, LikeLogits, RoleValue};

pub use crate::batch::{Column, Columns, FromColumns};
pub use tch::Kind;

/// Reads one value; the bound is what a user sees when a type cannot have a role.
pub fn feature<V: RoleValue>(value: V) -> Result<Option<Feature>> {
    value.feature()
}

/// Checks that a role which follows the logits is a list where they are.
pub fn like_logits<L: RoleValue, V: RoleValue>()
where
    V::Arity: LikeLogits<L::Arity>,
{
}

/// Several fields of one role, in the order of their `item`s.
pub fn items<const N: usize>(items: [Result<Option<Feature>>; N]) -> Result<Option<Feature>> {
    let mut tensors = Vec::with_capacity(N);
    for item in items {
        match item? {
            Some(feature) => tensors.extend(feature.into_tensors()),
            None => return Ok(None),
        }
    }
    Ok(Some(Feature::Many(tensors)))
}

/// A forward function's argument, made of a column of the batch.
#[diagnostic::on_unimplemented(
    message = "a column of type `{C}` cannot be passed as `{Self}`",
    label = "this argument and the column of its name differ",
    note = "a column `Tensor` is passed as `&Tensor`, a column `Option<Tensor>` as `Option<&Tensor>`: it may be absent"
)]
pub trait Argument<'a, C> {
    /// Borrows the column.
    fn of(column: &'a C) -> Self;
}

impl<'a> Argument<'a, Tensor> for &'a Tensor {
    fn of(column: &'a Tensor) -> Self {
        column
    }
}

impl<'a> Argument<'a, Option<Tensor>> for Option<&'a Tensor> {
    fn of(column: &'a Option<Tensor>) -> Self {
        column.as_ref()
    }
}

impl<'a> Argument<'a, Tensor> for Option<&'a Tensor> {
    fn of(column: &'a Tensor) -> Self {
        Some(column)
    }
}

/// What `forward` returned: the output itself or a `Result` of it.
pub trait Returned {
    /// The output.
    type Output;
    /// As a result with brew's error.
    fn returned(self) -> Result<Self::Output>;
}

impl<T, E: Into<crate::Error>> Returned for std::result::Result<T, E> {
    type Output = T;
    fn returned(self) -> Result<T> {
        self.map_err(Into::into)
    }
}
