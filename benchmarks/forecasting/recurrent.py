"""Networks without pharmacokinetics built in: a GRU, and a neural ODE whose latent states are driven by the doses.

    python benchmarks/forecasting/recurrent.py gru|latent_ode FOLDER [--steps 1500] [--seed 5] [--start FILE]

Those of the results:

    python benchmarks/forecasting/recurrent.py gru results/gru --steps 900
    python benchmarks/forecasting/recurrent.py gru results/gru_2 --steps 2200 --seed 6 --start results/gru/gru.safetensors
    python benchmarks/forecasting/recurrent.py latent_ode results/lode --steps 450
    python benchmarks/forecasting/recurrent.py latent_ode results/lode_2 --steps 800 --seed 6 \\
        --start results/lode/latent_ode.safetensors

Both are trained on the same corpus with the same likelihood as the forecaster and are told the same (covariates,
descriptors, the mechanistic curve where there is one, exposures); neither sees other patients. The GRU (Cho et al. 2014,
arXiv 1406.1078) reads doses and samples in order of time; the neural ODE (after Chen et al. 2018, arXiv 1806.07366, and Lu
et al. 2021, doi:10.1016/j.isci.2021.102804) takes the GRU's last state as its code, lets the doses flow into positive latent
states and integrates them by exponential Euler steps, which are stable for any rate.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pbpk_hybrid.learn.checkpoints import load_checkpoint, load_weights, save_checkpoint
from pbpk_hybrid.learn.training import TrainingOptions, train
from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.batch import SITES, Batch
from pbpk_hybrid.learn.transformer.features import (
    FOURIER,
    STATIC,
    Prepared,
    prepare,
    since_last_dose,
    time_features,
)
from pbpk_hybrid.learn.transformer.likelihood import Mixture, negative_log_likelihood
from pbpk_hybrid.learn.transformer.superposition import BANK, exposures

_TIME = 2 * FOURIER + 1
KIND = "forecasting baseline"


class Encoder(nn.Module):
    """The last state of a GRU over doses and samples in order of time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.event = nn.Sequential(nn.Linear(2 * _TIME + 9, width), nn.GELU())
        self.start = nn.Linear(STATIC, width)
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, p: Prepared) -> Tensor:
        first = torch.tanh(self.start(p.static))
        if p.obs_time.shape[1] == 0 or not bool(p.obs_mask.any()):
            return first
        last = torch.where(p.obs_mask, p.obs_time, -1.0).amax(dim=1, keepdim=True)
        time = torch.cat([p.dose_time, p.obs_time], dim=1)
        mask = torch.cat([p.dose_mask & (p.dose_time <= last), p.obs_mask], dim=1)
        most = int(mask.sum(dim=1).max())
        order = torch.where(mask, time, torch.inf).argsort(dim=1, stable=True)[:, :most]
        known = torch.isfinite(p.obs_reference)
        off = torch.where(known, p.obs_log - torch.nan_to_num(p.obs_reference), 0.0)
        none, zero = torch.zeros_like(p.dose_time), torch.zeros_like(p.obs_time)
        columns = [
            (torch.ones_like(none), zero),
            (torch.log(p.dose_amount + 1e-3), zero),
            (torch.log(p.dose_duration + 1e-2), zero),
            (p.dose_oral.float(), zero),
            (none, p.obs_log / 4.0),
            (none, p.obs_censored.float()),
            (none, known.float()),
            (none, torch.asinh(off)),
            (none, p.obs_site.float().clamp_max(2.0)),
        ]
        feature = torch.stack([torch.cat(pair, dim=1) for pair in columns], dim=-1)
        waves = torch.cat([time_features(time), time_features(since_last_dose(p, time))], dim=-1)
        x = torch.cat([feature, waves], dim=-1)
        x = torch.take_along_dim(x, order[..., None], dim=1)
        out, _ = self.gru(self.event(x), first[None].contiguous())
        count = mask.sum(dim=1)
        final = torch.take_along_dim(out, (count - 1).clamp_min(0)[:, None, None], dim=1)[:, 0]
        return torch.where((count > 0)[:, None], final, first)


