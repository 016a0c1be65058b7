//! Chats as the text that a model was trained on: messages, and the template of a model's folder.
//!
//! `message.rs` and `conversation.rs` hold what is said, `template.rs` renders it, `files.rs` finds the templates of a
//! folder, `compiled.rs` compiles them,
//! `environment.rs` gives Jinja what transformers gives it, `json.rs` is Python's `json.dumps`, and
//! `generation.rs` finds which parts of a rendered text the assistant wrote.

mod compiled;
pub(crate) mod conversation;
mod environment;
mod files;
mod generation;
mod json;
pub(crate) mod message;
pub(crate) mod template;
