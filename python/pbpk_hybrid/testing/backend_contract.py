"""What every backend has to do: the same numbers, errors and attributes.

Take the two classes into a test module, and say which backend they are for::

    # tests/test_my_backend.py
    import pytest
    from pbpk_hybrid.testing import AreaContract, BackendContract

    class MyBackend:
        @pytest.fixture
        def backend(self):
            return my_package.Backend()

    class TestSolutions(MyBackend, BackendContract): ...
    class TestAreas(MyBackend, AreaContract): ...

A backend follows the protocol :class:`pbpk_hybrid.solvers.base.Backend`. Tolerances are relative;
amounts under a millionth of the dose count as that much
(:func:`pbpk_hybrid.testing.problems.relative_error`).
"""

from __future__ import annotations

import numpy as np
import pytest

from .._core.errors import InputError
from ..models.system.examples import random_system, yardstick_system
from ..models.system.system import Reaction, System
from ..solvers.areas import of_concentrations, with_area_states
from ..solvers.areas import solve as solve_with_areas
from ..solvers.base import ADD, KEEP, RATE, Backend, Problem, SolverOptions, Status, Trajectories
from .problems import (
    AREA_TIMES,
    TIMES,
    V,
    dosed,
    enzymatic_system,
    exponentials,
    integrals,
    one_compartment,
    reference,
    relative_error,
    stop_table,
    two_compartments,
)

#: mg/L, the observable's offset in a test of areas
BASELINE = 2.5


