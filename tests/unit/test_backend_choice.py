"""``auto`` takes the backend that is done sooner, and says why."""

from __future__ import annotations

import pytest

from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers import select
from pbpk_hybrid.solvers.base import Availability, SolverOptions
from pbpk_hybrid.solvers.julia import runtime
from pbpk_hybrid.solvers.select import BACKENDS, MEASURED, Workload, choose_backend, seconds


@pytest.fixture
def ready(monkeypatch):
    """A machine on which Julia is set up and nothing is named by the environment."""
    monkeypatch.delenv("PBPK_HYBRID_BACKEND", raising=False)
    monkeypatch.setattr(select, "availability", lambda name: Availability(True, f"{name} is here"))


def test_a_small_population_never_waits_for_julia_to_start(ready):
    backend, reason = choose_backend("auto", Workload(15, 1000))
    assert backend.name == "embedded"
    assert "1000 subjects" in reason and "15 states" in reason and "start" in reason


def test_the_method_decides_where_only_one_backend_has_it(ready):
    backend, reason = choose_backend("auto", Workload(15, 10, method="fbdf"))
    assert backend.name == "julia" and "fbdf" in reason
    for needs in ("sensitivities", "method expm"):
        backend, reason = choose_backend("auto", Workload(15, 10**9, embedded_only=needs))
        assert backend.name == "embedded" and needs in reason


def test_the_choice_is_the_smaller_estimate(ready, monkeypatch):
    for running in (False, True):
        monkeypatch.setattr(runtime, "is_running", lambda r=running: r)
        for n_states in (5, 15, 30, 60, 150):
            for n_subjects in (1, 1000, 10**7):
                work = Workload(n_states, n_subjects)
                backend, _ = choose_backend("auto", work)
                estimates = {name: seconds(name, work, running) for name in BACKENDS}
                assert estimates[backend.name] == min(estimates.values())


def test_julia_is_taken_where_it_was_measured_faster_and_runs(ready, monkeypatch):
    monkeypatch.setattr(runtime, "is_running", lambda: True)
    for n_states, (embedded, julia) in MEASURED.items():
        backend, reason = choose_backend("auto", Workload(n_states, 100_000))
        assert backend.name == ("julia" if julia < embedded else "embedded")
        assert "runs" in reason


def test_without_julia_the_reason_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("PBPK_HYBRID_BACKEND", raising=False)
    missing = Availability(False, "juliacall is not installed")
    monkeypatch.setattr(select, "availability", lambda name: missing)
    for method in ("rodas5p", "fbdf"):
        backend, reason = choose_backend("auto", Workload(15, 10, method=method))
        assert backend.name == "embedded" and "juliacall is not installed" in reason


def test_a_workload_is_read_from_the_system():
    system = yardstick_system(7)
    work = select.workload(system, SolverOptions(method="fbdf"), ())
    assert (work.n_states, work.n_subjects, work.method) == (system.n_states, 7, "fbdf")
    assert select.workload(system, SolverOptions(), ["fup"]).embedded_only == "sensitivities"
    assert select.workload(system, SolverOptions(method="expm"), ()).embedded_only == "method expm"
