//! The rotation of a GGUF file, in transformers' terms.
//!
//! Llama 3's slower rotation is stored as the tensor `rope_freqs.weight`: what each frequency is divided by. transformers
//! computes the same from four numbers. Two of them have the same values in all published models, low 1 and high 4; the
//! others follow from the tensor. What is found is checked by computing the tensor from it.

use std::f64::consts::TAU;

use serde_json::{Map, Value as Json, json};
use tch::Kind;

use super::file::Gguf;
use crate::error::Result;

/// The divisors of the frequencies.
pub(super) const DIVISORS: &str = "rope_freqs.weight";

/// The low and high frequency factors of Llama 3.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
/// How far a divisor, which is a float32, may be off.
const TOLERANCE: f64 = 1e-5;

impl Gguf {
    /// Adds `rope_theta` and `rope_scaling` to a config that has `head_dim`; `prefix` begins the keys of the
    /// architecture.
    pub(super) fn rope(&self, prefix: &str, config: &mut Map<String, Json>) -> Result<()> {
        let key = |name: &str| format!("{prefix}{name}");
        let theta = self.float(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        let factor = match self.float(&key("rope.scaling.factor"))? {
            Some(factor) => factor,
            None => self.float(&key("rope.scale_linear"))?.unwrap_or(0.0),
        };
        // Without a type it is linear, and a factor of 0 is none.
        let kind = self.text(&key("rope.scaling.type"))?.unwrap_or("linear");
        let linear = match kind {
            "none" => false,
            "linear" => factor != 0.0 && factor != 1.0,
            other => {
                return Err(self.error(format!(
                    "key `{}` is `{other}`, which is not supported yet; `none` and `linear` are, and Llama 3's `{DIVISORS}`: open the model's Hugging Face folder instead, if its rope_type is supported",
                    key("rope.scaling.type")
                )));
            }
        };
        let width = config.get("head_dim").and_then(Json::as_u64).unwrap_or(0);
        let llama3 = self.llama3(theta, width)?;
        let scaling = match (linear, llama3) {
            (true, Some(_)) => {
                return Err(self.error(format!(
                    "`{DIVISORS}` and a linear scaling of the rotation together are not supported"
                )));
            }
            (true, None) => json!({ "rope_type": "linear", "factor": factor }),
            (false, Some(llama3)) => llama3,
            (false, None) => Json::Null,
        };
        config.insert("rope_theta".to_owned(), json!(theta));
        config.insert("rope_scaling".to_owned(), scaling);
        Ok(())
    }

    /// The four numbers of Llama 3's rotation, if the file has its tensor; `width` is that of a head.
    fn llama3(&self, theta: f64, width: u64) -> Result<Option<Json>> {
        if self.shape(DIVISORS).is_none() {
            return Ok(None);
        }
        let divisors = self.tensor(DIVISORS, Kind::Double)?.f_reshape([-1])?;
        let divisors: Vec<f64> = Vec::try_from(divisors)?;
        if divisors.len() as u64 != width / 2 {
            return Err(self.error(format!(
                "`{DIVISORS}` has {} divisors, but a head of width {width} has {} frequencies: convert the original model again",
                divisors.len(),
                width / 2
            )));
        }
        if divisors.iter().all(|divisor| *divisor == 1.0) {
            return Ok(None);
        }
        let half = divisors.len() as f64;
        let waves: Vec<f64> =
            (0..divisors.len()).map(|place| TAU * theta.powf(place as f64 / half)).collect();
        let factor = divisors.iter().copied().fold(1.0, f64::max);
        // Between the two limits, 1 / divisor is mixed from 1 and 1 / factor, by original / wavelength.
        let mixed = divisors.iter().zip(&waves).find(|(divisor, _)| **divisor > 1.0 && **divisor < factor);
        let original = mixed.map_or(8192.0, |(divisor, wave)| {
            let mix = (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor);
            ((mix * (HIGH - LOW) + LOW) * wave).round()
        });
        let same = divisors.iter().zip(&waves).all(|(divisor, wave)| {
            let mix = ((original / wave - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
            let computed = 1.0 / ((1.0 - mix) / factor + mix);
            (computed / divisor - 1.0).abs() < TOLERANCE
        });
        if !same {
            return Err(self.error(format!(
                "`{DIVISORS}` is not a rotation of Llama 3 with the frequency factors {LOW} and {HIGH}, the only ones that are supported: open the model's Hugging Face folder instead"
            )));
        }
        Ok(Some(json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": LOW, "high_freq_factor": HIGH,
            "original_max_position_embeddings": original as i64,
        })))
    }
}
