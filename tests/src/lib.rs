//! What several tests share: closed-form tensors, golden values, distances, a recorded training run, a gradient
//! by finite differences, and small models.

mod distance;
mod downloaded;
mod golden;
mod gradient;
mod live;
mod lives;
mod several;
mod texts;
mod totals;
mod toy;
mod trajectory;

pub use distance::off;
pub use downloaded::smollm2;
pub use golden::{golden, mask, peer, seq};
pub use gradient::finite_difference_error;
pub use live::{Sweep, printed_json, python, say};
pub use lives::{Dice, Tells, finished, killed_at, newest, start};
pub use several::{Meeting, ended, printed};
pub use texts::{in_batches, prompts_and_completions, small_lm};
pub use totals::Totals;
pub use toy::{Count, Probe, Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, drawn, sentences, wants};
pub use trajectory::{read_tensors, recorded_batches, trajectory};
