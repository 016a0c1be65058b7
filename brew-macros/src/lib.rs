//! brew's macros: they say what a model reads, what it returns, and what each part means to distillation.
//!
//! Use them through `brew_core::prelude`, which exports them. Read them in this order:
//!
//! 1. [`#[derive(Batch)]`](derive@Batch) on a struct: each field is a column of the data.
//! 2. [`#[distill]`](macro@distill) on the struct that a model returns: each field has a role. Then on the `impl` with
//!    `fn forward`: each argument is a column of the batch.
//! 3. [`#[adaptor]`](macro@adaptor): one function per role, if annotated fields are not enough.
//!
//! The examples here are parts of one program. `brew_core::adaptor` and `brew_core::batch` show it in full, compiled and
//! run as tests.
//!
//! All mistakes in an input are reported at once, at the user's own tokens, and the user's item is always kept. This file
//! has only the entry points and their documentation; each macro has a module that parses, checks, and expands. Code that
//! an expansion needs at run time is in `brew_core::__private`, so that little is written into the user's crate.

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
/// generates the adaptor `PredictionAdaptor`, a unit struct with the output's visibility, which provides these five
/// roles.
///
/// - `batch = Type` is the batch that the model reads: a struct with `#[derive(Batch)]`, or a tuple
///   of tensors.
/// - `role = column` assigns a role to a column of the batch: the name of a field, or a position in a tuple
///   (`labels = 1`). `labels = [start, end]` combines several columns into a list. `logit_scale = None` says that the
///   model has none.
/// - `#[role(name)]` assigns a role to a field; a field may have several. The table below lists the built-in roles. Your
///   own role is the path of a type that implements `brew_core::role::Role`, with at least one `::`, as in
///   `#[role(self::SentenceEmbedding)]`.
/// - `#[role(logits, item = 0)]` and `item = 1` combine several fields into a list, in that order.
/// - A field is a `Tensor`, a `Vec` or an array of them, or an `Option` of one of these.
///
/// `labels` follow `logits`: both are lists, or both are single tensors. A `logits_mask` needs `logits`, and one mask may
/// serve a whole list. The output must not have generic parameters.
///
/// | role | shape | what it is |
/// |---|---|---|
/// | `logits` | `(batch, classes)` or `(batch, length, classes)`; a list for several heads | scores before the softmax |
/// | `logits_mask` | `(batch, length)`, 0 or 1, or document numbers | which positions of the logits count |
/// | `labels` | `(batch,)` or `(batch, length)`, int64; a list if the logits are | the ground truth, classes from 0; -100 for no label |
/// | `losses` | `(batch,)`, or a scalar | the model's own hard-label loss, one value per example |
/// | `attention` | one `(batch, heads, length, length)` per layer | attention maps |
/// | `hidden` | layers + 1 of `(batch, length, width)` | hidden states, embeddings first |
/// | `inputs_mask` | `(batch, length)`, 0 or 1, or document numbers | which input positions are not padding |
/// | `query`, `key`, `value` | one `(batch, length, heads x head width)` per layer | the projections that attention works on |
/// | `embedding` | `(batch, width)` | one vector per example |
/// | `index` | `(batch,)`, int64 | which row of the data an example is |
/// | `teacher_index` | `(batch,)`, int64 | which of several teachers an example learns from |
/// | `output_weight` | `(classes, width)` | the matrix that turns the last hidden states into logits |
/// | `output_bias` | `(classes,)`, or `None` | the bias that is added to them |
/// | `logit_scale` | a scalar, or `None` | the number by which they are multiplied |
/// | `logit_softcap` | a scalar, or `None` | the bound to which a tanh limits them |
/// | `token_ids` | `(batch, length)`, int64 | the tokens that the logits belong to |
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
/// keeps the `impl` and adds an `impl Forward<Review>`, which calls `forward` with columns of the batch.
///
/// - Each argument receives the column with its name. If `batch` is written as a tuple, arguments receive the columns in
///   order, whatever their names; trailing columns may be omitted.
/// - An argument whose type is a reference to `Pass` receives the pass, in any position.
/// - A column `Tensor` is passed as `&Tensor` or `Option<&Tensor>`, a column `Option<Tensor>` as `Option<&Tensor>`.
/// - `forward` returns the output, or a `Result` of it whose error converts into brew's. The macro recognises a `Result`
///   by the last segment of the type's path.
/// - Type parameters of the `impl` are bound by `'static`.
#[proc_macro_attribute]
pub fn distill(arguments: TokenStream, item: TokenStream) -> TokenStream {
    distill::expand(arguments.into(), item.into()).into()
}

/// Makes an adaptor from functions, one per role.
///
/// Use it for what `#[distill]` on an output cannot express: a part of a tensor, a value computed from two others, or an
/// output type from another crate.
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
/// - A function is named after its role; [`macro@distill`] lists the roles. A function for your own role has any name and
///   the attribute `#[role(self::SentenceEmbedding)]`. Functions without a role belong in another `impl`.
/// - A function takes the batch, the output, or both, as references. Arguments are recognised by the names `batch` and
///   `output` (with or without a leading underscore), else by their type, if it is written as in the attribute.
/// - `batch = …` and `output = …` may be omitted if some function has an argument of that name.
/// - A function returns `Tensor`, `&Tensor`, `Vec<Tensor>`, `&[Tensor]`, or `[Tensor; N]`, or one of these in an `Option`
///   or in a `Result` with brew's error.
/// - Roles whose function does not take the output are available before a forward pass.
///
/// `labels` follow `logits`: both are lists, or both are single tensors. A `logits_mask` needs `logits`, and one mask may
/// serve a whole list.
#[proc_macro_attribute]
pub fn adaptor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    adaptor::expand(arguments.into(), item.into()).into()
}

/// Writes a macro next to one of brew's traits that forwards all its methods: `forward_loss!` for `Loss`.
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

/// Makes a struct a batch: each field is a column of the data, by name.
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
/// - `pad = number` pads rows to the longest of the batch. The number must fit the dtype, and is stored as an `f64`, so for
///   `i64` it must lie between -2^53 and 2^53. Without `pad`, all rows of a column of lists must have the same length.
/// - `nested` declares rows that are lists of lists: the tensor has shape (rows, most lists in a row, longest list).
/// - A field of type `Option<Tensor>` is a column that the data may lack. The macro recognises both types by the last
///   segment of their path and rejects aliases.
#[proc_macro_derive(Batch, attributes(column))]
pub fn batch(input: TokenStream) -> TokenStream {
    batch::expand(input.into()).into()
}
