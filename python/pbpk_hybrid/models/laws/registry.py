"""All rate laws by name.

From here Systems take how many reactants and parameters a reaction has and what they are
called, its value and its equation; the steady-state search its slope at 0; SBML export
its formula; and compiled backends its code. A law's numba kernels are in the file of the same name
under :mod:`pbpk_hybrid.solvers.embedded.laws`; its Julia methods are in
``julia/src/laws.jl``. A test finds a law that lacks one of them.

To add a law: a file here, a file of kernels there, the Julia methods, and a line in each
of the two registries.
"""

from __future__ import annotations

from .enzymatic import Enzymatic
from .expression import ExpressionLaw
from .hill import Hill
from .hill_product import HillProduct
from .law import RateLaw
from .mass_action import MassAction
from .michaelis_menten import MichaelisMenten

#: name -> law
LAWS: dict[str, RateLaw] = {
    law.name: law
    for law in (
        MichaelisMenten(),
        MassAction(),
        Hill(),
        HillProduct(),
        Enzymatic(),
        ExpressionLaw(),
    )
}

#: name -> (code used by backends, number of fixed reactants, number of fixed parameters,
#: parameters per inhibitor; 0: none allowed)
RATE_LAWS: dict[str, tuple[int, int, int, int]] = {
    name: (law.code, law.n_reactants, law.n_constants, law.per_inhibitor)
    for name, law in LAWS.items()
}
