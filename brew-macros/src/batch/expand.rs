//! Writes `Batch` and `FromColumns` for a struct of columns.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::batch::column::Column;

/// Both traits.
pub(crate) fn implementations(batch: &Ident, columns: &[Column]) -> TokenStream {
    let fields: Vec<_> = columns.iter().map(|column| &column.field).collect();
    let names: Vec<_> = columns.iter().map(|column| &column.name).collect();
    let declared = columns.iter().map(declared);
    let takes = columns
        .iter()
        .map(|column| Ident::new(if column.optional { "take_optional" } else { "take" }, Span::mixed_site()));
    quote! {
        #[automatically_derived]
        impl ::brew_core::batch::Batch for #batch {
            fn tensors(&self) -> ::std::vec::Vec<(&'static str, &::brew_core::tch::Tensor)> {
                ::brew_core::__private::present([#((#names, ::brew_core::batch::Field::tensor(&self.#fields))),*])
            }
            fn map(
                &self,
                change: &mut dyn ::core::ops::FnMut(
                    &'static str,
                    &::brew_core::tch::Tensor,
                ) -> ::brew_core::Result<::brew_core::tch::Tensor>,
            ) -> ::brew_core::Result<Self> {
                ::core::result::Result::Ok(Self {
                    #(#fields: ::brew_core::batch::Field::map(&self.#fields, &mut |tensor| change(#names, tensor))?,)*
                })
            }
            fn pad(column: &str) -> ::core::option::Option<f64> {
                ::brew_core::__private::pad_of::<Self>(column)
            }
        }
        #[automatically_derived]
        impl ::brew_core::batch::FromColumns for #batch {
            const COLUMNS: &'static [::brew_core::batch::Column] = &[#(#declared),*];
            fn from_columns(columns: &mut ::brew_core::batch::Columns) -> ::brew_core::Result<Self> {
                ::core::result::Result::Ok(Self { #(#fields: columns.#takes(#names)?,)* })
            }
        }
    }
}

/// Stands in for [`implementations`] beside a mistake, so that the mistake is the only message.
pub(crate) fn stand_in(batch: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::brew_core::batch::Batch for #batch {
            fn tensors(&self) -> ::std::vec::Vec<(&'static str, &::brew_core::tch::Tensor)> {
                ::core::unimplemented!()
            }
            fn map(
                &self,
                _: &mut dyn ::core::ops::FnMut(
                    &'static str,
                    &::brew_core::tch::Tensor,
                ) -> ::brew_core::Result<::brew_core::tch::Tensor>,
            ) -> ::brew_core::Result<Self> {
                ::core::unimplemented!()
            }
        }
        #[automatically_derived]
        impl ::brew_core::batch::FromColumns for #batch {
            const COLUMNS: &'static [::brew_core::batch::Column] = &[];
            fn from_columns(_: &mut ::brew_core::batch::Columns) -> ::brew_core::Result<Self> {
                ::core::unimplemented!()
            }
        }
    }
}

fn declared(column: &Column) -> TokenStream {
    let Column { name, optional, pad, .. } = column;
    let kind = Ident::new(column.kind, Span::mixed_site());
    let pad = match pad {
        Some(pad) => quote!(::core::option::Option::Some(#pad)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        ::brew_core::batch::Column {
            name: #name,
            kind: ::brew_core::tch::Kind::#kind,
            pad: #pad,
            optional: #optional,
        }
    }
}
