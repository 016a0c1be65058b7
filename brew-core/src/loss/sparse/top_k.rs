//! A divergence on the top k of the teacher's logits.

use serde_json::{Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, boxed, choice, temperature, whole};
use super::super::logits::{
    ALPHA, BETA, CountedRows, DETACHED, DIVERGENCE, Divergence, HEAD, LOG_ZERO, SQUARED, TEACHER, divergence,
};
use super::super::term::wide;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Loss, Term};
use super::known::{KnownLogits, Partly, mismatches, of_dense, of_store};
use crate::error::{Error, Result};
use crate::role::Logits;

/// How the classes outside the teacher's top k are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TopKSemantics {
    /// They form one class with each side's remaining probability. The divergence is then a lower bound of
    /// the dense one, and meaningful for every k. (TRL's server distillation; DistillKit's
    /// `symmetric_uniform`; Megatron's ghost token.)
    #[default]
    Tail,
    /// Both sides are renormalised over the top k, so the student's probability outside has no cost. (NVIDIA
    /// ModelOpt, NeMo-RL, ms-swift, maxtext.)
    RenormalisedBoth,
    /// The teacher is renormalised over the top k and is 0 outside; the student is unchanged. (DistillKit's
    /// `zero`, axolotl.) Not for divergences that are infinite there, such as the reverse.
    RenormalisedTeacher,
    /// Neither side is renormalised: only the terms of the top k are summed. It can be negative. (Megatron's
    /// default.)
    Partial,
}

/// `top_k`: a divergence over the k classes that the teacher finds most likely; [`TopKSemantics`] decides how
/// the others are treated.
///
/// The teacher's side is dense logits or three tensors from a store: see [`sparse`](super::super::sparse). A
/// store has the probability of the others only at temperature 1, so the tail and the partial sum are refused
/// at other temperatures. With k equal to the number of classes every semantics is the dense divergence.
/// Mask, temperature, T squared, reduction and denominator are the divergence's own. The five semantics in
/// use give, for one forward divergence of 1.609 and k = 3, 1.243, 0.225, 2.054 and 1.484, and
/// [`SampledKl`](crate::loss::SampledKl) gives the dense value on average.
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features, TopK};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5, 0.1]).view([1, 4]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0, 0.3]).view([1, 4]));
/// let value = |loss: &dyn Loss| Ok::<f64, brew_core::Error>(loss.term(&student, &teacher)?.mean()?.double_value(&[]));
/// let (two, dense) = (value(&TopK::of(2, Kl::at(1.0)))?, value(&Kl::at(1.0))?);
/// assert!(0.0 < two && two < dense);
/// assert!((value(&TopK::of(4, Kl::at(1.0)))? - dense).abs() < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TopK<D> {
    k: i64,
    divergence: D,
    semantics: TopKSemantics,
}

impl<D: Divergence> TopK<D> {
    /// Over this many classes, at least 1; from a store all classes are used.
    pub fn of(k: i64, divergence: D) -> Self {
        TopK { k, divergence, semantics: TopKSemantics::default() }
    }

    /// Sets how the other classes are treated; default is a tail.
    #[must_use]
    pub fn semantics(self, semantics: TopKSemantics) -> Self {
        TopK { semantics, ..self }
    }

    /// Whether it needs the teacher's probability of the other classes.
    fn needs_normaliser(&self) -> bool {
        matches!(self.semantics, TopKSemantics::Tail | TopKSemantics::Partial)
    }

    /// The teacher's classes and log-probabilities; `(rows, classes)` is the student's shape.
    fn known(&self, teacher: &KnownLogits, classes: i64) -> Result<(Tensor, Partly)> {
        let _guard = tch::no_grad_guard();
        let softening = self.divergence.softening();
        match teacher {
            KnownLogits::Dense(logits) => {
                let (_, ids) = logits.f_topk(self.k.min(classes), -1, true, true)?;
                let softened = softening.divide(logits, logits)?.teacher;
                let partly = of_dense(&softened, &ids)?;
                Ok((ids, partly))
            }
            KnownLogits::Stored { ids, logits, normaliser } => {
                if self.needs_normaliser() && !softening.is_one() {
                    return Err(Error::invalid(NO_TEMPERATURE));
                }
                let partly = match self.needs_normaliser() {
                    true => of_store(logits, normaliser, classes)?,
                    false => Partly { at: softening.divide(logits, logits)?.teacher, rest: None },
                };
                Ok((ids.shallow_clone(), partly))
            }
        }
    }

