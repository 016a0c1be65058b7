//! `#[adaptor]`: an adaptor written by hand, one function per role.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, Pat, PatType, Path, ReturnType, Type};

use crate::given::{self, Given};
use crate::problems::Problems;
use crate::provide::{AdaptorType, batch_at, output_at};
use crate::role::Role;
use crate::settings::{Settings, Takes};
use crate::tokens::{located, outliving, referenced};

/// Expands `#[adaptor]`; the user's item is always part of it.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut problems = Problems::default();
    let Ok(block) = syn::parse2::<ItemImpl>(item.clone()) else {
        problems.add(syn::Error::new_spanned(
            &item,
            "`#[adaptor]` goes on an `impl` with one function per role: `fn logits(output: &Prediction) -> &Tensor`",
        ));
        let problems = problems.into_compile_errors();
        return quote!(#item #problems);
    };
    let settings = Settings::parse(arguments, Takes::BatchAndOutput, &mut problems);
    on_impl(settings, block, problems)
}

fn on_impl(mut settings: Settings, mut block: ItemImpl, mut problems: Problems) -> TokenStream {
    if let Some((path, _)) = &block.trait_ {
        problems.add(syn::Error::new_spanned(
            path,
            "`#[adaptor]` goes on an `impl` of its own and writes `impl Adaptor` itself",
        ));
    }
    for function in functions(&mut block) {
        infer(&mut settings, function);
    }
    let adaptor = (*block.self_ty).clone();
    let mut given = Vec::new();
    for function in functions(&mut block) {
        given.extend(role_of(&adaptor, function, &settings, &mut problems));
    }
    if given.is_empty() && problems.is_empty() {
        problems.add(syn::Error::new_spanned(
            &adaptor,
            "an adaptor must provide at least one role: add `fn logits`, `fn hidden` or another",
        ));
    }
    let provided = given::check(given, &mut problems);
    let (Some(batch), Some(output)) = (&settings.batch, &settings.output) else {
        problems.add(syn::Error::new_spanned(
            &adaptor,
            "no function says what the batch and the output are: write `#[adaptor(batch = …, output = …)]`",
        ));
        let problems = problems.into_compile_errors();
        return quote!(#block #problems);
    };
    let generics = outliving(&block.generics);
    let types = AdaptorType { adaptor: &adaptor, generics: &generics, batch, output };
    if problems.is_empty() {
        let implementations = types.expand(&provided);
        return quote!(#block #implementations);
    }
    let (problems, stand_in) = (problems.into_compile_errors(), types.stand_in());
    quote!(#block #problems #stand_in)
}

fn functions(block: &mut ItemImpl) -> impl Iterator<Item = &mut ImplItemFn> {
    block.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function),
        _ => None,
    })
}

/// Learns the two types from arguments that are named `batch` and `output`.
fn infer(settings: &mut Settings, function: &ImplItemFn) {
    for argument in arguments(function) {
        let place = match name(argument).as_deref() {
            Some("batch") => &mut settings.batch,
            Some("output") => &mut settings.output,
            _ => continue,
        };
        if place.is_none() {
            *place = referenced(&argument.ty).cloned();
        }
    }
}

fn arguments(function: &ImplItemFn) -> impl Iterator<Item = &PatType> {
    function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })
}

/// The name of an argument; one that is not used may start with an underscore.
fn name(argument: &PatType) -> Option<String> {
    match &*argument.pat {
        Pat::Ident(pattern) => Some(pattern.ident.to_string().trim_start_matches('_').to_owned()),
        _ => None,
    }
}

/// The role that a function gives; its `#[role]` is taken off.
fn role_of(
    adaptor: &Type,
    function: &mut ImplItemFn,
    settings: &Settings,
    problems: &mut Problems,
) -> Option<Given> {
    let (roles, others): (Vec<Attribute>, _) = std::mem::take(&mut function.attrs)
        .into_iter()
        .partition(|attribute| attribute.path().is_ident("role"));
    function.attrs = others;
    let word = &function.sig.ident;
    let role = match roles.first() {
        Some(attribute) => attribute.parse_args_with(Path::parse_mod_style).and_then(|path| Role::of(&path)),
        None => Role::of_word(word).map_err(|message| {
            syn::Error::new(
                word.span(),
                format!("{message} (a function that gives no role belongs in another `impl`; one that gives a role of your own carries `#[role(self::…)]`)"),
            )
        }),
    };
    let role = problems.keep(role);
    if let Some(second) = roles.get(1) {
        problems.add(syn::Error::new_spanned(second, "a function provides one role; this is its second"));
    }
    if let Some(receiver) = function.sig.receiver() {
        problems.add(syn::Error::new_spanned(
            receiver,
            "an adaptor has no state: its functions take `batch: &…`, `output: &…` or both",
        ));
    }
    let values: Vec<_> = arguments(function).map(|argument| read(argument, settings)).collect();
    let from_batch = values.iter().flatten().all(|value| value.from_batch);
    let values: Vec<_> =
        values.into_iter().filter_map(|value| problems.keep(value)).map(|value| value.variable).collect();
    let ReturnType::Type(_, returned) = &function.sig.output else {
        problems.at(word.span(), format!("`{word}` returns nothing: it must return the role's value, for instance `&Tensor` or `&[Tensor]`"));
        return None;
    };
    let at = returned.span();
    let value = quote_spanned!(located(at)=> <#adaptor>::#word(#(#values),*));
    Some(Given { role: role?, item: None, value, at, from_batch })
}

/// What an argument is given.
struct Read {
    variable: syn::Ident,
    from_batch: bool,
}

/// The batch or the output: by the argument's name, else by its type.
fn read(argument: &PatType, settings: &Settings) -> syn::Result<Read> {
    let ty = referenced(&argument.ty);
    let is = |key: &str, declared: &Option<Type>| match name(argument).as_deref() {
        Some(word @ ("batch" | "output")) => word == key,
        _ => ty.is_some() && ty == declared.as_ref(),
    };
    let at = argument.ty.span();
    if is("batch", &settings.batch) {
        Ok(Read { variable: batch_at(at), from_batch: true })
    } else if is("output", &settings.output) {
        Ok(Read { variable: output_at(at), from_batch: false })
    } else {
        Err(syn::Error::new_spanned(
            argument,
            "is this the batch or the output? Name it `batch` or `output`, or give it the type of one as a reference",
        ))
    }
}
