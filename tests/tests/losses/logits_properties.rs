//! Properties of every loss on logits: the order of classes, extreme logits, low precision, labels that do not count.
//!
//! The order of classes has no meaning for `within_vocabulary`, which is told that the first are tokens. Where
//! pairs of tokens are told, or tokens read, they are renamed with the classes: in `vocabularies.rs`, where
//! each side is renamed by itself. Losses of a stored teacher and chunked ones have their own checks of
//! extreme logits and low precision in `sparse.rs` and `chunked.rs`.

use brew_core::loss::{Features, Kl, Loss as _, next_token, within_vocabulary};
use brew_core::role::Labels;
use brew_core::tch::{Device, Kind, Tensor};
use tests::{mask, seq};

use crate::cases::{Case, assert_close, cases, read, value};
use crate::logits::{long, value_and_gradient};

/// The losses on logits.
fn on_logits() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.student[0].size() == [2, 3, 5] && case.teacher.len() == 1)
}

/// Whether it knows nothing of a class but its logits.
fn is_told_no_class(case: &Case) -> bool {
    let told = ["within_vocabulary", "shared_tokens", "aligned_uld", "gold"];
    !told.iter().any(|name| case.name.starts_with(name))
}

#[test]
fn the_order_of_the_classes_changes_nothing() {
    let order = Tensor::from_slice(&[3_i64, 0, 4, 2, 1]);
    for case in on_logits().filter(is_told_no_class) {
        let turn = |side: &[Tensor]| vec![side[0].index_select(2, &order)];
        // The class c has gone to where `order` holds c.
        let labels = case.labels.as_ref().map(|labels| {
            let moved = order.argsort(0, false).index_select(0, &labels.clamp_min(0).reshape([-1]));
            moved.view([2, 3]).where_self(&labels.ge(0), labels)
        });
        let expected = case.value(Some(&mask()));
        let turned = Case { student: turn(&case.student), teacher: turn(&case.teacher), labels, ..case };
        assert_close(turned.value(Some(&mask())), expected, &turned.name);
    }
}

#[test]
fn logits_of_ten_thousand_have_a_finite_loss_and_gradient() {
    for kind in [Kind::Float, Kind::Double] {
        for case in on_logits() {
            let far = |tensor: &Tensor| tensor.sign().multiply_scalar(1e4).to_kind(kind);
            let student = far(&case.student[0]).set_requires_grad(true);
            let features = [student.shallow_clone()];
            let loss = case
                .loss
                .term(&case.student_read(&features, None), &case.teacher_read(&[far(&case.teacher[0])], None))
                .unwrap()
                .mean()
                .unwrap();
            assert!(loss.double_value(&[]).is_finite(), "{} in {kind:?}: {loss:?}", case.name);
            loss.backward();
            let finite = student.grad().isfinite().all().int64_value(&[]);
            assert_eq!(finite, 1, "{} in {kind:?}: a gradient is not finite", case.name);
        }
    }
}

// The features are rounded first, so that only what the loss itself does can differ.
#[test]
fn low_precision_gives_the_value_of_float32() {
    for kind in [Kind::BFloat16, Kind::Half] {
        for case in on_logits() {
            let low = |side: &[Tensor]| vec![side[0].to_kind(kind)];
            let of = |student: Vec<Tensor>, teacher: Vec<Tensor>| {
                let student = [student[0].copy().set_requires_grad(true)];
                let teacher = case.teacher_read(&teacher, Some(&mask()));
                let reads = (case.student_read(&student, Some(&mask())), teacher);
                let loss = case.loss.term(&reads.0, &reads.1).unwrap().mean().unwrap();
                loss.backward();
                (loss.double_value(&[]), student[0].grad().to_kind(Kind::Float))
            };
            let (student, teacher) = (low(&case.student), low(&case.teacher));
            let wide = |side: &[Tensor]| vec![side[0].to_kind(Kind::Float)];
            let (expected, gradient) = of(wide(&student), wide(&teacher));
            let (found, rounded) = of(student, teacher);
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{} in {kind:?}", case.name);
            // Only the gradient itself is rounded, to 8 bits or 11.
            let error = (rounded - &gradient).abs().max().double_value(&[]);
            let largest = gradient.abs().max().double_value(&[]);
            assert!(error <= largest / 200.0, "{} in {kind:?}: {error} of {largest}", case.name);
        }
    }
}

