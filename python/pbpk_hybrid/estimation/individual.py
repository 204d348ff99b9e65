"""`posterior`: what one patient's samples say of the parameters of any model.

Draws come from an importance sampler around the mode that the engine's exact sensitivities find;
a Pareto k at most 0.7 certifies them (:mod:`.pareto`), and above it NUTS takes over. Research
software, not a medical device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .._core.arguments import check_kind
from .._core.errors import InputError, SolveError
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..models.small_molecules.whole_body import whole_body_system
from ..models.system.derivatives import parameter_names
from ..models.system.system import System
from ..solvers.base import SolverOptions
from .discrepancy import Discrepancy, DiscrepancyPredictor, as_discrepancy
from .error_models import ErrorModel, as_error_model
from .fitting import covariance_at, make_objective, minimise, starting_points
from .model_fits import FittableModel, ModelUnderFit, check_regimen, is_fittable
from .nuts import log_jacobians
from .objective import ERROR_SCALE, Objective
from .parameters import LogNormal, Parameter, Prior, Scale, check_priors, resolve
from .pareto import Weights
from .patient import Patient
from .posterior_draws import PatientModel, Posterior
from .posterior_sampling import SamplingSettings, sample_objective
from .steady import warn_if_unsettled

#: log-normal sd of a predicted clearance or distribution before any sample. AAFE of AUC over the
#: curated drugs is 1.09 to 1.9 by drug with a median of 1.3 (benchmarks/validation/overview.md):
#: ln(1.3)/0.80 = 0.33 of a normal error; with 0.17 between people (simulation/variability) 0.37
_USUAL_SD = 0.4
#: assumed: absorption differs more than clearance; AAFE of Cmax by mouth has a median of 1.5
_ABSORPTION_SD = 0.5
#: assumed where the residual error is estimated and no prior given: 0.1 to 0.4 at 90 %
_ERROR_PRIOR = LogNormal(0.2, 0.4)


@dataclass(frozen=True, eq=False)
class _Question:
    """What is estimated of whom: the arguments of :func:`posterior`, resolved."""

    system: System | ModelUnderFit
    patient: Patient
    parameters: Mapping[str, Parameter | float]
    priors: dict[str, Prior]
    error: ErrorModel
    discrepancy: Discrepancy | None
    lag_time: float
    molar_mass: float | None
    options: SolverOptions | None
    compartments: Mapping[str, str] | None
    assumed: tuple[str, ...]


def posterior(
    model: System | Compound | str | FittableModel,
    patient: Patient,
    priors: Mapping[str, Prior] | None = None,
    *,
    parameters: Mapping[str, Parameter | float] | Sequence[str] | None = None,
    error: str | Mapping[str, float] = "proportional",
    discrepancy: Discrepancy | float | None = None,
    compartments: Mapping[str, str] | None = None,
    lag_time: float | None = None,
    draws: int = 1000,
    fallback: str = "nuts",
    starts: int = 1,
    seed: int = 0,
    options: SolverOptions | None = None,
) -> Posterior:
    """Draws of one patient's parameters given the samples, certified.

    >>> import pbpk_hybrid as ph
    >>> patient = ph.Patient("320 mg oral", {2: 7.1, 9: "3.9 mg/L"})
    >>> found = ph.posterior("theophylline", patient, error={"proportional": 0.1})
    >>> found.reliable
    True

    Parameters
    ----------
    model : System, Compound, str or imported model
        A System of one subject; or a compound, whose whole-body model is built in the patient's
        body; or a simulation of PK-Sim, which brings its own doses (parameters and `compartments`
        by path).
    patient : Patient
        Without samples the draws are those of the prior.
    priors : mapping of str to prior, optional
        Parameter of the model (or ``error.proportional``, ...) -> Normal, LogNormal or HalfCauchy
        in its own unit; with `parameters`, of those. None, of a compound: :func:`usual_priors`,
        which the result prints.
    parameters : mapping or sequence of str, optional
        As in :func:`.fit`: multiples of the model's own values, or several at once.
    error : str or mapping
        "additive", "proportional", "combined" or "lognormal", estimated with a prior (log-normal
        around 0.2 unless `priors` has one); or known values, ``{"proportional": 0.15}``.
    discrepancy : Discrepancy, float or None
        What the model may have wrong besides: a smooth factor in time; a number is the standard
        deviation of its log.
    compartments : mapping of str to str, optional
        Matrix of a sample -> compartment of the model, where they are not called alike.
    lag_time : float, h, optional
        Of oral doses; None: the compound's.
    draws : int
        Equally weighted draws of the result; each round proposes twice as many.
    fallback : str
        Where the Pareto k is above 0.7: "nuts", or "none" for a warning only.
    starts : int
        Starts of the search for the mode.
    seed : int
    options : SolverOptions, optional

    Returns
    -------
    Posterior

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before the first integration; a sample from before any dose
        has entered.
    SolveError
        The model cannot be integrated at the initial values.

    Warns
    -----
    OutOfRangeWarning
        NUTS took over, or should have.
    """
    settings = SamplingSettings(draws=draws, fallback=fallback, seed=seed)
    question = _resolve(
        model,
        patient,
        priors,
        parameters=parameters,
        error=error,
        discrepancy=discrepancy,
        compartments=compartments,
        lag_time=lag_time,
        options=options,
    )
    observed = patient.observations(question.molar_mass)
    if observed is None:
        return _prior_draws(question, settings)
    brings_doses = isinstance(question.system, ModelUnderFit)
    objective = make_objective(
        question.system.model if brings_doses else question.system,
        observed,
        question.parameters,
        question.priors,
        regimen=None if brings_doses else patient.doses,
        error=error,
        body_weight=patient.weight,
        lag_time=question.lag_time,
        compartments=question.compartments,
        options=question.options,
    )
    if question.discrepancy is not None:
        objective = _with_discrepancy(objective, question)
    _refuse_samples_before_doses(objective)
    u, covariance = _mode(objective, starts, seed)
    return sample_objective(objective, u, covariance, settings, question.assumed)


def _resolve(
    model: System | Compound | str | FittableModel,
    patient: Patient,
    priors: Mapping[str, Prior] | None,
    *,
    parameters: Mapping[str, Parameter | float] | Sequence[str] | None,
    error: str | Mapping[str, float],
    discrepancy: Discrepancy | float | None,
    compartments: Mapping[str, str] | None,
    lag_time: float | None,
    options: SolverOptions | None,
) -> _Question:
    """Model, parameters and priors of a question, with what was assumed in words."""
    check_kind("patient", patient, Patient, 'Patient("320 mg oral", {2: 7.1})')
    imported = is_fittable(model)
    if not imported:
        check_kind("model", model, (System, Compound, str), "a System, a Compound or its name")
    elif len(patient.doses):
        check_regimen(patient.doses)
    compound = None if imported or isinstance(model, System) else as_compound(model)
    system = model if compound is None else _body(compound, patient)
    system = ModelUnderFit(model) if imported else system
    if system.n_subjects != 1:
        raise InputError("model", f"{system.n_subjects} subjects", "a System of one subject")
    error_model = as_error_model(error)
    found, assumed = dict(priors or {}), []
    check_priors(found, tuple(found))
    if parameters is None and not any(not name.startswith("error.") for name in found):
        if compound is None:
            hint = 'priors={"cl": LogNormal(3.0, 0.3)}'
            raise InputError("priors", priors, "a prior of at least one parameter", hint=hint)
        parameters, more = usual_priors(system, patient)
        found |= more
        assumed += [
            f"assumed prior: {n} {_in_words(p)} x the model's value" for n, p in more.items()
        ]
    elif parameters is None:
        parameters = {
            name: _prior_parameter(system, name, prior)
            for name, prior in found.items()
            if not name.startswith("error.")
        }
    elif not isinstance(parameters, Mapping):
        parameters = {name: Parameter() for name in parameters}
    for name in error_model.free:
        if name not in found:
            usual = _ERROR_PRIOR if name != "error.additive" else _additive_prior(patient)
            found[name] = usual
            assumed.append(f"assumed prior: {name} {_in_words(usual)}")
    check_priors(found, (*parameters, *error_model.free))
    _refuse_flat(parameters, found)
    lag = lag_time if lag_time is not None else getattr(compound, "absorption_lag_time", None)
    return _Question(
        system,
        patient,
        parameters,
        found,
        error_model,
        as_discrepancy(discrepancy),
        lag or 0.0,
        None if compound is None else compound.molar_mass,
        options,
        compartments,
        tuple(assumed),
    )


def _body(compound: Compound, patient: Patient) -> System:
    from ..physiology import reference_individual

    person = reference_individual("human") if patient.person is None else patient.person
    return whole_body_system(compound, person)


def _in_words(prior: Prior) -> str:
    if isinstance(prior, LogNormal):
        return f"log-normal, median {prior.median:g}, sd of the log {prior.sd:g}"
    return str(prior)


def _prior_parameter(system: System, name: str, prior: Prior) -> Parameter:
    """A parameter that is sought from the prior's middle on."""
    middle = float(prior.draw(np.array([0.5]))[0])
    lower = -np.inf if prior.native == "linear" and middle <= 0 else 0.0
    return Parameter(initial=middle, lower=lower)


