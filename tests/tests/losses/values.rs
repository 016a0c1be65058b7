//! Values and gradients of TextBrewer's own functions at commit 2c105fa, in float64:
//! `fixtures/losses.json`.

use brew_core::loss::{
    AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Features, Fsp, HiddenMse, KdCe, KdMse,
    Loss, Nst, Pkd,
};
use brew_core::tch::Tensor;
use tests::{golden, mask, seq};

use crate::cases::{Sides, assert_close, hidden, layers, logits, read, scores, value};

fn short_logits() -> (Tensor, Tensor) {
    (seq(&[2, 5], 0.7, 0.1, 2.0), seq(&[2, 5], 0.9, 0.4, 3.0))
}

#[test]
fn soft_targets_equal_textbrewers() {
    let (student, teacher) = short_logits();
    let (student, teacher) = (Features::one(student), Features::one(teacher));
    let cases: [(&str, &dyn Loss); 4] = [
        ("kd_ce T=1", &KdCe::at(1.0)),
        ("kd_ce T=4", &KdCe::at(4.0)),
        ("kd_mse T=1", &KdMse::at(1.0)),
        ("kd_mse T=4", &KdMse::at(4.0)),
    ];
    for (name, loss) in cases {
        assert_close(value(loss, &student, &teacher), golden(name).as_f64().unwrap(), name);
    }
    let (student, teacher) = logits();
    let found = value(&KdCe::at(8.0), &read(&student, None), &read(&teacher, None));
    assert_close(found, golden("kd_ce lS3,lT3 T=8").as_f64().unwrap(), "kd_ce of rank 3");
}

#[test]
fn losses_between_layers_equal_textbrewers_with_a_mask_and_without() {
    let cases: [(&str, &dyn Loss, Sides); 9] = [
        ("hidden_mse", &HiddenMse, hidden()),
        ("cos", &Cos, hidden()),
        ("pkd", &Pkd, hidden()),
        ("fsp", &Fsp, layers()),
        ("nst", &Nst, layers()),
        ("attention_mse", &AttentionMse::textbrewer(), scores()),
        ("attention_mse_sum", &AttentionMseSum::textbrewer(), scores()),
        ("attention_ce", &AttentionCe::textbrewer(), scores()),
        ("attention_ce_mean", &AttentionCeMean::textbrewer(), scores()),
    ];
    for (name, loss, (student, teacher)) in cases {
        assert_eq!(loss.name(), name);
        let expected = golden(name);
        let unmasked = value(loss, &read(&student, None), &read(&teacher, None));
        assert_close(unmasked, expected[0].as_f64().unwrap(), name);
        let mask = mask();
        let masked = value(loss, &read(&student, Some(&mask)), &read(&teacher, Some(&mask)));
        assert_close(masked, expected[1].as_f64().unwrap(), &format!("{name}, masked"));
    }
}

#[test]
fn nst_of_a_wider_teacher_equals_textbrewers() {
    let (student, _) = layers();
    let teacher = [seq(&[2, 3, 6], 0.4, 0.9, 1.2), seq(&[2, 3, 6], 1.3, 0.2, 1.2)];
    let mask = mask();
    let found = value(&Nst, &read(&student, Some(&mask)), &read(&teacher, Some(&mask)));
    assert_close(found, golden("nst hT6 masked").as_f64().unwrap(), "nst");
}

#[test]
fn the_gradient_of_kd_ce_equals_textbrewers() {
    let (student, teacher) = short_logits();
    let student = student.set_requires_grad(true);
    let term = KdCe::at(4.0).term(&Features::one(student.shallow_clone()), &Features::one(teacher)).unwrap();
    term.mean().unwrap().backward();
    let gradient = student.grad();
    let expected = golden("d kd_ce(T=4)/d lS row 0");
    for (class, expected) in expected.as_array().unwrap().iter().enumerate() {
        assert_close(gradient.double_value(&[0, class as i64]), expected.as_f64().unwrap(), "gradient");
    }
}

#[test]
fn temperature_squared_multiplies_by_it() {
    let (student, teacher) = short_logits();
    let (student, teacher) = (Features::one(student), Features::one(teacher));
    let plain = value(&KdCe::at(4.0), &student, &teacher);
    assert_close(value(&KdCe::at(4.0).times_temperature_squared(), &student, &teacher), 16.0 * plain, "T^2");
}
