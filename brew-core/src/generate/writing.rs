//! The answers while they are written: which have ended, and the choice of their next tokens.

use tch::{Device, Kind, Tensor};

use super::config::GenerationConfig;
use super::draws::{Row, drawn, uniform};
use super::prompts::Prompts;
use super::run::Chosen;
use super::written::{Generation, LogProbs};
use crate::error::{Error, InStage, Result};

/// The answers so far.
pub(super) struct Writing<'c> {
    config: &'c GenerationConfig,
    rows: Vec<Row>,
    /// The rows whose answers have not ended.
    open: Vec<usize>,
    answers: Vec<Vec<i64>>,
    /// Which tokens each text has, `(rows, tokens)`, if there is a repetition penalty.
    used: Option<Tensor>,
    /// The log-probabilities of each step's tokens, `(rows,)`: the model's, and the sampler's.
    log_probs: [Vec<Tensor>; 2],
}

impl<'c> Writing<'c> {
    /// Nothing yet.
    pub(super) fn of(prompts: &Prompts, config: &'c GenerationConfig) -> Self {
        let answers = u64::try_from(config.num_return_sequences).unwrap_or(0);
        let rows: Vec<Row> = (prompts.numbers().iter())
            .flat_map(|prompt| (0..answers).map(|answer| Row { prompt: *prompt, answer }))
            .collect();
        Writing {
            config,
            open: (0..rows.len()).collect(),
            answers: vec![Vec::new(); rows.len()],
            rows,
            used: None,
            log_probs: [Vec::new(), Vec::new()],
        }
    }

    /// Notes which tokens the prompts have, if there is a penalty.
    pub(super) fn note_prompts(
        &mut self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        logits: &Tensor,
    ) -> Result<()> {
        if self.config.repetition_penalty == 1.0 {
            return Ok(());
        }
        let mut note = || -> Result<()> {
            let tokens = logits.size2()?.1;
            let counts = Tensor::f_zeros([input_ids.size2()?.0, tokens], (Kind::Int64, logits.device()))?;
            let counts = counts.f_scatter_add(1, input_ids, attention_mask)?;
            let used = counts.f_ne(0)?;
            self.used = Some(used.f_repeat_interleave_self_int(self.config.num_return_sequences, 0, None)?);
            Ok(())
        };
        note().in_stage("repetition_penalty")
    }

    /// Chooses a token for each row, `(rows,)` on the scores' device: padding for those that have ended.
    pub(super) fn choose(
        &mut self,
        logits: &Tensor,
        position: usize,
        told: &mut dyn FnMut(&Chosen<'_>) -> Result<()>,
    ) -> Result<Tensor> {
        let logits = logits.f_to_kind(Kind::Float)?;
        let scores = self.config.scores(&logits, self.used.as_ref())?;
        // Behind the processors: a tiny temperature or penalty makes scores infinite, too.
        self.check_finite(&scores, position)?;
        let chosen = if self.config.do_sample {
            let number = |row: &Row| uniform(self.config.seed, *row, position as u64);
            drawn(&scores, &self.rows.iter().map(number).collect::<Vec<f64>>())?
        } else {
            scores.f_argmax(-1, false)?
        };
        let mut ids = vec![self.config.padding(); self.rows.len()];
        let all = Vec::<i64>::try_from(&chosen)?;
        let of_open: Vec<i64> = self.open.iter().filter_map(|row| all.get(*row).copied()).collect();
        for (row, id) in self.open.iter().zip(&of_open) {
            ids[*row] = *id;
            self.answers[*row].push(*id);
        }
        let ids = Tensor::f_from_slice(&ids)?.f_to_device(logits.device())?;
        if self.config.output_log_probs {
            self.note_log_probs(&logits, &scores, &ids)?;
        }
        if let Some(used) = &mut self.used {
            let _ = used.f_scatter_value_(1, &ids.f_unsqueeze(1)?, 1)?;
        }
        told(&Chosen { position, rows: &self.open, ids: &of_open })?;
        let (answers, config) = (&self.answers, self.config);
        self.open.retain(|row| !has_ended(&answers[*row], config));
        Ok(ids)
    }

    /// Whether all answers have ended.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    fn check_finite(&self, scores: &Tensor, position: usize) -> Result<()> {
        let finite = scores.f_amax([-1_i64], false)?.f_isfinite()?;
        if finite.f_all()?.f_int64_value(&[])? != 0 {
            return Ok(());
        }
        let finite = Vec::<bool>::try_from(finite)?;
        let Some(row) = self.open.iter().find(|row| finite.get(**row) == Some(&false)) else { return Ok(()) };
        Err(Error::invalid(format!(
            "the largest score of row {row} at token {position} of its answer is not a finite number, so no token can be chosen"
        )))
    }

    fn note_log_probs(&mut self, logits: &Tensor, scores: &Tensor, ids: &Tensor) -> Result<()> {
        let columns = ids.f_unsqueeze(1)?;
        let of = |scores: &Tensor| -> Result<Tensor> {
            Ok(scores.f_log_softmax(-1, Kind::Float)?.f_gather(1, &columns, false)?.f_squeeze_dim(1)?)
        };
        let of_model = of(logits)?;
        let of_sampler = if self.config.do_sample { of(scores)? } else { of_model.f_zeros_like()? };
        let [model, sampler] = &mut self.log_probs;
        model.push(of_model);
        sampler.push(of_sampler);
        Ok(())
    }

    /// All answers, after the prompts `(input_ids, attention_mask)`.
    pub(super) fn finish(self, prompts: (&Tensor, &Tensor), device: Device) -> Result<Generation> {
        let length = self.answers.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(self.rows.len() * length);
        let mut mask = Vec::with_capacity(self.rows.len() * length);
        for answer in &self.answers {
            let padding = length - answer.len();
            ids.extend_from_slice(answer);
            ids.extend(std::iter::repeat_n(self.config.padding(), padding));
            mask.extend(std::iter::repeat_n(1_i64, answer.len()));
            mask.extend(std::iter::repeat_n(0_i64, padding));
        }
        let laid =
            |values: &[i64]| Tensor::f_from_slice(values)?.f_view([-1, length as i64])?.f_to_device(device);
        let (ids, mask) = (laid(&ids)?, laid(&mask)?);
        let after = |prompt: &Tensor, answers: &Tensor| -> Result<Tensor> {
            let repeated = prompt.f_repeat_interleave_self_int(self.config.num_return_sequences, 0, None)?;
            Ok(Tensor::f_cat(&[&repeated, answers], 1)?)
        };
        let log_probs = |steps: &[Tensor]| -> Result<Tensor> {
            // Where an answer has ended, its row holds the score of padding.
            Ok(Tensor::f_stack(steps, 1)?.f_masked_fill(&mask.f_eq(0)?, 0.0)?)
        };
        let [model, sampler] = &self.log_probs;
        Ok(Generation {
            prompt_length: prompts.0.size2()?.1,
            input_ids: after(prompts.0, &ids)?,
            attention_mask: after(prompts.1, &mask)?,
            log_probs: if self.config.output_log_probs {
                Some(LogProbs { of_model: log_probs(model)?, of_sampler: log_probs(sampler)? })
            } else {
                None
            },
            ended: self.answers.iter().map(|answer| has_ended(answer, self.config)).collect(),
            answers: self.answers,
        })
    }
}

fn has_ended(answer: &[i64], config: &GenerationConfig) -> bool {
    answer.last().is_some_and(|id| config.eos_token_id.contains(id))
}
