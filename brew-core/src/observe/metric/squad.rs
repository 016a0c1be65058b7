//! Exact match and F1 of text answers, by the rules of SQuAD's official script (version 2.0).
//!
//! Both compare normalised texts: lower case, without ASCII punctuation, without the words *a*, *an* and
//! *the*, with single spaces. F1 is over the words that both share, counted with multiplicity: `2 p r / (p +
//! r)`, where `p` and `r` are their share of the prediction's and the answer's words; if either has no words,
//! 1 if both have none, else 0. A question counts the best of its answers; answers without words are ignored
//! if others have words (`get_raw_scores`: `gold_answers = [a['text'] for a in qa['answers'] if
//! normalize_answer(a['text'])]`, and `['']` where that is empty). The script gives percentages, these
//! metrics 0 to 1.
//!
//! Words and spaces are defined as in Python: a word consists of letters and numbers (general categories L
//! and N, as in `str.isalnum`), and U+001C to U+001F are spaces (`str.isspace`).

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::Metric;
use crate::error::{Error, Result};
use crate::observe::Predictions;

/// Whether both texts are equal after normalisation: 1 or 0.
///
/// ```
/// use brew_core::observe::{exact_match, token_f1};
///
/// assert_eq!(exact_match("The Eiffel Tower!", "eiffel  tower"), 1.0);
/// assert_eq!(token_f1("the cat sat on the mat", "a cat on mat mat"), 0.75);
/// ```
pub fn exact_match(prediction: &str, answer: &str) -> f64 {
    f64::from(normalised(prediction) == normalised(answer))
}

