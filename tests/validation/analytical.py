"""Closed-form concentrations of one- and two-compartment models, independent of the engine: a test oracle.

Every linear model here answers a unit dose at time 0 with a sum of exponentials,

    h(t) = sum_i a_i exp(-l_i t),   t >= 0   [mg/L per mg],

and everything else follows by adding up: infusions are integrals of h, repeated doses are sums, steady state is a
geometric series. Times in h, amounts in mg, clearances in L/h, volumes in L, concentrations in mg/L. Source of the
exponentials: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. (1982), chapters 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Exponentials:
    """h(t) = sum_i coefficient_i exp(-rate_i t).

    Parameters
    ----------
    coefficient : (k,) [1/L]
    rate : (k,) [1/h], all > 0
    """

    coefficient: np.ndarray
    rate: np.ndarray

    def bolus(self, time, dose):
        """Concentration `time` [h] after `dose` [mg]; 0 before."""
        t = np.asarray(time, float)[..., None]
        return np.where(
            t[..., 0] < 0,
            0.0,
            (dose * self.coefficient * np.exp(-self.rate * np.maximum(t, 0))).sum(-1),
        )

    def infusion(self, time, dose, duration):
        """Concentration `time` [h] after the start of an infusion of `dose` over `duration`; 0 before."""
        t = np.maximum(np.asarray(time, float), 0)[..., None]
        running = np.minimum(t, duration)
        built = -np.expm1(-self.rate * running) * np.exp(-self.rate * (t - running))
        return (dose / duration * self.coefficient / self.rate * built).sum(-1)

    def constant(self, rate):
        """Steady state of a constant infusion of `rate` [mg/h]."""
        return float((rate * self.coefficient / self.rate).sum())

    def steady_bolus(self, phase, dose, interval):
        """At steady state, `phase` [h] after the last of all doses ever given every `interval`; any phase >= 0."""
        p = np.asarray(phase, float)[..., None]
        return (
            dose * self.coefficient * np.exp(-self.rate * p) / -np.expm1(-self.rate * interval)
        ).sum(-1)

    def steady_infusion(self, phase, dose, duration, interval):
        """The same for infusions; `duration` may exceed `interval`."""
        p = np.asarray(phase, float)
        rate = dose / duration
        # infusions that started phase + k interval ago still run for k < n_running
        n_running = np.maximum(np.ceil((duration - p) / interval), 0)
        total = np.zeros(p.shape)
        for k in range(int(n_running.max(initial=0))):
            total = total + np.where(
                k < n_running, self.infusion(p + k * interval, dose, duration), 0.0
            )
        # the others have ended: a geometric series from the first of them, p + n_running interval ago
        first = (p + n_running * interval)[..., None]
        ended = (
            np.expm1(self.rate * duration)
            * np.exp(-self.rate * first)
            / -np.expm1(-self.rate * interval)
        )
        return total + (rate * self.coefficient / self.rate * ended).sum(-1)


def one_compartment(clearance: float, volume: float) -> Exponentials:
    """h(t) = exp(-CL/V t)/V."""
    return Exponentials(np.array([1 / volume]), np.array([clearance / volume]))


def two_compartment(
    clearance: float, volume: float, flow: float, volume_peripheral: float
) -> Exponentials:
    """Central concentration; l_1, l_2 are the roots of l^2 - (k10 + k12 + k21) l + k10 k21 = 0."""
    k10, k12, k21 = clearance / volume, flow / volume, flow / volume_peripheral
    total = k10 + k12 + k21
    fast = (total + np.sqrt(total**2 - 4 * k10 * k21)) / 2
    slow = k10 * k21 / fast  # not by the other root's formula, which cancels
    a = (fast - k21) / (fast - slow) / volume
    b = (k21 - slow) / (fast - slow) / volume
    return Exponentials(np.array([a, b]), np.array([fast, slow]))


def first_order_absorption(disposition: Exponentials, absorption_rate: float) -> Exponentials:
    """The same model dosed through a depot with first-order absorption: h convolved with ka exp(-ka t).

    `absorption_rate` must differ from every rate of `disposition`.
    """
    through = disposition.coefficient * absorption_rate / (absorption_rate - disposition.rate)
    return Exponentials(
        np.append(through, -through.sum()), np.append(disposition.rate, absorption_rate)
    )


def superpose(
    model: Exponentials, time: np.ndarray, doses: Iterable[Mapping[str, float]]
) -> np.ndarray:
    """Concentration at `time` (n,) after several doses.

    Parameters
    ----------
    doses : mappings with ``time``, ``amount`` and, where they apply, ``duration`` (infusion) and ``interval`` (the dose
        is the last of a series at steady state, whose past doses are added; earlier doses in `doses` are forgotten)
    """
    time = np.asarray(time, float)
    total = np.zeros(time.shape)
    for dose in doses:
        since = time - dose["time"]
        after = since >= 0
        duration, interval = dose.get("duration", 0.0), dose.get("interval", 0.0)
        if interval:
            late = np.where(after, since, 0.0)
            if duration:
                new = model.steady_infusion(late, dose["amount"], duration, interval)
            else:
                new = model.steady_bolus(late, dose["amount"], interval)
            total = np.where(after, new, total)
        elif duration:
            total = total + model.infusion(since, dose["amount"], duration)
        else:
            total = total + model.bolus(since, dose["amount"])
    return total
