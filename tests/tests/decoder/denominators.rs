//! What losses of a language model divide by: the targets of the whole window, however it is cut into batches.

use brew_core::batch::Batch as _;
use brew_core::execute::Executor;
use brew_core::loss::{
    AdaptiveKl, Chunked, Dkd, Jsd, Kl, Nkd, ReverseKl, TopK, next_token, within_vocabulary,
};
use brew_core::model::{CausalLmBatch, CausalLmOutputAdaptor, DecoderArchitecture, DecoderForCausalLm};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{off, small_lm};

use super::packed::{packed, rows_of, separate};

/// A small model over the tokens of the packed rows.
pub(crate) fn model(seed: u64, architecture: DecoderArchitecture) -> DecoderForCausalLm {
    small_lm(architecture, seed, 0.0)
}

/// Rows by their masks, with a label for each token: some of no length, some whose labels are all left out.
fn by_masks(masks: &[[i64; 10]], unlabelled: &[i64]) -> CausalLmBatch {
    let rows = masks.len() as i64;
    let mask = Tensor::from_slice(&masks.concat()).view([rows, 10]);
    let ids = Tensor::arange(rows * 10, (Kind::Int64, Device::Cpu)).view([rows, 10]);
    let ids = (&ids * &ids + ids * 3).remainder(19) * mask.ne(0);
    let labels = ids.where_scalarother(&mask.ne(0), -100);
    let labels = labels.index_fill(0, &Tensor::from_slice(unlabelled), -100);
    CausalLmBatch { input_ids: ids, attention_mask: mask, labels: Some(labels) }
}

/// Sixteen rows: padded at either end and between, of one token, of none, and packed.
fn sixteen() -> CausalLmBatch {
    let masks = [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 1, 1, 0, 1, 1],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 2, 2, 2, 2, 3, 3, 0],
        [0, 1, 2, 2, 2, 2, 2, 2, 2, 2],
    ];
    by_masks(&[masks, masks].concat(), &[1, 11, 14])
}

type Pipe = Pipeline<CausalLmBatch, CausalLmOutputAdaptor>;

/// The loss, by name, between two models, and nothing else.
fn pipeline(name: &str) -> Pipe {
    let architecture = DecoderArchitecture::Qwen3;
    let start = Distill::new(model(5, architecture).seen(), model(9, architecture).seen());
    let chunked = || Chunked::of(Kl::at(2.0)).rows(5);
    let plan = match name {
        "kl" => start.soft_targets(next_token(Kl::at(2.0))).plan(),
        "reverse kl" => start.soft_targets(next_token(ReverseKl::at(1.0))).plan(),
        "jsd" => start.soft_targets(next_token(Jsd::between(0.3))).plan(),
        "adaptive" => start.soft_targets(next_token(AdaptiveKl::with_head(0.5))).plan(),
        "top k" => start.soft_targets(next_token(TopK::of(4, Kl::at(1.0)))).plan(),
        "within" => start.soft_targets(next_token(within_vocabulary(18, Kl::at(2.0)))).plan(),
        // The labels judge the teacher's logits, too.
        "dkd" => start.soft_targets(next_token(Dkd::at(2.0))).plan(),
        "nkd" => start.soft_targets(next_token(Nkd::at(1.0))).plan(),
        "shifted" => start.soft_targets(next_token(Kl::at(2.0)).with_probability_shift()).plan(),
        "chunked" => start.soft_targets(next_token(chunked())).plan(),
        "chunked with labels" => start.soft_targets(next_token(chunked().with_labels(0.7))).plan(),
        "own" => start.hard_labels(1.0).plan(),
        _ => unreachable!("a loss of the list"),
    };
    plan.unwrap()
}

const LOSSES: [&str; 12] = [
    "kl",
    "reverse kl",
    "jsd",
    "adaptive",
    "top k",
    "within",
    "dkd",
    "nkd",
    "shifted",
    "chunked",
    "chunked with labels",
    "own",
];

