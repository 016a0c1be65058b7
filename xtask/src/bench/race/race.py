"""One side of the race: TextBrewer's GeneralDistiller on the movie reviews, as its users run it.

    memory.py + race.py, CONFIG.json  prints one line of JSON; the keys of CONFIG are those read below, and it
                                      says how it stands on standard error

The recipe is that of `race` in Rust: the same teacher and initial student (Hugging Face folders), the
same reviews and split, AdamW, warm-up and clipping. Batches are random and padded to their longest row.
"""

import json
import pathlib
import sys
import time

import pyarrow.parquet
import torch
import transformers
from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

config = json.loads(pathlib.Path(sys.argv[1]).read_text())
torch.set_num_threads(config["threads"])
torch.manual_seed(config["seed"])

memory = Memory(daemon=True)
memory.start()

table = pyarrow.parquet.read_table(config["data"]).to_pydict()
rated = [(text, int(rating > 0)) for text, rating in zip(table["text"], table["rating"]) if rating != 0]
tokenizer = transformers.AutoTokenizer.from_pretrained(config["tokenizer"])


def encoded(rows):
    ids = tokenizer([text for text, _ in rows], truncation=True, max_length=config["length"])["input_ids"]
    return [{"input_ids": row, "labels": label} for row, (_, label) in zip(ids, rows)]


def padded(rows):
    batch = tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
    return {**batch, "labels": torch.tensor([row["labels"] for row in rows])}


def spread(rows, count):
    """This many of the rows, evenly over all, as brew's examples take them."""
    count = min(count, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


rows = config["rows"] or len(rated)
train = encoded(spread([row for number, row in enumerate(rated) if number % 10], rows))
dev = encoded(spread([row for number, row in enumerate(rated) if not number % 10], (rows + 1) // 2))
dev.sort(key=lambda row: len(row["input_ids"]))
batches = torch.utils.data.DataLoader(train, batch_size=config["batch"], shuffle=True, collate_fn=padded)

teacher, student = (
    transformers.BertForSequenceClassification.from_pretrained(config[side], output_hidden_states=True)
    for side in ("teacher", "student")
)


def adaptor(batch, outputs):
    return {
        "logits": outputs.logits,
        "hidden": outputs.hidden_states,
        "inputs_mask": batch["attention_mask"],
        "losses": outputs.loss,
    }


def predictions(model):
    model.eval()
    with torch.no_grad():
        rows = [dev[start : start + 64] for start in range(0, len(dev), 64)]
        return torch.cat([model(**{k: v for k, v in padded(part).items() if k != "labels"}).logits for part in rows]).argmax(-1)


labels = torch.tensor([row["labels"] for row in dev])
of_teacher = predictions(teacher)
seconds, evaluations, last = 0.0, [], None


def after_epoch(model, step):
    """Evaluations do not count as time of training."""
    global seconds, last
    now = time.perf_counter()
    seconds += now - last
    found = predictions(model)
    agreement = (found == of_teacher).double().mean().item()
    accuracy = (found == labels).double().mean().item()
    evaluations.append({"step": step, "seconds": seconds, "accuracy": accuracy, "agreement": agreement})
    print(f"step {step}: {seconds:.0f} s, accuracy {accuracy:.4f}, agreement {agreement:.4f}", file=sys.stderr)
    last = time.perf_counter()


stride = teacher.config.num_hidden_layers // student.config.num_hidden_layers
distiller = GeneralDistiller(
    TrainingConfig(output_dir=config["out"], log_dir=None, device="cpu"),
    DistillationConfig(
        temperature=config["temperature"],
        kd_loss_type="ce",
        hard_label_weight=1.0,
        intermediate_matches=[
            {"layer_T": stride * layer, "layer_S": layer, "feature": "hidden", "loss": "hidden_mse", "weight": 1.0}
            for layer in range(student.config.num_hidden_layers + 1)
        ],
    ),
    teacher, student, adaptor, adaptor,
)
optimizer = torch.optim.AdamW(student.parameters(), lr=config["learning_rate"], weight_decay=0.01)
steps = len(batches) * config["epochs"]
last = time.perf_counter()
distiller.train(
    optimizer, batches, num_epochs=config["epochs"], max_grad_norm=1.0, callback=after_epoch,
    scheduler_class=transformers.get_linear_schedule_with_warmup,
    scheduler_args={"num_warmup_steps": int(0.1 * steps), "num_training_steps": steps},
)
seconds = evaluations[-1]["seconds"]
print(json.dumps({
    "side": "TextBrewer",
    "dtype": str(next(student.parameters()).dtype).removeprefix("torch."),
    "batches": "random",
    "examples": len(train) * config["epochs"],
    "seconds": seconds,
    "examples_per_second": len(train) * config["epochs"] / seconds,
    "accuracy": evaluations[-1]["accuracy"],
    "agreement": evaluations[-1]["agreement"],
    "teacher_accuracy": (of_teacher == labels).double().mean().item(),
    "evaluations": evaluations,
    "anonymous_bytes": memory.peak,
    "versions": f"Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {transformers.__version__}",
}))
