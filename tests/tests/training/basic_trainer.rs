//! `BasicTrainer`: TextBrewer's supervised training on the same loop.

use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::BasicTrainer;
use brew_core::textbrewer::config::TrainingConfig;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, checkpoints, flat};

fn config(folder: &std::path::Path) -> TrainingConfig {
    TrainingConfig {
        gradient_accumulation_steps: 2,
        ckpt_steps: Some(2),
        output_dir: folder.to_str().unwrap().to_owned(),
        ..TrainingConfig::default()
    }
}

#[test]
fn a_basic_trainer_is_supervised_training_with_the_configs_settings() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let model = || Toy::new(1, 6, 1).with_dropout(0.2);
    for steps in [None, Some(5)] {
        let path = folder.path().join(format!("run of {steps:?}"));
        let (of_config, by_hand) = (model(), model());
        let (left, right) = (of_config.parameters(), by_hand.parameters());
        let before = flat(&left);
        let trainer =
            BasicTrainer::new(&config(&path), of_config.seen_by(ToyOutputAdaptor)).trainer().unwrap();
        let trainer = trainer.optimizer(AdamW::with_lr(0.01)).clip(1.0).observe(Seen::default());
        let trainer = match steps {
            Some(steps) => trainer.steps(steps),
            None => trainer.epochs(2),
        };
        trainer.run(sentences(4, 4, 0)).unwrap();

        let pipeline = Supervised::new(by_hand.seen_by(ToyOutputAdaptor)).semantics(Semantics::TextBrewer);
        let trainer = Trainer::new(pipeline.plan().unwrap())
            .optimizer(AdamW::with_lr(0.01))
            .clip(1.0)
            .accumulate(2)
            .observe(Seen::default());
        let trainer = match steps {
            Some(steps) => trainer.steps(steps),
            None => trainer.epochs(2),
        };
        trainer.run(sentences(4, 4, 0)).unwrap();
        assert_eq!(flat(&left), flat(&right));
        assert_ne!(flat(&left), before);
        assert_eq!(checkpoints(&path), if steps.is_some() { vec![2, 4, 5] } else { vec![2, 4] });
    }
}

#[test]
fn a_basic_trainer_reports_what_is_wrong_with_its_config() {
    let _alone = alone();
    let config = TrainingConfig { ckpt_frequency: 0, fp16: true, ..TrainingConfig::default() };
    let model = Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor);
    let error = BasicTrainer::new(&config, model).plan().unwrap_err().to_string();
    assert!(error.contains("`ckpt_frequency` is 0; it must be at least 1"), "{error}");
    assert!(error.contains("`fp16` is true"), "{error}");
}
