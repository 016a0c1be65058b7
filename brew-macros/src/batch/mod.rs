//! `#[derive(Batch)]`: a struct of named columns.

mod column;
mod dtype;
mod expand;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Fields, FieldsNamed};

use crate::problems::Problems;

/// Expands `#[derive(Batch)]`.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(problem) => return problem.into_compile_error(),
    };
    let mut problems = Problems::default();
    let columns = match named_fields(&input) {
        Ok(fields) => {
            fields.named.iter().filter_map(|field| column::Column::of(field, &mut problems)).collect()
        }
        Err(problem) => {
            problems.add(problem);
            Vec::new()
        }
    };
    if columns.is_empty() && problems.is_empty() {
        problems.at(input.ident.span(), "a batch needs at least one column");
    }
    if !input.generics.params.is_empty() {
        problems.add(syn::Error::new_spanned(
            &input.generics,
            "a batch has no generic parameters: its columns are named, and each is a tensor",
        ));
        return problems.into_compile_errors();
    }
    if problems.is_empty() {
        return expand::implementations(&input.ident, &columns);
    }
    let stand_in = expand::stand_in(&input.ident);
    let problems = problems.into_compile_errors();
    quote::quote!(#problems #stand_in)
}

fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    match &input.data {
        Data::Struct(structure) => match &structure.fields {
            Fields::Named(fields) => Ok(fields),
            _ => Err(syn::Error::new_spanned(
                &input.ident,
                "a batch is a struct with named fields: the names are those of the columns (a tuple of tensors, `(Tensor, Tensor)`, is a batch as it is)",
            )),
        },
        _ => Err(syn::Error::new_spanned(&input.ident, "a batch is a struct of tensors")),
    }
}
