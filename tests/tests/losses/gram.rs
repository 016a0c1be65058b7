//! Losses over Gram matrices and directions, where they differ from TextBrewer's on purpose.

use brew_core::loss::{Cos, Features, Fsp, Loss, Nst, Pkd};
use brew_core::tch::{Device, Kind, Tensor};
use tests::{mask, seq};

use crate::cases::{assert_close, layers, read, value};

/// A teacher that reads five positions where the student reads three.
fn longer_teacher() -> Vec<Tensor> {
    vec![seq(&[2, 5, 4], 0.4, 0.9, 1.2), seq(&[2, 5, 4], 1.3, 0.2, 1.2)]
}

// In NumPy's words, with the tensors of this file and the lengths s of the student and t of the
// teacher: mean over b of mean((X[b,:s].T @ Y[b,:s] / s - U[b,:t].T @ V[b,:t] / t) ** 2); PyTorch 2.11
// in float64 gives these values for s = 3, 3, t = 5, 5 and for s = 2, 3, t = 4, 1.
#[test]
fn fsp_takes_each_sides_own_length_and_mask() {
    let (student, teacher) = (layers().0, longer_teacher());
    let (unmasked_student, unmasked_teacher) = (read(&student, None), read(&teacher, None));
    assert_eq!(Fsp.mismatches(&unmasked_student, &unmasked_teacher), [""; 0]);
    assert_close(value(&Fsp, &unmasked_student, &unmasked_teacher), 0.264_404_938_697_709_4, "lengths");
    let own = Tensor::from_slice(&[1_i64, 1, 1, 1, 0, 1, 0, 0, 0, 0]).view([2, 5]);
    let (student, teacher) = (read(&student, Some(&mask())), read(&teacher, Some(&own)));
    assert_eq!(Fsp.mismatches(&student, &teacher), [""; 0]);
    assert_close(value(&Fsp, &student, &teacher), 0.215_181_222_407_625_88, "masks");
}

#[test]
fn a_teacher_without_a_mask_is_masked_by_the_students() {
    let (student, teacher) = layers();
    let student = read(&student, Some(&mask()));
    let with = value(&Fsp, &student, &read(&teacher, Some(&mask())));
    assert_close(value(&Fsp, &student, &read(&teacher, None)), with, "fsp");
}

// TextBrewer 2c105fa gives NaN here: 0 / 0.
#[test]
fn an_example_of_padding_alone_changes_nothing() {
    let (student, teacher) = layers();
    let half = Tensor::from_slice(&[0_i64, 0, 0, 1, 1, 1]).view([2, 3]);
    let second = |side: &[Tensor]| side.iter().map(|layer| layer.narrow(0, 1, 1)).collect::<Vec<_>>();
    for loss in [&Fsp as &dyn Loss, &Nst] {
        let found = value(loss, &read(&student, Some(&half)), &read(&teacher, Some(&half)));
        let alone = value(loss, &read(&second(&student), None), &read(&second(&teacher), None));
        assert_close(found, alone, loss.name());
    }
}

// PyTorch 2.11: F.cosine_embedding_loss([[0, 0], [3, 4]], [[1, 2], [4, 3]], [1, 1]) is 0.52 in float64.
#[test]
fn a_vector_of_zeros_is_at_right_angles_to_everything() {
    let student = Features::one(Tensor::from_slice(&[0.0, 0.0, 3.0, 4.0]).view([2, 2]));
    let teacher = Features::one(Tensor::from_slice(&[1.0, 2.0, 4.0, 3.0]).view([2, 2]));
    assert_close(value(&Cos, &student, &teacher), 0.52, "cos");
}

// TextBrewer 2c105fa gives NaN here: 0 / 0.
#[test]
fn pkd_of_a_vector_of_zeros_is_one_and_its_gradient_finite() {
    let student = Tensor::zeros([1, 3], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let teacher = Features::one(Tensor::from_slice(&[3.0, 0.0, 4.0]).view([1, 3]));
    let loss = Pkd.term(&Features::one(student.shallow_clone()), &teacher).unwrap().mean().unwrap();
    assert_close(loss.double_value(&[]), 1.0, "pkd");
    loss.backward();
    assert_eq!(student.grad().isfinite().all().int64_value(&[]), 1);
}

#[test]
fn pkd_and_cos_take_one_vector_an_example() {
    let (student, teacher) = layers();
    let first = |side: &[Tensor]| Features::one(side[0].select(1, 0));
    let whole = value(&Pkd, &read(&student[..1], None), &read(&teacher[..1], None));
    assert_close(value(&Pkd, &first(&student), &first(&teacher)), whole, "pkd");
    // The squared distance of two vectors of length 1 is 2 (1 - cos).
    assert_close(2.0 * value(&Cos, &first(&student), &first(&teacher)), whole, "cos");
}
