"""Iterates over an Arrow IPC file with Python's `datasets` and PyTorch's DataLoader; prints one line of JSON.

python data.py FILE sequential|shuffled BATCH SECONDS WORKERS
"""

import json
import sys
import time

import pyarrow
import torch
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader


def collate(rows):
    pad = {
        name: pad_sequence([torch.tensor(row[name]) for row in rows], batch_first=True)
        for name in ("input_ids", "attention_mask")
    }
    return pad | {"labels": torch.tensor([row["labels"] for row in rows])}


def anonymous():
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("RssAnon")), 0)


def main():
    path, way, batch, seconds, workers = sys.argv[1:]
    torch.set_num_threads(1)
    # The file's own pages, mapped, as `Dataset.from_file` maps a stream.
    rows = Dataset(pyarrow.ipc.open_file(pyarrow.memory_map(path)).read_all())
    torch.manual_seed(1)
    loader = DataLoader(rows, batch_size=int(batch), shuffle=way == "shuffled", collate_fn=collate, num_workers=int(workers))
    started, seen, peak = time.perf_counter(), 0, 0
    while time.perf_counter() - started < float(seconds):
        for number, values in enumerate(loader):
            seen += len(values["labels"])
            if number % 100 == 0:
                peak = max(peak, anonymous())
            if time.perf_counter() - started > float(seconds):
                break
    elapsed = time.perf_counter() - started
    print(json.dumps({"rows_per_second": seen / elapsed, "anonymous_megabytes": peak}))


main()
