//! The divergences that sparse and chunked losses are made of.

use brew_core::loss::{AdaptiveKl, Divergence, Jsd, Kl, ReverseKl, SkewKl, SkewReverseKl, TotalVariation};

/// Every divergence, with options that are not the usual ones.
pub(crate) fn divergences() -> Vec<Box<dyn Divergence>> {
    vec![
        Box::new(Kl::at(2.0).times_temperature_squared()),
        Box::new(ReverseKl::at(1.0)),
        Box::new(Jsd::between(0.3)),
        Box::new(SkewKl::by(0.1)),
        Box::new(SkewReverseKl::by(0.1)),
        Box::new(SkewReverseKl::by(0.1).with_detached_mixture()),
        Box::new(TotalVariation::at(1.0)),
        Box::new(AdaptiveKl::with_head(0.5)),
    ]
}
