//! Which losses compare the logits of tokens, and so need one tokenizer on both sides.

use super::{Executor, reads};
use crate::adaptor::Adaptor;
use crate::error::Result;
use crate::plan::{Flow, StageKind};
use crate::role::{Logits, OutputWeight, Role as _, TokenIds};
use crate::side::Owner;

/// How to distil between two tokenizers.
pub(super) const TWO_WAYS: &str = "take a student with the teacher's tokenizer, or a loss across tokenizers (`loss::Uld`, `loss::AlignedUld`, `loss::Gold` or `loss::SharedTokens`)";

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// Whether a loss compares the logits of this teacher's tokens with those of the same tokens of the student.
    pub(super) fn compares_tokens(&self, teacher: usize) -> Result<bool> {
        if !A::ROLES.contains(&TokenIds::NAME) {
            return Ok(false);
        }
        for &id in &self.order {
            let reads = self.plan().inputs(id).into_iter().any(|(_, from, flow)| {
                let of_tokens = |role: &str| [Logits::NAME, OutputWeight::NAME].contains(&role);
                reads::owner(self.plan(), from) == Owner::Teacher(teacher)
                    && matches!(flow, Flow::Feature { role, .. } if of_tokens(role))
            });
            let is_loss = self.plan().stage(id).is_some_and(|stage| matches!(stage.kind, StageKind::Loss(_)));
            if is_loss && reads && !self.weighed(id)?.loss().spans_vocabularies() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
