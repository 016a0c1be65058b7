//! Roles, losses, plan, executor and training loop for distilling neural networks with libtorch.

extern crate self as brew_core;

pub mod adaptor;
pub mod batch;
pub mod cache;
pub mod disk;
pub mod distill;
pub mod error;
pub mod execute;
pub mod feature;
mod json;
pub mod loss;
pub mod model;
pub mod native;
pub mod observe;
pub mod parameters;
pub mod pass;
pub mod plan;
pub mod role;
mod row_key;
pub mod schedule;
pub mod semantics;
pub mod side;
pub mod textbrewer;
pub mod train;
pub mod words;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, Result};
pub use tch;

/// What a program that distils needs in scope.
pub mod prelude {
    pub use crate::adaptor::{Adapted, Adaptor, Provides};
    pub use crate::batch::{Batch, Batches, Both};
    pub use crate::cache::{MemoryCache, Payload};

    pub use crate::distill::{
        AndMore, Distill, Pipeline, Supervised, WithWeight, attention, features, hidden, student_layer,
        teacher, teacher_layer,
    };
    pub use crate::error::{Error, Result};
    pub use crate::loss::{self, Features, Learns, Loss, Term};
    pub use crate::model::{
        Architecture, BertConfig, BertForQuestionAnswering, BertForSequenceClassification,
        BertForTokenClassification, BiGruConfig, BiGruForSequenceClassification, BiGruForTokenClassification,
        ClassifierOutput, ClassifierOutputAdaptor, FloatLabelClassifierAdaptor, FloatLabelTextBatch, Keep,
        LayerMap, ProblemType, SpanBatch, SpanOutput, SpanOutputAdaptor, TextBatch, TokenBatch,
        TokenClassifierOutput, TokenClassifierOutputAdaptor, TorchScript,
    };
    pub use crate::model::{Forward, Model, Seen, SeenBy};
    pub use crate::observe::{
        Accuracy, EntityF1, F1, Matthews, Metric, Pearson, Predictions, Scheme, Spearman, SquadAnswers,
        SquadExactMatch, SquadF1,
    };
    pub use crate::parameters::Parameters;
    pub use crate::pass::{Pass, Wants};
    pub use crate::plan::{Combine, Plan, Projection};
    pub use crate::role;
    pub use crate::schedule::{Cwsm, Decay, Flsw, Weight, WeightSchedule};
    pub use crate::semantics::Semantics;
    pub use crate::textbrewer::{
        BasicDistiller, BasicTrainer, GeneralDistiller, MultiTaskDistiller, MultiTeacherDistiller,
        config::{DistillationConfig, TrainingConfig},
    };
    pub use crate::train::{AdamW, MultiTask, Precision, Trained, Trainer};
    pub use brew_macros::{Batch, adaptor, distill};
    pub use tch::{Device, Kind, Tensor};
}
