//! Divergences from hidden states and output matrices: the dense loss in value and gradient, whatever the
//! chunk, alone and in a plan.

use brew_core::execute::Executor;
use brew_core::loss::{Chunked, Divergence, Features, Jsd, Kl, Loss};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use brew_core::role::{Labels, OutputWeight};
use tests::{Sentence, alone, sentences, seq};

use crate::divergences::divergences;
use crate::tagger::{LabelledTagsAdaptor, Tagger, Tags, TagsAdaptor};

/// Hidden states and output matrix of a side, of 12 positions and 23 tokens.
fn side(width: i64, phase: f64) -> (Tensor, Tensor) {
    (seq(&[3, 4, width], 0.37, phase, 1.3), seq(&[23, width], 0.53, phase, 1.7))
}

fn mask() -> Tensor {
    Tensor::from_slice(&[1_i64, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0]).view([3, 4])
}

fn labels() -> Tensor {
    let labels = Tensor::from_slice(&[3_i64, 22, 0, 7, 9, 1, 14, 2, 5, 5, 11, 4]).view([3, 4]);
    labels.masked_fill(&mask().eq(0), -100)
}

/// A value with its gradients to the student's hidden states and output matrix, both times `factor`.
fn run(loss: impl Fn(&Tensor, &Tensor) -> Tensor, factor: f64) -> [Tensor; 3] {
    let (hidden, weight) = side(5, 0.1);
    let (hidden, weight) = (hidden.set_requires_grad(true), weight.set_requires_grad(true));
    let value = loss(&hidden, &weight);
    (&value * factor).backward();
    [value.detach(), hidden.grad(), weight.grad()]
}

fn reads(hidden: &Tensor, weight: &Tensor, mask: Option<&Tensor>, labels: bool) -> (Features, Features) {
    let (teacher_hidden, teacher_weight) = side(8, 0.7);
    let read = |hidden: &Tensor, weight: &Tensor| {
        let read = Features::one(hidden.shallow_clone()).with::<OutputWeight>(weight.shallow_clone());
        match mask {
            Some(mask) => read.with_mask(mask.shallow_clone()),
            None => read,
        }
    };
    let student = read(hidden, weight);
    let student = if labels { student.with::<Labels>(self::labels()) } else { student };
    (student, read(&teacher_hidden, &teacher_weight))
}

fn chunked(loss: &dyn Loss, mask: Option<&Tensor>, labels: bool, factor: f64) -> [Tensor; 3] {
    run(
        |hidden, weight| {
            let (student, teacher) = reads(hidden, weight, mask, labels);
            assert_eq!(loss.mismatches(&student, &teacher), [""; 0]);
            loss.term(&student, &teacher).unwrap().mean().unwrap()
        },
        factor,
    )
}

/// The dense loss of the same logits, with this weight of the labels' cross-entropy.
fn dense(loss: &dyn Loss, mask: Option<&Tensor>, labels_weight: f64, factor: f64) -> [Tensor; 3] {
    run(
        |hidden, weight| {
            let (teacher_hidden, teacher_weight) = side(8, 0.7);
            let read = |logits: &Tensor| match mask {
                Some(mask) => Features::one(logits.shallow_clone()).with_mask(mask.shallow_clone()),
                None => Features::one(logits.shallow_clone()),
            };
            let logits = hidden.matmul(&weight.tr());
            let teacher = read(&teacher_hidden.matmul(&teacher_weight.tr()));
            let value = loss.term(&read(&logits), &teacher).unwrap().mean().unwrap();
            let rows = logits.view([12, 23]);
            // PyTorch's own, which ignores -100.
            value
                + rows.cross_entropy_for_logits(&labels().view([12]).clamp_min(0)).multiply_scalar(0.0)
                + rows.cross_entropy_loss(
                    &labels().view([12]),
                    None::<&Tensor>,
                    brew_core::tch::Reduction::Mean,
                    -100,
                    0.0,
                ) * labels_weight
        },
        factor,
    )
}

#[track_caller]
fn assert_same(found: &[Tensor; 3], expected: &[Tensor; 3], what: &str) {
    for ((found, expected), part) in
        found.iter().zip(expected).zip(["value", "hidden states", "output matrix"])
    {
        let error = (found - expected).abs().max().double_value(&[]);
        assert!(error < 1e-10, "{what}, {part}: {error}");
    }
}

#[test]
fn value_and_gradients_are_those_of_the_dense_loss() {
    for rows in [1, 5, 12, 100] {
        for mask in [None, Some(mask())] {
            for (loss, divergence) in divergences().into_iter().zip(divergences()) {
                let what =
                    format!("{} in chunks of {rows}, masked {}", Divergence::name(&*loss), mask.is_some());
                let chunk = Chunked::of(divergence).rows(rows);
                // A factor, as of a weight or a window, reaches the gradients.
                let found = chunked(&chunk, mask.as_ref(), false, 2.5);
                assert_same(&found, &dense(&loss, mask.as_ref(), 0.0, 2.5), &what);
            }
        }
    }
}

