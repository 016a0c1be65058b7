"""A training step of TRL's GKD trainer with data of its own (lambda 0); prints one line of JSON.

gkd.py, FOLDER BATCHES LAYERS WARM_UP THREADS: as step.py.

Forward KL (beta 0) over the predicted tokens: GKD has no cross entropy beside it. Checkpointing is off, as in the other
loops; everything else is TRL's default but for the learning rate, its schedule and the fused optimizer.
"""

import json
import resource
import statistics
import sys
import tempfile
import time

import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl.experimental.gkd import GKDConfig, GKDTrainer

logging.set_verbosity_error()
logging.disable_progress_bar()


class Clock(TrainerCallback):
    seconds = []

    def on_step_begin(self, *_, **__):
        self.begun = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.begun)


def collate(rows):
    ids = torch.tensor([row["input_ids"] for row in rows])
    mask = torch.ones_like(ids)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": ids.clone(),
        # GKD finds the answer by the length of the prompt; here all but the first token is answer.
        "prompts": ids[:, :1],
        "prompt_attention_mask": mask[:, :1],
    }


def main():
    folder, file, layers, warm_up, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    batches = load_file(file)["input_ids"]
    opened = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    teacher, student = opened().eval(), opened()
    kept = [int(layer) for layer in layers.split(",")]
    student.model.layers = torch.nn.ModuleList([student.model.layers[layer] for layer in kept])
    for number, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = number
    student.config.num_hidden_layers = len(kept)
    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        arguments = GKDConfig(
            output_dir=place,
            per_device_train_batch_size=batches.size(1),
            max_steps=len(batches),
            lmbda=0.0,
            beta=0.0,
            temperature=1.0,
            learning_rate=1e-4,
            weight_decay=0.01,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        trainer = GKDTrainer(
            model=student,
            teacher_model=teacher,
            args=arguments,
            train_dataset=Dataset.from_list([{"input_ids": row} for row in batches.flatten(0, 1).tolist()]),
            data_collator=collate,
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[clock],
        )
        # It prints to where the result goes.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    step = 1e3 * statistics.median(clock.seconds[int(warm_up) :])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"milliseconds": {"step": step}, "peak_megabytes": peak}))


main()
