//! Functions that the macros' expansions call. Not public API: nothing here is stable.

use tch::Tensor;

use crate::batch::FromColumns;
use crate::error::Result;
use crate::feature::{Arity, Feature, LikeLogits, List, RoleValue, Single};

/// The result of reading a role; `None` if the value is absent.
pub type Read = Result<Option<Feature>>;

/// Reads one value; the bound is what a user sees when a type cannot have a role.
pub fn feature<V: RoleValue>(value: V) -> Read {
    value.feature()
}

/// Compiles if logits and labels are both lists or both not; never called.
pub fn labels_follow<L: RoleValue, V: RoleValue>(_logits: L, _labels: V)
where
    V::Arity: LikeLogits<L::Arity>,
{
}

/// Compiles unless masks are a list and logits are not; never called.
pub fn mask_fits<L: RoleValue, V: RoleValue>(_logits: L, _mask: V)
where
    V::Arity: Masks<L::Arity>,
{
}

/// Marks that one mask can serve one tensor of logits or a whole list, and that a list of masks needs a list
/// of logits.
#[diagnostic::on_unimplemented(
    message = "`logits_mask` is a list, `logits` are one tensor",
    label = "a list of masks needs a list of logits",
    note = "return one `Tensor` for `logits_mask`: it may serve a whole list of logits, too"
)]
pub trait Masks<L: Arity> {}
impl<L: Arity> Masks<L> for Single {}
impl Masks<List> for List {}

/// Marks that a value can be an item of a list.
#[diagnostic::on_unimplemented(
    message = "an item of a list must be a single tensor",
    label = "this is a list itself",
    note = "leave `item = …` out where one field holds the whole list"
)]
pub trait OneItem {}
impl OneItem for Single {}

/// Reads one item of a list.
pub fn item<V: RoleValue>(value: V) -> Read
where
    V::Arity: OneItem,
{
    value.feature()
}

/// Several items of one role as one list; absent if any of them is.
pub fn items<const N: usize>(items: [Read; N]) -> Read {
    let mut tensors = Vec::with_capacity(N);
    for item in items {
        match item? {
            Some(feature) => tensors.extend(feature.into_tensors()),
            None => return Ok(None),
        }
    }
    Ok(Some(Feature::Many(tensors)))
}

/// A forward function's argument, taken from a column of the batch.
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

/// Passes a column of the batch to a forward function.
pub fn argument<'a, C, A: Argument<'a, C>>(column: &'a C) -> A {
    A::of(column)
}

/// The result of a forward function, with its error converted to brew's.
pub fn returned<T, E: Into<crate::Error>>(result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(Into::into)
}

/// The pad value of a declared column.
pub fn pad_of<B: FromColumns>(column: &str) -> Option<f64> {
    B::COLUMNS.iter().find(|declared| declared.name == column).and_then(|declared| declared.pad)
}

/// The tensors of a batch that are present.
pub fn present<'a, const N: usize>(
    columns: [(&'static str, Option<&'a Tensor>); N],
) -> Vec<(&'static str, &'a Tensor)> {
    columns.into_iter().filter_map(|(name, tensor)| tensor.map(|tensor| (name, tensor))).collect()
}
