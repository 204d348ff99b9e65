"""What the compiled kernels take: groups of arrays by name."""

from __future__ import annotations

from collections import namedtuple

#: parameters whose sensitivities are advanced together
BLOCK = 4

#: Forward sensitivities of one pack, or None (numba then leaves out all that concerns
#: them, which makes the plain integrator quick to compile and to load): s (blocks x n x
#: BLOCK rows), scratch w (n x BLOCK), d (n), z (stages x n x BLOCK), derivatives of K
#: (kd, kd_value) and of the reaction parameters (dpar, n_par rows per parameter), scratch
#: `weight` (stages,), and where results go.
SensitivityArrays = namedtuple("SensitivityArrays", "s w d z kd kd_value dpar n_par weight out")

#: Integer structure of a System, shared by all packs (all int64, 1-D).
Structure = namedtuple(
    "Structure",
    "l_ptr l_col u_ptr u_col op_ptr op_source op_target "  # EliminationPlan
    "k_entry "  # LU entry of each K value
    "law r_ptr r_state p_ptr "  # reactions: law code, reactants, first parameter
    "s_ptr s_state "  # stoichiometry: states
    # LU entries of d v/d reactant: for each stoichiometric state x reactant, reaction by
    # reaction
    "j_ptr j_entry "
    "out_ptr out_state "  # saved sums: states
    "guarded "  # states that must not fall below zero; see System.guarded
    # None: no Hill laws, and numba leaves out all that concerns them; else an array that
    # nobody reads
    "hill "
    "enzymatic",  # the same for the law `enzymatic`
)

#: Stepping constants; see SolverOptions.
Control = namedtuple("Control", "rtol max_steps min_step max_step")

#: Derivatives of K's values: block q owns entries ``ptr[q]:ptr[q+1]``; ``row`` is i *
#: BLOCK + b, ``column`` a state. All int64; values come per pack as rows of lanes.
KDerivative = namedtuple("KDerivative", "ptr row column")

#: What all packs of a System share: its integer structure, and the weights that go with it:
#: stoichiometric coefficients and weights of the saved sums.
Model = namedtuple("Model", "structure stoich out_weight")

#: The Rosenbrock method: weights of its stages (see Tableau), gamma, order of the error.
Method = namedtuple("Method", "weights gamma error_order")

#: Numbers of the packs, or of one: minus K in LU order (n_entries, LANES), constants of
#: reactions (n_parameters, LANES), absolute tolerance (1, LANES), state at the start and in
#: the end (n, LANES). For all packs each has the pack as first axis.
Lanewise = namedtuple("Lanewise", "base par atol y")

#: Stops of one pack: distinct ascending times, and for stop s the actions
#: ``ptr[s]:ptr[s+1]`` of `kind`, `state` and `value` (rows of lanes). For all packs, one
#: after the other; `first` says where a pack begins (None for one pack).
Stops = namedtuple("Stops", "first time ptr kind state value")

#: Scratch of one thread; see pack.scratch.
Workspace = namedtuple("Workspace", "u z lu slope dense rate")

#: What is written: saved sums `out` (n_subjects, n_times, n_saved); sum of all states minus
#: what was given since the last reset, and the latter (n_subjects, n_times each, no rows
#: where not wanted); per pack, int64 accepted steps, refused steps, status (3,) and the
#: smallest amount of a guarded state, 0 where none was below (1, LANES).
Results = namedtuple("Results", "out balance given statistics lowest")

#: Of all packs, for sensitivities: derivatives of K and of the constants of reactions,
#: sensitivities at the start (no rows: all zero). None where none are wanted.
PackDerivatives = namedtuple("PackDerivatives", "kd_values dpars starts")

#: Of all packs: constants of the events and their derivatives. None without events.
PackEvents = namedtuple("PackEvents", "constants directions")
