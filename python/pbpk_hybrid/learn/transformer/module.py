"""The network: a set transformer over events that proposes disposition curves and corrects
them once.

1. Every observation is a token: the measured concentration relative to a bank of exposures
   (:func:`.superposition.exposures`), its time and its site. Covariates and descriptors are
   one more token, every other patient on the compound two tokens. Tokens have no positions,
   so the network cannot see their order.
2. The encoder's first estimate is the parameters of K *hypotheses*: a sum of three
   exponentials with absorption and lag each. Their concentrations follow by superposition
   over the true doses (:func:`.superposition.responses`).
3. The residuals of the hypotheses at the observations go back into the tokens; further
   layers refine the parameters. This is one step of a learned Gauss-Newton (recurrent
   inference machine: Putzky & Welling 2017, arXiv 1706.04008).
4. Every query attends to the tokens and predicts standard deviations. The prediction is a mixture
   of normals in ln concentration: K hypotheses and, where a compound is given, components
   about the reference curve of the mechanistic model, bent as the samples ask. In plasma and
   blood the centres are these curves themselves, and the weights are the patient's, so that after
   the last input every component falls (decoder "curves"). Only in organs, which plasma's curve
   does not fix, a query may shift its components. Weights fall with the misfit of each component to
   the samples shown: a compound told wrongly counts for little.

Why curves instead of numbers: a network that maps doses and times to concentrations has to learn
superposition, and fails on regimens it has not seen (PMID 38350557 reports this). Here a regimen
enters by superposition only.

Shapes: B patients, N observations, Q queries, T = N or Q times, K hypotheses, S tokens, W width,
M = K + ``anchored`` components of the mixture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, softplus

from .batch import SITES, Batch
from .config import ForecasterConfig
from .features import FOURIER, STATIC, Prepared, prepare, since_last_dose, time_features
from .hypotheses import (
    Column,
    curve_parameters,
    initial_hypotheses,
    log_concentration,
    log_saturation,
)
from .likelihood import Mixture
from .superposition import BANK, exposures, responses

#: features of a time: since the first dose and since the last one
_TIME_FEATURES = 2 * (2 * FOURIER + 1)
#: ln weight of a component that does not apply (no reference curve)
_MASKED_LOGIT = -1e4
#: sites whose curve is that of the hypotheses: plasma and blood
_CURVE_SITES = 2
#: ln fold at which a sample begins to count against a component, and how many samples count whole
_MISFIT_SCALE, _MISFIT_SAMPLES = 0.3, 8.0


class Attention(nn.Module):
    """Multi-head attention of one set to another, pre-normed, with a feed-forward block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_memory, self.norm_out = (nn.LayerNorm(width) for _ in range(3))
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, memory: Tensor | None, mask: Tensor) -> Tensor:
        """Update tokens by what they attend to.

        Parameters
        ----------
        x
            (B, T, W)
        memory
            (B, S, W), None for self-attention
        mask
            (B, S) bool, False for padding
        """
        queries = self.norm(x)
        context = queries if memory is None else self.norm_memory(memory)
        key, value = self.key_value(context).chunk(2, dim=-1)  # (B, S, W) each
        attended = scaled_dot_product_attention(
            self._split_heads(self.query(queries)),
            self._split_heads(key),
            self._split_heads(value),
            attn_mask=mask[:, None, None, :],  # (B, 1, 1, S): the same for all heads and queries
        )
        # (B, heads, T, W / heads) -> (B, T, W)
        x = x + self.out(attended.transpose(1, 2).reshape(x.shape))
        return x + self.down(nn.functional.gelu(self.up(self.norm_out(x))))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, W) -> (B, heads, T, W / heads)."""
        batch, _, width = x.shape
        return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)


def _two_layers(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
    )


class ForecasterModule(nn.Module):
    """See the module's text; ``module(batch)`` -> Mixture over ln(concentration / unit of
    concentration).

    The submodules are created in the order of the published weights: a seed gives the same network.
    """

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        width, hypotheses = config.width, config.hypotheses
        n_bank, raw = len(BANK), hypotheses * Column.COUNT
        residual_features = 2 * hypotheses + 2
        self.site_embedding = nn.Embedding(len(SITES), width)
        nn.init.normal_(self.site_embedding.weight, std=0.3)
        # tokens from events
        self.observation_embedding = _two_layers(3 * n_bank + 5 + _TIME_FEATURES, width)
        self.covariate_embedding = _two_layers(STATIC, width)
        self.learned_tokens = nn.Parameter(0.3 * torch.randn(1 + config.summaries, width))
        self.context_projection = nn.Linear(width, width)
        self.encoder = self._layers(config.encoder_layers)
        # first estimate, residuals, correction
        self.initial_head = _head(width, raw)
        self.residual_embedding = _two_layers(residual_features, width)
        self.parameter_embedding = nn.Linear(raw, width)
        self.refine = self._layers(config.refine_layers)
        self.correction_head = _head(width, raw)
        self.final_residual_embedding = _two_layers(residual_features, width)
        # what is measured at the queries
        self.query_embedding = _two_layers(2 * n_bank + 4 + _TIME_FEATURES + 2 * hypotheses, width)
        self.decoder = Attention(width, config.heads)
        components = hypotheses + config.anchored
        self.mixture_head = _head(width, 3 * components)
        self.mixture_logits = nn.Linear(width, components)
        if config.decoder == "curves":
            self.site_shift = nn.Linear(width, hypotheses)
            self.reference_bend = nn.Linear(width, 2 * config.anchored)
            self.misfit_gate = nn.Parameter(torch.full((components,), -1.5))
        self.reset_parameters()

    def _layers(self, count: int) -> nn.ModuleList:
        return nn.ModuleList(Attention(self.config.width, self.config.heads) for _ in range(count))

    def reset_parameters(self) -> None:
        """Small last layers: training starts at the hypotheses of :func:`initial_hypotheses`."""
        last_layers = (
            self.initial_head[-1],
            self.correction_head[-1],
            self.mixture_head[-1],
            self.mixture_logits,
        )
        for last in last_layers:
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(self.config.width))
            nn.init.zeros_(last.bias)
        if self.config.decoder == "curves":
            for last in (self.site_shift, self.reference_bend):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        with torch.no_grad():
            initial = initial_hypotheses(self.config.hypotheses)
            self.initial_head[-1].bias.copy_(initial.flatten())  # (K, 15) -> (15 K,)

    @torch.no_grad()
    def start_from(self, other: ForecasterModule) -> None:
        """Take over the weights of a network of the same sizes that has the decoder "shifted".

        What only the decoder "curves" has stays as it is: curves unshifted, nothing saturating.
        """
        old = other.state_dict()
        column = Column.LOG_SATURATION
        for name, weight in self.state_dict().items():
            if name in old:
                weight.copy_(old[name])
        for head in (self.initial_head, self.correction_head):
            head[-1].weight.unflatten(0, (-1, Column.COUNT))[:, column] = 0.0
            head[-1].bias.unflatten(0, (-1, Column.COUNT))[:, column] = 0.0

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.learned_tokens.device

    def forward(self, batch: Batch) -> Mixture:
        """Mixture at the queries of a batch in real units."""
        return self.predict(prepare(batch, self.device), *self._context_tokens(batch))

    def predict(
        self, patients: Prepared, context: Tensor | None, context_mask: Tensor | None
    ) -> Mixture:
        """Mixture at the queries, given the tokens of other patients.

        Parameters
        ----------
        patients
            B patients in the network's units
        context
            (B, C, W) tokens of other patients, or None
        context_mask
            (B, C) bool, which of them the patient may attend to
        """
        tokens, mask = self._tokens(patients)
        if context is not None:
            tokens = torch.cat([tokens, context], dim=1)  # (B, S + C, W)
            mask = torch.cat([mask, context_mask], dim=1)
        for layer in self.encoder:
            tokens = layer(tokens, None, mask)
        raw = self._raw_parameters(self.initial_head, tokens)
        tokens, _ = self._add_residuals(tokens, patients, raw, self.residual_embedding)
        for layer in self.refine:
            tokens = layer(tokens, None, mask)
        raw = raw + self._raw_parameters(self.correction_head, tokens)
        tokens, residual = self._add_residuals(tokens, patients, raw, self.final_residual_embedding)
        return self._decode(patients, tokens, mask, raw, residual)

    def _curves(self, patients: Prepared, time: Tensor, raw: Tensor) -> Tensor:
        """(B, T, K) ln concentrations of the hypotheses (B, K, 15) at times (B, T)."""
        curves = responses(patients, time, curve_parameters(raw))
        if self.config.decoder == "shifted":
            return log_concentration(curves)
        return log_concentration(curves, log_saturation(raw)[:, None, :])

    def _raw_parameters(self, head: nn.Module, tokens: Tensor) -> Tensor:
        """(B, K, 15) read from the first learned token."""
        # single precision also where the network computes in bfloat16: too coarse for rates
        raw = head(tokens[:, 0]).float()
        return raw.unflatten(-1, (self.config.hypotheses, Column.COUNT))

    # ------------------------------------------------------------------ tokens
    def _tokens(self, patients: Prepared) -> tuple[Tensor, Tensor]:
        """Tokens (B, S, W) and mask (B, S), S = 1 + summaries + 1 + N: learned, covariates,
        observations.
        """
        exposure, oral_share = exposures(patients, patients.obs_time)  # (B, N, bank) each
        has_reference, residual = _reference_residual(patients)
        scalars = torch.stack(
            [
                patients.obs_log / 4.0,
                patients.obs_censored.float(),
                has_reference.float(),
                _squash(residual),
                residual.clamp(-2, 2),
            ],
            dim=-1,
        )  # (B, N, 5)
        features = torch.cat(
            [
                _squash(patients.obs_log[..., None] - exposure),
                exposure / 6.0,
                oral_share,
                scalars,
                _time_features(patients, patients.obs_time),
            ],
            dim=-1,
        )  # (B, N, 3 bank + 5 + times)
        observed = self.observation_embedding(features) + self.site_embedding(patients.obs_site)
        learned = self.learned_tokens.expand(len(patients.static), -1, -1)
        covariates = self.covariate_embedding(patients.static)[:, None, :]  # (B, 1, W)
        always = torch.cat([learned, covariates], dim=1)
        present = torch.ones(always.shape[:2], dtype=torch.bool, device=always.device)
        return (
            torch.cat([always, observed], dim=1),
            torch.cat([present, patients.obs_mask], dim=1),
        )

    def _context_tokens(self, batch: Batch) -> tuple[Tensor | None, Tensor | None]:
        """Tokens of other patients (B, P x summaries, W) and mask, P patients each; None
        without any.
        """
        if (
            batch.context is None
            or batch.context_batch is None
            or batch.context.shape[1] == 0
            or (batch.context < 0).all()
        ):
            return None, None
        tokens, mask = self._tokens(prepare(batch.context_batch, self.device))
        for layer in self.encoder:
            tokens = layer(tokens, None, mask)
        n_summaries = self.config.summaries
        summary = self.context_projection(
            tokens[:, 1 : 1 + n_summaries]
        )  # (patients, summaries, W)
        index = torch.tensor(batch.context, device=self.device)  # (B, P), -1 for none
        # (B, P, summaries, W) -> (B, P x summaries, W)
        chosen = summary[index.clamp_min(0)].flatten(1, 2)
        return chosen, (index >= 0).repeat_interleave(n_summaries, dim=1)

    def _add_residuals(
        self, tokens: Tensor, patients: Prepared, raw: Tensor, embedding: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Tokens with the residuals of every hypothesis added to the observations and raw (B,
        K, 15) to the first; the residuals (B, N, K).
        """
        start = 2 + self.config.summaries  # of the observations
        stop = start + patients.obs_time.shape[1]
        residual = patients.obs_log[..., None].expand(-1, -1, self.config.hypotheses)
        if stop > start:
            residual = residual - self._curves(patients, patients.obs_time, raw)  # (B, N, K)
            _, from_reference = _reference_residual(patients)
            features = torch.cat(
                [
                    _squash(residual),
                    residual.clamp(-1, 1),
                    from_reference.clamp(-1, 1)[..., None],
                    patients.obs_censored.float()[..., None],
                ],
                dim=-1,
            )  # (B, N, 2 K + 2)
            observed = tokens[:, start:stop] + embedding(features)
            tokens = torch.cat([tokens[:, :start], observed, tokens[:, stop:]], dim=1)
        parameters = self.parameter_embedding(raw.flatten(1) * 0.3)  # (B, 15 K) -> (B, W)
        return torch.cat([tokens[:, :1] + parameters[:, None], tokens[:, 1:]], dim=1), residual

    # ------------------------------------------------------------------ prediction
    def _decode(
        self, patients: Prepared, tokens: Tensor, mask: Tensor, raw: Tensor, residual: Tensor
    ) -> Mixture:
        """The mixture (B, Q, M) from the tokens, the hypotheses (B, K, 15) and their residuals
        (B, N, K) at the observations.
        """
        n_curves, n_reference = self.config.hypotheses, self.config.anchored
        curves = self._curves(patients, patients.query_time, raw)  # (B, Q, K)
        has_reference = torch.isfinite(patients.query_reference)
        reference = torch.nan_to_num(patients.query_reference)  # (B, Q)
        queries = self.query_embedding(self._query_features(patients, curves))
        queries = queries + self.site_embedding(patients.query_site)
        queries = self.decoder(queries, tokens, mask)  # (B, Q, W)
        # (B, Q, 3 M) -> three of (B, Q, M)
        outputs = self.mixture_head(queries).unflatten(-1, (3, n_curves + n_reference))
        shift, raw_sd, logit = outputs.unbind(dim=-2)
        copies = reference[..., None].expand(*reference.shape, n_reference)
        centre = torch.cat([curves, copies], dim=-1)
        of_patient = self.mixture_logits(tokens[:, 0])  # (B, M)
        if self.config.decoder == "curves":
            own = (patients.query_site < _CURVE_SITES)[..., None]
            followed, misfit = self._followed(patients, tokens, residual, centre)
            shift = torch.where(own, followed, shift)
            logit = torch.where(own, torch.zeros_like(logit), logit)
            of_patient = of_patient - softplus(self.misfit_gate) * misfit
        logit = logit + of_patient[:, None, :]
        unavailable = torch.zeros_like(logit, dtype=torch.bool)
        unavailable[..., n_curves:] = ~has_reference[..., None]
        logit = logit.masked_fill(unavailable, _MASKED_LOGIT)
        sd = 0.02 + softplus(raw_sd - 1.0)
        return Mixture(torch.log_softmax(logit, dim=-1), centre + shift, torch.log(sd))

    def _followed(
        self, patients: Prepared, tokens: Tensor, residual: Tensor, centre: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How far centres (B, Q, M) move where the prediction follows curves, (B, Q, M), and the
        misfit (B, M) of each component to the samples.

        Hypotheses move by one number a patient and site. The reference curve is scaled and raised
        to a power about its value at the last sample, which makes a slower or faster curve of
        it and keeps what rises rising and what falls falling.
        """
        patient = tokens[:, :1]  # (B, 1, W)
        sites = self.site_embedding.weight[None, :_CURVE_SITES]  # (1, sites, W)
        by_site = self.site_shift(patient + sites)  # (B, sites, K)
        at = patients.query_site.clamp_max(_CURVE_SITES - 1)[..., None]
        constant = by_site.gather(1, at.expand(-1, -1, by_site.shape[-1]))  # (B, Q, K)
        scale, power = self.reference_bend(patient).chunk(2, dim=-1)  # (B, 1, references)
        stretch = torch.exp(power.clamp(-1.5, 1.5)) - 1
        known, off = _reference_residual(patients)
        reference = torch.nan_to_num(patients.obs_reference)
        pivot = _last(known, reference)[:, None, None]  # (B, 1, 1)
        n_curves = self.config.hypotheses
        bent = scale + stretch * (centre[..., n_curves:] - pivot)  # (B, Q, references)
        bent_seen = scale + stretch * (reference[..., None] - pivot)  # (B, N, references)
        left = torch.where(known[..., None], off[..., None] - bent_seen, 0.0)
        return (
            torch.cat([constant, bent], dim=-1),
            _misfit(patients, torch.cat([residual, left], dim=-1)),
        )

    def _query_features(self, patients: Prepared, curves: Tensor) -> Tensor:
        """(B, Q, 2 bank + 4 + times + 2 K)."""
        exposure, oral_share = exposures(patients, patients.query_time)  # (B, Q, bank) each
        has_reference = torch.isfinite(patients.query_reference)
        reference = torch.nan_to_num(patients.query_reference)
        mean = curves.mean(dim=-1, keepdim=True)  # (B, Q, 1)
        from_mean = torch.where(has_reference, reference - mean[..., 0], 0.0)
        is_plasma = (patients.query_site == SITES.index("plasma")).float()
        scalars = torch.stack(
            [has_reference.float(), _squash(from_mean), reference / 6.0, is_plasma], dim=-1
        )  # (B, Q, 4)
        return torch.cat(
            [
                exposure / 6.0,
                oral_share,
                scalars,
                _time_features(patients, patients.query_time),
                _squash(curves - mean),
                curves / 6.0,
            ],
            dim=-1,
        )


def _time_features(patients: Prepared, time: Tensor) -> Tensor:
    """(B, T, _TIME_FEATURES) of the times (B, T) since the first and since the last dose."""
    return torch.cat([time_features(time), time_features(since_last_dose(patients, time))], dim=-1)


def _reference_residual(patients: Prepared) -> tuple[Tensor, Tensor]:
    """Which observations have a reference curve, and their ln ratio to it, 0 without; (B,
    N) each.
    """
    known = torch.isfinite(patients.obs_reference)
    residual = patients.obs_log - torch.nan_to_num(patients.obs_reference)
    return known, torch.where(known, residual, 0.0)


def _last(known: Tensor, values: Tensor) -> Tensor:
    """(B,) the last of the values (B, N) that is known, 0 where none is."""
    if known.shape[1] == 0:
        return values.new_zeros(len(values))
    place = torch.arange(1, known.shape[1] + 1, device=known.device) * known  # (B, N)
    at = place.argmax(dim=1, keepdim=True)
    return torch.where(known.any(dim=1), values.gather(1, at)[:, 0], 0.0)


def _misfit(patients: Prepared, residual: Tensor) -> Tensor:
    """(B, M) how badly components fit the samples, from residuals (B, N, M): the sum of ln(1 +
    z^2), which grows slowly where one sample is wild, levelling off with the number of samples.
    """
    if residual.shape[1] == 0:
        return residual.new_zeros(len(residual), residual.shape[-1])
    # a value below its limit speaks only against what is above the limit
    residual = torch.where(patients.obs_censored[..., None], residual.clamp_max(0), residual)
    each = torch.log1p((residual / _MISFIT_SCALE) ** 2) * patients.obs_mask[..., None]
    count = patients.obs_mask.sum(dim=1, keepdim=True)
    return each.sum(dim=1) / (1 + count / _MISFIT_SAMPLES)


def _squash(x: Tensor) -> Tensor:
    """Nearly linear within a fold or two, logarithmic beyond: nine decades stay in reach."""
    return torch.asinh(x)


__all__ = ["ForecasterModule"]
