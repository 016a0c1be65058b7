#!/usr/bin/env python3
"""Compares the program `loss` with formulas in PyTorch, written from the papers (see formulas/).

    python tests/reference.py --loss target/debug/loss --seed 3

For every loss that `loss --list` prints, and every case of it, both compute new random tensors in float64; values and all
gradients must agree. Exits with status 1 if one does not, or if a loss has no formula here. The same inputs in bfloat16
must give the value that PyTorch computes from the rounded inputs, to float32's precision, and gradients in bfloat16.
"""

import argparse
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import formulas
from formulas import LOSSES, Random

for module in pkgutil.iter_modules(formulas.__path__):
    importlib.import_module(f"formulas.{module.name}")

# The largest relative difference: of float64, and of float32 arithmetic on inputs in bfloat16.
EXACT, ROUNDED = 1e-9, 3e-4
# These make their logits themselves, in the model's dtype: what bfloat16 rounds there stays.
IN_LOW_PRECISION = {"chunked": 2e-2, "chunked_with_labels": 2e-2}


def names_of(program):
    """The names that the program lists: a paragraph begins with one."""
    text = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    return [match.group(1) for line in text.splitlines() if (match := re.match(r"([a-z0-9_]+)(?: \(or .*\))?: ", line))]


def ours(program, name, options, inputs, folder):
    """Value and gradients of the program."""
    save_file({key: value.contiguous() for key, value in inputs.items()}, folder / "inputs.safetensors")
    files = ["--inputs", folder / "inputs.safetensors", "--grad", folder / "gradients.safetensors"]
    command = [program, "--name", name, "--params", json.dumps(options), *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr.strip())
    return json.loads(ran.stdout)["value"], load_file(folder / "gradients.safetensors")


def is_leaf(key, value, kept):
    """Whether a gradient is asked of a tensor: the student's, and what a loss learns."""
    return value.is_floating_point() and (key.startswith("student.") or key in kept)


def theirs(formula, options, inputs, gradients):
    """Value and gradients of the formula, of the tensors that the program gave gradients of."""
    leaves = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
    asked = [key for key in leaves if is_leaf(key, leaves[key], gradients)]
    for key in asked:
        leaves[key] = leaves[key].clone().requires_grad_(True)
    value = formula(options, leaves)
    found = torch.autograd.grad(value, [leaves[key] for key in asked], allow_unused=True)
    found = {key: torch.zeros_like(leaves[key]) if g is None else g for key, g in zip(asked, found)}
    return value.item(), found


def apart(found, expected):
    """The largest difference, relative to the largest number."""
    size = max(expected.abs().max().item(), 1e-12) if expected.numel() else 1.0
    return (found.double() - expected).abs().max().item() / size if expected.numel() else 0.0


def compare(program, name, formula, options, inputs, folder):
    """The relative differences of value and gradients."""
    value, gradients = ours(program, name, options, inputs, folder)
    expected, expected_gradients = theirs(formula, options, inputs, gradients)
    missing = set(expected_gradients) ^ set(gradients)
    if missing:
        raise RuntimeError(f"gradients of {sorted(missing)} on one side only")
    for key, gradient in gradients.items():
        if gradient.dtype != inputs[key].dtype and key.startswith("student."):
            raise RuntimeError(f"the gradient of {key} is {gradient.dtype}, its input {inputs[key].dtype}")
    # Below a thousandth the difference counts as it is: values near 0 have no digits to compare.
    of_value = abs(value - expected) / max(abs(expected), 1e-3)
    of_gradients = max((apart(gradients[key], g) for key, g in expected_gradients.items()), default=0.0)
    return of_value, of_gradients


def check(arguments, place, name):
    """A line about a loss, and its failures."""
    if name not in LOSSES:
        return "", [f"{name}: no formula in tests/formulas"]
    formula, cases = LOSSES[name]
    worst, failures = [0.0, 0.0, 0.0], []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for number, case in enumerate(cases):
            options, inputs = case(Random(1_000_000 * arguments.seed + 1_000 * place + number))
            rounded = {key: value.bfloat16() if key.split(".")[0] in ("student", "teacher") and value.is_floating_point() else value for key, value in inputs.items()}
            try:
                of_value, of_gradient = compare(arguments.loss, name, formula, options, inputs, folder)
                of_bf16, _ = compare(arguments.loss, name, formula, options, rounded, folder)
            except RuntimeError as error:
                failures.append(f"{name}, case {number}: {error}")
                continue
            worst = [max(pair) for pair in zip(worst, (of_value, of_gradient, of_bf16))]
    if max(worst[:2]) > EXACT or worst[2] > IN_LOW_PRECISION.get(name, ROUNDED):
        failures.append(f"{name}: {worst} is more than {EXACT}, or {IN_LOW_PRECISION.get(name, ROUNDED)} of bfloat16")
    return f"{name:<28} {len(cases):>5} {worst[0]:>9.1e} {worst[1]:>9.1e} {worst[2]:>9.1e}\n", failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", default="target/debug/loss", help="the program to check")
    parser.add_argument("--seed", type=int, default=0, help="of the random tensors")
    parser.add_argument("--only", help="one loss by name")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in names_of(arguments.loss) if arguments.only in (None, name)]
    if not names:
        sys.exit("the program lists no such loss")
    failures = []
    print(f"torch {torch.__version__}, seed {arguments.seed}; largest relative differences")
    print(f"{'loss':<28} {'cases':>5} {'value':>9} {'gradient':>9} {'bf16':>9}")
    # Nearly all of the time goes to starting the program, once a case and dtype.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines, failed in pool.map(lambda place: check(arguments, place, names[place]), range(len(names))):
            failures += failed
            print(lines, end="")
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{len(names)} losses, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
