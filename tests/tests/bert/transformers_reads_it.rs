//! Students saved by brew, loaded by Python's transformers; and the inner values of its models.
//!
//! The interpreter is `BREW_PYTHON`, or `python3`. If it lacks torch or transformers, the test says so and checks nothing.

use std::path::Path;
use std::process::Command;

use brew_core::model::{BertForQuestionAnswering, BertForTokenClassification};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tests::{printed_json, python, say, trajectory};

use super::support::{batch, difference, head_folder, recorded, run, teacher};

/// Batches of the recorded run that are compared.
const BATCHES: [i64; 3] = [0, 7, 23];

const SCRIPT: &str = r#"
import json, sys
import safetensors, torch, transformers
from safetensors.torch import load_file
model, note = transformers.AutoModelForSequenceClassification.from_pretrained(
    sys.argv[1], output_loading_info=True)
batches = load_file(sys.argv[2])
with torch.no_grad():
    logits = [model.eval()(input_ids=batches["input_ids"][n],
                           attention_mask=batches["attention_mask"][n]).logits.tolist()
              for n in json.loads(sys.argv[3])]
print(json.dumps({
    "versions": f"Python {sys.version.split()[0]}, torch {torch.__version__}, "
                f"transformers {transformers.__version__}, safetensors {safetensors.__version__}",
    "class": type(model).__name__,
    "problems": [str(note[key]) for key in ["missing_keys", "unexpected_keys", "mismatched_keys"] if note[key]],
    "logits": logits}))
"#;

const SCRIPT_OF_HEADS: &str = r#"
import json, sys
import torch, transformers
from safetensors.torch import load_file
answers = []
for folder, golden in json.loads(sys.argv[1]):
    name = json.load(open(f"{folder}/config.json"))["architectures"][0]
    model, note = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    columns = load_file(golden)
    inputs = {key: columns[key] for key in ["input_ids", "attention_mask"]}
    with torch.no_grad():
        output = model.eval()(**inputs)
    logits = [output.logits] if "logits" in output else [output.start_logits, output.end_logits]
    answers.append({
        "class": name,
        "problems": [str(note[key]) for key in ["missing_keys", "unexpected_keys", "mismatched_keys"] if note[key]],
        "logits": [each.flatten().tolist() for each in logits]})
print(json.dumps(answers))
"#;

/// What the linear maps to queries, keys and values give, caught by hooks on them.
const SCRIPT_OF_INSIDES: &str = r#"
import json, sys
import torch, transformers
from safetensors.torch import load_file
names = {"query": "query", "key": "key", "value": "value", "q_lin": "query", "k_lin": "key", "v_lin": "value"}
answers = []
for folder, golden, attention in json.loads(sys.argv[1]):
    name = json.load(open(f"{folder}/config.json"))["architectures"][0]
    model = getattr(transformers, name).from_pretrained(folder, attn_implementation=attention).eval()
    found = {"query": [], "key": [], "value": []}
    for path, module in model.named_modules():
        if path.split(".")[-1] in names and isinstance(module, torch.nn.Linear):
            keep = lambda _, __, output, role=names[path.split(".")[-1]]: found[role].append(output.flatten().tolist())
            module.register_forward_hook(keep)
    columns = load_file(golden)
    with torch.no_grad():
        model(**{key: columns[key] for key in ["input_ids", "attention_mask"]})
    answers.append(found)
print(json.dumps(answers))
"#;

/// What the scripts import.
pub(crate) const IMPORTS: &str = "import torch, transformers, safetensors";

#[test]
fn transformers_loads_a_saved_student_and_agrees() {
    let test = "transformers_loads_a_saved_student_and_agrees";
    let Some(python) = python(test, IMPORTS) else { return };
    let student = BertForSequenceClassification::from_layers_of(&teacher(), Keep::every(2)).unwrap();
    let student = student.with_new_head(2, 5).unwrap();
    let folder = TempDir::new().unwrap();
    student.save(folder.path()).unwrap();

    let numbers = serde_json::to_string(&BATCHES).unwrap();
    let answer: Value = printed_json(
        Command::new(&python)
            .args(["-c", SCRIPT])
            .arg(folder.path())
            .arg(trajectory("batches.safetensors"))
            .arg(numbers),
    );
    say(test, &format!("compared with {}", answer["versions"].as_str().unwrap()));
    assert_eq!(answer["class"], "BertForSequenceClassification");
    assert_eq!(answer["problems"], serde_json::json!([]));

    let logits: Vec<Vec<Vec<f32>>> = serde_json::from_value(answer["logits"].clone()).unwrap();
    assert_eq!(logits.len(), BATCHES.len());
    for (number, theirs) in BATCHES.into_iter().zip(logits) {
        let ours = run(&student, &batch(number), &Pass::evaluation(Wants::nothing())).unwrap().logits;
        let off = difference(&ours, &Tensor::from_slice2(&theirs));
        assert!(off < 1e-4, "batch {number} is off by {off:e}");
    }
}

