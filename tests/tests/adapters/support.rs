//! The small models of `fixtures/adapters`, of any type, and how far numbers are from those of peft.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brew_core::model::{BertForQuestionAnswering, BertForTokenClassification, DecoderForCausalLm, Lora};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{drawn, off, read_tensors};

/// The recorded adapters, with the folders of their bases.
pub(crate) const RECORDED: [(&str, &str); 4] = [
    ("llama", "decoders/llama"),
    ("qwen2", "decoders/qwen2"),
    ("gpt2", "decoders/gpt2"),
    ("bert", "heads/bert/sequence"),
];

/// Tensors by name.
pub(crate) type Named = BTreeMap<String, Tensor>;

/// A path below the fixtures.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// The folder of a recorded adapter, as peft wrote it.
pub(crate) fn peft(case: &str) -> PathBuf {
    fixture("adapters").join(case).join("peft")
}

/// A model of any of the types that adapters are compared for.
pub(crate) enum Any {
    Decoder(DecoderForCausalLm),
    Sequence(BertForSequenceClassification),
    Token(BertForTokenClassification),
    Question(BertForQuestionAnswering),
}

/// The same method of whichever model it is, which gives a model.
macro_rules! each {
    ($any:expr, $model:ident => $result:expr) => {
        match $any {
            Any::Decoder($model) => $result.map(Any::Decoder),
            Any::Sequence($model) => $result.map(Any::Sequence),
            Any::Token($model) => $result.map(Any::Token),
            Any::Question($model) => $result.map(Any::Question),
        }
    };
}

impl Any {
    /// Loads a base from its folder below the fixtures.
    pub(crate) fn base(base: &str) -> Self {
        let (folder, cpu) = (fixture(base), Device::Cpu);
        let loaded = match base.rsplit('/').next() {
            Some("sequence") => {
                BertForSequenceClassification::from_pretrained(folder, cpu).map(Any::Sequence)
            }
            Some("token") => BertForTokenClassification::from_pretrained(folder, cpu).map(Any::Token),
            Some("question") => BertForQuestionAnswering::from_pretrained(folder, cpu).map(Any::Question),
            _ => DecoderForCausalLm::from_pretrained(folder, cpu).map(Any::Decoder),
        };
        loaded.expect("the folder loads")
    }

    pub(crate) fn load_adapter(self, folder: &Path) -> Result<Self> {
        each!(self, model => model.load_adapter(folder))
    }
    pub(crate) fn with_lora(self, lora: Lora, seed: u64) -> Result<Self> {
        each!(self, model => model.with_lora(lora, seed))
    }
    pub(crate) fn merge_lora(self) -> Result<Self> {
        each!(self, model => model.merge_lora())
    }
    pub(crate) fn lora_off(&self) -> Result<Self> {
        each!(self, model => model.lora_off())
    }

    pub(crate) fn model(&self) -> &dyn Model {
        match self {
            Any::Decoder(model) => model,
            Any::Sequence(model) => model,
            Any::Token(model) => model,
            Any::Question(model) => model,
        }
    }

    pub(crate) fn lora(&self) -> Option<&Lora> {
        match self {
            Any::Decoder(model) => model.lora(),
            Any::Sequence(model) => model.lora(),
            Any::Token(model) => model.lora(),
            Any::Question(model) => model.lora(),
        }
    }

    /// Logits and loss for inputs by name.
    pub(crate) fn run(&self, inputs: &Named, pass: &Pass) -> (Tensor, Tensor) {
        let given = |name: &str| inputs.get(name);
        let (ids, mask, labels) = (&inputs["input_ids"], &inputs["attention_mask"], given("labels"));
        let types = given("token_type_ids");
        let (logits, loss) = match self {
            Any::Decoder(model) => {
                let output = model.forward(ids, mask, labels, pass).unwrap();
                (output.logits, output.loss)
            }
            Any::Sequence(model) => {
                let output = model.forward(ids, mask, types, labels, pass).unwrap();
                (output.logits, output.loss)
            }
            Any::Token(model) => {
                let output = model.forward(ids, mask, types, labels, pass).unwrap();
                (output.logits, output.loss)
            }
            Any::Question(model) => {
                let (starts, ends) = (given("start_positions"), given("end_positions"));
                let output = model.forward(ids, mask, types, starts, ends, pass).unwrap();
                (Tensor::stack(&[output.start_logits, output.end_logits], -1), output.loss)
            }
        };
        (logits, loss.expect("there are labels"))
    }

    /// The logits at tokens, of which alone something is read.
    pub(crate) fn logits(&self, inputs: &Named) -> Tensor {
        let _guard = tch_no_grad();
        at_tokens(&self.run(inputs, &evaluation()).0, inputs)
    }
}

fn tch_no_grad() -> impl Drop {
    brew_core::tch::no_grad_guard()
}

/// A pass that wants logits and loss.
pub(crate) fn evaluation() -> Pass {
    Pass::evaluation(wants())
}

/// Logits and loss.
pub(crate) fn wants() -> Wants {
    Wants::nothing().and_role("logits").and_role("losses")
}

/// The logits of a language model's tokens; all of others.
pub(crate) fn at_tokens(logits: &Tensor, inputs: &Named) -> Tensor {
    let mask = &inputs["attention_mask"];
    // Only a language model's inputs have rows of padding.
    let is_decoder = mask.sum_dim_intlist(-1, false, Kind::Int64).min().int64_value(&[]) == 0;
    if !is_decoder {
        return logits.shallow_clone();
    }
    let tokens = mask.flatten(0, 1).nonzero().squeeze_dim(1);
    logits.flatten(0, 1).index_select(0, &tokens)
}

/// The recorded inputs of a base.
pub(crate) fn inputs(base: &str) -> Named {
    read_tensors(&fixture(base).join("golden.safetensors"))
}

/// Fills everything that learns with numbers from a seed: a new `B` is 0.
pub(crate) fn fill(parameters: &Parameters, seed: i64) {
    let _guard = tch_no_grad();
    for ((_, tensor), place) in parameters.iter().zip(0..) {
        tensor.shallow_clone().copy_(&(0.4 * drawn(1000 * seed + place, &tensor.size())));
    }
}

/// What is wrong with the logits, the loss and the gradients of a model with adapters, beside what peft computes.
pub(crate) fn differences(model: &Any, base: &str, golden: &Named) -> Vec<String> {
    let inputs = inputs(base);
    let (logits, loss) = model.run(&inputs, &evaluation());
    loss.backward();
    let golden_logits = at_tokens(&golden["logits"], &inputs);
    let mut pairs = vec![
        ("logits".to_owned(), at_tokens(&logits, &inputs), golden_logits),
        ("loss".to_owned(), loss.detach(), golden["loss"].shallow_clone()),
    ];
    let mut problems = Vec::new();
    let parameters = model.model().parameters();
    for (name, tensor) in parameters.iter() {
        match golden.get(&format!("gradient.{name}")) {
            Some(gradient) => pairs.push((name.to_owned(), tensor.grad(), gradient.shallow_clone())),
            None => problems.push(format!("{name} does not learn in peft")),
        }
    }
    let recorded = golden.keys().filter(|name| name.starts_with("gradient.")).count();
    if recorded != parameters.iter().count() {
        problems.push(format!("{recorded} tensors learn in peft, {} here", parameters.iter().count()));
    }
    for (name, ours, theirs) in pairs {
        let off = off(&ours, &theirs);
        if !matches!(off.partial_cmp(&1e-5), Some(std::cmp::Ordering::Less)) {
            problems.push(format!("{name} is off by {off:e}"));
        }
    }
    problems
}
