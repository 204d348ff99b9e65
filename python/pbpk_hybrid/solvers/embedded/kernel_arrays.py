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