/// A student of the first layer of a recorded model, saved; and its logits of the recorded inputs.
fn saved_student(case: &str, folder: &Path) -> Vec<Tensor> {
    let (source, columns) = (head_folder(case), recorded(case));
    let (ids, mask) = (&columns["input_ids"], &columns["attention_mask"]);
    let (first, device) = (Keep::first(1), Device::Cpu);
    let pass = Pass::evaluation(Wants::nothing());
    match case.rsplit('/').next() {
        Some("sequence") => {
            let teacher = BertForSequenceClassification::from_pretrained(source, device).unwrap();
            let student = BertForSequenceClassification::from_layers_of(&teacher, first).unwrap();
            student.save(folder).unwrap();
            vec![student.forward(ids, mask, None, None, &pass).unwrap().logits]
        }
        Some("token") => {
            let teacher = BertForTokenClassification::from_pretrained(source, device).unwrap();
            let student = BertForTokenClassification::from_layers_of(&teacher, first).unwrap();
            student.save(folder).unwrap();
            vec![student.forward(ids, mask, None, None, &pass).unwrap().logits]
        }
        _ => {
            let teacher = BertForQuestionAnswering::from_pretrained(source, device).unwrap();
            let student = BertForQuestionAnswering::from_layers_of(&teacher, first).unwrap();
            student.save(folder).unwrap();
            let output = student.forward(ids, mask, None, None, None, &pass).unwrap();
            vec![output.start_logits, output.end_logits]
        }
    }
}

#[test]
fn transformers_loads_every_architecture_with_every_head_and_agrees() {
    let test = "transformers_loads_every_architecture_with_every_head_and_agrees";
    let Some(python) = python(test, IMPORTS) else { return };
    let folder = TempDir::new().unwrap();
    let (mut pairs, mut students) = (Vec::new(), Vec::new());
    for (architecture, class) in [("bert", "Bert"), ("roberta", "Roberta"), ("distilbert", "DistilBert")] {
        for (head, task) in [
            ("sequence", "SequenceClassification"),
            ("token", "TokenClassification"),
            ("question", "QuestionAnswering"),
        ] {
            let case = format!("{architecture}/{head}");
            let saved = folder.path().join(&case);
            students.push((format!("{class}For{task}"), saved_student(&case, &saved)));
            pairs.push((saved, head_folder(&case).join("golden.safetensors")));
        }
    }
    let pairs = serde_json::to_string(&pairs).unwrap();
    let answers: Vec<Value> = printed_json(Command::new(&python).args(["-c", SCRIPT_OF_HEADS, &pairs]));
    assert_eq!(answers.len(), students.len());
    for (answer, (class, ours)) in answers.iter().zip(&students) {
        assert_eq!(
            (&answer["class"], &answer["problems"]),
            (&Value::from(class.as_str()), &serde_json::json!([]))
        );
        let theirs: Vec<Vec<f32>> = serde_json::from_value(answer["logits"].clone()).unwrap();
        assert_eq!(theirs.len(), ours.len(), "{class}");
        for (theirs, ours) in theirs.iter().zip(ours) {
            let off = difference(&ours.flatten(0, -1), &Tensor::from_slice(theirs));
            assert!(off < 1e-5, "{class} is off by {off:e}");
        }
    }
    say(test, &format!("compared {} models", students.len()));
}

#[test]
fn queries_keys_and_values_are_what_transformers_linear_maps_give() {
    let test = "queries_keys_and_values_are_what_transformers_linear_maps_give";
    let Some(python) = python(test, IMPORTS) else { return };
    let cases = ["bert/sequence", "roberta/sequence", "distilbert/sequence"];
    let mut asked = Vec::new();
    for case in cases {
        let golden = head_folder(case).join("golden.safetensors");
        for attention in ["eager", "sdpa"] {
            asked.push((head_folder(case), golden.clone(), attention));
        }
    }
    let asked = serde_json::to_string(&asked).unwrap();
    let answers: Vec<Value> = printed_json(Command::new(&python).args(["-c", SCRIPT_OF_INSIDES, &asked]));
    assert_eq!(answers.len(), 2 * cases.len());
    let roles = Wants::nothing().and_role("query").and_role("key").and_role("value");
    let mut compared = 0;
    for (place, answer) in answers.iter().enumerate() {
        let (case, columns) = (cases[place / 2], recorded(cases[place / 2]));
        let model = BertForSequenceClassification::from_pretrained(head_folder(case), Device::Cpu).unwrap();
        // With the maps, which are not fused, and without.
        for wants in [roles.clone(), roles.clone().and_role("attention")] {
            let (ids, mask) = (&columns["input_ids"], &columns["attention_mask"]);
            let found = model.forward(ids, mask, None, None, &Pass::evaluation(wants)).unwrap();
            let sides = [("query", found.queries), ("key", found.keys), ("value", found.values)];
            for (role, ours) in sides {
                let theirs: Vec<Vec<f32>> = serde_json::from_value(answer[role].clone()).unwrap();
                assert!(!theirs.is_empty() && theirs.len() == ours.len(), "{case}, {role}");
                for (layer, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
                    let off = difference(&ours.flatten(0, -1), &Tensor::from_slice(theirs));
                    assert!(off < 1e-5, "{case}, {role} of layer {layer} is off by {off:e}");
                    compared += 1;
                }
            }
        }
    }
    say(test, &format!("compared {compared} tensors"));
}
