//! Students made of a teacher's layers, and encoders with a new head.

use std::collections::BTreeMap;
use std::fs;

use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::trajectory;

use super::support::{batch, copy_of_teacher, difference, logits, run, teacher};

fn by_name(model: &BertForSequenceClassification) -> BTreeMap<String, Tensor> {
    model.parameters().iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
}

#[test]
fn a_student_of_every_second_layer_has_copies_of_the_first_and_the_third() {
    let teacher = teacher();
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2)).unwrap();
    assert_eq!(student.config().num_hidden_layers, 2);
    let (of_teacher, of_student) = (by_name(&teacher), by_name(&student));
    // Sixteen parameters a layer; two of the four layers are gone.
    assert_eq!(of_teacher.len() - of_student.len(), 32);
    for (name, tensor) in &of_student {
        let source = name.replace("layer.1.", "layer.2.");
        assert_eq!(difference(tensor, &of_teacher[&source]), 0.0, "{name}");
    }
}

#[test]
fn a_student_of_all_layers_is_the_teacher_again() {
    let teacher = teacher();
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::first(4)).unwrap();
    assert_eq!(difference(&logits(&student), &logits(&teacher)), 0.0);
}

#[test]
fn a_student_shares_no_storage_with_its_teacher_or_between_its_layers() {
    let teacher = teacher();
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::layers([1, 1, 3])).unwrap();
    let mut addresses: Vec<_> = teacher.parameters().iter().map(|(_, tensor)| tensor.data_ptr()).collect();
    addresses.extend(student.parameters().iter().map(|(_, tensor)| tensor.data_ptr()));
    let count = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), count);

    let before = logits(&teacher).copy();
    brew_core::tch::no_grad(|| {
        for (_, tensor) in student.parameters().iter() {
            let _ = tensor.shallow_clone().zero_();
        }
    });
    assert_eq!(difference(&logits(&teacher), &before), 0.0);
}

#[test]
fn every_parameter_of_a_student_is_a_leaf_that_learns() {
    let _alone = tests::alone();
    let teacher = teacher();
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::first(2)).unwrap();
    let pass = Pass::training(0, Wants::nothing().and_role("losses"));
    run(&student, &batch(0), &pass).unwrap().loss.unwrap().mean(None).backward();
    for (name, tensor) in student.parameters().iter() {
        assert!(tensor.is_leaf() && tensor.grad().defined(), "{name}");
    }
    assert!(teacher.parameters().iter().all(|(_, tensor)| !tensor.grad().defined()));
}

#[test]
fn layers_that_the_teacher_lacks_are_named() {
    let student = BertForSequenceClassification::from_layers_of(&teacher(), Keep::layers([0, 4, 7]));
    let message = student.unwrap_err().to_string();
    assert_eq!(message, "no such layers: 4, 7; the model has 4 layers, numbered from 0 to 3");
}

#[test]
fn a_new_head_comes_from_its_seed_alone() {
    let _alone = tests::alone();
    let with_head = |seed| {
        let folder = trajectory("teacher");
        let model = BertForSequenceClassification::from_encoder(folder, 5, seed, Device::Cpu).unwrap();
        by_name(&model)
    };
    let first = with_head(1);
    // Other draws in between must not change it.
    let _ = Tensor::rand([10], (Kind::Float, Device::Cpu));
    assert_eq!(difference(&first["classifier.weight"], &with_head(1)["classifier.weight"]), 0.0);
    assert!(difference(&first["classifier.weight"], &with_head(2)["classifier.weight"]) > 0.0);
    assert_eq!(first["classifier.weight"].size(), [5, 48]);
    assert_eq!(first["classifier.bias"].abs().max().double_value(&[]), 0.0);
    let deviation = first["classifier.weight"].std(true).double_value(&[]);
    // 240 draws from N(0, 0.2), the folder's `initializer_range`: four standard errors are 0.037.
    assert!((deviation - 0.2).abs() < 0.037, "{deviation}");

    let of_teacher = by_name(&teacher());
    let body = first.iter().filter(|(name, _)| name.starts_with("bert."));
    for (name, tensor) in body {
        assert_eq!(difference(tensor, &of_teacher[name]), 0.0, "{name}");
    }
}

#[test]
fn a_new_head_names_its_classes_and_takes_the_tokenizer_along() {
    let folder = copy_of_teacher();
    fs::write(folder.path().join("vocab.txt"), "[PAD]\nhello\n").unwrap();
    let model = BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap();
    let student = BertForSequenceClassification::from_layers_of(&model, Keep::first(1)).unwrap();
    let student = student.with_new_head(2, 3).unwrap();
    assert_eq!(logits(&student).size(), [6, 2]);
    assert_eq!(student.config().id2label.values().collect::<Vec<_>>(), ["LABEL_0", "LABEL_1"]);
    let saved = folder.path().join("student");
    student.save(&saved).unwrap();
    assert_eq!(fs::read_to_string(saved.join("vocab.txt")).unwrap(), "[PAD]\nhello\n");
}

#[test]
fn an_encoder_that_was_frozen_learns_again_under_a_new_head() {
    let model = teacher();
    for (_, tensor) in model.parameters().iter() {
        let _ = tensor.set_requires_grad(false);
    }
    let model = model.with_new_head(3, 0).unwrap();
    assert!(model.parameters().iter().all(|(_, tensor)| tensor.requires_grad()));
}
