//! Activations of feed-forward blocks, by their names in transformers' configs (`ACT2FN` in its
//! `activations.py`).

use std::f64::consts::SQRT_2;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Error, InStage, Result};
use crate::words::suggest;

/// The activation between the two linear layers of a feed-forward block.
///
/// Different names in a `config.json` may stand for the same function: `gelu_python` is [`Gelu`](Self::Gelu).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Activation {
    /// `x Φ(x)`, with the exact normal distribution function: `gelu`, `gelu_python`.
    Gelu,
    /// The tanh approximation of [`Activation::Gelu`]: `gelu_new`, `gelu_fast`, `gelu_accurate`,
    /// `gelu_pytorch_tanh`, `gelu_python_tanh`.
    GeluNew,
    /// [`Activation::Gelu`], clamped to [-10, 10]: `gelu_10`.
    Gelu10,
    /// `x σ(1.702 x)`: `quick_gelu`.
    QuickGelu,
    /// `x σ(x)`: `silu`, `swish`.
    Silu,
    /// `x tanh(ln(1 + eˣ))`: `mish`.
    Mish,
    /// `max(x, 0)`: `relu`.
    Relu,
    /// `max(x, 0)²`: `relu2`.
    Relu2,
    /// `min(max(x, 0), 6)`: `relu6`.
    Relu6,
    /// `x` if positive, else `0.01 x`: `leaky_relu`.
    LeakyRelu,
    /// `x min(max(x + 3, 0), 6) / 6`: `hardswish`.
    HardSwish,
    /// The hyperbolic tangent: `tanh`.
    Tanh,
    /// `1 / (1 + e⁻ˣ)`: `sigmoid`.
    Sigmoid,
    /// The normal distribution function of mean 0.707107 and deviation 0.282095: `laplace`.
    Laplace,
    /// `√ln(1 + eˣ)`: `sqrtsoftplus`.
    SqrtSoftplus,
    /// `x`: `linear`.
    Linear,
}

/// The names in a `config.json`; the first one of each activation is the one that is written.
const NAMES: [(&str, Activation); 22] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluNew),
    ("gelu_fast", Activation::GeluNew),
    ("gelu_accurate", Activation::GeluNew),
    ("gelu_pytorch_tanh", Activation::GeluNew),
    ("gelu_python_tanh", Activation::GeluNew),
    ("gelu_10", Activation::Gelu10),
    ("quick_gelu", Activation::QuickGelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("mish", Activation::Mish),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("hardswish", Activation::HardSwish),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("laplace", Activation::Laplace),
    ("sqrtsoftplus", Activation::SqrtSoftplus),
    ("linear", Activation::Linear),
];

/// Activations of transformers with learned parameters.
const LEARNED: [&str; 2] = ["prelu", "xielu"];

impl Activation {
    pub(crate) fn forward(self, input: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Gelu => input.f_gelu("none"),
            Activation::GeluNew => input.f_gelu("tanh"),
            Activation::Gelu10 => input.f_gelu("none").and_then(|output| output.f_clamp(-10.0, 10.0)),
            Activation::QuickGelu => input
                .f_mul_scalar(1.702)
                .and_then(|scaled| scaled.f_sigmoid())
                .and_then(|gate| gate.f_mul(input)),
            Activation::Silu => input.f_silu(),
            Activation::Mish => input.f_mish(),
            Activation::Relu => input.f_relu(),
            Activation::Relu2 => input.f_relu().and_then(|output| output.f_square()),
            Activation::Relu6 => input.f_relu6(),
            Activation::LeakyRelu => input.f_leaky_relu(),
            Activation::HardSwish => input.f_hardswish(),
            Activation::Tanh => input.f_tanh(),
            Activation::Sigmoid => input.f_sigmoid(),
            Activation::Laplace => laplace(input),
            Activation::SqrtSoftplus => input.f_softplus().and_then(|output| output.f_sqrt()),
            Activation::Linear => Ok(input.shallow_clone()),
        }
        .in_stage("activation")
    }
}

/// With the rounded numbers that transformers uses, not the exact constants.
#[expect(clippy::approx_constant, reason = "transformers rounds it so")]
fn laplace(input: &Tensor) -> Result<Tensor, tch::TchError> {
    let standard = input.f_sub_scalar(0.707_107)?.f_div_scalar(0.282_095 * SQRT_2)?;
    standard.f_erf()?.f_add_scalar(1.0)?.f_mul_scalar(0.5)
}

