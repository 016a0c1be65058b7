//! Features that do not fit are reported with their sizes and what to do.

use brew_core::loss::{
    AttentionCe, AttentionMse, AttentionMseSum, Cos, Features, Fsp, HiddenMse, KdCe, Loss, Nst, Pkd,
};
use brew_core::tch::{Device, Kind, Tensor};
use tests::mask;

use crate::cases::{cases, probabilities, read, scores};

fn zeros(size: &[i64]) -> Tensor {
    Tensor::zeros(size, (Kind::Float, Device::Cpu))
}

fn one(size: &[i64]) -> Features {
    Features::one(zeros(size))
}

fn two(first: &[i64], second: &[i64]) -> Features {
    Features::two(zeros(first), zeros(second))
}

#[test]
fn what_fits_is_not_complained_about() {
    for case in cases() {
        for mask in [None, Some(mask())] {
            let student = case.student_read(&case.student, mask.as_ref());
            let teacher = case.teacher_read(&case.teacher, mask.as_ref());
            assert_eq!(case.loss.mismatches(&student, &teacher), [""; 0], "{}", case.name);
        }
    }
}

#[test]
fn logits_and_temperatures() {
    assert_eq!(
        KdCe::at(1.0).mismatches(&one(&[2, 2]), &one(&[2, 3])),
        [
            "the student's logits are (2, 2), the teacher's (2, 3): both must have the same batch, length and classes"
        ]
    );
    assert_eq!(
        KdCe::at(-1.0).problems(),
        ["the temperature is -1; it must be finite and above 0 (1 leaves the logits as they are)"]
    );
}

#[test]
fn hidden_states() {
    let narrow = "the student's hidden states are 312 wide, the teacher's 768: add `.project(Projection::linear(312, 768))`";
    let longer = "the student's hidden states are (2, 4, 768), the teacher's (2, 3, 768): both sides must read the same rows at the same length";
    for loss in [&HiddenMse as &dyn Loss, &Cos] {
        assert_eq!(loss.mismatches(&one(&[2, 3, 312]), &one(&[2, 3, 768])), [narrow]);
        assert_eq!(loss.mismatches(&one(&[2, 4, 768]), &one(&[2, 3, 768])), [longer]);
        assert_eq!(
            loss.mismatches(&one(&[2, 4, 8]).with_mask(mask()), &one(&[2, 4, 8])),
            ["the student's `inputs_mask` is (2, 3); it must be (batch, length), here (2, 4)"]
        );
    }
    assert_eq!(
        Cos.mismatches(&one(&[2, 3, 8]), &one(&[2, 8])),
        [
            "hidden states must be (batch, length, width), or (batch, width), on both sides; the student's are (2, 3, 8), the teacher's (2, 8)"
        ]
    );
    assert_eq!(Pkd.mismatches(&one(&[2, 3, 312]), &one(&[2, 768])), [narrow]);
    assert_eq!(
        Pkd.mismatches(&one(&[2, 8]), &one(&[3, 8])),
        ["the student's hidden states have 2 rows, the teacher's 3: both sides must read the same rows"]
    );
    assert_eq!(
        Pkd.mismatches(&one(&[8]), &one(&[2, 8])),
        [
            "hidden states must be (batch, length, width) or (batch, width); the student's are (8), the teacher's (2, 8)"
        ]
    );
}

