"""The network: a set transformer over events that proposes disposition curves, sees how they miss the samples, and corrects.

1. Every observation is a token: what was measured relative to a bank of exposures (:func:`._kernels.exposures`), when, with
   what; the covariates and descriptors are one more token, other patients on the compound two tokens each. Tokens have no
   positions, so their order is nothing the network could see.
2. The encoder's first guess is the parameters of K *hypotheses*: a sum of three exponentials with absorption and lag each.
   Their concentrations follow by superposition over the true doses (:func:`._kernels.responses`).
3. The hypotheses' misfits to the observations go back into the tokens; further layers refine the parameters. This is one
   step of a learned Gauss-Newton (recurrent inference machine: Putzky & Welling 2017, arXiv 1706.04008).
4. Every query attends to the tokens and shifts the curves (saturable kinetics, organs, whatever three exponentials do
   not draw) and says how sure each is. The prediction is a mixture of normals in ln concentration: K hypotheses, and where
   a compound is given, components about the mechanistic model's own curve.

Why curves instead of numbers: a network that maps doses and times to concentrations has to learn superposition, and
forgets it for regimens it has not seen (PMID 38350557 reports just that). Here a regimen enters by superposition only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, softplus

from .batch import SITES, Batch
from .config import ForecasterConfig
from .features import FOURIER, STATIC, Prepared, prepare, since_last_dose, time_features
from .likelihood import Mixture
from .superposition import BANK, exposures, responses

_TIMES = 2 * (2 * FOURIER + 1)
#: ln concentration that stands for none, in units of dose per body weight: ten decades below the first dose in 1 L/kg
_FLOOR = 1e-10
_PARAMETERS = 15


class Attention(nn.Module):
    """Multi-head attention of one set to another, pre-normed, with a feed-forward block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_memory, self.norm_out = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key_value, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, memory: Tensor | None, mask: Tensor) -> Tensor:
        """x (B, T, W) attends to `memory` (B, S, W), or itself; mask (B, S) of what is there."""
        b, t, w = x.shape
        source = self.norm(x)
        target = source if memory is None else self.norm_memory(memory)
        split = lambda a: a.view(b, -1, self.heads, w // self.heads).transpose(1, 2)
        key, value = self.key_value(target).chunk(2, dim=-1)
        seen = scaled_dot_product_attention(
            split(self.query(source)), split(key), split(value), attn_mask=mask[:, None, None, :]
        )
        x = x + self.out(seen.transpose(1, 2).reshape(b, t, w))
        return x + self.down(nn.functional.gelu(self.up(self.norm_out(x))))


class ForecasterModule(nn.Module):
    """See the module's text; ``module(batch)`` -> Mixture over ln(concentration / unit of concentration)."""

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        w, k = config.width, config.hypotheses
        self.site = nn.Embedding(len(SITES), w)
        nn.init.normal_(self.site.weight, std=0.3)
        n_bank = len(BANK)
        self.observed = nn.Sequential(
            nn.Linear(3 * n_bank + 5 + _TIMES, w), nn.GELU(), nn.Linear(w, w)
        )
        self.static = nn.Sequential(nn.Linear(STATIC, w), nn.GELU(), nn.Linear(w, w))
        self.start = nn.Parameter(0.3 * torch.randn(1 + config.summaries, w))
        self.other = nn.Linear(w, w)
        self.encoder = nn.ModuleList(
            Attention(w, config.heads) for _ in range(config.encoder_layers)
        )
        self.guess = nn.Sequential(
            nn.LayerNorm(w), nn.Linear(w, w), nn.GELU(), nn.Linear(w, k * _PARAMETERS)
        )
        self.misfit = nn.Sequential(nn.Linear(2 * k + 2, w), nn.GELU(), nn.Linear(w, w))
        self.parameters_seen = nn.Linear(k * _PARAMETERS, w)
        self.refine = nn.ModuleList(Attention(w, config.heads) for _ in range(config.refine_layers))
        self.step = nn.Sequential(
            nn.LayerNorm(w), nn.Linear(w, w), nn.GELU(), nn.Linear(w, k * _PARAMETERS)
        )
        self.final_misfit = nn.Sequential(nn.Linear(2 * k + 2, w), nn.GELU(), nn.Linear(w, w))
        self.asked = nn.Sequential(
            nn.Linear(2 * n_bank + 4 + _TIMES + 2 * k, w), nn.GELU(), nn.Linear(w, w)
        )
        self.decoder = Attention(w, config.heads)
        m = k + config.anchored
        self.head = nn.Sequential(nn.LayerNorm(w), nn.Linear(w, w), nn.GELU(), nn.Linear(w, 3 * m))
        self.weights = nn.Linear(w, m)
        for last in (self.guess[-1], self.step[-1], self.head[-1], self.weights):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(w))
            nn.init.zeros_(last.bias)
        with torch.no_grad():
            self.guess[-1].bias.copy_(_starting_points(k).flatten())

    def forward(self, batch: Batch) -> Mixture:
        device = self.start.device
        mine = prepare(batch, device)
        extra, extra_mask = self._others(batch, len(batch), device)
        return self.predict(mine, extra, extra_mask)

    def predict(self, p: Prepared, others: Tensor | None, others_mask: Tensor | None) -> Mixture:
        """The mixture of what is asked, given the tokens of other patients."""
        k = self.config.hypotheses
        tokens, mask, _ = self._tokens(p)
        if others is not None:
            tokens, mask = torch.cat([tokens, others], dim=1), torch.cat([mask, others_mask], dim=1)
        for layer in self.encoder:
            tokens = layer(tokens, None, mask)
        raw = self.guess(tokens[:, 0]).unflatten(-1, (k, _PARAMETERS))
        tokens = self._see(tokens, p, raw, self.misfit)
        for layer in self.refine:
            tokens = layer(tokens, None, mask)
        raw = raw + self.step(tokens[:, 0]).unflatten(-1, (k, _PARAMETERS))
        curve = _log(responses(p, p.query_time, _parameters(raw)))
        tokens = self._see(tokens, p, raw, self.final_misfit)
        return self._ask(p, tokens, mask, curve)

    # ------------------------------------------------------------------------------------------------ pieces
    def _tokens(self, p: Prepared) -> tuple[Tensor, Tensor, Tensor]:
        """Start tokens, the static one, the observations: (B, 2 + summaries + N, W), and which are there."""
        b = len(p.static)
        exposure, oral = exposures(p, p.obs_time)
        relative = p.obs_log[..., None] - exposure
        known = torch.isfinite(p.obs_anchor)
        off = torch.where(known, p.obs_log - torch.nan_to_num(p.obs_anchor), 0.0)
        features = torch.cat(
            [
                _squash(relative),
                exposure / 6.0,
                oral,
                torch.stack(
                    [
                        p.obs_log / 4.0,
                        p.obs_censored.float(),
                        known.float(),
                        _squash(off),
                        off.clamp(-2, 2),
                    ],
                    dim=-1,
                ),
                self._times(p, p.obs_time),
            ],
            dim=-1,
        )
        seen = self.observed(features) + self.site(p.obs_site)
        fixed = torch.cat([self.start.expand(b, -1, -1), self.static(p.static)[:, None, :]], dim=1)
        there = torch.ones(fixed.shape[:2], dtype=torch.bool, device=fixed.device)
        return torch.cat([fixed, seen], dim=1), torch.cat([there, p.obs_mask], dim=1), exposure

    def _others(self, batch: Batch, b: int, device) -> tuple[Tensor | None, Tensor | None]:
        """Tokens of the other patients each one may look at: (B, P x summaries, W)."""
        if (
            batch.context is None
            or batch.context_batch is None
            or batch.context.shape[1] == 0
            or (batch.context < 0).all()
        ):
            return None, None
        theirs = prepare(batch.context_batch, device)
        tokens, mask, _ = self._tokens(theirs)
        for layer in self.encoder:
            tokens = layer(tokens, None, mask)
        summary = self.other(tokens[:, 1 : 1 + self.config.summaries])
        which = torch.tensor(batch.context, device=device)
        picked = summary[which.clamp_min(0)].flatten(1, 2)
        return picked, (which >= 0).repeat_interleave(self.config.summaries, dim=1)

    def _see(self, tokens: Tensor, p: Prepared, raw: Tensor, layer: nn.Module) -> Tensor:
        """Tokens with the misfit of each hypothesis at the observations added, and the parameters themselves."""
        start = 2 + self.config.summaries
        n = p.obs_time.shape[1]
        if n:
            curve = _log(responses(p, p.obs_time, _parameters(raw)))
            miss = p.obs_log[..., None] - curve
            known = torch.isfinite(p.obs_anchor)
            off = torch.where(known, p.obs_log - torch.nan_to_num(p.obs_anchor), 0.0)
            features = torch.cat(
                [
                    _squash(miss),
                    miss.clamp(-1, 1),
                    off.clamp(-1, 1)[..., None],
                    p.obs_censored.float()[..., None],
                ],
                dim=-1,
            )
            added = layer(features)
            tokens = torch.cat(
                [tokens[:, :start], tokens[:, start : start + n] + added, tokens[:, start + n :]],
                dim=1,
            )
        told = self.parameters_seen(raw.flatten(1) * 0.3)
        return torch.cat([tokens[:, :1] + told[:, None], tokens[:, 1:]], dim=1)

    def _ask(self, p: Prepared, tokens: Tensor, mask: Tensor, curve: Tensor) -> Mixture:
        k, m = self.config.hypotheses, self.config.hypotheses + self.config.anchored
        exposure, oral = exposures(p, p.query_time)
        known = torch.isfinite(p.query_anchor)
        anchor = torch.nan_to_num(p.query_anchor)
        middle = curve.mean(dim=-1, keepdim=True)
        off = torch.where(known, anchor - middle[..., 0], 0.0)
        features = torch.cat(
            [
                exposure / 6.0,
                oral,
                torch.stack(
                    [known.float(), _squash(off), anchor / 6.0, (p.query_site == 0).float()], dim=-1
                ),
                self._times(p, p.query_time),
                _squash(curve - middle),
                curve / 6.0,
            ],
            dim=-1,
        )
        x = self.asked(features) + self.site(p.query_site)
        x = self.decoder(x, tokens, mask)
        shift, log_sd, logit = self.head(x).unflatten(-1, (3, m)).unbind(dim=-2)
        base = torch.cat([curve, anchor[..., None].expand(*anchor.shape, m - k)], dim=-1)
        logit = logit + self.weights(tokens[:, 0])[:, None, :]
        absent = torch.zeros_like(logit, dtype=torch.bool)
        absent[..., k:] = ~known[..., None]
        logit = logit.masked_fill(absent, -1e4)
        sd = 0.02 + softplus(log_sd - 1.0)
        return Mixture(torch.log_softmax(logit, dim=-1), base + shift, torch.log(sd))

    @staticmethod
    def _times(p: Prepared, time: Tensor) -> Tensor:
        return torch.cat([time_features(time), time_features(since_last_dose(p, time))], dim=-1)


