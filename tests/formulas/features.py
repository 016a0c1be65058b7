"""Losses on hidden states, feature maps, embeddings and relations."""

import itertools

import torch
import torch.nn.functional as F

from . import counted, loss

# What a loss sees of one side: s and t are the tensors, m the mask or None.


def layers(x, side, role):
    found = [(int(key.split(".")[2]), value) for key, value in x.items() if key.startswith(f"{side}.{role}.")]
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def one(x, *roles):
    for role in roles:
        if f"student.{role}" in x:
            return x[f"student.{role}"], x[f"teacher.{role}"]
        if layers(x, "student", role):
            return layers(x, "student", role)[0], layers(x, "teacher", role)[0]
    raise KeyError(roles)


def vectors(features, mask, pool):
    """One vector an example that has a position: the first, or the mean over those whose mask is 1."""
    if features.dim() == 2:
        return features
    if pool == "first":
        return features[:, 0]
    if mask is None:
        return features.mean(1)
    return torch.stack([row[kept.bool()].mean(0) for row, kept in zip(features, mask) if kept.any()])


def both_vectors(p, x):
    s, t = one(x, "embedding", "hidden")
    mask = x.get("inputs_mask")
    return vectors(s, mask, p.get("pool", "mean")), vectors(t, mask, p.get("pool", "mean"))


def embeddings(width_s, width_t):
    def case(r):
        return {}, {"student.embedding": r.normal(6, width_s), "teacher.embedding": r.normal(6, width_t)}

    return case


def hidden(width_s, width_t, options=None, masked=True):
    def case(r):
        x = {"student.hidden.2": r.normal(4, 5, width_s), "teacher.hidden.7": r.normal(4, 5, width_t)}
        if masked:
            x["inputs_mask"] = r.mask(4, 5, empty=True)
        return dict(options or {}), x

    return case


def maps(channels_s, channels_t, options=None):
    def case(r):
        x = {"student.hidden.0": r.normal(3, channels_s, 4, 5), "teacher.hidden.0": r.normal(3, channels_t, 4, 5)}
        return dict(options or {}), x

    return case


POOLED = [embeddings(5, 8), hidden(5, 8), hidden(5, 8, {"pool": "first"}, masked=False)]


@loss("rkd_distance", *POOLED)
def rkd_distance(p, x):
    # Park et al. 2019, equations 4 to 6: distances in units of their mean, Huber loss.
    def distances(e):
        d = torch.stack([torch.stack([(a - b).norm() if i != j else (a - a).sum() for j, b in enumerate(e)]) for i, a in enumerate(e)])
        return d / d[d > 0].mean()

    s, t = both_vectors(p, x)
    return F.smooth_l1_loss(distances(s), distances(t))


@loss("rkd_angle", *POOLED)
def rkd_angle(p, x):
    # Park et al. 2019, equations 7 to 9: the cosine at the middle one of three examples, Huber loss.
    s, t = both_vectors(p, x)
    total, n = 0.0, len(s)
    for j in range(n):
        def cosines(e):
            e = F.normalize(e - e[j], dim=1)
            return e @ e.T

        total = total + F.smooth_l1_loss(cosines(s), cosines(t), reduction="sum")
    return total / n**3


@loss("pkt", *POOLED)
def pkt(p, x):
    # Passalis and Tefas 2018: conditional probabilities from cosines moved to [0, 1].
    def probabilities(e):
        e = e / (e.norm(dim=1, keepdim=True) + 1e-7)
        k = (e @ e.T + 1) / 2
        return k / k.sum(1, keepdim=True)

    s, t = (probabilities(e) for e in both_vectors(p, x))
    return (t * ((t + 1e-7) / (s + 1e-7)).log()).mean()


@loss("sp", embeddings(5, 8), hidden(5, 8), maps(3, 4))
def sp(p, x):
    # Tung and Mori 2019, equations 3 and 4.
    def similarities(f):
        if f.dim() == 3 and "inputs_mask" in x:
            mask = x["inputs_mask"]
            f = (f * mask.unsqueeze(-1))[mask.any(1)]
        f = f.flatten(1)
        return F.normalize(f @ f.T, dim=1)

    s, t = one(x, "embedding", "hidden")
    return (similarities(s) - similarities(t)).square().mean()


