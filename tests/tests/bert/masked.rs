//! Masked language models against Python's transformers 5.24.0 with torch 2.11.0: `fixtures/masked/make.py` made the
//! models and recorded what they compute.

use brew_core::batch::Batch;
use brew_core::execute::Executor;
use brew_core::model::{BertForMaskedLm, MaskedLmOutput, MaskedLmOutputAdaptor};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::wants;

use super::support::{Columns, difference, masked_batch, masked_folder, masked_golden};

const ALL: [&str; 4] = ["bert", "roberta", "distilbert", "untied"];

fn load(case: &str) -> BertForMaskedLm {
    BertForMaskedLm::from_pretrained(masked_folder(case), Device::Cpu).unwrap()
}

fn run(model: &BertForMaskedLm, columns: &Columns, pass: &Pass) -> MaskedLmOutput {
    model.run(&masked_batch(columns), pass).unwrap()
}

#[test]
fn logits_hidden_states_maps_and_the_loss_are_those_of_transformers() {
    for case in ALL {
        let (model, golden) = (load(case), masked_golden(case));
        let near = |name: &str, found: &Tensor| {
            let off = difference(found, &golden[name]);
            assert!(off < 1e-5, "{case}: {name} is off by {off:e}");
        };
        for roles in [&["logits", "hidden", "losses"][..], &["logits", "hidden", "attention", "losses"]] {
            let output = run(&model, &golden, &Pass::evaluation(wants(roles)));
            near("logits", &output.logits);
            near("loss", &output.loss.unwrap());
            assert_eq!(output.hidden_states.len(), 3, "{case}");
            for (layer, state) in output.hidden_states.iter().enumerate() {
                near(&format!("hidden.{layer}"), state);
            }
            for (layer, map) in output.attentions.iter().enumerate().filter(|(_, map)| map.defined()) {
                near(&format!("attention.{layer}"), map);
            }
        }
        let columns = masked_batch(&golden);
        let types = columns.token_type_ids.as_ref();
        near("logits", &model.logits(&columns.input_ids, &columns.attention_mask, types).unwrap());
    }
}

// With the logits of all tokens, and with those of the labelled ones alone; a tied matrix gets the gradients of both
// of its uses, whether or not sparse ones are asked for.
#[test]
fn the_gradient_of_every_parameter_is_that_of_transformers() {
    for case in ALL {
        let golden = masked_golden(case);
        for (roles, sparse) in
            [(&["losses"][..], false), (&["losses", "logits"], false), (&["losses", "attention"], true)]
        {
            let model = load(case);
            let pass = Pass::evaluation(wants(roles)).with_sparse_gradients(sparse);
            let output = run(&model, &golden, &pass);
            assert_eq!(output.logits.defined(), roles.contains(&"logits"), "{case}");
            output.loss.unwrap().backward();
            let parameters = model.parameters();
            let recorded = golden.keys().filter(|name| name.starts_with("gradient.")).count();
            assert_eq!(parameters.iter().count(), recorded, "{case}");
            for (name, parameter) in parameters.iter() {
                let theirs = &golden[&format!("gradient.{name}")];
                let ours = parameter.grad();
                assert_eq!(
                    ours.is_sparse(),
                    sparse && case == "untied" && name.contains("word_emb"),
                    "{name}"
                );
                let ours = if ours.is_sparse() { ours.to_dense(None, false) } else { ours };
                let off = difference(&ours, theirs);
                assert!(off < 1e-5, "{case}, {roles:?}: the gradient of {name} is off by {off:e}");
                // The bias of the keys adds the same to all scores of a query.
                let none = name.contains("key.bias") || name.contains("k_lin.bias");
                assert!(none || theirs.abs().max().double_value(&[]) > 1e-7, "{case}: {name} has a gradient");
            }
        }
    }
}