#[test]
fn labels_are_learned_from_the_same_logits() {
    for rows in [1, 5, 100] {
        let loss = Chunked::of(Kl::at(2.0)).rows(rows).with_labels(0.7);
        let found = chunked(&loss, None, true, 1.5);
        assert_same(&found, &dense(&Kl::at(2.0), Some(&mask()), 0.7, 1.5), &format!("chunks of {rows}"));
    }
}

#[test]
fn what_has_no_gradient_is_spared_one_and_a_probe_needs_none() {
    let (hidden, weight) = side(5, 0.1);
    let loss = Chunked::of(Kl::at(1.0)).rows(5);
    let expected = {
        let (student, teacher) = reads(&hidden, &weight, None, false);
        let term = loss.term(&student, &teacher).unwrap();
        assert!(!term.sum.requires_grad());
        term.mean().unwrap()
    };
    let leaf = hidden.copy().set_requires_grad(true);
    let (student, teacher) = reads(&leaf, &weight, None, false);
    let found = loss.term(&student, &teacher).unwrap().mean().unwrap();
    found.backward();
    assert!((&found - &expected).abs().double_value(&[]) < 1e-12);
    assert!(leaf.grad().defined() && !weight.grad().defined());
    let _guard = brew_core::tch::no_grad_guard();
    let quiet = loss.term(&student, &teacher).unwrap().mean().unwrap();
    assert!((quiet - expected).abs().double_value(&[]) < 1e-12);
}

#[test]
fn padding_reaches_nothing_and_a_mask_of_nothing_gives_zero() {
    let (hidden, weight) = side(5, 0.1);
    let spoiled = hidden.masked_fill(&mask().eq(0).unsqueeze(-1), f64::NAN).set_requires_grad(true);
    let (student, teacher) = reads(&spoiled, &weight, Some(&mask()), false);
    let loss = Chunked::of(Kl::at(1.0)).rows(2);
    loss.term(&student, &teacher).unwrap().mean().unwrap().backward();
    assert_eq!(spoiled.grad().isfinite().all().int64_value(&[]), 1);
    let nothing = mask().zeros_like();
    let (student, teacher) = reads(&hidden, &weight, Some(&nothing), false);
    assert_eq!(loss.term(&student, &teacher).unwrap().mean().unwrap().double_value(&[]), 0.0);
}

#[test]
fn bfloat16_gives_the_value_of_its_own_dense_logits() {
    let low = |tensor: Tensor| tensor.to_kind(Kind::BFloat16);
    let ((hidden, weight), (teacher_hidden, teacher_weight)) = (side(5, 0.1), side(8, 0.7));
    let [hidden, weight, teacher_hidden, teacher_weight] =
        [hidden, weight, teacher_hidden, teacher_weight].map(low);
    let leaf = hidden.copy().set_requires_grad(true);
    let read = |hidden: &Tensor, weight: &Tensor| {
        Features::one(hidden.shallow_clone()).with::<OutputWeight>(weight.shallow_clone())
    };
    let logits = |hidden: &Tensor, weight: &Tensor| Features::one(hidden.matmul(&weight.tr()));
    let sides = (read(&leaf, &weight), read(&teacher_hidden, &teacher_weight));
    let found = Chunked::of(Kl::at(1.0)).rows(5).term(&sides.0, &sides.1).unwrap().mean().unwrap();
    let sides = (logits(&hidden, &weight), logits(&teacher_hidden, &teacher_weight));
    let expected = Kl::at(1.0).term(&sides.0, &sides.1).unwrap().mean().unwrap();
    assert!((&found - &expected).abs().double_value(&[]) < 1e-5, "{found:?}, {expected:?}");
    found.backward();
    assert_eq!(leaf.grad().kind(), Kind::BFloat16);
}

#[test]
fn logits_of_ten_thousand_have_a_finite_loss_and_gradient() {
    for kind in [Kind::Float, Kind::Double] {
        for divergence in divergences() {
            let far = |(hidden, weight): (Tensor, Tensor)| {
                ((hidden.sign() * 100.0).to_kind(kind), (weight.sign() * 100.0).to_kind(kind))
            };
            let ((hidden, weight), (teacher_hidden, teacher_weight)) = (far(side(5, 0.1)), far(side(8, 0.7)));
            let (hidden, weight) = (hidden.set_requires_grad(true), weight.set_requires_grad(true));
            assert!(hidden.matmul(&weight.tr()).abs().max().double_value(&[]) >= 1e4);
            let read = |hidden: &Tensor, weight: &Tensor| {
                Features::one(hidden.shallow_clone()).with::<OutputWeight>(weight.shallow_clone())
            };
            let what = Divergence::name(&*divergence).to_owned();
            let loss = Chunked::of(divergence).rows(5);
            let value = loss.term(&read(&hidden, &weight), &read(&teacher_hidden, &teacher_weight)).unwrap();
            let value = value.mean().unwrap();
            assert!(value.double_value(&[]).is_finite(), "{what} in {kind:?}");
            value.backward();
            for gradient in [hidden.grad(), weight.grad()] {
                assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{what} in {kind:?}");
            }
        }
    }
}

