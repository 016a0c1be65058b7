//! Training in bfloat16 and float16 against float32: the losses agree within the precision, the student's
//! weights stay in float32, and the teacher's are in the low precision.

use std::cell::RefCell;
use std::rc::Rc;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Cos, KdCe};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::{Event, Observer};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::train::Precision;
use tests::alone;

use super::support::{batch, load, teacher};

struct Losses(Rc<RefCell<Vec<f64>>>);
impl Observer for Losses {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Step(report) = event {
            self.0.borrow_mut().extend(report.losses.iter().flatten().map(|(_, value)| *value));
        }
    }
}

struct Outcome {
    losses: Vec<f64>,
    teacher: Vec<Kind>,
    student: Vec<Kind>,
}

fn trained_in(precision: Precision) -> Outcome {
    let (teacher, student) = (teacher(), load(&tests::trajectory("student_init")));
    let of = (teacher.parameters(), student.parameters());
    let losses = Rc::new(RefCell::new(Vec::new()));
    let kinds = |parameters: &Parameters| parameters.iter().map(|(_, tensor)| tensor.kind()).collect();
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(4.0))
            .matching(hidden(teacher_layer(2), student_layer(1)).by(Cos).project(Projection::linear(32, 48)))
            .hard_labels(1.0)
            .plan()
            .unwrap();
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4))
        .precision(precision)
        .clip(1.0)
        .accumulate(2)
        .log_every(1)
        .observe(Losses(losses.clone()))
        .run((0..8).map(batch).collect::<Vec<_>>())
        .unwrap();
    let losses = losses.borrow().clone();
    Outcome { losses, teacher: kinds(&of.0), student: kinds(&of.1) }
}

#[test]
fn low_precisions_give_the_losses_of_float32_to_their_own_precision() {
    let _alone = alone();
    let wide = trained_in(Precision::F32);
    assert!(wide.teacher.iter().chain(&wide.student).all(|kind| *kind == Kind::Float));
    // Unit roundoff: 2^-8 of bfloat16, 2^-11 of float16; a few operations one after another.
    for (precision, kind, tolerance) in
        [(Precision::Bf16, Kind::BFloat16, 4.0 / 256.0), (Precision::F16, Kind::Half, 4.0 / 2048.0)]
    {
        let low = trained_in(precision);
        assert!(low.student.iter().all(|kind| *kind == Kind::Float), "{precision:?}");
        assert!(low.teacher.iter().all(|found| *found == kind), "{precision:?}");
        assert_eq!(low.losses.len(), wide.losses.len());
        let off = |(low, wide): (&f64, &f64)| (low - wide).abs() / wide.abs().max(0.1);
        let most = low.losses.iter().zip(&wide.losses).map(off).fold(0.0, f64::max);
        assert!(most > 0.0, "{precision:?} computed in float32");
        assert!(most < tolerance, "{precision:?} is off by {most:e}");
    }
}
