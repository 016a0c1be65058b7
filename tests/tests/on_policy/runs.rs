//! Runs of students that learn from their own texts.

use std::path::Path;

use brew_core::distill::{Objective, OnPolicy};
use brew_core::model::{CausalLmBatch, DecoderArchitecture};
use brew_core::prelude::*;
use brew_core::rollout::{Rollout, TextRow};
use tests::{Totals, alone, in_batches, killed_at, off, prompts_and_completions, small_lm};

use super::support::{Pipe, pipeline, rollout, student, teacher};

/// How a run is made.
struct Made {
    pipeline: Pipe,
    /// The rows of a batch; 16 make a step.
    batch: usize,
    steps: u64,
    stop: Option<u64>,
    recompute: bool,
}

impl Made {
    fn of(pipeline: Pipe, steps: u64) -> Self {
        Made { pipeline, batch: 4, steps, stop: None, recompute: false }
    }
}

fn half() -> Rollout {
    Rollout { share: 0.5, num_return_sequences: 2, ..rollout() }
}

fn gkd(rollout: Rollout) -> Pipe {
    pipeline(Objective::Jsd(0.5), true, teacher(), rollout)
}

/// The student's tensors by name, and the totals of the losses of each step, of a run in this folder; `None` if it was
/// killed.
fn run(made: Made, folder: Option<&Path>) -> (Option<Parameters>, Vec<f64>) {
    let totals = Totals::default();
    let trainer = Trainer::new(made.pipeline)
        .optimizer(AdamW::with_lr(3e-3))
        .accumulate(16 / made.batch)
        .gradient_checkpointing(made.recompute)
        .steps(made.steps)
        .seed(7)
        .log_every(1)
        .checkpoint_every_steps(2)
        .observe(totals.clone())
        .on_checkpoint(killed_at(made.stop));
    let trainer = match folder {
        Some(folder) => trainer.run_dir(folder),
        None => trainer,
    };
    let rows = prompts_and_completions();
    let ended = trainer.run(in_batches(&[rows.clone(), rows].concat(), made.batch));
    let totals = totals.so_far();
    let totals: Vec<f64> = totals.chunks(16 / made.batch).map(|step| step.iter().sum()).collect();
    match ended {
        Ok(trained) => (Some(trained.student().parameters()), totals),
        Err(error) => {
            assert!(made.stop.is_some(), "{error}");
            (None, totals)
        }
    }
}

fn assert_same(one: &Parameters, other: &Parameters, tolerance: f64, what: &str) {
    for ((name, one), (_, other)) in one.iter().zip(other.iter()) {
        let off = off(one, other);
        assert!(off <= tolerance, "{what}: {name} is off by {off:e}");
    }
}

#[test]
fn a_run_that_is_killed_and_resumes_ends_with_the_same_student_to_the_last_bit() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (alone, totals) = run(Made::of(gkd(half()), 8), Some(folders[0].path()));
    let folder = Some(folders[1].path());
    let (killed, _) = run(Made { stop: Some(4), ..Made::of(gkd(half()), 8) }, folder);
    assert!(killed.is_none());
    let (resumed, rest) = run(Made::of(gkd(half()), 8), folder);
    assert_eq!(rest, totals[4..]);
    assert_same(&resumed.unwrap(), &alone.unwrap(), 0.0, "resumed");
}

#[test]
fn a_run_does_not_depend_on_how_its_steps_are_divided() {
    let of = |batch| run(Made { batch, ..Made::of(gkd(half()), 4) }, None);
    let (whole, totals) = of(16);
    let whole = whole.unwrap();
    for batch in [4, 1] {
        let (student, of_batch) = of(batch);
        for (one, other) in of_batch.iter().zip(&totals) {
            assert!((one - other).abs() < 1e-5, "{of_batch:?} of {totals:?}");
        }
        // Adam divides by the gradients' size, so that rounding grows.
        assert_same(&student.unwrap(), &whole, 1e-4, &format!("in batches of {batch}"));
    }
}

#[test]
fn gradient_checkpointing_changes_no_answer_and_no_student() {
    // Recomputation sets libtorch's generator.
    let _alone = alone();
    let [kept, recomputed] =
        [false, true].map(|recompute| run(Made { recompute, ..Made::of(gkd(half()), 4) }, None));
    assert_eq!(kept.1, recomputed.1);
    assert_same(&kept.0.unwrap(), &recomputed.0.unwrap(), 0.0, "recomputed");
}

