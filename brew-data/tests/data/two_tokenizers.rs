//! `docs/two-tokenizers.md`, built and run: what the page prints stands here, word for word.

use std::path::Path;

use brew_core::batch::{Batches as _, Both};
use brew_core::model::bert::TextBatch;
use brew_core::prelude::Batch;
use brew_core::tch::Tensor;
use brew_data::{Dataset, Result, Tokenize, Tokenizer};
use tempfile::tempdir;

use crate::formats::files;

// The page begins.
/// The teacher's tokens of some texts, and the student's.
#[derive(Batch)]
struct TwoTokenizers {
    #[column(i64, pad = 1)] // RoBERTa's padding
    teacher_ids: Tensor,
    #[column(i64, pad = 0)]
    teacher_mask: Tensor,
    #[column(i64, pad = 0)]
    input_ids: Tensor,
    #[column(i64, pad = 0)]
    attention_mask: Tensor,
    #[column(i64)]
    labels: Tensor,
}

/// The texts as tokens of both.
fn tokenized(texts: &Dataset, teacher: &Tokenizer, student: &Tokenizer, cache: &Path) -> Result<Dataset> {
    let of_teacher = texts.tokenize(teacher, &Tokenize::text("text", 128), cache)?;
    let of_student = texts.tokenize(student, &Tokenize::text("text", 128).carry(&["labels"]), cache)?;
    of_student
        .with_integer_lists("teacher_ids", of_teacher.integer_lists("input_ids")?)?
        .with_integer_lists("teacher_mask", of_teacher.integer_lists("attention_mask")?)
}

/// What each side reads of a batch.
fn split(batch: TwoTokenizers) -> brew_core::Result<Both<TextBatch, TextBatch>> {
    let TwoTokenizers { teacher_ids, teacher_mask, input_ids, attention_mask, labels } = batch;
    let side = |input_ids, attention_mask, labels| TextBatch {
        input_ids,
        attention_mask,
        token_type_ids: None,
        labels,
    };
    Ok(Both {
        teacher: side(teacher_ids, teacher_mask, None),
        student: side(input_ids, attention_mask, Some(labels)),
    })
}
// The page ends.

fn of(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

#[test]
fn both_sides_read_the_same_rows_by_their_own_tokenizers() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize");
    let teacher = Tokenizer::from_folder(fixtures.join("roberta")).unwrap();
    let student = Tokenizer::from_folder(fixtures.join("bert")).unwrap();
    let texts = ["a good film", "bad", "it is the longest of these texts"];
    let folder =
        files(&[("a.csv", b"text,labels\na good film,0\nbad,1\nit is the longest of these texts,2\n")]);
    let reviews = Dataset::open(folder.path().join("a.csv")).unwrap();
    let cache = tempdir().unwrap();
    let tokens = tokenized(&reviews, &teacher, &student, cache.path()).unwrap();
    let batches = tokens.batches::<TwoTokenizers>(3).shuffled(7).processed(split);
    let batch = batches.epoch(0).unwrap().next().unwrap().unwrap();
    let labels = of(batch.student.labels.as_ref().unwrap());
    assert!(batch.teacher.input_ids.size()[1] != batch.student.input_ids.size()[1], "both cut alike");
    for (tokenizer, side, pad) in [(&teacher, &batch.teacher, 1), (&student, &batch.student, 0)] {
        for (row, &label) in labels.iter().enumerate() {
            let expected = &tokenizer.encode(&[texts[label as usize]]).unwrap()[0];
            let mut ids: Vec<i64> = expected.input_ids.iter().map(|&id| i64::from(id)).collect();
            let mut mask = vec![1; ids.len()];
            let length = side.input_ids.size()[1] as usize;
            ids.resize(length, pad);
            mask.resize(length, 0);
            assert_eq!(of(&side.input_ids.get(row as i64)), ids);
            assert_eq!(of(&side.attention_mask.get(row as i64)), mask);
        }
    }
}

#[test]
fn the_page_prints_what_is_built_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/two-tokenizers.md")).unwrap();
    let source = std::fs::read_to_string(root.join("brew-data/tests/data/two_tokenizers.rs")).unwrap();
    let (_, built) = source.split_once("// The page begins.\n").unwrap();
    let (built, _) = built.split_once("// The page ends.\n").unwrap();
    assert!(page.contains(&format!("```rust\n{built}```\n")), "docs/two-tokenizers.md prints something else");
}