def _parameters(raw: Tensor) -> dict[str, Tensor]:
    """Parameters of the hypotheses from numbers of any size; (B, K, 15) -> see :func:`._kernels.responses`."""
    r = raw.clamp(-12.0, 12.0)
    fast = torch.exp(r[..., 1].clamp(-9.0, 3.5))
    second = fast * torch.exp(-softplus(r[..., 2]))
    third = second * torch.exp(-softplus(r[..., 3]))
    share = torch.softmax(r[..., 4:7], dim=-1)
    return {
        "weight": torch.exp(r[..., 0:1]) * share,
        "rate": torch.stack([fast, second, third], dim=-1),
        "fraction": torch.exp(r[..., 7].clamp(-7.0, 1.0)),
        "ka": torch.exp(r[..., 8].clamp(-6.0, 4.0)),
        "kb": torch.exp(r[..., 9].clamp(-6.0, 4.0)),
        "split": torch.sigmoid(r[..., 10]),
        "lag_a": 0.2 * softplus(r[..., 11]),
        "lag_b": 0.5 * softplus(r[..., 12]),
    }


def _starting_points(k: int) -> Tensor:
    """(k, 15): hypotheses begin as drugs of half-lives from hours to days."""
    out = torch.zeros(k, _PARAMETERS)
    spread = torch.linspace(-1.0, 1.0, k) if k > 1 else torch.zeros(1)
    out[:, 0] = 0.3 + 0.3 * spread  # ln(1/V)
    out[:, 1] = 0.3 + 0.8 * spread  # ln of the fastest rate
    out[:, 2], out[:, 3] = 1.0, 1.0
    out[:, 7] = -0.5
    out[:, 8], out[:, 9] = 0.0, 0.7
    out[:, 11], out[:, 12] = -2.0, -2.0
    return out


def _log(concentration: Tensor) -> Tensor:
    return torch.log(concentration + _FLOOR)


def _squash(x: Tensor) -> Tensor:
    """Nearly linear within a fold or two, logarithmic beyond: nine decades stay in reach."""
    return torch.asinh(x)


__all__ = ["ForecasterModule"]
