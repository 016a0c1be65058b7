//! Every wrapper of losses with every loss on logits: what a loss says about itself passes through.
//!
//! The compiler ensures that no method is forgotten, since `forward_loss!` is generated from the trait. This file has what
//! each wrapper changes on purpose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use brew_core::loss::{
    AlsoReads, Average, Features, Kl, Learns, Loss, Masks, Place, SampledKl, Term, TopK, next_token,
    standardised, within_vocabulary,
};
use brew_core::parameters::Parameters;
use brew_core::side::Side;
use brew_core::tch::{Device, Kind, Tensor};
use serde_json::{Value, json};
use tests::seq;

use crate::cases::{Case, assert_close, cases, value};

/// A loss that has no method's default for an answer, and notes what it was asked to do.
#[derive(Debug, Clone, Default)]
struct Unlike {
    told: Arc<Mutex<Vec<String>>>,
}

impl Unlike {
    fn note(&self, what: &str) {
        self.told.lock().unwrap().push(what.to_owned());
    }
}

impl Loss for Unlike {
    fn name(&self) -> &'static str {
        "unlike"
    }
    fn options(&self) -> Value {
        json!({ "own": 3 })
    }
    fn problems(&self) -> Vec<String> {
        vec!["its own problem".to_owned()]
    }
    fn masks(&self) -> Masks {
        Masks::Own
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::Pairs } else { Average::Labels }
    }
    fn reads_padding(&self) -> bool {
        true
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn reads_whole_row(&self) -> bool {
        true
    }
    fn spans_vocabularies(&self) -> bool {
        true
    }
    fn pairs_next_token(&self) -> bool {
        true
    }
    fn temperature(&self) -> Option<f64> {
        Some(7.0)
    }
    fn also_reads(&self) -> &'static [AlsoReads] {
        &[AlsoReads { side: Side::Teacher, role: "token_ids" }]
    }
    fn reads_top_logits(&self) -> bool {
        true
    }
    fn reads_drawn_logits(&self) -> bool {
        true
    }
    fn learns(&mut self) -> Option<&mut dyn Learns> {
        Some(self)
    }
    fn mismatches(&self, student: &Features, _: &Features) -> Vec<String> {
        vec![format!("it sees {:?}", student.tensors[0].size())]
    }
    fn term(&self, student: &Features, _: &Features) -> brew_core::Result<Term> {
        let sum = student.tensors[0].sum(Kind::Double);
        Ok(Term::new(sum, Tensor::from(2.0), self.average(student.mask.is_some())))
    }
}

impl Learns for Unlike {
    fn prepare(&mut self, _: &Place) -> brew_core::Result<()> {
        self.note("prepare");
        Ok(())
    }
    fn parameters(&self) -> Parameters {
        Parameters::new([("own".to_owned(), Tensor::from(5.0))])
    }
    fn before_step(&mut self, step: u64, steps: u64) -> brew_core::Result<()> {
        self.note(&format!("before step {step} of {steps}"));
        Ok(())
    }
    fn after_step(&mut self) -> brew_core::Result<()> {
        self.note("after step");
        Ok(())
    }
    fn state(&self) -> brew_core::Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::from([("carried".to_owned(), Tensor::from(6.0))]))
    }
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> brew_core::Result<()> {
        self.note(&format!("restore {}", state.len()));
        Ok(())
    }
}

/// A wrapper: its name, its making, and whether it can change logits of which some are known alone.
struct Wrapper {
    name: &'static str,
    around: fn(Box<dyn Loss>) -> Box<dyn Loss>,
    some_logits: bool,
    /// The width that the loss sees of four, and the positions of three.
    sees: [i64; 2],
}

fn wrappers() -> [Wrapper; 4] {
    [
        Wrapper { name: "box", around: |loss| Box::new(loss), some_logits: true, sees: [3, 4] },
        Wrapper {
            name: "next_token",
            around: |loss| Box::new(next_token(loss)),
            some_logits: true,
            sees: [2, 4],
        },
        Wrapper {
            name: "standardised",
            around: |loss| Box::new(standardised(loss)),
            some_logits: false,
            sees: [3, 4],
        },
        Wrapper {
            name: "within_vocabulary",
            around: |loss| Box::new(within_vocabulary(3, loss)),
            some_logits: false,
            sees: [3, 3],
        },
    ]
}

