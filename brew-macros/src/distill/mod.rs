//! `#[distill]`: on the struct a model returns, or on the `impl` that holds its `forward`.

mod forward;
mod output;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;
use syn::spanned::Spanned;

use crate::problems::Problems;

/// Expands `#[distill]`; the user's item is always part of it.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(Item::Struct(structure)) => output::expand(arguments, structure),
        Ok(Item::Impl(block)) => forward::expand(arguments, &block),
        Ok(other) => {
            let mut problems = Problems::default();
            problems.at(
                other.span(),
                "`#[distill]` goes on the struct that a model returns, or on the `impl` with its `fn forward`",
            );
            let problems = problems.into_compile_errors();
            quote!(#item #problems)
        }
        // The compiler explains what does not parse.
        Err(_) => item,
    }
}
