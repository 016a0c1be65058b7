//! Every setting that a program can make is compared when a run resumes, or affects no number.
//!
//! The settings are found in the sources: they are the public methods that take and return what they set. Adding one without
//! a row here fails a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brew_core::cache::{MemoryCache, Payload};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::next_token;
use brew_core::loss::{
    AdaptiveKl, AlignedUld, Cos, Crd, Dist, Dkd, Gold, HiddenMse, Jsd, KdCe, Kl, Loss, Mft, Nkd, SampledKl,
    SkewKl, SkewReverseKl, Taid, TopK, TopKSemantics, Vid,
};
use brew_core::observe::{EntityF1, F1, Predictions, Scheme, SquadAnswers, SquadF1};
use brew_core::plan::{Combine, Projection};
use brew_core::prelude::*;
use brew_core::schedule::OneCycle;
use brew_core::schedule::{Flsw, Weight};
use brew_core::semantics::Semantics;
use brew_core::train::MultiTask;
use brew_core::train::{Adafactor, Adam, Lion, NotFinite, Optimizer, Sgd};
use tests::{alone, killed_at, sentences};

use super::pipelines::{ToyPipeline, data, plain, student, teacher};
use super::run::Quiet;
use super::sources::root;

type Toys = Trainer<'static, ToyPipeline>;

/// What happens to a run whose setting has changed when it resumes.
enum Change {
    /// It is rejected with this in the message.
    Refused(fn(Toys) -> Toys, &'static str),
    /// It resumes: the setting affects no number.
    DecidesNothing(fn(Toys) -> Toys),
    /// It is not a setting, or consists of others, or another test covers it.
    Elsewhere(&'static str),
}
use Change::{DecidesNothing, Elsewhere, Refused};

/// The settings of a trainer, by the method that makes them.
const TRAINER: [(&str, Change); 34] = [
    ("optimizer", Refused(|trainer| trainer.optimizer(AdamW::with_lr(0.02)), "adamw.learning_rate was 0.01")),
    ("layer_decay", Refused(|trainer| trainer.layer_decay(0.9), "layer_decay was 1")),
    ("precision", Refused(|trainer| trainer.precision(Precision::Bf16), "autocast was null")),
    ("gradient_checkpointing", DecidesNothing(|trainer| trainer.gradient_checkpointing(true))),
    ("student_dropout", Refused(|trainer| trainer.student_dropout(0.0), "student_dropout was null")),
    (
        "sparse_embedding_updates",
        Refused(Trainer::sparse_embedding_updates, "sparse_embedding_updates was false"),
    ),
    (
        "schedule",
        Refused(|trainer| trainer.schedule(Decay::linear().with_warmup(0.5)), "schedule.multipliers"),
    ),
    ("exact_sums", Refused(Trainer::exact_sums, "exact_sums was null, now it is true")),
    ("accumulate", Refused(|trainer| trainer.accumulate(2), "accumulation was 1")),
    ("clip", Refused(|trainer| trainer.clip(0.5), "max_gradient_norm was null")),
    ("steps", Refused(|trainer| trainer.steps(5), "steps was 4")),
    ("seed", Refused(|trainer| trainer.seed(4), "seed was 3")),
    // Where projections start: a checkpoint holds where they are.
    (
        "projections",
        DecidesNothing(|trainer| {
            let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Double, Device::Cpu));
            let name = |part: &str| format!("projection_hidden_mse_t2_s1.{part}");
            trainer.projections([(name("weight"), zeros(&[8, 6])), (name("bias"), zeros(&[8]))])
        }),
    ),
    ("log_every", DecidesNothing(|trainer| trainer.log_every(3))),
    // In a run of steps it is also when the student is evaluated, and the best one found.
    (
        "checkpoint_every_steps",
        Refused(|trainer| trainer.checkpoint_every_steps(2), "evaluated.every_steps was 1"),
    ),
    ("on_checkpoint", DecidesNothing(|trainer| trainer.on_checkpoint(|_, _| Ok(())))),
    ("run_dir", Elsewhere("which run it is")),
    ("fresh", Elsewhere("another run")),
    ("checkpoint_every", DecidesNothing(|trainer| trainer.checkpoint_every(std::time::Duration::ZERO))),
    ("keep_checkpoints", DecidesNothing(|trainer| trainer.keep_checkpoints(1))),
    ("on_not_finite", Refused(|trainer| trainer.on_not_finite(NotFinite::Skip), "not_finite was \"stop\"")),
    ("stop_after", Refused(|trainer| trainer.stop_after(9), "stop_after was null")),
    ("training_config", Elsewhere("sets what `accumulate`, the checkpoints and `run_dir` set")),
    (
        "teacher_cache",
        Refused(
            |trainer| trainer.teacher_cache(MemoryCache::keeping(Payload::whole().floats_as(Kind::Half))),
            "teacher_cache was null",
        ),
    ),
    // Equal to what the teacher gives but for round-off, which is not to the last bit.
    (
        "teacher_cache",
        Refused(|trainer| trainer.teacher_cache(MemoryCache::default()), "teacher_cache was null"),
    ),
    ("observe", DecidesNothing(|trainer| trainer.observe(Quiet))),
    ("epochs", Refused(|trainer| trainer.epochs(2), "epochs was null")),
    ("checkpoints_per_epoch", DecidesNothing(|trainer| trainer.checkpoints_per_epoch(2))),
    ("checkpoint_every_epochs", DecidesNothing(|trainer| trainer.checkpoint_every_epochs(2))),
    ("evaluate", Refused(|trainer| trainer.evaluate(sentences(1, 4, 9), F1::Macro), "evaluations was")),
    ("run", Elsewhere("runs")),
    // Of several tasks.
    ("tau", Elsewhere("tasks_in_another_order_or_drawn_otherwise_are_refused")),
    // The data, the teacher and the plan are no settings of a trainer.
    ("data", Elsewhere("training/resumed.rs, and brew-data's tests of resuming")),
    ("teacher", Elsewhere("training/resumed.rs")),
];

