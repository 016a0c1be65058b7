//! What the macros write, as a person would read it: one file of `snapshots/` a case.
//!
//! `UPDATE_EXPECT=1 cargo test -p brew-macros` rewrites the files. That they compile, and what the
//! compiler says where they must not, is shown in `tests/compile-fail`; what they do with tensors,
//! in brew-core's own tests.

mod messages;
mod snapshots;

use proc_macro2::TokenStream;

/// The expansion as formatted code.
fn formatted(expansion: TokenStream) -> String {
    let file = syn::parse2(expansion).expect("an expansion is a list of items");
    prettyplease::unparse(&file)
}

/// The messages of an expansion's `compile_error!`s, in order.
fn messages(expansion: TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(expansion).expect("an expansion is a list of items");
    file.items
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
                Some(item.mac.parse_body::<syn::LitStr>().expect("a message").value())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn the_documentation_lists_every_role() {
    let doors = include_str!("../lib.rs");
    let table: String = doors.lines().filter(|line| line.starts_with("/// | `")).collect();
    let absent: Vec<_> =
        crate::role::NAMES.iter().filter(|name| !table.contains(&format!("`{name}`"))).collect();
    assert!(absent.is_empty(), "{absent:?} are not in the table of roles");
}
