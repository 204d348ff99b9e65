"""The ablation that can break physiology: the same network and sampler on raw logarithms instead of closing coordinates.

    python benchmarks/virtual_population/unconstrained.py [--physics-weight W] [--steps N] [--start IN] OUT.safetensors

Every column of a body is diffused by itself: weight, all organ masses, all flows, cardiac output, filtration, BMI, body
surface, liver cells and protein as standardised logarithms, the remaining measured quantities as PCDM has them. Nothing
ties the masses to the weight, the flows to the output, or BMI to weight and height, but what the network learns. Variants:

* no physics: the denoising loss alone;
* physics loss: plus the residuals of every rule, closures included, on the denoised people;
* physics loss and projection: sampled people are then put on the closures in closed form, which for masses m of variance v
  that should add to W is m + (W - sum m) v / sum v, the nearest point in units of the standard deviations; flows likewise,
  BMI and surface by definition. Who then breaks another hard rule is drawn again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from pbpk_hybrid.learn.checkpoints import load_checkpoint, load_weights, save_checkpoint
from pbpk_hybrid.learn.diffusion import PCDMConfig
from pbpk_hybrid.learn.diffusion.conditions import groups
from pbpk_hybrid.learn.diffusion.coordinates import MEASURED, Coordinates, ethnicity_codes
from pbpk_hybrid.learn.diffusion.module import CONDITIONS, Denoiser
from pbpk_hybrid.learn.diffusion.physics_loss import _SCALE
from pbpk_hybrid.learn.diffusion.sampler import sample
from pbpk_hybrid.learn.training import TrainingOptions, train
from pbpk_hybrid.physiology import ORGANS, RULES, training_people
from pbpk_hybrid.physiology.adults.survey import ETHNICITIES
from pbpk_hybrid.physiology.dataset import body_surface_area
from pbpk_hybrid.physiology.organs import FULL_FLOW_ORGANS, SYSTEMIC_ORGANS
from pbpk_hybrid.physiology.plausibility.body import Body

KIND, FORMAT = "unconstrained people", 1
_SINGLE = (
    "body_weight",
    "cardiac_output",
    "gfr",
    "body_mass_index",
    "body_surface_area",
    "hepatocellularity",
    "microsomal_protein",
)
_SCORED = tuple(name for name in MEASURED if name != "body_weight")
RAW = (*_SINGLE, *(f"mass {o}" for o in ORGANS), *(f"flow {o}" for o in ORGANS))
NAMES = (*_SCORED, *RAW)
_AT = {name: i for i, name in enumerate(NAMES)}
_MASSES, _FLOWS = (
    slice(_AT["mass " + ORGANS[0]], _AT["mass " + ORGANS[-1]] + 1),
    slice(_AT["flow " + ORGANS[0]], None),
)
_SYSTEMIC = [ORGANS.index(o) for o in SYSTEMIC_ORGANS]
_FULL = [ORGANS.index(o) for o in FULL_FLOW_ORGANS]
CLOSURES, CLOSURE_SCALE = ("H2", "H3", "H4"), 1e-3
#: noise levels at which the denoised estimate is held to the rules: below, sampling no longer moves what they look at;
#: above, the estimate is an average over many people and rightly closes on nobody
_LOW, _HIGH = 0.005, 0.5
CONFIG = replace(PCDMConfig(), physics_weight=0.0, projection=False)


class RawCoordinates:
    """Standardised logarithms of everything."""

    def __init__(self, scores: Coordinates, mean: torch.Tensor, scale: torch.Tensor) -> None:
        self.scores, self.mean, self.scale = scores, mean, scale

    @staticmethod
    def logs(ds: xr.Dataset) -> torch.Tensor:
        """(n, len(RAW))"""
        ds = ds.sel(organ=list(ORGANS))
        mass = (ds["volume"] * ds["density"]).transpose("subject", "organ").values
        flow = ds["blood_flow"].transpose("subject", "organ").values
        return torch.tensor(
            np.log(np.concatenate([np.stack([ds[n].values for n in _SINGLE], 1), mass, flow], 1))
        )

    @classmethod
    def fit(cls, ds: xr.Dataset, weight: np.ndarray, seed: int) -> RawCoordinates:
        logs, w = cls.logs(ds), torch.tensor(weight / weight.sum())[:, None]
        mean = (w * logs).sum(0)
        return cls(Coordinates.fit(ds, weight, seed), mean, (w * (logs - mean) ** 2).sum(0).sqrt())

    def encode(self, ds: xr.Dataset, seed: int) -> torch.Tensor:
        measured = self.scores.encode(ds, np.random.default_rng(seed))[:, : len(MEASURED)]
        keep = [MEASURED.index(name) for name in _SCORED]
        return torch.cat([measured[:, keep], (self.logs(ds) - self.mean) / self.scale], 1).float()

    def decode(self, x: torch.Tensor, male: torch.Tensor) -> dict[str, torch.Tensor]:
        """Columns of people; ``mass`` and ``flow`` (n, organ)."""
        x = x.double()
        columns = {name: self.scores.value(name, x[:, _AT[name]], male) for name in _SCORED}
        raw = torch.exp((x[:, len(_SCORED) :] * self.scale + self.mean).clamp(-30, 30))
        full = torch.cat([torch.zeros(len(x), len(_SCORED), dtype=torch.float64), raw], 1)
        columns |= {name: full[:, _AT[name]] for name in _SINGLE}
        return columns | {"mass": full[:, _MASSES], "flow": full[:, _FLOWS], "male": male}


def body(c: dict[str, torch.Tensor]) -> Body:
    """What the rules look at."""
    return Body(
        c["mass"],
        c["flow"],
        c["male"],
        c["body_weight"],
        c["height"],
        c["hematocrit"],
        c["gfr"],
        c["cardiac_output"],
        c["serum_creatinine"],
        c["body_mass_index"],
        c["body_surface_area"],
    )


def physics(coordinates: RawCoordinates, x: torch.Tensor, male: torch.Tensor) -> torch.Tensor:
    """(n,) residuals of all rules beyond their bounds, in the scale in which a person is judged.

    A closure is a relative error, in units of 0.1 %; a soft rule in its own unit (`_SCALE`). Each passes through
    sqrt(1 + u^2) - 1, quadratic near the bound and linear beyond, so that far violations keep their gradient.
    """
    b = body(coordinates.decode(x, male))
    total = torch.zeros(len(x), dtype=torch.float64)
    for rule in RULES:
        scale = CLOSURE_SCALE if rule.id in CLOSURES else _SCALE.get(rule.unit, 1.0)
        beyond = torch.nan_to_num(rule.residual(b), nan=0.0, posinf=1.0, neginf=-1.0)
        u = torch.relu(beyond) / scale
        total = total + torch.sqrt(1 + u.clamp_max(1e3) ** 2) - 1
    return total


def close(coordinates: RawCoordinates, c: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """People put on the closures in closed form."""
    start = len(_SINGLE)
    # standard deviation of a log-normal column in its own unit: its value times that of the logarithm
    mass, flow = c["mass"].clone(), c["flow"].clone()
    for values, total, part, sigma in (
        (
            mass,
            c["body_weight"],
            list(range(len(ORGANS))),
            coordinates.scale[start : start + len(ORGANS)],
        ),
        (flow, c["cardiac_output"], _SYSTEMIC, coordinates.scale[start + len(ORGANS) :]),
    ):
        variance = (values[:, part] * sigma[part]) ** 2
        gap = total - values[:, part].sum(1)
        values[:, part] += gap[:, None] * variance / variance.sum(1, keepdim=True)
    flow[:, _FULL] = c["cardiac_output"][:, None]
    return c | {
        "mass": mass,
        "flow": flow,
        "body_mass_index": c["body_weight"] / (c["height"] / 100) ** 2,
        "body_surface_area": body_surface_area(c["body_weight"], c["height"]),
    }


class Unconstrained:
    """The trained ablation."""

    def __init__(self, module: Denoiser, coordinates: RawCoordinates, shares: torch.Tensor) -> None:
        self.module, self.coordinates, self.shares = module.eval(), coordinates, shares

    @classmethod
    def fit(
        cls,
        physics_weight: float,
        steps: int,
        seed: int = 1,
        start: Path | None = None,
        rate: float = CONFIG.learning_rate,
    ) -> tuple[Unconstrained, float]:
        """Trained like PCDM, from the network in `start` if there is one; returns the best validation loss too."""
        people, held = (
            training_people("train", copies=8, seed=seed),
            training_people("validation", seed=seed),
        )
        weight = people["survey_weight"].values
        coordinates = RawCoordinates.fit(people, weight, seed)
        data, apart = (_table(ds, coordinates, seed + k) for k, ds in enumerate((people, held)))
        torch.manual_seed(seed)
        module = Denoiser(CONFIG, len(NAMES), 2 + len(ETHNICITIES))
        if start is not None:
            before = cls.load(start)
            module.load_state_dict(before.module.state_dict())
            coordinates = before.coordinates
            data, apart = (_table(ds, coordinates, seed + k) for k, ds in enumerate((people, held)))

        def loss(module, table, gen, size, physics_weight):
            x, male, code, cumulative = table
            pick = torch.searchsorted(
                cumulative, torch.rand(size, generator=gen, dtype=torch.float64)
            ).clamp_max(len(x) - 1)
            x, male = x[pick], male[pick]
            sigma = torch.exp(
                CONFIG.noise_mean + CONFIG.noise_sd * torch.randn(size, generator=gen)
            )
            noisy = x + sigma[:, None] * torch.randn(x.shape, generator=gen)
            d = module(noisy, sigma, groups(male, code[pick]), _unasked(size))
            value = (((sigma**2 + 1) / sigma**2)[:, None] * (d - x) ** 2).mean()
            if physics_weight:
                part = slice(0, size // 4)
                low = _LOW * (_HIGH / _LOW) ** torch.rand(size // 4, generator=gen)
                noisy = x[part] + low[:, None] * torch.randn(x[part].shape, generator=gen)
                d = module(noisy, low, groups(male[part], code[pick][part]), _unasked(size // 4))
                value = value + physics_weight * physics(coordinates, d, male[part]).mean().float()
            return value

        def validate(module):
            gen = torch.Generator().manual_seed(seed + 2)
            with torch.no_grad():
                return float(
                    np.mean(
                        [float(loss(module, apart, gen, 4096, physics_weight)) for _ in range(8)]
                    )
                )

        options = TrainingOptions(
            steps=steps, learning_rate=rate, weight_decay=1e-3, seed=seed, threads=1
        )
        log = train(
            module,
            lambda m, step, gen: loss(m, data, gen, CONFIG.batch_size, physics_weight),
            options,
            validate=validate,
            progress=False,
        )
        shares = torch.zeros(2, len(ETHNICITIES), dtype=torch.float64)
        shares.index_put_((data[1].long(), data[2].long()), torch.tensor(weight), accumulate=True)
        return cls(module, coordinates, shares / shares.sum()), log.best

    def sample(self, n: int, seed: int, *, projection: bool = False) -> dict[str, torch.Tensor]:
        """n people as columns; with `projection` on the closures, who breaks a hard rule even so drawn again."""
        gen = torch.Generator().manual_seed(seed)
        parts, got = [], 0
        while got < n:
            group = torch.multinomial(
                self.shares.flatten(), n - got, replacement=True, generator=gen
            )
            male, code = group >= len(ETHNICITIES), group % len(ETHNICITIES)
            noise = torch.randn(len(group), len(NAMES), generator=gen)
            with torch.no_grad():
                x = sample(
                    self.module, CONFIG, noise, groups(male, code), _unasked(len(group)), 1.0
                )
            c = self.coordinates.decode(x, male)
            if projection:
                c = close(self.coordinates, c)
                good = ~torch.stack(
                    [r.residual(body(c)) > 0 for r in RULES if r.kind == "hard"]
                ).any(0)
                c = {name: values[good] for name, values in c.items()}
            parts.append(c)
            got += len(c["male"])
        return {name: torch.cat([c[name] for c in parts]) for name in parts[0]}

    def save(self, path: Path) -> None:
        tensors = {f"network/{k}": v for k, v in self.module.state_dict().items()}
        s, c = self.coordinates.scores, self.coordinates
        tensors |= {
            "tables": s.tables,
            "smean": s.mean,
            "sscale": s.scale,
            "mean": c.mean,
            "scale": c.scale,
            "shares": self.shares,
        }
        save_checkpoint(
            path, tensors, {"names": list(NAMES)}, kind=KIND, format_version=FORMAT, overwrite=True
        )

    @classmethod
    def load(cls, path: Path) -> Unconstrained:
        t, _ = load_checkpoint(path, kind=KIND, format_version=FORMAT)
        module = Denoiser(CONFIG, len(NAMES), 2 + len(ETHNICITIES))
        load_weights(
            module,
            {k.removeprefix("network/"): v for k, v in t.items() if k.startswith("network/")},
        )
        scores = Coordinates(t["tables"], t["smean"], t["sscale"])
        return cls(module, RawCoordinates(scores, t["mean"], t["scale"]), t["shares"])


def _unasked(n: int) -> torch.Tensor:
    return torch.zeros(n, len(CONDITIONS), 3)


def _table(ds: xr.Dataset, coordinates: RawCoordinates, seed: int):
    weight = torch.tensor(ds["survey_weight"].values)
    return (
        coordinates.encode(ds, seed),
        torch.tensor(ds["sex"].values == "male"),
        torch.tensor(ethnicity_codes(ds["ethnicity"].values)),
        torch.cumsum(weight / weight.sum(), 0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--physics-weight", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=CONFIG.training_steps)
    parser.add_argument("--start", type=Path, help="checkpoint to train on from")
    parser.add_argument(
        "--rate", type=float, default=CONFIG.learning_rate, help="learning rate at its height"
    )
    asked = parser.parse_args()
    model, best = Unconstrained.fit(
        asked.physics_weight, asked.steps, start=asked.start, rate=asked.rate
    )
    model.save(asked.out)
    print(f"best validation loss {best:.5g}; written: {asked.out}")


if __name__ == "__main__":
    main()
