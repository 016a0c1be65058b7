//! Attribute macros of brew.

use proc_macro::TokenStream;

/// What a model returns.
#[proc_macro_attribute]
pub fn distill(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// A hand-written adaptor.
#[proc_macro_attribute]
pub fn adaptor(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// A batch.
#[proc_macro_derive(Batch, attributes(column))]
pub fn batch(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
