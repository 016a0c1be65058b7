//! Lets the student answer the prompts of its own training: rows in, rows out, before anything of them is counted.
//!
//! A [`Rollout`] says how. It turns the rows of one optimizer step, as [`TextRow`]s, into the rows that are learnt: the
//! prompt with the student's answer in place of the data's. Every draw depends on nothing but the seed, the step, the
//! row's number in the step, the answer's number and the token's position, so a step has the same rows however they are
//! divided into batches, and a run that resumes repeats them.
//!
//! [`Pipeline::on_policy`](crate::distill::Pipeline::on_policy) puts a rollout into a plan, and
//! [`OnPolicy`](crate::distill::OnPolicy) has the settings of published methods.

mod settings;
mod text_row;
mod write;

pub use settings::Rollout;
pub use text_row::TextRow;

/// The error for a student that writes no text.
pub(crate) const CANNOT_WRITE: &str = "the student cannot write texts: `Model::causal_lm` returns nothing for its type; take a `DecoderForCausalLm`, or implement `causal_lm` for your own model (a student in an `Arc<Mutex<…>>` is not supported yet)";