class Head(nn.Module):
    """A mixture of normals for every query, about a curve or 0."""

    def __init__(self, code: int, extra: int, components: int = 5) -> None:
        super().__init__()
        self.components = components
        self.site = nn.Embedding(len(SITES), 32)
        inputs = code + extra + 2 * len(BANK) + 2 * _TIME + 3 + 32
        self.net = nn.Sequential(
            nn.Linear(inputs, 256),
            nn.GELU(),
            nn.Linear(256, 256),
            nn.GELU(),
            nn.Linear(256, 3 * components + 1),
        )

    def forward(self, p: Prepared, code: Tensor, extra: Tensor, base: Tensor) -> Mixture:
        exposure, oral = exposures(p, p.query_time)
        known = torch.isfinite(p.query_reference)
        reference = torch.nan_to_num(p.query_reference)
        x = torch.cat(
            [
                code[:, None].expand(-1, p.query_time.shape[1], -1),
                extra,
                exposure / 6.0,
                oral,
                time_features(p.query_time),
                time_features(since_last_dose(p, p.query_time)),
                self.site(p.query_site),
                torch.stack(
                    [
                        known.float(),
                        reference / 6.0,
                        torch.asinh(torch.where(known, reference - base, 0.0)),
                    ],
                    dim=-1,
                ),
            ],
            dim=-1,
        )
        out = self.net(x)
        shift, log_sd, logit = out[..., :-1].unflatten(-1, (3, self.components)).unbind(dim=-2)
        # between its own curve and the mechanistic one
        share = torch.sigmoid(out[..., -1:]) * known[..., None]
        middle = base[..., None] * (1 - share) + reference[..., None] * share
        return Mixture(
            torch.log_softmax(logit, dim=-1), middle + shift, torch.log(0.02 + softplus(log_sd))
        )


