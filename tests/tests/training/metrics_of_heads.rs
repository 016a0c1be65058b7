//! A metric that does not fit the head is rejected before the first step, by the same table as the head's loss.

use brew_core::model::ProblemType;
use brew_core::observe::{F1, Matthews, Pearson, Predictions};
use brew_core::prelude::*;
use tests::alone;

use crate::support::Seen;

/// Three numbers of each example, and what stands beside them.
#[derive(Batch, Debug)]
struct Row {
    #[column(f32)]
    numbers: Tensor, // (batch, numbers)
    #[column(f32)]
    labels: Tensor, // (batch,) or (batch, classes)
}

#[distill(batch = Row)]
struct Scores {
    #[role(logits)]
    logits: Tensor, // (batch, classes)
    #[role(losses)]
    loss: Tensor, // one value
}

/// Scores that are its input times a matrix; it says what its head means, and its loss reads no labels.
struct Head {
    weight: Tensor,
    problem: Option<ProblemType>,
}

#[distill(batch = Row)]
impl Head {
    fn forward(&self, numbers: &Tensor) -> Result<Scores> {
        let logits = numbers.f_matmul(&self.weight)?;
        let loss = logits.f_square()?.f_mean(Kind::Float)?;
        Ok(Scores { logits, loss })
    }
}

impl Model for Head {
    fn parameters(&self) -> Parameters {
        Parameters::new([("weight".to_owned(), self.weight.shallow_clone())])
    }
    fn problem_type(&self) -> Option<ProblemType> {
        self.problem
    }
}

/// Evaluates a head with this many classes on labels.
type Evaluated<'e> = dyn Fn(Option<ProblemType>, i64, &Tensor) -> Result<f64> + 'e;

/// Evaluates a head with this many classes, in one step that changes nothing.
fn evaluated(
    problem: Option<ProblemType>,
    classes: i64,
    labels: &Tensor,
    metric: impl Metric + 'static,
) -> Result<f64> {
    let weight = Tensor::eye(3, (Kind::Float, Device::Cpu)).narrow(1, 0, classes).copy();
    let model = Head { weight: weight.set_requires_grad(true), problem };
    let numbers = Tensor::from_slice(&[2.0_f32, -1.0, -3.0, -0.5, 0.5, 1.0, -2.0, -0.25, 4.0]).view([3, 3]);
    let rows = || vec![Row { numbers: numbers.shallow_clone(), labels: labels.shallow_clone() }];
    let seen = Seen::default();
    let trained = Trainer::new(Supervised::new(model.seen_by(ScoresAdaptor)).plan()?)
        .optimizer(AdamW::with_lr(1e-9))
        .steps(1)
        .evaluate(rows(), metric)
        .observe(seen.clone())
        .run(rows())?;
    assert!(!seen.steps.borrow().is_empty());
    Ok(trained.summary().evaluations[0])
}

// The values by hand; the correlation of 2, -0.5, -2 with 1, 0, 1 is 1 / 7.
#[test]
fn a_metric_that_does_not_suit_the_problem_type_of_the_head_is_refused_before_the_first_step() {
    let _alone = alone();
    use ProblemType::{MultiLabelClassification as Multi, Regression, SingleLabelClassification as Single};
    let classes = Tensor::from_slice(&[0_i64, 1, 0]);
    let several = Tensor::from_slice2(&[[1.0_f32, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]);
    let numbers = Tensor::from_slice(&[1.0_f32, 0.0, 1.0]);

    assert!((evaluated(Some(Single), 3, &classes, Accuracy).unwrap() - 1.0 / 3.0).abs() < 1e-15);
    assert!((evaluated(Some(Multi), 3, &several, Accuracy).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    assert!((evaluated(Some(Multi), 1, &numbers, Accuracy).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    assert!((evaluated(Some(Regression), 1, &numbers, Pearson).unwrap() - 1.0 / 7.0).abs() < 1e-6);

    let refused = |problem, heads, labels: &Tensor, of: &Evaluated<'_>| {
        let error = of(problem, heads, labels).unwrap_err().to_string();
        assert!(error.contains("evaluation `"), "{error}");
        error
    };
    let accuracy = |problem, heads, labels: &Tensor| evaluated(problem, heads, labels, Accuracy);
    let f1 = |problem, heads, labels: &Tensor| evaluated(problem, heads, labels, F1::Macro);
    let matthews = |problem, heads, labels: &Tensor| evaluated(problem, heads, labels, Matthews);
    let pearson = |problem, heads, labels: &Tensor| evaluated(problem, heads, labels, Pearson);
    let of_classes: [&Evaluated<'_>; 3] = [&accuracy, &f1, &matthews];
    for of in of_classes {
        let said = refused(Some(Multi), 3, &classes, of);
        assert!(said.contains("`problem_type` is multi_label_classification"), "{said}");
        let said = refused(Some(Single), 3, &several, of);
        assert!(said.contains("`problem_type` is single_label_classification"), "{said}");
        for heads in [1, 3] {
            let labels = if heads == 1 { &numbers } else { &several };
            let said = refused(Some(Regression), heads, labels, of);
            assert!(said.contains("is a regression") && said.contains("`Pearson`"), "{said}");
        }
    }
    let said = refused(Some(Multi), 1, &numbers, &pearson);
    assert!(said.contains("is multi_label_classification: measure classes with `Accuracy`"), "{said}");
    let said = refused(Some(Single), 1, &numbers, &pearson);
    assert!(said.contains("a softmax over one logit is always 1"), "{said}");
}

// By hand: over the classes with a logit above 0 the first and the last row agree; by the largest logit all do.
#[test]
fn models_agree_on_all_classes_that_apply_and_not_on_numbers() {
    let logits = |rows: [[f32; 2]; 3]| {
        vec![Row {
            numbers: Tensor::from_slice2(&rows),
            labels: Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)),
        }]
    };
    let of = |problem, classes: i64, rows| {
        let weight = Tensor::eye(2, (Kind::Float, Device::Cpu)).narrow(1, 0, classes).copy();
        Predictions::of(&Head { weight, problem }.seen_by(ScoresAdaptor), &logits(rows)).unwrap()
    };
    let (one, other) = ([[2.0, 1.0], [2.0, 1.0], [-2.0, -1.0]], [[3.0, 0.5], [2.0, -1.0], [-3.0, -2.0]]);
    let agree = |problem, classes| of(problem, classes, one).agreement(&of(problem, classes, other));
    assert_eq!(agree(None, 2).unwrap(), 1.0);
    assert!((agree(Some(ProblemType::MultiLabelClassification), 2).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    assert_eq!(agree(Some(ProblemType::MultiLabelClassification), 1).unwrap(), 1.0);
    for (problem, classes) in [(None, 1), (Some(ProblemType::Regression), 2)] {
        let error = agree(problem, classes).unwrap_err().to_string();
        assert!(error.contains("no class that two models could agree on"), "{error}");
    }
}
