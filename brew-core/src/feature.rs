//! The values that adaptors return: one tensor or a list, always as owned handles.
//!
//! A handle (`shallow_clone`) shares the data, so it costs nothing, and it allows the model's whole output to
//! be dropped as soon as the wanted layers have been picked.

use tch::Tensor;

use crate::error::Result;

/// The value of a role.
#[derive(Debug)]
pub enum Feature {
    /// A role with one tensor.
    One(Tensor),
    /// A role with a list of tensors, one per layer or per head.
    Many(Vec<Tensor>),
}

impl Feature {
    /// The tensors, however many there are.
    pub fn into_tensors(self) -> Vec<Tensor> {
        match self {
            Feature::One(tensor) => vec![tensor],
            Feature::Many(tensors) => tensors,
        }
    }

    /// The number of tensors.
    pub fn count(&self) -> usize {
        match self {
            Feature::One(_) => 1,
            Feature::Many(tensors) => tensors.len(),
        }
    }
}

/// The arity of a role that is one tensor.
#[derive(Debug)]
pub struct Single;
/// The arity of a role that is a list of tensors.
#[derive(Debug)]
pub struct List;
/// One tensor or a list: [`Single`] or [`List`].
pub trait Arity {}
impl Arity for Single {}
impl Arity for List {}

/// The types that a field with a role may have and that an adaptor's function may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something a role can return",
    label = "a role returns `Tensor`, `&Tensor`, `Vec<Tensor>`, `&[Tensor]` or `[Tensor; N]`",
    note = "any of them may stand in an `Option`, for what is absent when predicting, or in a `Result`"
)]
pub trait RoleValue {
    /// Whether it is one tensor or a list.
    type Arity: Arity;
    /// The value as owned handles; `None` if absent.
    fn feature(self) -> Result<Option<Feature>>;
}

macro_rules! role_value {
    ($([$($generics:tt)*] $ty:ty, $arity:ty, |$value:ident| $feature:expr;)*) => {
        $(impl<$($generics)*> RoleValue for $ty {
            type Arity = $arity;
            fn feature(self) -> Result<Option<Feature>> {
                let $value = self;
                $feature
            }
        })*
    };
}

fn handles(tensors: &[Tensor]) -> Result<Option<Feature>> {
    Ok(Some(Feature::Many(tensors.iter().map(Tensor::shallow_clone).collect())))
}

role_value! {
    [] Tensor, Single, |tensor| Ok(Some(Feature::One(tensor)));
    [] &Tensor, Single, |tensor| Ok(Some(Feature::One(tensor.shallow_clone())));
    [] Vec<Tensor>, List, |tensors| Ok(Some(Feature::Many(tensors)));
    [] &Vec<Tensor>, List, |tensors| handles(tensors);
    [] &[Tensor], List, |tensors| handles(tensors);
    [const N: usize] [Tensor; N], List, |tensors| Ok(Some(Feature::Many(tensors.into())));
    [const N: usize] &[Tensor; N], List, |tensors| handles(tensors);
    [V: RoleValue] Option<V>, V::Arity, |value| value.map_or(Ok(None), RoleValue::feature);
    [V: RoleValue] Result<V>, V::Arity, |value| value?.feature();
}

impl<'a, V> RoleValue for &'a Option<V>
where
    &'a V: RoleValue,
{
    type Arity = <&'a V as RoleValue>::Arity;
    fn feature(self) -> Result<Option<Feature>> {
        self.as_ref().feature()
    }
}

/// Marks that `logits` and the roles that follow them are all lists or all single tensors.
#[diagnostic::on_unimplemented(
    message = "`labels` follow `logits`: both must be lists, or both single tensors",
    label = "this role and `logits` differ: one is a list, the other one tensor",
    note = "return `Vec<Tensor>` (or `&[Tensor]`) from both, or one `Tensor` from each"
)]
pub trait LikeLogits<A: Arity> {}
impl<A: Arity> LikeLogits<A> for A {}
