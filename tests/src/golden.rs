//! Golden values and the closed-form inputs they were computed on.

use brew_core::tch::{Device, Kind, Tensor};

/// `c * sin(a * i + b)` for i = 0, 1, … in row-major order, float64.
///
/// # Panics
/// If libtorch rejects the shape.
pub fn seq(shape: &[i64], a: f64, b: f64, c: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let index = Tensor::arange(count, (Kind::Double, Device::Cpu));
    ((index * a + b).sin() * c).view(shape)
}

/// The mask that the golden values with padding use: `[[1, 1, 0], [1, 1, 1]]`.
pub fn mask() -> Tensor {
    Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 1]).view([2, 3])
}

/// A value of the `textbrewer` part of `fixtures/losses.json`, whose `note` says how it was made.
///
/// # Panics
/// If the file or the value is missing.
#[expect(clippy::expect_used, reason = "a test without its golden value must fail")]
pub fn golden(name: &str) -> serde_json::Value {
    let text = include_str!("../fixtures/losses.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("losses.json is JSON");
    file["textbrewer"]["values"].get(name).cloned().expect("losses.json holds this value")
}

/// A value of the `peers` part of `fixtures/losses.json`: made by the program that it names.
///
/// # Panics
/// If the file or the value is missing.
#[expect(clippy::expect_used, reason = "a test without its golden value must fail")]
pub fn peer(name: &str) -> f64 {
    let text = include_str!("../fixtures/losses.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("losses.json is JSON");
    file["peers"]["values"]
        .get(name)
        .and_then(serde_json::Value::as_f64)
        .expect("losses.json holds this value")
}
