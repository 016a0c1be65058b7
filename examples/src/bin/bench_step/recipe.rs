//! What is measured: MiniLM, or a model of its sizes, as teacher, every second of its layers as student, hidden
//! states, soft and hard targets, AdamW with a linear schedule and clipping.

use brew_core::loss::KdCe;
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use brew_data::prelude::*;
use examples::{every, matches, open_reviews};

use crate::{Arguments, synthetic};

type Recipe = Pipeline<TextBatch, ClassifierOutputAdaptor>;

/// The batches, all of one length.
pub(crate) fn batches(arguments: &Arguments) -> Result<Loader<TextBatch>> {
    let rows = match arguments.synthetic_rows {
        Some(rows) => synthetic::tokens(arguments, rows)?,
        None => reviews(arguments)?,
    };
    Ok(rows.batches(arguments.batch).shuffled(0).padded_to_multiple_of(arguments.length))
}

fn reviews(arguments: &Arguments) -> Result<Dataset> {
    let tokenizer = Tokenizer::from_folder(&arguments.minilm)?;
    let tokens = arguments.run_dir.join("tokens");
    Ok(open_reviews(&arguments.data, (&tokenizer, arguments.length), None, &tokens)?.train)
}

/// Teacher, student and losses.
pub(crate) fn pipeline(arguments: &Arguments) -> Result<Recipe> {
    let device = Device::cuda_if_available();
    let mut teacher = BertForSequenceClassification::from_encoder(&arguments.minilm, 2, 0, device)?;
    if let Some(layers) = arguments.teacher_layers {
        teacher = synthetic::with_layers(&teacher, layers)?;
    }
    let stride = every(teacher.config().num_hidden_layers, arguments.layers)?;
    let student =
        BertForSequenceClassification::from_layers_of(&teacher, Keep::every(stride))?.with_new_head(2, 0)?;
    Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
        .soft_targets(KdCe::at(8.0))
        .matching(matches(arguments.layers, stride))
        .hard_labels(1.0)
        .plan()
}

/// The run, with a run folder like any user's.
pub(crate) fn trainer(pipeline: Recipe, arguments: &Arguments) -> Trainer<'static, Recipe> {
    let precision = if arguments.bf16 { Precision::Bf16 } else { Precision::F32 };
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4).weight_decay(0.01))
        .schedule(Decay::linear().with_warmup(0.1))
        .clip(1.0)
        .accumulate(arguments.accumulate)
        .precision(precision)
        .gradient_checkpointing(arguments.gradient_checkpointing)
        .steps(arguments.warm_up + arguments.steps)
        .run_dir(arguments.run_dir.join("run"))
        .fresh()
        .observe(Silent)
}

/// Replaces the progress bar.
struct Silent;

impl Observer for Silent {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            eprintln!("warning: {text}");
        }
    }
}
