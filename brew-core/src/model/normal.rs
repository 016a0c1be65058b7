//! Normal and uniform random numbers for new weights, from their own seed.
//!
//! A new head must be the same for the same seed whatever was drawn before it, and must not advance
//! libtorch's global generator, which dropout uses. Hence this small generator: SplitMix64 (Steele, Lea and
//! Flood 2014) and the Box-Muller transform (1958).

use std::f64::consts::TAU;

/// `count` draws from N(0, `deviation`²).
pub(crate) fn normal(seed: u64, count: usize, deviation: f64) -> Vec<f32> {
    let mut generator = SplitMix64(seed);
    (0..count)
        .map(|_| {
            let radius = (-2.0 * generator.uniform().ln()).sqrt();
            let angle = TAU * generator.uniform();
            (deviation * radius * angle.cos()) as f32
        })
        .collect()
}

/// `count` draws, uniform from `-bound` to `bound`.
pub(crate) fn uniform(seed: u64, count: usize, bound: f64) -> Vec<f32> {
    let mut generator = SplitMix64(seed);
    (0..count).map(|_| (bound * (2.0 * generator.uniform() - 1.0)) as f32).collect()
}

/// Why new weights cannot be drawn with this deviation, the config's `initializer_range`.
pub(crate) fn problem_of(initializer_range: f64) -> Option<String> {
    let usable = initializer_range.is_finite() && initializer_range > 0.0;
    (!usable).then(|| format!("initializer_range is {initializer_range}; it must be above 0"))
}

/// The seed of a parameter of this name, so that each has draws of its own: with FNV-1a (Fowler, Noll and Vo
/// 1991) of the name.
pub(crate) fn of_name(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    seed ^ hash
}

struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In (0, 1], so that its logarithm is finite.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{SplitMix64, normal, uniform};

    // The first outputs for this seed of the public-domain splitmix64.c, as listed among the
    // reference outputs of the task "Pseudo-random numbers/Splitmix64".
    #[test]
    fn the_generator_is_splitmix64() {
        let mut generator = SplitMix64(1_234_567);
        let drawn = [generator.next(), generator.next(), generator.next()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    // A normal distribution has 68.27 % and 95.45 % of its mass within one and two deviations; the
    // margins are four standard errors of 100,000 draws.
    #[test]
    fn the_draws_are_normal() {
        let draws = normal(7, 100_000, 0.02);
        let within = |limit: f32| draws.iter().filter(|draw| draw.abs() < limit).count() as f64 / 1e5;
        assert!((within(0.02) - 0.6827).abs() < 0.006, "{}", within(0.02));
        assert!((within(0.04) - 0.9545).abs() < 0.003, "{}", within(0.04));
        let mean = draws.iter().map(|draw| f64::from(*draw)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 4.0 * 0.02 / 1e5_f64.sqrt(), "{mean}");
    }

    // The mean of |x| is half the bound, with a standard error of 0.29 / sqrt(count) of it.
    #[test]
    fn uniform_draws_fill_their_range() {
        let draws = uniform(7, 100_000, 0.5);
        assert!(draws.iter().all(|draw| draw.abs() <= 0.5));
        let size = draws.iter().map(|draw| f64::from(draw.abs())).sum::<f64>() / 1e5;
        assert!((size - 0.25).abs() < 0.002, "{size}");
        let below = draws.iter().filter(|draw| **draw < 0.0).count();
        assert!((49_000..51_000).contains(&below), "{below}");
    }

    #[test]
    fn another_seed_draws_other_numbers() {
        assert_eq!(normal(3, 8, 1.0), normal(3, 8, 1.0));
        assert_ne!(normal(3, 8, 1.0), normal(4, 8, 1.0));
    }
}
