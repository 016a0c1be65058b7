# The expert's side of the race: the loop that somebody who knows PyTorch well writes for this one recipe.
#
# Fused attention, fused AdamW, batches of rows of like length, and a teacher that runs in `torch.inference_mode`, and
# only in the first epoch: what the student is to match is kept in memory, without padding.

teacher, student = (model(side, attn_implementation="sdpa") for side in ("teacher", "student"))
teacher.eval().requires_grad_(False)
student.train()
evaluations, dropout, clock = Evaluations(dev, teacher), Dropout(student), Clock()

stride = teacher.config.num_hidden_layers // student.config.num_hidden_layers
optimizer = torch.optim.AdamW(student.parameters(), lr=config["learning_rate"], weight_decay=0.01, fused=True)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate)

# Of each row that the teacher has seen: its logits, and its hidden states, (length, layers, width).
kept = {}


def taught(numbers, batch):
    """The teacher's logits and hidden states, (batch, length, layers, width), for these rows."""
    if config["keeps"] and all(number in kept for number in numbers):
        logits, hidden = zip(*(kept[number] for number in numbers))
        return torch.stack(logits), torch.nn.utils.rnn.pad_sequence(hidden, batch_first=True)
    with torch.inference_mode():
        outputs = teacher(batch["input_ids"], batch["attention_mask"], output_hidden_states=True)
    # Copies, because autograd may not save what was made in inference mode.
    logits, hidden = outputs.logits.clone(), torch.stack(outputs.hidden_states[::stride], dim=2)
    if config["keeps"]:
        for row, number in enumerate(numbers):
            kept[number] = logits[row], hidden[row, : len(train[number]["input_ids"])].clone()
    return logits, hidden


def loss_of(outputs, batch, logits, hidden):
    """Soft targets at the temperature, hard labels, and the mean squared error of each matched layer over all tokens."""
    temperature = config["temperature"]
    soft = F.cross_entropy(outputs.logits / temperature, (logits / temperature).softmax(-1))
    mask = batch["attention_mask"].float()
    differences = ((mine - hidden[:, :, layer]).square().mean(-1) for layer, mine in enumerate(outputs.hidden_states))
    return soft + outputs.loss + sum((difference * mask).sum() for difference in differences) / mask.sum()


step = 0
clock.start()
for epoch in range(config["epochs"]):
    for numbers in batches[epoch]:
        batch = padded([train[number] for number in numbers])
        logits, hidden = taught(numbers, batch)
        loss = loss_of(student(**batch, output_hidden_states=True), batch, logits, hidden)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        step += 1
    clock.stop()
    evaluations.evaluate(student, step, clock.seconds)
    clock.start()
kept_bytes = sum(part.nbytes for row in kept.values() for part in row)
report("expert", cached_rows=len(kept), cached_bytes=kept_bytes)