/// The loss of batches that are one window, and the student's gradients.
pub(crate) fn over(pipeline: &Pipe, batches: &[CausalLmBatch]) -> (f64, Vec<(String, Tensor)>) {
    let executor = Executor::new(pipeline, 0).unwrap();
    let window = (batches.len() > 1).then(|| executor.window(batches).unwrap());
    let pass = Pass::evaluation(Wants::nothing());
    let mut value = 0.0;
    for batch in batches {
        let loss = executor.run(batch, &pass, window.as_ref()).unwrap().total;
        if loss.requires_grad() {
            loss.backward();
        }
        value += loss.double_value(&[]);
    }
    let parameters = pipeline.student().parameters();
    let gradients = parameters.iter().filter(|(_, tensor)| tensor.grad().defined());
    (value, gradients.map(|(name, tensor)| (name.to_owned(), tensor.grad())).collect())
}

/// Checks that two lists of tensors have the same names, and values that differ by less than a tolerance, relative to
/// the largest if it is above 1.
pub(crate) fn assert_same_tensors(
    ours: &[(String, Tensor)],
    wanted: &[(String, Tensor)],
    tolerance: f64,
    what: &str,
) {
    assert!(!wanted.is_empty(), "{what}");
    assert_eq!(ours.len(), wanted.len(), "{what}");
    for ((name, ours), (same, wanted)) in ours.iter().zip(wanted) {
        assert_eq!(name, same, "{what}");
        let off = off(ours, wanted);
        assert!(off < tolerance, "{what}: {name} is off by {off:e}");
    }
}

fn assert_same(one: &(f64, Vec<(String, Tensor)>), other: &(f64, Vec<(String, Tensor)>), what: &str) {
    assert!((one.0 - other.0).abs() < 1e-6 * other.0.max(1.0), "{what}: {} of {}", one.0, other.0);
    assert_same_tensors(&one.1, &other.1, 1e-6, what);
}

// Means of micro-batches' means: TRL's issue 4719.
#[test]
fn defect_3_one_batch_of_16_four_of_4_and_sixteen_of_1_have_the_same_gradients() {
    let rows = sixteen();
    for name in LOSSES {
        let whole = over(&pipeline(name), &[rows_of(&rows, 0, 16)]);
        assert!(whole.0 > 0.01, "{name}: {}", whole.0);
        for size in [4, 1] {
            let batches: Vec<_> = (0..16 / size).map(|part| rows_of(&rows, part * size, size)).collect();
            assert_same(&over(&pipeline(name), &batches), &whole, &format!("{name} in batches of {size}"));
        }
    }
}

// As separate rows, and a window of both is a window of twice the same.
#[test]
fn defect_3_packed_rows_weigh_as_their_documents_do() {
    for name in LOSSES {
        let alone = over(&pipeline(name), &[separate()]);
        assert_same(&over(&pipeline(name), &[packed()]), &alone, name);
        assert_same(&over(&pipeline(name), &[packed(), separate()]), &alone, name);
    }
}

// A loss on what padding gives: TRL's PR 2058. Each row alone and without padding, weighed by its targets.
#[test]
fn defect_1_the_loss_of_padded_rows_is_that_of_the_rows_without_padding() {
    let masks = [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
    ];
    let batch = by_masks(&masks, &[]);
    for name in LOSSES {
        let padded = over(&pipeline(name), &[rows_of(&batch, 0, 4)]).0;
        let (mut sum, mut count) = (0.0, 0.0);
        for (row, mask) in (0..).zip(&masks) {
            let first = mask.iter().position(|seen| *seen == 1).unwrap() as i64;
            let length = mask.iter().sum::<i64>();
            let alone = rows_of(&batch, row, 1);
            let alone = alone.map(&mut |_, tensor| Ok(tensor.narrow(1, first, length))).unwrap();
            sum += over(&pipeline(name), &[alone]).0 * (length - 1) as f64;
            count += (length - 1) as f64;
        }
        assert!((padded - sum / count).abs() < 1e-5, "{name}: {padded} of {}", sum / count);
    }
}

