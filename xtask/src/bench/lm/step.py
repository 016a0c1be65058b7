"""A training step of a language model's student in plain PyTorch and transformers; prints one line of JSON.

memory.py + step.py, FOLDER BATCHES LAYERS WARM_UP THREADS

FOLDER is the teacher's, LAYERS the numbers of the layers that the student keeps, separated by commas, and BATCHES a
safetensors file with `input_ids` (batches, rows, length): every id is a token.

What an expert writes by hand: fused attention, no key/value cache, fused AdamW, the teacher without gradients; forward
KL of the next-token distributions plus the cross entropy of the tokens, both means over the predicted tokens.
"""

import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def opened(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")


def student_of(folder, kept):
    student = opened(folder)
    student.model.layers = torch.nn.ModuleList([student.model.layers[layer] for layer in kept])
    for number, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = number
    student.config.num_hidden_layers = len(kept)
    return student.train()


def main():
    folder, file, layers, warm_up, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    batches = load_file(file)["input_ids"]
    teacher = opened(folder).eval().requires_grad_(False)
    student = student_of(folder, [int(layer) for layer in layers.split(",")])
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    steps, losses = [], []
    for ids in batches:
        times, since = {}, time.perf_counter()
        begun = since

        def until_now(name):
            nonlocal since
            now = time.perf_counter()
            times[name] = now - since
            since = now

        with torch.no_grad():
            of_teacher = teacher(input_ids=ids, use_cache=False).logits
        until_now("teacher")
        of_student = student(input_ids=ids, use_cache=False).logits
        until_now("student")
        targets = ids[:, 1:].flatten()
        log_q = F.log_softmax(of_student[:, :-1].flatten(0, 1), dim=-1)
        log_p = F.log_softmax(of_teacher[:, :-1].flatten(0, 1), dim=-1)
        loss = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean") + F.nll_loss(log_q, targets)
        until_now("loss")
        loss.backward()
        until_now("backward")
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        until_now("clip")
        optimizer.step()
        optimizer.zero_grad()
        until_now("optimizer")
        times["step"] = time.perf_counter() - begun
        steps.append(times)
        losses.append(loss.item())
        del of_teacher, of_student, log_q, log_p, loss
    steps = steps[int(warm_up) :]
    milliseconds = {name: 1e3 * statistics.median(step[name] for step in steps) for name in steps[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"milliseconds": milliseconds, "peak_megabytes": peak, "losses": losses}))


main()