#[test]
fn every_method_of_a_wrapped_loss_is_asked() {
    for wrapper in wrappers() {
        let name = wrapper.name;
        let unlike = Unlike::default();
        let mut loss = (wrapper.around)(Box::new(unlike.clone()));
        let options = loss.options();
        match name {
            "box" => assert_eq!((loss.name(), options), ("unlike", json!({ "own": 3 }))),
            _ => assert_eq!((loss.name(), &options["loss"]), (name, &json!(["unlike", { "own": 3 }]))),
        }
        // The loss is one of next tokens itself, which is not moved twice.
        let twice = (name == "next_token").then_some("twice");
        assert_eq!(loss.problems().len(), 1 + usize::from(twice.is_some()), "{name}");
        assert_eq!(loss.problems().last().unwrap(), "its own problem", "{name}");
        assert_eq!(loss.masks(), Masks::Own, "{name}");
        assert_eq!([loss.average(false), loss.average(true)], [Average::Labels, Average::Pairs], "{name}");
        assert!(loss.reads_padding() && loss.reads_whole_batch() && loss.reads_whole_row(), "{name}");
        assert!(loss.pairs_next_token() && loss.spans_vocabularies(), "{name}");
        assert_eq!(loss.temperature(), Some(7.0), "{name}");
        assert_eq!(loss.also_reads(), unlike.also_reads(), "{name}");
        assert_eq!(loss.reads_top_logits(), wrapper.some_logits, "{name}");
        assert_eq!(loss.reads_drawn_logits(), wrapper.some_logits, "{name}");
        let learns = loss.learns().unwrap();
        assert_eq!(learns.parameters().iter().map(|(name, _)| name).collect::<Vec<_>>(), ["own"], "{name}");
        assert_eq!(learns.state().unwrap().keys().collect::<Vec<_>>(), ["carried"], "{name}");
        learns.prepare(&Place { kind: Kind::Double, device: Device::Cpu, seed: 0 }).unwrap();
        learns.before_step(3, 9).unwrap();
        learns.after_step().unwrap();
        learns.restore(&BTreeMap::new()).unwrap();
        assert_eq!(
            *unlike.told.lock().unwrap(),
            ["prepare", "before step 3 of 9", "after step", "restore 0"]
        );
        let side = || Features::one(seq(&[2, 3, 4], 0.7, 0.1, 2.0));
        let [length, width] = wrapper.sees;
        assert_eq!(loss.mismatches(&side(), &side()), [format!("it sees [2, {length}, {width}]")], "{name}");
        assert_eq!(loss.term(&side(), &side()).unwrap().count.double_value(&[]), 2.0, "{name}");
    }
}

/// The losses that compare logits of every class, and their teacher in one tensor.
fn on_logits() -> Vec<Case> {
    let of_logits = |case: &Case| case.student[0].size() == [2, 3, 5] && case.teacher.len() == 1;
    cases().into_iter().filter(of_logits).collect()
}

#[test]
fn every_wrapper_says_of_every_loss_what_the_loss_says() {
    assert!(on_logits().len() > 30, "{}", on_logits().len());
    for wrapper in wrappers() {
        for (mut case, again) in on_logits().into_iter().zip(on_logits()) {
            let mut outer = (wrapper.around)(again.loss);
            let loss = &mut case.loss;
            let what = format!("{} around {}", wrapper.name, case.name);
            assert_eq!(outer.masks(), loss.masks(), "{what}");
            assert_eq!(outer.temperature(), loss.temperature(), "{what}");
            assert_eq!(outer.reads_padding(), loss.reads_padding(), "{what}");
            assert_eq!(outer.reads_whole_batch(), loss.reads_whole_batch(), "{what}");
            assert_eq!(outer.reads_whole_row(), loss.reads_whole_row(), "{what}");
            let moves = wrapper.name == "next_token" || loss.pairs_next_token();
            assert_eq!(outer.pairs_next_token(), moves, "{what}");
            assert_eq!(outer.also_reads(), loss.also_reads(), "{what}");
            let some = wrapper.some_logits;
            assert_eq!(outer.reads_top_logits(), some && loss.reads_top_logits(), "{what}");
            assert_eq!(outer.reads_drawn_logits(), some && loss.reads_drawn_logits(), "{what}");
            let kept = |loss: &mut dyn Loss| {
                loss.learns().map(|learns| (learns.state().unwrap().len(), learns.parameters().scalars()))
            };
            assert_eq!(kept(&mut outer), kept(loss), "{what}");
            for masked in [false, true] {
                assert_eq!(outer.average(masked), loss.average(masked), "{what}");
            }
        }
    }
}

/// The logits of a teacher, and the same as a store keeps them: the top two.
fn stored(teacher: &Tensor) -> Features {
    let (at, ids) = teacher.topk(2, -1, true, true);
    Features::of(vec![ids, at, teacher.logsumexp([-1], false)])
}

