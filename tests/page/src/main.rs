//! A teacher, a student made of every second of its layers, and a pipeline that the compiler checks.

use std::path::Path;

use brew_core::prelude::*;
use brew_data::prelude::*;

/// One training batch. Each field is a column of the Arrow data, by name.
#[derive(Batch)]
struct Review {
    #[column(i64, pad = 0)]
    input_ids: Tensor, // (batch, length)
    #[column(i64, pad = 0)]
    attention_mask: Tensor, // (batch, length), 0/1
    #[column(i64)]
    labels: Option<Tensor>, // (batch,); absent when predicting
}

/// What one forward pass returns, and what each part means to distillation.
#[distill(batch = Review, inputs_mask = attention_mask, labels = labels)]
struct Prediction {
    #[role(logits)]
    logits: Tensor, // (batch, classes)
    #[role(hidden)]
    hidden_states: Vec<Tensor>, // layers + 1 x (batch, length, width)
    #[role(losses)]
    loss: Option<Tensor>, // (batch,): one value an example
}

/// The user's own model around brew's encoder.
struct Classifier(BertForSequenceClassification);

/// Batch dispatch: each argument is a column of the batch, matched by name at compile time; `pass`
/// says whether this is training, which features are wanted, and the step.
#[distill(batch = Review)]
impl Classifier {
    fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Prediction> {
        let output = self.0.forward(input_ids, attention_mask, None, labels, pass)?;
        Ok(Prediction { logits: output.logits, hidden_states: output.hidden_states, loss: output.loss })
    }
}

impl Classifier {
    fn from_pretrained(folder: &str, device: Device) -> Result<Self> {
        BertForSequenceClassification::from_pretrained(folder, device).map(Classifier)
    }

    fn from_layers_of(teacher: &Self, keep: Keep) -> Result<Self> {
        BertForSequenceClassification::from_layers_of(&teacher.0, keep).map(Classifier)
    }
}

/// What is trained, and how it is saved.
impl Model for Classifier {
    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.0.save(folder)
    }
}

/// A hand-written adaptor, where the fields' own roles are not enough: one function a role.
struct StudentView;
#[adaptor(batch = Review, output = Prediction)]
impl StudentView {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    fn hidden(output: &Prediction) -> &[Tensor] {
        &output.hidden_states
    }
    fn inputs_mask(batch: &Review) -> &Tensor {
        &batch.attention_mask
    }
    fn losses(output: &Prediction) -> Option<&Tensor> {
        output.loss.as_ref()
    }
}

fn main() -> Result<()> {
    let device = Device::cuda_if_available();
    let teacher = Classifier::from_pretrained("models/teacher", device)?;
    let student = Classifier::from_layers_of(&teacher, Keep::every(2))?;

    let pipeline = Distill::new(teacher.seen_by(PredictionAdaptor), student.seen_by(StudentView))
        .soft_targets(KdCe::at(8.0))
        .matching([0, 1, 2, 3].map(|layer| hidden(teacher_layer(2 * layer), student_layer(layer)).by(HiddenMse)))
        .hard_labels(1.0)
        .plan()?;
    println!("{}", pipeline.explain()); // what is declared; nothing has run yet

    let reviews = Dataset::open("data/train.parquet")?.batches::<Review>(32).shuffled(7).bucketed();
    let student = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4))
        .schedule(Warmup::linear(0.1))
        .precision(Precision::Auto)
        .evaluate(Dataset::open("data/dev.parquet")?.batches::<Review>(64), Accuracy)
        .epochs(3)
        .seed(7)
        .run_dir("runs/reviews") // goes on by itself when the folder holds an unfinished run
        .run(reviews)?; // checks two rows first and says what it found
    student.save("models/student") // a Hugging Face folder
}
