//! Rows in which several documents are packed, beside the same documents in rows of their own.

use brew_core::batch::{Batch as _, Walk};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{
    AtMse, AttentionCe, AttentionCeMean, AttentionMse, Cos, Fsp, HiddenMse, MiniLmAttention, Nst,
};
use brew_core::model::{CausalLmBatch, CausalLmOutputAdaptor, DecoderArchitecture};
use brew_core::prelude::*;

use super::denominators::{assert_same_tensors, model, over};

/// The lengths of the documents of each row, and how much padding follows.
const ROWS: [(&[i64], i64); 3] = [(&[5, 4, 3], 0), (&[2, 7], 3), (&[1, 6, 1], 4)];

/// One tensor of integers, `(1, length)`.
fn row(numbers: impl IntoIterator<Item = i64>) -> Tensor {
    Tensor::from_slice(&numbers.into_iter().collect::<Vec<_>>()).unsqueeze(0)
}

fn batch(input_ids: Tensor, attention_mask: Tensor) -> CausalLmBatch {
    // A label for every token, the first of each document included: it follows nothing, and must not count.
    let labels = input_ids.where_scalarother(&attention_mask.ne(0), -100);
    CausalLmBatch { input_ids, attention_mask, labels: Some(labels) }
}

/// The documents, a token after another.
fn documents() -> Vec<Vec<i64>> {
    let mut next = 0_i64;
    let lengths = ROWS.iter().flat_map(|(lengths, _)| lengths.iter());
    lengths
        .map(|length| {
            (0..*length)
                .map(|_| {
                    next += 1;
                    (next * next + 3 * next) % 17
                })
                .collect()
        })
        .collect()
}

/// Three packed rows of 12 columns.
pub(crate) fn packed() -> CausalLmBatch {
    let mut documents = documents().into_iter();
    let rows = ROWS.iter().map(|(lengths, padding)| {
        let pad = || std::iter::repeat_n(0, usize::try_from(*padding).unwrap());
        let ids = lengths.iter().flat_map(|_| documents.next().unwrap()).chain(pad());
        let ids = row(ids);
        let numbers = (1..).zip(*lengths).flat_map(|(number, length)| vec![number; *length as usize]);
        (ids, row(numbers.chain(pad())))
    });
    let (ids, masks): (Vec<Tensor>, Vec<Tensor>) = rows.unzip();
    batch(Tensor::cat(&ids, 0), Tensor::cat(&masks, 0))
}

/// The same documents, each in a row of its own, padded at the end.
pub(crate) fn separate() -> CausalLmBatch {
    let rows = documents().into_iter().map(|ids| {
        let pad = 7 - ids.len();
        let mask = std::iter::repeat_n(1, ids.len()).chain(std::iter::repeat_n(0, pad));
        (row(ids.iter().copied().chain(std::iter::repeat_n(0, pad))), row(mask))
    });
    let (ids, masks): (Vec<Tensor>, Vec<Tensor>) = rows.unzip();
    batch(Tensor::cat(&ids, 0), Tensor::cat(&masks, 0))
}

/// The values at the tokens, in the order of the documents: `(tokens, …)`.
pub(crate) fn at_tokens(values: &Tensor, batch: &CausalLmBatch) -> Tensor {
    let tokens = batch.attention_mask.flatten(0, 1).nonzero().squeeze_dim(1);
    values.flatten(0, 1).index_select(0, &tokens)
}

/// Some rows of a batch.
pub(crate) fn rows_of(batch: &CausalLmBatch, start: i64, count: i64) -> CausalLmBatch {
    batch.map(&mut |_, tensor| Ok(tensor.narrow(0, start, count))).unwrap()
}

#[test]
fn the_documents_are_the_same_packed_and_separate() {
    let (packed, separate) = (packed(), separate());
    assert_eq!(packed.input_ids.size(), [3, 12]);
    assert_eq!(separate.input_ids.size(), [8, 7]);
    assert_eq!(at_tokens(&packed.input_ids, &packed), at_tokens(&separate.input_ids, &separate));
}

/// A teacher and a student of one architecture.
fn start() -> Distill<Seen<CausalLmOutputAdaptor>, Seen<CausalLmOutputAdaptor>> {
    let architecture = DecoderArchitecture::Llama;
    Distill::new(model(5, architecture).seen(), model(9, architecture).seen())
}