#[test]
fn the_next_tokens_top_logits_may_come_from_a_store() {
    let (student, teacher) = (seq(&[2, 4, 5], 0.7, 0.1, 2.0), seq(&[2, 4, 5], 0.9, 0.4, 3.0));
    let mask = Tensor::from_slice(&[1_i64, 1, 1, 0, 1, 1, 1, 1]).view([2, 4]);
    let loss = next_token(TopK::of(2, Kl::at(1.0)));
    let read = |tensor: &Tensor| Features::one(tensor.shallow_clone()).with_mask(mask.shallow_clone());
    let of_store = stored(&teacher).with_mask(mask.shallow_clone());
    assert_eq!(loss.mismatches(&read(&student), &of_store), [""; 0]);
    let dense = value(&loss, &read(&student), &read(&teacher));
    assert_close(value(&loss, &read(&student), &of_store), dense, "a store of the teacher's top two");
    // By hand: the logits of a position with the mask of the next.
    let moved = |tensor: &Tensor| Features::one(tensor.narrow(1, 0, 3)).with_mask(mask.narrow(1, 1, 3));
    let by_hand = value(&TopK::of(2, Kl::at(1.0)), &moved(&student), &moved(&teacher));
    assert_close(dense, by_hand, "moved by hand");
}

#[test]
fn wrappers_that_need_all_logits_refuse_a_store_and_say_why() {
    let student = Features::one(seq(&[2, 4, 5], 0.7, 0.1, 2.0));
    let store = stored(&seq(&[2, 4, 5], 0.9, 0.4, 3.0));
    let standard = standardised(TopK::of(2, Kl::at(1.0))).mismatches(&student, &store);
    assert!(standard[0].contains("the teacher's logits are not all known"), "{standard:?}");
    let within = within_vocabulary(3, TopK::of(2, Kl::at(1.0))).mismatches(&student, &store);
    assert!(within[0].contains("the teacher's logits are not all known"), "{within:?}");
}

// The classes of a cache of top logits are no draws: their mean is no estimate of the divergence.
#[test]
fn draws_are_no_top_logits() {
    let loss = SampledKl::draws(4);
    assert!(!loss.reads_top_logits() && loss.reads_drawn_logits());
    assert!(!TopK::of(2, Kl::at(1.0)).reads_drawn_logits());
}

// Around the shift, the logits of the last prompt token were taken for padding: 0 on both sides, and yet counted.
#[test]
fn standardising_is_the_same_within_and_around_the_shift_to_the_next_token() {
    let answers = || Tensor::from_slice(&[0_i64, 0, 0, 1, 1, 0, 0, 1, 1, 0]).view([2, 5]);
    let tokens = || Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 0, 1, 1, 1, 0]).view([2, 5]);
    for documents in [None, Some(tokens())] {
        let side = |phase: f64| {
            let read = Features::one(seq(&[2, 5, 7], 0.37, phase, 3.0)).with_mask(answers());
            match &documents {
                Some(documents) => read.with_documents(documents.shallow_clone()),
                None => read,
            }
        };
        let (student, teacher) = (side(0.1), side(0.7));
        let of = |loss: &dyn Loss| loss.term(&student, &teacher).unwrap().mean().unwrap().double_value(&[]);
        let (within, around) =
            (of(&next_token(standardised(Kl::at(2.0)))), of(&standardised(next_token(Kl::at(2.0)))));
        assert!(within > 1e-3 && (within - around).abs() < 1e-12, "{within} and {around}");
    }
}

// What nothing counts may be NaN, in values and gradients.
#[test]
fn standardising_around_the_shift_reads_no_logits_that_predict_nothing_that_counts() {
    let mask = Tensor::from_slice(&[0_i64, 0, 1, 1, 0]).view([1, 5]);
    let logits = seq(&[1, 5, 7], 0.37, 0.1, 3.0);
    let spoiled = logits.index_fill(1, &Tensor::from_slice(&[0_i64, 3, 4]), f64::NAN).set_requires_grad(true);
    let teacher = Features::one(seq(&[1, 5, 7], 0.37, 0.7, 3.0)).with_mask(mask.shallow_clone());
    let student = Features::one(spoiled.shallow_clone()).with_mask(mask);
    let value = standardised(next_token(Kl::at(2.0))).term(&student, &teacher).unwrap().mean().unwrap();
    value.backward();
    assert!(value.double_value(&[]).is_finite());
    assert_eq!(spoiled.grad().isfinite().all().int64_value(&[]), 1);
}
