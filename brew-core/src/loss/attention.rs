//! Shared code of the losses over attention maps: what maps hold, and which shapes must match.
//!
//! A map is `(batch, heads, length, length)`, queries before keys, or `(batch, length, length)` for one head.
//! It holds probabilities, as Hugging Face's models and brew's return them, or the scores before the softmax;
//! the loss must be told which, because the values do not tell.

use serde_json::json;
use tch::Tensor;

use super::Features;
use super::catalogue::{OptionRow, choice};
use super::term::{keep, pairs, positions};
use crate::error::Result;
use crate::words::shape;

/// The option for what the maps hold; in a config, a loss's name without options means TextBrewer's form.
pub(super) const MAPS: OptionRow = choice(
    "maps",
    &["probabilities", "scores", "textbrewer"],
    "textbrewer",
    "what the maps hold; `textbrewer`: scores, by TextBrewer's rules",
);

/// What attention maps hold, and by which rules they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maps {
    /// The output of the softmax.
    Probabilities,
    /// The input of the softmax.
    Scores,
    /// Scores, by TextBrewer's rules for them.
    TextBrewer,
}

/// Whether the two sides' heads are compared pairwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    /// Pairwise; `or` names the loss that also works for different numbers of heads.
    Equal { or: &'static str },
    /// Heads are first combined.
    Any,
}

/// Declares a loss over attention maps with its three constructors.
macro_rules! attention_loss {
    ($(#[$doc:meta])* $loss:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $loss {
            maps: $crate::loss::attention::Maps,
        }

        impl $loss {
            /// For the kind of maps in the options.
            pub(in crate::loss) fn chosen(options: &$crate::loss::catalogue::Options) -> Self {
                match options.choice($crate::loss::attention::MAPS.name) {
                    "probabilities" => $loss::probabilities(),
                    "scores" => $loss::scores(),
                    _ => $loss::textbrewer(),
                }
            }

            /// For maps of probabilities, such as Hugging Face's models and brew's return.
            pub fn probabilities() -> Self {
                $loss { maps: $crate::loss::attention::Maps::Probabilities }
            }

            /// For maps of scores, before the softmax. With a mask, padding does not count anywhere; without
            /// one it does.
            pub fn scores() -> Self {
                $loss { maps: $crate::loss::attention::Maps::Scores }
            }

            /// For maps of scores, exactly as in TextBrewer: without a mask, all scores up to -0.001 are
            /// treated as padding. Like TextBrewer it also accepts maps of probabilities, which then go
            /// through a second softmax if the loss has one.
            pub fn textbrewer() -> Self {
                $loss { maps: $crate::loss::attention::Maps::TextBrewer }
            }
        }
    };
}
pub(super) use attention_loss;

impl Maps {
    /// As stored in a plan.
    pub(super) fn options(self) -> serde_json::Value {
        json!({ "maps": match self {
            Maps::Probabilities => "probabilities",
            Maps::Scores => "scores",
            Maps::TextBrewer => "textbrewer",
        } })
    }

    /// What TextBrewer treats as padding without a mask: scores up to -0.001.
    pub(super) fn taken_for_padding(self, maps: &Tensor, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
        match (self, mask) {
            (Maps::TextBrewer, None) => Ok(Some(maps.f_le(-1e-3)?)),
            _ => Ok(None),
        }
    }

    /// The mismatches of the two sides' maps.
    pub(super) fn mismatches(self, student: &Features, teacher: &Features, heads: Heads) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let (Some(student_sizes), Some(teacher_sizes)) = (sizes(&of_student), sizes(&of_teacher)) else {
            return vec![format!(
                "attention maps must be (batch, heads, length, length), or (batch, length, length) for one head; the student's are {}, the teacher's {}",
                shape(&of_student),
                shape(&of_teacher)
            )];
        };
        let ([batch, heads_of_student, queries, keys], [teacher_batch, heads_of_teacher, ..]) =
            (student_sizes, teacher_sizes);
        let mut problems = Vec::new();
        if let Heads::Equal { or } = heads
            && heads_of_student != heads_of_teacher
        {
            problems.push(format!(
                "the student's attention maps have {heads_of_student} heads, the teacher's {heads_of_teacher}: compare all heads together, by `{or}`"
            ));
        }
        if batch != teacher_batch || student_sizes[2..] != teacher_sizes[2..] {
            problems.push(format!(
                "the student's attention maps are {}, the teacher's {}: both sides must read the same rows at the same length",
                shape(&of_student),
                shape(&of_teacher)
            ));
        }
        if let Some(mask) = student.mask.as_ref().map(Tensor::size)
            && (mask != [batch, queries] || queries != keys)
        {
            problems.push(format!(
                "the student's `inputs_mask` is {}, its attention maps are {}: a mask (batch, length) needs maps of (length, length)",
                shape(&mask),
                shape(&of_student)
            ));
        }
        if problems.is_empty() {
            for (side, read) in [("student", student), ("teacher", teacher)] {
                problems.extend(
                    self.value_problem(side, read, student.mask.as_ref())
                        .unwrap_or_else(|error| Some(error.to_string())),
                );
            }
        }
        problems
    }

    /// The problem of maps whose values contradict the declared kind.
    fn value_problem(self, side: &str, read: &Features, mask: Option<&Tensor>) -> Result<Option<String>> {
        let mut maps = maps(read)?.f_detach()?;
        let mut rows = maps.f_sum_dim_intlist(-1, false, None)?;
        if let Some(mask) = mask {
            maps = keep(&maps, &pairs(mask)?.f_unsqueeze(1)?)?;
            let counted = positions(mask)?.f_unsqueeze(1)?.f_expand_as(&rows)?;
            rows = maps.f_sum_dim_intlist(-1, false, None)?.f_masked_select(&counted)?;
        }
        if rows.numel() == 0 {
            return Ok(None);
        }
        let lowest = maps.f_min()?.f_double_value(&[])?;
        let off_by = rows.f_sub_scalar(1.0)?.f_abs()?.f_max()?.f_double_value(&[])?;
        Ok(match self {
            Maps::Probabilities if lowest < 0.0 => Some(format!(
                "the {side}'s attention maps hold {lowest}, so they are scores and not probabilities: use `::scores()`, or give the output of the softmax"
            )),
            // The sum of a row of bfloat16 probabilities differs from 1 by less than this.
            Maps::Scores if lowest >= 0.0 && off_by < 1e-2 => Some(format!(
                "each row of the {side}'s attention maps sums to 1, so they are probabilities and not scores: use `::probabilities()`, or give the input of the softmax"
            )),
            _ => None,
        })
    }
}

/// One side's maps as `(batch, heads, length, length)`, in float32 or wider.
pub(super) fn maps(read: &Features) -> Result<Tensor> {
    let maps = read.first()?;
    if maps.dim() == 3 { Ok(maps.f_unsqueeze(1)?) } else { Ok(maps) }
}

/// `[batch, heads, queries, keys]`.
fn sizes(map: &[i64]) -> Option<[i64; 4]> {
    match *map {
        [batch, heads, queries, keys] => Some([batch, heads, queries, keys]),
        [batch, queries, keys] => Some([batch, 1, queries, keys]),
        _ => None,
    }
}