#[test]
fn rows_whose_label_does_not_count_are_as_if_they_were_not_there() {
    for case in on_logits().filter(|case| case.labels.is_some()) {
        let flat = |side: &[Tensor]| side[0].reshape([6, 5]);
        let labels = case.labels.as_ref().unwrap().reshape([6]);
        let counts = labels.ge(0).nonzero().squeeze_dim(1);
        let of = |rows: Option<&Tensor>| {
            let cut =
                |tensor: Tensor| rows.map_or(tensor.shallow_clone(), |rows| tensor.index_select(0, rows));
            let student = Features::one(cut(flat(&case.student))).with::<Labels>(cut(labels.shallow_clone()));
            value(&*case.loss, &student, &Features::one(cut(flat(&case.teacher))))
        };
        assert_close(of(None), of(Some(&counts)), &case.name);
        assert_close(case.value(None), of(Some(&counts)), &format!("{}, by position", case.name));
        let none = labels.full_like(-100).view([2, 3]);
        assert_eq!(Case { labels: Some(none), ..case }.value(None), 0.0);
    }
}

#[test]
fn labels_of_another_shape_are_named() {
    let labels = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
    for case in on_logits().filter(|case| case.labels.is_some()) {
        let student = read(&case.student, None).with::<Labels>(labels.shallow_clone());
        assert_eq!(
            case.loss.mismatches(&student, &read(&case.teacher, None)),
            [
                "the labels are (2), the student's features (2, 3, 5): there must be one label per row, here (2, 3)"
            ]
        );
    }
}

// A class that both sides exclude with minus infinity is no class.
#[test]
fn classes_at_minus_infinity_on_both_sides_change_nothing() {
    // The weights of `gold` are by themselves the share of the vocabulary that both sides know.
    let by_share = |case: &Case| case.name.starts_with("gold") && !case.name.contains("_weight");
    for case in on_logits().filter(|case| !by_share(case)).filter(|case| {
        !case.name.contains("standardised")
            && !["kd_ce", "kd_mse", "dist", "taid", "regression_mse", "multi_label_kl"]
                .contains(&case.loss.name())
    }) {
        let expected = case.value(Some(&mask()));
        let wider = |side: &[Tensor]| {
            let none = Tensor::full([2, 3, 2], f64::NEG_INFINITY, (Kind::Double, Device::Cpu));
            vec![Tensor::cat(&[&side[0], &none], 2)]
        };
        let (student, teacher) = (wider(&case.student), wider(&case.teacher));
        let labels = case.labels.as_ref().map(Tensor::shallow_clone);
        let wider = Case { student, teacher, labels, ..case };
        assert_close(wider.value(Some(&mask())), expected, &wider.name);
        let teacher = wider.teacher_read(&wider.teacher, Some(&mask()));
        let reads = (wider.student_read(&wider.student, Some(&mask())), teacher);
        let (_, gradient) = value_and_gradient(&*wider.loss, reads);
        assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{}", wider.name);
    }
}

#[test]
fn a_padded_vocabulary_is_cut_to_its_tokens() {
    let (student, teacher) = long();
    let wider = |read: Features, columns: i64, filler: f64| {
        let padding = Tensor::full([2, 5, columns], filler, (Kind::Double, Device::Cpu));
        read.with_tensors(vec![Tensor::cat(&[&read.tensors[0], &padding], 2)])
    };
    let loss = within_vocabulary(11, Kl::at(1.0));
    let (found, gradient) = value_and_gradient(&loss, (wider(student, 5, 9.0), wider(teacher, 2, f64::NAN)));
    let (expected, narrow) = value_and_gradient(&Kl::at(1.0), long());
    assert_eq!(found, expected);
    assert_eq!(gradient.narrow(2, 0, 11), narrow);
    assert_eq!(gradient.narrow(2, 11, 5).abs().max().double_value(&[]), 0.0);
    let (student, teacher) = long();
    let problems = within_vocabulary(12, Kl::at(1.0)).mismatches(&student, &teacher);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("(2, 5, 11), and the vocabulary has 12 tokens"), "{problems:?}");
}

// Position i's logits go with position i + 1's mask: what a data pipeline that shifts gives by itself.
#[test]
fn a_shift_to_the_next_token_is_that_of_the_data() {
    let (student, teacher) = long();
    let shifted = |read: &Features| {
        let mask = read.mask.as_ref().unwrap().narrow(1, 1, 4);
        Features::one(read.tensors[0].narrow(1, 0, 4)).with_mask(mask)
    };
    let expected = value(&Kl::at(1.0), &shifted(&student), &shifted(&teacher));
    assert_close(value(&next_token(Kl::at(1.0)), &student, &teacher), expected, "shifted");
    let flat = Features::one(seq(&[4, 7], 0.7, 0.3, 2.0));
    let problems = next_token(Kl::at(1.0)).mismatches(&flat, &teacher);
    assert!(problems[0].contains("(batch, length, …) with a length of two or more"), "{problems:?}");
}
