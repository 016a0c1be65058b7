//! A user's own loss, written as the compiler's messages say.

use brew_core::loss::{Gives, MatchLoss, OneLayer, SoftTargets, Loss, Features, Term};
use brew_core::prelude::*;
use brew_core::adaptor::Provides;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::role::Hidden;

/// The squared distance.
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
        Term::rows(&student.tensors[0].f_sub(&teacher.tensors[0])?.f_square()?.f_sum_dim_intlist(
            -1,
            false,
            None,
        )?)
    }
}

impl<T: Gives<role::Logits>, S: Gives<role::Logits>> SoftTargets<T, S> for Mine {}

impl MatchLoss<Hidden, OneLayer> for Mine {}

/// It stands where brew's own stand.
pub fn pipeline<A>(teacher: Seen<A>, student: Seen<A>) -> Result<Pipeline<A::Batch, A>>
where
    A: Adaptor + Provides<role::Logits> + Provides<role::Hidden>,
{
    Distill::new(teacher, student)
        .soft_targets(Mine.weight(0.5))
        .matching(hidden(teacher_layer(0), student_layer(0)).by(Mine))
        .plan()
}
