//! Losses against TextBrewer's values, finite differences, padding and low precision.

use brew_core::loss::{HiddenMse, KdCe, KdMse, Loss, Read};
use brew_core::tch::{Device, Kind, Tensor};
use tests::{finite_difference_error, golden, mask, seq};

fn value(loss: &dyn Loss, student: Read, teacher: Read) -> f64 {
    loss.term(&student, &teacher).unwrap().mean().unwrap().double_value(&[])
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
}

fn logits() -> (Tensor, Tensor) {
    (seq(&[2, 5], 0.7, 0.1, 2.0), seq(&[2, 5], 0.9, 0.4, 3.0))
}

fn long_logits() -> (Tensor, Tensor) {
    (seq(&[2, 3, 5], 0.7, 0.1, 2.0), seq(&[2, 3, 5], 0.9, 0.4, 3.0))
}

fn hidden() -> (Tensor, Tensor) {
    (seq(&[2, 3, 4], 0.6, 0.1, 1.0), seq(&[2, 3, 4], 0.4, 0.9, 1.2))
}

// The values are TextBrewer's own functions at commit 2c105fa, in float64: fixtures/losses.json.
#[test]
fn soft_targets_equal_textbrewers() {
    let (student, teacher) = logits();
    let at = |loss: &dyn Loss| value(loss, Read::one(student.copy()), Read::one(teacher.copy()));
    assert_close(at(&KdCe::at(1.0)), golden("kd_ce T=1").as_f64().unwrap());
    assert_close(at(&KdCe::at(4.0)), golden("kd_ce T=4").as_f64().unwrap());
    assert_close(at(&KdMse::at(1.0)), golden("kd_mse T=1").as_f64().unwrap());
    assert_close(at(&KdMse::at(4.0)), golden("kd_mse T=4").as_f64().unwrap());
    let (student, teacher) = long_logits();
    assert_close(
        value(&KdCe::at(8.0), Read::one(student), Read::one(teacher)),
        golden("kd_ce lS3,lT3 T=8").as_f64().unwrap(),
    );
}

#[test]
fn hidden_mse_equals_textbrewers_with_a_mask_and_without() {
    let (student, teacher) = hidden();
    let expected = golden("hidden_mse");
    assert_close(
        value(&HiddenMse, Read::one(student.copy()), Read::one(teacher.copy())),
        expected[0].as_f64().unwrap(),
    );
    assert_close(
        value(&HiddenMse, Read::one(student).with_mask(mask()), Read::one(teacher).with_mask(mask())),
        expected[1].as_f64().unwrap(),
    );
}

#[test]
fn the_gradient_of_kd_ce_equals_textbrewers() {
    let (student, teacher) = logits();
    let student = student.set_requires_grad(true);
    let term = KdCe::at(4.0).term(&Read::one(student.shallow_clone()), &Read::one(teacher)).unwrap();
    term.mean().unwrap().backward();
    let gradient = student.grad();
    let expected = golden("d kd_ce(T=4)/d lS row 0");
    for (class, expected) in expected.as_array().unwrap().iter().enumerate() {
        assert_close(gradient.double_value(&[0, class as i64]), expected.as_f64().unwrap());
    }
}

#[test]
fn temperature_squared_multiplies_by_it() {
    let (student, teacher) = logits();
    let at = |loss: KdCe| value(&loss, Read::one(student.copy()), Read::one(teacher.copy()));
    assert_close(at(KdCe::at(4.0).times_temperature_squared()), 16.0 * at(KdCe::at(4.0)));
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (student, teacher) = long_logits();
    let token_mask = mask();
    for loss in [&KdCe::at(3.0) as &dyn Loss, &KdMse::at(3.0), &KdCe::at(3.0).times_temperature_squared()] {
        let error = finite_difference_error(&student, |student| {
            let read = Read::one(student.shallow_clone()).with_mask(token_mask.copy());
            loss.term(&read, &Read::one(teacher.copy())).unwrap().mean().unwrap()
        });
        assert!(error < 1e-7, "{}: {error}", loss.name());
    }
    let (student, teacher) = hidden();
    for masked in [true, false] {
        let error = finite_difference_error(&student, |student| {
            let read = Read::one(student.shallow_clone());
            let read = if masked { read.with_mask(token_mask.copy()) } else { read };
            HiddenMse.term(&read, &Read::one(teacher.copy())).unwrap().mean().unwrap()
        });
        assert!(error < 1e-7, "hidden_mse, masked {masked}: {error}");
    }
}