#[test]
fn the_adaptor_that_comes_with_the_model_gives_every_role() {
    let (model, golden) = (load("bert").seen(), masked_golden("bert"));
    let batch = masked_batch(&golden);
    let all = ["logits", "hidden", "attention", "query", "key", "value", "losses"];
    let output = model.run(&batch, &Pass::evaluation(wants(&all))).unwrap();
    let shapes = |role: &str| -> Vec<Vec<i64>> {
        let feature = model.read(role, &batch, &output).unwrap().expect(role);
        feature.into_tensors().iter().map(Tensor::size).collect()
    };
    assert_eq!(shapes("logits"), [[4, 7, 24]]);
    assert_eq!(shapes("hidden"), [[4, 7, 8]; 3]);
    assert_eq!(shapes("attention"), [[4, 2, 7, 7]; 2]);
    for role in ["query", "key", "value"] {
        assert_eq!(shapes(role), [[4, 7, 8]; 2], "{role}");
    }
    assert_eq!(shapes("losses"), [[0_i64; 0]]);
    for role in ["labels", "inputs_mask", "logits_mask", "token_ids"] {
        assert_eq!(shapes(role), [[4, 7]], "{role}");
    }
}

// transformers' mean over all labels at once, with 3, 1, 2 and 0 labels per row in the case with the fewest.
#[test]
fn accumulated_batches_are_averaged_over_the_labels_of_the_whole_window() {
    for case in ALL {
        let (golden, rows) = (masked_golden(case), masked_batch(&masked_golden(case)));
        for sizes in [&[4_i64][..], &[2, 2], &[1, 3], &[1, 1, 1, 1]] {
            let pipeline = Supervised::new(load(case).seen_by(MaskedLmOutputAdaptor)).plan().unwrap();
            let executor = Executor::new(&pipeline, 0).unwrap();
            let mut start = 0;
            let parts = sizes.iter().map(|size| {
                start += size;
                rows.map(&mut |_, tensor| Ok(tensor.narrow(0, start - size, *size))).unwrap()
            });
            let parts: Vec<_> = parts.collect();
            let window = executor.window(&parts).unwrap();
            let mut value = 0.0;
            for part in &parts {
                let loss =
                    executor.run(part, &Pass::evaluation(Wants::nothing()), Some(&window)).unwrap().total;
                loss.backward();
                value += loss.double_value(&[]);
            }
            let expected = golden["loss"].double_value(&[]);
            assert!((value - expected).abs() < 1e-5, "{case} in {sizes:?}: {value}, transformers {expected}");
            for (name, parameter) in pipeline.student().parameters().iter() {
                let off = difference(&parameter.grad(), &golden[&format!("gradient.{name}")]);
                assert!(off < 1e-5, "{case} in {sizes:?}: {name} is off by {off:e}");
            }
        }
    }
}

#[test]
fn without_a_label_that_counts_the_loss_is_0_and_so_is_every_gradient() {
    for case in ALL {
        for roles in [&["losses"][..], &["losses", "logits"]] {
            let (model, mut golden) = (load(case), masked_golden(case));
            let _ = golden.get_mut("labels").unwrap().fill_(-100);
            let loss = run(&model, &golden, &Pass::evaluation(wants(roles))).loss.unwrap();
            assert_eq!(loss.double_value(&[]), 0.0, "{case}");
            loss.backward();
            for (name, parameter) in model.parameters().iter() {
                let gradient = parameter.grad();
                let none = !gradient.defined() || gradient.abs().max().double_value(&[]) == 0.0;
                assert!(none, "{case}: {name}");
            }
        }
    }
}

#[test]
fn a_row_of_padding_alone_gives_no_nan_and_changes_no_other_row() {
    let (model, golden) = (load("roberta"), masked_golden("roberta"));
    let mut batch = masked_batch(&golden);
    batch.attention_mask = batch.attention_mask.copy();
    let _ = batch.attention_mask.get(3).fill_(0);
    let logits = model.run(&batch, &Pass::evaluation(wants(&["logits"]))).unwrap().logits;
    assert!(bool::try_from(logits.isfinite().all()).unwrap());
    assert!(difference(&logits.narrow(0, 0, 3), &golden["logits"].narrow(0, 0, 3)) < 1e-5);
}

