"""Runs programs of the race on fifty made-up reviews with tiny models, and prints what each said as JSON.

dropout.py FOLDER  runs every program in FOLDER/programs
"""

import contextlib
import io
import json
import pathlib
import sys

import pyarrow
import pyarrow.parquet
import torch
import transformers

folder = pathlib.Path(sys.argv[1])
EPOCHS, BATCH, LENGTH = 2, 8, 12

texts = [f"{'a good' if number % 2 else 'a bad'} film with {'very ' * (number % 5)}long scenes" for number in range(50)]
table = pyarrow.table({"text": texts, "rating": [1.0 if number % 2 else -1.0 for number in range(50)]})
pyarrow.parquet.write_table(table, folder / "reviews.parquet")

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "with", "very", "long", "scenes"]
(folder / "tokenizer").mkdir()
(folder / "tokenizer/vocab.txt").write_text("\n".join(words) + "\n")
(folder / "tokenizer/tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")

torch.manual_seed(0)
for side, layers in {"teacher": 2, "student": 1}.items():
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": LENGTH}
    sizes = transformers.BertConfig(vocab_size=len(words), num_hidden_layers=layers, num_labels=2, **sizes)
    transformers.BertForSequenceClassification(sizes).save_pretrained(folder / side)


def told(numbers):
    ids = tokenizer([texts[number] for number in numbers], truncation=True, max_length=LENGTH)["input_ids"]
    return [{"input_ids": row, "label": number % 2} for row, number in zip(ids, numbers)]


train = [number for number in range(50) if number % 10]
epoch = [list(range(start, min(start + BATCH, len(train)))) for start in range(0, len(train), BATCH)]
(folder / "told.json").write_text(json.dumps({
    "train": told(train),
    "dev": told(range(0, 50, 10)),
    "batches": {"random": [epoch] * EPOCHS},
    "schedule": [1.0] * (len(epoch) * EPOCHS),
}))
config = {"seed": 0, "threads": 1, "epochs": EPOCHS, "rows": None, "batches": "random", "keeps": True, "probe": True}
config |= {"length": LENGTH, "temperature": 8, "learning_rate": 1e-2, "data": str(folder / "reviews.parquet")}
config |= {name: str(folder / name) for name in ("tokenizer", "teacher", "student", "out")}
config |= {"told": str(folder / "told.json")}
(folder / "config.json").write_text(json.dumps(config))


def said(program):
    sys.argv = [program.name, str(folder / "config.json")]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(program.read_text(), program.name, "exec"), {"__name__": "__main__"})
    except SystemExit as refusal:
        return {"refused": str(refusal)}
    return json.loads(printed.getvalue())


print(json.dumps({program.stem: said(program) for program in sorted((folder / "programs").iterdir())}))
