//! What a tensor means to distillation.
//!
//! Models return what they like; a [`Role`] says what each part is for, and losses ask for roles,
//! not for fields. The built-in roles are the field's own (TextBrewer calls seven of them adaptor
//! keys); any type that implements [`Role`] is one more.

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

/// The label of what does not count, as in PyTorch (`ignore_index`).
pub const IGNORED: i64 = -100;

/// Which labels are not [`IGNORED`], as booleans. In 8 bits without a sign libtorch takes -100 for 156, which is
/// a class like any other.
pub(crate) fn counts(labels: &Tensor) -> Result<Tensor> {
    match labels.f_kind()? {
        Kind::Uint8 => Ok(labels.f_ones_like()?.f_to_kind(Kind::Bool)?),
        _ => Ok(labels.f_ne(IGNORED)?),
    }
}

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
    /// Scores before the softmax: `(batch, classes)` or `(batch, length, classes)`; a list where a
    /// model has several heads (start and end of a span).
    Logits = "logits";
    /// Which positions of the logits count: `(batch, length)`, 0 or 1; one may serve a whole list.
    LogitsMask = "logits_mask";
    /// The ground truth: `(batch,)` or `(batch, length)`, classes from 0; a list where logits are.
    Labels = "labels";
    /// The model's own hard-label loss: one value per label, `(batch,)` or `(batch, length)`, or a scalar
    /// that is their mean over what counts; several are added up. Where the adaptor gives integer
    /// [`Labels`] of its shape (or of any, for a scalar), one whose label is -100 does not count; a model
    /// may say otherwise by [`Forward::losses_count`](crate::model::Forward::losses_count).
    Losses = "losses";
    /// Attention maps, one a layer: `(batch, heads, length, length)`.
    Attention = "attention";
    /// Hidden states, embeddings first: layers + 1 tensors of `(batch, length, width)`.
    Hidden = "hidden";
    /// Which input positions are not padding: `(batch, length)`, 0 or 1.
    InputsMask = "inputs_mask";
    /// Query vectors, one tensor a layer: `(batch, length, heads x head width)`.
    Query = "query";
    /// Key vectors, one tensor a layer: `(batch, length, heads x head width)`.
    Key = "key";
    /// Value vectors, one tensor a layer: `(batch, length, heads x head width)`.
    Value = "value";
    /// One vector an example, such as a sentence embedding: `(batch, width)`.
    Embedding = "embedding";
    /// Which row of the data an example is, from 0, whatever the order of the epoch: `(batch,)`, int64.
    Index = "index";
    /// Which of several teachers an example learns from, counted from 0: `(batch,)`, int64.
    TeacherIndex = "teacher_index";
    /// The matrix that makes logits of the last hidden states: `(classes, width)`.
    OutputWeight = "output_weight";
    /// The tokens that the logits are about: `(batch, length)`, int64.
    TokenIds = "token_ids";
    /// Where each token ends in the text, in bytes of its UTF-8 from the start of the text that both
    /// sides read: `(batch, length)`, int64; -1 for what is no part of it.
    ByteEnds = "byte_ends";
}

/// The role that says which positions of another count; `None` for roles without positions.
pub fn mask_of(role: &str) -> Option<&'static str> {
    match role {
        Logits::NAME => Some(LogitsMask::NAME),
        Hidden::NAME | Attention::NAME | Query::NAME | Key::NAME | Value::NAME => Some(InputsMask::NAME),
        _ => None,
    }
}
