"""Estimation: parameters of a System from observations, how well they are known, and what
the outputs depend on.
"""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "parameters": ("Parameter", "Normal", "LogNormal", "HalfCauchy"),
    "fitting": ("fit", "Fit"),
    "patient": ("Patient",),
    "individual": ("posterior", "usual_priors"),
    "posterior_draws": ("Posterior",),
    "dose_search": ("dose", "DoseResult"),
    "dose_targets": ("Target",),
    "discrepancy": ("Discrepancy",),
    "profiles": ("profile_likelihood", "Profile"),
    "population": ("fit_population", "PopulationFit"),
    "bayes": ("sample_posterior",),
    "sensitivity": ("sobol", "elasticity"),
    "bioequivalence": (
        "two_one_sided_tests",
        "virtual_bioequivalence",
        "Equivalence",
        "Formulation",
    ),
    "equivalence_rules": ("reference_scaled_limits",),
    "equivalence_power": ("tost_power", "tost_sample_size", "simulated_power"),
    "diagnostics": (
        "plot_observed_predicted",
        "plot_residuals",
        "plot_profile",
        "plot_goodness_of_fit",
    ),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
