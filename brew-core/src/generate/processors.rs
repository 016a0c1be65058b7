//! What the next token is chosen from: the model's scores, after the processors of transformers, in their order and with
//! their ties.
//!
//! For scores z in float32: the repetition penalty r makes z r of z < 0 and z / r of others, for each token that the text
//! has (Keskar et al. 2019); then, only when sampling: z / temperature; top-k removes what is below the k-th largest, so
//! ties stay; top-p removes the least likely tokens whose probabilities sum up to at most 1 - p, but never the last one
//! (Holtzman et al. 2020); min-p removes probabilities below `min_p` times the largest (Nguyen et al. 2024). Each works on
//! what the one before left.

use tch::{Kind, Tensor};

use super::config::GenerationConfig;
use crate::error::{InStage, Result};

impl GenerationConfig {
    /// The scores that the next token is chosen from, float32 `(rows, tokens)`: their softmax is the sampler's distribution,
    /// -inf means removed. When not sampling, the largest is chosen.
    ///
    /// `logits` are the model's, `(rows, tokens)`; `used` is true for the tokens that a row's text has, of the same shape,
    /// and is read only for a repetition penalty.
    ///
    /// ```
    /// use brew_core::generate::GenerationConfig;
    /// use brew_core::tch::{Kind, Tensor};
    ///
    /// let config = GenerationConfig { do_sample: true, top_k: 2, ..GenerationConfig::default() };
    /// let logits = Tensor::from_slice2(&[[1.0_f32, 0.0, 2.0]]);
    /// let scores = config.scores(&logits, None)?;
    /// assert_eq!(scores.double_value(&[0, 1]), f64::NEG_INFINITY);
    /// # Ok::<(), brew_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn scores(&self, logits: &Tensor, used: Option<&Tensor>) -> Result<Tensor> {
        let process = || -> Result<Tensor> {
            let mut scores = logits.f_to_kind(Kind::Float)?;
            if let Some(used) = used.filter(|_| self.repetition_penalty != 1.0) {
                let penalty = self.repetition_penalty;
                let below = scores.f_lt(0.0)?;
                let penalized =
                    scores.f_mul_scalar(penalty)?.f_where_self(&below, &scores.f_div_scalar(penalty)?)?;
                scores = penalized.f_where_self(used, &scores)?;
            }
            if !self.do_sample {
                return Ok(scores);
            }
            if self.temperature != 1.0 {
                scores = scores.f_div_scalar(self.temperature)?;
            }
            if self.top_k > 0 {
                scores = top_k(&scores, self.top_k)?;
            }
            if self.top_p < 1.0 {
                scores = top_p(&scores, self.top_p)?;
            }
            if self.min_p > 0.0 {
                scores = min_p(&scores, self.min_p)?;
            }
            Ok(scores)
        };
        process().in_stage("processors")
    }
}

fn top_k(scores: &Tensor, k: i64) -> Result<Tensor> {
    let tokens = scores.size().last().copied().unwrap_or(0);
    let (largest, _) = scores.f_topk(k.min(tokens), -1, true, true)?;
    let least = largest.f_narrow(-1, -1, 1)?;
    without(scores, &scores.f_lt_tensor(&least)?)
}

fn top_p(scores: &Tensor, p: f64) -> Result<Tensor> {
    let (ascending, order) = scores.f_sort(-1, false)?;
    let sums = ascending.f_softmax(-1, Kind::Float)?.f_cumsum(-1, Kind::Float)?;
    let removed = sums.f_le(1.0 - p)?;
    let _ = removed.f_narrow(-1, -1, 1)?.f_fill_(0)?;
    without(scores, &removed.f_scatter(-1, &order, &removed)?)
}

fn min_p(scores: &Tensor, p: f64) -> Result<Tensor> {
    let probabilities = scores.f_softmax(-1, Kind::Float)?;
    let least = probabilities.f_amax([-1_i64], true)?.f_mul_scalar(p)?;
    without(scores, &probabilities.f_lt_tensor(&least)?)
}

