//! Roles: what a tensor means to distillation.
//!
//! Models can return any type; a [`Role`] says what each part of it is for, and losses read roles, not
//! fields. The built-in roles are those common in distillation (TextBrewer calls seven of them adaptor keys);
//! any type that implements [`Role`] adds one.

use tch::{Kind, Tensor};

use crate::error::Result;

/// A meaning that a tensor, or a list of tensors, can have.
///
/// ```
/// use brew_core::role::Role;
///
/// /// One vector a sentence: a role of the user's own.
/// struct SentenceEmbedding;
/// impl Role for SentenceEmbedding {
///     const NAME: &'static str = "sentence_embedding";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a role",
    label = "not a role",
    note = "write `impl role::Role for {Self} {{ const NAME: &'static str = \"…\"; }}`, or name a built-in role by its bare word"
)]
pub trait Role: 'static {
    /// The name that plans, configs, errors and metrics use.
    const NAME: &'static str;
}

/// The label of positions that do not count, as in PyTorch (`ignore_index`).
pub const IGNORED: i64 = -100;

/// Which labels are not [`IGNORED`], as booleans. In 8 bits without a sign libtorch takes -100 for 156, which is
/// a class like any other.
pub(crate) fn counts(labels: &Tensor) -> Result<Tensor> {
    match labels.f_kind()? {
        Kind::Uint8 => Ok(labels.f_ones_like()?.f_to_kind(Kind::Bool)?),
        _ => Ok(labels.f_ne(IGNORED)?),
    }
}

// The macros know the same names: `NAMES` in brew-macros' `role.rs`.
macro_rules! roles {
    ($($(#[doc = $doc:literal])* $role:ident = $name:literal;)*) => {
        $($(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $role;
        impl Role for $role {
            const NAME: &'static str = $name;
        })*

        /// The names of the built-in roles.
        pub const BUILT_IN: &[&str] = &[$($name),*];
    };
}

roles! {
    /// Scores before the softmax: `(batch, classes)` or `(batch, length, classes)`; a list if a model has
    /// several heads (start and end of a span).
    Logits = "logits";
    /// Which positions of the logits count: `(batch, length)`, 0 or 1, or the document's number as in
    /// [`InputsMask`]; one mask may serve a whole list.
    LogitsMask = "logits_mask";
    /// The ground truth: `(batch,)` or `(batch, length)`, classes from 0; a list if the logits are.
    Labels = "labels";
    /// The model's own hard-label loss: one value per label, `(batch,)` or `(batch, length)`, or a scalar
    /// that is their mean over what counts; several are added up. If the adaptor provides integer [`Labels`]
    /// of the same shape (for a scalar: of any shape), values with label -100 do not count; a model can
    /// override this with [`Forward::losses_count`](crate::model::Forward::losses_count).
    Losses = "losses";
    /// Attention maps, one per layer: `(batch, heads, length, length)`.
    Attention = "attention";
    /// Hidden states, embeddings first: layers + 1 tensors of `(batch, length, width)`.
    Hidden = "hidden";
    /// Which input positions are not padding: `(batch, length)`, 0 or 1. In packed rows, the number of each token's
    /// document: 1, 2, 3 and so on; for models that tell documents apart
    /// ([`Model::reads_documents`](crate::model::Model::reads_documents)).
    InputsMask = "inputs_mask";
    /// Query vectors, one tensor per layer: `(batch, length, heads x head width)`.
    Query = "query";
    /// Key vectors, one tensor per layer: `(batch, length, heads x head width)`.
    Key = "key";
    /// Value vectors, one tensor per layer: `(batch, length, heads x head width)`.
    Value = "value";
    /// One vector per example, such as a sentence embedding: `(batch, width)`.
    Embedding = "embedding";
    /// The example's row in the data, from 0, independent of the epoch's order: `(batch,)`, int64.
    Index = "index";
    /// The teacher, among several, that an example learns from, counted from 0: `(batch,)`, int64.
    TeacherIndex = "teacher_index";
    /// The matrix W that maps the last hidden states to logits, `(classes, width)`. With [`OutputBias`] b,
    /// [`LogitScale`] s and [`LogitSoftcap`] c the logits are c tanh(s (h W^T + b) / c), without what is absent.
    OutputWeight = "output_weight";
    /// The bias that is added to them, `(classes,)`; absent if the head has none.
    OutputBias = "output_bias";
    /// The number by which they are multiplied, a constant; absent if there is none.
    LogitScale = "logit_scale";
    /// The bound to which they are limited by a tanh (`final_logit_softcapping`), a constant; absent if there is
    /// none.
    LogitSoftcap = "logit_softcap";
    /// The tokens that the logits belong to: `(batch, length)`, int64.
    TokenIds = "token_ids";
    /// Where each token ends in the text, in bytes of its UTF-8 from the start of the text that both sides
    /// read: `(batch, length)`, int64; -1 for tokens that are not part of it.
    ByteEnds = "byte_ends";
}

/// The parts of a model's head: the matrix, and what a model may lack.
pub(crate) const PARTS_OF_HEAD: [&str; 4] =
    [OutputWeight::NAME, OutputBias::NAME, LogitScale::NAME, LogitSoftcap::NAME];

/// Whether an adaptor may provide the role without having a value: a part of the head that a model may lack.
pub fn may_be_absent(role: &str) -> bool {
    PARTS_OF_HEAD[1..].contains(&role)
}

/// The mask role that says which positions of a role count; `None` for roles without positions.
pub fn mask_of(role: &str) -> Option<&'static str> {
    match role {
        Logits::NAME => Some(LogitsMask::NAME),
        Hidden::NAME | Attention::NAME | Query::NAME | Key::NAME | Value::NAME => Some(InputsMask::NAME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::BUILT_IN;

    #[test]
    fn the_macros_know_the_same_roles_in_the_same_order() {
        let macros = include_str!("../../brew-macros/src/role.rs");
        let list = macros.split("const NAMES: ").nth(1).unwrap().split("= [").nth(1).unwrap();
        let names = list.split("];").next().unwrap().split(',').map(|name| name.trim().trim_matches('"'));
        assert_eq!(names.filter(|name| !name.is_empty()).collect::<Vec<_>>(), BUILT_IN);
    }
}
