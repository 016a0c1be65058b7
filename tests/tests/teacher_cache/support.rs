//! Small BERT models, rows of different lengths in any order, and what a run reported.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use brew_core::batch::Walk;
use brew_core::model::ClassifierOutput;
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use tests::Count;

/// A small model of `fixtures/heads`, such as `bert/token`.
pub(crate) fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads").join(case)
}

/// A classifier that counts how often it runs.
pub(crate) struct Counting {
    pub(crate) model: BertForSequenceClassification,
    pub(crate) runs: Count,
}

impl Counting {
    pub(crate) fn new(case: &str) -> (Self, Count) {
        let model = BertForSequenceClassification::from_pretrained(folder(case), Device::Cpu).unwrap();
        let runs = Count::default();
        (Counting { model, runs: runs.clone() }, runs)
    }
}

#[distill(batch = TextBatch)]
impl Counting {
    fn forward(&self, input_ids: &Tensor, attention_mask: &Tensor, pass: &Pass) -> Result<ClassifierOutput> {
        self.runs.add();
        self.model.forward(input_ids, attention_mask, None, None, pass)
    }
}

impl Model for Counting {
    fn parameters(&self) -> Parameters {
        self.model.parameters()
    }
}

/// The student of all tests: without dropout, so that a loss depends on nothing but its inputs.
pub(crate) fn student() -> BertForSequenceClassification {
    BertForSequenceClassification::from_pretrained(folder("distilbert/sequence"), Device::Cpu).unwrap()
}

/// 24 texts of 2 to 9 tokens.
pub(crate) fn texts() -> Vec<Vec<i64>> {
    let token = |row: i64, place: i64| 1 + (row * 7 + place * place * 3 + place) % 38;
    (0..24).map(|row| (0..2 + (row * 5) % 8).map(|place| token(row, place)).collect()).collect()
}

/// Batches of texts, in a different order in every epoch.
#[derive(Clone)]
pub(crate) struct Texts {
    pub(crate) rows: Vec<Vec<i64>>,
    pub(crate) size: usize,
    /// Pads every batch to this length, or to its longest row.
    pub(crate) length: Option<usize>,
    pub(crate) shuffled: bool,
    /// Rows of similar length are grouped.
    pub(crate) bucketed: bool,
    pub(crate) varies: bool,
}

impl Texts {
    pub(crate) fn of(size: usize) -> Self {
        Texts { rows: texts(), size, length: None, shuffled: false, bucketed: false, varies: false }
    }

    fn batch(&self, rows: &[usize]) -> TextBatch {
        let longest = rows.iter().map(|row| self.rows[*row].len()).max().unwrap_or(0);
        let length = self.length.unwrap_or(longest);
        let padded = |value: &dyn Fn(&i64) -> i64| {
            let values: Vec<i64> = rows
                .iter()
                .flat_map(|row| {
                    let row = &self.rows[*row];
                    row.iter().map(value).chain(std::iter::repeat_n(0, length - row.len()))
                })
                .collect();
            Tensor::from_slice(&values).view([rows.len() as i64, length as i64])
        };
        let labels: Vec<i64> = rows.iter().map(|row| (row % 3) as i64).collect();
        TextBatch {
            input_ids: padded(&|token| *token),
            attention_mask: padded(&|_| 1),
            token_type_ids: None,
            labels: Some(Tensor::from_slice(&labels)),
        }
    }
}

impl Batches for Texts {
    type Batch = TextBatch;

    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.rows.len().div_ceil(self.size))
    }

    fn rows(&self) -> Option<usize> {
        Some(self.rows.len())
    }

    fn varies(&self) -> bool {
        self.varies
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, TextBatch>> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        if self.shuffled {
            // 5 and 24 have no common divisor.
            order = order.iter().map(|row| (row * 5 + 7 * epoch as usize) % self.rows.len()).collect();
        }
        if self.bucketed {
            order.sort_by_key(|row| self.rows[*row].len());
        }
        let batches: Vec<_> = order.chunks(self.size).map(|rows| Ok(self.batch(rows))).collect();
        Ok(Box::new(batches.into_iter()))
    }
}

/// Every loss of every step, and the run's messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) losses: Rc<RefCell<Vec<(String, f64)>>>,
    pub(crate) words: Rc<RefCell<Vec<String>>>,
}

impl Observer for Record {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { found, .. } => self.words.borrow_mut().extend(found.iter().cloned()),
            Event::Step(report) => self.losses.borrow_mut().extend(report.losses.clone().unwrap_or_default()),
            Event::TeacherCache { report, .. } => self.words.borrow_mut().push(format!(
                "{}: {} found, {} computed, {} rows",
                report.name, report.found, report.computed, report.rows
            )),
            Event::Warning(text) => self.words.borrow_mut().push(format!("warning: {text}")),
            _ => {}
        }
    }
}

impl Record {
    /// The messages that contain this text.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        self.words.borrow().iter().filter(|words| words.contains(text)).cloned().collect()
    }
}

/// The largest |a - b| / |b| of two lists of losses with the same names.
pub(crate) fn difference(found: &Record, expected: &Record) -> f64 {
    let (found, expected) = (found.losses.borrow(), expected.losses.borrow());
    assert_eq!(found.len(), expected.len());
    assert!(!found.is_empty());
    let mut largest = 0.0_f64;
    for ((name, found), (other, expected)) in found.iter().zip(expected.iter()) {
        assert_eq!(name, other);
        largest = largest.max((found - expected).abs() / expected.abs());
    }
    largest
}
