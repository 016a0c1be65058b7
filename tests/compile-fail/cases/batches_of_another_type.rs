//! Batches of another type than the models read: the message says which side reads which.
use brew_core::prelude::*;

#[path = "../src/page.rs"]
mod page;

fn main() {
    let pipeline = Supervised::new(page::seen()).plan().unwrap();
    let _ = Trainer::new(pipeline).run(Vec::<(Tensor, Tensor)>::new());
}
