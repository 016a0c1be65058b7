//! Chunked divergences: computed from hidden states and output matrices, without ever holding rows x
//! vocabulary logits.

mod linear;
mod mismatches;
mod output_layer;
mod with_labels;

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::catalogue::{Entry, OptionRow, Options, boxed, temperature, whole};
use super::logits::{
    ALPHA, BETA, CountedRows, DETACHED, DIVERGENCE, Divergence, HEAD, SQUARED, TEACHER, divergence, of_logits,
};
use super::uses::{Gives, SoftTargets, TargetsRead};
use super::{AlsoReads, Average, Features, Loss, Term};
use crate::error::{Error, Result};
use crate::role::{
    Hidden, Labels, LogitScale, LogitSoftcap, OutputBias, OutputWeight, PARTS_OF_HEAD, Role as _,
};
use crate::side::Side;
use linear::summed;
use mismatches::hidden_mismatches;
pub(crate) use output_layer::logits_of;
use output_layer::{OutputLayer, learned};
pub use with_labels::ChunkedWithLabels;

/// A divergence between the logits computed from the last hidden states and the output matrices, some rows at
/// a time: the value and gradients of the dense loss, with the memory of one chunk of logits.
///
/// It reads the last hidden states of both sides, `(batch, length, width)` or `(batch, width)`, each side's
/// own width, with the student's `logits_mask` (or else its `inputs_mask`) or without a mask, and each side's
/// [`OutputWeight`], `(vocabulary, width)` of one vocabulary. The products hidden x weight^T are computed in the
/// model's dtype, all else in float32 or wider: the logits are softcap tanh(scale (product + bias) / softcap), with
/// what the side has of [`OutputBias`], [`LogitScale`] and [`LogitSoftcap`]. An adaptor must provide these roles even
/// if its model lacks them, as `None`, so that none is forgotten. Gradients go to the student's hidden states,
/// output matrix and bias. Temperature, T squared, reduction and denominator are the divergence's own. Output
/// matrices that are padded to different sizes need
/// [`within_vocabulary`](crate::loss::within_vocabulary) around the loss.
///
/// Rows that do not count are left out before the product.
///
/// Each chunk's gradients are computed immediately, while its logits exist, and added to buffers for the
/// backward pass, with the sizes of the hidden states, the output matrix and the bias: memory does not grow with the
/// rows beyond that. No logits are computed twice. A model does not compute its own logits if they are not
/// wanted ([`Wants`](crate::pass::Wants)).
///
/// ```
/// use brew_core::loss::{Chunked, Kl, Loss, Features};
/// use brew_core::role::OutputWeight;
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let side = |width: i64| {
///     let random = |size: [i64; 2]| Tensor::randn(size, (Kind::Double, Device::Cpu));
///     Features::one(random([6, width])).with::<OutputWeight>(random([50, width]))
/// };
/// let (student, teacher) = (side(4), side(8));
/// let logits = |read: &Features| {
///     Ok::<Features, brew_core::Error>(Features::one(read.tensors[0].matmul(&read.also::<OutputWeight>()?.tr())))
/// };
/// let dense = Kl::at(2.0).term(&logits(&student)?, &logits(&teacher)?)?.mean()?;
/// let chunked = Chunked::of(Kl::at(2.0)).rows(4).term(&student, &teacher)?.mean()?;
/// assert!((dense - chunked).abs().double_value(&[]) < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chunked<D> {
    divergence: D,
    rows: Option<i64>,
}

/// The default number of logits per chunk, approximately: 8 MiB of float32 per side.
const LOGITS: i64 = 1 << 21;

/// The ends of chunks with this many rows.
fn cut(rows: i64, a_chunk: i64) -> Vec<i64> {
    (1..=(rows + a_chunk - 1) / a_chunk).map(|chunk| (chunk * a_chunk).min(rows)).collect()
}

/// The default number of rows per chunk: as many as give [`LOGITS`]. If that gives at most four chunks, two
/// are used, because every chunk reads the output matrices again.
fn rows_of_chunk(rows: i64, vocabulary: i64) -> i64 {
    let chunks = match (rows.saturating_mul(vocabulary) + LOGITS - 1) / LOGITS {
        few @ ..=4 => few.clamp(1, 2),
        many => many,
    };
    (rows + chunks - 1) / chunks
}

impl<D: Divergence> Chunked<D> {
    /// A chunked form of this divergence, with about 2 million logits per chunk.
    pub fn of(divergence: D) -> Self {
        Chunked { divergence, rows: None }
    }

    /// Sets the number of rows per chunk, at least 1.
    #[must_use]
    pub fn rows(self, rows: i64) -> Self {
        Chunked { rows: Some(rows), ..self }
    }

    /// Adds the cross-entropy of the labels with this weight, from the same logits.
    pub fn with_labels(self, weight: f64) -> ChunkedWithLabels<D> {
        ChunkedWithLabels::new(self, weight)
    }

