//! Weights and temperatures that change: values against TextBrewer's, bounds, and their place in a run.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use brew_core::distill::{GivenBy, Targets};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{Features, HiddenMse, KdCe, KdMse, Loss, SoftTargets};
use brew_core::pass::Wants;
use brew_core::plan::Plan;
use brew_core::prelude::*;
use brew_core::schedule::TemperatureSchedule;
use brew_core::schedule::{Cwsm, Flsw, Weight, WeightSchedule};
use brew_core::semantics::Semantics;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, finite_difference_error, golden, mask, sentences, seq};

fn logits() -> (Tensor, Tensor) {
    (seq(&[2, 5], 0.7, 0.1, 2.0), seq(&[2, 5], 0.9, 0.4, 3.0))
}

fn value(loss: &dyn Loss, student: Features, teacher: Features) -> f64 {
    loss.term(&student, &teacher).unwrap().mean().unwrap().double_value(&[])
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &serde_json::Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
    }
}

/// The weights of a step in exact semantics, as a product of the settings.
#[test]
fn weights_that_are_said_one_after_another_multiply_schedules_too() {
    let teacher = || Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor);
    let student = || Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor);
    let matched = || hidden(teacher_layer(1), student_layer(1)).by(HiddenMse);
    let declared = |pipeline: Pipeline<Sentence, ToyOutputAdaptor>| {
        let stages = pipeline.plan().stages().filter_map(|(_, stage)| match &stage.kind {
            brew_core::plan::StageKind::Loss(loss) => Some((loss.weight, loss.schedule.clone())),
            _ => None,
        });
        stages.collect::<Vec<_>>()
    };
    fn soft_pipeline<K>(loss: K) -> Pipeline<Sentence, ToyOutputAdaptor>
    where
        K: Targets,
        K::Loss: SoftTargets<Seen<ToyOutputAdaptor>, Seen<ToyOutputAdaptor>>,
        K::Also: GivenBy<Seen<ToyOutputAdaptor>>,
    {
        let (teacher, student) = (Toy::new(2, 8, 0), Toy::new(1, 8, 1));
        let builder = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
        builder.soft_targets(loss).plan().unwrap()
    }
    let decay = Some("linear_decay".to_owned());
    // By hand: 8 x 0.5 is 4, and the line down to 0 stays, whichever was said first.
    assert_eq!(
        declared(soft_pipeline(KdCe::at(2.0).weight(Weight::decaying(8.0)).weight(0.5))),
        [(4.0, decay.clone())]
    );
    assert_eq!(
        declared(soft_pipeline(KdCe::at(2.0).weight(0.5).weight(Weight::decaying(8.0)))),
        [(4.0, decay.clone())]
    );
    let matching = |loss| declared(Distill::new(teacher(), student()).matching([loss]).plan().unwrap());
    assert_eq!(matching(matched().weight(Weight::decaying(8.0)).weight(0.5)), [(4.0, decay.clone())]);
    assert_eq!(matching(matched().weight(0.5).weight(Weight::decaying(8.0))), [(4.0, decay)]);
    // Both schedules: a decay that grows, x (1 - x), after one of four steps 0.25 x 0.75.
    let both = KdCe::at(2.0).weight(Weight::decaying(8.0)).weight(Weight::growing(2.0));
    assert_eq!(declared(soft_pipeline(both)), [(16.0, Some("linear_growth x linear_decay".to_owned()))]);
    let folder = tempfile::tempdir().unwrap();
    let _alone = alone();
    let both = KdCe::at(2.0).weight(Weight::decaying(8.0)).weight(Weight::growing(2.0));
    Trainer::new(soft_pipeline(both))
        .steps(4)
        .run_dir(folder.path().join("run"))
        .run(sentences(2, 4, 0))
        .unwrap();
    let config = std::fs::read_to_string(folder.path().join("run/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    // By hand, where a quarter, a half and three quarters of a run are done: 16 x (1 - x).
    let values = config["scheduled_weights"]["kd_ce"].as_array().unwrap();
    assert_eq!(values[2..5], [3.0, 4.0, 3.0].map(serde_json::Value::from));
}

// TextBrewer's own functions at commit 2c105fa, in float64: fixtures/losses.json.
#[test]
fn temperatures_equal_textbrewers() {
    let (student, teacher) = logits();
    let flsw = Flsw::new(1.0, 2.0).temperatures(&student, &teacher, 4.0).unwrap();
    assert_close(&numbers(&flsw), &golden("flsw(1,2) T=4 temperatures"));
    let cwsm = Cwsm::new(1.0).temperatures(&student, &teacher, 4.0).unwrap();
    assert_close(&numbers(&cwsm), &golden("cwsm(1) T=4 temperatures"));
    let loss = KdCe::at(4.0).scheduled(Flsw::new(1.0, 2.0));
    let found = value(&loss, Features::one(student), Features::one(teacher));
    assert!((found - golden("flsw(1,2) kd_ce").as_f64().unwrap()).abs() < 1e-9, "found {found}");
}

#[test]
fn only_rows_that_count_set_the_mean_of_the_temperatures() {
    let (student, teacher) = (seq(&[2, 3, 5], 0.7, 0.1, 2.0), seq(&[2, 3, 5], 0.9, 0.4, 3.0));
    for loss in [
        Box::new(KdCe::at(4.0).scheduled(Flsw::new(1.0, 2.0))) as Box<dyn Loss>,
        Box::new(KdMse::at(4.0).scheduled(Cwsm::new(1.0))),
    ] {
        let masked = value(
            &*loss,
            Features::one(student.copy()).with_mask(mask()),
            Features::one(teacher.copy()).with_mask(mask()),
        );
        // TextBrewer selects the rows first: the same rows, as a batch without a length.
        let selected = |logits: &Tensor| Features::one(logits.index(&[Some(mask().to_kind(Kind::Bool))]));
        let expected = value(&*loss, selected(&student), selected(&teacher));
        assert!((masked - expected).abs() < 1e-12, "{}: {masked}, {expected}", loss.name());
        // What stands in the padding, even NaN, changes nothing.
        let spoilt = student.copy();
        let _ = spoilt.get(0).get(2).fill_(f64::NAN);
        let padded = value(
            &*loss,
            Features::one(spoilt).with_mask(mask()),
            Features::one(teacher.copy()).with_mask(mask()),
        );
        assert!((padded - masked).abs() < 1e-12, "{}: {padded}, {masked}", loss.name());
        let nothing = mask().zeros_like();
        let read = |logits: &Tensor| Features::one(logits.copy()).with_mask(nothing.copy());
        assert_eq!(value(&*loss, read(&student), read(&teacher)), 0.0);
    }
}

#[test]
fn no_gradient_passes_through_a_temperature() {
    let (student, teacher) = logits();
    let tau = Flsw::new(1.0, 2.0).temperatures(&student, &teacher, 4.0).unwrap().unsqueeze(-1);
    let leaf = student.copy().set_requires_grad(true);
    let loss = KdCe::at(4.0).scheduled(Flsw::new(1.0, 2.0));
    loss.term(&Features::one(leaf.shallow_clone()), &Features::one(teacher.copy()))
        .unwrap()
        .mean()
        .unwrap()
        .backward();
    let fixed = |moved: &Tensor| {
        let targets = (&teacher / &tau).softmax(-1, Kind::Double);
        -(targets * (moved / &tau).log_softmax(-1, Kind::Double)).sum(Kind::Double) / 2.0
    };
    assert!(finite_difference_error(&student, fixed) < 1e-7);
    let other = student.copy().set_requires_grad(true);
    fixed(&other).backward();
    assert!((leaf.grad() - other.grad()).abs().max().double_value(&[]) < 1e-12);
}

#[test]
fn a_fractional_gamma_on_equal_logits_is_a_number() {
    // In float32 the cosine of equal logits passes 1 by round-off; TextBrewer's loss is NaN there.
    let student = seq(&[64, 7], 0.7, 0.1, 30.0).to_kind(Kind::Float);
    let loss = KdCe::at(4.0).scheduled(Flsw::new(1.0, 0.5));
    assert!(value(&loss, Features::one(student.copy()), Features::one(student)).is_finite());
}

#[test]
fn a_temperature_outside_its_range_is_refused_never_used() {
    let (student, teacher) = logits();
    let loss = KdCe::at(4.0).scheduled(Cwsm::new(20.0));
    let error = loss.term(&Features::one(student), &Features::one(teacher)).unwrap_err().to_string();
    // 4 + 20 * (3.5975458318254065 - 4), from the golden temperatures at beta 1
    assert!(
        error.starts_with("the temperature schedule `cwsm` gives a row the temperature -4.049083"),
        "{error}"
    );
    assert!(error.contains("take a smaller beta or a higher temperature"), "{error}");
    let problems = KdCe::at(4.0).scheduled(Flsw::new(f64::NAN, 2.0)).problems();
    assert_eq!(problems, ["beta of the temperature schedule is NaN; it must be finite"]);
}

fn pipeline(semantics: Semantics, weight: Weight) -> Pipeline<Sentence, ToyOutputAdaptor> {
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .semantics(semantics)
        .soft_targets(KdCe::at(2.0).weight(weight))
        .plan()
        .unwrap()
}

/// The factor that the executor gives the only loss, at each of five steps.
fn factors(semantics: Semantics, weight: Weight) -> Vec<f64> {
    let pipeline = pipeline(semantics, weight);
    let executor = Executor::new(&pipeline, 0).unwrap();
    (0..5)
        .map(|step| {
            let pass = Pass::training(step, Wants::nothing()).of_steps(5);
            let losses = executor.run(&sentences(1, 4, 0)[0], &pass, None).unwrap();
            losses.total.double_value(&[]) / losses.terms[0].1.double_value(&[])
        })
        .collect()
}

#[track_caller]
fn assert_factors(found: Vec<f64>, expected: [f64; 5]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }
}

