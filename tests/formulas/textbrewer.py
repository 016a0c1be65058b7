"""TextBrewer's losses, from its documentation and their papers."""

import torch
import torch.nn.functional as F

from . import counted, loss
from .features import kl, layers, one


def logits(options=None, size=(4, 6), masked=False):
    def case(r):
        x = {"student.logits": r.normal(*size, scale=2.0), "teacher.logits": r.normal(*size, scale=2.0)}
        if masked:
            x["logits_mask"] = r.mask(*size[:2])
        return dict(options or {}), x

    return case


LOGITS = [logits({"temperature": 3.0}), logits(size=(3, 5, 6)), logits(size=(3, 5, 6), masked=True)]


def both_logits(p, x):
    temperature = p.get("temperature", 4.0)
    return x["student.logits"] / temperature, x["teacher.logits"] / temperature, x.get("logits_mask")


@loss("kd_ce", *LOGITS, logits({"temperature": 2.0, "temperature_squared": True}))
def kd_ce(p, x):
    s, t, mask = both_logits(p, x)
    value = counted(-(t.softmax(-1) * s.log_softmax(-1)).sum(-1), mask)
    return value * p["temperature"] ** 2 if p.get("temperature_squared") else value


@loss("kd_mse", *LOGITS)
def kd_mse(p, x):
    s, t, mask = both_logits(p, x)
    return counted((s - t).square().mean(-1), mask)


def hidden(count=1, width_t=6, masked=True, empty=False, numbers=((2, 0), (5, 1))):
    def case(r):
        x = {"inputs_mask": r.mask(4, 5, empty)} if masked else {}
        for n_t, n_s in numbers[:count]:
            x[f"student.hidden.{n_s}"] = r.normal(4, 5, 6)
            x[f"teacher.hidden.{n_t}"] = r.normal(4, 5, width_t)
        return {}, x

    return case


def vectors(r):
    return {}, {"student.embedding": r.normal(4, 6), "teacher.embedding": r.normal(4, 6)}


@loss("hidden_mse", hidden(), hidden(masked=False), vectors)
def hidden_mse(p, x):
    s, t = one(x, "hidden", "embedding")
    return counted((s - t).square().mean(-1), x.get("inputs_mask"))


@loss("cos", hidden(), hidden(masked=False), vectors)
def cos(p, x):
    s, t = one(x, "hidden", "embedding")
    return counted(1 - F.cosine_similarity(s, t, dim=-1), x.get("inputs_mask"))


@loss("pkd", hidden(), hidden(masked=False), vectors)
def pkd(p, x):
    s, t = (v[:, 0] if v.dim() == 3 else v for v in one(x, "hidden", "embedding"))
    return (F.normalize(s, dim=-1) - F.normalize(t, dim=-1)).square().sum(-1).mean()


def two(x, side):
    """The two layers of a side, example by example, cut to the positions that count."""
    first, second = layers(x, side, "hidden")
    mask = x.get("inputs_mask")
    for row in range(len(first)):
        if mask is not None and not mask[row].any():
            continue
        kept = slice(None) if mask is None else mask[row].bool()
        yield first[row, kept], second[row, kept]


@loss("fsp", hidden(2), hidden(2, empty=True), hidden(2, masked=False))
def fsp(p, x):
    flows = lambda side: torch.stack([a.T @ b / len(a) for a, b in two(x, side)])
    return F.mse_loss(flows("student"), flows("teacher"))


@loss("nst", hidden(2), hidden(2, width_t=9), hidden(2, masked=False))
def nst(p, x):
    similar = lambda side: torch.cat([(a @ b.T / a.shape[1]).flatten() for a, b in two(x, side)])
    return F.mse_loss(similar("student"), similar("teacher"))


def attention(maps_are, heads_t=2, masked=True):
    def case(r):
        x = {"student.attention.0": r.normal(4, 2, 5, 5), "teacher.attention.3": r.normal(4, heads_t, 5, 5)}
        mask = r.mask(4, 5)
        if masked:
            x["inputs_mask"] = mask
        if maps_are == "probabilities":
            for key in ("student.attention.0", "teacher.attention.3"):
                x[key] = x[key].softmax(-1)
        return ({"maps": maps_are} if maps_are else {}), x

    return case


def attention_cases(heads_t=2):
    return [attention(maps, heads_t, masked) for maps in ("probabilities", "scores", None) for masked in (True, False)]


def cut(maps, x):
    """Each example's maps, cut to the positions that count."""
    mask = x.get("inputs_mask")
    for row, example in enumerate(maps):
        kept = slice(None) if mask is None else mask[row].bool()
        yield example[:, kept][:, :, kept]


def squares(p, x, head):
    s, t = (head(side) for side in one(x, "attention"))
    if "maps" not in p and "inputs_mask" not in x:
        # TextBrewer takes scores up to -0.001 for padding where it has no mask.
        s, t = (torch.where(side <= -1e-3, torch.zeros_like(side), side) for side in (s, t))
    pairs = zip(cut(s, x), cut(t, x))
    # The mean over heads of each pair of positions; then over the pairs.
    return torch.cat([(a - b).square().mean(0).flatten() for a, b in pairs]).mean()


@loss("attention_mse", *attention_cases())
def attention_mse(p, x):
    return squares(p, x, lambda maps: maps)


@loss("attention_mse_sum", *attention_cases(3))
def attention_mse_sum(p, x):
    return squares(p, x, lambda maps: maps.sum(1, keepdim=True))


def entropies(p, x, head):
    s, t = (head(side) for side in one(x, "attention"))
    if "maps" in p:
        pairs = zip(cut(s, x), cut(t, x))
        if p["maps"] == "probabilities":
            terms = [-(b * a.log()).sum(-1) for a, b in pairs]
        else:
            terms = [-(b.softmax(-1) * a.log_softmax(-1)).sum(-1) for a, b in pairs]
    else:
        # TextBrewer's softmax runs over padded keys too, which are left out afterwards.
        t_soft = t.softmax(-1)
        if "inputs_mask" not in x:
            t_soft = torch.where(t <= -1e-3, torch.zeros_like(t), t_soft)
        terms = [-(b * a).sum(-1) for a, b in zip(cut(s.log_softmax(-1), x), cut(t_soft, x))]
    return torch.cat([term.mean(0) for term in terms]).mean()


@loss("attention_ce", *attention_cases())
def attention_ce(p, x):
    return entropies(p, x, lambda maps: maps)


@loss("attention_ce_mean", *attention_cases(3))
def attention_ce_mean(p, x):
    return entropies(p, x, lambda maps: maps.mean(1, keepdim=True))
