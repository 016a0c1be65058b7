"""The formulas of every loss, written from the papers; `reference.py` compares the program `loss` with them."""

import torch

LOSSES = {}


def loss(name, *cases):
    """Registers a formula. A case makes (options, inputs) from a generator of random tensors."""

    def register(formula):
        LOSSES[name] = (formula, cases)
        return formula

    return register


class Random:
    """Fresh tensors of float64 from a seed."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *size, scale=1.0):
        return scale * torch.randn(*size, generator=self.generator, dtype=torch.float64)

    def integers(self, high, *size):
        return torch.randint(high, size, generator=self.generator)

    def mask(self, batch, length, empty=False):
        """Rows of at least one position, not all of one length; or with the second of padding alone."""
        lengths = torch.randint(1, length + 1, (batch, 1), generator=self.generator)
        lengths[0], lengths[-1] = length, max(1, length - 2)
        if empty:
            lengths[1] = 0
        return (torch.arange(length) < lengths).long()

    def permutation(self, count):
        return torch.randperm(count, generator=self.generator)


def counted(values, mask):
    """The mean over the positions (batch, length) whose mask is 1; of rows' means without a mask."""
    if mask is None:
        return values.mean()
    return values[mask.bool()].mean()
