//! `#[distill]` on an output struct: an adaptor made from the roles of its fields.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Field, Index, ItemStruct, LitInt, Member, Path, Token, Type, parse_quote};

use crate::given::{self, Given, Item};
use crate::problems::Problems;
use crate::provide::{AdaptorType, batch_at, output_at};
use crate::role::Role;
use crate::settings::{Columns, Settings, Takes};
use crate::tokens::located;

/// The struct without its `#[role]`s, and its adaptor.
pub(super) fn expand(arguments: TokenStream, mut structure: ItemStruct) -> TokenStream {
    let mut problems = Problems::default();
    let settings = Settings::parse(arguments, Takes::BatchAndRoles, &mut problems);
    let mut given = roles_of_fields(&mut structure, &mut problems);
    given.extend(settings.columns.into_iter().flat_map(|(role, columns)| from_columns(&role, columns)));

    if given.is_empty() && problems.is_empty() {
        problems.at(
            structure.ident.span(),
            "no field has a role: an adaptor must provide at least one: put `#[role(logits)]` on the field of the logits, for instance",
        );
    }
    if !structure.generics.params.is_empty() {
        problems.add(syn::Error::new_spanned(
            &structure.generics,
            "an output with roles has no generic parameters: the adaptor made of it reads one concrete type",
        ));
    }
    let provided = given::check(given, &mut problems);
    let (name, visibility) = (&structure.ident, &structure.vis);
    let adaptor = format_ident!("{name}Adaptor");
    let documentation = format!("What the parts of [`{name}`] mean to distillation.");
    let definition = quote! {
        #structure
        #[doc = #documentation]
        #[derive(Debug, Clone, Copy, Default)]
        #visibility struct #adaptor;
    };
    let Some(batch) = settings.batch else {
        problems
            .at(name.span(), "`#[distill]` needs the batch that the model reads: `#[distill(batch = …)]`");
        let problems = problems.into_compile_errors();
        return quote!(#definition #problems);
    };
    let (adaptor, output): (Type, Type) = (parse_quote!(#adaptor), parse_quote!(#name));
    let adapted = quote! {
        impl ::brew_core::adaptor::Adapted for #output {
            type Adaptor = #adaptor;
        }
    };
    let types = AdaptorType {
        adaptor: &adaptor,
        generics: &syn::Generics::default(),
        batch: &batch,
        output: &output,
    };
    if problems.is_empty() {
        let implementations = types.expand(&provided);
        let tensors = of_tensors(&structure);
        return quote!(#definition #adapted #implementations #tensors);
    }
    let problems = problems.into_compile_errors();
    // A stand-in would name the output without its parameters.
    let stand_in = structure.generics.params.is_empty().then(|| {
        let stand_in = types.stand_in();
        quote!(#adapted #stand_in)
    });
    quote!(#definition #problems #stand_in)
}

/// Code that replaces each tensor of an output whose fields are all tensors: such an output can come with a batch.
fn of_tensors(structure: &ItemStruct) -> Option<TokenStream> {
    let all = structure.fields.iter().all(|field| is_of_tensors(&field.ty));
    if !all || structure.fields.is_empty() {
        return None;
    }
    let name = &structure.ident;
    let members: Vec<Member> = structure.fields.members().collect();
    Some(quote! {
        impl ::brew_core::batch::Output for #name {
            fn map(
                &self,
                change: &mut dyn ::core::ops::FnMut(
                    &::brew_core::tch::Tensor,
                ) -> ::brew_core::Result<::brew_core::tch::Tensor>,
            ) -> ::brew_core::Result<Self> {
                ::core::result::Result::Ok(#name {
                    #(#members: ::brew_core::batch::Output::map(&self.#members, change)?,)*
                })
            }
        }
    })
}

/// `Tensor`, `Option<…>` or `Vec<…>` of it.
fn is_of_tensors(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    match &last.arguments {
        syn::PathArguments::None => last.ident == "Tensor",
        syn::PathArguments::AngleBracketed(of) if last.ident == "Option" || last.ident == "Vec" => {
            matches!(of.args.first(), Some(syn::GenericArgument::Type(inner)) if is_of_tensors(inner))
        }
        _ => false,
    }
}

/// Takes the `#[role]`s off all fields.
fn roles_of_fields(structure: &mut ItemStruct, problems: &mut Problems) -> Vec<Given> {
    let mut given = Vec::new();
    for (index, field) in structure.fields.iter_mut().enumerate() {
        let member = match &field.ident {
            Some(name) => Member::Named(name.clone()),
            None => Member::Unnamed(Index::from(index)),
        };
        given.extend(roles_of(field, &member, problems));
    }
    given
}

/// Takes the `#[role]`s off a field.
fn roles_of(field: &mut Field, member: &Member, problems: &mut Problems) -> Vec<Given> {
    let (roles, others) =
        std::mem::take(&mut field.attrs).into_iter().partition(|attribute| attribute.path().is_ident("role"));
    field.attrs = others;
    let at = field.ty.span();
    let output = output_at(at);
    // A name written elsewhere than the type would stretch the message over both.
    let mut member = member.clone();
    match &mut member {
        Member::Named(name) => name.set_span(at.resolved_at(name.span())),
        Member::Unnamed(index) => index.span = at,
    }
    let value = quote_spanned!(located(at)=> &#output.#member);
    let roles: Vec<Attribute> = roles;
    roles
        .iter()
        .filter_map(|attribute| problems.keep(role_and_item(attribute)))
        .map(|(role, item)| Given { role, item, value: value.clone(), at, from_batch: false })
        .collect()
}

/// Reads `#[role(logits)]` or `#[role(logits, item = 0)]`.
fn role_and_item(attribute: &Attribute) -> syn::Result<(Role, Option<Item>)> {
    attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
        let role = Role::of(&Path::parse_mod_style(input)?)?;
        if input.is_empty() {
            return Ok((role, None));
        }
        input.parse::<Token![,]>()?;
        let key: syn::Ident = input.parse()?;
        if key != "item" {
            return Err(syn::Error::new(
                key.span(),
                "a role may be followed only by `item = …`; write a second role as a second `#[role(…)]`",
            ));
        }
        input.parse::<Token![=]>()?;
        let number: LitInt = input.parse()?;
        Ok((role, Some(Item { index: number.base10_parse()?, span: number.span() })))
    })
}

/// `labels = labels`, and the items of `labels = [start, end]`.
fn from_columns(role: &Role, columns: Columns) -> Vec<Given> {
    let given = |item: Option<usize>, column: Member| {
        let at = column.span();
        let batch = batch_at(at);
        Given {
            role: role.clone(),
            item: item.map(|index| Item { index, span: at }),
            value: quote_spanned!(located(at)=> &#batch.#column),
            at,
            from_batch: true,
        }
    };
    match columns {
        Columns::One(column) => vec![given(None, column)],
        Columns::Absent(at) => vec![Given {
            role: role.clone(),
            item: None,
            value: quote_spanned!(located(at)=> ::core::option::Option::<::brew_core::tch::Tensor>::None),
            at,
            from_batch: true,
        }],
        Columns::List(columns) => {
            columns.into_iter().enumerate().map(|(index, column)| given(Some(index), column)).collect()
        }
    }
}
