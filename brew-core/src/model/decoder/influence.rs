//! Measures how much each layer changes what passes through it.

use indicatif::{ProgressBar, ProgressStyle};

use super::{CausalLmBatch, DecoderForCausalLm};
use crate::batch::{Batch as _, Batches};
use crate::error::{InStage as _, Result};
use crate::model::influence::{BlockInfluence, Sums};
use crate::model::shapes::check_shapes;
use crate::pass::{Pass, Wants};

impl DecoderForCausalLm {
    /// The block influence of each layer on the first epoch of a sample, in evaluation mode and without gradients: see
    /// [`Keep::by_influence`](crate::model::Keep::by_influence).
    ///
    /// A few thousand tokens of the text that the student is for are enough to tell the layers apart. What a layer
    /// passes on counts before the final norm, the last layer's too.
    ///
    /// # Errors
    /// Those of the data and of [`forward`](Self::forward), with the number of the batch; a sample without tokens;
    /// hidden states that are not finite.
    pub fn block_influence(&self, sample: &impl Batches<Batch = CausalLmBatch>) -> Result<BlockInfluence> {
        let _guard = tch::no_grad_guard();
        let device = self.embeddings.table().device();
        let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
        let bar = bar(sample.batches_in(0)?);
        let mut sums = Sums::default();
        for (number, batch) in sample.epoch(0)?.enumerate() {
            let of_batch = batch.and_then(|batch| {
                let batch = batch.to_device(device)?;
                check_shapes(&batch.input_ids, &[("attention_mask", Some(&batch.attention_mask))])?;
                let visibility = self.stack.visibility(&batch.attention_mask, &pass)?;
                let embedded = self.embeddings.forward(&batch.input_ids, &visibility.positions, &pass)?;
                let mut outputs = self.stack.layers(embedded, &visibility, &pass)?;
                outputs.hidden_states.push(outputs.last);
                sums.add(&outputs.hidden_states, &batch.attention_mask)
            });
            of_batch.in_stage(&format!("batch {number} of the sample"))?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        sums.influence()
    }
}

/// The progress over this many batches, if that is known.
fn bar(batches: Option<usize>) -> ProgressBar {
    let (bar, template) = match batches {
        Some(batches) => (ProgressBar::new(batches as u64), "{msg} {bar:24} {pos}/{len} batches"),
        None => (ProgressBar::no_length(), "{msg} {spinner} {pos} batches"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message("measuring the influence of layers")
}