    fn options_map(&self) -> Map<String, Value> {
        let mut options = self.divergence.softening().options();
        options.extend(self.divergence.options());
        let divergence = json!([self.divergence.name(), options]);
        let mut options = Map::from_iter([("divergence".to_owned(), divergence)]);
        if let Some(rows) = self.rows {
            options.insert("rows".to_owned(), json!(rows));
        }
        options
    }

    fn own_problems(&self) -> Vec<String> {
        let mut problems = self.divergence.softening().problems();
        problems.extend(self.divergence.problems());
        if self.divergence.softening().is_scheduled() {
            problems.push(
                "a temperature schedule reads all rows of a batch, but a chunk has only some of them: remove it, or use the dense loss"
                    .to_owned(),
            );
        }
        if let Some(rows) = self.rows.filter(|rows| *rows < 1) {
            problems.push(format!("a chunk has {rows} rows; it must have at least 1"));
        }
        problems
    }

    /// The loss over the rows that count; `also` returns an additional loss for the logits of some rows,
    /// starting at the given row among those that count.
    fn term_over(
        &self,
        student: &Features,
        teacher: &Features,
        counted: &CountedRows,
        also: &dyn Fn(&Tensor, i64) -> Result<Option<Tensor>>,
    ) -> Result<Term> {
        if let Some(learned) = learned(student) {
            return Err(Error::invalid(learned));
        }
        let output = |read: &Features| OutputLayer::of(counted.select(read.feature()?)?, read);
        let (student, teacher) = (output(student)?, output(teacher)?);
        let vocabulary = student.weight.size().first().copied().unwrap_or(1).max(1);
        let count = student.hidden.size().first().copied().unwrap_or(0);
        let a_chunk = self.rows.unwrap_or_else(|| rows_of_chunk(count, vocabulary));
        let ends = cut(count, a_chunk.max(1));
        let sum = summed(&student, &teacher, &ends, &|student, teacher, start| {
            let divergence = of_logits(&self.divergence, student, teacher)?.f_sum(student.kind())?;
            match also(student, start)? {
                Some(more) => Ok(divergence.f_add(&more)?),
                None => Ok(divergence),
            }
        })?;
        counted.term(sum, count)
    }
}

/// What turns the hidden states of both sides into logits, and last the student's labels.
const READ: [AlsoReads; 2 * PARTS_OF_HEAD.len() + 1] = {
    let mut read = [AlsoReads { side: Side::Student, role: Labels::NAME }; 2 * PARTS_OF_HEAD.len() + 1];
    let mut part = 0;
    while part < PARTS_OF_HEAD.len() {
        read[part] = AlsoReads { side: Side::Student, role: PARTS_OF_HEAD[part] };
        read[PARTS_OF_HEAD.len() + part] = AlsoReads { side: Side::Teacher, role: PARTS_OF_HEAD[part] };
        part += 1;
    }
    read
};

impl<D: Divergence> Loss for Chunked<D> {
    fn name(&self) -> &'static str {
        "chunked"
    }

    fn options(&self) -> Value {
        Value::Object(self.options_map())
    }

    fn problems(&self) -> Vec<String> {
        self.own_problems()
    }

    fn also_reads(&self) -> &'static [AlsoReads] {
        &READ[..2 * PARTS_OF_HEAD.len()]
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        hidden_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let counted = CountedRows::of(&student.shape(), student.mask.as_ref(), None)?;
        self.term_over(student, teacher, &counted, &|_, _| Ok(None))
    }

    fn temperature(&self) -> Option<f64> {
        self.divergence.softening().of_teacher()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }
}

impl<T, S, D: Divergence> SoftTargets<T, S> for Chunked<D>
where
    T: Gives<Hidden> + Gives<OutputWeight> + Gives<OutputBias> + Gives<LogitScale> + Gives<LogitSoftcap>,
    S: Gives<Hidden> + Gives<OutputWeight> + Gives<OutputBias> + Gives<LogitScale> + Gives<LogitSoftcap>,
{
    const READ: TargetsRead = TargetsRead::LastHidden;
}

/// The option for the rows per chunk.
pub(super) const ROWS_OF_CHUNK: OptionRow =
    whole("rows", 0, 0, "the rows of a chunk; 0: as many as make 2 million logits");

fn made(options: &Options) -> Chunked<Box<dyn Divergence>> {
    let loss = Chunked::of(divergence(options));
    match options.whole(ROWS_OF_CHUNK.name) {
        0 => loss,
        rows => loss.rows(rows),
    }
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "chunked",
    summary: "a divergence from hidden states and output matrices, some rows of logits at a time",
    source: "as the divergence",
    roles: &["hidden"],
    options: &[ROWS_OF_CHUNK, DIVERGENCE, BETA, ALPHA, DETACHED, HEAD, temperature(1.0), TEACHER, SQUARED],
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];

/// The rows of the catalogue, file by file.
pub(super) const ALL: &[&[Entry]] = &[ROWS, with_labels::ROWS];
