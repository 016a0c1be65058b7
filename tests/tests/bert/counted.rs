//! What counts in the models' own losses: labels of -100 do not, and accumulated batches are one batch.
//!
//! The values are those of Python's transformers 5.24.0 with torch 2.11.0, its own mean over all rows at
//! once: `fixtures/heads/generate.py` recorded those of tokens and of positions, and those of sequences are
//!
//! ```python
//! m = AutoModelForSequenceClassification.from_pretrained(f"fixtures/heads/{family}/sequence").eval()
//! loss = m(**x, labels=torch.tensor([2, -100, 0, -100])).loss  # x: the recorded inputs
//! loss.backward()                                              # the gradient: that of the last bias
//! ```

use brew_core::adaptor::Provides;
use brew_core::batch::Batch;
use brew_core::execute::Executor;
use brew_core::model::{
    BertForQuestionAnswering, BertForTokenClassification, ClassifierOutputAdaptor, SpanOutputAdaptor,
    TokenClassifierOutputAdaptor,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;

use super::support::{Columns, difference, head_folder, recorded, span_batch, token_batch};

/// The hard-label loss of a batch in parts of these sizes, and the gradients of the student.
fn in_parts<A: Adaptor + Provides<role::Losses>>(
    student: Seen<A>,
    rows: &A::Batch,
    sizes: &[i64],
    semantics: Semantics,
) -> (f64, Parameters) {
    let pipeline = Supervised::new(student).semantics(semantics).plan().unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let mut start = 0;
    let batches: Vec<A::Batch> = sizes
        .iter()
        .map(|size| {
            start += size;
            rows.map(&mut |_, tensor| Ok(tensor.narrow(0, start - size, *size))).unwrap()
        })
        .collect();
    let window = (sizes.len() > 1).then(|| executor.window(&batches).unwrap());
    // Without dropout, as the recorded values are.
    let pass = Pass::evaluation(Wants::nothing());
    let mut value = 0.0;
    for batch in &batches {
        let loss = executor.run(batch, &pass, window.as_ref()).unwrap().total;
        loss.backward();
        value += loss.double_value(&[]);
    }
    let gradients = pipeline.student().parameters();
    let gradients = gradients.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad()));
    (value, Parameters::new(gradients.collect::<Vec<_>>()))
}

/// One batch of 4 gives this value, and so do its parts; their gradients are those of one batch.
fn agrees<A: Adaptor + Provides<role::Losses>>(
    case: &str,
    load: impl Fn() -> Seen<A>,
    rows: &A::Batch,
    expected: f64,
) -> Parameters {
    let (whole, gradients) = in_parts(load(), rows, &[4], Semantics::Exact);
    assert!((whole - expected).abs() < 1e-5, "{case}: {whole}, transformers {expected}");
    for sizes in [&[2_i64, 2][..], &[1, 3], &[1, 1, 1, 1]] {
        let (value, parts) = in_parts(load(), rows, sizes, Semantics::Exact);
        assert!((value - expected).abs() < 1e-5, "{case} in {sizes:?}: {value}, transformers {expected}");
        for ((name, of_parts), (_, of_whole)) in parts.iter().zip(gradients.iter()) {
            assert_eq!(of_parts.defined(), of_whole.defined(), "{case}: {name}");
            if of_parts.defined() {
                let off = difference(of_parts, of_whole);
                assert!(off < 1e-5, "{case} in {sizes:?}: {name} is off by {off:e}");
            }
        }
    }
    gradients
}

fn text_batch(columns: &Columns, labels: &[i64]) -> TextBatch {
    TextBatch {
        input_ids: columns["input_ids"].shallow_clone(),
        attention_mask: columns["attention_mask"].shallow_clone(),
        token_type_ids: None,
        labels: Some(Tensor::from_slice(labels)),
    }
}

fn classifier(case: &str) -> Seen<ClassifierOutputAdaptor> {
    let model = BertForSequenceClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
    model.seen_by(ClassifierOutputAdaptor)
}

/// A family's case, its loss, the name of its last bias and the gradient of that.
type Sequence = (&'static str, f64, &'static str, [f64; 3]);

