//! F1 over entities, from token classes, as computed by seqeval.
//!
//! An entity is correct if its kind, first token and last token are. The value is `2 tp / (2 tp + fp + fn)`
//! over the entities of all texts and kinds (micro). `tags.rs` turns tags into entities.

use tch::{Kind, Tensor};

use super::Metric;
use super::classes::{integers, one_head};
use super::tags::{Scheme, problem};
use super::tags_f1::f1;
use crate::error::{Error, InStage, Result};
use crate::observe::Predictions;
use crate::role::counts;
use crate::words::numbered;

/// F1 over the entities of texts, from the classes of those tokens whose label is not -100 and whose mask is
/// 1.
///
/// If a word has several tokens, label the first one and give the others -100, so that each word counts once.
///
/// ```
/// use brew_core::observe::{EntityF1, Scheme};
///
/// let lenient = EntityF1::new(["O", "B-person", "I-person"])?;
/// let strict = EntityF1::new(["O", "B-person", "I-person", "E-person", "S-person"])?.strict(Scheme::Iobes)?;
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityF1 {
    tags: Vec<String>,
    scheme: Option<Scheme>,
}

impl EntityF1 {
    /// Takes the tag of each class, in order: `O`, `B-…`, `I-…`, and of BIOES (IOBES) `E-…` and `S-…`.
    ///
    /// Tags are read leniently, as by seqeval's default: see [`entities`](super::entities).
    ///
    /// # Errors
    /// Lists invalid tags, and tags that two classes share.
    pub fn new(tags: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        EntityF1 { tags: tags.into_iter().map(Into::into).collect(), scheme: None }.checked()
    }

