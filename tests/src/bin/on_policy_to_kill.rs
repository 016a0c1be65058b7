//! A short run of a student that learns from its own texts. The tests of on-policy distillation kill this program and
//! start it again.
//!
//! `on_policy_to_kill FOLDER STEPS`; a checkpoint after every optimizer step. It prints when the student begins to write,
//! and when it has written.

#![expect(clippy::unwrap_used, reason = "a test's program fails where a helper does")]

use std::io::Write as _;

use brew_core::distill::OnPolicy;
use brew_core::model::{
    CausalLm, CausalLmBatch, CausalLmOutput, Continuation, DecoderArchitecture, DecoderForCausalLm, Prefill,
};
use brew_core::prelude::*;
use brew_core::rollout::Rollout;
use tests::{in_batches, prompts_and_completions, small_lm};

fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A student that tells when it writes.
struct Telling(DecoderForCausalLm);

impl Model for Telling {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0)
    }
    fn causal_lm(&self) -> Option<&dyn CausalLm> {
        Some(self)
    }
    fn save(&self, folder: &std::path::Path) -> Result<()> {
        self.0.save(folder)
    }
}

impl Forward<CausalLmBatch> for Telling {
    type Output = CausalLmOutput;
    fn run(&self, batch: &CausalLmBatch, pass: &Pass) -> Result<CausalLmOutput> {
        self.0.run(batch, pass)
    }
}

impl CausalLm for Telling {
    fn vocab_size(&self) -> i64 {
        self.0.vocab_size()
    }
    fn max_positions(&self) -> Option<i64> {
        self.0.max_positions()
    }
    fn eos_token_ids(&self) -> Vec<i64> {
        self.0.eos_token_ids()
    }
    fn pad_token_id(&self) -> Option<i64> {
        self.0.pad_token_id()
    }
    fn device(&self) -> Device {
        self.0.device()
    }
    fn prefill(&self, prompts: &Prefill<'_>) -> Result<(Tensor, Box<dyn Continuation + '_>)> {
        tell("writing");
        let (logits, texts) = self.0.prefill(prompts)?;
        Ok((logits, Box::new(Told(texts))))
    }
}

/// Texts that tell when they are complete.
struct Told<'t>(Box<dyn Continuation + 't>);

impl Continuation for Told<'_> {
    fn step(&mut self, ids: &Tensor) -> Result<Tensor> {
        self.0.step(ids)
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        tell("written");
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, steps) = (&arguments[1], arguments[2].parse().unwrap());
    let [teacher, student] = [5, 9].map(|seed| small_lm(DecoderArchitecture::Llama, seed, 0.1));
    let gkd = OnPolicy::gkd();
    let rollout = Rollout { max_new_tokens: 24, num_return_sequences: 2, ..gkd.rollout };
    Trainer::new(OnPolicy { rollout, ..gkd }.plan(teacher, Telling(student))?)
        .optimizer(AdamW::with_lr(1e-3))
        .student_dropout(0.1)
        .accumulate(2)
        .steps(steps)
        .checkpoint_every_steps(1)
        .keep_checkpoints(3)
        .log_every(1)
        .run_dir(folder)
        .run(in_batches(&prompts_and_completions(), 4))?;
    Ok(())
}
