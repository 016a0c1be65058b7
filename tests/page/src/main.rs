//! A teacher, a student made of every second of its layers, and a pipeline that the compiler checks.
//! README.md shows this file from the next line on, and xtask's tests compare the two.

use std::path::Path;

use brew_core::prelude::*;
use brew_core::distill::{student_layer, teacher_layer};
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
    loss: Option<Tensor>, // (batch,): one value per example
}

/// Your model, here around one of brew's.
struct Classifier(BertForSequenceClassification);

/// Each argument of `forward` is a column of the batch, matched at compile time.
#[distill(batch = Review)]
impl Classifier {
    fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass, // training or not, the step, and which features are wanted
    ) -> Result<Prediction> {
        let output = self.0.forward(input_ids, attention_mask, None, labels, pass)?;
        Ok(Prediction { logits: output.logits, hidden_states: output.hidden_states, loss: output.loss })
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
    fn inner(&self) -> Option<&dyn Model> {
        Some(&self.0) // its class names and vocabulary are checked
    }
}

fn main() -> Result<()> {
    let device = Device::cuda_if_available();
    let teacher = BertForSequenceClassification::from_pretrained("models/teacher", device)?;
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2))?;

    let [teacher, student] = [teacher, student].map(|model| Classifier(model).seen());
    let pipeline = Distill::new(teacher, student)
        .soft_targets(loss::KdCe::at(8.0))
        .matching(
            [0, 1, 2, 3]
                .map(|layer| hidden(teacher_layer(2 * layer), student_layer(layer)).by(loss::HiddenMse)),
        )
        .hard_labels(1.0)
        .plan()?;
    println!("{}", pipeline.explain()); // what is declared; nothing has run yet

    let reviews = Dataset::open("data/train.parquet")?.batches::<Review>(32).shuffled(7).bucketed();
    let student = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4))
        .schedule(Decay::linear().with_warmup(0.1))
        .precision(Precision::Auto) // bfloat16 where the device is fast at it
        .evaluate(Dataset::open("data/dev.parquet")?.batches::<Review>(64), Accuracy)
        .epochs(3)
        .seed(7)
        .run_dir("runs/reviews") // resumes by itself where the folder holds an unfinished run
        .run(reviews)?; // checks two rows first and says what it found
    student.save("models/student") // a Hugging Face folder
}
