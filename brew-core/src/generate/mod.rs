//! Lets a causal language model write: prompts in, answers out.
//!
//! [`generate`] reads a batch of prompts and appends tokens until each answer has ended, chosen greedily or drawn at
//! random. [`GenerationConfig`] says how; its names, processors and their order are those of Python's transformers. A draw
//! depends on nothing but the seed, the prompt's number, the answer's number and the token's position in the answer, so
//! batches of any size and padding give the same answers.

mod config;
mod config_file;
mod draws;
mod processors;
mod prompts;
mod run;
mod writing;
mod written;

pub use config::GenerationConfig;
pub use prompts::Prompts;
pub use run::{Chosen, generate, generate_streaming};
pub use written::{Generation, LogProbs};