    fn per_row(&self, student: &Tensor, teacher: &KnownLogits) -> Result<Tensor> {
        let classes = student.size().last().copied().unwrap_or(0);
        let (ids, teacher) = self.known(teacher, classes)?;
        let softening = self.divergence.softening();
        let softened = softening.divide(student, student)?;
        let student = of_dense(&softened.student, &ids)?;
        let renormalised = |partly: &Partly| partly.at.f_log_softmax(-1, partly.at.kind());
        let (student, teacher) = match self.semantics {
            TopKSemantics::Tail => (joined(&student.at, student.rest)?, joined(&teacher.at, teacher.rest)?),
            TopKSemantics::Partial => (student.at, teacher.at),
            TopKSemantics::RenormalisedBoth => (renormalised(&student)?, renormalised(&teacher)?),
            TopKSemantics::RenormalisedTeacher => {
                let none = student.rest.as_ref().map(|rest| rest.f_full_like(LOG_ZERO)).transpose()?;
                (joined(&student.at, student.rest)?, joined(&renormalised(&teacher)?, none)?)
            }
        };
        softening.scale(&self.divergence.between(&student, &teacher)?, &softened.squared)
    }
}

/// The error for a top 1 that is renormalised on both sides.
const ONE_RENORMALISED: &str = "a single class that is renormalised on both sides has probability 1 on both, whatever the student predicts: use a larger k, or a tail";

const NO_TEMPERATURE: &str = "the teacher's logits come from a store, which has the probability of the other classes only at temperature 1: use temperature 1, or a renormalised semantics";

fn joined(at: &Tensor, rest: Option<Tensor>) -> Result<Tensor> {
    match rest {
        Some(rest) => Ok(Tensor::f_cat(&[at, &rest], -1)?),
        None => Ok(at.shallow_clone()),
    }
}

impl<D: Divergence> Loss for TopK<D> {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn options(&self) -> Value {
        let mut options = self.divergence.softening().options();
        options.extend(self.divergence.options());
        let semantics = match self.semantics {
            TopKSemantics::Tail => "tail",
            TopKSemantics::RenormalisedBoth => "renormalised_both",
            TopKSemantics::RenormalisedTeacher => "renormalised_teacher",
            TopKSemantics::Partial => "partial",
        };
        json!({ "k": self.k, "semantics": semantics, "divergence": [self.divergence.name(), options] })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.divergence.softening().problems();
        problems.extend(self.divergence.problems());
        if self.k < 1 {
            problems.push(format!("k is {}; it must be 1 or more", self.k));
        }
        if self.k == 1 && self.semantics == TopKSemantics::RenormalisedBoth {
            problems.push(ONE_RENORMALISED.to_owned());
        }
        if self.divergence.softening().is_scheduled() {
            problems.push(
                "a temperature schedule needs all of the logits: remove it, or use the dense loss".to_owned(),
            );
        }
        if self.semantics == TopKSemantics::RenormalisedTeacher && self.divergence.needs_teacher_everywhere()
        {
            problems.push(format!(
                "`{}` is infinite where the teacher has 0, as a renormalised teacher has outside its top k: use a tail",
                self.divergence.name()
            ));
        }
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.divergence.softening().of_teacher()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    fn reads_top_logits(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = mismatches(student, teacher);
        let stored = teacher.tensors.len() > 1;
        if stored && self.needs_normaliser() && !self.divergence.softening().is_one() {
            problems.push(NO_TEMPERATURE.to_owned());
        }
        let known = if stored { teacher.tensors[0].size().last().copied() } else { None };
        if known == Some(1) && self.semantics == TopKSemantics::RenormalisedBoth {
            problems.push(ONE_RENORMALISED.to_owned());
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let counted = CountedRows::of(&student.shape(), student.mask.as_ref(), None)?;
        let rows = wide(&counted.select(student.feature()?)?)?;
        let teacher = KnownLogits::of(teacher, &counted, rows.kind())?;
        let per_row = self.per_row(&rows, &teacher)?;
        counted.term(per_row.f_sum(per_row.kind())?, rows.size().first().copied().unwrap_or(0))
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>, D: Divergence> SoftTargets<T, S> for TopK<D> {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "top_k",
    summary: "a divergence on the teacher's top k",
    source: "several in use; see `semantics`",
    roles: &["logits"],
    options: &[
        whole("k", 1, 64, "how many classes"),
        choice(
            "semantics",
            &["tail", "renormalised_both", "renormalised_teacher", "partial"],
            "tail",
            "what is done with the other classes",
        ),
        DIVERGENCE,
        BETA,
        ALPHA,
        DETACHED,
        HEAD,
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    make: |options| {
        boxed(TopK::of(options.whole("k"), divergence(options)).semantics(
            match options.choice("semantics") {
                "renormalised_both" => TopKSemantics::RenormalisedBoth,
                "renormalised_teacher" => TopKSemantics::RenormalisedTeacher,
                "partial" => TopKSemantics::Partial,
                _ => TopKSemantics::Tail,
            },
        ))
    },
    ..Entry::EMPTY
}];
