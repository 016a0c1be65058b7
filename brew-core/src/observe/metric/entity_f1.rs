//! F1 over entities in the IOB2 scheme (`B-person`, `I-person`, `O`), as seqeval counts it by default.
//!
//! An entity is right when its kind, its first and its last token are. `2 tp / (2 tp + fp + fn)` over
//! the entities of all texts and kinds (micro). The default mode of seqeval is that of the script of
//! CoNLL-2000, `conlleval`, and lenient: an `I-` that does not continue an entity of its kind begins
//! one.

use std::collections::BTreeSet;

use tch::{Kind, Tensor};

use super::Metric;
use super::classes::{integers, one_head};
use super::f1::Counts;
use crate::error::{Error, InStage, Result, numbered};
use crate::observe::Predictions;
use crate::observe::predictions::IGNORED;

/// An entity of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity<'t> {
    /// Its kind, the tag without `B-` and `I-`.
    pub kind: &'t str,
    /// Its first token, from 0.
    pub first: usize,
    /// Its last token, from 0.
    pub last: usize,
}

/// The entities of a text, by the tags of its tokens.
///
/// ```
/// use brew_core::observe::{Entity, entities};
///
/// let tags = ["B-person", "I-person", "O", "I-place"];
/// let found = [Entity { kind: "person", first: 0, last: 1 }, Entity { kind: "place", first: 3, last: 3 }];
/// assert_eq!(entities(&tags), found);
/// ```
pub fn entities<'t>(tags: &[&'t str]) -> Vec<Entity<'t>> {
    let mut entities: Vec<Entity<'t>> = Vec::new();
    for (place, tag) in tags.iter().enumerate() {
        let Some((prefix, kind)) = tag.split_once('-') else { continue };
        match entities.last_mut() {
            Some(open) if prefix == "I" && open.kind == kind && open.last + 1 == place => open.last = place,
            _ => entities.push(Entity { kind, first: place, last: place }),
        }
    }
    entities
}

/// F1 over the entities of some texts, 0 to 1; 0 where there are none.
///
/// # Errors
/// When a text has another number of predicted tags than of true ones.
pub fn entity_f1(predicted: &[Vec<&str>], labels: &[Vec<&str>]) -> Result<f64> {
    let mut counts = Counts::default();
    if predicted.len() != labels.len() {
        return Err(Error::invalid(format!(
            "there are tags of {} texts predicted, and of {} true",
            predicted.len(),
            labels.len()
        )));
    }
    for (text, (predicted, labels)) in predicted.iter().zip(labels).enumerate() {
        if predicted.len() != labels.len() {
            return Err(Error::invalid(format!(
                "text {text} has {} predicted tags and {} true ones",
                predicted.len(),
                labels.len()
            )));
        }
        let predicted: BTreeSet<Entity<'_>> = entities(predicted).into_iter().collect();
        let labels: BTreeSet<Entity<'_>> = entities(labels).into_iter().collect();
        let right = predicted.intersection(&labels).count();
        counts.right += right;
        counts.wrong += predicted.len() - right;
        counts.missed += labels.len() - right;
    }
    Ok(counts.f1())
}

/// [`entity_f1`] over classes of tokens: those whose label is not -100 and that the mask shows.
///
/// Where a word has several tokens, label its first and give the others -100: then each word counts
/// once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityF1(Vec<String>);

impl EntityF1 {
    /// Takes the tag of each class, in order.
    ///
    /// # Errors
    /// Lists the tags that are not `O`, `B-…` or `I-…`.
    pub fn new(tags: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        let scheme = |tag: &str| {
            tag == "O" || matches!(tag.split_once('-'), Some(("B" | "I", kind)) if !kind.is_empty())
        };
        let strange: Vec<String> = (tags.iter().enumerate())
            .filter(|(_, tag)| !scheme(tag))
            .map(|(class, tag)| format!("class {class} is `{tag}`"))
            .collect();
        if !strange.is_empty() {
            return Err(Error::invalid(numbered("a tag must be `O`, `B-kind` or `I-kind`", &strange)));
        }
        Ok(EntityF1(tags))
    }

    /// The tags of the tokens that count, of each example.
    fn tags(&self, classes: &Tensor, counts: &Tensor) -> Result<Vec<Vec<&str>>> {
        let length = usize::try_from(classes.size()[1]).unwrap_or(0).max(1);
        let (classes, counts) = (integers(classes)?, integers(counts)?);
        let tag = |class: i64| {
            usize::try_from(class).ok().and_then(|class| self.0.get(class)).map(String::as_str).ok_or_else(
                || Error::invalid(format!("entity_f1 has {} tags, and there is class {class}", self.0.len())),
            )
        };
        classes
            .chunks(length)
            .zip(counts.chunks(length))
            .map(|(classes, counts)| {
                let counted = classes.iter().zip(counts).filter(|(_, counts)| **counts != 0);
                counted.map(|(class, _)| tag(*class)).collect()
            })
            .collect()
    }
}

