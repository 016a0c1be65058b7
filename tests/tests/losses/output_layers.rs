//! Chunked losses of output layers that are more than a matrix: bias, scale, soft cap, padded vocabularies.

use std::sync::{Arc, Mutex};

use brew_core::execute::Executor;
use brew_core::loss::{Chunked, Divergence, Features, Kl, Loss, Softening, within_vocabulary};
use brew_core::prelude::*;
use brew_core::role::{Labels, LogitScale, LogitSoftcap, OutputBias, OutputWeight};
use serde_json::json;
use tests::{Sentence, alone, sentences, seq};

use crate::divergences::divergences;
use crate::tagger::{Tagger, Tags};

/// Which parts a side's output layer has beside its matrix.
#[derive(Debug, Clone, Copy)]
struct Parts {
    bias: bool,
    scale: Option<f64>,
    softcap: Option<f64>,
}

const NONE: Parts = Parts { bias: false, scale: None, softcap: None };

fn layers() -> [(Parts, Parts); 5] {
    let capped = |softcap| Parts { softcap: Some(softcap), ..NONE };
    let all = Parts { bias: true, scale: Some(0.7), softcap: Some(2.5) };
    [
        (Parts { bias: true, ..NONE }, NONE),
        (Parts { scale: Some(1.7), ..NONE }, Parts { bias: true, ..NONE }),
        (capped(1.5), capped(3.0)),
        (NONE, capped(2.0)),
        (all, all),
    ]
}

/// The leaves of the student: hidden states, matrix, bias.
struct Leaves([Tensor; 3]);

fn leaves(tokens: i64, width: i64, phase: f64) -> Leaves {
    let hidden = seq(&[3, 4, width], 0.37, phase, 1.3);
    let weight = seq(&[tokens, width], 0.53, phase, 1.7);
    let bias = seq(&[tokens], 0.71, phase, 0.9);
    Leaves([hidden, weight, bias].map(|leaf| leaf.set_requires_grad(true)))
}

fn number(value: f64) -> Tensor {
    Tensor::full([] as [i64; 0], value, (Kind::Double, Device::Cpu))
}

fn mask() -> Tensor {
    Tensor::from_slice(&[1_i64, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0]).view([3, 4])
}

fn labels() -> Tensor {
    let labels = Tensor::from_slice(&[3_i64, 16, 0, 7, 9, 1, 14, 2, 5, 5, 11, 4]).view([3, 4]);
    labels.masked_fill(&mask().eq(0), -100)
}

/// Hidden states and output layer, as a chunked loss reads them.
fn parts_of(Leaves([hidden, weight, bias]): &Leaves, parts: Parts) -> Features {
    let mut read = Features::one(hidden.shallow_clone())
        .with::<OutputWeight>(weight.shallow_clone())
        .with::<Labels>(labels())
        .with_mask(mask());
    if parts.bias {
        read = read.with::<OutputBias>(bias.shallow_clone());
    }
    if let Some(scale) = parts.scale {
        read = read.with::<LogitScale>(number(scale));
    }
    match parts.softcap {
        Some(softcap) => read.with::<LogitSoftcap>(number(softcap)),
        None => read,
    }
}

/// The logits that a model with this output layer returns.
fn logits_of(Leaves([hidden, weight, bias]): &Leaves, parts: Parts) -> Tensor {
    let product = hidden.matmul(&weight.tr());
    let logits = if parts.bias { product + bias } else { product } * parts.scale.unwrap_or(1.0);
    match parts.softcap {
        Some(softcap) => (logits / softcap).tanh() * softcap,
        None => logits,
    }
}

/// Value and gradients of a loss times 2.5.
fn run(student: &Leaves, loss: impl Fn() -> Tensor) -> [Tensor; 4] {
    let value = loss();
    (&value * 2.5).backward();
    let gradient = |leaf: &Tensor| if leaf.grad().defined() { leaf.grad() } else { leaf.zeros_like() };
    let [hidden, weight, bias] = student.0.each_ref().map(gradient);
    [value.detach(), hidden, weight, bias]
}

#[track_caller]
fn assert_same(found: &[Tensor; 4], expected: &[Tensor; 4], what: &str) {
    let parts = ["value", "hidden states", "output matrix", "bias"];
    for ((found, expected), part) in found.iter().zip(expected).zip(parts) {
        let off = (found - expected).abs().max().double_value(&[]);
        assert!(off < 1e-10, "{what}, {part}: off by {off:e}");
    }
}

