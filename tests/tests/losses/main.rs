//! Losses against TextBrewer's values, finite differences, padding, and low precision.
//!
//! [`cases`] lists every loss with the inputs of the golden values; properties that all of them must have are tested over
//! that list.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

mod attention;
mod cases;
mod chunked;
mod divergences;
mod features;
mod gradients;
mod gram;
mod logits;
mod logits_properties;
mod mismatches;
mod one_logit;
mod output_layers;
mod padding;
mod padding_rows;
mod paths;
mod plans;
mod precision;
mod sparse;
mod tagger;
mod values;
mod vocabularies;
mod windows;
mod wrappers;
