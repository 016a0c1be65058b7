//! The arguments of `#[distill(…)]` and `#[adaptor(…)]`: `batch = Review, labels = labels`.
//!
//! A key is `batch`, `output`, or a role, and determines which values it may have.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Member, Path, Token, Type, bracketed, token};

use crate::names::suggest;
use crate::problems::Problems;
use crate::role::{NAMES, Role};

/// Which keys a macro takes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Takes {
    /// Only `batch`.
    Batch,
    /// `batch` and `output`.
    BatchAndOutput,
    /// `batch`, and roles that columns of the batch play.
    BatchAndRoles,
}

/// What the arguments said.
#[derive(Default)]
pub(crate) struct Settings {
    /// The batch.
    pub(crate) batch: Option<Type>,
    /// What the model returns.
    pub(crate) output: Option<Type>,
    /// Roles that columns of the batch play.
    pub(crate) columns: Vec<(Role, Columns)>,
}

/// The value of a role.
pub(crate) enum Columns {
    /// `labels = labels`: one tensor.
    One(Member),
    /// `labels = [start, end]`: a list.
    List(Vec<Member>),
    /// `logit_scale = None`: the model has none.
    Absent(Span),
}

impl Settings {
    /// Reads the arguments; mistakes are added to `problems`.
    pub(crate) fn parse(arguments: TokenStream, takes: Takes, problems: &mut Problems) -> Settings {
        let mut settings = Settings::default();
        let outcome = (|input: ParseStream<'_>| {
            while !input.is_empty() {
                settings.read_one(input, takes, problems)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })
        .parse2(arguments);
        problems.keep(outcome);
        settings
    }

    fn read_one(&mut self, input: ParseStream<'_>, takes: Takes, problems: &mut Problems) -> syn::Result<()> {
        let key = Path::parse_mod_style(input)?;
        input.parse::<Token![=]>()?;
        let word = key.to_token_stream().to_string();
        let place = match word.as_str() {
            "batch" => &mut self.batch,
            "output" if takes == Takes::BatchAndOutput => &mut self.output,
            _ => match Role::of(&key) {
                Ok(role) if takes == Takes::BatchAndRoles => {
                    self.columns.push((role, Columns::parse(input)?));
                    return Ok(());
                }
                _ => {
                    let near = suggest(&word, &keys(takes));
                    problems.at(key.span(), format!("`{word}` cannot be set here{near}"));
                    return skip_value(input);
                }
            },
        };
        if place.is_some() {
            problems.at(key.span(), format!("`{word}` is set twice"));
        }
        *place = Some(input.parse()?);
        Ok(())
    }
}

impl Columns {
    fn parse(input: ParseStream<'_>) -> syn::Result<Columns> {
        if !input.peek(token::Bracket) {
            return input.parse().map(|column| match &column {
                Member::Named(name) if name == "None" => Columns::Absent(name.span()),
                _ => Columns::One(column),
            });
        }
        let list;
        bracketed!(list in input);
        let members = Punctuated::<Member, Token![,]>::parse_terminated(&list)?;
        if members.is_empty() {
            return Err(list.error("a list names at least one column"));
        }
        Ok(Columns::List(members.into_iter().collect()))
    }
}

fn keys(takes: Takes) -> Vec<&'static str> {
    match takes {
        Takes::Batch => vec!["batch"],
        Takes::BatchAndOutput => vec!["batch", "output"],
        Takes::BatchAndRoles => ["batch"].into_iter().chain(NAMES).collect(),
    }
}

/// Skips to the next comma, so that later mistakes are found too.
fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
