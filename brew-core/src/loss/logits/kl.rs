//! Forward Kullback-Leibler divergence, from the teacher to the student.

use tch::Tensor;

use super::super::catalogue::{Entry, Options, boxed, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::log_space::kl;
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `kl`: mean_r( sum_c p_c (log p_c - log q_c) ), with p = softmax(t/T), q = softmax(s/T).
///
/// It makes the student cover everything that the teacher finds likely. Its gradient is that of
/// [`KdCe`](crate::loss::KdCe); its minimum is 0. Shapes, mask, temperature, T squared and reduction: see
/// [`logits`](crate::loss::logits).
///
/// Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015, arXiv:1503.02531).
/// Other implementations differ: NVIDIA ModelOpt's default also divides by the number of classes;
/// torchdistill's drops T squared without its `alpha`, and takes the softmax over dimension 1.
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = Kl::at(2.0).times_temperature_squared().term(&student, &teacher)?.mean()?;
/// // 4 * kl_div(log_softmax(s/2), softmax(t/2), reduction="batchmean") in PyTorch 2.11
/// assert!((loss.double_value(&[]) - 0.418_516_872).abs() < 1e-6);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Kl {
    softening: Softening,
}

impl Kl {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        Kl { softening: Softening::at(temperature) }
    }
}

softened!(Kl);

impl Divergence for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        kl(teacher, student)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Kl {}

fn made(options: &Options) -> Kl {
    Kl::at(options.temperature()).softened(options)
}

/// For losses that are made of a divergence.
pub(super) const NAMED: NamedDivergence =
    NamedDivergence { name: "kl", make: |options| Box::new(made(options)) };

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "kl",
    aliases: &["forward_kl"],
    summary: "forward Kullback-Leibler divergence, from the teacher to the student",
    source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];