fn value(loss: &dyn Loss, student: &Features, teacher: &Features) -> Tensor {
    assert_eq!(loss.mismatches(student, teacher), [""; 0]);
    loss.term(student, teacher).unwrap().mean().unwrap()
}

#[test]
fn bias_scale_and_softcap_give_the_value_and_gradients_of_the_dense_loss() {
    for (of_student, of_teacher) in layers() {
        for rows in [2, 100] {
            for (dense, divergence) in divergences().into_iter().zip(divergences()) {
                let what = format!("{} of {of_student:?} in chunks of {rows}", Divergence::name(&*dense));
                let chunked = Chunked::of(divergence).rows(rows);
                let teacher = leaves(17, 8, 0.7);
                let student = leaves(17, 5, 0.1);
                let found = run(&student, || {
                    value(&chunked, &parts_of(&student, of_student), &parts_of(&teacher, of_teacher))
                });
                let student = leaves(17, 5, 0.1);
                let expected = run(&student, || {
                    let read = |logits: Tensor| Features::one(logits).with_mask(mask());
                    value(
                        &dense,
                        &read(logits_of(&student, of_student)),
                        &read(logits_of(&teacher, of_teacher).detach()),
                    )
                });
                assert_same(&found, &expected, &what);
            }
        }
    }
}

#[test]
fn labels_are_learned_from_the_logits_of_the_whole_output_layer() {
    for (of_student, of_teacher) in layers() {
        let teacher = leaves(17, 8, 0.7);
        let student = leaves(17, 5, 0.1);
        let loss = Chunked::of(Kl::at(2.0)).rows(5).with_labels(0.7);
        let found =
            run(&student, || value(&loss, &parts_of(&student, of_student), &parts_of(&teacher, of_teacher)));
        let student = leaves(17, 5, 0.1);
        let expected = run(&student, || {
            let read = |logits: &Tensor| Features::one(logits.shallow_clone()).with_mask(mask());
            let logits = logits_of(&student, of_student);
            let soft = value(&Kl::at(2.0), &read(&logits), &read(&logits_of(&teacher, of_teacher).detach()));
            let (rows, mean) = (logits.view([12, 17]), brew_core::tch::Reduction::Mean);
            soft + rows.cross_entropy_loss(&labels().view([12]), None::<&Tensor>, mean, -100, 0.0) * 0.7
        });
        assert_same(&found, &expected, &format!("{of_student:?}"));
    }
}

// Matrices padded to different sizes, and what stands in the padding is anything.
#[test]
fn padded_vocabularies_carry_no_mass_as_in_the_dense_loss() {
    let all = Parts { bias: true, scale: Some(0.7), softcap: Some(2.5) };
    for (of_student, of_teacher) in [(19, 23), (23, 19), (17, 18)] {
        for parts in [NONE, all] {
            for (dense, divergence) in divergences().into_iter().zip(divergences()) {
                let what = format!("{} of {of_student} and {of_teacher}", Divergence::name(&*dense));
                let teacher = leaves(of_teacher, 8, 0.7);
                let student = leaves(of_student, 5, 0.1);
                let chunked = within_vocabulary(17, Chunked::of(divergence).rows(5));
                let found =
                    run(&student, || value(&chunked, &parts_of(&student, parts), &parts_of(&teacher, parts)));
                // No column beyond the tokenizer's gets a gradient.
                assert_eq!(found[2].narrow(0, 17, of_student - 17).count_nonzero(None).int64_value(&[]), 0);
                let student = leaves(of_student, 5, 0.1);
                let expected = run(&student, || {
                    let read = |logits: Tensor| Features::one(logits).with_mask(mask());
                    let (one, other) = (logits_of(&student, parts), logits_of(&teacher, parts).detach());
                    let side = |logits: Tensor| read(logits.narrow(-1, 0, 17));
                    value(&dense, &side(one), &side(other))
                });
                assert_same(&found, &expected, &what);
            }
        }
    }
    let short = within_vocabulary(20, Chunked::of(Kl::at(1.0)));
    let sides = [leaves(19, 5, 0.1), leaves(23, 5, 0.1)].map(|side| parts_of(&side, NONE));
    let told = short.mismatches(&sides[0], &sides[1]);
    assert!(
        told[0].contains("the student's output_weight is (19, 5), and the vocabulary has 20"),
        "{told:?}"
    );
}

/// Notes how many rows it is given at once.
#[derive(Debug)]
struct Watching {
    softening: Softening,
    rows: Arc<Mutex<Vec<i64>>>,
}

