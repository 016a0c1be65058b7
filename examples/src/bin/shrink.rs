//! A language model with two thirds of its layers, taught by the whole one: `shrink MODEL TEXTS`.
//!
//! docs/language-models.md shows this program from its first `use` on.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use brew_core::generate::GenerationConfig;
use brew_core::loss::{Chunked, Kl, next_token};
use brew_core::model::{CausalLmBatch, DecoderForCausalLm};
use brew_core::observe::Perplexity;
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{CausalRows, TooLong, Truncate};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or(".brew/models/SmolLM2-135M-Instruct/Q4_1.gguf".into());
    let texts = arguments.next().unwrap_or("data/movie_reviews.parquet".into());
    let device = Device::cuda_if_available();

    // The teacher is only read: on a GPU, Kind::BFloat16 halves its memory.
    let teacher = DecoderForCausalLm::frozen(&model, Kind::Float, device)?;
    let (layers, positions) = (teacher.config().num_hidden_layers, teacher.config().max_position_embeddings);

    // Texts become tokens, and whole texts are packed into rows that keep them apart. Every 20th is held out.
    let length = 256.min(positions as usize);
    let tokenizer = Tokenizer::from_folder(&model)?;
    let settings = Tokenize::causal(CausalRows::text("text").truncate(Truncate::End), length);
    let tokens = Dataset::open(&texts)?.tokenize(&tokenizer, &settings, "runs/shrink/tokens")?;
    let packed = |held_out: bool| {
        let rows: Vec<usize> = (0..tokens.rows()).filter(|row| (row % 20 == 0) == held_out).collect();
        tokens.select(&rows)?.pack(length, TooLong::Refuse, "runs/shrink/tokens")
    };
    let (train, dev) = (packed(false)?, packed(true)?);

    // The student keeps the layers that change most of what passes through them: here, 16 rows of texts of all lengths.
    let sample: Vec<usize> = (0..16).map(|row| row * train.rows() / 16).collect();
    let influence = teacher.block_influence(&train.select(&sample)?.batches(1))?;
    println!("{influence}");
    let student =
        DecoderForCausalLm::from_layers_of(&teacher, Keep::by_influence(layers * 2 / 3, &influence))?;

    // It learns the teacher's distributions of the next token, and half as much the tokens themselves. `Chunked` reads
    // hidden states and the heads' matrices: the logits of a batch are never held.
    let loss = Chunked::of(Kl::at(1.0)).with_labels(0.5);
    let pipeline = Distill::new(teacher.seen(), student.seen()).soft_targets(next_token(loss)).plan()?;
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-3).betas(0.9, 0.95))
        .schedule(Decay::cosine().with_warmup(0.05))
        .clip(1.0)
        .steps(150)
        .checkpoint_every_steps(50)
        .evaluate(dev.batches::<CausalLmBatch>(4), next_token(Perplexity))
        .run_dir("runs/shrink")
        .run(train.batches::<CausalLmBatch>(4).shuffled(0))?;

    let student = TextGenerator::from_pretrained("runs/shrink/student", device)?;
    let short = GenerationConfig { max_new_tokens: 32, ..student.config().clone() };
    println!("{}", student.with_config(short).generate(&["This film"])?[0].text);
    Ok(())
}