class BackendContract:
    """Solutions, doses, failures and attributes. A subclass has a fixture `backend`."""

    def test_yardstick_agrees_with_lsoda_to_1e5_at_default_tolerances(
        self, backend: Backend
    ) -> None:
        """Yardstick agrees with LSODA to 1e-5 at default tolerances."""
        system = yardstick_system(11, seed=3)  # one full pack and one of three subjects
        problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES, system.states)
        result = backend.solve(problem, SolverOptions())
        assert (result.status == Status.SUCCESS).all()
        y0 = np.zeros(system.n_states)
        y0[0] = 100.0
        for s in (0, 5, 10):
            assert relative_error(result.amount[s], reference(system, s, y0, TIMES), 100.0) < 1e-5

    @pytest.mark.parametrize("seed", range(8))
    def test_random_circulations_agree_with_lsoda_to_1e5_at_default_tolerances(
        self, backend: Backend, seed: int
    ) -> None:
        """Random circulations agree with LSODA to 1e-5 at default tolerances."""
        rng = np.random.default_rng(seed)
        system = random_system(
            int(rng.integers(5, 121)), seed, n_subjects=2, n_reactions=int(rng.integers(0, 6))
        )
        dose, into = 10 ** rng.uniform(-1, 3), system.targets["iv_bolus"]
        times = np.linspace(0.0, 24.0, 25)
        problem = Problem(system, stop_table((-1, 0.0, ADD, into, dose)), times, system.states)
        result = backend.solve(problem, SolverOptions())
        y0 = np.zeros(system.n_states)
        y0[into] = dose
        for s in range(2):
            assert relative_error(result.amount[s], reference(system, s, y0, times), dose) < 1e-5
        assert (
            np.abs(result.balance / result.given).max() < 1e-9
        )  # the bound promised; measured near 1e-14

    def test_linear_models_agree_with_the_matrix_exponential_to_1e6(self, backend: Backend) -> None:
        """Linear models agree with the matrix exponential to 1e-6."""
        system = random_system(20, seed=5, n_subjects=9, n_reactions=0)
        into = system.targets["iv_infusion"]
        stops = stop_table(
            (-1, 0.0, RATE, into, 50.0), (-1, 2.0, RATE, into, -50.0), (-1, 5.0, ADD, into, 30.0)
        )
        problem = Problem(system, stops, TIMES, system.states)
        exact = backend.solve(problem, SolverOptions(method="expm"))
        result = backend.solve(problem, SolverOptions())
        assert (
            relative_error(result.amount, exact.amount, 50.0) < 1e-6
        )  # the largest dose here is 50 mg
        np.testing.assert_allclose(result.given, exact.given, rtol=1e-12)

    def test_answer_at_tight_tolerance_is_within_1e8_of_the_matrix_exponential(
        self, backend: Backend
    ) -> None:
        """Answer at tight tolerance is within 1e-8 of the matrix exponential."""
        system = random_system(12, seed=8, n_subjects=3, n_reactions=0)
        problem = Problem(
            system,
            stop_table((-1, 0.0, ADD, system.targets["iv_bolus"], 10.0)),
            TIMES,
            system.states,
        )
        exact = backend.solve(problem, SolverOptions(method="expm"))
        result = backend.solve(problem, SolverOptions(rtol=1e-10))
        assert relative_error(result.amount, exact.amount, 10.0) < 1e-8

    def test_observation_at_the_time_of_a_dose_sees_the_dose(self, backend: Backend) -> None:
        """Observation at the time of a dose sees the dose."""
        stops = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 10.0, ADD, 0, 50.0))
        problem = Problem(one_compartment(), stops, np.array([0.0, 10.0]), ("body",))
        amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[0, :, 0]
        np.testing.assert_allclose(amount, [100.0, 100.0 * np.exp(-1.0) + 50.0], rtol=1e-8)

    def test_reset_comes_before_the_dose_of_the_same_time_and_stops_infusions(
        self, backend: Backend
    ) -> None:
        """Reset comes before the dose of the same time and stops infusions."""
        stops = stop_table(
            (-1, 0.0, RATE, 0, 10.0), (-1, 5.0, KEEP, 0, 0.0), (-1, 5.0, ADD, 0, 7.0)
        )
        problem = Problem(one_compartment(), stops, np.array([4.0, 5.0, 15.0]), ("body", "out"))
        result = backend.solve(problem, SolverOptions(rtol=1e-9))
        body = result.amount[0, :, 0]
        np.testing.assert_allclose(
            body, [100 * (1 - np.exp(-0.4)), 7.0, 7.0 * np.exp(-1.0)], rtol=1e-8
        )
        np.testing.assert_allclose(result.given[0], [40.0, 7.0, 7.0], rtol=1e-12)
        np.testing.assert_allclose(result.balance[0], 0.0, atol=1e-10)

    def test_each_subject_gets_its_own_doses_at_its_own_times(self, backend: Backend) -> None:
        """Each subject gets its own doses at its own times."""
        n = 19
        rows = [(s, 0.5 * s, ADD, 0, 10.0 + s) for s in range(n)] + [
            (s, 0.0, KEEP, 0, 1.0) for s in range(n)
        ]
        problem = Problem(
            one_compartment(n), stop_table(*sorted(rows)), np.array([20.0]), ("body",)
        )
        amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[:, 0, 0]
        s = np.arange(n)
        np.testing.assert_allclose(amount, (10.0 + s) * np.exp(-0.1 * (20.0 - 0.5 * s)), rtol=1e-7)

    def test_shared_and_written_out_stops_give_the_same(self, backend: Backend) -> None:
        """Shared and written out stops give the same."""
        system = yardstick_system(10)
        shared = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 6.0, ADD, 0, 50.0))
        rows = [(s, t, ADD, 0, v) for s in range(10) for t, v in ((0.0, 100.0), (6.0, 50.0))]
        a = backend.solve(Problem(system, shared, TIMES, system.states), SolverOptions())
        b = backend.solve(Problem(system, stop_table(*rows), TIMES, system.states), SolverOptions())
        np.testing.assert_array_equal(a.amount, b.amount)

    def test_saved_times_do_not_change_the_answer(self, backend: Backend) -> None:
        """Saved times do not change the answer."""
        system = yardstick_system(4)
        stops = stop_table((-1, 0.0, ADD, 0, 100.0))
        few = backend.solve(
            Problem(system, stops, np.array([6.0, 24.0]), system.states), SolverOptions()
        )
        many = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
        np.testing.assert_array_equal(few.amount[:, 0], many.amount[:, 24])
        np.testing.assert_array_equal(few.amount[:, 1], many.amount[:, 96])

    def test_number_of_threads_does_not_change_the_answer(self, backend: Backend) -> None:
        """Number of threads does not change the answer."""
        system = yardstick_system(300)
        problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES[:9], ("liver",))
        one = backend.solve(problem, SolverOptions(threads=1))
        two = backend.solve(problem, SolverOptions(threads=2))
        np.testing.assert_array_equal(one.amount, two.amount)

    def test_zero_dose_gives_exactly_zero(self, backend: Backend) -> None:
        """Zero dose gives exactly zero."""
        system = yardstick_system(3)
        result = backend.solve(
            Problem(system, stop_table((-1, 0.0, ADD, 0, 0.0)), TIMES, system.states),
            SolverOptions(),
        )
        assert (result.amount == 0.0).all() and (result.status == Status.SUCCESS).all()

    def test_dose_scales_a_linear_model_exactly(self, backend: Backend) -> None:
        """Dose scales a linear model exactly."""
        system = random_system(10, seed=2, n_reactions=0)
        into = system.targets["iv_bolus"]
        a = backend.solve(
            Problem(system, stop_table((-1, 0.0, ADD, into, 1.0)), TIMES, system.states),
            SolverOptions(),
        )
        b = backend.solve(
            Problem(system, stop_table((-1, 0.0, ADD, into, 1024.0)), TIMES, system.states),
            SolverOptions(),
        )
        # tolerances scale with the dose, so the steps are the same and 1024 is exact in binary
        np.testing.assert_allclose(b.amount, 1024.0 * a.amount, rtol=1e-13)

    def test_a_failing_subject_is_flagged_and_the_others_stand(self, backend: Backend) -> None:
        """One subject of eleven has an eigenvalue of +200 1/h: its amount overflows within 4 h."""
        n = 11
        k = np.full((n, 1), -0.1)
        k[7] = 200.0
        system = System(("body",), [0], [0], k, n_subjects=n)
        problem = Problem(
            system, stop_table((-1, 0.0, ADD, 0, 10.0)), np.array([0.0, 1.0, 10.0]), ("body",)
        )
        result = backend.solve(problem, SolverOptions())
        assert result.status[7] in (Status.NOT_FINITE, Status.STEP_TOO_SMALL)
        assert np.isnan(result.amount[7]).all()
        others = np.arange(n) != 7
        assert (result.status[others] == Status.SUCCESS).all()
        np.testing.assert_allclose(result.amount[others, 2, 0], 10.0 * np.exp(-1.0), rtol=1e-5)

    def test_too_few_steps_are_reported_as_such(self, backend: Backend) -> None:
        """Too few steps are reported as such."""
        system = yardstick_system(2)
        problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES, system.states)
        result = backend.solve(problem, SolverOptions(max_steps=3))
        assert (result.status == Status.MAX_STEPS).all()
        assert np.isnan(result.amount).all()

    def test_start_amounts_are_used(self, backend: Backend) -> None:
        """Start amounts are used."""
        problem = Problem(
            one_compartment(3),
            stop_table(),
            np.array([0.0, 10.0]),
            ("body",),
            0.0,
            np.array([[1.0, 0], [2, 0], [3, 0]]),
        )
        amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[:, 1, 0]
        np.testing.assert_allclose(amount, np.array([1.0, 2.0, 3.0]) * np.exp(-1.0), rtol=1e-8)

    def test_expm_refuses_a_saturable_model_and_names_the_reaction(self, backend: Backend) -> None:
        """Expm refuses a saturable model and names the reaction."""
        system = yardstick_system(1)
        problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES, ("liver",))
        with pytest.raises(InputError, match="hepatic"):
            backend.solve(problem, SolverOptions(method="expm"))

    def test_facts_name_backend_method_and_tolerance(self, backend: Backend) -> None:
        """Facts name backend method and tolerance."""
        system = yardstick_system(1)
        result = backend.solve(
            Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES, ("liver",)),
            SolverOptions(rtol=1e-5),
        )
        assert result.facts["backend"] == backend.name
        assert result.facts["method"] == "rodas5p"
        assert result.facts["rtol"] == 1e-5

    def test_progress_counts_every_subject_once(self, backend: Backend) -> None:
        """Progress counts every subject once."""
        system = yardstick_system(300)
        seen = []
        backend.solve(
            Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES[:5], ("liver",)),
            SolverOptions(),
            seen.append,
        )
        assert sum(seen) == 300

    def test_inhibited_metabolism_and_binding_agree_with_lsoda(self, backend: Backend) -> None:
        """Competitive inhibition and mass action, stiff enough to need exact derivatives."""
        rng = np.random.default_rng(4)
        n = 5
        inhibited = Reaction(
            "inhibited",
            "michaelis_menten",
            (0, 1),
            {0: -1.0, 3: 1.0},
            np.exp(rng.normal(0, 0.3, (n, 3))) * [40, 2, 0.5],
        )
        binding = Reaction(
            "binding", "mass_action", (0, 1), {0: -1.0, 1: -1.0, 2: 2.0}, np.full((n, 1), 0.3)
        )
        system = System(
            ("victim", "inhibitor", "complex", "out"),
            [0, 1, 2, 0, 1],
            [0, 1, 2, 2, 2],
            np.exp(rng.normal(0, 0.2, (n, 5))) * [-0.1, -0.05, -0.4, 0.2, 0.2],
            (inhibited, binding),
            n_subjects=n,
        )
        stops = stop_table((-1, 0.0, ADD, 0, 20.0), (-1, 0.0, ADD, 1, 5.0))
        result = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
        for s in range(n):
            expected = reference(system, s, np.array([20.0, 5.0, 0.0, 0.0]), TIMES)
            assert relative_error(result.amount[s], expected, 20.0) < 1e-5

    def test_inhibited_inactivated_and_induced_enzymes_agree_with_lsoda(
        self, backend: Backend
    ) -> None:
        """Inhibited inactivated and induced enzymes agree with LSODA."""
        system = enzymatic_system()
        assert system.closed
        stops = stop_table((-1, 0.0, ADD, 0, 20.0), (-1, 0.0, ADD, 1, 5.0), (-1, 0.0, ADD, 4, 8.0))
        result = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
        enzyme = result.amount[:, :, 2]
        assert (
            enzyme.min() < -0.3
        )  # the enzyme is mostly gone at some time, so that every term counts
        for s in range(5):
            expected = reference(system, s, np.array([20.0, 5.0, 0.0, 0.0, 8.0, 0.0]), TIMES)
            assert relative_error(result.amount[s], expected, 20.0) < 1e-5
        assert np.abs(result.balance / result.given).max() < 1e-9