impl Divergence for Watching {
    fn name(&self) -> &'static str {
        "watching"
    }
    fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::from_iter([("own".to_owned(), json!(1))])
    }
    fn softening(&self) -> &Softening {
        &self.softening
    }
    fn between(&self, student: &Tensor, teacher: &Tensor) -> brew_core::Result<Tensor> {
        assert_eq!(student.size(), teacher.size());
        self.rows.lock().unwrap().push(student.size()[0]);
        Kl::at(1.0).between(student, teacher)
    }
}

#[test]
fn only_rows_that_count_reach_the_head_and_no_more_than_a_chunk_at_once() {
    for (labelled, expected) in [(false, vec![3, 3, 2]), (true, vec![3, 3])] {
        let rows = Arc::new(Mutex::new(Vec::new()));
        let watching = Watching { softening: Softening::at(2.0), rows: Arc::clone(&rows) };
        let chunked = Chunked::of(watching).rows(3);
        let (student, teacher) = (leaves(17, 5, 0.1), leaves(17, 8, 0.7));
        let (student, teacher) = (parts_of(&student, NONE), parts_of(&teacher, NONE));
        if labelled {
            // Two tokens less than the mask has.
            let labels =
                labels().view([12]).index_fill(0, &Tensor::from_slice(&[0_i64, 5]), -100).view([3, 4]);
            let _ = value(&chunked.with_labels(0.5), &student.with::<Labels>(labels), &teacher);
        } else {
            let _ = value(&chunked, &student, &teacher);
        }
        assert_eq!(*rows.lock().unwrap(), expected, "labelled {labelled}");
    }
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let side = |part: fn(Features) -> Features| part(parts_of(&leaves(17, 5, 0.1), NONE));
    let told = |part: fn(Features) -> Features| {
        Chunked::of(Kl::at(1.0)).mismatches(&side(part), &side(|read| read)).join("; ")
    };
    let said = told(|read| read.with::<OutputBias>(Tensor::zeros([16], (Kind::Double, Device::Cpu))));
    assert!(
        said.contains("the student's output_bias is (16); it must be (vocabulary,), here (17)"),
        "{said}"
    );
    let said = told(|read| read.with::<LogitSoftcap>(number(0.0)));
    assert!(said.contains("the student's logit_softcap must be one finite number above 0"), "{said}");
    let said = told(|read| read.with::<LogitScale>(Tensor::zeros([2], (Kind::Double, Device::Cpu))));
    assert!(said.contains("the student's logit_scale must be one finite number other than 0"), "{said}");
    let said = told(|read| read.with::<LogitScale>(number(2.0).set_requires_grad(true)));
    assert!(said.contains("the student's logit_scale is learned"), "{said}");
}

// The check before the first step runs without gradients: there, only a leaf says that it is learned.
#[test]
fn a_number_that_the_model_computes_of_a_learned_one_is_refused_where_it_would_get_no_gradient() {
    let teacher = parts_of(&leaves(17, 8, 0.7), NONE);
    let student = || parts_of(&leaves(17, 5, 0.1), NONE);
    let learned = || number(0.7).set_requires_grad(true).exp();
    let told = |loss: &dyn Loss, student: Features| loss.term(&student, &teacher).unwrap_err().to_string();
    let said = told(&Chunked::of(Kl::at(1.0)), student().with::<LogitScale>(learned()));
    assert!(said.contains("the student's logit_scale is learned"), "{said}");
    let labelled = Chunked::of(Kl::at(1.0)).with_labels(0.5);
    let said = told(&labelled, student().with::<LogitSoftcap>(learned()));
    assert!(said.contains("the student's logit_softcap is learned"), "{said}");
}

/// Says of a tagger that its logits are capped, and forgets it beside the matrix.
#[derive(Debug)]
struct Forgetful<const CAPPED: bool>;