// Losses over positions and over pairs of positions: a pair counts within a document.
#[test]
fn losses_between_layers_of_packed_rows_are_those_of_the_documents_alone() {
    let layer = || hidden(teacher_layer(1), student_layer(1));
    let layers = || hidden(teacher_layer([0, 1]), student_layer([0, 1]));
    let maps = || attention(teacher_layer(0), student_layer(0));
    let plan = || {
        start()
            .matching([layer().by(HiddenMse), layer().by(Cos), layers().by(Nst)])
            .matching([maps().by(AttentionMse::probabilities())])
            .matching([maps().by(AttentionCe::probabilities())])
            .plan()
            .unwrap()
    };
    Executor::new(&plan(), 0).unwrap().probe(&packed()).unwrap();
    let alone = over(&plan(), &[separate()]);
    let windows = [vec![packed()], vec![rows_of(&packed(), 0, 2), rows_of(&packed(), 2, 1)]];
    for window in windows {
        let found = over(&plan(), &window);
        assert!((found.0 - alone.0).abs() < 1e-5, "{} of {}", found.0, alone.0);
        assert_same_tensors(&found.1, &alone.1, 1e-5, "packed");
    }
}

#[test]
fn losses_that_read_a_row_as_a_whole_refuse_packed_rows_wherever_they_are() {
    let layer = || hidden(teacher_layer(1), student_layer(1));
    let layers = || hidden(teacher_layer([0, 1]), student_layer([0, 1]));
    let maps = || attention(teacher_layer(0), student_layer(0));
    let plans = [
        start().matching([layer().by(AtMse)]).plan().unwrap(),
        start().matching([layers().by(Fsp)]).plan().unwrap(),
        start().matching([maps().by(MiniLmAttention::probabilities())]).plan().unwrap(),
        // Their softmax goes over all keys of the row.
        start().matching([maps().by(AttentionCe::textbrewer())]).plan().unwrap(),
        start().matching([maps().by(AttentionCeMean::textbrewer())]).plan().unwrap(),
    ];
    for plan in &plans {
        let executor = Executor::new(plan, 0).unwrap();
        let told = executor.probe(&packed()).unwrap_err().to_string();
        assert!(told.contains("reads each row as a whole and would mix them"), "{told}");
        executor.probe(&separate()).unwrap();
    }
}

#[test]
fn an_encoder_refuses_packed_rows_by_name() {
    use brew_core::model::BertConfig;
    let config = BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 8,
        ..BertConfig::default()
    };
    let bert = BertForSequenceClassification::new(config, 2, 1, Device::Cpu).unwrap();
    let batch = packed();
    let pass = Pass::evaluation(brew_core::pass::Wants::nothing());
    let told =
        bert.forward(&batch.input_ids, &batch.attention_mask, None, None, &pass).unwrap_err().to_string();
    assert!(told.contains("`attention_mask` has values other than 0 and 1"), "{told}");
    assert!(told.contains("give each document a row of its own"), "{told}");
}

/// Batches whose rows nobody has looked at: a stream of a user's own knows no extremes.
struct Unseen(Vec<CausalLmBatch>);

impl Batches for Unseen {
    type Batch = CausalLmBatch;

    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn rows(&self) -> Option<usize> {
        None
    }

    fn epoch(&self, _: u64) -> Result<Walk<'_, CausalLmBatch>> {
        Ok(Box::new(self.0.iter().map(|batch| batch.map(&mut |_, tensor| Ok(tensor.shallow_clone())))))
    }
}

// The first two rows hold one document each.
#[test]
fn packed_rows_that_a_loss_would_mix_are_refused_in_whatever_batch_they_come() {
    let _alone = tests::alone();
    let run = |packed_at_last: bool| {
        let layer = hidden(teacher_layer(1), student_layer(1));
        let last = if packed_at_last { packed() } else { separate() };
        let plan = start().matching([layer.by(AtMse)]).plan().unwrap();
        Trainer::new(plan).epochs(1).run(Unseen(vec![separate(), separate(), last])).map(|_| ())
    };
    let told = run(true).unwrap_err().to_string();
    assert!(told.contains("reads each row as a whole and would mix them"), "{told}");
    run(false).unwrap();
}