@loss("cka", embeddings(5, 8), hidden(5, 8))
def cka(p, x):
    # Kornblith et al. 2019: linear CKA by Gram matrices, HSIC(K, L) = tr(K H L H).
    s, t = one(x, "embedding", "hidden")
    if s.dim() == 3:
        m = x["inputs_mask"].bool()
        s, t = s[m], t[m]
    h = torch.eye(len(s), dtype=s.dtype) - 1 / len(s)
    hsic = lambda a, b: ((a @ a.T) @ h @ (b @ b.T) @ h).trace()
    return 1 - hsic(s, t) / (hsic(s, s) * hsic(t, t)).sqrt()


def channels(f):
    """(batch, channels, positions): of feature maps, or of tokens, whose channels are the width."""
    return f.flatten(2) if f.dim() == 4 else f.transpose(1, 2)


def samples(x):
    """Each example's (channels, positions) of both sides, of the positions that count."""
    s, t = one(x, "hidden")
    mask = x.get("inputs_mask")
    for row, (a, b) in enumerate(zip(channels(s), channels(t))):
        if mask is not None and not mask[row].any():
            continue
        kept = slice(None) if mask is None else mask[row].bool()
        yield a[:, kept], b[:, kept]


def attention_of(f):
    return F.normalize(f.square().mean(0), dim=0)


@loss("at_mse", maps(3, 4), hidden(5, 8))
def at_mse(p, x):
    # Zagoruyko and Komodakis 2017, as their code has it.
    squares = [(attention_of(s) - attention_of(t)).square() for s, t in samples(x)]
    return torch.cat(squares).mean()


@loss("at_norm", maps(3, 4), hidden(5, 8))
def at_norm(p, x):
    # Zagoruyko and Komodakis 2017, equation 2, without its factor of beta / 2.
    return torch.stack([(attention_of(s) - attention_of(t)).norm() for s, t in samples(x)]).mean()


def vid_case(make):
    def case(r):
        options, x = make(r)
        s, t = one(x, "hidden")
        s, t = channels(s).shape[1], channels(t).shape[1]
        x["loss.regressor.weight"] = r.normal(t, s, scale=0.4)
        x["loss.regressor.bias"] = r.normal(t, scale=0.2)
        x["loss.rho"] = r.normal(t)
        return {"student": s, "teacher": t}, x

    return case


@loss("vid", vid_case(maps(3, 4)), vid_case(hidden(5, 8)))
def vid(p, x):
    # Ahn et al. 2019, equations 4 to 6, with a linear regressor.
    variance = F.softplus(x["loss.rho"]).unsqueeze(-1) + 1e-5
    terms = []
    for s, t in samples(x):
        mean = x["loss.regressor.weight"] @ s + x["loss.regressor.bias"].unsqueeze(-1)
        terms.append((0.5 * ((mean - t).square() / variance + variance.log())).mean(0))
    return torch.cat(terms).mean()


@loss("ickd", maps(4, 4), hidden(6, 6))
def ickd(p, x):
    # Liu et al. 2021: correlations of channels, their rows of length 1.
    correlations = lambda f: F.normalize(f @ f.T, dim=1)
    pairs = list(samples(x))
    squares = sum((correlations(s) - correlations(t)).square().sum() for s, t in pairs)
    return squares / (len(pairs[0][0]) * len(pairs) ** 2)


@loss("nst_poly", maps(3, 4), hidden(5, 8))
def nst_poly(p, x):
    # Huang and Wang 2017, equation 6, with k(x, y) = (x . y)^2.
    kernel = lambda a, b: (F.normalize(a, dim=1) @ F.normalize(b, dim=1).T).square().mean()
    return torch.stack([kernel(t, t) + kernel(s, s) - 2 * kernel(s, t) for s, t in samples(x)]).mean()


@loss("cwd", maps(4, 4), hidden(6, 6, {"temperature": 2.0}))
def cwd(p, x):
    # Shu et al. 2021, equations 1 and 2: every channel a distribution over positions.
    tau = p.get("temperature", 4.0)
    divergences = []
    for s, t in samples(x):
        s, t = (s / tau).log_softmax(1), (t / tau).log_softmax(1)
        divergences.append((t.exp() * (t - s)).sum(1).mean())
    return tau**2 * torch.stack(divergences).mean()


