//! Attribute macros of brew: what a model returns, and what each part means to distillation.
//!
//! This file holds the doors and their documentation; behind each is a room of ordinary code that
//! parses, checks and expands. What an expansion needs at run time is a function of
//! `brew_core::__private`, so that little code is written into a user's crate. All mistakes of one
//! input are reported at once, at the user's own tokens, and the user's item is always kept.
//!
//! The examples here are pieces of one program; `brew_core::adaptor` and `brew_core::batch` show it
//! whole, and there it is compiled and run.

mod adaptor;
mod batch;
mod distill;
mod forwarded;
mod given;
mod names;
mod problems;
mod provide;
mod role;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

use proc_macro::TokenStream;

/// Says what the parts of a model's output mean to distillation, or which columns its `forward`
/// reads.
///
/// # On the struct that a model returns
///
/// ```text
/// #[distill(batch = Review, inputs_mask = attention_mask, labels = labels)]
/// struct Prediction {
///     #[role(logits)] logits: Tensor,             // (batch, classes)
///     #[role(hidden)] hidden_states: Vec<Tensor>, // layers + 1 of (batch, length, width)
///     #[role(losses)] loss: Option<Tensor>,       // (batch,)
/// }
/// ```
///
/// makes the adaptor `PredictionAdaptor`, a unit struct as visible as the output, which provides
/// these five roles.
///
/// - `batch = Type` is the batch that the model reads: a struct with `#[derive(Batch)]`, or a tuple
///   of tensors.
/// - `role = column` gives a role a column of the batch: its field, or its position in a tuple
///   (`labels = 1`). `labels = [start, end]` makes a list of several columns.
/// - `#[role(name)]` gives a field a role; a field may carry several. The table below has the built-in
///   roles. A role of a user's own is the path of a type that implements `brew_core::role::Role`, and has
///   at least one `::`, as in `#[role(self::SentenceEmbedding)]`.
/// - `#[role(logits, item = 0)]` and `item = 1` make a list of several fields, in that order.
/// - A field is a `Tensor`, a `Vec` or an array of them, or an `Option` of one of these.
///
/// `labels` follow `logits`: both are lists, or both single tensors. A `logits_mask` needs `logits`,
/// and one mask may serve a whole list. The output has no generic parameters.
///
/// | role | shape | what it is |
/// |---|---|---|
/// | `logits` | `(batch, classes)` or `(batch, length, classes)`; a list for several heads | scores before the softmax |
/// | `logits_mask` | `(batch, length)`, 0 or 1 | which positions of the logits count |
/// | `labels` | `(batch,)` or `(batch, length)`, int64; a list where the logits are | the ground truth, classes from 0; -100 where there is none |
/// | `losses` | `(batch,)`, or a scalar | the model's own hard-label loss, one value per example |
/// | `attention` | one `(batch, heads, length, length)` per layer | attention maps |
/// | `hidden` | layers + 1 of `(batch, length, width)` | hidden states, embeddings first |
/// | `inputs_mask` | `(batch, length)`, 0 or 1 | which input positions are not padding |
/// | `query`, `key`, `value` | one `(batch, length, heads x head width)` per layer | what attention computes its maps from |
/// | `embedding` | `(batch, width)` | one vector per example |
/// | `index` | `(batch,)`, int64 | which row of the data an example is |
/// | `teacher_index` | `(batch,)`, int64 | which of several teachers an example learns from |
/// | `output_weight` | `(classes, width)` | the matrix that makes logits of the last hidden states |
/// | `token_ids` | `(batch, length)`, int64 | the tokens that the logits are about |
/// | `byte_ends` | `(batch, length)`, int64 | where each token ends in the text, in bytes; -1 outside it |
///
/// # On the `impl` with `fn forward`
///
/// ```text
/// #[distill(batch = Review)]
/// impl Classifier {
///     fn forward(&self, input_ids: &Tensor, labels: Option<&Tensor>, pass: &Pass) -> Result<Prediction> { /* … */ }
/// }
/// ```
///
/// keeps the `impl` and writes `Forward<Review>` beside it, which calls `forward` with columns of the
/// batch.
///
/// - An argument is given the column of its name. Where `batch` is written as a tuple, the first
///   argument is given the first column, whatever the names; columns at the end may be left out.
/// - An argument whose type is a reference to `Pass` is given the pass, wherever it stands.
/// - A column `Tensor` is passed as `&Tensor` or `Option<&Tensor>`, a column `Option<Tensor>` as
///   `Option<&Tensor>`.
/// - `forward` returns the output, or a `Result` of it whose error converts into brew's; the type is
///   taken for a `Result` by its last path segment.
/// - Type parameters of the `impl` are bound by `'static`.
#[proc_macro_attribute]
pub fn distill(arguments: TokenStream, item: TokenStream) -> TokenStream {
    distill::expand(arguments.into(), item.into()).into()
}