// What stands in the padding, and under a label of a first token, reaches nothing.
#[test]
fn defect_1_padding_before_the_first_token_and_between_reaches_no_loss() {
    let batch = sixteen();
    let padding = batch.attention_mask.eq(0);
    let spoiled = CausalLmBatch {
        input_ids: batch.input_ids.masked_fill(&padding, 13),
        attention_mask: batch.attention_mask.shallow_clone(),
        labels: batch.labels.as_ref().map(Tensor::shallow_clone),
    };
    for name in LOSSES {
        let (clean, spoiled) = (
            over(&pipeline(name), &[rows_of(&batch, 0, 16)]),
            over(&pipeline(name), &[rows_of(&spoiled, 0, 16)]),
        );
        assert_same(&spoiled, &clean, name);
    }
}

// Denominators of prompt-only data: TRL's PRs 6452 and 6478.
#[test]
fn defect_4_rows_without_a_target_have_no_influence_and_a_window_without_any_has_no_nan() {
    let some = by_masks(&[[1, 1, 1, 1, 1, 0, 0, 0, 0, 0]], &[]);
    // One token, no token, and as many documents as tokens.
    let none = by_masks(&[[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0; 10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], &[]);
    for name in LOSSES {
        let alone = over(&pipeline(name), &[rows_of(&some, 0, 1)]);
        let beside = over(&pipeline(name), &[rows_of(&some, 0, 1), rows_of(&none, 0, 3)]);
        assert_same(&beside, &alone, name);
        for parts in [vec![rows_of(&none, 0, 3)], vec![rows_of(&none, 0, 1), rows_of(&none, 1, 2)]] {
            let (value, gradients) = over(&pipeline(name), &parts);
            assert_eq!(value, 0.0, "{name}");
            for (parameter, gradient) in gradients {
                assert_eq!(gradient.abs().max().double_value(&[]), 0.0, "{name}: {parameter}");
            }
        }
    }
}

// The student's logits were moved to the next token, and the teacher's were not.
#[test]
fn defect_32_both_sides_are_moved_to_the_next_token() {
    let rows = sixteen();
    let architecture = DecoderArchitecture::Llama;
    let with = |teacher: DecoderForCausalLm, loss: &str| {
        let start = Distill::new(teacher.seen(), model(9, architecture).seen());
        let plan = match loss {
            "dense" => start.soft_targets(next_token(Kl::at(2.0))).plan(),
            "chunked" => start.soft_targets(next_token(Chunked::of(Kl::at(2.0)).rows(5))).plan(),
            _ => start.soft_targets(next_token(TopK::of(6, ReverseKl::at(1.0)))).plan(),
        };
        over(&plan.unwrap(), &[rows_of(&rows, 0, 16)]).0
    };
    for loss in ["dense", "chunked", "top k"] {
        // A copy of the student as its teacher has nothing to teach, at any position.
        assert!(with(model(9, architecture), loss).abs() < 1e-6, "{loss}");
        assert!(with(model(5, architecture), loss) > 0.01, "{loss}");
    }
}

// A clamp at 0 of what is known of the divergence: verl's PR 7855, no gradient in 89 % of steps.
#[test]
fn defect_22_a_loss_over_top_logits_has_a_gradient_wherever_the_sides_differ() {
    let rows = sixteen();
    for name in ["forward", "reverse", "jsd"] {
        let architecture = DecoderArchitecture::Llama;
        for row in 0..4 {
            let start = Distill::new(model(5, architecture).seen(), model(9, architecture).seen());
            let plan = match name {
                "forward" => start.soft_targets(next_token(TopK::of(3, Kl::at(1.0)))).plan(),
                "reverse" => start.soft_targets(next_token(TopK::of(3, ReverseKl::at(1.0)))).plan(),
                _ => start.soft_targets(next_token(TopK::of(3, Jsd::between(0.5)))).plan(),
            };
            let (value, gradients) = over(&plan.unwrap(), &[rows_of(&rows, row, 1)]);
            let largest = gradients.iter().map(|(_, gradient)| gradient.abs().max().double_value(&[]));
            assert!(value > 0.0 && largest.fold(0.0, f64::max) > 1e-4, "{name}, row {row}: {value}");
        }
    }
}