#[test]
fn a_run_of_which_no_row_is_the_students_is_that_of_the_data() {
    let none = run(Made::of(gkd(Rollout { share: 0.0, ..rollout() }), 4), None);
    let declared = pipeline(Objective::Jsd(0.5), true, teacher(), rollout());
    assert!(declared.explain().contains("rollout"));
    let of_data = {
        use brew_core::loss::{Chunked, Jsd, next_token};
        use brew_core::model::CausalLmAnswersAdaptor;
        let [teacher, student] = [teacher(), student()].map(|model| model.seen_by(CausalLmAnswersAdaptor));
        Distill::new(teacher, student)
            .soft_targets(next_token(Chunked::of(Jsd::between(0.5))))
            .plan()
            .unwrap()
    };
    let of_data = run(Made::of(of_data, 4), None);
    assert_eq!(none.1, of_data.1);
    assert_same(&none.0.unwrap(), &of_data.0.unwrap(), 0.0, "without the student's rows");
}

// Defects: a divergence without a gradient, a teacher that is never used (slime's issue 1068, atropos' issue 496).
#[test]
fn a_student_comes_closer_to_its_teacher_where_it_goes() {
    for recipe in [OnPolicy::gkd(), OnPolicy::distillm(), OnPolicy::reverse_kl()] {
        let rollout = Rollout { max_new_tokens: 8, eos_token_id: vec![3], ..recipe.rollout.clone() };
        let recipe = OnPolicy { rollout, ..recipe };
        let told = recipe.to_string();
        let (_, totals) = run(Made::of(recipe.plan(teacher(), student()).unwrap(), 80), None);
        let mean = |totals: &[f64]| totals.iter().sum::<f64>() / totals.len() as f64;
        let (first, last) = (mean(&totals[..8]), mean(&totals[72..]));
        assert!(last < 0.6 * first, "{told}: {first} became {last}");
    }
}

#[test]
fn rows_of_prompts_alone_are_enough() {
    let prompts = prompts_and_completions().iter().map(|row| row.prompt().to_vec()).collect::<Vec<_>>();
    let rows: Vec<TextRow> =
        prompts.into_iter().map(|ids| TextRow { labels: vec![-100; ids.len()], ids }).collect();
    let folder = tempfile::tempdir().unwrap();
    for (steps, stop) in [(3, Some(2)), (3, None)] {
        let batches: Vec<CausalLmBatch> =
            in_batches(&rows, 4).into_iter().map(|batch| CausalLmBatch { labels: None, ..batch }).collect();
        let ended = Trainer::new(gkd(rollout()))
            .steps(steps)
            .checkpoint_every_steps(1)
            .on_checkpoint(killed_at(stop))
            .run_dir(folder.path().join("run"))
            .run(batches);
        assert_eq!(ended.is_err(), stop.is_some(), "{:?}", ended.err());
    }
}

#[test]
fn dropout_is_off_while_the_student_learns_unless_the_run_sets_it() {
    let _alone = alone();
    let of = |own: f64, set: Option<f64>| {
        let student = small_lm(DecoderArchitecture::Qwen3, 9, own);
        let recipe = OnPolicy { objective: Objective::ReverseKl, rollout: rollout() };
        let totals = Totals::default();
        let trainer = Trainer::new(recipe.plan(teacher(), student).unwrap()).steps(2).log_every(1);
        let trainer = trainer.observe(totals.clone());
        let trainer = match set {
            Some(set) => trainer.student_dropout(set),
            None => trainer,
        };
        trainer.run(in_batches(&prompts_and_completions(), 16)).unwrap();
        totals.so_far()
    };
    let without = of(0.0, None);
    assert_eq!(of(0.4, None), without);
    assert_eq!(of(0.4, Some(0.0)), without);
    assert_ne!(of(0.0, Some(0.4)), without);
}

#[test]
fn a_plan_prints_every_setting_and_comes_back_from_its_file() {
    let pipeline = gkd(Rollout { temperature: 0.9, ..half() });
    let explained = pipeline.explain();
    let settings = serde_json::to_value(half()).unwrap();
    for (name, _) in settings.as_object().unwrap() {
        assert!(explained.contains(&format!("{name} ")), "{name} is not in {explained}");
    }
    for part in ["share 0.5", "temperature 0.9", "eos_token_id [3,5,11]", "no dropout"] {
        assert!(explained.contains(part), "{part} is not in {explained}");
    }
    // Everything reads what the student wrote.
    for (stage, reads) in [("rollout", "batch"), ("teacher", "rollout"), ("student", "rollout")] {
        let row = explained.lines().map(|line| line.split(['│', '┆']).map(str::trim).collect::<Vec<_>>());
        let row = row.into_iter().find(|row| row.get(1) == Some(&stage)).unwrap();
        assert_eq!(row[3], reads, "{explained}");
    }
    let plan = serde_json::to_string(pipeline.plan()).unwrap();
    assert_eq!(&serde_json::from_str::<brew_core::plan::Plan>(&plan).unwrap(), pipeline.plan());
    // The student's own, where none is given.
    let own = gkd(Rollout { eos_token_id: Vec::new(), ..rollout() });
    assert!(own.explain().contains("eos_token_id [2]"), "{}", own.explain());
}
