//! `#[distill(batch = …)]` on an `impl`: calls `forward` with the columns it names.
//!
//! The macro sees no field of the batch. It writes `batch.attention_mask` at the user's own
//! argument, and the compiler says there which columns exist.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    FnArg, ImplItem, ImplItemFn, Index, ItemImpl, Pat, PatType, ReceiverKind, ReturnType, Signature, Type,
    TypeTuple,
};

use crate::problems::Problems;
use crate::provide::batch_at;
use crate::settings::{Settings, Takes};
use crate::tokens::{first_argument, is_named, last_segment, located, outliving, referenced};

/// The `impl` as it is, and `Forward` beside it.
pub(super) fn expand(arguments: TokenStream, block: &ItemImpl) -> TokenStream {
    let mut problems = Problems::default();
    let settings = Settings::parse(arguments, Takes::Batch, &mut problems);
    let implementation = implementation(&settings, block, &mut problems);
    let problems = problems.into_compile_errors();
    quote!(#block #problems #implementation)
}

/// `Forward`, even beside mistakes if its types are known, so that nothing else fails.
fn implementation(settings: &Settings, block: &ItemImpl, problems: &mut Problems) -> Option<TokenStream> {
    let model = &block.self_ty;
    if let Some((path, _)) = &block.trait_ {
        problems.add(syn::Error::new_spanned(
            path,
            "`#[distill]` goes on the model's own `impl`, not on the `impl` of a trait",
        ));
        return None;
    }
    if settings.batch.is_none() {
        problems.add(syn::Error::new_spanned(
            model,
            "`#[distill]` needs the batch that `forward` reads: `#[distill(batch = …)]`",
        ));
    }
    let Some(forward) = forward_of(block) else {
        problems.add(syn::Error::new_spanned(
            model,
            "this `impl` has no `fn forward`: `#[distill]` goes on the one that does",
        ));
        return None;
    };
    check_receiver(&forward.sig, problems);
    let output = Output::of(&forward.sig, problems);
    let batch = settings.batch.as_ref()?;
    let (values, reads) = values(&forward.sig, batch, problems);
    let Output { ty: output, fallible } = output?;

    let name = &forward.sig.ident;
    let body = if !problems.is_empty() {
        quote!(::core::unimplemented!())
    } else if fallible {
        quote!(::brew_core::__private::returned(Self::#name(self, #(#values),*)))
    } else {
        quote!(::core::result::Result::Ok(Self::#name(self, #(#values),*)))
    };
    let (batch_variable, pass) = (batch_at(name.span()), pass_at(name));
    let generics = outliving(&block.generics);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    Some(quote! {
        #[automatically_derived]
        impl #impl_generics ::brew_core::model::Forward<#batch> for #model #where_clause {
            type Output = #output;
            fn run(
                &self,
                #batch_variable: &#batch,
                #pass: &::brew_core::pass::Pass,
            ) -> ::brew_core::Result<#output> {
                #body
            }
            fn reads(&self) -> ::core::option::Option<::std::vec::Vec<::std::string::String>> {
                ::core::option::Option::Some(::std::vec![#(#reads.to_owned()),*])
            }
        }
    })
}

fn forward_of(block: &ItemImpl) -> Option<&ImplItemFn> {
    block.items.iter().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == "forward" => Some(function),
        _ => None,
    })
}

/// The variable that holds the pass.
fn pass_at(token: &Ident) -> Ident {
    Ident::new("pass", located(token.span()))
}

fn check_receiver(signature: &Signature, problems: &mut Problems) {
    let by_reference = signature
        .receiver()
        .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None)));
    if !by_reference {
        let place =
            signature.receiver().map_or_else(|| signature.ident.to_token_stream(), ToTokens::to_token_stream);
        problems.add(syn::Error::new_spanned(place, "`forward` takes the model as `&self`"));
    }
}

/// What `forward` returns.
struct Output {
    ty: Type,
    fallible: bool,
}

impl Output {
    fn of(signature: &Signature, problems: &mut Problems) -> Option<Output> {
        let ReturnType::Type(_, returned) = &signature.output else {
            problems.at(signature.ident.span(), "`forward` returns nothing: it returns the model's output");
            return None;
        };
        if !is_named(returned, "Result") {
            return Some(Output { ty: (**returned).clone(), fallible: false });
        }
        match last_segment(returned).and_then(first_argument) {
            Some(output) => Some(Output { ty: output.clone(), fallible: true }),
            None => {
                problems.add(syn::Error::new_spanned(
                    returned,
                    "this `Result` hides the output: write it out, `Result<Prediction>`",
                ));
                None
            }
        }
    }
}

/// One expression per argument, and the names of the columns among them.
fn values(signature: &Signature, batch: &Type, problems: &mut Problems) -> (Vec<TokenStream>, Vec<String>) {
    let arguments = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    });
    let mut position = 0;
    let (mut values, mut reads) = (Vec::new(), Vec::new());
    for argument in arguments {
        if referenced(&argument.ty).is_some_and(|ty| is_named(ty, "Pass")) {
            values.push(Ident::new("pass", located(argument.span())).to_token_stream());
            continue;
        }
        let column = match batch {
            Type::Tuple(tuple) => by_position(argument, position, tuple),
            _ => by_name(argument),
        };
        position += 1;
        if let Some(column) = problems.keep(column) {
            reads.push(column.to_string().trim_start_matches("r#").to_owned());
            let at = argument.pat.span();
            let batch = batch_at(at);
            values.push(quote_spanned!(located(at)=> ::brew_core::__private::argument(&#batch.#column)));
        }
    }
    (values, reads)
}

fn by_position(argument: &PatType, position: usize, batch: &TypeTuple) -> syn::Result<TokenStream> {
    let count = batch.elems.len();
    if position < count {
        let mut index = Index::from(position);
        index.span = argument.pat.span();
        return Ok(index.to_token_stream());
    }
    Err(syn::Error::new_spanned(
        &argument.pat,
        format!("argument {position} (counted from 0) has no column: the batch is a tuple of {count}"),
    ))
}

fn by_name(argument: &PatType) -> syn::Result<TokenStream> {
    match &*argument.pat {
        Pat::Ident(pattern) => Ok(pattern.ident.to_token_stream()),
        pattern => Err(syn::Error::new_spanned(
            pattern,
            "an argument is matched to a column of the batch by its name: give it the column's name",
        )),
    }
}
