//! One field of a batch: its name, its dtype, its pad, and whether it may be absent.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Field, Ident, Token, Type};

use crate::batch::dtype::{self, Dtype};
use crate::names::{quoted, suggest};
use crate::problems::Problems;
use crate::tokens::{first_argument, is_named, last_segment};

/// A column as `#[column]` declares it.
pub(crate) struct Column {
    /// The field.
    pub(crate) field: Ident,
    /// The column's name: the field's, without `r#`.
    pub(crate) name: String,
    /// The variant of `tch::Kind`.
    pub(crate) kind: &'static str,
    /// The value that pads rows.
    pub(crate) pad: Option<f64>,
    /// Whether the data may lack it.
    pub(crate) optional: bool,
    /// Whether rows are lists of lists.
    pub(crate) nested: bool,
}

/// What `#[column(i64, pad = 0, nested)]` says.
struct Declaration {
    dtype: &'static Dtype,
    pad: Option<f64>,
    nested: bool,
}

impl Column {
    /// The column of a named field; mistakes are added to `problems`.
    pub(crate) fn of(field: &Field, problems: &mut Problems) -> Option<Column> {
        let name = field.ident.clone()?;
        let optional = problems.keep(is_optional(&field.ty));
        let declaration = problems.keep(Declaration::of(&name, field));
        let (optional, declaration) = (optional?, declaration?);
        Some(Column {
            name: name.unraw().to_string(),
            field: name,
            kind: declaration.dtype.kind,
            pad: declaration.pad,
            optional,
            nested: declaration.nested,
        })
    }
}

fn is_optional(ty: &Type) -> syn::Result<bool> {
    let inner = match last_segment(ty) {
        Some(segment) if segment.ident == "Option" => first_argument(segment),
        _ => None,
    };
    if is_named(inner.unwrap_or(ty), "Tensor") {
        return Ok(inner.is_some());
    }
    Err(syn::Error::new_spanned(
        ty,
        "a column is a `Tensor`, or an `Option<Tensor>` where the data may lack it",
    ))
}

impl Declaration {
    fn of(name: &Ident, field: &Field) -> syn::Result<Declaration> {
        let mut attributes = field.attrs.iter().filter(|attribute| attribute.path().is_ident("column"));
        let attribute = attributes.next().ok_or_else(|| {
            let name = name.unraw();
            syn::Error::new(
                name.span(),
                format!(
                    "`{name}` lacks its dtype: `#[column(i64)]`, or another of {}",
                    quoted(&dtype::names())
                ),
            )
        })?;
        if let Some(second) = attributes.next() {
            return Err(syn::Error::new_spanned(
                second,
                "a field is one column: this is its second `#[column]`",
            ));
        }
        attribute.parse_args_with(Declaration::parse)
    }

    fn parse(input: ParseStream<'_>) -> syn::Result<Declaration> {
        let word = Ident::parse_any(input)?;
        let text = word.to_string();
        let dtype = dtype::ALL.iter().find(|dtype| dtype.name == text).ok_or_else(|| {
            syn::Error::new(
                word.span(),
                format!("`{text}` is not a dtype{}", suggest(&text, &dtype::names())),
            )
        });
        let (mut pad, mut nested) = (None, false);
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            let key: Ident = input.parse()?;
            if key == "nested" && !nested {
                nested = true;
            } else if key == "pad" && pad.is_none() {
                input.parse::<Token![=]>()?;
                pad = Some(input.parse::<Expr>()?);
            } else {
                return Err(syn::Error::new(
                    key.span(),
                    "a dtype may be followed by `pad = …` and by `nested`, once each",
                ));
            }
        }
        let dtype = dtype?;
        Ok(Declaration { dtype, pad: pad.map(|value| dtype.pad(&value)).transpose()?, nested })
    }
}
