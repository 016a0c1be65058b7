# What TextBrewer's side and the expert's side of the race share; Python gets memory.py, this, and a side as one text.
#
#     SIDE CONFIG.json  prints one line of JSON; the keys of CONFIG are those read below, and it says how it stands on
#                       standard error
#
# The recipe is that of `race` in Rust: the same teacher and initial student (Hugging Face folders), and what
# `race data` wrote: the tokens of both splits, the rows of every batch, and the learning rate of every step.

import json
import sys

import pyarrow.parquet
import torch
import torch.nn.functional as F
import transformers

config = json.loads(pathlib.Path(sys.argv[1]).read_text())
torch.set_num_threads(config["threads"])
torch.manual_seed(config["seed"])
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

memory = Memory(daemon=True)
memory.start()

told = json.loads(pathlib.Path(config["told"]).read_text())
batches = told["batches"][config["batches"]]
tokenizer = transformers.AutoTokenizer.from_pretrained(config["tokenizer"])


def encoded(rows):
    ids = tokenizer([text for text, _ in rows], truncation=True, max_length=config["length"])["input_ids"]
    return [{"input_ids": row, "label": label} for row, (_, label) in zip(ids, rows)]


def spread(rows, count):
    """This many of the rows, evenly over all, as brew's examples take them."""
    count = min(count, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def read():
    """The rows of both splits, read and tokenized here, which must be what brew reads."""
    table = pyarrow.parquet.read_table(config["data"]).to_pydict()
    rated = [(text, int(rating > 0)) for text, rating in zip(table["text"], table["rating"]) if rating != 0]
    count = config["rows"] or len(rated)
    splits = {
        "train": spread([row for number, row in enumerate(rated) if number % 10], count),
        "dev": spread([row for number, row in enumerate(rated) if not number % 10], (count + 1) // 2),
    }
    splits = {name: encoded(rows) for name, rows in splits.items()}
    for name, rows in splits.items():
        if rows != told[name]:
            sys.exit(f"{name}: the tokens or labels differ from those of brew's side")
    for epoch in batches:
        if sorted(number for batch in epoch for number in batch) != list(range(len(splits["train"]))):
            sys.exit("an epoch does not have every training row once")
    return splits["train"], splits["dev"]


def padded(rows):
    """A batch of rows, padded to the longest."""
    longest = max(len(row["input_ids"]) for row in rows)
    return {
        "input_ids": torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]),
        "labels": torch.tensor([row["label"] for row in rows]),
    }


def model(side, **choices):
    folder = config[side]
    return transformers.BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **choices)


def learning_rate(step):
    """The factor of the learning rate at a step, from 0; the schedule is asked once more after the last step."""
    return told["schedule"][step] if step < len(told["schedule"]) else 0.0


class Clock:
    """The seconds of training: it stands still during evaluations and while files are written."""

    def __init__(self):
        self.seconds = 0.0

    def start(self):
        self.since = time.perf_counter()

    def stop(self):
        self.seconds += time.perf_counter() - self.since


class Dropout:
    """Sees to it that the student drops in every training pass, and counts passes and examples: a side without dropout
    is faster and learns faster, and one that loses rows is faster.

    With `probe` in the configuration it also shows it, at the first step and at the first after each evaluation: the same
    pass once more gives other logits, and its loss is not that of a pass in evaluation mode.
    """

    def __init__(self, student):
        self.passes, self.examples, self.probes, self.due = 0, 0, [], True
        student.register_forward_hook(self.after, with_kwargs=True)

    def after(self, student, _, inputs, outputs):
        if not torch.is_grad_enabled():
            return
        still = [name for name, module in student.named_modules() if not module.training]
        if still:
            sys.exit(f"step {self.passes + 1}: the student trains without dropout: {len(still)} of its modules are in evaluation mode")
        self.passes += 1
        self.examples += len(outputs.logits)
        if config.get("probe") and self.due:
            self.probes.append(self.probe(student, inputs, outputs))
        self.due = False

    def probe(self, student, inputs, outputs):
        with torch.no_grad():
            again = student(**inputs)
            student.eval()
            quiet = student(**inputs)
            student.train()
        return {
            "step": self.passes,
            "passes_differ": not torch.equal(outputs.logits, again.logits),
            "loss": outputs.loss.item(),
            "loss_in_evaluation_mode": quiet.loss.item(),
        }


class Evaluations:
    """The student's accuracy and its agreement with the teacher on all dev rows, and when they were measured."""

    def __init__(self, rows, teacher):
        rows = sorted(rows, key=lambda row: len(row["input_ids"]))
        self.batches = [padded(rows[start : start + 64]) for start in range(0, len(rows), 64)]
        self.labels = torch.cat([batch["labels"] for batch in self.batches])
        self.of_teacher = self.predictions(teacher)
        self.found = []

    def predictions(self, model):
        training = model.training
        model.eval()
        with torch.no_grad():
            logits = [model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits for batch in self.batches]
        # A student that stayed in evaluation mode would train on without dropout.
        model.train(training)
        return torch.cat(logits).argmax(-1)

    def share(self, found, expected):
        return (found == expected).double().mean().item()

    def evaluate(self, student, step, seconds):
        found = self.predictions(student)
        accuracy, agreement = self.share(found, self.labels), self.share(found, self.of_teacher)
        self.found.append({"step": step, "seconds": seconds, "accuracy": accuracy, "agreement": agreement})
        print(f"step {step}: {seconds:.0f} s, accuracy {accuracy:.4f}, agreement {agreement:.4f}", file=sys.stderr)
        dropout.due = True


def report(side, **more):
    last, examples = evaluations.found[-1], dropout.examples
    print(json.dumps({
        "side": side,
        "batches": {"random": "random", "bucketed": "rows of like length"}[config["batches"]],
        "attention": student.config._attn_implementation,
        "dropout": {
            "hidden": student.config.hidden_dropout_prob,
            "attention": student.config.attention_probs_dropout_prob,
            "passes": dropout.passes,
        },
        "probes": dropout.probes,
        "examples": examples,
        "seconds": last["seconds"],
        "examples_per_second": examples / last["seconds"],
        "accuracy": last["accuracy"],
        "agreement": last["agreement"],
        "teacher_accuracy": evaluations.share(evaluations.of_teacher, evaluations.labels),
        "evaluations": evaluations.found,
        "anonymous_bytes": memory.peak,
        "versions": f"Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {transformers.__version__}",
        **more,
    }))


train, dev = read()


