//! Writes the `impl`s of an adaptor: what it reads, and which roles it provides.
//!
//! Every value is read in one place, at the user's own tokens; the generic function that reads it
//! carries the message for a type that a role cannot have. `read` falls through to `read_batch`, so
//! that no value is written twice.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Generics, Type, parse_quote};

use crate::given::{Provided, Value};
use crate::tokens::located;

/// An adaptor and the two types it reads.
pub(crate) struct AdaptorType<'a> {
    /// The adaptor.
    pub(crate) adaptor: &'a Type,
    /// The generics of its `impl`.
    pub(crate) generics: &'a Generics,
    /// The batch it reads.
    pub(crate) batch: &'a Type,
    /// The output it reads.
    pub(crate) output: &'a Type,
}

/// The variable that expressions read the batch from, shown at this span.
pub(crate) fn batch_at(span: Span) -> Ident {
    Ident::new("batch", located(span))
}

/// The variable that expressions read the output from, shown at this span.
pub(crate) fn output_at(span: Span) -> Ident {
    Ident::new("output", located(span))
}

impl AdaptorType<'_> {
    /// `Adaptor`, and one `Provides` per role.
    pub(crate) fn expand(&self, provided: &[Provided]) -> TokenStream {
        let (adaptor, batch, output) = (self.adaptor, self.batch, self.output);
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        let names = provided.iter().map(|provided| provided.role.name());
        let provides = provided.iter().map(|provided| {
            let (role, at) = (provided.role.marker(), located(provided.role.span()));
            // All at the role's span: that is where the compiler reports a path that names no role.
            quote_spanned! {at=>
                #[automatically_derived]
                impl #impl_generics ::brew_core::adaptor::Provides<#role> for #adaptor #where_clause {}
            }
        });
        let reads_batch = provided.iter().any(reads_both);
        let read = read(provided);
        let read_batch = read_batch(provided);
        quote! {
            #[automatically_derived]
            impl #impl_generics ::brew_core::adaptor::Adaptor for #adaptor #where_clause {
                type Batch = #batch;
                type Output = #output;
                const ROLES: &'static [&'static str] = &[#(#names),*];
                const READS_BATCH: bool = #reads_batch;
                #read
                #read_batch
            }
            #(#provides)*
        }
    }

    /// Stands in for [`AdaptorType::expand`] beside a mistake: it provides every role, so that the
    /// mistake is the only message.
    pub(crate) fn stand_in(&self) -> TokenStream {
        let (adaptor, batch, output) = (self.adaptor, self.batch, self.output);
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        let mut with_role = self.generics.clone();
        with_role.params.push(parse_quote!(AnyRole: ::brew_core::role::Role));
        let (any_role, _, _) = with_role.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #impl_generics ::brew_core::adaptor::Adaptor for #adaptor #where_clause {
                type Batch = #batch;
                type Output = #output;
                const ROLES: &'static [&'static str] = &[];
                fn read(_: &str, _: &Self::Batch, _: &Self::Output) -> ::brew_core::__private::Read {
                    ::core::result::Result::Ok(::core::option::Option::None)
                }
                fn read_batch(_: &str, _: &Self::Batch) -> ::brew_core::__private::Read {
                    ::core::result::Result::Ok(::core::option::Option::None)
                }
            }
            #[automatically_derived]
            impl #any_role ::brew_core::adaptor::Provides<AnyRole> for #adaptor #where_clause {}
        }
    }
}

fn read(provided: &[Provided]) -> TokenStream {
    let (batch, output) = (batch_at(Span::call_site()), output_at(Span::call_site()));
    let arms = arms(provided, false);
    let checks = arity_checks(provided);
    // The values of some adaptors come from the batch alone.
    let output = if arms.is_empty() { quote!(_) } else { output.to_token_stream() };
    let rest = quote!(Self::read_batch(role, #batch));
    let body = if arms.is_empty() { rest } else { quote!(match role { #(#arms)* _ => #rest, }) };
    quote! {
        fn read(
            role: &str,
            #batch: &Self::Batch,
            #output: &Self::Output,
        ) -> ::brew_core::__private::Read {
            #checks
            #body
        }
    }
}

fn read_batch(provided: &[Provided]) -> TokenStream {
    let batch = batch_at(Span::call_site());
    let arms = arms(provided, true);
    let nothing = quote!(::core::result::Result::Ok(::core::option::Option::None));
    if arms.is_empty() {
        return quote! {
            fn read_batch(_: &str, _: &Self::Batch) -> ::brew_core::__private::Read {
                #nothing
            }
        };
    }
    quote! {
        fn read_batch(role: &str, #batch: &Self::Batch) -> ::brew_core::__private::Read {
            match role {
                #(#arms)*
                _ => #nothing,
            }
        }
    }
}

/// The arms of the roles that need a forward pass, or of those that do not.
fn arms(provided: &[Provided], from_batch: bool) -> Vec<TokenStream> {
    provided
        .iter()
        .enumerate()
        .filter(|(_, provided)| provided.from_batch == from_batch)
        .map(|(index, provided)| {
            let (pattern, value) = (provided.role.pattern(index), value(provided));
            quote!(#pattern => #value,)
        })
        .collect()
}

/// Whether a value that needs a forward pass also reads the batch. A field called `batch` counts as well, which is
/// harmless.
fn reads_both(provided: &Provided) -> bool {
    fn names_batch(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "batch",
            TokenTree::Group(group) => names_batch(group.stream()),
            _ => false,
        })
    }
    !provided.from_batch && names_batch(value(provided))
}

fn value(provided: &Provided) -> TokenStream {
    match &provided.value {
        Value::Whole(value) => {
            quote_spanned!(located(provided.at)=> ::brew_core::__private::feature(#value))
        }
        Value::Items(items) => quote! {
            ::brew_core::__private::items([#(::brew_core::__private::item(#items)),*])
        },
    }
}

/// Code that compiles only if `labels` and `logits_mask` fit `logits`; it never runs.
fn arity_checks(provided: &[Provided]) -> TokenStream {
    let Some(logits) = provided.iter().find(|provided| provided.role.is("logits")) else {
        return TokenStream::new();
    };
    let logits = witness(&logits.value);
    let checks = provided.iter().filter_map(|provided| {
        let function = match &provided.role {
            role if role.is("labels") => "labels_follow",
            role if role.is("logits_mask") => "mask_fits",
            _ => return None,
        };
        let function = Ident::new(function, located(provided.at));
        let value = witness(&provided.value);
        Some(quote_spanned! {located(provided.at)=>
            let _ = || ::brew_core::__private::#function(#logits, #value);
        })
    });
    quote!(#(#checks)*)
}

/// An expression of the value's type, or of a list's type if the value consists of items.
fn witness(value: &Value) -> TokenStream {
    match value {
        Value::Whole(value) => value.clone(),
        Value::Items(_) => quote!(::std::vec::Vec::<::brew_core::tch::Tensor>::new()),
    }
}
