//! TAID: the target starts near the student and moves towards the teacher as the student follows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::super::catalogue::{Entry, Kept, Range, boxed, number, temperature};
use super::super::logit_shapes::softmax_mismatches;
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Learns, Loss, Term};
use super::log_space::{expected, log_softmax};
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::{Error, Result};
use crate::role::Logits;

/// `taid`: mean_r( - sum_c p_c log q_c ), with p = softmax((1 - tau) s + tau t), the logits mixed with
/// no gradient through p, and q = softmax(s); both divided by T.
///
/// It is the cross-entropy: its gradient is that of KL(p, q). tau starts at `start` (0.4) and after
/// each optimizer step with loss L becomes
///
/// min(end, max(start + (end - start) step / steps, tau + alpha sigmoid(m) (1 - tau))),
///
/// where m <- 0.99 m + 0.01 (L' - L) / (L' + 1e-15), L' being the loss of the step before; the first step
/// only records its loss. By default `end` is 1 and alpha 5e-4. tau, m and L' are the loss's state and are in
/// the checkpoint. If the number of steps is unknown, tau changes only by the momentum. Shapes, mask,
/// temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Shing et al., "TAID: Temporally Adaptive Interpolated Distillation" (2025,
/// arXiv:2501.16937).
///
/// ```
/// use brew_core::loss::{Loss, Features, Taid};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = Taid::at(1.0);
/// assert_eq!(loss.tau(), 0.4);
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Taid {
    softening: Softening,
    start: f64,
    end: f64,
    alpha: f64,
    progress: TaidState,
}

/// The state that changes from step to step.
#[derive(Debug)]
struct TaidState {
    tau: f64,
    momentum: f64,
    previous: Option<f64>,
    /// The completed share of the run before the step.
    done: f64,
    /// The current step's sum and count so far, without gradient.
    seen: Option<(Tensor, Tensor)>,
}

impl Taid {
    /// From tau 0.4 to 1 with alpha 5e-4, at a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        let softening = Softening::at(temperature);
        Taid { softening, start: 0.4, end: 1.0, alpha: 5e-4, progress: TaidState::from(0.4) }
    }

    /// Sets where tau starts and ends, 0 <= start <= end <= 1.
    #[must_use]
    pub fn between(self, start: f64, end: f64) -> Self {
        Taid { start, end, progress: TaidState::from(start), ..self }
    }

    /// Sets how far a step can move tau, 0 or above.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Taid { alpha, ..self }
    }

    /// The teacher's current share of the mixed logits.
    pub fn tau(&self) -> f64 {
        self.progress.tau
    }

    /// Updates tau with the loss of a step.
    fn moved(&mut self, loss: f64) {
        let progress = &mut self.progress;
        if let Some(previous) = progress.previous {
            let change = (previous - loss) / (previous + 1e-15);
            progress.momentum = 0.99 * progress.momentum + 0.01 * change;
            let along = self.start + (self.end - self.start) * progress.done;
            let step = self.alpha / (1.0 + (-progress.momentum).exp()) * (1.0 - progress.tau);
            progress.tau = self.end.min(along.max(progress.tau + step));
        }
        progress.previous = Some(loss);
    }
}

impl TaidState {
    fn from(tau: f64) -> Self {
        TaidState { tau, momentum: 0.0, previous: None, done: 0.0, seen: None }
    }
}

softened!(Taid);

impl Loss for Taid {
    fn name(&self) -> &'static str {
        "taid"
    }

    fn options(&self) -> Value {
        let mut options = self.softening.options();
        for (name, value) in [("start", self.start), ("end", self.end), ("alpha", self.alpha)] {
            options.insert(name.to_owned(), json!(value));
        }
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.softening.problems();
        if !(0.0 <= self.start && self.start <= self.end && self.end <= 1.0) {
            problems.push(format!(
                "tau goes from {} to {}; it must be 0 <= start <= end <= 1",
                self.start, self.end
            ));
        }
        problems.extend(super::dkd::weight_problems(&[("alpha", self.alpha)]));
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    fn reads_whole_batch(&self) -> bool {
        self.softening.is_scheduled()
    }

    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        softmax_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let rows = Rows::of(student, teacher, false)?;
        let Softened { student, teacher, squared } = self.softening.divide(&rows.student, &rows.teacher)?;
        let mixed = student.f_detach()?.f_lerp(&teacher, self.tau())?;
        let per_row = expected(&log_softmax(&mixed)?, &log_softmax(&student)?)?.f_neg()?;
        rows.term(&self.softening.scale(&per_row, &squared)?)
    }
}

impl Learns for Taid {
    fn before_step(&mut self, step: u64, steps: u64) -> Result<()> {
        self.progress.done = if steps == 0 { 0.0 } else { step as f64 / steps as f64 };
        self.progress.seen = None;
        Ok(())
    }

    fn after_term(&mut self, term: &Term) -> Result<()> {
        let (sum, count) = (term.sum.f_detach()?, term.count.f_detach()?);
        self.progress.seen = Some(match self.progress.seen.take() {
            Some((sums, counts)) => (sums.f_add(&sum)?, counts.f_add(&count)?),
            None => (sum, count),
        });
        Ok(())
    }

    fn reads_own_step(&self) -> bool {
        false
    }

    fn after_step(&mut self) -> Result<()> {
        let Some((sum, count)) = self.progress.seen.take() else { return Ok(()) };
        let (sum, count) = (sum.f_double_value(&[])?, count.f_double_value(&[])?);
        // A step without tokens, or with a non-finite loss, does not tell how well the student follows.
        if count > 0.0 && sum.is_finite() {
            self.moved(sum / count);
        }
        Ok(())
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let TaidState { tau, momentum, previous, .. } = self.progress;
        let values = [("tau", tau), ("momentum", momentum), ("previous", previous.unwrap_or(f64::NAN))];
        Ok(values.into_iter().map(|(name, value)| (name.to_owned(), Tensor::from(value))).collect())
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let value = |name: &str| match state.get(name) {
            Some(tensor) if tensor.numel() == 1 => {
                Ok(tensor.f_to_kind(Kind::Double)?.f_reshape([1])?.f_double_value(&[0])?)
            }
            _ => Err(Error::invalid(format!("the state of `taid` has no number `{name}`"))),
        };
        let (tau, momentum, previous) = (value("tau")?, value("momentum")?, value("previous")?);
        let previous = (!previous.is_nan()).then_some(previous);
        self.progress = TaidState { tau, momentum, previous, done: 0.0, seen: None };
        Ok(())
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Taid {}

/// What it carries.
const CARRIED: &[Kept] = &[
    Kept::state("tau", "(), the teacher's share of the mixed logits"),
    Kept::state("momentum", "(), of the loss's relative change"),
    Kept::state("previous", "(), the loss of the step before; NaN at first"),
];

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "taid",
    summary: "cross-entropy with logits mixed of both sides, the teacher's share growing as the student follows",
    source: "Shing et al. 2025 (TAID), arXiv 2501.16937",
    roles: &["logits"],
    options: &[
        number("start", Range::Share, 0.4, "the teacher's share at the start"),
        number("end", Range::Share, 1.0, "the teacher's share at the end"),
        number("alpha", Range::NotNegative, 5e-4, "how far a step can move the share"),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    keeps: CARRIED,
    scheduled: true,
    make: |options| {
        let loss = Taid::at(options.temperature()).between(options.number("start"), options.number("end"));
        boxed(loss.alpha(options.number("alpha")).softened(options))
    },
    ..Entry::EMPTY
}];
