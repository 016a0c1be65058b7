//! Collects the mistakes of one macro input, so that a user sees all of them in one build.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};

/// Mistakes found so far, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Problems(Option<syn::Error>);

impl Problems {
    /// Adds a mistake that already knows its tokens.
    pub(crate) fn add(&mut self, problem: syn::Error) {
        match &mut self.0 {
            Some(earlier) => earlier.combine(problem),
            none => *none = Some(problem),
        }
    }

    /// Adds a mistake at one token.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// The value, or its mistake added and `None`.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One `compile_error!` per mistake; empty without mistakes.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.map(syn::Error::into_compile_error).unwrap_or_default()
    }
}