def assert_areas(
    problem: Problem, result: Trajectories, curves: list[tuple[list, float]], rtol: float = 1e-6
) -> None:
    """Areas of a result against closed forms: (exponentials, time from which they run)."""
    auc, aumc = of_concentrations(problem, result)
    found = [integrals(terms, problem.times, begin) for terms, begin in curves]
    t = problem.times
    offset = problem.system.observables["plasma"].offset
    rest = np.zeros(1) if offset is None else offset
    for s, size in enumerate(
        np.broadcast_to(problem.system.observables["plasma"].factor, len(auc))
    ):
        base = float(np.broadcast_to(rest, len(auc))[s])
        expected = size * sum(a for a, _ in found) + base * t
        moment = size * sum(m for _, m in found) + base * t**2 / 2
        np.testing.assert_allclose(auc[s, :, 0], expected, rtol=rtol, atol=0)
        # the moment of the first minute is 1e-8 of the last, below the tolerance of a step
        np.testing.assert_allclose(aumc[s, :, 0], moment, rtol=rtol, atol=1e-9 * moment[-1])


class AreaContract:
    """AUC and AUMC of the integrator, against closed forms. A subclass has a fixture `backend`."""

    @pytest.mark.parametrize("kind", ["bolus", "oral", "repeated", "infusion"])
    @pytest.mark.parametrize("method", ["rodas5p", "rodas4", "rodas4p", "expm"])
    def test_areas_are_those_of_the_closed_form_to_1e6(
        self, backend: Backend, kind: str, method: str
    ) -> None:
        """Areas are those of the closed form to 1e-6."""
        stops, curves = dosed(kind)
        problem = Problem(two_compartments(), stops, AREA_TIMES, ("plasma",), areas=("plasma",))
        result = solve_with_areas(backend, problem, SolverOptions(method=method))
        assert_areas(problem, result, curves)

    @pytest.mark.parametrize("kind", ["bolus", "oral", "repeated", "infusion"])
    def test_area_states_give_the_same_areas_and_leave_the_rest_alone(
        self, backend: Backend, kind: str
    ) -> None:
        """Area states give the same areas and leave the rest alone."""
        stops, curves = dosed(kind)
        problem = Problem(
            two_compartments(), stops, AREA_TIMES, ("plasma", "out"), areas=("plasma",)
        )
        result = with_area_states(backend, problem, SolverOptions())
        plain = backend.solve(problem, SolverOptions(method="expm"))
        assert result.final.shape == plain.final.shape
        assert result.amount.shape == plain.amount.shape
        np.testing.assert_allclose(result.amount, plain.amount, rtol=1e-6, atol=1e-7)
        assert np.abs(result.balance).max() < 1e-9 * 100  # areas are no part of the mass balance
        assert_areas(problem, result, curves)

    def test_areas_know_factor_and_baseline_of_each_subject(self, backend: Backend) -> None:
        """Areas know factor and baseline of each subject."""
        stops, curves = dosed("oral")
        offset = BASELINE * np.arange(1.0, 12.0)
        system = two_compartments(11, factor=1 / np.linspace(5, 15, 11), offset=offset)
        problem = Problem(system, stops, AREA_TIMES, ("plasma",), areas=("plasma",))
        assert_areas(problem, solve_with_areas(backend, problem, SolverOptions()), curves)

    def test_areas_go_on_through_a_reset(self, backend: Backend) -> None:
        """100 mg at 0 h, a reset and 40 mg at 5 h: areas of the first dose, then the second."""
        stops = stop_table(
            (-1, 0.0, ADD, 1, 100.0), (-1, 5.0, KEEP, 0, 0.0), (-1, 5.0, ADD, 1, 40.0)
        )
        times = np.array([3.0, 5.0, 30.0])
        problem = Problem(two_compartments(), stops, times, ("plasma",), areas=("plasma",))
        terms = exponentials({1: 1.0})
        until = [100.0 / V * x for x in integrals(terms, np.array([3.0, 5.0, 5.0]))]
        after = [40.0 / V * x for x in integrals(terms, times, 5.0)]
        for solve in (solve_with_areas, with_area_states):
            for method in ("rodas5p", "expm"):
                auc, aumc = of_concentrations(
                    problem, solve(backend, problem, SolverOptions(method=method))
                )
                np.testing.assert_allclose(auc[0, :, 0], until[0] + after[0], rtol=1e-6)
                np.testing.assert_allclose(aumc[0, :, 0], until[1] + after[1], rtol=1e-6)

    def test_each_subject_of_a_pack_has_the_areas_of_its_own_doses_and_resets(
        self, backend: Backend
    ) -> None:
        """Each subject of a pack has the areas of its own doses and resets."""
        n = 11
        rows = [(s, 0.3 * s, ADD, 1, 10.0 + s) for s in range(n)]
        rows += [(s, 2.0 + s, KEEP, 0, 0.0) for s in range(n)]
        system = two_compartments(n)
        times = np.linspace(0.0, 20.0, 9)
        problem = Problem(system, stop_table(*sorted(rows)), times, ("plasma",), areas=("plasma",))
        terms = exponentials({1: 1.0})
        for solve in (solve_with_areas, with_area_states):
            auc, aumc = of_concentrations(problem, solve(backend, problem, SolverOptions()))
            for s in range(n):
                area, moment = integrals(terms, np.minimum(times, 2.0 + s), 0.3 * s)
                np.testing.assert_allclose(auc[s, :, 0], (10.0 + s) / V * area, rtol=1e-6)
                np.testing.assert_allclose(aumc[s, :, 0], (10.0 + s) / V * moment, rtol=1e-6)

    def test_areas_do_not_change_the_solution_and_do_not_depend_on_the_saved_times(
        self, backend: Backend
    ) -> None:
        """Areas do not change the solution and do not depend on the saved times."""
        system = yardstick_system(19)
        stops = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 12.0, ADD, 0, 50.0))
        plain = Problem(system, stops, TIMES, ("liver",))
        asked = Problem(system, stops, TIMES, ("liver",), areas=("liver", "venous_blood"))
        few = Problem(system, stops, TIMES[[0, 96]], ("liver",), areas=("liver", "venous_blood"))
        a, b, c = (solve_with_areas(backend, p, SolverOptions()) for p in (plain, asked, few))
        if backend.integrates_areas:
            np.testing.assert_array_equal(a.amount, b.amount)
            np.testing.assert_array_equal(a.balance, b.balance)
            np.testing.assert_array_equal(b.area[:, -1], c.area[:, -1])
            np.testing.assert_array_equal(b.moment[:, -1], c.moment[:, -1])
        assert a.area is None
        np.testing.assert_allclose(a.amount, b.amount, rtol=1e-5, atol=1e-5)

    def test_a_saturable_model_has_the_area_of_a_fine_sum_over_its_curve(
        self, backend: Backend
    ) -> None:
        """A saturable model has the area of a fine sum over its curve."""
        system = yardstick_system(3)
        fine = np.unique(np.r_[0.0, np.geomspace(1e-5, 24.0, 20001)])
        stops = stop_table((-1, 0.0, ADD, 0, 100.0))
        problem = Problem(system, stops, fine, ("liver",), areas=("liver",))
        result = solve_with_areas(backend, problem, SolverOptions())
        s, dt = result.amount[:, :, 0], np.diff(fine)
        sums = np.cumsum((s[:, 1:] + s[:, :-1]) / 2 * dt, axis=1)
        ts = s * fine
        moments = np.cumsum((ts[:, 1:] + ts[:, :-1]) / 2 * dt, axis=1)
        late = fine[1:] > 0.5  # the trapezoids' own error is largest, relatively, at the beginning
        np.testing.assert_allclose(result.area[:, 1:, 0][:, late], sums[:, late], rtol=1e-6)
        np.testing.assert_allclose(result.moment[:, 1:, 0][:, late], moments[:, late], rtol=1e-6)

    def test_a_failed_subject_has_no_areas_and_the_others_have_theirs(
        self, backend: Backend
    ) -> None:
        """A failed subject has no areas and the others have theirs."""
        n = 9
        k = np.full((n, 1), -0.1)
        k[7] = 200.0
        system = System(("body",), [0], [0], k, n_subjects=n)
        stops = stop_table((-1, 0.0, ADD, 0, 10.0))
        problem = Problem(system, stops, np.array([0.0, 10.0]), ("body",), areas=("body",))
        result = solve_with_areas(backend, problem, SolverOptions())
        assert np.isnan(result.area[7]).all() and np.isnan(result.moment[7]).all()
        others = np.arange(n) != 7
        np.testing.assert_allclose(result.area[others, 1, 0], 100 * (1 - np.exp(-1)), rtol=1e-6)
