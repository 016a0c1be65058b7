"""Losses on logits, from their papers."""

import torch
import torch.nn.functional as F

from . import LOSSES, counted, loss

# A pair of rows is what a formula sees: the student's logits and the teacher's at their temperatures,
# (rows, classes) of the rows that count, with the rows' labels.


def logits(options=None, size=(5, 7), masked=False, labels=False, scale=2.0, bare=False):
    def case(r):
        x = {"student.logits": r.normal(*size, scale=scale), "teacher.logits": r.normal(*size, scale=scale)}
        if masked:
            x["logits_mask"] = r.mask(*size[:2])
        if labels:
            x["labels"] = r.integers(size[-1], *size[:-1])
        return dict(options or {}), x

    return case


def cases(options=None, **given):
    options = options or {}
    return [
        logits(options, **given),
        logits({**options, "temperature": 3.0, "temperature_squared": True}, **given),
        logits({**options, "temperature": 2.0, "teacher_temperature": 1.5}, size=(3, 5, 6), masked=True, **given),
    ]


def rows(p, x, default=1.0):
    s, t, labels = x["student.logits"], x["teacher.logits"], x.get("labels")
    if "logits_mask" in x:
        kept = x["logits_mask"].bool()
        s, t, labels = s[kept], t[kept], None if labels is None else labels[kept]
    temperature = p.get("temperature", default)
    of_teacher = p.get("teacher_temperature") or temperature
    s, t = s.flatten(0, -2) / temperature, t.flatten(0, -2) / of_teacher
    return s, t, None if labels is None else labels.flatten(), temperature


def squared(p, temperature):
    return temperature**2 if p.get("temperature_squared") else 1.0


def kl(log_p, log_q):
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def mixed(log_p, log_q, share):
    """log(share p + (1 - share) q)."""
    return (share * log_p.exp() + (1 - share) * log_q.exp()).log()


def forward_kl(p, log_p, log_q):
    return kl(log_p, log_q)


def reverse_kl(p, log_p, log_q):
    return kl(log_q, log_p)


def jsd(p, log_p, log_q):
    # Agarwal et al. 2024, equation 1: beta is the teacher's share of the mixture.
    beta = p.get("beta", 0.5)
    m = mixed(log_p, log_q, beta)
    return beta * kl(log_p, m) + (1 - beta) * kl(log_q, m)


def skew_kl(p, log_p, log_q):
    # Ko et al. 2024, equation 5.
    return kl(log_p, mixed(log_p, log_q, p.get("alpha", 0.1)))


def skew_reverse_kl(p, log_p, log_q):
    alpha = p.get("alpha", 0.1)
    m = mixed(log_p, log_q.detach() if p.get("detached_mixture") else log_q, 1 - alpha)
    return kl(log_q, m)


def total_variation(p, log_p, log_q):
    return (log_p.exp() - log_q.exp()).abs().sum(-1) / 2


def adaptive_kl(p, log_p, log_q):
    # Wu et al. 2024, equations 8 to 10: the head is the smallest set of the teacher's likeliest classes
    # with a probability of mu.
    values = []
    for a, b in zip(log_p, log_q):
        order = a.argsort(descending=True)
        before = a[order].exp().cumsum(0) - a[order].exp()
        head = torch.zeros(len(a), dtype=torch.bool)
        head[order] = before < p.get("mu", 0.5)
        gap = (a.exp() - b.exp()).abs().detach()
        of_head, of_tail = gap[head].sum(), gap[~head].sum()
        values.append((of_head * kl(a, b) + of_tail * kl(b, a)) / (of_head + of_tail))
    return torch.stack(values)


DIVERGENCES = {
    "kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
    "skew_kl": skew_kl,
    "skew_reverse_kl": skew_reverse_kl,
    "total_variation": total_variation,
    "adaptive_kl": adaptive_kl,
}
OTHERS = {
    "jsd": [logits({"beta": 0.1})],
    "skew_reverse_kl": [logits({"detached_mixture": True, "alpha": 0.3})],
    "adaptive_kl": [logits({"mu": 0.8})],
}


def divergence_of(name):
    def formula(p, x):
        s, t, _, temperature = rows(p, x)
        each = DIVERGENCES[name](p, t.log_softmax(-1), s.log_softmax(-1))
        return each.mean() * squared(p, temperature)

    return formula


for name in DIVERGENCES:
    loss(name, *cases(), *OTHERS.get(name, []))(divergence_of(name))


def taid_state(options):
    def case(r):
        x = logits()(r)[1]
        x["loss.tau"] = torch.tensor(0.65, dtype=torch.float64)
        return options, x

    return case


