//! Class weights and label smoothing against `torch.nn.CrossEntropyLoss`, and over accumulated batches.
//!
//! torch 2.11.0, transformers 5.24.0, with the models and inputs of `fixtures/heads`; the gradient is that of
//! `classifier.weight`, and the labels of the sequences are those below:
//!
//! ```python
//! for weight in [None, weights]:
//!     for smoothing in [0, .1, 1]:
//!         loss = torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing, ignore_index=-100)
//!         loss(model(**inputs).logits.flatten(0, -2), labels.flatten()).backward()
//! ```

use brew_core::adaptor::Provides;
use brew_core::execute::Executor;
use brew_core::model::{
    BertForTokenClassification, BiGruConfig, BiGruForSequenceClassification, ClassifierOutputAdaptor,
    ProblemType, TokenClassifierOutputAdaptor,
};
use brew_core::pass::Wants;
use brew_core::prelude::*;

use super::support::{head_folder, recorded, token_batch};

const WEIGHTS: [f64; 3] = [1.0, 3.0, 0.25];
const TOKEN_WEIGHTS: [f64; 5] = [1.0, 3.0, 0.25, 0.0, 2.0];

/// Whether weighted, smoothing, loss and norm of the gradient.
type Golden = (bool, f64, f64, f64);
const SEQUENCES: [Golden; 6] = [
    (false, 0.0, 1.027_444_243_431_091_3, 1.567_963_838_577_270_5),
    (false, 0.1, 1.052_229_523_658_752_4, 1.429_177_999_496_46),
    (false, 1.0, 1.275_297_760_963_44, 0.626_554_071_903_228_8),
    (true, 0.0, 1.075_443_029_403_686_5, 1.625_667_095_184_326_2),
    (true, 0.1, 1.124_305_486_679_077_1, 1.610_613_226_890_564),
    (true, 1.0, 1.564_067_602_157_592_8, 1.963_949_322_700_500_5),
];
const TOKENS: [Golden; 6] = [
    (false, 0.0, 2.929_273_366_928_100_6, 2.923_637_866_973_877),
    (false, 0.1, 2.912_348_747_253_418, 2.898_837_804_794_311_5),
    (false, 1.0, 2.760_029_554_367_065_4, 2.804_100_751_876_831),
    (true, 0.0, 2.594_625_234_603_882, 2.698_224_544_525_146_5),
    (true, 0.1, 2.577_149_629_592_895_5, 2.684_592_247_009_277_3),
    (true, 1.0, 2.419_870_376_586_914, 2.621_541_023_254_394_5),
];

fn sequences(weighted: bool, smoothing: f64) -> BertForSequenceClassification {
    let model =
        BertForSequenceClassification::from_pretrained(head_folder("distilbert/sequence"), Device::Cpu);
    let model = model.unwrap().label_smoothing(smoothing).unwrap();
    if weighted { model.class_weights(WEIGHTS).unwrap() } else { model }
}

fn texts() -> TextBatch {
    let inputs = recorded("distilbert/sequence");
    TextBatch {
        input_ids: inputs["input_ids"].shallow_clone(),
        attention_mask: inputs["attention_mask"].shallow_clone(),
        token_type_ids: None,
        labels: Some(Tensor::from_slice(&[0_i64, -100, 1, 2])),
    }
}

fn tokens(weighted: bool, smoothing: f64) -> BertForTokenClassification {
    let model = BertForTokenClassification::from_pretrained(head_folder("bert/token"), Device::Cpu);
    let model = model.unwrap().label_smoothing(smoothing).unwrap();
    if weighted { model.class_weights(TOKEN_WEIGHTS).unwrap() } else { model }
}

/// The rows of a batch in groups of this size.
fn cut<B: Batch>(batch: &B, rows: i64) -> Vec<B> {
    (0..4 / rows)
        .map(|part| batch.map(&mut |_, tensor| Ok(tensor.narrow(0, part * rows, rows))).unwrap())
        .collect()
}

/// The loss over these batches as one window, and the norm of its gradient.
fn windowed<A>(model: Seen<A>, batches: &[A::Batch]) -> (f64, f64)
where
    A: Adaptor + Provides<role::Losses>,
{
    let pipeline = Supervised::new(model).plan().unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let window = executor.window(batches).unwrap();
    let pass = Pass::evaluation(Wants::nothing());
    let mut sum = 0.0;
    for batch in batches {
        let total = executor.run(batch, &pass, Some(&window)).unwrap().total;
        sum += total.double_value(&[]);
        if total.requires_grad() {
            total.backward();
        }
    }
    let parameters = pipeline.student().parameters();
    let (_, weight) = parameters.iter().find(|(name, _)| *name == "classifier.weight").unwrap();
    (sum, weight.grad().norm().double_value(&[]))
}

