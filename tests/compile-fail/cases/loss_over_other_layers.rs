//! A loss over layers of another role, or over another number of layers, than it compares.
use brew_core::loss::{MatchLoss, OneLayer};
use brew_core::prelude::*;
use brew_core::distill::{features, student_layer, teacher_layer};

struct SentenceEmbedding;

impl role::Role for SentenceEmbedding {
    const NAME: &'static str = "sentence_embedding";
}

impl MatchLoss<SentenceEmbedding, OneLayer> for loss::Pkd {}

fn main() {
    let _ = hidden(teacher_layer(4), student_layer(2)).by(loss::Fsp);
    let _ = hidden(teacher_layer([0, 4]), student_layer([0, 2])).by(loss::Cos);
    let _ = hidden(teacher_layer(4), student_layer(2)).by(loss::AttentionCe::probabilities());
    let _ = attention(teacher_layer(4), student_layer(2)).by(loss::HiddenMse);
    let _ = attention(teacher_layer([0, 4]), student_layer([0, 2])).by(loss::AttentionMse::scores());
    // A user's own role takes what the user says fits it, and nothing else.
    let _ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(loss::Pkd);
    let _ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(loss::Nst);
}
