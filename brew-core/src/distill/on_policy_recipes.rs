//! Recipes for on-policy distillation: an objective at the positions that the student visits, and how it visits them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Distill, Pipeline};
use crate::error::Result;
use crate::loss::{Chunked, Divergence, Jsd, Kl, ReverseKl, SkewKl, SkewReverseKl, next_token};
use crate::model::{CausalLmAnswersAdaptor, CausalLmBatch, CausalLmOutput, Forward, Model, SeenBy as _};
use crate::rollout::Rollout;

/// A divergence of the teacher's distribution p and the student's q over the whole vocabulary, at temperature 1.
///
/// No gradient passes through the choice of the tokens: each position counts by itself, as with a discount of 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// KL(p, q): [`Kl`].
    ForwardKl,
    /// KL(q, p): [`ReverseKl`].
    ReverseKl,
    /// The generalised Jensen-Shannon divergence, [`Jsd`], with the teacher's share of the mixture in (0, 1).
    Jsd(f64),
    /// KL(p, alpha p + (1 - alpha) q): [`SkewKl`], with alpha in (0, 1).
    SkewKl(f64),
    /// KL(q, (1 - alpha) p + alpha q): [`SkewReverseKl`], with alpha in (0, 1).
    SkewReverseKl(f64),
}

impl Objective {
    fn divergence(self) -> Box<dyn Divergence> {
        match self {
            Objective::ForwardKl => Box::new(Kl::at(1.0)),
            Objective::ReverseKl => Box::new(ReverseKl::at(1.0)),
            Objective::Jsd(beta) => Box::new(Jsd::between(beta)),
            Objective::SkewKl(alpha) => Box::new(SkewKl::by(alpha)),
            Objective::SkewReverseKl(alpha) => Box::new(SkewReverseKl::by(alpha)),
        }
    }
}

/// A recipe for on-policy distillation of a language model: plain values, to change as you like.
///
/// [`gkd`](Self::gkd), [`distillm`](Self::distillm) and [`reverse_kl`](Self::reverse_kl) have the settings of published
/// methods. Its `Display` has every setting, one per line. For other losses, or weights between several, see
/// [`Pipeline::on_policy`].
///
/// ```no_run
/// use brew_core::distill::OnPolicy;
/// use brew_core::model::DecoderForCausalLm;
/// use brew_core::prelude::*;
/// use brew_core::rollout::Rollout;
///
/// # fn example(prompts: Vec<brew_core::model::CausalLmBatch>) -> Result<()> {
/// let teacher = DecoderForCausalLm::from_pretrained("models/smollm2", Device::Cpu)?;
/// let student = DecoderForCausalLm::from_pretrained("runs/distilled/student", Device::Cpu)?;
/// let pipeline = OnPolicy::gkd().plan(teacher, student)?;
/// println!("{}", pipeline.explain());
/// let student = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-5)).accumulate(4).steps(500).run(prompts)?;
/// # Ok(())
/// # }
/// ```
///
/// With other settings:
///
/// ```
/// use brew_core::distill::{Objective, OnPolicy};
/// use brew_core::rollout::Rollout;
///
/// let gkd = OnPolicy::gkd();
/// let longer = OnPolicy { rollout: Rollout { max_new_tokens: 256, ..gkd.rollout }, objective: Objective::Jsd(0.9) };
/// assert!(longer.to_string().contains("max_new_tokens 256"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnPolicy {
    /// What is minimized at each position.
    pub objective: Objective,
    /// How the student writes.
    pub rollout: Rollout,
}

impl OnPolicy {
    /// GKD: the Jensen-Shannon divergence with a share of 0.5, where the student answers half of the prompts, at temperature
    /// 0.9, in up to 128 tokens.
    ///
    /// Source: Agarwal et al., "On-Policy Distillation of Language Models" (2023, arXiv:2306.13649), with the defaults of
    /// TRL's `GKDTrainer` (`beta`, `lmbda`, `temperature`, `max_new_tokens`, `disable_dropout`). There a whole
    /// batch is drawn, here each row. TRL's `beta` of 0 is [`Objective::ForwardKl`], of 1 [`Objective::ReverseKl`].
    pub fn gkd() -> Self {
        let rollout = Rollout { share: 0.5, temperature: 0.9, max_new_tokens: 128, ..Rollout::default() };
        OnPolicy { objective: Objective::Jsd(0.5), rollout }
    }

    /// DistiLLM's objective over its sampler: the skewed divergence with 0.1, at temperature 1, in up to 256 tokens.
    ///
    /// Source: Ko et al., "DistiLLM: Towards Streamlined Distillation for Large Language Models" (2024,
    /// arXiv:2402.03898). Not here: there the share of the student's answers starts at 0 and grows when the loss on held-out data does, and
    /// answers are used again from a buffer; here the share is constant, one half, and each answer is used once.
    pub fn distillm() -> Self {
        let rollout = Rollout { share: 0.5, max_new_tokens: 256, ..Rollout::default() };
        OnPolicy { objective: Objective::SkewKl(0.1), rollout }
    }

    /// On-policy reverse KL: the student answers all prompts, from the most likely tokens that have 0.95 of the probability, in up to 512 tokens.
    ///
    /// These are the defaults of TRL's `DistillationTrainer` (`beta` 1, `temperature` 1, `top_p` 0.95,
    /// `max_completion_length` 512, `num_generations` 1). With `top_p` 1 and four answers to each prompt it is the objective of
    /// Thinking Machines, "On-Policy Distillation" (2025), in expectation: there the divergence is estimated from the sampled
    /// token, here it is computed over the vocabulary.
    pub fn reverse_kl() -> Self {
        let rollout = Rollout { top_p: 0.95, max_new_tokens: 512, ..Rollout::default() };
        OnPolicy { objective: Objective::ReverseKl, rollout }
    }

    /// A pipeline with this objective, computed some rows of logits at a time ([`Chunked`]), over the tokens of answers.
    ///
    /// # Errors
    /// Settings out of range, and a student that writes no texts.
    pub fn plan<T, S>(self, teacher: T, student: S) -> Result<Pipeline<CausalLmBatch, CausalLmAnswersAdaptor>>
    where
        T: Forward<CausalLmBatch, Output = CausalLmOutput> + Model,
        S: Forward<CausalLmBatch, Output = CausalLmOutput> + Model,
    {
        let (teacher, student) =
            (teacher.seen_by(CausalLmAnswersAdaptor), student.seen_by(CausalLmAnswersAdaptor));
        Distill::new(teacher, student)
            .soft_targets(next_token(Chunked::of(self.objective.divergence())))
            .plan()?
            .on_policy(self.rollout)
    }
}

impl fmt::Display for OnPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objective = match self.objective {
            Objective::ForwardKl => "forward_kl".to_owned(),
            Objective::ReverseKl => "reverse_kl".to_owned(),
            Objective::Jsd(beta) => format!("jsd {beta}"),
            Objective::SkewKl(alpha) => format!("skew_kl {alpha}"),
            Objective::SkewReverseKl(alpha) => format!("skew_reverse_kl {alpha}"),
        };
        writeln!(formatter, "objective {objective}")?;
        formatter.write_str(&self.rollout.lines().join("\n"))
    }
}
