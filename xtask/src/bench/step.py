"""The parts of a training step in plain PyTorch and transformers; prints one line of JSON.

memory.py + step.py, ENCODER BATCHES LAYERS f32|bf16 WARM_UP THREADS [TEACHER_LAYERS]

With TEACHER_LAYERS the teacher has this many layers with random weights, and only the sizes of ENCODER; then
the peak of anonymous memory is reported too.

The movie-review recipe as one would write it by hand: transformers' BERT models, hidden states, soft and hard
targets, torch.optim.AdamW with its defaults, clip_grad_norm_, a linear schedule, torch.autocast for bfloat16.
"""

import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoConfig, BertForSequenceClassification, get_linear_schedule_with_warmup
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

PARTS = ["teacher", "student", "loss", "backward", "clip", "optimizer"]
TEMPERATURE = 8.0


def models(encoder, layers, teacher_layers):
    torch.manual_seed(0)
    if teacher_layers:
        config = AutoConfig.from_pretrained(encoder, num_labels=2, num_hidden_layers=teacher_layers)
        teacher = BertForSequenceClassification(config).eval()
    else:
        teacher = BertForSequenceClassification.from_pretrained(encoder, num_labels=2).eval()
    config = AutoConfig.from_pretrained(encoder, num_labels=2, num_hidden_layers=layers)
    student = BertForSequenceClassification(config).train()
    student.bert.embeddings.load_state_dict(teacher.bert.embeddings.state_dict())
    stride = teacher.config.num_hidden_layers // layers
    for layer in range(layers):
        kept = teacher.bert.encoder.layer[stride * layer]
        student.bert.encoder.layer[layer].load_state_dict(kept.state_dict())
    return teacher, student, stride


def hidden_mse(student, teacher, mask):
    mask = mask.to(torch.float32)
    squares = F.mse_loss(student.float(), teacher.float(), reduction="none") * mask.unsqueeze(-1)
    return squares.sum() / mask.sum() / student.size(-1)


def losses(of_student, of_teacher, batch, stride):
    soft = F.softmax(of_teacher.logits.float() / TEMPERATURE, dim=-1)
    total = -(soft * F.log_softmax(of_student.logits.float() / TEMPERATURE, dim=-1)).sum(-1).mean()
    for layer, hidden in enumerate(of_student.hidden_states):
        total = total + hidden_mse(hidden, of_teacher.hidden_states[stride * layer], batch["attention_mask"])
    return total + F.cross_entropy(of_student.logits.float(), batch["labels"])


def main():
    encoder, file, layers, precision, warm_up, threads, *drawn = sys.argv[1:]
    teacher_layers = int(drawn[0]) if drawn else None
    memory = Memory(daemon=True)
    # Looking at the memory takes time: the parts of a step are measured without.
    if teacher_layers:
        memory.start()
    torch.set_num_threads(int(threads))
    batches = load_file(file)
    count = len(batches["labels"])
    teacher, student, stride = models(encoder, int(layers), teacher_layers)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, count // 10, count)
    steps = []
    for number in range(count):
        times, since = {}, time.perf_counter()
        begun = since

        def until_now(name):
            nonlocal since
            now = time.perf_counter()
            times[name] = now - since
            since = now

        batch = {name: tensor[number] for name, tensor in batches.items()}
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        optimizer.zero_grad()
        until_now("data")
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            with torch.no_grad():
                of_teacher = teacher(**inputs, output_hidden_states=True)
            until_now("teacher")
            of_student = student(**inputs, output_hidden_states=True)
        until_now("student")
        loss = losses(of_student, of_teacher, batch, stride)
        until_now("loss")
        loss.backward()
        until_now("backward")
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        until_now("clip")
        optimizer.step()
        until_now("optimizer")
        schedule.step()
        loss.item() if number % 10 == 0 else None
        times["step"] = time.perf_counter() - begun
        times["rest"] = times["step"] - sum(times[part] for part in PARTS if part != "loss")
        steps.append(times)
    steps = steps[int(warm_up) :]
    milliseconds = {name: 1e3 * statistics.median(step[name] for step in steps) for name in steps[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    report = {"milliseconds": milliseconds, "peak_megabytes": peak}
    if teacher_layers:
        report["anonymous_megabytes"] = memory.peak / 1e6
    print(json.dumps(report))


main()