@loss("taid", *cases(), taid_state({}))
def taid(p, x):
    # Shing et al. 2025, equation 4: the mixture is of logits.
    s, t, _, temperature = rows(p, x)
    tau = x["loss.tau"] if "loss.tau" in x else p.get("start", 0.4)
    target = ((1 - tau) * s.detach() + tau * t).softmax(-1)
    return -(target * s.log_softmax(-1)).sum(-1).mean() * squared(p, temperature)


@loss("dkd", *cases(labels=True), logits({"alpha": 0.5, "beta": 2.0}, labels=True))
def dkd(p, x):
    # Zhao et al. 2022, equations 5 to 7.
    s, t, y, temperature = rows(p, x, 4.0)
    binary = lambda z: torch.stack([z.softmax(-1)[range(len(y)), y], 1 - z.softmax(-1)[range(len(y)), y]], -1).log()
    others = lambda z: torch.stack([torch.cat([row[:c], row[c + 1 :]]) for row, c in zip(z, y)]).log_softmax(-1)
    target, non_target = kl(binary(t), binary(s)), kl(others(t), others(s))
    value = p.get("alpha", 1.0) * target + p.get("beta", 8.0) * non_target
    return value.mean() * squared(p, temperature)


@loss("dist", *cases(), logits({"beta": 2.0, "gamma": 0.5}))
def dist(p, x):
    # Huang et al. 2022, equations 6 to 10.
    s, t, _, temperature = rows(p, x)
    s, t = s.softmax(-1), t.softmax(-1)

    def correlations(a, b):
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-8)

    within_rows, within_classes = correlations(s, t), correlations(s.T, t.T)
    value = p.get("beta", 1.0) * (1 - within_rows.mean()) + p.get("gamma", 1.0) * (1 - within_classes.mean())
    return value * squared(p, temperature)


@loss("mft", *cases(labels=True), logits({"threshold": 0.5}, labels=True))
def mft(p, x):
    # Minifinetuning 2025: the label leads by the threshold after as little mixing as that takes.
    s, t, y, temperature = rows(p, x)
    target = []
    for row, label in zip(t.softmax(-1), y):
        onehot = F.one_hot(label, len(row)).to(row.dtype)
        best = torch.cat([row[:label], row[label + 1 :]]).max()
        w = ((best - row[label] + p.get("threshold", 0.2)) / (1 + best - row[label])).clamp_min(0.0)
        target.append((1 - w) * row + w * onehot)
    target = torch.stack(target)
    return (torch.special.xlogy(target, target) - target * s.log_softmax(-1)).sum(-1).mean() * squared(p, temperature)


def yes_and_no(s, t):
    q, p = torch.sigmoid(s), torch.sigmoid(t)
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


@loss("multi_label_kl", *cases())
def multi_label_kl(p, x):
    s, t, _, temperature = rows(p, x)
    return yes_and_no(s, t).sum(-1).mean() * squared(p, temperature)


@loss("binary_kl", logits(size=(6, 1)), logits({"temperature": 2.0}, size=(3, 4, 1), masked=True))
def binary_kl(p, x):
    return multi_label_kl(p, x)


@loss("regression_mse", logits(size=(6, 3)), logits(size=(3, 4, 2), masked=True))
def regression_mse(p, x):
    return counted((x["student.logits"] - x["teacher.logits"]).square().mean(-1), x.get("logits_mask"))


def label_terms(x):
    """Logits at temperature 1, and labels, of the rows that count."""
    s, t, y, _ = rows({}, x)
    return s, t, y


@loss("nkd", *cases(labels=True), logits({"gamma": 0.5}, labels=True))
def nkd(p, x):
    # Yang et al. 2023, equation 8.
    s, t, y, temperature = rows(p, x)
    s_one, t_one, _ = label_terms(x)
    place = range(len(y))
    label = -(t_one.softmax(-1)[place, y] * s_one.log_softmax(-1)[place, y])
    others = lambda z: torch.stack([torch.cat([row[:c], row[c + 1 :]]) for row, c in zip(z, y)]).log_softmax(-1)
    rest = -(others(t).exp() * others(s)).sum(-1)
    return (label + p.get("gamma", 1.5) * squared(p, temperature) * rest).mean()


@loss("wsld", *cases(labels=True))
def wsld(p, x):
    # Zhou et al. 2021, equation 10.
    s, t, y, temperature = rows(p, x, 2.0)
    s_one, t_one, _ = label_terms(x)
    h_s, h_t = (F.cross_entropy(z, y, reduction="none") for z in (s_one, t_one))
    weight = (1 - (-h_s / (h_t + 1e-7)).exp()).detach()
    return -(weight * (t.softmax(-1) * s.log_softmax(-1)).sum(-1)).mean() * squared(p, temperature)