#[adaptor(batch = Sentence, output = Tags)]
impl<const CAPPED: bool> Forgetful<CAPPED> {
    fn hidden(output: &Tags) -> &[Tensor] {
        &output.hidden
    }
    fn logits(output: &Tags) -> Result<Option<Tensor>> {
        let capped = |logits: &Tensor| Ok(logits.f_div_scalar(2.0)?.f_tanh()?.f_mul_scalar(2.0)?);
        output.logits.as_ref().map(capped).transpose()
    }
    fn output_weight(output: &Tags) -> &Tensor {
        &output.weight
    }
    fn output_bias() -> Option<Tensor> {
        None
    }
    fn logit_scale() -> Option<Tensor> {
        None
    }
    fn logit_softcap() -> Option<Tensor> {
        CAPPED.then(|| number(2.0))
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
}

#[test]
fn an_adaptor_that_forgets_a_part_of_the_head_is_refused_before_the_first_step() {
    let _alone = alone();
    let rows = sentences(1, 6, 3).remove(0);
    let plan = |student: brew_core::distill::Pipeline<Sentence, Forgetful<false>>| {
        Executor::new(&student, 0).unwrap().probe(&rows).map(|_| ()).map_err(|error| error.to_string())
    };
    let capped = || Tagger::new(5, 0.1).seen_by(Forgetful::<true>);
    let forgotten = || Tagger::new(5, 0.1).seen_by(Forgetful::<false>);
    let loss = || Chunked::of(Kl::at(2.0));
    let told = plan(Distill::new(capped(), forgotten()).soft_targets(loss()).plan().unwrap()).unwrap_err();
    assert!(told.contains("stage `student"), "{told}");
    assert!(told.contains("give the adaptor every part of the model's head"), "{told}");
    let pipeline = Distill::new(forgotten(), capped()).soft_targets(loss()).plan().unwrap();
    let told = Executor::new(&pipeline, 0).unwrap().probe(&rows).unwrap_err().to_string();
    assert!(told.contains("stage `teacher"), "{told}");
    let pipeline = Distill::new(capped(), capped()).soft_targets(loss()).plan().unwrap();
    Executor::new(&pipeline, 0).unwrap().probe(&rows).unwrap();
}

/// A tagger whose logits are a hundredth larger, and -inf for tokens that it forbids; it forgets the scale unless it says it.
#[derive(Debug)]
struct Larger<const SAID: bool, const FORBIDDEN: i64>;

#[adaptor(batch = Sentence, output = Tags)]
impl<const SAID: bool, const FORBIDDEN: i64> Larger<SAID, FORBIDDEN> {
    fn hidden(output: &Tags) -> &[Tensor] {
        &output.hidden
    }
    fn logits(output: &Tags) -> Result<Option<Tensor>> {
        let larger = |logits: &Tensor| {
            let larger = logits.f_mul_scalar(1.01)?;
            let allowed = larger.f_narrow(-1, 0, 23 - FORBIDDEN)?;
            let forbidden = larger.f_narrow(-1, 0, FORBIDDEN)?.f_full_like(f64::NEG_INFINITY)?;
            Ok(Tensor::f_cat(&[allowed, forbidden], -1)?)
        };
        output.logits.as_ref().map(larger).transpose()
    }
    fn output_weight(output: &Tags) -> &Tensor {
        &output.weight
    }
    fn output_bias() -> Option<Tensor> {
        None
    }
    fn logit_scale() -> Option<Tensor> {
        SAID.then(|| number(1.01))
    }
    fn logit_softcap() -> Option<Tensor> {
        None
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
}

// Infinities were as far off as the logits were large, and in low precision a twentieth passed as rounding.
#[test]
fn a_forgotten_scale_is_found_beside_forbidden_tokens_and_whatever_the_precision() {
    fn probed<const SAID: bool, const FORBIDDEN: i64>(precision: Option<Kind>) -> Result<(), String> {
        let rows = sentences(1, 6, 3).remove(0);
        let student = Tagger::new(5, 0.1).seen_by(Larger::<SAID, FORBIDDEN>);
        let teacher = Tagger::new(7, 0.4).seen_by(Forgetful::<true>);
        let plan = Distill::new(teacher, student).soft_targets(Chunked::of(Kl::at(2.0))).plan();
        let plan = plan.map_err(|error| error.to_string())?;
        let mut executor = Executor::new(&plan, 0).map_err(|error| error.to_string())?;
        executor.compute_in(precision).map_err(|error| error.to_string())?;
        executor.probe(&rows).map(|_| ()).map_err(|error| error.to_string())
    }
    let _alone = alone();
    for precision in [None, Some(Kind::BFloat16)] {
        for told in [probed::<false, 0>(precision), probed::<false, 2>(precision)] {
            let told = told.unwrap_err();
            assert!(told.contains("stage `student"), "{precision:?}: {told}");
            assert!(told.contains("give the adaptor every part of the model's head"), "{told}");
        }
        probed::<true, 0>(precision).unwrap();
        probed::<true, 2>(precision).unwrap();
    }
}
