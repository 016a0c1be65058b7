//! What a plan says about a loss: what it averages over, and whose masks it reads.

use brew_core::batch::Both;
use brew_core::distill::Matches;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Fsp, Nst, Pkd};
use brew_core::plan::StageKind;
use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, mask, sentences};

use crate::cases::cases;

type ToyPipeline = Pipeline<Sentence, ToyOutputAdaptor>;

fn pipeline() -> ToyPipeline {
    let layer = || hidden(teacher_layer(2), student_layer(1));
    let layers = || hidden(teacher_layer([0, 2]), student_layer([0, 1]));
    let maps = || attention(teacher_layer(1), student_layer(0));
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .matching([layer().by(Cos), layer().by(Pkd)])
        .matching([layers().by(Fsp), layers().by(Nst)])
        .matching(maps().by(AttentionMse::probabilities()))
        .matching(maps().by(AttentionMseSum::textbrewer()))
        .matching(maps().by(AttentionCe::probabilities()))
        .matching(maps().by(AttentionCeMean::textbrewer()).weight(0.5))
        .plan()
        .unwrap()
}

#[test]
fn a_plan_says_what_each_loss_averages_over_and_of_which_maps() {
    let plan = pipeline();
    let stages: Vec<String> = plan
        .plan()
        .stages()
        .filter_map(|(id, stage)| match &stage.kind {
            StageKind::Loss(loss) => {
                let masks = plan
                    .plan()
                    .inputs(id)
                    .iter()
                    .filter(|(.., flow)| flow.to_string() == "inputs_mask")
                    .count();
                Some(format!("{}: {:?}, {} masks, {}", stage.name, loss.average, masks, loss.options))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        stages,
        [
            "cos_t2_s1: Tokens, 2 masks, null",
            "pkd_t2_s1: Rows, 0 masks, null",
            "fsp_t0-2_s0-1: RowsWithTokens, 2 masks, null",
            "nst_t0-2_s0-1: Pairs, 2 masks, null",
            r#"attention_mse_t1_s0: Pairs, 2 masks, {"maps":"probabilities"}"#,
            r#"attention_mse_sum_t1_s0: Pairs, 2 masks, {"maps":"textbrewer"}"#,
            r#"attention_ce_t1_s0: Tokens, 2 masks, {"maps":"probabilities"}"#,
            r#"attention_ce_mean_t1_s0: Tokens, 2 masks, {"maps":"textbrewer"}"#,
        ]
    );
}

#[test]
fn a_term_averages_over_what_its_loss_says() {
    for case in cases() {
        for mask in [None, Some(mask())] {
            let student = case.student_read(&case.student, mask.as_ref());
            let teacher = case.teacher_read(&case.teacher, mask.as_ref());
            let term = case.loss.term(&student, &teacher).unwrap();
            assert_eq!(term.average, case.loss.average(mask.is_some()), "{}", case.name);
        }
    }
}

#[test]
fn two_rows_pass_through_every_loss() {
    let _alone = alone();
    let pipeline = pipeline();
    let executor = Executor::new(&pipeline, 0).unwrap();
    executor.probe(&sentences(1, 4, 0)[0]).unwrap();
}

/// A batch whose second row is one position longer for the student than for the teacher.
fn other_masks() -> Both<Sentence, Sentence> {
    let side = |length: i64| {
        let mut sentence = sentences(1, 2, 0).remove(0);
        let lengths = Tensor::from_slice(&[6, length]).view([2, 1]);
        sentence.mask =
            Tensor::arange(6, (Kind::Int64, Device::Cpu)).lt_tensor(&lengths).to_kind(Kind::Int64);
        sentence
    };
    Both { teacher: side(3), student: side(4) }
}

fn one_match(matches: impl Matches<Seen<ToyOutputAdaptor>, Seen<ToyOutputAdaptor>>) -> ToyPipeline {
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .matching(matches)
        .plan()
        .unwrap()
}

#[test]
fn only_losses_over_positions_need_the_same_masks_on_both_sides() {
    let _alone = alone();
    let layer = || hidden(teacher_layer(2), student_layer(1));
    let layers = || hidden(teacher_layer([0, 2]), student_layer([0, 1]));
    for (pipeline, refused) in [
        (one_match(layer().by(Cos)), true),
        (one_match(layers().by(Nst)), true),
        (one_match(attention(teacher_layer(1), student_layer(0)).by(AttentionMse::probabilities())), true),
        (one_match(layers().by(Fsp)), false),
        (one_match(layer().by(Pkd)), false),
    ] {
        let executor = Executor::new(&pipeline, 0).unwrap();
        let found = executor.probe(&other_masks()).map_err(|error| error.to_string());
        assert_eq!(found.is_err(), refused, "{}\n{found:?}", pipeline.explain());
        if let Err(error) = found {
            assert!(error.contains("masks of teacher and student differ from row 1"), "{error}");
        }
    }
}