fn life(folder: &Path, stop: Option<u64>, set: fn(Toys) -> Toys) -> Result<()> {
    let trainer = Trainer::new(plain())
        .optimizer(AdamW::with_lr(0.01))
        .steps(4)
        .seed(3)
        .checkpoint_every_steps(1)
        .evaluate(sentences(1, 4, 9), Accuracy)
        .observe(Quiet)
        .on_checkpoint(killed_at(stop))
        .run_dir(folder);
    set(trainer).run(data()).map(drop)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            let _ = fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn every_setting_of_a_trainer_is_compared_or_decides_nothing() {
    let _alone = alone();
    let begun = tempfile::tempdir().unwrap();
    let stopped = life(begun.path(), Some(2), |trainer| trainer).unwrap_err().to_string();
    assert!(stopped.contains("killed"), "{stopped}");
    for (method, change) in TRAINER {
        let folder = tempfile::tempdir().unwrap();
        copy(begun.path(), folder.path());
        match change {
            Refused(set, part) => {
                let told = life(folder.path(), None, set).unwrap_err().to_string();
                assert!(
                    told.contains("different, unfinished run") && told.contains(part),
                    "{method}: {told}"
                );
            }
            DecidesNothing(set) => {
                assert_eq!(
                    life(folder.path(), None, set).map_err(|error| error.to_string()),
                    Ok(()),
                    "{method}"
                );
            }
            Elsewhere(reason) => assert!(!reason.is_empty(), "{method}"),
        }
    }
}

/// The public methods of a file that set something: they take and return `Self`, or the like.
fn setters(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let found = text.split("pub fn ").skip(1).filter_map(|rest| {
        let signature = &rest[..rest.find('{')?];
        let (name, arguments) = signature.split_once(['(', '<'])?;
        let takes = arguments.contains("self,") || arguments.contains("self)");
        (takes && !arguments.contains("&self") && !arguments.contains("&mut self")).then(|| name.to_owned())
    });
    found.collect()
}

#[test]
fn every_setting_in_the_sources_has_a_row() {
    let mut missing = Vec::new();
    let mut need = |file: &str, known: &[&str]| {
        let found = setters(file);
        assert!(!found.is_empty(), "{file} has no settings any more");
        missing.extend(
            found.iter().filter(|name| !known.contains(&name.as_str())).map(|name| format!("{file}: {name}")),
        );
    };
    let of_trainer: Vec<&str> = TRAINER.iter().map(|(method, _)| *method).collect();
    for file in ["train/builder", "train/pipeline", "train/tasks", "textbrewer/training"] {
        need(&format!("brew-core/src/{file}.rs"), &of_trainer);
    }
    need("brew-core/src/train/multi_task.rs", &["task", "tau"]);
    let planned: Vec<&str> = plans().iter().map(|row| row.0).collect();
    for file in ["distill/mod", "distill/matching", "textbrewer/multi_teacher"] {
        need(&format!("brew-core/src/{file}.rs"), &planned);
    }
    need("brew-core/src/plan/projection.rs", &planned);
    let optimized: Vec<&str> = optimizers().iter().map(|row| row.0).collect();
    for file in ["adam", "adafactor", "lion", "sgd"] {
        need(&format!("brew-core/src/train/optimizer/{file}.rs"), &optimized);
    }
    need("brew-core/src/schedule/decay.rs", &["with_warmup", "down_to"]);
    let of_losses: Vec<&str> = losses().iter().map(|row| row.0).collect();
    for file in [
        "crd",
        "logits/kd",
        "logits/dist",
        "logits/dkd",
        "logits/jsd",
        "logits/mft",
        "logits/nkd",
        "logits/skew",
        "logits/softening",
        "logits/taid",
        "logits/adaptive_kl",
        "sparse/sampled",
        "sparse/top_k",
        "vocabularies/gold",
        "vocabularies/aligned",
    ] {
        need(&format!("brew-core/src/loss/{file}.rs"), &of_losses);
    }
    assert_eq!(missing, [""; 0], "each needs a row in compared.rs");
}

/// A setting of a pipeline, one without it and one with it.
type Planned = (&'static str, ToyPipeline, ToyPipeline);

fn plans() -> Vec<Planned> {
    let base = || Distill::new(teacher(), student()).soft_targets(KdCe::at(2.0));
    let matched =
        || hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8));
    let with = |projection: Projection| base().matching(matched().project(projection)).plan().unwrap();
    let plain = || base().plan().unwrap();
    let with_match = || base().matching(matched()).plan().unwrap();
    let labelled = || base().hard_labels(1.0).plan().unwrap();
    let of_one = |target: fn() -> ToyPipeline| target();
    vec![
        (
            "soft_targets",
            plain(),
            Distill::new(teacher(), student()).soft_targets(KdCe::at(3.0)).plan().unwrap(),
        ),
        ("matching", plain(), with_match()),
        (
            "by",
            with_match(),
            base()
                .matching(
                    hidden(teacher_layer(2), student_layer(1)).by(Cos).project(Projection::linear(6, 8)),
                )
                .plan()
                .unwrap(),
        ),
        ("hard_labels", plain(), labelled()),
        ("semantics", plain(), base().semantics(Semantics::TextBrewer).plan().unwrap()),
        (
            "balanced",
            labelled(),
            base().hard_labels(1.0).balanced(brew_core::plan::Balance::Uncertainty).plan().unwrap(),
        ),
        ("plan", plain(), with_match()),
        ("named", with_match(), base().matching(matched().named("another")).plan().unwrap()),
        ("weight", with_match(), base().matching(matched().weight(0.5)).plan().unwrap()),
        (
            "weight",
            plain(),
            of_one(|| {
                Distill::new(teacher(), student())
                    .soft_targets(KdCe::at(2.0).weight(Weight::decaying(1.0)))
                    .plan()
                    .unwrap()
            }),
        ),
        ("project", with_match(), with(Projection::relu(6, 8))),
        ("shared", with_match(), with(Projection::linear(6, 8).shared("body"))),
        ("learning_rate", with_match(), with(Projection::linear(6, 8).learning_rate(0.5))),
        ("weight_decay", with_match(), with(Projection::linear(6, 8).weight_decay(0.5))),
        (
            "with_probability_shift",
            plain(),
            of_one(|| {
                Distill::new(teacher(), student())
                    .soft_targets(KdCe::at(2.0).with_probability_shift())
                    .plan()
                    .unwrap()
            }),
        ),
        ("combining", two(Combine::MeanOfLogits), two(Combine::weighted([0.2, 0.8]))),
    ]
}