fn near(found: (f64, f64), expected: Golden, what: &str) {
    let (weighted, smoothing, loss, gradient) = expected;
    let off = (found.0 - loss).abs().max((found.1 - gradient).abs());
    assert!(off < 2e-5, "{what}, weighted {weighted}, smoothing {smoothing}: {found:?}");
}

#[test]
fn weights_and_smoothing_are_those_of_torch_however_a_window_is_cut() {
    for rows in [4, 2, 1] {
        for golden in SEQUENCES {
            let model = sequences(golden.0, golden.1).seen_by(ClassifierOutputAdaptor);
            near(windowed(model, &cut(&texts(), rows)), golden, &format!("sequences by {rows}"));
        }
        for golden in TOKENS {
            let model = tokens(golden.0, golden.1).seen_by(TokenClassifierOutputAdaptor);
            let batch = token_batch(&recorded("bert/token"));
            near(windowed(model, &cut(&batch, rows)), golden, &format!("tokens by {rows}"));
        }
    }
}

// The formula written out in float64, from PyTorch's documentation of `CrossEntropyLoss`.
#[test]
fn a_bigru_weighs_and_smooths_as_a_bert_does() {
    let config = BiGruConfig { vocab_size: 40, hidden_size: 4, num_labels: 3, ..BiGruConfig::default() };
    let model = BiGruForSequenceClassification::new(config, 3, Device::Cpu).unwrap();
    let model = model.class_weights(WEIGHTS).unwrap().label_smoothing(0.1).unwrap();
    let (ids, labels) = (Tensor::from_slice(&[5_i64, 6, 7, 8]).unsqueeze(1), [0_usize, 2, 1, 2]);
    let classes = Tensor::from_slice(&labels.map(|label| i64::try_from(label).unwrap()));
    let pass = Pass::evaluation(Wants::nothing().and_role("losses"));
    let output = model.forward(&ids, &ids.ones_like(), Some(&classes), &pass).unwrap();
    let log = output.logits.to_kind(Kind::Double).log_softmax(-1, None);
    let (mut sum, mut count) = (0.0, 0.0);
    for (row, label) in labels.into_iter().enumerate() {
        let at = |class: usize| log.double_value(&[row as i64, class as i64]);
        sum -= 0.9 * WEIGHTS[label] * at(label);
        sum -= 0.1 / 3.0 * (0..3).map(|class| WEIGHTS[class] * at(class)).sum::<f64>();
        count += WEIGHTS[label];
    }
    let batch = TextBatch {
        input_ids: ids.shallow_clone(),
        attention_mask: ids.ones_like(),
        token_type_ids: None,
        labels: Some(classes),
    };
    let (found, _) = windowed(model.seen_by(ClassifierOutputAdaptor), &cut(&batch, 2));
    assert!((found - sum / count).abs() < 1e-6, "{found} {}", sum / count);
}

#[test]
fn what_cannot_be_weighed_is_refused() {
    let model = || sequences(false, 0.0);
    let message = |refused: Result<BertForSequenceClassification>| refused.unwrap_err().to_string();
    assert_eq!(
        message(model().class_weights([1.0, 2.0])),
        "there are 2 class weights, but the head has 3 classes"
    );
    for weights in [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, f64::NAN, 1.0], [1.0, f64::INFINITY, 1.0]] {
        assert!(message(model().class_weights(weights)).contains("finite and not negative"));
    }
    for smoothing in [-0.1, 1.5, f64::NAN] {
        assert!(message(model().label_smoothing(smoothing)).contains("it must lie in [0, 1]"));
    }
    let several =
        model().problem(ProblemType::MultiLabelClassification).unwrap().label_smoothing(0.1).unwrap();
    let batch = texts();
    let labels = Tensor::zeros([4, 3], (Kind::Float, Device::Cpu));
    let pass = Pass::evaluation(Wants::nothing().and_role("losses"));
    let refused = several.forward(&batch.input_ids, &batch.attention_mask, None, Some(&labels), &pass);
    assert!(refused.unwrap_err().to_string().contains("those of multi_label_classification: remove them"));
}

#[test]
fn a_run_that_resumes_with_other_weights_or_smoothing_has_another_student() {
    let identity = |weighted, smoothing| sequences(weighted, smoothing).identity().unwrap();
    let plain = identity(false, 0.0);
    assert!(!plain.contains_key("class_weights") && !plain.contains_key("label_smoothing"));
    assert_eq!(identity(true, 0.1)["class_weights"], "[1.0, 3.0, 0.25]");
    assert_eq!(identity(true, 0.1)["label_smoothing"], "0.1");
    let other = sequences(false, 0.0).class_weights([1.0, 3.0, 0.5]).unwrap().identity().unwrap();
    assert_ne!(other, identity(true, 0.0));
    // A model's identity is what `config.json` of a run holds of its student.
    assert_ne!(plain, identity(false, 0.1));
}
