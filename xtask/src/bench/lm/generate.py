"""Generation with transformers; prints one line of JSON.

generate.py, FOLDER PROMPTS NEW_TOKENS ROUNDS THREADS

PROMPTS is a JSON file with a list of lists of token ids, which become one batch, padded on the left. Greedy, without a
stop token, so that every row gets NEW_TOKENS. The static cache is what transformers offers for speed; the dynamic one
is its default.
"""

import json
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def main():
    folder, file, new_tokens, rounds, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with open(file) as prompts:
        prompts = json.load(prompts)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    length = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    report, answers = {}, {}
    for cache in ["static", "dynamic"]:
        seconds = []
        for _ in range(int(rounds)):
            begun = time.perf_counter()
            with torch.inference_mode():
                made = model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    do_sample=False,
                    max_new_tokens=int(new_tokens),
                    min_new_tokens=int(new_tokens),
                    eos_token_id=None,
                    pad_token_id=0,
                    cache_implementation=cache,
                    # The static cache compiles the model where it can; on a CPU without a compiler that fails.
                    disable_compile=True,
                )
            seconds.append(time.perf_counter() - begun)
        report[cache] = statistics.median(seconds)
        answers[cache] = made[:, length:].tolist()
    print(json.dumps({"seconds": report, "ids": answers}))


main()
