//! Layers without a loss between them, and layers that are no numbers.
use brew_core::prelude::*;
use brew_core::distill::{student_layer, teacher_layer};

#[path = "../src/page.rs"]
mod page;

fn main() {
    let _ = Distill::new(page::seen(), page::seen()).matching(hidden(teacher_layer(0), student_layer(0)));
    let _ = hidden(teacher_layer("last"), student_layer("last"));
}