// kd_loss_weight=5 with linear_decay over 5 steps is 5, 0.8, 0.6, 0.4, 0.2 in TextBrewer.
#[test]
fn weights_follow_their_schedules_from_step_to_step() {
    let _alone = alone();
    assert_factors(factors(Semantics::TextBrewer, Weight::decaying(5.0)), [5.0, 0.8, 0.6, 0.4, 0.2]);
    assert_factors(factors(Semantics::TextBrewer, Weight::growing(3.0)), [3.0, 0.2, 0.4, 0.6, 0.8]);
    assert_factors(factors(Semantics::Exact, Weight::decaying(5.0)), [5.0, 4.0, 3.0, 2.0, 1.0]);
    assert_factors(factors(Semantics::Exact, Weight::growing(5.0)), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let late = WeightSchedule::new("late", |done| if done < 0.5 { 0.0 } else { 1.0 });
    assert_factors(factors(Semantics::Exact, Weight::scheduled(2.0, late)), [0.0, 0.0, 0.0, 2.0, 2.0]);
    assert_factors(factors(Semantics::Exact, 2.0.into()), [2.0; 5]);
}

#[test]
fn a_plan_names_its_schedules() {
    let _alone = alone();
    let pipeline = Distill::new(
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor),
    )
    .soft_targets(KdCe::at(2.0).scheduled(Cwsm::new(0.5)).weight(Weight::decaying(1.0)))
    .matching(hidden(teacher_layer(1), student_layer(1)).by(HiddenMse).weight(Weight::growing(0.5)))
    .hard_labels(Weight::decaying(2.0))
    .plan()
    .unwrap();
    let text = pipeline.explain();
    for note in [
        "weight 1, linear_decay",
        "weight 0.5, linear_growth",
        "weight 2, linear_decay",
        "temperature_schedule {\"cwsm\":{\"beta\":0.5}}",
    ] {
        assert!(text.contains(note), "{note} is not in\n{text}");
    }
    let read: Plan = serde_json::from_str(&serde_json::to_string(pipeline.plan()).unwrap()).unwrap();
    assert_eq!(&read, pipeline.plan());
}

