//! Questions about tokens that several modules ask.

use proc_macro2::Span;
use syn::{GenericArgument, GenericParam, Generics, PathArguments, PathSegment, Type, parse_quote};

/// A span that errors show as the user's token, while names in it resolve as the macro's own.
///
/// Without it an expansion inside a user's `macro_rules!` could not see its own local variables.
pub(crate) fn located(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The last segment of a type that is a path: `Tensor` of `tch::Tensor`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Whether a type's last segment has this name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// The first type argument of a segment: `T` of `Option<T>` and of `Result<T, E>`.
pub(crate) fn first_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// What a reference points to.
pub(crate) fn referenced(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Reference(reference) => Some(&reference.elem),
        Type::Group(group) => referenced(&group.elem),
        Type::Paren(paren) => referenced(&paren.elem),
        _ => None,
    }
}

/// The generics of a user's `impl` with every type parameter `'static`, as brew's traits ask.
pub(crate) fn outliving(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(parse_quote!('static));
        }
    }
    generics
}
