//! `#[forwarded]` writes a macro beside a trait that forwards all its methods; `#[forwards]` calls it in a
//! wrapper's impl for every method that the impl does not write itself.
//!
//! A handwritten wrapper that forgets a method with a default still compiles, and returns the default instead of what
//! it wraps. Here the methods come from the trait and the exceptions from the impl, so no method can be forgotten.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, Ident, ImplItem, ItemImpl, ItemTrait, Pat, ReceiverKind, Signature, TraitItem};

/// The trait, with the macro beside it.
pub(crate) fn expand_trait(item: TokenStream) -> TokenStream {
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

/// The impl with its missing methods added; `to` is what they are forwarded to, `|this| this.inner`.
pub(crate) fn expand_impl(to: &TokenStream, item: TokenStream) -> TokenStream {
    match with_forwarded(to, item.clone()) {
        Ok(whole) => whole,
        Err(error) => {
            let error = error.into_compile_error();
            quote! { #item #error }
        }
    }
}

fn with_forwarded(to: &TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut item: ItemImpl = syn::parse2(item)?;
    let of = item.trait_.as_ref().and_then(|(.., path, _)| path.segments.last());
    let of = of.ok_or_else(|| syn::Error::new_spanned(&item.self_ty, "only a trait's impl can forward"))?;
    let name = macro_name(&of.ident);
    let own = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(&method.sig.ident),
        _ => None,
    });
    let call: ImplItem = syn::parse_quote! { #name! { #to; #(#own)* } };
    item.items.push(call);
    Ok(quote! { #item })
}

fn macro_name(of: &Ident) -> Ident {
    format_ident!("forward_{}", of.to_string().to_lowercase())
}

/// `forward_loss!` of `trait Loss`.
fn macro_of(item: &ItemTrait) -> TokenStream {
    let (of, name) = (&item.ident, macro_name(&item.ident));
    let methods = item.items.iter().filter_map(|item| match item {
        TraitItem::Fn(method) => Some(&method.sig),
        _ => None,
    });
    let methods: Vec<_> = methods.collect();
    let names = methods.iter().map(|method| &method.ident);
    let rules = methods.iter().map(|method| rules_of(of, &name, method));
    let doc = format!(
        "The methods of [`{of}`], forwarded to a place in `self`, except for those that the wrapper has itself."
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

/// The forwarded method, or nothing if the wrapper has its own.
fn rules_of(of: &Ident, name: &Ident, method: &Signature) -> TokenStream {
    let ident = &method.ident;
    let borrowed = match method.receiver().map(|receiver| &receiver.kind) {
        Some(ReceiverKind::Reference(_, _, Some(_))) => quote! { &mut },
        _ => quote! { & },
    };
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
                #of::#ident(#borrowed $to #(, #arguments)*)
            }
        };
    }
}