#[test]
fn a_probability_shift_puts_a_wrong_teacher_right() {
    let _alone = alone();
    // A teacher whose logits are those of TextBrewer's example, whatever it reads.
    let expected = golden("probability_shift");
    assert_eq!(expected["logits"], serde_json::json!([[1, 5, 3], [9, 2, 4]]));
    let kd = |shifted: bool, labels: [i64; 2]| {
        let (teacher, student) = (Fixed([[1.0, 5.0, 3.0], [9.0, 2.0, 4.0]]), Toy::new(1, 8, 1));
        let distill = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
        let distill = match shifted {
            true => distill.soft_targets(KdMse::at(1.0).with_probability_shift()),
            false => distill.soft_targets(KdMse::at(1.0)),
        };
        let pipeline = distill.plan().unwrap();
        let mut batch = sentences(1, 2, 0).remove(0);
        batch.labels = Some(Tensor::from_slice(&labels));
        let executor = Executor::new(&pipeline, 0).unwrap();
        let pass = Pass::training(0, Wants::nothing());
        let losses = executor.run(&batch, &pass, None).unwrap();
        let wanted = Pass::evaluation(Wants::nothing().and_role("logits"));
        let student = pipeline.student().run(&batch, &wanted).unwrap().logits;
        (losses.total.double_value(&[]), student)
    };
    let mean_square = |student: &Tensor, teacher: &[f64]| {
        (student.detach() - Tensor::from_slice(teacher).view([2, 3]))
            .square()
            .mean(Kind::Double)
            .double_value(&[])
    };
    let shifted: Vec<f64> = expected["shifted"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|score| score.as_f64().unwrap()))
        .collect();
    let (found, student) = kd(true, [2, 1]);
    assert!((found - mean_square(&student, &shifted)).abs() < 1e-12);
    let (found, student) = kd(false, [2, 1]);
    assert!((found - mean_square(&student, &[1.0, 5.0, 3.0, 9.0, 2.0, 4.0])).abs() < 1e-12);
    // A label of -100 leaves its row as it is: TextBrewer fails there.
    let (found, student) = kd(true, [-100, 1]);
    assert!((found - mean_square(&student, &[1.0, 5.0, 3.0, 2.0, 9.0, 4.0])).abs() < 1e-12);
}

/// A model that always gives these logits.
struct Fixed([[f64; 3]; 2]);

#[distill(batch = Sentence)]
impl Fixed {
    fn forward(&self, tokens: &Tensor) -> Result<tests::ToyOutput> {
        let rows = tokens.size()[0];
        let logits = Tensor::from_slice2(&self.0).narrow(0, 0, rows);
        Ok(tests::ToyOutput { logits, hidden: Vec::new(), attention: Vec::new(), loss: None })
    }
}

impl Model for Fixed {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}
