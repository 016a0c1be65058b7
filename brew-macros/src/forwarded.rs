//! `#[forwarded]`: a trait, and beside it a macro that forwards all its methods.
//!
//! A wrapper that forwards by hand compiles without a method that has a default, and answers with the
//! default in place of what it wraps. The macro is written from the trait itself, so no method can be
//! forgotten, today's or tomorrow's.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, ItemTrait, Pat, TraitItem};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(parsed) => {
            let forwarding = macro_of(&parsed);
            quote! { #item #forwarding }
        }
        Err(error) => {
            let error = error.into_compile_error();
            quote! { #item #error }
        }
    }
}

/// `forward_loss!` of `trait Loss`.
fn macro_of(item: &ItemTrait) -> TokenStream {
    let name = format_ident!("forward_{}", item.ident.to_string().to_lowercase());
    let of = &item.ident;
    let methods = item.items.iter().filter_map(|item| match item {
        TraitItem::Fn(method) => Some(&method.sig),
        _ => None,
    });
    let methods: Vec<_> = methods.collect();
    let names = methods.iter().map(|method| &method.ident);
    let rules = methods.iter().map(|method| {
        let ident = &method.ident;
        let arguments = method.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(pattern) => Some(&pattern.ident),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        });
        quote! {
            (@ #ident [#ident $($own:ident)*] |$this:ident| $to:expr) => {};
            (@ #ident [$other:ident $($own:ident)*] |$this:ident| $to:expr) => {
                #name! { @ #ident [$($own)*] |$this| $to }
            };
            (@ #ident [] |$this:ident| $to:expr) => {
                #method {
                    let $this = self;
                    #of::#ident($to #(, #arguments)*)
                }
            };
        }
    });
    let doc = format!(
        "The methods of [`{of}`], forwarded to what the expression makes of `self`, but for those that the wrapper has itself."
    );
    quote! {
        #[doc = #doc]
        macro_rules! #name {
            (|$this:ident| $to:expr; $($own:ident)*) => {
                #(#name! { @ #names [$($own)*] |$this| $to })*
            };
            #(#rules)*
        }
    }
}
