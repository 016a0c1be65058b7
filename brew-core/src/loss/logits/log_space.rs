//! Arithmetic on log-probabilities that stays finite if a probability is 0.

use tch::Tensor;

use crate::error::Result;

/// The logarithm of probability 0: far below any other, and finite, so that 0 times a difference of such
/// values is 0 and not NaN, also in the gradient.
pub(in crate::loss) const LOG_ZERO: f64 = -1e30;

/// The log-probabilities of logits over the last dimension.
///
/// A logit of minus infinity has the finite logarithm of [`LOG_ZERO`] and no gradient.
pub(in crate::loss) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let log = logits.f_log_softmax(-1, logits.kind())?;
    if log.numel() > 0 && log.f_min()?.f_double_value(&[])? == f64::NEG_INFINITY {
        return Ok(log.f_clamp_min(LOG_ZERO)?);
    }
    Ok(log)
}

/// The mean of `values` under the probabilities whose logarithms are `log_weights`, over the last
/// dimension.
pub(in crate::loss) fn expected(log_weights: &Tensor, values: &Tensor) -> Result<Tensor> {
    Ok(log_weights.f_exp()?.f_mul(values)?.f_sum_dim_intlist(-1, false, values.kind())?)
}

/// The log-probabilities of the mixture `share` x first + (1 - share) x second, share in (0, 1).
pub(in crate::loss) fn log_mixture(first: &Tensor, second: &Tensor, share: f64) -> Result<Tensor> {
    Ok(first.f_add_scalar(share.ln())?.f_logaddexp(&second.f_add_scalar((1.0 - share).ln())?)?)
}

/// The Kullback-Leibler divergence of the first from the second, over the last dimension.
pub(in crate::loss) fn kl(log_first: &Tensor, log_second: &Tensor) -> Result<Tensor> {
    expected(log_first, &log_first.f_sub(log_second)?)
}

/// The problem with a share that must lie strictly between 0 and 1, if there is one.
pub(in crate::loss) fn share_problem(name: &str, share: f64, mend: &str) -> Option<String> {
    (!(share > 0.0 && share < 1.0)).then(|| format!("{name} is {share}; it must lie in (0, 1): {mend}"))
}
