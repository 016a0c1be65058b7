//! What the example programs share: settings, one way to train, the data they read, and the final table.
//!
//! Each program in `bin` shows one front door on real data; `sentiment` shows every switch.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

pub mod classify;
mod clock;
mod language_model;
mod memory;
mod reviews;
mod settings;
mod table;
mod tokens;
mod training;

pub use clock::Clock;
pub use language_model::{LanguageModel, distilled_from};
pub use memory::Sampler;
pub use reviews::{Reviews, ReviewsFile, open_reviews, spread};
pub use settings::{Settings, Training, run};
pub use table::Comparison;
pub use tokens::{mixed, token_chunks, write_token_chunks};
pub use training::{configured, every, matches, score, train};
