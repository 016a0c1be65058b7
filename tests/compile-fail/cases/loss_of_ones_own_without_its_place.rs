//! The compiler says what a user's own loss must implement before it can be used for soft targets or a match.

use brew_core::prelude::*;
use brew_core::adaptor::Provides;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Features, Term};

#[derive(Debug)]
struct Mine;

impl Loss for Mine {
    fn name(&self) -> &'static str {
        "mine"
    }
    fn mismatches(&self, _: &Features, _: &Features) -> Vec<String> {
        Vec::new()
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        Term::rows(&student.tensors[0].f_sub(&teacher.tensors[0])?.f_square()?)
    }
}

/// No loss at all.
#[derive(Debug)]
struct NotOne;

fn targets<A: Adaptor + Provides<role::Logits>>(teacher: Seen<A>, student: Seen<A>) {
    let _ = Distill::new(teacher, student).soft_targets(Mine);
}

fn no_loss() {
    let _ = loss::standardised(NotOne);
}

fn main() {
    let _ = hidden(teacher_layer(0), student_layer(0)).by(Mine);
}
