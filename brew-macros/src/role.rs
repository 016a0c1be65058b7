//! The roles: built-in ones are bare words, the user's own are paths.
//!
//! A bare word that is not a built-in role is a mistake, reported here with a suggestion. Paths are left to the compiler,
//! which knows whether the type implements `Role`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Path};

use crate::names::{quoted, suggest};
use crate::tokens::located;

/// The names of the built-in roles; `brew_core::role` holds their types, named alike: `logits_mask` is `LogitsMask`.
pub(crate) const NAMES: [&str; 19] = [
    "logits",
    "logits_mask",
    "labels",
    "losses",
    "attention",
    "hidden",
    "inputs_mask",
    "query",
    "key",
    "value",
    "embedding",
    "index",
    "teacher_index",
    "output_weight",
    "output_bias",
    "logit_scale",
    "logit_softcap",
    "token_ids",
    "byte_ends",
];

/// A role that the user named.
#[derive(Clone)]
pub(crate) enum Role {
    /// One of the list.
    BuiltIn {
        /// Its name, as the user writes it.
        name: &'static str,
        /// Where the user wrote it.
        span: Span,
    },
    /// A type that implements `Role`.
    Own(Path),
}

impl Role {
    /// The role of this path.
    ///
    /// # Errors
    /// A single word that is no built-in role.
    pub(crate) fn of(path: &Path) -> syn::Result<Role> {
        match path.get_ident() {
            Some(word) => Role::of_word(word).map_err(|message| syn::Error::new(word.span(), message)),
            None => Ok(Role::Own(path.clone())),
        }
    }

    /// The built-in role of this word, or what is wrong with it.
    pub(crate) fn of_word(word: &Ident) -> Result<Role, String> {
        let text = word.unraw().to_string();
        match NAMES.iter().find(|name| **name == text) {
            Some(name) => Ok(Role::BuiltIn { name, span: word.span() }),
            // A type of the user's own, written without its path.
            None if text.starts_with(char::is_uppercase) => Err(format!(
                "`{text}` is not a role: the roles are {}; a role of your own is a path, `self::{text}`",
                quoted(&NAMES)
            )),
            None => Err(format!("`{text}` is not a role{}", suggest(&text, &NAMES))),
        }
    }

    /// The role as the user would write it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Role::BuiltIn { name, .. } => (*name).to_owned(),
            Role::Own(path) => path.to_token_stream().to_string().replace(' ', ""),
        }
    }

    /// Whether it is this built-in role.
    pub(crate) fn is(&self, built_in: &str) -> bool {
        matches!(self, Role::BuiltIn { name, .. } if *name == built_in)
    }

    /// Where the user wrote it.
    pub(crate) fn span(&self) -> Span {
        match self {
            Role::BuiltIn { span, .. } => *span,
            Role::Own(path) => path.span(),
        }
    }

    /// The type that implements `Role`.
    pub(crate) fn marker(&self) -> TokenStream {
        match self {
            Role::BuiltIn { name, .. } => {
                let marker = Ident::new(&type_name(name), Span::mixed_site());
                quote!(::brew_core::role::#marker)
            }
            Role::Own(path) => path.to_token_stream(),
        }
    }

    /// The role's name, as a constant expression.
    pub(crate) fn name(&self) -> TokenStream {
        match self {
            Role::BuiltIn { name, .. } => name.to_token_stream(),
            Role::Own(path) => {
                quote_spanned!(located(path.span())=> <#path as ::brew_core::role::Role>::NAME)
            }
        }
    }

    /// The pattern of a match arm over role names, for the role that stands at `index` of `ROLES`.
    pub(crate) fn pattern(&self, index: usize) -> TokenStream {
        match self {
            Role::BuiltIn { name, .. } => name.to_token_stream(),
            Role::Own(_) => quote!(role if role == Self::ROLES[#index]),
        }
    }
}

/// The name of a built-in role's type: each word with a capital, without underscores.
fn type_name(role: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    role.split('_').map(capital).collect()
}