#[test]
fn two_layers() {
    let teacher = two(&[2, 3, 8], &[2, 3, 8]);
    for loss in [&Fsp as &dyn Loss, &Nst] {
        assert_eq!(
            loss.mismatches(&one(&[2, 3, 8]), &teacher),
            [
                "it compares two layers per side, but the student gives 1: choose two, such as `student_layer([0, 2])`"
            ]
        );
        assert_eq!(
            loss.mismatches(&two(&[2, 3, 8], &[2, 4, 8]), &teacher),
            [
                "the student's two layers are (2, 3, 8) and (2, 4, 8); both must be (batch, length, width) of one batch and length"
            ]
        );
        assert!(
            loss.term(&one(&[2, 3, 8]), &teacher).unwrap_err().to_string().contains("two layers was given 1")
        );
    }
    assert_eq!(
        Fsp.mismatches(&two(&[2, 3, 6], &[2, 3, 6]), &teacher),
        ["the student's hidden states are 6 wide, the teacher's 8: add `.project(Projection::linear(6, 8))`"]
    );
    assert_eq!(
        Fsp.mismatches(&two(&[2, 3, 8], &[2, 3, 8]).with_mask(mask()), &two(&[2, 5, 8], &[2, 5, 8])),
        [
            "the teacher's hidden states are (2, 5, 8), but only the student, of (2, 3, 8), has a mask: give the teacher's adaptor its own `inputs_mask`"
        ]
    );
    assert_eq!(
        Nst.mismatches(&two(&[2, 3, 6], &[2, 3, 5]), &teacher),
        ["the student's two layers are 6 and 5 wide: choose two layers of one width"]
    );
    assert_eq!(
        Nst.mismatches(&two(&[2, 4, 8], &[2, 4, 8]), &teacher),
        [
            "the student's hidden states are (2, 4, 8), the teacher's (2, 3, 8): both sides must read the same rows at the same length"
        ]
    );
}

#[test]
fn attention_maps() {
    let loss = AttentionMse::textbrewer();
    assert_eq!(
        loss.mismatches(&one(&[2, 4, 3, 3]), &one(&[2, 12, 3, 3])),
        [
            "the student's attention maps have 4 heads, the teacher's 12: compare all heads together, by `AttentionMseSum`"
        ]
    );
    assert_eq!(
        AttentionCe::textbrewer().mismatches(&one(&[2, 4, 3, 3]), &one(&[2, 12, 3, 3])),
        [
            "the student's attention maps have 4 heads, the teacher's 12: compare all heads together, by `AttentionCeMean`"
        ]
    );
    assert_eq!(
        AttentionMseSum::textbrewer().mismatches(&one(&[2, 4, 5, 5]), &one(&[2, 12, 3, 3])),
        [
            "the student's attention maps are (2, 4, 5, 5), the teacher's (2, 12, 3, 3): both sides must read the same rows at the same length"
        ]
    );
    assert_eq!(
        loss.mismatches(&one(&[2, 4, 5, 5]).with_mask(mask()), &one(&[2, 4, 5, 5])),
        [
            "the student's `inputs_mask` is (2, 3), its attention maps are (2, 4, 5, 5): a mask (batch, length) needs maps of (length, length)"
        ]
    );
    assert_eq!(
        loss.mismatches(&one(&[2, 3]), &one(&[2, 4, 3, 3])),
        [
            "attention maps must be (batch, heads, length, length), or (batch, length, length) for one head; the student's are (2, 3), the teacher's (2, 4, 3, 3)"
        ]
    );
}

#[test]
fn scores_declared_as_probabilities_and_the_reverse() {
    let (student, teacher) = scores();
    let (probable_student, probable_teacher) = probabilities();
    for mask in [None, Some(mask())] {
        let side = |maps: &[Tensor]| read(maps, mask.as_ref());
        let problems = AttentionCe::probabilities().mismatches(&side(&probable_student), &side(&teacher));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("the teacher's attention maps hold -1."), "{problems:?}");
        assert!(problems[0].contains("use `::scores()`"), "{problems:?}");
        assert_eq!(AttentionCe::textbrewer().mismatches(&side(&probable_student), &side(&teacher)), [""; 0]);
    }
    let problems = AttentionMse::scores().mismatches(&read(&student, None), &read(&probable_teacher, None));
    assert_eq!(
        problems,
        [
            "each row of the teacher's attention maps sums to 1, so they are probabilities and not scores: use `::probabilities()`, or give the input of the softmax"
        ]
    );
}
