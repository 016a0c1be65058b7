//! What brew-data promises, seen from outside: sources, tokens, order, batches, and bad input.

mod bad_input;
mod batches;
mod loading;
mod order;
mod prefetch;
mod reviews;
mod sources;
mod tokenizing;