#[test]
fn labels_out_of_range_or_of_another_shape_are_refused() {
    let (model, golden) = (load("bert"), masked_golden("bert"));
    let refused = |labels: Tensor, roles: &[&str]| {
        let batch = brew_core::model::MaskedLmBatch { labels: Some(labels), ..masked_batch(&golden) };
        model.run(&batch, &Pass::evaluation(wants(roles))).unwrap_err().to_string()
    };
    for roles in [&["losses"][..], &["losses", "logits"]] {
        let labels = golden["labels"].copy();
        let _ = labels.get(0).fill_(24);
        let message = refused(labels, roles);
        assert!(message.contains("`labels` must be tokens, int64, from 0 to 23"), "{message}");
        let message = refused(golden["labels"].narrow(1, 0, 5), roles);
        assert!(message.contains("`labels` is [4, 5] and `input_ids` is [4, 7]"), "{message}");
    }
}

#[test]
fn recomputed_layers_give_the_same_gradients_to_the_last_bit() {
    let _alone = tests::alone();
    for case in ALL {
        let golden = masked_golden(case);
        let gradients = [true, false].map(|recompute| {
            let model = load(case);
            brew_core::tch::manual_seed(3);
            let pass = Pass::training(0, wants(&["losses", "hidden"])).recomputing(recompute);
            run(&model, &golden, &pass).loss.unwrap().backward();
            let gradients = model.parameters();
            gradients.iter().map(|(name, tensor)| (name.to_owned(), tensor.grad())).collect::<Vec<_>>()
        });
        assert!(gradients[0] == gradients[1], "{case}");
    }
}

// Frozen embeddings are the head's matrix, too, unless it has its own; the bias of the output learns.
#[test]
fn frozen_embeddings_freeze_a_tied_matrix_and_not_the_bias() {
    for (case, bias) in [
        ("bert", "cls.predictions.bias"),
        ("roberta", "lm_head.bias"),
        ("distilbert", "vocab_projector.bias"),
        ("untied", "cls.predictions.decoder.bias"),
    ] {
        let model = load(case).freeze_embeddings().unwrap().freeze_layers(1).unwrap();
        run(&model, &masked_golden(case), &Pass::evaluation(wants(&["losses"]))).loss.unwrap().backward();
        let parameters = model.parameters();
        let learns = |wanted: &str| {
            let (_, tensor) = parameters.iter().find(|(name, _)| name.contains(wanted)).unwrap();
            tensor.grad().defined()
        };
        assert!(learns(bias) && !learns("word_embeddings") && !learns("layer.0."), "{case}");
        assert!(learns("layer.1."), "{case}");
    }
    assert!(load("bert").freeze_layers(3).is_err());
}

#[test]
fn a_student_of_some_layers_shares_no_storage_and_predicts_with_the_teachers_head() {
    for case in ALL {
        let (teacher, golden) = (load(case), masked_golden(case));
        let whole = BertForMaskedLm::from_layers_of(&teacher, Keep::first(2)).unwrap();
        let logits =
            |model: &BertForMaskedLm| run(model, &golden, &Pass::evaluation(wants(&["logits"]))).logits;
        assert_eq!(difference(&logits(&whole), &logits(&teacher)), 0.0, "{case}");
        let student = BertForMaskedLm::from_layers_of(&teacher, Keep::layers([1])).unwrap();
        assert_eq!(student.config().num_hidden_layers, 1);
        let mut places: Vec<_> = teacher.parameters().iter().map(|(_, tensor)| tensor.data_ptr()).collect();
        places.extend(student.parameters().iter().map(|(_, tensor)| tensor.data_ptr()));
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count, "{case}");
    }
}