def inner(p, x):
    """The loss that another goes around."""
    name, options = p.get("loss", "kl"), {}
    if isinstance(name, list):
        name, options = name
    return LOSSES[name][0](options, x)


@loss("standardised", logits(), logits({"loss": ["kl", {"temperature": 2.0, "temperature_squared": True}]}), logits({"loss": "dkd"}, labels=True))
def standardised(p, x):
    # Sun et al. 2024, equation 9.
    standard = lambda z: (z - z.mean(-1, keepdim=True)) / (z.std(-1, keepdim=True) + 1e-7)
    return inner(p, {key: standard(z) if key.endswith(".logits") else z for key, z in x.items()})


@loss("next_token", logits(size=(3, 5, 6), masked=True), logits({"loss": "jsd"}, size=(3, 5, 6), masked=True))
def next_token(p, x):
    shifted = {key: z[:, :-1] if key.endswith(".logits") else z[:, 1:] for key, z in x.items()}
    return inner(p, shifted)


@loss("within_vocabulary", logits({"tokens": 5}), logits({"tokens": 4, "loss": "reverse_kl"}))
def within_vocabulary(p, x):
    return inner(p, {key: z[..., : p["tokens"]] if key.endswith(".logits") else z for key, z in x.items()})


@loss("uld", logits(size=(3, 5, 6), masked=True), logits(size=(4, 7)))
def uld(p, x):
    # Boizard et al. 2024, equation 6: sorted probabilities, the difference of each rank.
    s, t, _, temperature = rows(p, x)
    ordered = lambda z: z.softmax(-1).sort(-1, descending=True).values
    return (ordered(s) - ordered(t)).abs().sum(-1).mean() * squared(p, temperature)


def top_k_cases():
    every = ("tail", "renormalised_both", "renormalised_teacher", "partial")
    return [logits({"k": 3, "semantics": name}) for name in every] + [logits({"k": 7, "divergence": "jsd"})]


@loss("top_k", *top_k_cases(), logits({"k": 3, "divergence": "reverse_kl"}))
def top_k(p, x):
    s, t, _, temperature = rows(p, x)
    places = t.topk(p["k"], -1).indices
    log_p, log_q = (z.log_softmax(-1).gather(-1, places) for z in (t, s))
    semantics = p.get("semantics", "tail")
    divergence = lambda a, b: DIVERGENCES[p.get("divergence", "kl")](p, a, b)
    if semantics == "renormalised_both":
        log_p, log_q = log_p.log_softmax(-1), log_q.log_softmax(-1)
    elif semantics == "renormalised_teacher":
        log_p = log_p.log_softmax(-1)
    elif semantics == "tail" and p["k"] < t.shape[-1]:
        rest = lambda log: torch.cat([log, (1 - log.exp().sum(-1, keepdim=True)).log()], -1)
        log_p, log_q = rest(log_p), rest(log_q)
    return divergence(log_p, log_q).mean() * squared(p, temperature)


def hidden(options=None, masked=True, labels=False):
    def case(r):
        x = {
            "student.hidden.0": r.normal(3, 5, 4),
            "teacher.hidden.0": r.normal(3, 5, 6),
            "student.output_weight": r.normal(9, 4),
            "teacher.output_weight": r.normal(9, 6),
        }
        mask = r.mask(3, 5)
        if labels:
            x["labels"] = r.integers(9, 3, 5).masked_fill(mask == 0, -100)
        elif masked:
            x["inputs_mask"] = mask
        return {"rows": 4, **(options or {})}, x

    return case


def made(x):
    """The logits of the positions that count, at temperature 1, and which positions these are."""
    # Labels below 0 do not count, in place of a mask.
    kept = x["labels"] >= 0 if "labels" in x else x["inputs_mask"].bool() if "inputs_mask" in x else slice(None)
    of = lambda side: (x[f"{side}.hidden.0"] @ x[f"{side}.output_weight"].T)[kept].flatten(0, -2)
    return of("student"), of("teacher"), kept


@loss("chunked", hidden(), hidden(masked=False), *(hidden({"divergence": name}) for name in DIVERGENCES))
def chunked(p, x):
    s, t, _ = made(x)
    return dense(p, s, t)


@loss("chunked_with_labels", hidden({"labels_weight": 0.3, "divergence": "jsd"}, labels=True))
def chunked_with_labels(p, x):
    s, t, kept = made(x)
    return dense(p, s, t) + p.get("labels_weight", 1.0) * F.cross_entropy(s, x["labels"][kept].flatten())


def dense(p, s, t):
    return DIVERGENCES[p.get("divergence", "kl")](p, t.log_softmax(-1), s.log_softmax(-1)).mean()


def two_vocabularies(options, masked=True):
    def case(r):
        x = {"student.logits": r.normal(3, 5, 7), "teacher.logits": r.normal(3, 5, 6)}
        if masked:
            x["logits_mask"] = r.mask(3, 5)
        return options, x

    return case