def _additive_prior(patient: Patient) -> LogNormal:
    """A fifth of the median sample, as wide as that of a proportional error."""
    observed = patient.observations()
    values = np.array([1.0]) if observed is None else observed["value"].values
    typical = float(np.nanmedian(values)) if np.isfinite(values).any() else 1.0
    return LogNormal(0.2 * typical, _ERROR_PRIOR.sd)


def _refuse_flat(parameters: Mapping[str, Parameter | float], priors: Mapping[str, Prior]) -> None:
    """A few samples of one person limit a parameter on one side at best."""
    for name, spec in parameters.items():
        bounded = isinstance(spec, Parameter) and np.isfinite([spec.lower, spec.upper]).all()
        if name not in priors and not bounded:
            raise InputError(
                "priors",
                sorted(priors),
                f"a prior of {name!r}, or a Parameter with two finite bounds",
                hint="a posterior without one may not exist",
            )


def usual_priors(
    system: System, patient: Patient | None = None
) -> tuple[dict[str, Parameter], dict[str, Prior]]:
    """Parameters and priors of a compound's whole-body model that nobody gave others for.

    Clearance (hepatic and renal together) and the partition into all organs together are multiples
    of the model's values, log-normal with sd 0.4, and so is, with sd 0.5, the absorption rate
    where a dose is oral. The first is what the validation found of predicted AUC with the spread
    between people; the others are assumed.

    Parameters
    ----------
    system : System
        As :func:`pbpk_hybrid.whole_body_system` builds it.
    patient : Patient, optional
        Says whether a dose is oral; None: none is.

    Returns
    -------
    parameters, priors : dict
        As :func:`posterior` takes them.

    Raises
    ------
    InputError
        A model without such parameters.
    """
    names = parameter_names(system)
    clearance = [n for n in names if n == "clint.liver" or n.startswith("vmax[")]
    clearance += [n for n in names if n == "clearance_renal"]
    clearance = [n for n in clearance if float(np.max(system.parameters[n])) > 0]
    groups = {
        "clearance": (tuple(dict.fromkeys(clearance)), _USUAL_SD),
        "partition": (tuple(n for n in names if n.startswith("kp.")), _USUAL_SD),
    }
    routes = () if patient is None else set(np.unique(patient.doses.columns["route"]))
    if "oral" in routes and "absorption_rate" in names:
        groups["absorption_rate"] = (("absorption_rate",), _ABSORPTION_SD)
    groups = {name: group for name, group in groups.items() if group[0]}
    if not groups:
        raise InputError(
            "priors", None, "priors of the model's own parameters: it has no usual ones"
        )
    parameters = {n: Parameter(factor=True, targets=targets) for n, (targets, _) in groups.items()}
    return parameters, {n: LogNormal(1.0, sd) for n, (_, sd) in groups.items()}


