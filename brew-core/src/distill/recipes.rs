//! Recipes: the layer matches of a paper in one call.
//!
//! ```
//! use brew_core::distill::{minilm_v2, tiny_bert};
//! use brew_core::model::LayerMap;
//!
//! let (hidden, attention) = tiny_bert(&LayerMap::uniform(12, 4)?, 312, 768);
//! assert_eq!((hidden.len(), attention.len()), (5, 4));
//! let (query, ..) = minilm_v2(10, 2, 48);
//! assert_eq!(query.name(), "minilm_relation_query_t10_s2");
//! # Ok::<(), brew_core::Error>(())
//! ```

use super::{
    Declared, Match, Matches, TheTeacher, attention, features, hidden, student_layer, teacher_layer,
};
use crate::loss::{AttentionMse, HiddenMse, MatchLoss, MiniLmRelation, OneLayer};
use crate::model::LayerMap;
use crate::plan::Projection;
use crate::role::{Attention, Hidden, Key, Query, Role, Value};

/// Matches of several layers of one role.
pub type MatchesOf<R> = Vec<Match<R, TheTeacher>>;

/// TinyBERT's first stage: embeddings and hidden states, with a projection if the widths differ, and
/// attention maps of probabilities (Jiao et al., "TinyBERT", 2020). Its second stage is
/// `.soft_targets(KdCe::at(1.0))` alone.
pub fn tiny_bert(
    map: &LayerMap,
    student_width: i64,
    teacher_width: i64,
) -> (MatchesOf<Hidden>, MatchesOf<Attention>) {
    let of_hidden = map.hidden().into_iter().map(|(teacher, student)| {
        let found = hidden(teacher_layer(teacher), student_layer(student)).by(HiddenMse);
        if student_width == teacher_width {
            found
        } else {
            found.project(Projection::linear(student_width, teacher_width))
        }
    });
    let of_attention = map.attention().into_iter().map(|(teacher, student)| {
        attention(teacher_layer(teacher), student_layer(student)).by(AttentionMse::probabilities())
    });
    (of_hidden.collect(), of_attention.collect())
}

/// MiniLMv2: the relations of queries, keys and values of one layer per side, split into `heads` relation
/// heads (Wang et al., "MiniLMv2", 2021). Use the student's last layer; for a large teacher an upper middle
/// layer works better than the last.
pub fn minilm_v2(
    teacher: i64,
    student: i64,
    heads: i64,
) -> (Match<Query, TheTeacher>, Match<Key, TheTeacher>, Match<Value, TheTeacher>) {
    (relation(teacher, student, heads), relation(teacher, student, heads), relation(teacher, student, heads))
}

fn relation<R: Role>(teacher: i64, student: i64, heads: i64) -> Match<R, TheTeacher>
where
    MiniLmRelation: MatchLoss<R, OneLayer>,
{
    features::<R, _>(teacher_layer(teacher), student_layer(student))
        .by(MiniLmRelation::heads(heads))
        .named(format!("minilm_relation_{}_t{teacher}_s{student}", R::NAME))
}

#[expect(private_interfaces, reason = "only the builder collects declared losses")]
impl<T, S, A: Matches<T, S>, B: Matches<T, S>> Matches<T, S> for (A, B) {
    fn into_declared(self) -> Vec<Declared> {
        self.0.into_declared().into_iter().chain(self.1.into_declared()).collect()
    }
}

#[expect(private_interfaces, reason = "only the builder collects declared losses")]
impl<T, S, A: Matches<T, S>, B: Matches<T, S>, C: Matches<T, S>> Matches<T, S> for (A, B, C) {
    fn into_declared(self) -> Vec<Declared> {
        ((self.0, self.1), self.2).into_declared()
    }
}
