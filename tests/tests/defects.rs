//! Defects of TextBrewer (commit 2c105fa) that brew does not have: the tests for those that no other file covers, and where
//! the others are tested. The numbers are those at the end of the tests' names.
//!
//! | defect | test |
//! |---|---|
//! | 4: one `logits_mask` for several logits fails | here, `one_mask_serves_several_logits_defect_4` |
//! | 5: probability shift fails with a `logits_mask` | here, `a_probability_shift_takes_a_mask_defect_5` |
//! | 6: a negative label is an error, or the last class | here, `a_negative_label_is_no_class_defect_6` |
//! | 7: a student in a list is put in evaluation mode | no list can be given: `Seen` is one student; here, `the_student_trains_and_teachers_do_not_defect_7` |
//! | 9, 17 to 20, 25, 26: of the loop | `training`, whose tests end with the numbers |
//! | 10: `long_disorder` never ends | brew-data's augmentations |
//! | 12: counts of masks overflow in half precision | `losses`, `precision` |
//! | 13: NaN of an all-zero mask, a zero vector, padding alone, no selection, a fractional gamma | `losses`: `an_all_zero_mask_gives_zero`, `pkd_of_a_vector_of_zeros_is_one_and_its_gradient_finite`, `an_example_of_padding_alone_changes_nothing`; `schedules`: `a_fractional_gamma_on_equal_logits_is_a_number`; here, `a_batch_in_which_nothing_counts_is_zero_defect_13` |
//! | 14: attention losses zero scores without a mask | `losses`: `only_textbrewers_form_takes_negative_scores_for_padding` |
//! | 15: defaults that nobody uses | `config`: `an_empty_config_has_textbrewers_defaults`; the builder has no default: `KdCe::at(8.0)`, `.hard_labels(1.0)` |
//! | 16: temperatures outside (0, inf) | `schedules`: `a_temperature_outside_its_range_is_refused_never_used`; `losses`: `logits_and_temperatures` |
//! | 27: an adaptor without roles, an empty list of logits | compile-fail: `no_role_at_all`; here, `an_empty_list_of_logits_is_named_defect_27` |
//! | 31: the teacher's own `inputs_mask` is never used | `losses`: `fsp_takes_each_sides_own_length_and_mask`, `only_losses_over_positions_need_the_same_masks_on_both_sides` |

use brew_core::execute::Executor;
use brew_core::loss::KdCe;
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::schedule::{Cwsm, Flsw};
use tests::{Toy, ToyOutputAdaptor, alone, mask, sentences, seq};

/// Tokens with labels, and which of them count.
#[derive(Debug, Batch)]
struct Tokens {
    /// `(batch, length)`, or `(batch,)`.
    #[column(i64)]
    labels: Tensor,
    /// `(batch, length)`.
    #[column(i64)]
    mask: Tensor,
}

/// Always returns the same list of logits.
#[derive(Debug)]
struct Says(Vec<Tensor>);

#[derive(Debug)]
struct Said(Vec<Tensor>);

#[distill(batch = Tokens)]
impl Says {
    fn forward(&self) -> Said {
        Said(self.0.iter().map(Tensor::shallow_clone).collect())
    }
}

impl Model for Says {
    fn parameters(&self) -> Parameters {
        let named = self.0.iter().enumerate();
        Parameters::new(named.map(|(index, tensor)| (index.to_string(), tensor.shallow_clone())))
    }
}

struct SaidView;
#[adaptor(batch = Tokens, output = Said)]
impl SaidView {
    fn logits(output: &Said) -> &[Tensor] {
        &output.0
    }
    fn logits_mask(batch: &Tokens) -> &Tensor {
        &batch.mask
    }
    fn labels(batch: &Tokens) -> Vec<Tensor> {
        vec![batch.labels.shallow_clone(), batch.labels.shallow_clone()]
    }
}

fn teacher(logits: Vec<Tensor>) -> Seen<SaidView> {
    Says(logits).seen_by(SaidView)
}

fn student(logits: Vec<Tensor>) -> Seen<SaidView> {
    Says(logits.into_iter().map(|logits| logits.set_requires_grad(true)).collect()).seen_by(SaidView)
}

fn logits() -> (Tensor, Tensor) {
    (seq(&[2, 3, 5], 0.7, 0.1, 2.0), seq(&[2, 3, 5], 0.9, 0.4, 3.0))
}

fn tokens(labels: &[i64]) -> Tokens {
    Tokens { labels: Tensor::from_slice(labels).view([2, -1]), mask: mask() }
}

/// The loss on two rows, after they were checked.
fn value(pipeline: &Pipeline<Tokens, SaidView>, batch: &Tokens) -> Result<f64> {
    let executor = Executor::new(pipeline, 0)?;
    executor.probe(batch)?;
    let losses = executor.run(batch, &Pass::training(0, Wants::nothing()), None)?;
    losses.total.backward();
    for (_, parameter) in pipeline.student().parameters().iter() {
        assert!(parameter.grad().isfinite().all().int64_value(&[]) == 1, "a gradient is not finite");
    }
    Ok(losses.total.double_value(&[]))
}

