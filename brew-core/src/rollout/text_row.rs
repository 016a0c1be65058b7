//! A row of a batch as a text: without padding, and back.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::loss::{check_mask, has_documents};
use crate::model::CausalLmBatch;
use crate::model::shapes::check_shapes;
use crate::role::IGNORED;

/// A row of a batch without its padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextRow {
    /// Its tokens.
    pub ids: Vec<i64>,
    /// The tokens to learn, each at its own position, and -100 elsewhere; as many as `ids`.
    pub labels: Vec<i64>,
}

impl TextRow {
    /// The rows of a batch, whose padding may be on any side. Without labels, nothing of them is to learn.
    ///
    /// # Errors
    /// Shapes that differ, and packed rows, which are several texts.
    pub fn of(batch: &CausalLmBatch) -> Result<Vec<Self>> {
        let CausalLmBatch { input_ids, attention_mask, labels } = batch;
        check_shapes(input_ids, &[("attention_mask", Some(attention_mask)), ("labels", labels.as_ref())])?;
        if has_documents(attention_mask)? {
            return Err(Error::invalid(
                "`attention_mask` numbers the documents of packed rows, and the student answers rows with one prompt each: give each document a row of its own",
            ));
        }
        check_mask("`attention_mask`", attention_mask, false)?;
        let (rows, length) = input_ids.size2()?;
        let flat = |tensor: &Tensor| -> Result<Vec<i64>> {
            Ok(Vec::try_from(tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_reshape([-1])?)?)
        };
        let (ids, mask) = (flat(input_ids)?, flat(attention_mask)?);
        let labels = labels.as_ref().map(flat).transpose()?;
        let length = usize::try_from(length).unwrap_or(0);
        let mut texts = vec![TextRow::default(); usize::try_from(rows).unwrap_or(0)];
        for (place, (id, _)) in ids.iter().zip(&mask).enumerate().filter(|(_, (_, mask))| **mask != 0) {
            let Some(text) = texts.get_mut(place / length.max(1)) else { continue };
            text.ids.push(*id);
            text.labels
                .push(labels.as_ref().and_then(|labels| labels.get(place)).copied().unwrap_or(IGNORED));
        }
        Ok(texts)
    }