/// The F1 of the words that both texts have, 0 to 1.
pub fn token_f1(prediction: &str, answer: &str) -> f64 {
    let (prediction, answer) = (normalised(prediction), normalised(answer));
    if prediction.is_empty() || answer.is_empty() {
        return f64::from(prediction == answer);
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &answer {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &prediction {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (common as f64 / prediction.len() as f64, common as f64 / answer.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// The words of a text after normalisation.
fn normalised(text: &str) -> Vec<String> {
    let lower: String = text.to_lowercase().chars().filter(|char| !char.is_ascii_punctuation()).collect();
    let mut without_articles = String::with_capacity(lower.len());
    let mut rest = lower.as_str();
    while let Some(first) = rest.chars().next() {
        let word = in_word(first);
        let end = rest.find(|char: char| in_word(char) != word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        without_articles.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    without_articles.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Python's `str.isalnum`, which is its `\w` without the underscore. `char::is_alphanumeric` also accepts
/// vowel signs and circled letters.
fn in_word(char: char) -> bool {
    let group = char.general_category_group();
    matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

/// Python's `str.isspace`.
fn is_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{1c}'..='\u{1f}')
}

/// The right answers, and the function that turns a model's logits into texts.
///
/// Cheap to clone: both metrics can share one.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::observe::{Predictions, SquadAnswers, SquadExactMatch, SquadF1};
///
/// # fn main() -> Result<()> {
/// // One question over one text; each token is one of its words. `brew_data::Answers` does it for
/// // tokenised texts and several windows a question.
/// let words = ["It", "is", "green"];
/// let answers = SquadAnswers::new(vec![vec!["Green!".to_owned()]], move |predictions| {
///     let best = |head: usize| predictions.logits()[head].argmax(-1, false).int64_value(&[0]) as usize;
///     Ok(vec![words[best(0)..=best(1)].join(" ")])
/// });
/// let logits = Tensor::from_slice2(&[[0.0f32, 1.0, 2.0]]); // of the start, and here of the end, too
/// let predictions = Predictions::new(vec![logits.shallow_clone(), logits], vec![], None)?;
/// assert_eq!(SquadExactMatch::new(&answers).value(&predictions)?, 1.0);
/// assert_eq!(SquadF1::new(&answers).value(&predictions)?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SquadAnswers {
    right: Rc<[Vec<String>]>,
    #[expect(clippy::type_complexity, reason = "predictions to texts")]
    read: Rc<dyn Fn(&Predictions) -> Result<Vec<String>>>,
}

impl fmt::Debug for SquadAnswers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SquadAnswers").field("questions", &self.right.len()).finish_non_exhaustive()
    }
}

impl SquadAnswers {
    /// `right` holds every right answer of each question, none if it has no answer; `read` returns the
    /// model's answer to each, in the same order.
    ///
    /// `read` receives the logits of all batches together, in the order of the data: shuffled or bucketed
    /// batches are refused.
    pub fn new(
        right: Vec<Vec<String>>,
        read: impl Fn(&Predictions) -> Result<Vec<String>> + 'static,
    ) -> Self {
        SquadAnswers { right: right.into(), read: Rc::new(read) }
    }

    /// A hash of the right answers; the function that reads them cannot be compared.
    fn options(&self) -> serde_json::Value {
        let mut hasher = blake3::Hasher::new();
        for answers in &*self.right {
            hasher.update(&(answers.len() as u64).to_le_bytes());
            for answer in answers {
                hasher.update(&(answer.len() as u64).to_le_bytes()).update(answer.as_bytes());
            }
        }
        serde_json::json!({ "answers": hasher.finalize().to_hex()[..32] })
    }

    /// The mean over questions of the best value of `compare` over the right answers.
    fn mean(&self, predictions: &Predictions, compare: fn(&str, &str) -> f64) -> Result<f64> {
        let texts = (self.read)(predictions)?;
        if texts.len() != self.right.len() {
            return Err(Error::invalid(format!(
                "there are {} questions, but {} answers were read from the logits",
                self.right.len(),
                texts.len()
            )));
        }
        if texts.is_empty() {
            return Err(Error::invalid("there are no questions to judge answers to"));
        }
        let value = |(text, right): (&String, &Vec<String>)| {
            let mut right = right.iter().filter(|answer| !normalised(answer).is_empty()).peekable();
            match right.peek() {
                None => compare(text, ""),
                Some(_) => right.map(|answer| compare(text, answer)).fold(0.0, f64::max),
            }
        };
        let sum: f64 = texts.iter().zip(self.right.iter()).map(value).sum();
        Ok(sum / texts.len() as f64)
    }

    /// Two rows are too few to read answers from. This only checks that there are scores of positions: two
    /// heads, or one head with more than one score per position.
    fn check(metric: &str, rows: &Predictions) -> Result<()> {
        match rows.logits() {
            [scores] if scores.dim() < 3 => Err(Error::invalid(format!(
                "{metric} measures answers in text, which need logits of starts and of ends, (examples, length) each; this model gives one tensor of logits, {:?}",
                scores.size()
            ))),
            _ => Ok(()),
        }
    }
}

/// The share of questions whose answer is correct after normalisation, 0 to 1.
#[derive(Debug, Clone)]
pub struct SquadExactMatch(SquadAnswers);

/// The mean over questions of the word F1, 0 to 1.
#[derive(Debug, Clone)]
pub struct SquadF1(SquadAnswers);

impl SquadExactMatch {
    /// Judges answers to these questions.
    pub fn new(answers: &SquadAnswers) -> Self {
        SquadExactMatch(answers.clone())
    }
}

impl SquadF1 {
    /// Judges answers to these questions.
    pub fn new(answers: &SquadAnswers) -> Self {
        SquadF1(answers.clone())
    }
}

impl Metric for SquadExactMatch {
    fn name(&self) -> &'static str {
        "exact_match"
    }

    fn options(&self) -> serde_json::Value {
        self.0.options()
    }

    fn reads_order(&self) -> bool {
        true
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        self.0.mean(predictions, exact_match)
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        SquadAnswers::check("exact_match", rows)
    }
}

impl Metric for SquadF1 {
    fn name(&self) -> &'static str {
        "squad_f1"
    }

    fn options(&self) -> serde_json::Value {
        self.0.options()
    }

    fn reads_order(&self) -> bool {
        true
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        self.0.mean(predictions, token_f1)
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        SquadAnswers::check("squad_f1", rows)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Metric as _, Predictions, SquadAnswers, SquadExactMatch, SquadF1, exact_match, normalised, token_f1,
    };

    fn nothing() -> Predictions {
        let logits = || tch::Tensor::from_slice2(&[[0.0_f32]]);
        Predictions::new(vec![logits(), logits()], vec![], None).unwrap()
    }

    fn answers(right: &[&[&str]], read: &'static [&str]) -> SquadAnswers {
        let right = right.iter().map(|right| right.iter().map(|&text| text.to_owned()).collect());
        SquadAnswers::new(right.collect(), |_| Ok(read.iter().map(|&text| text.to_owned()).collect()))
    }

    // By hand: the best of two answers is 2/3 ("ef" of "cd ef"), no answer to no answer is 1, and
    // some answer to no answer is 0.
    #[test]
    fn a_question_counts_its_best_answer_and_no_answer_can_be_right() {
        let answers = answers(&[&["x", "cd ef"], &[], &[]], &["ef", "", "y"]);
        let f1 = SquadF1::new(&answers).value(&nothing()).unwrap();
        assert!((f1 - (2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15, "{f1}");
        let exact = SquadExactMatch::new(&answers).value(&nothing()).unwrap();
        assert!((exact - 1.0 / 3.0).abs() < 1e-15, "{exact}");
    }

    // SQuAD's evaluate-v2.0.py, get_raw_scores: of the answers "the" and "x" only "x" is left, so that no
    // answer is wrong; of "the" and "a!" none is left, and no answer is right; "the" says nothing either.
    #[test]
    fn answers_without_a_word_are_left_out_where_others_have_one() {
        let answers = answers(
            &[&["the", "x"], &["the", "x"], &["the", "a!"], &["x", ""], &["The", "an"]],
            &["", "x", "", "the", "y"],
        );
        for metric in [&SquadF1::new(&answers) as &dyn super::Metric, &SquadExactMatch::new(&answers)] {
            let found = metric.value(&nothing()).unwrap();
            assert!((found - 2.0 / 5.0).abs() < 1e-15, "{}: {found}", metric.name());
        }
    }

    #[test]
    fn the_logits_of_a_classifier_are_no_answers() {
        let logits = tch::Tensor::from_slice2(&[[0.0_f32, 1.0]]);
        let rows = Predictions::new(vec![logits], vec![], None).unwrap();
        let error = SquadF1::new(&answers(&[&["x"]], &["x"])).check(&rows).unwrap_err().to_string();
        assert!(error.contains("logits of starts and of ends"), "{error}");
        SquadF1::new(&answers(&[&["x"]], &["x"])).check(&nothing()).unwrap();
    }

    #[test]
    fn no_question_and_other_questions_are_errors() {
        let error = SquadF1::new(&answers(&[], &[])).value(&nothing()).unwrap_err().to_string();
        assert!(error.contains("there are no questions"), "{error}");
        let error = SquadF1::new(&answers(&[&["x"]], &[])).value(&nothing()).unwrap_err().to_string();
        assert!(error.contains("1 questions, but 0 answers"), "{error}");
    }

    // Python 3.11, by the rule of SQuAD's evaluate-v2.0.py:
    // def norm(s):
    //     bare = "".join(c for c in s.lower() if c not in set(string.punctuation))
    //     return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
    // def f1(p, g):
    //     p, g = norm(p).split(), norm(g).split()
    //     if not p or not g: return float(p == g)
    //     n = sum((Counter(p) & Counter(g)).values())
    //     return 0. if not n else 2 * n / len(p) * n / len(g) / (n / len(p) + n / len(g))
    // for p, g in cases: print(norm(p), norm(p) == norm(g), f1(p, g))
    #[test]
    fn normalises_and_compares_as_the_official_script() {
        for (prediction, answer, words, exact, f1) in [
            ("The  Eiffel-Tower, an icon", "eiffeltower icon", "eiffeltower icon", 1.0, 1.0),
            ("the cat sat on the mat", "a cat on mat mat", "cat sat on mat", 0.0, 0.75),
            ("“The” end–a b", "“ ” end– b", "“ ” end– b", 1.0, 1.0),
            ("Theory of a.n", "theory of", "theory of", 1.0, 1.0),
            ("the", "", "", 1.0, 1.0),
            ("x", "y", "x", 0.0, 0.0),
            ("x", "", "x", 0.0, 0.0),
            ("U.S. 308", "us 308 308", "us 308", 0.0, 0.8),
            ("Ünïted ÉTATS", "ünïted états the", "ünïted états", 1.0, 1.0),
            ("an\u{1f}a b", "b", "b", 1.0, 1.0),
            ("a\u{93e} x", "\u{93e} x", "\u{93e} x", 1.0, 1.0),
            ("aⒶ an²", "Ⓐ an²", "ⓐ an²", 1.0, 1.0),
        ] {
            assert_eq!(normalised(prediction).join(" "), words);
            assert_eq!(exact_match(prediction, answer), exact, "{prediction}");
            assert!((token_f1(prediction, answer) - f1).abs() < 1e-15, "{prediction}");
        }
    }
}