// Tokens in another order, in both matrices.
#[test]
fn the_order_of_the_vocabulary_changes_nothing() {
    let order = (Tensor::arange(23, (Kind::Int64, Device::Cpu)) * 5).remainder(23);
    let run = |loss: &dyn Loss, turns: bool| {
        let turned = |weight: Tensor| if turns { weight.index_select(0, &order) } else { weight };
        let ((hidden, weight), (teacher_hidden, teacher_weight)) = (side(5, 0.1), side(8, 0.7));
        let hidden = hidden.set_requires_grad(true);
        let student = Features::one(hidden.shallow_clone()).with::<OutputWeight>(turned(weight));
        let teacher = Features::one(teacher_hidden).with::<OutputWeight>(turned(teacher_weight));
        let value = loss.term(&student, &teacher).unwrap().mean().unwrap();
        value.backward();
        (value.double_value(&[]), hidden.grad())
    };
    for divergence in divergences() {
        let loss = Chunked::of(divergence).rows(5);
        let ((value, gradient), (expected, of_other)) = (run(&loss, true), run(&loss, false));
        assert!((value - expected).abs() < 1e-12, "{}", loss.options());
        assert!((gradient - of_other).abs().max().double_value(&[]) < 1e-12, "{}", loss.options());
    }
}

#[test]
fn shapes_that_do_not_fit_are_all_named() {
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let student = Features::one(zeros(&[2, 3, 4])).with::<OutputWeight>(zeros(&[10, 5]));
    let teacher = Features::one(zeros(&[2, 4, 8]));
    let problems = Chunked::of(Kl::at(1.0)).mismatches(&student, &teacher);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("of the same rows at the same length"), "{problems:?}");
    assert!(problems[1].contains("the student's output_weight is (10, 5)"), "{problems:?}");
    assert!(problems[2].contains("no `output_weight`"), "{problems:?}");
    let side = |tokens: i64| Features::one(zeros(&[2, 4])).with::<OutputWeight>(zeros(&[tokens, 4]));
    let problems = Chunked::of(Kl::at(1.0)).mismatches(&side(10), &side(12));
    assert!(problems[0].contains("10 tokens, the teacher's 12"), "{problems:?}");
    assert!(problems[0].contains("wrap the loss in `within_vocabulary`"), "{problems:?}");
    assert!(Chunked::of(Kl::at(1.0)).rows(0).problems()[0].contains("a chunk has 0 rows"));
}

