//! A chunked divergence with the labels' cross-entropy beside it, from the same logits.

use serde_json::{Value, json};

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logits::{
    ALPHA, BETA, CountedRows, DETACHED, DIVERGENCE, Divergence, HEAD, SQUARED, TEACHER, labels_problem,
    log_softmax, weight_problems,
};
use super::super::uses::{Gives, SoftTargets, TargetsRead};
use super::super::{AlsoReads, Average, Features, Loss, Masks, Term};
use super::{Chunked, READ, hidden_mismatches};
use super::{ROWS_OF_CHUNK, made};
use crate::error::Result;
use crate::role::{Hidden, Labels, LogitScale, LogitSoftcap, OutputBias, OutputWeight};

/// A chunked divergence plus weight x mean_r( - log softmax(s)_y ), over the rows whose label y counts: made
/// by [`Chunked::with_labels`].
///
/// For both parts the labels, `(batch, length)` or `(batch,)`, int64, decide which rows count: those at 0 or
/// above. No mask is read, so padding must have a negative label, such as -100. The cross-entropy is at T =
/// 1. Everything else is as for [`Chunked`].
///
/// ```
/// use brew_core::loss::{Chunked, Kl, Loss, Features};
/// use brew_core::role::{Labels, OutputWeight};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let random = |size: [i64; 2]| Tensor::randn(size, (Kind::Float, Device::Cpu));
/// let student = Features::one(random([3, 4])).with::<OutputWeight>(random([50, 4]));
/// let student = student.with::<Labels>(Tensor::from_slice(&[7_i64, -100, 42]));
/// let teacher = Features::one(random([3, 8])).with::<OutputWeight>(random([50, 8]));
/// let term = Chunked::of(Kl::at(1.0)).with_labels(0.5).term(&student, &teacher)?;
/// assert_eq!(term.count.double_value(&[]), 2.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChunkedWithLabels<D> {
    chunked: Chunked<D>,
    weight: f64,
}

impl<D: Divergence> ChunkedWithLabels<D> {
    pub(super) fn new(chunked: Chunked<D>, weight: f64) -> Self {
        ChunkedWithLabels { chunked, weight }
    }
}

impl<D: Divergence> Loss for ChunkedWithLabels<D> {
    fn name(&self) -> &'static str {
        "chunked_with_labels"
    }

    fn options(&self) -> Value {
        let mut options = self.chunked.options_map();
        options.insert("labels_weight".to_owned(), json!(self.weight));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.chunked.own_problems();
        problems.extend(weight_problems(&[("the labels' weight", self.weight)]));
        problems
    }

    fn masks(&self) -> Masks {
        Masks::Ignored
    }

    fn temperature(&self) -> Option<f64> {
        self.chunked.temperature()
    }

    fn average(&self, _: bool) -> Average {
        Average::Labels
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        &READ
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = hidden_mismatches(student, teacher);
        if problems.is_empty() {
            problems.extend(labels_problem(student));
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let labels = student.labels()?;
        let counted = CountedRows::of(&student.shape(), None, Some(labels))?;
        let labels = counted.select_flat(&labels.f_reshape([-1])?)?;
        self.chunked.term_over(student, teacher, &counted, &|logits, start| {
            let rows = logits.size().first().copied().unwrap_or(0);
            let column = labels.f_narrow(0, start, rows)?.f_unsqueeze(-1)?;
            let log = log_softmax(logits)?.f_gather(-1, &column, false)?;
            Ok(Some(log.f_sum(logits.kind())?.f_mul_scalar(-self.weight)?))
        })
    }
}

impl<T, S, D: Divergence> SoftTargets<T, S> for ChunkedWithLabels<D>
where
    T: Gives<Hidden> + Gives<OutputWeight> + Gives<OutputBias> + Gives<LogitScale> + Gives<LogitSoftcap>,
    S: Gives<Hidden>
        + Gives<OutputWeight>
        + Gives<OutputBias>
        + Gives<LogitScale>
        + Gives<LogitSoftcap>
        + Gives<Labels>,
{
    const READ: TargetsRead = TargetsRead::LastHidden;
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "chunked_with_labels",
    summary: "the same with the labels' cross-entropy, from the same logits",
    source: "as the divergence",
    roles: &["hidden"],
    options: &[
        number("labels_weight", Range::NotNegative, 1.0, "the weight of the cross-entropy"),
        ROWS_OF_CHUNK,
        DIVERGENCE,
        BETA,
        ALPHA,
        DETACHED,
        HEAD,
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    make: |options| boxed(made(options).with_labels(options.number("labels_weight"))),
    ..Entry::EMPTY
}];