/// Makes an adaptor of functions, one a role.
///
/// For what `#[distill]` on an output cannot say: a part of a tensor, a value computed of two, an
/// output type of another crate.
///
/// ```text
/// struct StudentView;
///
/// #[adaptor(batch = Review, output = Prediction)]
/// impl StudentView {
///     fn logits(output: &Prediction) -> &Tensor { &output.logits }
///     fn hidden(output: &Prediction) -> &[Tensor] { &output.hidden_states }
///     fn inputs_mask(batch: &Review) -> &Tensor { &batch.attention_mask }
/// }
/// ```
///
/// - A function is named after its role; [`macro@distill`] lists the roles. One for a role of a user's own has any name and carries
///   `#[role(self::SentenceEmbedding)]`. Functions that give no role belong in another `impl`.
/// - A function takes the batch, the output or both, as references. An argument named `batch` or
///   `output` (a leading underscore does not matter) is that one; one of another name is known by
///   its type, if that is written as in the attribute.
/// - `batch = …` and `output = …` may be left out where some function has an argument of that name.
/// - A function returns `Tensor`, `&Tensor`, `Vec<Tensor>`, `&[Tensor]` or `[Tensor; N]`, or one of
///   these in an `Option` or a `Result` with brew's error.
/// - Roles whose function does not take the output are known before a forward pass.
///
/// `labels` follow `logits`: both are lists, or both single tensors. A `logits_mask` needs `logits`,
/// and one mask may serve a whole list.
#[proc_macro_attribute]
pub fn adaptor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    adaptor::expand(arguments.into(), item.into()).into()
}

/// Writes a macro beside a trait of brew's own that forwards all its methods: `forward_loss!` of `Loss`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn forwarded(_: TokenStream, item: TokenStream) -> TokenStream {
    forwarded::expand_trait(item.into()).into()
}

/// Forwards every method of such a trait that the impl does not write itself:
/// `#[forwards(|this| this.loss)] impl Loss for Wrapper`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn forwards(to: TokenStream, item: TokenStream) -> TokenStream {
    forwarded::expand_impl(&to.into(), item.into()).into()
}

/// Makes a batch of a struct: each field is a column of the data, by name.
///
/// ```text
/// #[derive(Batch)]
/// struct Review {
///     #[column(i64, pad = 0)] input_ids: Tensor,      // (batch, length)
///     #[column(i64, pad = 0)] attention_mask: Tensor, // (batch, length), 0 or 1
///     #[column(i64)]          labels: Option<Tensor>, // (batch,); absent when predicting
/// }
/// ```
///
/// - The dtype is one of `i64`, `i32`, `i16`, `i8`, `u8`, `f64`, `f32`, `f16`, `bf16` and `bool`.
/// - `pad = number` fills rows up to the longest of the batch. It must fit the dtype; a pad travels
///   as an `f64`, so that one of an `i64` lies within 2^53 on either side of 0. Without it a column
///   of lists must have rows of one length.
/// - `nested` says that rows are lists of lists: the tensor is (rows, longest list, longest list in one).
/// - A field of type `Option<Tensor>` is a column that the data may lack. Both types are known by
///   their last path segments, so an alias is refused.
#[proc_macro_derive(Batch, attributes(column))]
pub fn batch(input: TokenStream) -> TokenStream {
    batch::expand(input.into()).into()
}