fn two(combine: Combine) -> ToyPipeline {
    let teachers = vec![teacher(), teacher()];
    Distill::new(teachers, student()).soft_targets(KdCe::at(2.0).combining(combine)).plan().unwrap()
}

#[test]
fn every_setting_of_a_pipeline_is_in_the_plan_that_is_compared() {
    for (setting, without, with) in plans() {
        let [without, with] = [without, with].map(|pipeline| serde_json::to_value(pipeline.plan()).unwrap());
        assert_ne!(without, with, "{setting}");
    }
}

/// The name of a setting, something without it and the same with it.
type Pair<T> = (&'static str, Box<T>, Box<T>);

/// The settings of optimizers.
fn optimizers() -> Vec<Pair<dyn Optimizer>> {
    let adam = || AdamW::with_lr(0.1);
    vec![
        ("betas", Box::new(adam()), Box::new(adam().betas(0.8, 0.999))),
        ("betas", Box::new(adam()), Box::new(adam().betas(0.9, 0.99))),
        ("epsilon", Box::new(adam()), Box::new(adam().epsilon(1e-6))),
        ("weight_decay", Box::new(adam()), Box::new(adam().weight_decay(0.1))),
        ("changed", Box::new(adam()), Box::new(adam().weight_decay(0.1))),
        ("weight_decay", Box::new(Adam::with_lr(0.1)), Box::new(Adam::with_lr(0.1).weight_decay(0.1))),
        ("decay", Box::new(Adafactor::with_lr(0.1)), Box::new(Adafactor::with_lr(0.1).decay(-0.7))),
        (
            "weight_decay",
            Box::new(Adafactor::with_lr(0.1)),
            Box::new(Adafactor::with_lr(0.1).weight_decay(0.1)),
        ),
        ("betas", Box::new(Lion::with_lr(0.1)), Box::new(Lion::with_lr(0.1).betas(0.9, 0.98))),
        ("weight_decay", Box::new(Lion::with_lr(0.1)), Box::new(Lion::with_lr(0.1).weight_decay(0.1))),
        ("momentum", Box::new(Sgd::with_lr(0.1)), Box::new(Sgd::with_lr(0.1).momentum(0.5))),
        ("nesterov", Box::new(Sgd::with_lr(0.1)), Box::new(Sgd::with_lr(0.1).nesterov())),
        ("weight_decay", Box::new(Sgd::with_lr(0.1)), Box::new(Sgd::with_lr(0.1).weight_decay(0.1))),
    ]
}

#[test]
fn every_setting_of_an_optimizer_and_of_a_schedule_is_compared() {
    for (setting, without, with) in optimizers() {
        assert_ne!(without.settings(), with.settings(), "{}: {setting}", with.name());
    }
    let schedules = [
        (
            format!("{:?}", Decay::linear().with_warmup(0.1)),
            format!("{:?}", Decay::linear().with_warmup(0.2)),
        ),
        (format!("{:?}", Decay::cosine()), format!("{:?}", Decay::cosine().with_warmup(0.1))),
        (format!("{:?}", Decay::cosine()), format!("{:?}", Decay::cosine().down_to(0.1))),
        (format!("{:?}", OneCycle::peak_at(0.3)), format!("{:?}", OneCycle::peak_at(0.4))),
    ];
    schedules.iter().for_each(|(one, other)| assert_ne!(one, other));
}

/// The settings of losses.
fn losses() -> Vec<Pair<dyn Loss>> {
    macro_rules! row {
        ($setting:literal, $without:expr, $with:expr) => {
            ($setting, Box::new($without) as Box<dyn Loss>, Box::new($with) as Box<dyn Loss>)
        };
    }
    let crd = || Crd::over(9).between(6, 8);
    vec![
        row!("between", Crd::over(9), crd()),
        row!("width", crd(), crd().width(5)),
        row!("negatives", crd(), crd().negatives(5)),
        row!("at", crd(), crd().at(0.1)),
        row!("momentum", crd(), crd().momentum(0.4)),
        row!("between", Vid::between(6, 8), Vid::between(6, 9)),
        row!("scheduled", KdCe::at(2.0), KdCe::at(2.0).scheduled(Flsw::new(1.0, 1.0))),
        row!(
            "scheduled",
            KdCe::at(2.0).scheduled(Flsw::new(1.0, 2.0)),
            KdCe::at(2.0).scheduled(Flsw::new(1.0, 1.0))
        ),
        row!(
            "epsilon",
            KdCe::at(2.0).scheduled(Flsw::new(1.0, 1.0)),
            KdCe::at(2.0).scheduled(Flsw::new(1.0, 1.0).epsilon(0.1))
        ),
        row!("times_temperature_squared", KdCe::at(2.0), KdCe::at(2.0).times_temperature_squared()),
        row!("times_temperature_squared", Kl::at(2.0), Kl::at(2.0).times_temperature_squared()),
        row!("teacher_at", Kl::at(2.0), Kl::at(2.0).teacher_at(3.0)),
        row!("beta", Dist::at(2.0), Dist::at(2.0).beta(3.0)),
        row!("gamma", Dist::at(2.0), Dist::at(2.0).gamma(3.0)),
        row!("alpha", Dkd::at(2.0), Dkd::at(2.0).alpha(3.0)),
        row!("beta", Dkd::at(2.0), Dkd::at(2.0).beta(3.0)),
        row!("at", AdaptiveKl::with_head(0.5), AdaptiveKl::with_head(0.5).at(3.0)),
        row!("at", Jsd::between(0.5), Jsd::between(0.5).at(3.0)),
        row!("at", SkewKl::by(0.1), SkewKl::by(0.1).at(3.0)),
        row!("with_detached_mixture", SkewReverseKl::by(0.1), SkewReverseKl::by(0.1).with_detached_mixture()),
        row!("threshold", Mft::at(1.0), Mft::at(1.0).threshold(0.3)),
        row!("power", SampledKl::draws(3), SampledKl::draws(3).power(0.5)),
        row!("at", SampledKl::draws(3), SampledKl::draws(3).at(2.0)),
        row!(
            "semantics",
            TopK::of(3, Kl::at(1.0)),
            TopK::of(3, Kl::at(1.0)).semantics(TopKSemantics::Partial)
        ),
        row!(
            "bayesian",
            Gold::of([(1, 1)], Jsd::between(0.5)),
            Gold::of([(1, 1)], Jsd::between(0.5)).bayesian()
        ),
        row!(
            "weights",
            Gold::of([(1, 1)], Jsd::between(0.5)),
            Gold::of([(1, 1)], Jsd::between(0.5)).weights(1.0, 0.5)
        ),
        row!("at", AlignedUld::observed(), AlignedUld::observed().at(2.0)),
        row!("gamma", Nkd::at(2.0), Nkd::at(2.0).gamma(3.0)),
        row!("between", Taid::at(2.0), Taid::at(2.0).between(0.1, 0.9)),
        row!("alpha", Taid::at(2.0), Taid::at(2.0).alpha(0.1)),
    ]
}

#[test]
fn every_setting_of_a_loss_is_in_its_options() {
    for (setting, without, with) in losses() {
        let full = |loss: &dyn Loss| format!("{} {}", loss.name(), loss.options());
        assert_ne!(full(&*without), full(&*with), "{setting}");
    }
}

/// Every option of a loss in the catalogue changes what its plan says: by itself, or together with the choice that it belongs
/// to, such as `beta` of the divergence `jsd`.
#[test]
fn every_option_of_the_catalogue_is_in_the_options_of_the_loss() {
    use brew_core::loss::catalogue::{self, OptionKind};
    use serde_json::json;
    let mut tried = 0;
    for entry in catalogue::entries() {
        let required = entry.options.iter().filter_map(|row| match row.kind {
            OptionKind::Required(example) => Some((row.name.to_owned(), json!(example))),
            OptionKind::Pairs => Some((row.name.to_owned(), json!([[1, 1]]))),
            _ => None,
        });
        let plain: serde_json::Map<String, serde_json::Value> = required.collect();
        let mut bases = vec![plain.clone()];
        for row in entry.options {
            if let OptionKind::Choice(words, _) = row.kind {
                let chosen = words.iter().map(|word| {
                    let mut base = plain.clone();
                    base.insert(row.name.to_owned(), json!(word));
                    base
                });
                bases.extend(chosen);
            }
        }
        for row in entry.options {
            let other = match row.kind {
                OptionKind::Number(_, default) => json!(if default == 0.5 { 0.25 } else { 0.5 }),
                OptionKind::Whole(least, default) => json!(if default == least { least + 1 } else { least }),
                OptionKind::Required(example) => json!(example + 1),
                OptionKind::Switch(default) => json!(!default),
                OptionKind::Choice(words, default) => {
                    json!(words.iter().find(|word| **word != default).unwrap())
                }
                OptionKind::Loss(default) => json!(if default == "kl" { "jsd" } else { "kl" }),
                OptionKind::Pairs => json!([[1, 1], [2, 2]]),
            };
            let said = |options: &serde_json::Map<String, serde_json::Value>| {
                catalogue::make(entry.name, options).ok().map(|loss| (loss.name(), loss.options()))
            };
            let differs = bases.iter().any(|base| {
                let mut changed = base.clone();
                changed.insert(row.name.to_owned(), other.clone());
                let (without, with) = (said(base), said(&changed));
                without.is_some() && with.is_some() && without != with
            });
            tried += 1;
            assert!(differs, "`{}` of `{}` is in no plan", row.name, entry.name);
        }
    }
    assert!(tried > 100, "only {tried} options were tried");
}

/// A metric with a setting.
#[derive(Debug)]
struct Above(f64);

impl Metric for Above {
    fn name(&self) -> &'static str {
        "above"
    }
    fn options(&self) -> serde_json::Value {
        serde_json::json!({ "threshold": self.0 })
    }
    fn value(&self, predictions: &Predictions) -> Result<f64> {
        Ok(predictions.logits()[0].f_gt(self.0)?.f_mean(Kind::Double)?.f_double_value(&[])?)
    }
}

