"""Superposition over the true dosing history, in torch: what makes a regimen never seen in
training an ordinary input.

For linear kinetics the concentration after any history is the sum over doses of the
response to one of them. Everything the network knows of doses goes through such sums: the
features (:func:`exposures`) and the prediction (:func:`responses`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .features import Prepared

#: rates [1/h of a 70-kg human] of the bank of exposures: half-lives from 4 minutes to 5 weeks
BANK = tuple(10.0 / 10 ** (k * 0.41) for k in range(11))


#: most numbers of one array (doses x rates x times x patients) where no gradient is wanted
_MOST_AT_ONCE = 2**21


def _in_parts(
    compute: Callable[[Tensor], tuple[Tensor, ...]], time: Tensor, each: int
) -> tuple[Tensor, ...]:
    """`compute` of times (B, T), some at a time where all together would take much memory; `each`:
    numbers per time.
    """
    at_once = max(1, _MOST_AT_ONCE // max(each, 1))
    if torch.is_grad_enabled() or at_once >= time.shape[1]:
        return compute(time)
    parts = [compute(part) for part in time.split(at_once, dim=1)]
    return tuple(torch.cat(part, dim=1) for part in zip(*parts, strict=True))


def saturating(x: Tensor) -> Tensor:
    """(1 - exp(-x))/x, 1 at 0, for x >= 0."""
    small = x < 1e-3
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 - 0.5 * x, -torch.expm1(-safe) / safe)


def intravenous(rate: Tensor, since: Tensor, duration: Tensor) -> Tensor:
    r"""Response of exp(-rate t) to one unit given over `duration`, `since` its start.

    .. math::

        \frac{\delta}{T} \frac{1 - e^{-\lambda \delta}}{\lambda\delta}
        e^{-\lambda (t - \delta)}, \quad \delta = \min(t, T)

    with the limit exp(-rate t) for a bolus (T = 0).
    """
    running = torch.minimum(since, duration)
    share = torch.where(duration > 0, running / duration.clamp_min(1e-30), torch.ones_like(running))
    return share * saturating(rate * running) * torch.exp(-rate * (since - running))


def first_order(rate: Tensor, ka: Tensor, since: Tensor) -> Tensor:
    r"""Response of exp(-rate t) to one unit absorbed at ka: ka (e^{-rate t} - e^{-ka
    t})/(ka - rate), for any two rates.
    """
    return (
        ka
        * since
        * torch.exp(-torch.minimum(rate, ka) * since)
        * saturating((ka - rate).abs() * since)
    )


def two_stages(rate: Tensor, k: Tensor, since: Tensor) -> Tensor:
    r"""Response of exp(-rate t) to one unit that passes two stages of rate k, input k^2 t e^{-kt}.

    .. math:: k^2 t^2 e^{-kt} \frac{e^{x} - 1 - x}{x^2}, \quad x = (k - \lambda) t
    """
    x = (k - rate) * since
    small = x.abs() < 0.3
    safe = torch.where(small, torch.ones_like(x), x)
    series = 0.5 + x / 6 + x * x / 24 + x**3 / 120 + x**4 / 720
    # written so that no exponent is positive
    slow = torch.exp(-torch.minimum(k, rate) * since)
    up = (
        1 - torch.exp(-safe.clamp_min(0)) * (1 + safe)
    ) / safe**2  # rate < k: e^{-rate t} in front
    down = (torch.exp(safe.clamp_max(0)) - 1 - safe) / safe**2  # rate > k: e^{-kt} in front
    ratio = torch.where(x > 0, up, down) * slow
    return (k * since) ** 2 * torch.where(small, series.clamp_min(0) * torch.exp(-k * since), ratio)


def exposures(doses: Prepared, time: Tensor) -> tuple[Tensor, Tensor]:
    """ln of the exposure of every rate of the bank, and the share of it that came by mouth.

    Parameters
    ----------
    time
        (B, T) in the units of :class:`Prepared`

    Returns
    -------
    tuple[Tensor, Tensor]
        (B, T, len(BANK)), both; the first is -25 where nothing has been given yet.
    """
    each = doses.dose_time.numel() * len(BANK)
    total, share = _in_parts(lambda part: _exposures(doses, part), time, each)
    return total, share


def _exposures(doses: Prepared, time: Tensor) -> tuple[Tensor, Tensor]:
    since, given = _since(doses, time)
    rate = torch.tensor(BANK, dtype=time.dtype, device=time.device)
    each = (
        doses.dose_amount[:, None, :, None]
        * given[..., None]
        * intravenous(rate, since[..., None], doses.dose_duration[:, None, :, None])
    )
    total = each.sum(dim=2)
    oral = (each * doses.dose_oral[:, None, :, None]).sum(dim=2)
    return torch.log(total.clamp_min(1.4e-11)), oral / total.clamp_min(1e-30)


def responses(doses: Prepared, time: Tensor, p: dict[str, Tensor]) -> Tensor:
    """Concentration of K hypotheses, each a sum of three exponentials with absorption.

    Parameters
    ----------
    time
        (B, T)
    p
        of each hypothesis: ``weight`` and ``rate`` (B, K, 3) of the impulse response;
        ``fraction``, ``ka``, ``kb``, ``split``, ``lag_a``, ``lag_b`` (B, K): an oral dose
        enters by a first-order process and by one of two stages

    Returns
    -------
    Tensor
        (B, T, K), zero before the first dose.
    """
    each = doses.dose_time.numel() * p["weight"].shape[1] * p["weight"].shape[2]
    (out,) = _in_parts(lambda part: (_responses(doses, part, p),), time, each)
    return out


def _responses(doses: Prepared, time: Tensor, p: dict[str, Tensor]) -> Tensor:
    since, given = _since(doses, time)
    amount = doses.dose_amount[:, None, :] * given  # (B, T, D)
    shape = lambda a: a[:, None, None]
    since, wide = since[..., None, None], lambda a: a[:, None, :, None, None]
    weight, rate = shape(p["weight"]), shape(p["rate"])
    oral = doses.dose_oral
    out = torch.zeros((*time.shape, p["ka"].shape[1]), dtype=time.dtype, device=time.device)
    if bool((~oral & doses.dose_mask).any()):
        iv = (weight * intravenous(rate, since, wide(doses.dose_duration))).sum(dim=-1)
        out = out + (iv * (amount * ~oral[:, None, :])[..., None]).sum(dim=2)
    if bool(oral.any()):
        one = lambda name: shape(p[name])[..., None]
        a = first_order(rate, one("ka"), (since - one("lag_a")).clamp_min(0))
        b = two_stages(rate, one("kb"), (since - one("lag_b")).clamp_min(0))
        mixed = one("fraction") * (one("split") * a + (1 - one("split")) * b)
        out = out + ((weight * mixed).sum(dim=-1) * (amount * oral[:, None, :])[..., None]).sum(
            dim=2
        )
    return out


def _since(doses: Prepared, time: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, D) time since each dose, 0 where it lies ahead, and whether it has been given."""
    since = time[:, :, None] - doses.dose_time[:, None, :]
    given = (since >= -1e-6) & doses.dose_mask[:, None, :]
    return since.clamp_min(0) * given, given.to(time.dtype)


__all__ = [
    "BANK",
    "exposures",
    "first_order",
    "intravenous",
    "responses",
    "saturating",
    "two_stages",
]
