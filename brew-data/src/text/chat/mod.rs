//! Chats as the text that a model was trained on: messages, and the template of a model's folder.
//!
//! `message.rs` holds the messages, `template.rs` renders them, `files.rs` finds the template of a folder,
//! `environment.rs` gives Jinja what transformers gives it, `json.rs` is Python's `json.dumps`, and
//! `generation.rs` finds which parts of a rendered text the assistant wrote.

mod environment;
mod files;
mod generation;
mod json;
pub(crate) mod message;
pub(crate) mod template;
