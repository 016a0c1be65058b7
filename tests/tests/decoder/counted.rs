//! What counts in a language model's own loss: batches of unequal length that are accumulated are one batch.

use brew_core::batch::Batch as _;
use brew_core::execute::Executor;
use brew_core::model::CausalLmBatch;
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{off, wants};

use super::support::{difference, load, recorded};

/// The loss of a batch in parts of these sizes, and the gradients.
fn in_parts(case: &str, rows: &CausalLmBatch, sizes: &[i64]) -> (f64, Vec<(String, Tensor)>) {
    let pipeline = Supervised::new(load(case).seen()).plan().unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let mut start = 0;
    let batches: Vec<CausalLmBatch> = sizes
        .iter()
        .map(|size| {
            start += size;
            rows.map(&mut |_, tensor| Ok(tensor.narrow(0, start - size, *size))).unwrap()
        })
        .collect();
    let window = (sizes.len() > 1).then(|| executor.window(&batches).unwrap());
    let pass = Pass::evaluation(Wants::nothing());
    let mut value = 0.0;
    for batch in &batches {
        let loss = executor.run(batch, &pass, window.as_ref()).unwrap().total;
        loss.backward();
        value += loss.double_value(&[]);
    }
    let parameters = pipeline.student().parameters();
    (value, parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad())).collect())
}

// The recorded rows have from no to all of their tokens, and labels for some of them.
#[test]
fn one_batch_and_its_rows_one_by_one_have_the_same_loss_and_gradients() {
    for case in ["llama", "gpt2", "gemma2"] {
        let golden = recorded(case);
        let rows = CausalLmBatch {
            input_ids: golden["input_ids"].shallow_clone(),
            attention_mask: golden["attention_mask"].shallow_clone(),
            labels: Some(golden["labels"].shallow_clone()),
        };
        let (whole, of_whole) = in_parts(case, &rows, &[5]);
        assert!((whole - golden["loss"].double_value(&[])).abs() < 1e-5, "{case}: {whole}");
        for sizes in [&[2_i64, 3][..], &[1, 1, 1, 1, 1]] {
            let (value, of_parts) = in_parts(case, &rows, sizes);
            assert!((value - whole).abs() < 1e-5, "{case} in {sizes:?}: {value} of {whole}");
            for ((name, parts), (_, whole)) in of_parts.iter().zip(&of_whole) {
                let off = off(parts, whole);
                assert!(off < 1e-5, "{case} in {sizes:?}: {name} is off by {off:e}");
            }
        }
    }
}

#[test]
fn embeddings_give_sparse_gradients_where_asked_unless_the_head_is_the_same_matrix() {
    for (case, table, sparse) in
        [("llama", "model.embed_tokens.weight", true), ("qwen2", "model.embed_tokens.weight", false)]
    {
        let gradients = [false, true].map(|sparse| {
            let (model, golden) = (load(case), recorded(case));
            let pass = Pass::evaluation(wants(&["losses"])).with_sparse_gradients(sparse);
            let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
            model.forward(ids, mask, Some(labels), &pass).unwrap().loss.unwrap().backward();
            let parameters = model.parameters();
            parameters.iter().find(|(name, _)| *name == table).unwrap().1.grad()
        });
        assert_eq!(gradients[1].is_sparse(), sparse, "{case}");
        let dense = if sparse { gradients[1].to_dense(None, false) } else { gradients[1].shallow_clone() };
        assert!(difference(&dense, &gradients[0]) < 1e-6, "{case}");
    }
}