class GRU(nn.Module):
    """Code of the encoder -> mixtures; the doses reach a query through its exposures."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.encoder, self.head = Encoder(width), Head(width, 0)

    def forward(self, batch: Batch) -> Mixture:
        p = prepare(batch)
        exposure, _ = exposures(p, p.query_time)
        nothing = torch.zeros((*p.query_time.shape, 0))
        return self.head(p, self.encoder(p), nothing, exposure[..., 5])


class LatentODE(nn.Module):
    """Positive latent states fed by the doses; rates of loss and gain by a network of states and code."""

    def __init__(self, width: int = 192, states: int = 12, steps: int = 40) -> None:
        super().__init__()
        self.states, self.steps = states, steps
        self.encoder = Encoder(width)
        self.code = nn.Linear(width, 48)
        self.entry = nn.Linear(48, 2 * states)
        self.field = nn.Sequential(nn.Linear(48 + states, 96), nn.Tanh(), nn.Linear(96, 2 * states))
        self.readout = nn.Linear(48, states)
        self.head = Head(48, states)
        with torch.no_grad():
            self.field[-1].bias[:states] = torch.linspace(-5.0, 2.0, states)
            self.field[-1].bias[states:] = -6.0

    def forward(self, batch: Batch) -> Mixture:
        p = prepare(batch)
        code = torch.tanh(self.code(self.encoder(p)))
        end = p.query_time.amax(dim=1, keepdim=True).clamp_min(1e-2)
        k = torch.linspace(0.0, 1.0, self.steps + 1)
        grid = end * torch.expm1(5.0 * k) / torch.expm1(torch.tensor(5.0))
        given = _given(p, grid)  # (B, steps + 1, 2)
        entry = softplus(self.entry(code)).unflatten(-1, (2, self.states))
        z = torch.einsum("br,brs->bs", given[:, 0], entry)
        path = [z]
        for i in range(self.steps):
            h = (grid[:, i + 1] - grid[:, i])[:, None]
            loss, gain = self.field(torch.cat([torch.log(z + 1e-6) / 5.0, code], dim=-1)).chunk(
                2, dim=-1
            )
            rate, flow = (
                torch.exp(loss.clamp(-9.0, 4.0)),
                softplus(gain) * z.sum(dim=-1, keepdim=True),
            )
            stay = torch.exp(-rate * h)
            z = z * stay + flow * (1 - stay) / rate
            z = z.clamp_max(1e4) + torch.einsum("br,brs->bs", given[:, i + 1] - given[:, i], entry)
            path.append(z)
        states = torch.log(torch.stack(path, dim=1) + 1e-8)
        right = torch.searchsorted(grid.contiguous(), p.query_time.contiguous()).clamp(
            1, self.steps
        )
        t0, t1 = (
            torch.take_along_dim(grid, right - 1, dim=1),
            torch.take_along_dim(grid, right, dim=1),
        )
        share = ((p.query_time - t0) / (t1 - t0)).clamp(0, 1)[..., None]
        pick = lambda at: torch.take_along_dim(states, at[..., None], dim=1)
        there = pick(right - 1) * (1 - share) + pick(right) * share
        curve = torch.logsumexp(there + self.readout(code)[:, None], dim=-1)
        return self.head(p, code, there / 5.0, curve)


def _given(p: Prepared, time: Tensor) -> Tensor:
    """(B, T, 2) amount that has entered by vein and by mouth up to each time."""
    since = time[:, :, None] - p.dose_time[:, None, :]
    length = p.dose_duration[:, None, :]
    share = torch.where(
        length > 0, (since / length.clamp_min(1e-9)).clamp(0, 1), (since >= 0).float()
    )
    each = share * (p.dose_amount * p.dose_mask)[:, None, :]
    oral = p.dose_oral[:, None, :]
    return torch.stack([(each * ~oral).sum(dim=2), (each * oral).sum(dim=2)], dim=-1)


MODELS = {"gru": GRU, "latent_ode": LatentODE}


class Recurrent:
    """What the benchmark asks for: ``mixture(batch)``."""

    def __init__(self, name: str, path: Path) -> None:
        tensors, facts = load_checkpoint(path, kind=KIND, format_version=1)
        self.steps = int(facts["steps"])
        self.module = MODELS[name]().eval()
        load_weights(self.module, tensors)

    @torch.no_grad()
    def mixture(self, batch: Batch) -> Mixture:
        return self.module(batch)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(MODELS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--seed", type=int, default=5, help="Of the patients.")
    parser.add_argument(
        "--start", type=Path, help="Go on from these weights, with another seed: other patients."
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    module, before = MODELS[args.name](), 0
    if args.start is not None:
        tensors, earlier = load_checkpoint(args.start, kind=KIND, format_version=1)
        load_weights(module, tensors)
        before = earlier["steps"]
    options = CorpusOptions(batch_size=128, context=0.0)
    corpus, held_out = Corpus(options), Corpus(replace(options, split="test"))
    batches = [held_out.batch(1_000_003, i) for i in range(8)]

    def score(network: nn.Module, batch: Batch) -> Tensor:
        asked = prepare(batch)
        return negative_log_likelihood(
            network(batch), asked.query_log, asked.query_censored, asked.query_mask
        )

    @torch.no_grad()
    def validate(network: nn.Module) -> float:
        return sum(float(score(network, b)) for b in batches) / len(batches)

    course = TrainingOptions(
        steps=args.steps,
        learning_rate=1e-3,
        warmup=100,
        weight_decay=0.01,
        ema=0.99,
        evaluate_every=100,
        seed=args.seed,
        threads=1,
        max_minutes=args.max_minutes,
    )
    log = train(
        module,
        lambda m, step, _: score(m, corpus.batch(args.seed, step)),
        course,
        validate=validate,
        folder=args.folder,
    )
    size = sum(t.numel() for t in module.parameters())
    facts = {
        "steps": before + log.history["step"][-1],
        "validation": log.best,
        "seconds": log.seconds,
        "parameters": size,
    }
    save_checkpoint(
        args.folder / f"{args.name}.safetensors",
        module.state_dict(),
        facts,
        kind=KIND,
        format_version=1,
        overwrite=True,
    )
    print(args.name, facts)


if __name__ == "__main__":
    main()