#[test]
fn padding_changes_no_masked_loss() {
    let pad = |tensor: &Tensor, filler: f64| {
        let mut size = tensor.size();
        size[1] = 4;
        Tensor::cat(&[tensor.copy(), Tensor::full(&size, filler, (Kind::Double, Device::Cpu))], 1)
    };
    let wide_mask = Tensor::cat(&[mask(), Tensor::zeros([2, 4], (Kind::Int64, Device::Cpu))], 1);
    let cases: [(&dyn Loss, (Tensor, Tensor)); 3] =
        [(&KdCe::at(2.0), long_logits()), (&KdMse::at(2.0), long_logits()), (&HiddenMse, hidden())];
    for (loss, (student, teacher)) in cases {
        let read = |tensor: &Tensor| Read::one(tensor.copy()).with_mask(mask());
        let short = value(loss, read(&student), read(&teacher));
        for filler in [7.5, f64::INFINITY, f64::NAN] {
            let read = |tensor: &Tensor| Read::one(pad(tensor, filler)).with_mask(wide_mask.copy());
            assert_close(value(loss, read(&student), read(&teacher)), short);
        }
    }
}

#[test]
fn an_all_zero_mask_gives_zero() {
    let nothing = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    let read = |tensor: Tensor| Read::one(tensor).with_mask(nothing.copy());
    let (student, teacher) = hidden();
    assert_eq!(value(&HiddenMse, read(student), read(teacher)), 0.0);
    let (student, teacher) = long_logits();
    assert_eq!(value(&KdCe::at(1.0), read(student), read(teacher)), 0.0);
}

// TextBrewer counts masks in the features' precision: 65,504 is float16's largest number and 1,204
// rounds to 1,200 in bfloat16, so its loss turns 0 or wrong. Ours must be the float32 value.
#[test]
fn mask_counts_do_not_overflow_in_low_precision() {
    let everything = Tensor::ones([4, 20_000], (Kind::Int64, Device::Cpu));
    for kind in [Kind::BFloat16, Kind::Half] {
        let student = Tensor::zeros([4, 20_000, 2], (kind, Device::Cpu));
        let teacher = Tensor::ones([4, 20_000, 2], (kind, Device::Cpu));
        let read = |tensor: &Tensor| Read::one(tensor.copy()).with_mask(everything.copy());
        assert_eq!(value(&HiddenMse, read(&student), read(&teacher)), 1.0, "hidden_mse in {kind:?}");
        assert_eq!(value(&KdMse::at(1.0), read(&student), read(&teacher)), 1.0, "kd_mse in {kind:?}");
        let uniform = value(&KdCe::at(1.0), read(&student), read(&teacher));
        assert!((uniform - 2.0_f64.ln()).abs() < 1e-6, "kd_ce in {kind:?}: {uniform}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_named_with_the_mend() {
    let hidden = |width: i64| Read::one(Tensor::zeros([2, 3, width], (Kind::Float, Device::Cpu)));
    let problems = HiddenMse.mismatches(&hidden(312), &hidden(768));
    assert_eq!(
        problems,
        [
            "the student's hidden states are 312 wide, the teacher's 768: add `.project(Projection::linear(312, 768))`"
        ]
    );
    let logits = |classes: i64| Read::one(Tensor::zeros([2, classes], (Kind::Float, Device::Cpu)));
    assert_eq!(
        KdCe::at(1.0).mismatches(&logits(2), &logits(3)),
        [
            "the student's logits are (2, 2), the teacher's (2, 3): both must have the same batch, length and classes"
        ]
    );
    assert_eq!(
        KdCe::at(-1.0).problems(),
        ["the temperature is -1; it must be finite and above 0 (1 leaves the logits as they are)"]
    );
}
