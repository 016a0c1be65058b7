//! Reverse Kullback-Leibler divergence, from the student to the teacher.

use tch::Tensor;

use super::super::catalogue::{Entry, Options, boxed, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::log_space::kl;
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `reverse_kl`: mean_r( sum_c q_c (log q_c - log p_c) ), with p = softmax(t/T), q = softmax(s/T).
///
/// It makes the student keep to what the teacher finds likely, though not cover all of it. Shapes, mask,
/// temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Gu et al., "MiniLLM: Knowledge Distillation of Large Language Models" (2023,
/// arXiv:2306.08543), its single-step term. A "reverse kl" that is sum_c q (log p - log q), as in one
/// branch of DistiLLM's second trainer, is its negative.
///
/// ```
/// use brew_core::loss::{Loss, Features, ReverseKl};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = ReverseKl::at(1.0).term(&student, &teacher)?.mean()?;
/// assert!((loss.double_value(&[]) - 0.410_667_19).abs() < 1e-6);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReverseKl {
    softening: Softening,
}

impl ReverseKl {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        ReverseKl { softening: Softening::at(temperature) }
    }
}

softened!(ReverseKl);

impl Divergence for ReverseKl {
    fn name(&self) -> &'static str {
        "reverse_kl"
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn needs_teacher_everywhere(&self) -> bool {
        true
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        kl(student, teacher)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for ReverseKl {}

fn made(options: &Options) -> ReverseKl {
    ReverseKl::at(options.temperature()).softened(options)
}

/// For losses that are made of a divergence.
pub(super) const NAMED: NamedDivergence =
    NamedDivergence { name: "reverse_kl", make: |options| Box::new(made(options)) };

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "reverse_kl",
    summary: "reverse Kullback-Leibler divergence, from the student to the teacher",
    source: "Gu et al. 2023 (MiniLLM), arXiv 2306.08543",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];