// The best student and where a run stops early go by it.
#[test]
fn a_metric_with_another_setting_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    life(folder.path(), Some(2), |trainer| trainer.evaluate(sentences(1, 4, 9), Above(0.5))).unwrap_err();
    let other = life(folder.path(), None, |trainer| trainer.evaluate(sentences(1, 4, 9), Above(0.25)));
    let told = other.unwrap_err().to_string();
    assert!(told.contains("evaluations[1].options.threshold was 0.5, now it is 0.25"), "{told}");
    life(folder.path(), None, |trainer| trainer.evaluate(sentences(1, 4, 9), Above(0.5))).unwrap();
}

#[test]
fn every_setting_of_a_metric_is_in_its_options() {
    let tags = ["O", "B-a", "I-a"];
    let entities = || EntityF1::new(tags).unwrap();
    let answers = |right: &str| SquadAnswers::new(vec![vec![right.to_owned()]], |_| Ok(Vec::new()));
    let pairs: [(&str, &dyn Metric, &dyn Metric); 6] = [
        ("tags", &entities(), &EntityF1::new(["O", "I-a", "B-a"]).unwrap()),
        ("strict", &entities(), &entities().strict(Scheme::Iob2).unwrap()),
        ("scheme", &entities().strict(Scheme::Iobes).unwrap(), &entities().strict(Scheme::Iob2).unwrap()),
        ("answers", &SquadF1::new(&answers("x")), &SquadF1::new(&answers("y"))),
        ("next_token", &Accuracy, &next_token(Accuracy)),
        ("within", &next_token(entities()), &next_token(entities().strict(Scheme::Iob2).unwrap())),
    ];
    for (setting, without, with) in pairs {
        assert_eq!(without.name(), with.name(), "{setting}");
        assert_ne!(without.options(), with.options(), "{setting}");
    }
}

#[test]
fn tasks_in_another_order_or_drawn_otherwise_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let begin = |tasks: MultiTask<'static>, stop: Option<u64>| {
        Trainer::new(tasks)
            .steps(4)
            .checkpoint_every_steps(1)
            .observe(Quiet)
            .on_checkpoint(killed_at(stop))
            .run_dir(folder.path())
            .run()
            .map(drop)
    };
    begin(super::pipelines::tasks(), Some(2)).unwrap_err();
    let told = begin(super::pipelines::tasks().tau(0.25), None).unwrap_err().to_string();
    assert!(told.contains("tau was 1.0, now it is 0.25"), "{told}");
    let told = begin(super::pipelines::tasks_turned(), None).unwrap_err().to_string();
    assert!(told.contains("tasks[0] was \"first\", now it is \"second\""), "{told}");
    begin(super::pipelines::tasks(), None).unwrap();
}