PAIRS = {"pairs": [[0, 3], [2, 1], [5, 5]]}


@loss("shared_tokens", two_vocabularies(PAIRS), two_vocabularies({**PAIRS, "divergence": "jsd"}, masked=False))
def shared_tokens(p, x):
    # GOLD's shared vocabulary; each side's other tokens are one class.
    s, t, _, temperature = rows(p, x)

    def known(z, place):
        log = z.log_softmax(-1)
        shared = [pair[place] for pair in p["pairs"]]
        others = [token for token in range(z.shape[-1]) if token not in shared]
        return torch.cat([log[:, shared], log[:, others].logsumexp(-1, keepdim=True)], -1)

    each = DIVERGENCES[p.get("divergence", "kl")](p, known(t, 1), known(s, 0))
    return each.mean() * squared(p, temperature)


def stored_draws(r):
    """A store's draws of the teacher, so that both sides see the same ones."""
    x = logits()(r)[1]
    dense_logits = x["teacher.logits"]
    classes = torch.multinomial(dense_logits.softmax(-1), 20, replacement=True, generator=r.generator)
    x["teacher.classes"] = classes
    x["teacher.logits"] = dense_logits.gather(-1, classes)
    x["teacher.logsumexp"] = dense_logits.logsumexp(-1)
    return {"draws": 20}, x


@loss("sampled_kl", stored_draws)
def sampled_kl(p, x):
    # Anshumann et al. 2025: each draw of the teacher counts alike.
    log_p = x["teacher.logits"] - x["teacher.logsumexp"].unsqueeze(-1)
    log_q = x["student.logits"].log_softmax(-1).gather(-1, x["teacher.classes"])
    return (log_p - log_q).mean()


def texts(options):
    def case(r):
        ends = {"student": [[1, 4, 5, 9], [2, 3, 6, 8]], "teacher": [[4, 6, 7, 9], [3, 5, 6, 8]]}
        x = {}
        for side, tokens in (("student", 7), ("teacher", 6)):
            x[f"{side}.logits"] = r.normal(2, 4, tokens)
            x[f"{side}.token_ids"] = r.integers(tokens, 2, 4)
            x[f"{side}.byte_ends"] = torch.tensor(ends[side])
        return options, x

    return case


def merged(p, x, side, row, group):
    """What a side says of tokens that are one piece of text, as logarithms."""
    log = x[f"{side}.logits"][row].log_softmax(-1)
    base = group[-1] if p.get("merge") == "bayesian" else group[0]
    others = [log[at, x[f"{side}.token_ids"][row, at]] for at in group if at != base]
    return log[base] + sum(others)


def pieces(p, x):
    """Both sides' merged distributions of every piece of text that ends on both sides."""
    for row in range(2):
        ends = {side: x[f"{side}.byte_ends"][row].tolist() for side in ("student", "teacher")}
        shared = sorted(set(ends["student"]) & set(ends["teacher"]))
        for before, end in zip([0, *shared], shared):
            within = {side: [at for at, e in enumerate(ends[side]) if before < e <= end] for side in ends}
            yield tuple(merged(p, x, side, row, within[side]) for side in ("student", "teacher"))


def by_size(s, t):
    s, t = (z.exp().sort(descending=True).values for z in (s, t))
    size = max(len(s), len(t))
    return (F.pad(s, (0, size - len(s))) - F.pad(t, (0, size - len(t)))).abs().sum()


@loss("aligned_uld", texts({}), texts({"merge": "bayesian"}))
def aligned_uld(p, x):
    # GOLD: tokens that cover the same bytes are one; then ULD of what each side says of them.
    return torch.stack([by_size(s, t) for s, t in pieces(p, x)]).mean()


@loss("gold", texts(PAIRS), texts({**PAIRS, "merge": "bayesian", "beta": 0.3, "shared_weight": 0.7, "others_weight": 0.2}))
def gold(p, x):
    # GOLD's hybrid: Jensen-Shannon over the shared tokens, ULD of the others, by the shared part of the
    # teacher's vocabulary.
    of_student, of_teacher = ([pair[place] for pair in p["pairs"]] for place in (0, 1))
    share = len(of_teacher) / x["teacher.logits"].shape[-1]
    weights = (p["shared_weight"], p["others_weight"]) if "shared_weight" in p else (share, 1 - share)
    without = lambda z, ids: z[[token for token in range(len(z)) if token not in ids]]
    values = [
        weights[0] * jsd(p, t[of_teacher], s[of_student]) + weights[1] * by_size(without(s, of_student), without(t, of_teacher))
        for s, t in pieces(p, x)
    ]
    return torch.stack(values).mean()