/// The total of six rows in batches of this size, and the gradients of the student.
fn trained(size: i64, is_chunked: bool) -> [Tensor; 3] {
    let tagger = |width, phase| Tagger { refuses_logits: is_chunked, ..Tagger::new(width, phase) };
    let student = tagger(5, 0.1);
    let (embeddings, weight) = (student.embeddings.shallow_clone(), student.weight.shallow_clone());
    let sides = (tagger(8, 0.7).seen_by(TagsAdaptor), student.seen_by(TagsAdaptor));
    let builder = Distill::new(sides.0, sides.1);
    let pipeline = if is_chunked {
        builder.soft_targets(Chunked::of(Jsd::between(0.4)).rows(5).weight(0.5)).plan().unwrap()
    } else {
        builder.soft_targets(Jsd::between(0.4).weight(0.5)).plan().unwrap()
    };
    let executor = Executor::new(&pipeline, 0).unwrap();
    let rows = sentences(1, 6, 3).remove(0);
    executor.probe(&rows).unwrap();
    let batches: Vec<Sentence> = (0..6 / size)
        .map(|part| rows.map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
        .collect();
    let window = executor.window(&batches).unwrap();
    let mut total = Tensor::from(0.0);
    for batch in &batches {
        let pass = Pass::training(0, Wants::nothing());
        let loss = executor.run(batch, &pass, Some(&window)).unwrap().total;
        loss.backward();
        total += loss.detach();
    }
    [total, embeddings.grad(), weight.grad()]
}

#[test]
fn in_a_plan_it_takes_the_place_of_logits_and_their_loss() {
    let _alone = alone();
    let dense = trained(6, false);
    for size in [6, 2, 1] {
        assert_same(&trained(size, true), &dense, &format!("batches of {size}"));
    }
}

/// Of each text the first token is read and not compared, as the question of an answer.
#[derive(Debug)]
struct AnswersAdaptor;

#[adaptor(batch = Sentence, output = Tags)]
impl AnswersAdaptor {
    fn hidden(output: &Tags) -> &[Tensor] {
        &output.hidden
    }
    fn logits(output: &Tags) -> Option<&Tensor> {
        output.logits.as_ref()
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
        None
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn logits_mask(batch: &Sentence) -> Tensor {
        batch.mask.slice_scatter(&batch.mask.narrow(1, 0, 1).zeros_like(), 1, 0, 1, 1)
    }
}

// The dense loss reads the mask of logits, and so does the one that makes them itself; over accumulated batches too.
#[test]
fn a_mask_of_logits_that_is_not_the_inputs_is_the_one_that_counts() {
    let _alone = alone();
    let rows = sentences(1, 6, 3).remove(0);
    let total = |size: i64, is_chunked: bool| {
        let sides =
            [(8, 0.7), (5, 0.1)].map(|(width, phase)| Tagger::new(width, phase).seen_by(AnswersAdaptor));
        let [teacher, student] = sides;
        let builder = Distill::new(teacher, student);
        let pipeline = match is_chunked {
            true => builder.soft_targets(Chunked::of(Kl::at(2.0)).rows(5)).plan().unwrap(),
            false => builder.soft_targets(Kl::at(2.0)).plan().unwrap(),
        };
        let executor = Executor::new(&pipeline, 0).unwrap();
        let batches: Vec<Sentence> = (0..6 / size)
            .map(|part| rows.map(&mut |_, tensor| Ok(tensor.narrow(0, part * size, size))).unwrap())
            .collect();
        let window = executor.window(&batches).unwrap();
        let pass = Pass::training(0, Wants::nothing());
        let value = |batch| executor.run(batch, &pass, Some(&window)).unwrap().total.double_value(&[]);
        batches.iter().map(value).sum::<f64>()
    };
    for size in [6, 3, 1] {
        let (found, dense) = (total(size, true), total(6, false));
        assert!((found - dense).abs() < 1e-12, "batches of {size}: {found}, dense {dense}");
    }
}

#[test]
fn what_a_chunked_loss_cannot_do_is_refused_and_not_left_out() {
    let side = |width| Tagger::new(width, 0.1).seen_by(LabelledTagsAdaptor);
    let loss = || Chunked::of(Kl::at(1.0));
    let shifted = Distill::new(side(8), side(5)).soft_targets(loss().with_probability_shift()).plan();
    let told = shifted.unwrap_err().to_string();
    assert!(told.contains("`chunked`: it makes its logits of hidden states"), "{told}");
    assert!(told.contains("leave out `.with_probability_shift()`"), "{told}");
    let both = Distill::new(vec![side(8), side(8)], side(5)).soft_targets(loss()).plan();
    let told = both.unwrap_err().to_string();
    assert!(told.contains("the last hidden states of one teacher, and the pipeline has 2"), "{told}");
}

// The dense loss reads the teacher's classes by name, and so does the one that makes its logits itself.
#[test]
fn classes_in_another_order_are_refused_or_read_by_name_as_of_logits() {
    let _alone = alone();
    let rows = sentences(1, 6, 3).remove(0);
    let probed = |by_name: bool, is_chunked: bool| {
        let names = |from: i64| Some((0..23).map(|class| format!("class {}", (class + from) % 23)).collect());
        let teacher = Tagger { names: names(5), ..Tagger::new(8, 0.7) }.seen_by(LabelledTagsAdaptor);
        let teacher = if by_name { teacher.classes_by_name() } else { teacher };
        let student = Tagger { names: names(0), ..Tagger::new(5, 0.1) }.seen_by(LabelledTagsAdaptor);
        let builder = Distill::new(teacher, student);
        let pipeline = match is_chunked {
            true => builder.soft_targets(Chunked::of(Kl::at(2.0))).plan().unwrap(),
            false => builder.soft_targets(Kl::at(2.0)).plan().unwrap(),
        };
        let executor = Executor::new(&pipeline, 0).unwrap();
        executor.probe(&rows).map_err(|error| error.to_string())?;
        let pass = Pass::training(0, Wants::nothing());
        Ok::<f64, String>(executor.run(&rows, &pass, None).unwrap().total.double_value(&[]))
    };
    for is_chunked in [false, true] {
        let told = probed(false, is_chunked).unwrap_err();
        assert!(told.contains("the same name stands for different classes"), "{told}");
    }
    let (found, dense) = (probed(true, true).unwrap(), probed(true, false).unwrap());
    assert!((found - dense).abs() < 1e-12, "{found}, dense {dense}");
}