fn without(scores: &Tensor, removed: &Tensor) -> Result<Tensor> {
    Ok(scores.f_masked_fill(removed, f64::NEG_INFINITY)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kept tokens and their probabilities.
    fn kept(config: GenerationConfig, logits: &Tensor) -> (Vec<i64>, Vec<f64>) {
        let scores = config.scores(&logits.unsqueeze(0), None).unwrap().squeeze_dim(0);
        let kept = scores.isfinite().nonzero().squeeze_dim(1);
        let probabilities = scores.softmax(-1, Kind::Double).index_select(0, &kept);
        (kept.try_into().unwrap(), probabilities.try_into().unwrap())
    }

    fn sampling() -> GenerationConfig {
        GenerationConfig { do_sample: true, ..GenerationConfig::default() }
    }

    fn sines() -> Tensor {
        ((Tensor::arange(12, (Kind::Float, tch::Device::Cpu)) * 0.9 + 0.3).sin() * 3.0).to_kind(Kind::Float)
    }

    // transformers 5.24.0, torch 2.11.0: the LogitsProcessors of the same names, of z_i = 3 sin(0.9 i + 0.3).
    #[test]
    fn processors_keep_what_those_of_transformers_keep() {
        let sines = sines();
        let (ids, _) = kept(GenerationConfig { temperature: 0.7, top_k: 5, ..sampling() }, &sines);
        assert_eq!(ids, [1, 2, 7, 8, 9]);
        let both = GenerationConfig { temperature: 0.7, top_k: 5, top_p: 0.8, ..sampling() };
        let (ids, probabilities) = kept(both, &sines);
        assert_eq!(ids, [1, 2, 8, 9]);
        for (found, wanted) in
            probabilities.iter().zip([0.286_698_260, 0.213_459_217, 0.294_116_803, 0.205_725_720])
        {
            assert!((found - wanted).abs() < 1e-6, "{found} of {wanted}");
        }
        assert_eq!(kept(GenerationConfig { top_p: 0.8, ..sampling() }, &sines).0, [1, 2, 8, 9]);
        let min_p = GenerationConfig { temperature: 0.7, min_p: 0.2, ..sampling() };
        assert_eq!(kept(min_p, &sines).0, [1, 2, 8, 9]);
    }

    // transformers 5.24.0: RepetitionPenaltyLogitsProcessor(1.3) with the tokens 4, 2 and 7.
    #[test]
    fn tokens_of_the_text_are_penalized_when_sampling_or_not() {
        let used = Tensor::from_slice(&[4_i64, 2, 7]).one_hot(12).sum_dim_intlist(
            [0_i64].as_slice(),
            false,
            Kind::Int64,
        );
        let used = used.ne(0).unsqueeze(0);
        for do_sample in [true, false] {
            let config =
                GenerationConfig { repetition_penalty: 1.3, do_sample, ..GenerationConfig::default() };
            let scores = config.scores(&sines().unsqueeze(0), Some(&used)).unwrap();
            for (token, wanted) in [(2, 1.992_022), (4, -2.682_288), (7, 0.718_942)] {
                assert!((scores.double_value(&[0, token]) - wanted).abs() < 1e-6);
            }
            assert_eq!(scores.double_value(&[0, 3]), sines().double_value(&[3]));
        }
    }

    // transformers 5.24.0.
    #[test]
    fn ties_stay_in_top_k_and_go_in_top_p() {
        let ties = Tensor::from_slice(&[1.0_f32, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(kept(GenerationConfig { top_k: 2, ..sampling() }, &ties).0, [0, 1, 2]);
        assert_eq!(kept(GenerationConfig { top_p: 0.5, ..sampling() }, &ties).0, [1, 2]);
        assert_eq!(kept(GenerationConfig { top_k: 99, ..sampling() }, &ties).0, [0, 1, 2, 3, 4]);
        assert_eq!(kept(GenerationConfig { top_p: 1e-9, ..sampling() }, &ties).0.len(), 1);
        assert_eq!(kept(GenerationConfig { min_p: 1.0, ..sampling() }, &ties).0, [0, 1, 2]);
    }

    #[test]
    fn without_settings_nothing_is_removed() {
        let scores = sampling().scores(&sines().unsqueeze(0), None).unwrap();
        assert!(scores.squeeze_dim(0) == sines());
    }
}