const SEQUENCES: [Sequence; 2] = [
    (
        "distilbert/sequence",
        0.651_182_055_473_327_6,
        "classifier.bias",
        [-0.048_685_222_864_151, 0.181_866_332_888_603_2, -0.133_181_095_123_291],
    ),
    (
        "roberta/sequence",
        1.104_454_040_527_343_8,
        "classifier.out_proj.bias",
        [-0.314_814_686_775_207_5, 0.390_028_238_296_508_8, -0.075_213_581_323_623_66],
    ),
];

#[test]
fn rows_without_a_label_do_not_count_in_the_mean_of_a_classifier() {
    for (case, loss, bias, expected) in SEQUENCES {
        let rows = text_batch(&recorded(case), &[2, -100, 0, -100]);
        let gradients = agrees(case, || classifier(case), &rows, loss);
        let (_, found) = gradients.iter().find(|(name, _)| *name == bias).unwrap();
        let off = difference(found, &Tensor::from_slice(&expected));
        assert!(off < 1e-6, "{case}: the gradient of {bias} is off by {off:e}");
    }
}

// Four rows of which two count, one in each half: TextBrewer's window is the mean of its batches' means,
// which are transformers' own: -log softmax(logits)_label of the two rows.
#[test]
fn textbrewers_semantics_average_means_over_the_rows_that_count() {
    let (case, loss, ..) = SEQUENCES[0];
    let rows = text_batch(&recorded(case), &[2, -100, 0, -100]);
    let (halves, _) = in_parts(classifier(case), &rows, &[2, 2], Semantics::TextBrewer);
    assert!((halves - loss).abs() < 1e-5, "{halves}, {loss}");
    // A batch in which nothing counts has the mean 0.
    let (quarters, _) = in_parts(classifier(case), &rows, &[1, 1, 1, 1], Semantics::TextBrewer);
    assert!((quarters - loss / 2.0).abs() < 1e-5, "{quarters}, {}", loss / 2.0);
}

#[test]
fn a_window_in_which_no_label_counts_has_the_loss_0_and_no_gradient() {
    let case = "distilbert/sequence";
    let rows = text_batch(&recorded(case), &[-100; 4]);
    for sizes in [&[4_i64][..], &[1, 3]] {
        let (value, gradients) = in_parts(classifier(case), &rows, sizes, Semantics::Exact);
        assert_eq!(value, 0.0);
        let still = |(_, gradient): (&str, &Tensor)| {
            !gradient.defined() || gradient.abs().max() == Tensor::from(0_f32)
        };
        assert!(gradients.iter().all(still));
    }
}

#[test]
fn accumulated_taggers_average_over_the_labels_of_the_whole_window() {
    for case in ["bert/token", "roberta/token", "distilbert/token"] {
        let columns = recorded(case);
        let load = || {
            let model = BertForTokenClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
            model.seen_by(TokenClassifierOutputAdaptor)
        };
        agrees(case, load, &token_batch(&columns), columns["loss"].double_value(&[]));
    }
}

// Of the recorded starts three count, of the ends two; one start lies before the text, and counts.
#[test]
fn accumulated_answers_average_starts_and_ends_each_over_those_that_count() {
    for case in ["bert/question", "roberta/question", "distilbert/question"] {
        let columns = recorded(case);
        let load = || {
            let model = BertForQuestionAnswering::from_pretrained(head_folder(case), Device::Cpu).unwrap();
            model.seen_by(SpanOutputAdaptor)
        };
        agrees(case, load, &span_batch(&columns), columns["loss"].double_value(&[]));
    }
}

// transformers' MSELoss knows no label that does not count: (logit + 100)^2 is in the mean.
#[test]
fn a_number_of_minus_100_is_a_number_in_a_regression() {
    let case = "bert/sequence";
    let columns = recorded(case);
    let rows = TextBatch {
        token_type_ids: Some(columns["token_type_ids"].shallow_clone()),
        ..text_batch(&columns, &[3, -100, 0, 1])
    };
    let logits = columns["logits"].reshape([-1]);
    let off = logits - Tensor::from_slice(&[3_f32, -100.0, 0.0, 1.0]);
    let expected = off.square().mean(Kind::Double).double_value(&[]);
    let load = || classifier(case);
    let (value, _) = in_parts(load(), &rows, &[4], Semantics::Exact);
    assert!((value - expected).abs() < 1e-3, "{value}, {expected}");
    let (value, _) = in_parts(load(), &rows, &[1, 3], Semantics::Exact);
    assert!((value - expected).abs() < 1e-3, "{value}, {expected}");
}
