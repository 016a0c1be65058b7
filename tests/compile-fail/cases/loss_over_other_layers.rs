//! A loss over layers of another role, or over another number of layers, than it compares.
use brew_core::loss::{MatchLoss, OneLayer};
use brew_core::prelude::*;

struct SentenceEmbedding;

impl role::Role for SentenceEmbedding {
    const NAME: &'static str = "sentence_embedding";
}

impl MatchLoss<SentenceEmbedding, OneLayer> for Pkd {}

fn main() {
    let _ = hidden(teacher_layer(4), student_layer(2)).by(Fsp);
    let _ = hidden(teacher_layer([0, 4]), student_layer([0, 2])).by(Cos);
    let _ = hidden(teacher_layer(4), student_layer(2)).by(AttentionCe::probabilities());
    let _ = attention(teacher_layer(4), student_layer(2)).by(HiddenMse);
    let _ = attention(teacher_layer([0, 4]), student_layer([0, 2])).by(AttentionMse::scores());
    // A user's own role takes what the user says fits it, and nothing else.
    let _ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(Pkd);
    let _ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(Nst);
}
