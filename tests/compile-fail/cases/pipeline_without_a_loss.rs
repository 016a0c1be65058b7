//! A pipeline without a loss would learn nothing.
use brew_core::prelude::*;

#[path = "../src/page.rs"]
mod page;

fn main() {
    let _ = Distill::new(page::seen(), page::seen()).plan();
}
