"""Traces a classifier of transformers: python trace.py FOLDER teacher.pt (torch 2.11.0, transformers 5).

The module takes input_ids and attention_mask, both (batch, length), and returns the logits and a tuple
of the hidden states, embeddings first.
"""

import sys

import torch
from transformers import AutoModelForSequenceClassification


class Teacher(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        # The plain form of attention: the others read the mask's values while they are traced.
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")

    def forward(self, input_ids, attention_mask):
        output = self.model(input_ids, attention_mask, output_hidden_states=True)
        return output.logits, tuple(output.hidden_states)


folder, module = sys.argv[1:]
teacher = Teacher(folder).eval()
input_ids = torch.randint(1, 100, (2, 16))
attention_mask = torch.ones_like(input_ids)
attention_mask[1, 10:] = 0
with torch.no_grad():
    traced = torch.jit.trace(teacher, (input_ids, attention_mask))
    # Another shape than the one it was traced with, to see that no size was baked in.
    other, mask = torch.randint(1, 100, (3, 7)), torch.ones(3, 7, dtype=torch.long)
    off = (traced(other, mask)[0] - teacher(other, mask)[0]).abs().max().item()
    assert off < 1e-4, f"the traced module is off by {off} on another shape"
traced.save(module)