/// mean over what counts of -sum softmax(t / 2) log_softmax(s / 2), by plain operations.
fn kd_ce(student: &Tensor, teacher: &Tensor) -> f64 {
    let (student, teacher) = (student.detach() / 2.0, teacher / 2.0);
    let each = -(teacher.softmax(-1, None) * student.log_softmax(-1, None)).sum_dim_intlist(-1, false, None);
    let mask = mask().to_kind(Kind::Double);
    (each * &mask).sum(None).double_value(&[]) / mask.sum(None).double_value(&[])
}

#[test]
fn one_mask_serves_several_logits_defect_4() {
    let (of_student, of_teacher) = logits();
    let other = || seq(&[2, 3, 5], 1.3, 0.2, 1.0);
    let pipeline = Distill::new(
        teacher(vec![of_teacher.shallow_clone(), other()]),
        student(vec![of_student.copy(), of_student.copy()]),
    )
    .soft_targets(KdCe::at(2.0))
    .plan()
    .unwrap();
    let expected = kd_ce(&of_student, &of_teacher) + kd_ce(&of_student, &other());
    let found = value(&pipeline, &tokens(&[0; 6])).unwrap();
    assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
}

#[test]
fn a_probability_shift_takes_a_mask_defect_5() {
    let (of_student, of_teacher) = logits();
    let pipeline = Distill::new(teacher(vec![of_teacher.shallow_clone()]), student(vec![of_student.copy()]))
        .soft_targets(KdCe::at(2.0).with_probability_shift())
        .plan()
        .unwrap();
    let labels = [2_i64, 0, -100, 4, -100, 1];
    // By hand: each labelled row's highest score changes places with that of its label.
    let shifted = of_teacher.copy();
    for (row, label) in labels.iter().enumerate().filter(|(_, label)| **label >= 0) {
        let row = shifted.view([6, 5]).get(row as i64);
        let top = row.argmax(None, false).int64_value(&[]);
        let (high, own) = (row.double_value(&[top]), row.double_value(&[*label]));
        let _ = row.get(top).fill_(own);
        let _ = row.get(*label).fill_(high);
    }
    let expected = kd_ce(&of_student, &shifted);
    let found = value(&pipeline, &tokens(&labels)).unwrap();
    assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    assert!((found - kd_ce(&of_student, &of_teacher)).abs() > 1e-3, "the shift shifted nothing");
}

#[test]
fn a_negative_label_is_no_class_defect_6() {
    // Logits that lie otherwise in memory, too, which TextBrewer's view of them does not take.
    let strided = |pace: f64| seq(&[5, 2], pace, 0.4, 2.0).tr();
    let pipeline = || {
        Distill::new(teacher(vec![strided(0.9)]), student(vec![strided(0.7)]))
            .soft_targets(KdCe::at(2.0).with_probability_shift())
            .plan()
            .unwrap()
    };
    let plain = Distill::new(teacher(vec![strided(0.9)]), student(vec![strided(0.7)]))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    let labels = |labels: [i64; 2]| Tokens { labels: Tensor::from_slice(&labels), mask: mask() };
    let ignored = value(&pipeline(), &labels([-100, -100])).unwrap();
    assert_eq!(ignored, value(&plain, &labels([0, 0])).unwrap());
    let error = value(&pipeline(), &labels([0, -1])).unwrap_err().to_string();
    assert!(error.contains("a label is -1") && error.contains("or -100 to ignore a position"), "{error}");
}

#[test]
fn the_student_trains_and_teachers_do_not_defect_7() {
    let _alone = alone();
    let (teacher, student) = (Toy::new(2, 6, 0), Toy::new(1, 6, 1));
    let passes = [teacher.passes.clone(), student.passes.clone()];
    let pipeline = Distill::new(vec![teacher.seen_by(ToyOutputAdaptor)], student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    executor.run(&sentences(1, 2, 3)[0], &Pass::training(0, Wants::nothing()), None).unwrap();
    let trained =
        passes.map(|passes| passes.lock().unwrap().iter().map(|pass| pass.training).collect::<Vec<_>>());
    assert_eq!(trained, [vec![false], vec![true]]);
}

#[test]
fn a_batch_in_which_nothing_counts_is_zero_defect_13() {
    let (of_student, of_teacher) = logits();
    for loss in
        [KdCe::at(2.0), KdCe::at(2.0).scheduled(Flsw::new(1.0, 0.5)), KdCe::at(2.0).scheduled(Cwsm::new(1.0))]
    {
        let pipeline =
            Distill::new(teacher(vec![of_teacher.shallow_clone()]), student(vec![of_student.copy()]))
                .soft_targets(loss)
                .plan()
                .unwrap();
        let nothing = Tokens { mask: mask().zeros_like(), ..tokens(&[0; 6]) };
        assert_eq!(value(&pipeline, &nothing).unwrap(), 0.0);
    }
}

#[test]
fn an_empty_list_of_logits_is_named_defect_27() {
    let pipeline =
        Distill::new(teacher(Vec::new()), student(Vec::new())).soft_targets(KdCe::at(2.0)).plan().unwrap();
    let error = value(&pipeline, &tokens(&[0; 6])).unwrap_err().to_string();
    assert!(
        error.contains("stage `kd_ce`") && error.contains("the student's `logits` is an empty list"),
        "{error}"
    );
}