impl Metric for EntityF1 {
    fn name(&self) -> &'static str {
        "entity_f1"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (logits, labels) = one_head("entity_f1", predictions)?;
        let predicted = logits.f_argmax(-1, false)?;
        if predicted.dim() != 2 || predicted.size() != labels.size() || labels.f_kind()? != Kind::Int64 {
            return Err(Error::invalid(format!(
                "entity_f1 needs logits of (examples, length, classes) and int64 labels of (examples, length); they are {:?} and {:?}",
                logits.size(),
                labels.size()
            )));
        }
        let mut counts = labels.f_ne(IGNORED)?;
        if let Some(mask) = predictions.mask() {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        entity_f1(&self.tags(&predicted, &counts)?, &self.tags(labels, &counts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entity, EntityF1, Metric as _, Predictions, Tensor, entities, entity_f1};

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

    fn owned<'t>(texts: &[&[&'t str]]) -> Vec<Vec<&'t str>> {
        texts.iter().map(|text| text.to_vec()).collect()
    }

    // seqeval 1.2.2: get_entities(tags) of each, from seqeval.metrics.sequence_labeling
    #[test]
    fn entities_are_those_of_seqeval() {
        let golden: [&[(&str, usize, usize)]; 6] = [
            &[("per", 0, 1), ("loc", 3, 4), ("loc", 5, 5)],
            &[("org", 1, 1), ("per", 2, 3)],
            &[("per", 0, 0), ("per", 1, 2)],
            &[("per", 0, 1), ("loc", 3, 5)],
            &[("org", 1, 1), ("per", 2, 2), ("per", 3, 3)],
            &[("per", 0, 0), ("per", 1, 2), ("loc", 3, 3)],
        ];
        for (tags, golden) in LABELS.iter().chain(&PREDICTED).zip(golden) {
            let golden: Vec<_> =
                golden.iter().map(|&(kind, first, last)| Entity { kind, first, last }).collect();
            assert_eq!(entities(tags), golden, "{tags:?}");
        }
    }

    // seqeval 1.2.2: f1_score(labels, predicted), and f1_score([["O", "O"]], [["O", "O"]])
    #[test]
    fn is_that_of_seqeval() {
        let found = entity_f1(&owned(&PREDICTED), &owned(&LABELS)).unwrap();
        assert!((found - 0.533_333_333_333_333_3).abs() < 1e-15, "{found}");
        assert_eq!(entity_f1(&owned(&[&["O", "O"]]), &owned(&[&["O", "O"]])).unwrap(), 0.0);
    }

    // The same texts as classes of tokens, with a special token before, and pieces of words and
    // padding after, none of which counts.
    #[test]
    fn reads_classes_of_the_tokens_that_have_a_label() {
        let tags = ["O", "B-per", "I-per", "B-loc", "I-loc", "B-org"];
        let class = |tag: &str| tags.iter().position(|known| *known == tag).unwrap() as i64;
        let (mut predicted, mut labels) = (vec![3_i64; 3 * 9], vec![-100_i64; 3 * 9]);
        for (text, (guess, truth)) in PREDICTED.iter().zip(LABELS).enumerate() {
            for (place, (guess, truth)) in guess.iter().zip(truth).enumerate() {
                let cell = 9 * text + place + if place < 2 { 1 } else { 2 };
                (predicted[cell], labels[cell]) = (class(guess), class(truth));
            }
        }
        let logits = Tensor::from_slice(&predicted).one_hot(6).reshape([3, 9, 6]);
        let labels = Tensor::from_slice(&labels).reshape([3, 9]);
        let predictions = Predictions::new(vec![logits], vec![labels], None).unwrap();
        let found = EntityF1::new(tags).unwrap().value(&predictions).unwrap();
        assert!((found - 0.533_333_333_333_333_3).abs() < 1e-15, "{found}");
        let error = EntityF1::new(["O", "B-per"]).unwrap().value(&predictions).unwrap_err().to_string();
        assert!(error.contains("has 2 tags, and there is class"), "{error}");
    }

    #[test]
    fn tags_of_another_scheme_are_refused_by_name() {
        let error = EntityF1::new(["O", "S-per", "B-"]).unwrap_err().to_string();
        assert!(error.contains("class 1 is `S-per`") && error.contains("class 2 is `B-`"), "{error}");
    }
}