    /// A batch of these rows, padded on the right. The mask comes from their lengths, so a token that is also used for
    /// padding is a token like any other.
    ///
    /// # Errors
    /// A row without as many labels as tokens.
    pub fn batch(texts: &[Self], device: Device) -> Result<CausalLmBatch> {
        if let Some(row) = texts.iter().position(|text| text.ids.len() != text.labels.len()) {
            return Err(Error::invalid(format!(
                "row {row} has {} tokens and {} labels: there must be one label for each token",
                texts[row].ids.len(),
                texts[row].labels.len()
            )));
        }
        // Losses of the next token need two positions, even if no row has them.
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0).max(2);
        let laid = |of: &dyn Fn(&TextRow) -> Vec<i64>, pad: i64| -> Result<Tensor> {
            let padded = |text: &TextRow| {
                let mut row = of(text);
                row.resize(longest, pad);
                row
            };
            let values: Vec<i64> = texts.iter().flat_map(padded).collect();
            let rows = i64::try_from(texts.len()).unwrap_or(i64::MAX);
            let size = [rows, i64::try_from(longest).unwrap_or(i64::MAX)];
            Ok(Tensor::f_from_slice(&values)?.f_view(size)?.f_to_device(device)?)
        };
        Ok(CausalLmBatch {
            input_ids: laid(&|text| text.ids.clone(), 0).in_stage("input_ids")?,
            attention_mask: laid(&|text| vec![1; text.ids.len()], 0).in_stage("attention_mask")?,
            labels: Some(laid(&|text| text.labels.clone(), IGNORED).in_stage("labels")?),
        })
    }

    /// The tokens before the last answer, which are all of them if there is no answer: an answer is a series of tokens
    /// with labels. So of a chat with several turns of the assistant, the last is answered again.
    pub fn prompt(&self) -> &[i64] {
        let Some(last) = self.labels.iter().rposition(|label| *label >= 0) else { return &self.ids };
        let before = self.labels[..last].iter().rposition(|label| *label < 0);
        &self.ids[..before.map_or(0, |before| before + 1)]
    }

    /// Whether any of its tokens is to learn.
    pub fn is_answered(&self) -> bool {
        self.labels.iter().any(|label| *label >= 0)
    }

    /// Its prompt with another answer, whose tokens are learnt or not.
    pub(super) fn answered(&self, answer: &[i64], learnt: bool) -> Self {
        let prompt = self.prompt();
        let mut labels = vec![IGNORED; prompt.len()];
        labels.extend(answer.iter().map(|id| if learnt { *id } else { IGNORED }));
        TextRow { ids: [prompt, answer].concat(), labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ids: &[i64], labels: &[i64]) -> TextRow {
        TextRow { ids: ids.to_vec(), labels: labels.to_vec() }
    }

    #[test]
    fn the_prompt_is_what_stands_before_the_last_answer() {
        let no = IGNORED;
        for (labels, prompt) in [
            (vec![no, no, no, 6, 7], &[3_i64, 4, 5][..]),
            // Two turns of the assistant, and a token after the last.
            (vec![no, 4, no, 6, no], &[3, 4, 5]),
            // No answer.
            (vec![no, no, no, no, no], &[3, 4, 5, 6, 7]),
            // No prompt.
            (vec![3, 4, 5, 6, 7], &[]),
            // A label may be any token, 0 too.
            (vec![no, no, no, no, 0], &[3, 4, 5, 6]),
        ] {
            assert_eq!(text(&[3, 4, 5, 6, 7], &labels).prompt(), prompt, "{labels:?}");
        }
        assert_eq!(text(&[3, 4], &[no, no]).answered(&[8, 9], true), text(&[3, 4, 8, 9], &[no, no, 8, 9]));
        assert_eq!(text(&[3, 4], &[no, 4]).answered(&[8], false), text(&[3, 8], &[no, no]));
    }

    #[test]
    fn rows_come_back_from_a_batch_wherever_its_padding_is() {
        let rows = |values: &[i64]| Tensor::from_slice(values).view([3, 4]);
        let batch = CausalLmBatch {
            input_ids: rows(&[0, 0, 7, 8, 5, 0, 6, 0, 1, 2, 3, 4]),
            attention_mask: rows(&[0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1]),
            labels: Some(rows(&[9, 9, IGNORED, 8, 5, 9, 6, 9, IGNORED, IGNORED, 3, 4])),
        };
        let texts = TextRow::of(&batch).unwrap();
        let no = IGNORED;
        assert_eq!(
            texts,
            [text(&[7, 8], &[no, 8]), text(&[5, 6], &[5, 6]), text(&[1, 2, 3, 4], &[no, no, 3, 4])]
        );
        let laid = TextRow::batch(&texts, Device::Cpu).unwrap();
        assert_eq!(laid.input_ids, rows(&[7, 8, 0, 0, 5, 6, 0, 0, 1, 2, 3, 4]));
        assert_eq!(laid.attention_mask, rows(&[1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1]));
        assert_eq!(laid.labels.as_ref().unwrap(), &rows(&[no, 8, no, no, 5, 6, no, no, no, no, 3, 4]));
        assert_eq!(TextRow::of(&laid).unwrap(), texts);
        // A row of one token and one of none.
        let short = TextRow::batch(&[text(&[7], &[no]), TextRow::default()], Device::Cpu).unwrap();
        assert_eq!(short.attention_mask.size(), [2, 2]);
        assert_eq!(TextRow::of(&short).unwrap(), [text(&[7], &[no]), TextRow::default()]);
    }
}
