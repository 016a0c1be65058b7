//! A loss whose value cannot depend on the student is rejected, with what to use instead.
//!
//! The value itself decides: every loss of the catalogue that compares logits, and every wrapper around it, is computed for
//! two different students. If the values are equal, the loss must have been rejected; if they differ, it must not.

use brew_core::loss::catalogue::{self, Entry};
use brew_core::loss::{
    Chunked, Features, Kl, Loss, TopK, TopKSemantics, next_token, standardised, within_vocabulary,
};
use brew_core::role::{ByteEnds, Labels, OutputWeight, TokenIds};
use brew_core::tch::{Kind, Tensor};
use serde_json::json;
use tests::seq;

use crate::cases::assert_close;

/// What `entry` makes of its defaults, and of one token that both sides share.
fn made(entry: &Entry) -> Box<dyn Loss> {
    let mut options = serde_json::Map::new();
    for option in entry.options {
        match option.name {
            "pairs" => options.insert("pairs".to_owned(), json!([[0, 0]])),
            "tokens" => options.insert("tokens".to_owned(), json!(1)),
            _ => None,
        };
    }
    catalogue::make(entry.name, &options).unwrap()
}

/// Logits of this shape with all that losses on logits read beside them.
fn side(shape: &[i64], step: f64) -> Features {
    let rows = &shape[..shape.len() - 1];
    let zeros = Tensor::zeros(rows, (Kind::Int64, brew_core::tch::Device::Cpu));
    let read = Features::one(seq(shape, step, 0.3, 2.0));
    let read = read.with::<Labels>(zeros.shallow_clone()).with::<TokenIds>(zeros.shallow_clone());
    if shape.len() < 3 {
        return read;
    }
    let ends = Tensor::arange(shape[1], (Kind::Int64, brew_core::tch::Device::Cpu)) + 1;
    read.with::<ByteEnds>(ends.expand_as(&zeros))
}

/// Whether two students that differ have one value; `None` where it cannot be computed at all.
fn is_constant(loss: &dyn Loss, shape: &[i64]) -> Option<bool> {
    let teacher = side(shape, 0.9);
    let value = |step| Some(loss.term(&side(shape, step), &teacher).ok()?.mean().ok()?.double_value(&[]));
    let (one, other) = (value(0.7)?, value(1.3)?);
    Some((one - other).abs() < 1e-9 || one.is_nan())
}

fn refusals(loss: &dyn Loss, shape: &[i64]) -> Vec<String> {
    let mut refusals = loss.problems();
    refusals.extend(loss.mismatches(&side(shape, 0.7), &side(shape, 0.9)));
    refusals
}

/// Puts a wrapper around a loss.
type Wrap = fn(Box<dyn Loss>) -> Box<dyn Loss>;

#[test]
fn a_loss_is_refused_over_one_logit_if_and_only_if_the_student_cannot_change_it() {
    let (mut refused, mut taken) = (Vec::new(), Vec::new());
    for entry in catalogue::entries().filter(|entry| entry.is_on_logits()) {
        let wrapped: [(&str, Wrap); 4] = [
            ("", |loss| loss),
            ("standardised ", |loss| Box::new(standardised(loss))),
            ("next_token ", |loss| Box::new(next_token(loss))),
            ("within_vocabulary ", |loss| Box::new(within_vocabulary(1, loss))),
        ];
        for (wrapper, wrap) in wrapped {
            for shape in [[3, 1].as_slice(), &[3, 4, 1]] {
                let loss = wrap(made(entry));
                let name = format!("{wrapper}{} {shape:?}", entry.name);
                let refusals = refusals(&*loss, shape);
                if refusals.is_empty() {
                    assert_eq!(is_constant(&*loss, shape), Some(false), "{name} was taken");
                    taken.push(name);
                } else if refusals.iter().any(|refusal| refusal.contains("BinaryKl")) {
                    assert_ne!(is_constant(&*loss, shape), Some(false), "{name}: {refusals:?}");
                    refused.push(name);
                }
            }
        }
    }
    println!("refused: {refused:?}\ntaken: {taken:?}");
    for name in [
        "kd_ce",
        "kl",
        "reverse_kl",
        "jsd",
        "taid",
        "dist",
        "wsld",
        "dkd",
        "nkd",
        "mft",
        "top_k",
        "sampled_kl",
        "uld",
    ] {
        assert!(refused.iter().any(|found| found == &format!("{name} [3, 4, 1]")), "{name}");
    }
    for name in ["kd_mse", "regression_mse", "binary_kl", "multi_label_kl"] {
        assert!(taken.iter().any(|found| found == &format!("{name} [3, 1]")), "{name}");
    }
}

#[test]
fn the_refusal_names_what_takes_numbers_and_what_takes_a_yes_or_no() {
    for entry in catalogue::entries().filter(|entry| entry.is_on_logits()) {
        if ["margin_mse", "candidates_kl"].contains(&entry.name) {
            // Scores of candidates: one has no other to be compared with.
            continue;
        }
        for refusal in refusals(&*made(entry), &[3, 4, 1]) {
            let named = ["RegressionMse", "BinaryKl", "kd_mse"].iter().all(|name| refusal.contains(name));
            assert!(named, "{}: {refusal}", entry.name);
        }
    }
}

// A top 1 that both sides renormalise is certain on both; under the other semantics the student's own
// probability of the teacher's best class remains.
#[test]
fn a_renormalised_top_1_is_refused_live_and_from_a_store() {
    use TopKSemantics::{Partial, RenormalisedBoth, RenormalisedTeacher, Tail};
    for semantics in [Tail, RenormalisedBoth, RenormalisedTeacher, Partial] {
        let loss = TopK::of(1, Kl::at(1.0)).semantics(semantics);
        let constant = is_constant(&loss, &[3, 5]).unwrap();
        assert_eq!(constant, semantics == RenormalisedBoth);
        assert_eq!(!refusals(&loss, &[3, 5]).is_empty(), constant, "{semantics:?}");

        let loss = TopK::of(4, Kl::at(1.0)).semantics(semantics);
        let logits = seq(&[3, 5], 0.9, 0.3, 2.0);
        let (top, ids) = logits.topk(1, -1, true, true);
        let store = Features::of(vec![ids, top, logits.logsumexp([-1], false)]);
        assert_eq!(loss.mismatches(&side(&[3, 5], 0.7), &store).is_empty(), !constant, "{semantics:?}");
    }
}

#[test]
fn a_chunk_of_one_token_is_refused() {
    let side = |step| {
        Features::one(seq(&[2, 3, 4], step, 0.1, 1.0)).with::<OutputWeight>(seq(&[1, 4], step, 0.2, 1.0))
    };
    let labelled = side(0.7).with::<Labels>(Tensor::from_slice2(&[[0_i64, 0, 0], [0, 0, 0]]));
    let losses: [Box<dyn Loss>; 2] =
        [Box::new(Chunked::of(Kl::at(1.0))), Box::new(Chunked::of(Kl::at(1.0)).with_labels(1.0))];
    for loss in losses {
        // By hand: the log of a softmax of one logit is 0.
        assert_close(
            loss.term(&labelled, &side(0.9)).unwrap().mean().unwrap().double_value(&[]),
            0.0,
            "chunk",
        );
        let refusals = loss.mismatches(&labelled, &side(0.9));
        assert!(refusals[0].contains("BinaryKl"), "{refusals:?}");
    }
}
