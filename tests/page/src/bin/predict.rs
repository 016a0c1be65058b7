//! A saved student predicts from text in three lines.

use brew_core::prelude::*;
use brew_data::prelude::*;

fn main() -> Result<()> {
    let student = TextClassifier::from_pretrained("models/student", Device::Cpu)?;
    for prediction in student.predict(&["a gorgeous film", "a waste of time"])? {
        println!("{} {:.2}", prediction.label, prediction.score);
    }
    Ok(())
}
