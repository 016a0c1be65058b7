# TextBrewer's side of the race: its GeneralDistiller on the movie reviews, as its users run it.

from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

teacher, student = (model(side, output_hidden_states=True) for side in ("teacher", "student"))
teacher.eval()
evaluations, dropout, clock = Evaluations(dev, teacher), Dropout(student), Clock()


class Epochs(torch.utils.data.Sampler):
    """The batches of the next epoch, each time it is asked."""

    def __init__(self):
        self.epochs = iter(batches)

    def __iter__(self):
        return iter(next(self.epochs))

    def __len__(self):
        return len(batches[0])


class Timed(GeneralDistiller):
    """TextBrewer writes the student before each callback; no side of the race counts that, or evaluations."""

    def save_and_callback(self, *place):
        clock.stop()
        super().save_and_callback(*place)
        clock.start()


def adaptor(batch, outputs):
    return {
        "logits": outputs.logits,
        "hidden": outputs.hidden_states,
        "inputs_mask": batch["attention_mask"],
        "losses": outputs.loss,
    }


stride = teacher.config.num_hidden_layers // student.config.num_hidden_layers
distiller = Timed(
    TrainingConfig(output_dir=config["out"], log_dir=None, device="cpu"),
    DistillationConfig(
        temperature=config["temperature"],
        kd_loss_type="ce",
        hard_label_weight=1.0,
        intermediate_matches=[
            {"layer_T": stride * layer, "layer_S": layer, "feature": "hidden", "loss": "hidden_mse", "weight": 1.0}
            for layer in range(student.config.num_hidden_layers + 1)
        ],
    ),
    teacher, student, adaptor, adaptor,
)
optimizer = torch.optim.AdamW(student.parameters(), lr=config["learning_rate"], weight_decay=0.01)
clock.start()
# Without its context, TextBrewer leaves the student as transformers loads it: in evaluation mode, without dropout.
with distiller:
    distiller.train(
        optimizer,
        torch.utils.data.DataLoader(train, batch_sampler=Epochs(), collate_fn=padded),
        num_epochs=config["epochs"],
        max_grad_norm=1.0,
        callback=lambda model, step: evaluations.evaluate(model, step, clock.seconds),
        scheduler_class=torch.optim.lr_scheduler.LambdaLR,
        scheduler_args={"lr_lambda": learning_rate},
    )
report("TextBrewer")