def _with_discrepancy(objective: Objective, question: _Question) -> Objective:
    """The same objective with the coefficients of a discrepancy among its parameters."""
    predictor = DiscrepancyPredictor(objective.predictor, question.discrepancy)
    more = predictor.parameters()
    priors = {**question.priors, **{p.name: p.prior for p in more}}
    return Objective(predictor, (*objective.parameters, *more), objective.error, priors)


def _refuse_samples_before_doses(objective: Objective) -> None:
    """A concentration where the model has none says nothing of its parameters.

    Raises
    ------
    InputError
        Names the first such sample.
    SolveError
        The model cannot be integrated at the initial values.
    """
    predicted, _ = objective.predict(objective.start)
    if not np.isfinite(predicted).all():
        raise SolveError("the model cannot be integrated at the initial values of the parameters")
    d = objective.data
    nothing = (predicted <= 1e-12 * np.abs(predicted).max()) & ~d.censored & (d.value > 0)
    if nothing.any():
        i = int(np.flatnonzero(nothing)[0])
        raise InputError(
            "samples",
            f"{d.value[i]:g} mg/L at {d.time[i]:g} h",
            "samples from after a dose has entered: the model has no drug there",
            hint="a sample at the time of a dose counts as taken before it",
        )


def _mode(objective: Objective, starts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mode of the density on the scale of the search, and its inverse information."""
    best = None
    for start in starting_points(objective, starts, seed):
        found = minimise(objective, start)
        if best is None or found[1] < best[1]:
            best = found
    u = best[0]
    warn_if_unsettled(objective, u)
    covariance, _ = covariance_at(objective, u)
    # the search minimises the density of the natural values: one Newton step to that of u
    _, slope = log_jacobians(objective, u)
    step = covariance @ slope
    longest = float(np.max(np.abs(step) / np.sqrt(np.diag(covariance)))) if step.any() else 0.0
    return u + step / max(longest, 1.0), covariance


def _prior_draws(question: _Question, settings: SamplingSettings) -> Posterior:
    """The same object before any sample."""
    parameters = resolve(question.system, question.parameters, question.priors)
    error = question.error
    names = (*(p.name for p in parameters), *error.free)
    scales = (*(p.scale for p in parameters), *(ERROR_SCALE for _ in error.free))
    priors = tuple(question.priors.get(n) for n in names)
    rng = np.random.default_rng(settings.seed)
    columns = [_draw(p, s, rng.random(settings.draws)) for p, s in zip(priors, scales, strict=True)]
    model = PatientModel(
        question.system,
        parameters,
        error,
        question.patient.doses,
        question.patient.weight,
        question.lag_time,
        question.options,
        None,
    )
    facts = {
        "method": "prior",
        "pareto_k": -np.inf,
        "effective_size": float(settings.draws),
        "seed": settings.seed,
        "assumed": question.assumed,
    }
    none = np.empty((settings.draws, 0))
    equal = Weights(np.full(settings.draws, -np.log(settings.draws)), -np.inf)
    return Posterior(
        names,
        np.stack(columns, axis=1),
        equal,
        model,
        scales,
        priors,
        None,
        none,
        none,
        facts,
        settings.draws,
    )


def _draw(prior: Prior | None, scale: Scale, uniform: np.ndarray) -> np.ndarray:
    """Draws on the scale of the search; uniform between two bounds where there is no prior."""
    if prior is None:
        x = scale.lower + (scale.upper - scale.lower) * uniform
    else:
        x = prior.draw(uniform)
        x = np.clip(x, np.nextafter(scale.lower, np.inf), np.nextafter(scale.upper, -np.inf))
    return np.asarray(scale.forward(x), dtype=float)


__all__ = ["posterior", "usual_priors"]