@loss("pearson_kd", maps(4, 4), hidden(6, 6))
def pearson_kd(p, x):
    # Cao et al. 2022, section 3: channels to mean 0 and deviation 1 over the batch, half the MSE.
    def standard(side):
        f = torch.cat([pair[side] for pair in samples(x)], dim=1)
        return (f - f.mean(1, keepdim=True)) / (f.std(1, keepdim=True) + 1e-6)

    return F.mse_loss(standard(0), standard(1)) / 2


@loss("hcl", maps(4, 4), hidden(6, 6))
def hcl(p, x):
    # Chen et al. 2021, section 3.4, and its code: an example's own positions, averaged over 4, 2 and 1 spans.
    s, t = one(x, "hidden")
    if s.dim() == 4:
        pairs, pool = [(s[i : i + 1], t[i : i + 1]) for i in range(len(s))], F.adaptive_avg_pool2d
    else:
        pairs, pool = [(s[None], t[None]) for s, t in samples(x)], F.adaptive_avg_pool1d
    values = []
    for s, t in pairs:
        value, weights = F.mse_loss(s, t), [1.0]
        for level in [level for level in (4, 2, 1) if level < s.shape[2]]:
            weights.append(weights[-1] / 2)
            value = value + weights[-1] * F.mse_loss(pool(s, level), pool(t, level))
        values.append(value / sum(weights))
    return torch.stack(values).mean()


def relation_case(*roles, heads=3):
    def case(r):
        x = {"inputs_mask": r.mask(4, 5, empty=True)}
        for role in roles:
            x[f"student.{role}"] = r.normal(4, 5, 6)
            x[f"teacher.{role}"] = r.normal(4, 5, 12)
        return {"heads": heads}, x

    return case


def kl(log_t, log_s):
    return (log_t.exp() * (log_t - log_s)).sum(-1)


