//! A language model's output with the answers of its batch as all that losses on logits count.

use super::{CausalLmBatch, CausalLmOutput, CausalLmOutputAdaptor};
use crate::adaptor::{Adaptor, Provides};
use crate::error::{InStage as _, Result};
use crate::feature::Feature;
use crate::role::{LogitsMask, Role};

/// Reads a [`CausalLmOutput`] as [`CausalLmOutputAdaptor`] does, except that `logits_mask` is 0 for tokens without a
/// label: losses wrapped in [`next_token`](crate::loss::next_token) count the tokens of answers, and not those of prompts.
///
/// In a packed row, the mask still has the number of a token's document. A batch without labels has no `logits_mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CausalLmAnswersAdaptor;

impl Adaptor for CausalLmAnswersAdaptor {
    type Batch = CausalLmBatch;
    type Output = CausalLmOutput;
    const ROLES: &'static [&'static str] = CausalLmOutputAdaptor::ROLES;
    const READS_BATCH: bool = CausalLmOutputAdaptor::READS_BATCH;

    fn read(role: &str, batch: &CausalLmBatch, output: &CausalLmOutput) -> Result<Option<Feature>> {
        match role {
            LogitsMask::NAME => Self::read_batch(role, batch),
            _ => CausalLmOutputAdaptor::read(role, batch, output),
        }
    }

    fn read_batch(role: &str, batch: &CausalLmBatch) -> Result<Option<Feature>> {
        if role != LogitsMask::NAME {
            return CausalLmOutputAdaptor::read_batch(role, batch);
        }
        let Some(labels) = &batch.labels else { return Ok(None) };
        let mask = || -> Result<Feature> {
            Ok(Feature::One(batch.attention_mask.f_masked_fill(&labels.f_lt(0)?, 0)?))
        };
        mask().in_stage("logits_mask").map(Some)
    }
}

impl<R: Role> Provides<R> for CausalLmAnswersAdaptor where CausalLmOutputAdaptor: Provides<R> {}