impl TryFrom<String> for Activation {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        if LEARNED.contains(&name.as_str()) {
            return Err(Error::invalid(format!(
                "the activation `{name}` has learned parameters, which are not supported yet"
            )));
        }
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, activation)| *activation).ok_or_else(|| {
            let near = suggest(&name, NAMES.iter().map(|(known, _)| *known));
            Error::invalid(format!("unknown activation `{name}`{near}"))
        })
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> String {
        let named = NAMES.iter().find(|(_, known)| *known == activation);
        named.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, NAMES, Tensor};

    // transformers 5.24.0, torch 2.11.0:
    // from transformers.activations import ACT2FN
    // x = torch.tensor([-12, -2, -.5, 0, 1, 3, 12])
    // for name in ACT2FN: print(name, ACT2FN[name](x).tolist())   # but prelu and xielu, which learn
    #[rustfmt::skip]
    const GOLDEN: [(&str, [f32; 7]); 22] = [
        ("gelu", [-0.0, -0.045_500_28, -0.154_268_77, 0.0, 0.841_344_7, 2.995_949_7, 12.0]),
        ("gelu_10", [-0.0, -0.045_500_28, -0.154_268_77, 0.0, 0.841_344_7, 2.995_949_7, 10.0]),
        ("gelu_fast", [-0.0, -0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7, 12.0]),
        ("gelu_new", [-0.0, -0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7, 12.0]),
        ("gelu_python", [-0.0, -0.045_500_28, -0.154_268_77, 0.0, 0.841_344_7, 2.995_950_2, 12.0]),
        ("gelu_pytorch_tanh", [-0.0, -0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7, 12.0]),
        ("gelu_python_tanh", [-0.0, -0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7, 12.0]),
        ("gelu_accurate", [-0.0, -0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7, 12.0]),
        ("hardswish", [-0.0, -0.333_333_34, -0.208_333_33, 0.0, 0.666_666_7, 3.0, 12.0]),
        ("laplace", [0.0, 0.0, 9.387_732e-6, 0.006_094_455_7, 0.850_429_65, 1.0, 1.0]),
        ("leaky_relu", [-0.12, -0.02, -0.005, 0.0, 1.0, 3.0, 12.0]),
        ("linear", [-12.0, -2.0, -0.5, 0.0, 1.0, 3.0, 12.0]),
        ("mish", [-7.373_032e-5, -0.252_501_46, -0.220_743_76, 0.0, 0.865_098_36, 2.986_535, 12.0]),
        ("quick_gelu", [-1.618_642_1e-8, -0.064_341_374, -0.149_611_56, 0.0, 0.845_795_75, 2.981_928_8, 12.0]),
        ("relu", [0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 12.0]),
        ("relu2", [0.0, 0.0, 0.0, 0.0, 1.0, 9.0, 144.0]),
        ("relu6", [0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 6.0]),
        ("sigmoid", [6.144_174e-6, 0.119_202_92, 0.377_540_68, 0.5, 0.731_058_6, 0.952_574_13, 0.999_993_8]),
        ("silu", [-7.373_009_4e-5, -0.238_405_84, -0.188_770_34, 0.0, 0.731_058_6, 2.857_722_5, 11.999_926]),
        ("sqrtsoftplus", [0.002_478_748_3, 0.356_269_57, 0.688_532_5, 0.832_554_6, 1.145_976_3, 1.746_020_4, 3.464_102_5]),
        ("swish", [-7.373_009_4e-5, -0.238_405_84, -0.188_770_34, 0.0, 0.731_058_6, 2.857_722_5, 11.999_926]),
        ("tanh", [-1.0, -0.964_027_6, -0.462_117_17, 0.0, 0.761_594_2, 0.995_054_8, 1.0]),
    ];

    #[test]
    fn every_name_is_the_function_that_transformers_gives_it() {
        let input = Tensor::from_slice(&[-12.0_f32, -2.0, -0.5, 0.0, 1.0, 3.0, 12.0]);
        for (name, golden) in GOLDEN {
            let activation = Activation::try_from(name.to_owned()).unwrap();
            let found = activation.forward(&input).unwrap();
            let off = (found - Tensor::from_slice(&golden)).abs().max().double_value(&[]);
            assert!(off < 1e-6, "{name} is off by {off:e}");
        }
        let [mut golden, mut known] = [GOLDEN.map(|(name, _)| name), NAMES.map(|(name, _)| name)];
        golden.sort_unstable();
        known.sort_unstable();
        assert_eq!(golden, known);
    }

    #[test]
    fn what_is_written_is_read_as_the_same_activation() {
        for (_, activation) in NAMES {
            assert_eq!(Activation::try_from(String::from(activation)).unwrap(), activation);
        }
    }

    #[test]
    fn activations_that_cannot_be_are_refused_by_name() {
        let refusal = |name: &str| Activation::try_from(name.to_owned()).unwrap_err().to_string();
        assert_eq!(refusal("gelu_now"), "unknown activation `gelu_now`; did you mean `gelu_new`?");
        for learned in ["prelu", "xielu"] {
            assert!(refusal(learned).contains(&format!("`{learned}` has learned parameters")));
        }
    }
}