@loss("minilm_relation", relation_case("query", "key", "value"), relation_case("value", heads=2))
def minilm_relation(p, x):
    # Wang et al. 2020 (MiniLMv2), equations 5 to 7.
    def relations(f):
        length, width = f.shape
        f = f.view(length, p["heads"], width // p["heads"]).transpose(0, 1)
        return (f @ f.transpose(1, 2) / (width // p["heads"]) ** 0.5).log_softmax(-1)

    total = 0.0
    for role in ("query", "key", "value"):
        if f"student.{role}" in x:
            rows = zip(x[f"student.{role}"], x[f"teacher.{role}"], x["inputs_mask"].bool())
            total = total + torch.stack([kl(relations(t[m]), relations(s[m])).mean() for s, t, m in rows if m.any()]).mean()
    return total


def attention_case(maps_are):
    def case(r):
        x = {"student.attention.0": r.normal(4, 2, 5, 5), "teacher.attention.3": r.normal(4, 2, 5, 5)}
        x["inputs_mask"] = r.mask(4, 5, empty=True)
        if maps_are == "probabilities":
            hidden_keys = (x["inputs_mask"] == 0)[:, None, None, :]
            for key in ("student.attention.0", "teacher.attention.3"):
                x[key] = x[key].masked_fill(hidden_keys, -1e9).softmax(-1)
        return {"maps": maps_are}, x

    return case


@loss("minilm_attention", attention_case("probabilities"), attention_case("scores"))
def minilm_attention(p, x):
    # Wang et al. 2020 (MiniLM), equation 7.
    log = (lambda a: a.log()) if p["maps"] == "probabilities" else (lambda a: a.log_softmax(-1))
    s, t = one(x, "attention")
    rows = zip(s, t, x["inputs_mask"].bool())
    return torch.stack([kl(log(t[:, m][:, :, m]), log(s[:, m][:, :, m])).mean() for s, t, m in rows if m.any()]).mean()


def crd_case(options):
    def case(r):
        unit = lambda *size: F.normalize(r.normal(*size), dim=1)
        x = {
            "student.embedding": r.normal(3, 5),
            "teacher.embedding": r.normal(3, 8),
            "index": torch.tensor([4, 0, 7]),
            "loss.negatives": r.integers(9, 3, 6),
            "loss.student.weight": r.normal(4, 5),
            "loss.student.bias": r.normal(4, scale=0.1),
            "loss.teacher.weight": r.normal(4, 8),
            "loss.teacher.bias": r.normal(4, scale=0.1),
            "loss.student_bank": unit(9, 4),
            "loss.teacher_bank": unit(9, 4),
        }
        x.update({f"loss.{name}": torch.tensor([value], dtype=torch.float64) for name, value in options.items()})
        return {"rows": 9, "student": 5, "teacher": 8, "width": 4, "negatives": 6}, x

    return case


@loss("crd", crd_case({}), crd_case({"student_constant": 30.0, "teacher_constant": 12.5}))
def crd(p, x):
    # Tian et al. 2020, section 3 and the noise-contrastive form of its code.
    n, m, temperature = p["rows"], p["negatives"], 0.07
    columns = torch.cat([x["index"].unsqueeze(1), x["loss.negatives"]], 1)

    def term(side, bank):
        e = F.normalize(x[f"{side}.embedding"] @ x[f"loss.{side}.weight"].T + x[f"loss.{side}.bias"], dim=1)
        out = torch.stack([(x[f"loss.{bank}"][row] @ one / temperature).exp() for row, one in zip(columns, e)])
        z = x.get(f"loss.{side}_constant")
        out = out / (out.detach().mean() * n if z is None else z)
        noise = m / n
        positive = (out[:, 0] / (out[:, 0] + noise + 1e-7)).log()
        negative = (noise / (out[:, 1:] + noise + 1e-7)).log().sum(1)
        return -(positive + negative).mean()

    return term("student", "teacher_bank") + term("teacher", "student_bank")


def many(role, student, teacher, shape_s, shape_t):
    def case(r):
        x = {"inputs_mask": r.mask(shape_s[0], shape_s[-2])}
        x.update({f"student.{role}.{n}": r.normal(*shape_s) for n in range(student)})
        x.update({f"teacher.{role}.{n}": r.normal(*shape_t) for n in range(teacher)})
        return {}, x

    return case


def transport(costs):
    """The cheapest flow between uniform masses, by linear programming."""
    from scipy.optimize import linprog

    n, m = costs.shape
    rows = torch.eye(n).repeat_interleave(m, 1)
    columns = torch.eye(m).repeat(1, n)
    masses = [1 / n] * n + [1 / m] * m
    found = linprog(costs.flatten().tolist(), A_eq=torch.cat([rows, columns]).tolist(), b_eq=masses)
    return torch.tensor(found.x, dtype=torch.float64).view(n, m)


def emd(costs):
    n, m = len(costs), len(costs[0])
    costs = torch.stack([torch.stack(row) for row in costs])
    return (transport(costs.detach()) * costs).sum()


@loss("emd_hidden", many("hidden", 2, 3, (4, 5, 6), (4, 5, 6)), many("hidden", 3, 3, (4, 5, 6), (4, 5, 6)))
def emd_hidden(p, x):
    # Li et al. 2020 (BERT-EMD), equations 5 to 9, with uniform masses.
    square = lambda s, t: counted((s - t).square().mean(-1), x["inputs_mask"])
    return emd([[square(s, t) for t in layers(x, "teacher", "hidden")] for s in layers(x, "student", "hidden")])


@loss("emd_attention", many("attention", 2, 5, (4, 2, 5, 5), (4, 2, 5, 5)))
def emd_attention(p, x):
    pairs = x["inputs_mask"].bool()
    pairs = pairs.unsqueeze(1) & pairs.unsqueeze(2)
    square = lambda s, t: (s - t).square().mean(1)[pairs].mean()
    return emd([[square(s, t) for t in layers(x, "teacher", "attention")] for s in layers(x, "student", "attention")])


def scores(options=None):
    def case(r):
        return dict(options or {}), {"student.logits": r.normal(4, 6), "teacher.logits": r.normal(4, 6)}

    return case


@loss("margin_mse", scores())
def margin_mse(p, x):
    # Hofstaetter et al. 2020: margins between the first candidate and each of the others.
    margins = lambda z: z[:, :1] - z[:, 1:]
    return F.mse_loss(margins(x["student.logits"]), margins(x["teacher.logits"]))


@loss("candidates_kl", scores({"student_temperature": 2.0}), scores({"student_temperature": 2.0, "teacher_temperature": 1.0}))
def candidates_kl(p, x):
    ts, tt = p.get("student_temperature", 1.0), p.get("teacher_temperature", 1.0)
    return ts**2 * kl((x["teacher.logits"] / tt).log_softmax(-1), (x["student.logits"] / ts).log_softmax(-1)).mean()