    /// Counts only entities that are complete by this scheme, as seqeval's `mode="strict"` does.
    ///
    /// # Errors
    /// Lists the tags that the scheme does not have.
    pub fn strict(self, scheme: Scheme) -> Result<Self> {
        EntityF1 { scheme: Some(scheme), ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        let mut problems = Vec::new();
        for (class, tag) in self.tags.iter().enumerate() {
            if let Some(problem) = problem(tag, self.scheme) {
                problems.push(format!("class {class}: {problem}"));
            }
            if let Some(first) = self.tags[..class].iter().position(|other| other == tag) {
                problems.push(format!("class {class} has the same tag as class {first}, `{tag}`"));
            }
        }
        if problems.is_empty() {
            return Ok(self);
        }
        Err(Error::invalid(numbered("these tags do not define entities", &problems)))
    }

    /// The tags of the tokens that count, per example.
    fn tags(&self, classes: &Tensor, counts: &Tensor) -> Result<Vec<Vec<&str>>> {
        let length = usize::try_from(classes.size()[1]).unwrap_or(0).max(1);
        let (classes, counts) = (integers(classes)?, integers(counts)?);
        let texts = classes.chunks(length).zip(counts.chunks(length)).map(|(classes, counts)| {
            let counted = classes.iter().zip(counts).filter(|(_, counts)| **counts != 0);
            let tag = |class: i64| usize::try_from(class).ok().and_then(|class| self.tags.get(class));
            counted.filter_map(|(class, _)| tag(*class).map(String::as_str)).collect()
        });
        Ok(texts.collect())
    }

    /// F1, and the number of tokens that count.
    fn counted(&self, predictions: &Predictions) -> Result<(f64, i64)> {
        let (logits, labels) = one_head("entity_f1", predictions)?;
        let predicted = logits.f_argmax(-1, false)?;
        if predicted.dim() != 2 || predicted.size() != labels.size() || labels.f_kind()? != Kind::Int64 {
            return Err(Error::invalid(format!(
                "entity_f1 needs logits of (examples, length, classes) and int64 labels of (examples, length); they are {:?} and {:?}",
                logits.size(),
                labels.size()
            )));
        }
        if logits.size().last().copied() != i64::try_from(self.tags.len()).ok() {
            return Err(Error::invalid(format!(
                "entity_f1 has {} tags, but the logits have {} classes: give it one tag per class, in the order of the classes",
                self.tags.len(),
                logits.size().last().copied().unwrap_or(0)
            )));
        }
        let mut counts = counts(labels)?;
        if let Some(mask) = predictions.mask() {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        super::classes::problem("entity_f1", predictions, logits, labels)?;
        super::classes::check(predictions, "entity_f1", logits, labels, &counts)?;
        let counted = counts.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        Ok((f1(&self.tags(&predicted, &counts)?, &self.tags(labels, &counts)?, self.scheme)?, counted))
    }
}

impl Metric for EntityF1 {
    fn name(&self) -> &'static str {
        "entity_f1"
    }

    fn options(&self) -> serde_json::Value {
        let scheme = self.scheme.map(|scheme| format!("{scheme:?}"));
        serde_json::json!({ "tags": self.tags, "strict": scheme })
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (value, counted) = self.counted(predictions)?;
        if counted == 0 { Err(super::classes::nothing_counts("entity_f1")) } else { Ok(value) }
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        self.counted(rows).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{EntityF1, Metric as _, Predictions, Scheme, Tensor};
    use crate::model::ProblemType;

    // By hand: two tokens, of several classes each.
    #[test]
    fn a_head_of_several_labels_a_token_is_refused() {
        let logits = Tensor::from_slice(&[1.0_f32, -1.0, 2.0, 3.0]).view([1, 2, 2]);
        let labels = Tensor::from_slice2(&[[0_i64, 1]]);
        let tokens = Predictions::new(vec![logits], vec![labels], None).unwrap();
        let metric = EntityF1::new(["O", "B-a"]).unwrap();
        metric.check(&tokens).unwrap();
        let tokens = tokens.with_problem(Some(ProblemType::MultiLabelClassification));
        let error = metric.check(&tokens).unwrap_err().to_string();
        assert!(error.contains("`problem_type` is multi_label_classification"), "{error}");
    }

    const LABELS: [&[&str]; 3] = [
        &["B-per", "I-per", "O", "I-loc", "I-loc", "B-loc"],
        &["O", "B-org", "I-per", "I-per", "O"],
        &["B-per", "B-per", "I-per", "O"],
    ];
    const PREDICTED: [&[&str]; 3] = [
        &["B-per", "I-per", "O", "B-loc", "I-loc", "I-loc"],
        &["O", "B-org", "I-per", "B-per", "O"],
        &["I-per", "B-per", "I-per", "I-loc"],
    ];
    const BIOES: [(&[&str], &[&str]); 3] = [
        (&["S-per", "O", "B-loc", "I-loc", "E-loc"], &["S-per", "O", "B-loc", "E-loc", "E-loc"]),
        (&["B-org", "E-org", "E-per", "I-per"], &["B-org", "E-org", "B-per", "E-per"]),
        (&["I-per", "E-per", "S-per", "B-per"], &["B-per", "E-per", "S-per", "S-per"]),
    ];

    /// The texts as token classes, with a special token before, and word pieces and padding after, none of
    /// which count.
    fn classes<'t>(
        tags: &[&str],
        texts: impl Iterator<Item = (&'t [&'t str], &'t [&'t str])>,
    ) -> Predictions {
        let class = |tag: &str| tags.iter().position(|known| *known == tag).unwrap() as i64;
        let (mut predicted, mut labels) = (vec![3_i64; 3 * 9], vec![-100_i64; 3 * 9]);
        for (text, (guess, truth)) in texts.enumerate() {
            for (place, (guess, truth)) in guess.iter().zip(truth).enumerate() {
                let cell = 9 * text + place + if place < 2 { 1 } else { 2 };
                (predicted[cell], labels[cell]) = (class(guess), class(truth));
            }
        }
        let classes = tags.len() as i64;
        let logits = Tensor::from_slice(&predicted).one_hot(classes).reshape([3, 9, classes]);
        Predictions::new(vec![logits], vec![Tensor::from_slice(&labels).reshape([3, 9])], None).unwrap()
    }

    const TAGS: [&str; 6] = ["O", "B-per", "I-per", "B-loc", "I-loc", "B-org"];

    // seqeval 1.2.2: f1_score(labels, predicted)
    #[test]
    fn reads_classes_of_the_tokens_that_have_a_label() {
        let predictions = classes(&TAGS, PREDICTED.into_iter().zip(LABELS));
        let found = EntityF1::new(TAGS).unwrap().value(&predictions).unwrap();
        assert!((found - 0.533_333_333_333_333_3).abs() < 1e-15, "{found}");
    }

    // seqeval 1.2.2: f1_score(labels, predicted), and with mode="strict", scheme=IOBES
    #[test]
    fn bioes_is_counted_as_seqeval_does_lenient_and_strict() {
        let tags = ["O", "B-per", "I-per", "E-per", "S-per", "B-loc", "I-loc", "E-loc", "B-org", "E-org"];
        let predictions = classes(&tags, BIOES.into_iter().map(|(labels, predicted)| (predicted, labels)));
        let lenient = EntityF1::new(tags).unwrap();
        let found = lenient.value(&predictions).unwrap();
        assert!((found - 0.625).abs() < 1e-15, "{found}");
        let found = lenient.strict(Scheme::Iobes).unwrap().value(&predictions).unwrap();
        assert!((found - 0.545_454_545_454_545_4).abs() < 1e-15, "{found}");
    }

    #[test]
    fn tags_of_no_scheme_or_twice_are_refused_by_class() {
        let error = EntityF1::new(["O", "U-per", "B-", "O"]).unwrap_err().to_string();
        for part in ["class 1: `U-per`", "class 2: `B-`", "class 3 has the same tag as class 0, `O`"] {
            assert!(error.contains(part), "{error}");
        }
        let error = EntityF1::new(["O", "S-per"]).unwrap().strict(Scheme::Iob2).unwrap_err().to_string();
        assert!(error.contains("class 1: `S-per` is not `O`, `B-kind` or `I-kind`"), "{error}");
    }

    #[test]
    fn other_numbers_of_tags_than_of_classes_and_labels_outside_are_refused() {
        let predictions = classes(&TAGS, PREDICTED.into_iter().zip(LABELS));
        for tags in [&TAGS[..5], &["O", "B-per", "I-per", "B-loc", "I-loc", "B-org", "I-org"]] {
            let error = EntityF1::new(tags.to_vec()).unwrap().value(&predictions).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{} tags, but the logits have 6 classes", tags.len())),
                "{error}"
            );
        }
        for label in [-1, 6] {
            let labels = Tensor::from_slice(&[0_i64, label]).reshape([1, 2]);
            let logits = Tensor::zeros([1, 2, 6], (tch::Kind::Float, tch::Device::Cpu));
            let wrong = Predictions::new(vec![logits], vec![labels], None).unwrap();
            let error = EntityF1::new(TAGS).unwrap().value(&wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("the label of example 0, token 1 is {label}")), "{error}");
        }
    }

    #[test]
    fn labels_of_which_none_counts_are_refused_but_two_such_rows_are_fine() {
        let logits = Tensor::zeros([1, 2, 6], (tch::Kind::Float, tch::Device::Cpu));
        let labels = Tensor::from_slice(&[-100_i64, -100]).reshape([1, 2]);
        let predictions = Predictions::new(vec![logits], vec![labels], None).unwrap();
        let metric = EntityF1::new(TAGS).unwrap();
        assert!(metric.value(&predictions).unwrap_err().to_string().contains("no label counts"));
        metric.check(&predictions).unwrap();
    }
}
