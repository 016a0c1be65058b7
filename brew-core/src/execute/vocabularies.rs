//! Whether the data, the student and the teachers mean the same tokens by the same ids. It is checked before the
//! first step, since ids of another vocabulary train without an error.

use tch::{Kind, Tensor};

use super::Executor;
use super::classes::stage_of;
use super::compared_tokens::TWO_WAYS;
use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::error::{Error, Problem, Result};
use crate::feature::Feature;
use crate::model::{ErasedModel, Model, Seen};
use crate::role::{Labels, Role as _, TokenIds};
use crate::side::Owner;
use crate::vocabulary::{Fingerprint, Vocabulary, VocabularyDifference};

/// The vocabulary that the data states for a column.
pub(crate) type OfColumn<'a> = &'a dyn Fn(&str) -> Result<Option<Fingerprint>>;

/// The result of the comparison.
#[derive(Debug, Default)]
pub(super) struct VocabularyFindings {
    pub(super) problems: Vec<Problem>,
    /// Notes to the user about differences that may be intended.
    pub(super) notes: Vec<String>,
}

impl VocabularyFindings {
    /// The vocabulary of a model; one that cannot be read is not compared, since training does not need it.
    fn read(&mut self, whose: &str, model: &(impl Model + ?Sized)) -> Option<Vocabulary> {
        model.vocabulary().unwrap_or_else(|error| {
            self.notes.push(format!("the vocabulary of {whose} is not compared: {error}"));
            None
        })
    }

    /// Reports a difference: as a problem if these are two vocabularies, and it is certain that both read the ids.
    fn compare(
        &mut self,
        stage: &str,
        sides: &str,
        difference: &VocabularyDifference,
        mend: &str,
        certain: bool,
    ) {
        let VocabularyDifference { common, other, first } = difference;
        if *other == 0 {
            return;
        }
        let example = first.as_ref().map_or_else(String::new, |(id, one, other)| {
            format!(": id {id} is `{one}` to one and `{other}` to the other")
        });
        if difference.is_of_two() {
            let message = format!("{sides} have different vocabularies{example}; {mend}");
            match certain {
                true => self.problems.push(Problem::Unfit { stage: stage.to_owned(), message }),
                false => self.notes.push(format!("if its values are token ids: {message}")),
            }
        } else if first.is_some() {
            self.notes.push(format!("{sides} share a vocabulary but for {other} of {common} ids{example}"));
        } else {
            self.notes.push(format!("{sides} share a vocabulary but for some ids"));
        }
    }
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Compares the vocabularies of everyone who reads a column of token ids. Models without tokenizer files, and
    /// columns for which the data states no vocabulary, are not compared.
    pub(super) fn compare_vocabularies<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        of_column: OfColumn<'_>,
    ) -> Result<VocabularyFindings> {
        let mut findings = VocabularyFindings::default();
        let student = &self.pipeline.student;
        let read_by_student = Columns::of(student.columns_read(), batch.student());
        let stated = read_by_student.vocabularies(of_column)?;
        let is_shared = same_batch(batch) && !self.pipeline.teachers.is_empty();
        // A tokenizer file has megabytes: read only to compare it.
        let teachers = 0..self.pipeline.teachers.len();
        let compares: Vec<bool> = teachers.map(|index| self.compares_tokens(index)).collect::<Result<_>>()?;
        let of_student = match is_shared || !stated.is_empty() || compares.contains(&true) {
            true => findings.read("the student", student),
            false => None,
        };
        if let Some(own) = &of_student {
            let stage = stage_of(self.plan(), Owner::Student);
            compare_with_data(&mut findings, &stage, "the student", own, &read_by_student, &stated);
        }
        for (index, teacher) in self.pipeline.teachers.iter().enumerate() {
            // A teacher with its own batch reads other columns, whatever their names; one whose output is given
            // reads none. Tokens may be compared all the same.
            let reads_shared = is_shared && batch.teacher_output(index).is_none();
            if !reads_shared && !compares[index] {
                continue;
            }
            let whose = self.called(index);
            let Some(own) = findings.read(&whose, &**teacher) else { continue };
            let stage = stage_of(self.plan(), Owner::Teacher(index));
            if !reads_shared {
                if let Some(of_student) = &of_student {
                    let sides = format!("a loss compares the tokens of {whose} and of the student, which");
                    findings.compare(&stage, &sides, &own.difference(of_student), TWO_WAYS, true);
                }
                continue;
            }
            let read = Columns::of(teacher.columns_read(), batch.student());
            let before = findings.problems.len();
            compare_with_data(&mut findings, &stage, &whose, &own, &read, &read.vocabularies(of_column)?);
            let Some(of_student) = of_student.as_ref().filter(|_| findings.problems.len() == before) else {
                continue;
            };
            let shared = |name: &str| read.has(name) && read_by_student.has(name);
            if let Some(column) = token_column::<A>(&shared, batch.student())? {
                let sides = format!("{whose} and the student read the same `{column}`, and");
                // If losses compare tokens, tokenising once for each side is not enough.
                let mend = match A::ROLES.contains(&TokenIds::NAME) {
                    true => format!("{TWO_WAYS}, with the texts tokenised once for each: `Both<TeacherBatch, StudentBatch>`"),
                    false => "tokenise the texts once for each and stream `Both<TeacherBatch, StudentBatch>`, or take a student with the teacher's vocabulary".to_owned(),
                };
                // Another column may hold other numbers, and a model that does not state its columns may not read this.
                let certain = column == TOKENS && read.stated && read_by_student.stated;
                findings.compare(&stage, &sides, &own.difference(of_student), &mend, certain);
            }
        }
        Ok(findings)
    }
}

