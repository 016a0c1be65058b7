//! Writes the rows of a step.

use super::{Rollout, TextRow};
use crate::error::{Error, Result};
use crate::generate::{Prompts, generate};
use crate::model::{CausalLm, CausalLmBatch};
use crate::random::{mixed, uniform};

/// Begins the numbers that draw which rows the student answers.
const SHARE: u64 = 0x7368_6172;

impl Rollout {
    /// The rows of a batch, for [`write`](Self::write).
    ///
    /// # Errors
    /// Names the first row that cannot be used: one without a prompt, or with a prompt that leaves too few of the
    /// student's positions for an answer; rows without labels of which some are to keep the data's answers; packed rows.
    pub fn texts_of(&self, student: &dyn CausalLm, batch: &CausalLmBatch) -> Result<Vec<TextRow>> {
        if batch.labels.is_none() && self.share < 1.0 {
            return Err(Error::invalid(format!(
                "the rollout leaves the data's answers to some rows (its share is {}), but the batch has no `labels`, which say where answers are: give rows of prompts and completions, or set the share to 1",
                self.share
            )));
        }
        let texts = TextRow::of(batch)?;
        if self.share > 0.0 {
            texts
                .iter()
                .enumerate()
                .try_for_each(|(row, text)| self.check(student, row, text.prompt().len()))?;
        }
        Ok(texts)
    }

    fn check(&self, student: &dyn CausalLm, row: usize, prompt: usize) -> Result<()> {
        if prompt == 0 {
            return Err(Error::invalid(format!(
                "row {row} has no prompt to answer: it has no token, or a label at its first one; labels mark the answer alone, as `CausalRows::completions` and `CausalRows::messages` make them"
            )));
        }
        let positions = student.max_positions().unwrap_or(i64::MAX);
        let prompt = i64::try_from(prompt).unwrap_or(i64::MAX);
        if prompt.saturating_add(self.max_new_tokens) > positions {
            return Err(Error::invalid(format!(
                "the prompt of row {row} has {prompt} tokens, and {} may follow (`max_new_tokens` of the rollout), but the student has {positions} positions: shorten the prompts, or lower `max_new_tokens`",
                self.max_new_tokens
            )));
        }
        Ok(())
    }

    /// The rows to learn in place of each of these, which are all rows of an optimizer step: the answers of the student,
    /// or the row itself if it keeps the data's answer.
    ///
    /// The student writes in evaluation mode, without gradients, and in the dtype of its parameters, also in a run with autocast.
    ///
    /// ```
    /// use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
    /// use brew_core::prelude::*;
    /// use brew_core::rollout::{Rollout, TextRow};
    ///
    /// # fn main() -> Result<()> {
    /// # let sizes = DecoderConfig {
    /// #     vocab_size: 50, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: Some(24),
    /// #     ..DecoderConfig::base(DecoderArchitecture::Llama)
    /// # };
    /// let student = DecoderForCausalLm::new(sizes, 7, Device::Cpu)?;
    /// let rollout = Rollout { max_new_tokens: 5, num_return_sequences: 2, ..Rollout::default() };
    /// let prompt = TextRow { ids: vec![3, 1, 4], labels: vec![-100; 3] };
    /// let written = rollout.write(&student, &[prompt], 7, 0)?;
    /// assert_eq!(written[0].len(), 2);
    /// assert_eq!(written[0][0].prompt(), [3, 1, 4]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`generate`].
    pub fn write(
        &self,
        student: &dyn CausalLm,
        texts: &[TextRow],
        seed: i64,
        step: u64,
    ) -> Result<Vec<Vec<TextRow>>> {
        let mut written: Vec<Vec<TextRow>> = texts.iter().map(|text| vec![text.clone()]).collect();
        let is_drawn = |row: &usize| uniform([SHARE, seed as u64, step, *row as u64]) < self.share;
        let drawn: Vec<usize> = (0..texts.len()).filter(is_drawn).collect();
        let answers = usize::try_from(self.num_return_sequences).unwrap_or(1).max(1);
        let at_once = usize::try_from(self.answers_at_once).unwrap_or(1) / answers;
        let config = self.generation(student, mixed([seed as u64, step]) as i64);
        for rows in drawn.chunks(at_once.max(1)) {
            let prompts = Prompts::of_ids(rows.iter().map(|row| texts[*row].prompt().to_vec()));
            let prompts = prompts.numbered(rows.iter().map(|row| *row as u64))?;
            let generation = generate(student, &prompts, &config)?;
            let answered = generation.answers.chunks(answers).zip(generation.ended.chunks(answers));
            for (row, (answers, ended)) in rows.iter().zip(answered) {
                let of_answer = |(answer, ended): (&Vec<i64>, &bool)| {
                    texts[*row].answered(answer, *ended || self.learn_truncated)
                };
                written[*row] = answers.iter().zip(ended).map(of_answer).collect();
            }
        }
        Ok(written)
    }
}