fn compare_with_data(
    findings: &mut VocabularyFindings,
    stage: &str,
    whose: &str,
    own: &Vocabulary,
    read: &Columns,
    stated: &[(&str, Fingerprint)],
) {
    let differences: Vec<_> =
        stated.iter().map(|(column, print)| (column, own.difference_from(print))).collect();
    // A model that does not state its columns may read only the one that fits.
    let fits = differences.iter().any(|(_, difference)| !difference.is_of_two());
    for (column, difference) in differences {
        if read.stated || !fits || !difference.is_of_two() {
            let sides = format!("{whose} and the tokenizer that made `{column}`");
            let mend = "tokenise the texts with the tokenizer of this model's folder";
            findings.compare(stage, &sides, &difference, mend, true);
        }
    }
}

/// Refuses data whose token ids belong to another vocabulary than the student's.
pub(crate) fn same_vocabulary<A: Adaptor>(
    student: &Seen<A>,
    batch: &A::Batch,
    of_column: OfColumn<'_>,
) -> Result<()> {
    let mut findings = VocabularyFindings::default();
    let read = Columns::of(student.columns_read(), batch);
    let stated = read.vocabularies(of_column)?;
    if stated.is_empty() {
        return Ok(());
    }
    let Some(own) = findings.read("the student", student) else { return Ok(()) };
    compare_with_data(&mut findings, "", "the student", &own, &read, &stated);
    match findings.problems.into_iter().next() {
        Some(Problem::Unfit { message, .. }) => Err(Error::invalid(message)),
        _ => Ok(()),
    }
}

/// Whether teacher and student read one and the same batch.
pub(super) fn same_batch<T: 'static, S, B: Feeds<T, S>>(batch: &B) -> bool {
    std::ptr::addr_eq(std::ptr::from_ref(batch.teacher()), std::ptr::from_ref(batch.student()))
}

/// The usual name of the column with token ids.
const TOKENS: &str = "input_ids";

/// The columns of a batch that a model reads.
struct Columns {
    names: Vec<String>,
    /// Whether the model states them; otherwise these are all columns.
    stated: bool,
}

impl Columns {
    fn of<B: Batch>(read: Option<Vec<String>>, batch: &B) -> Self {
        let all = batch.tensors().into_iter().map(|(name, _)| name.to_owned());
        let names = all.filter(|name| read.as_ref().is_none_or(|read| read.contains(name))).collect();
        Columns { names, stated: read.is_some() }
    }

    /// Those with a stated vocabulary.
    fn vocabularies(&self, of_column: OfColumn<'_>) -> Result<Vec<(&str, Fingerprint)>> {
        let stated = |name| Ok(of_column(name)?.map(|print| (name, print)));
        self.names.iter().filter_map(|name| stated(name.as_str()).transpose()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|read| read == name)
    }
}

/// The column with token ids among these: [`TOKENS`] if it is there, or else one with integers of shape
/// (batch, length) above 1 that are not labels.
fn token_column<A: Adaptor>(read: &dyn Fn(&str) -> bool, batch: &A::Batch) -> Result<Option<String>> {
    if read(TOKENS) {
        return Ok(Some(TOKENS.to_owned()));
    }
    let labels = A::read_batch(Labels::NAME, batch)?.map(Feature::into_tensors).unwrap_or_default();
    let is_label = |tensor: &Tensor| labels.iter().any(|label| label.data_ptr() == tensor.data_ptr());
    for (name, tensor) in batch.tensors() {
        let ids = tensor.dim() == 2 && matches!(tensor.kind(), Kind::Int64 | Kind::Int) && tensor.numel() > 0;
        if ids
            && read(name)
            && name != "position_ids"
            && !is_label(tensor)
            && tensor.f_max()?.f_int64_value(&[])? > 1
        {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
