"""A simulation of PK-Sim or MoBi as an object: looked at as a tree, changed by path,
simulated for people and populations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .._core.arguments import check_choice
from .._core.errors import InputError
from ..models.expressions.assembly import AssembledModel, given
from ..models.expressions.tree import Expression, mul, number, substitute, symbol, symbols
from .equation_model import EquationModel
from .pksim_paths import ParameterTable
from .pksim_units import MASS, MOLAR_MASS, plain
from .simulation_file import DELIMITER, MOLECULE, OBSERVER, PARAMETER


class PKSimModel(EquationModel):
    """A simulation of PK-Sim or MoBi; made by :func:`read_pksim_simulation`.

    Paths are those of PK-Sim without the name of the simulation
    (``Organism|Liver|Volume``); in patterns ``*`` stands for any part of one name and
    ``**`` for any names. Values are in PK-Sim's base units: µmol, l, min, dm, kg.

    Parameters
    ----------
    contents : what the file holds
    file : where it was read from
    changed : path -> value that was set since
    """

    reported_before: ClassVar[bool] = True
    names_are_paths: ClassVar[bool] = True
    time_switches: ClassVar[bool] = False
    value_text: ClassVar[str] = "value in PK-Sim's base unit"
    example: ClassVar[str] = "a path such as 'Organism|Liver|*|Volume'"

    @property
    def molecules(self) -> tuple[str, ...]:
        """Names of the molecules."""
        names = (self._molecule_of(q.path) for q in self.quantities.values() if q.kind == MOLECULE)
        return tuple(dict.fromkeys(n for n in names if n))

    def __repr__(self) -> str:
        kinds = [q.kind for q in self.quantities.values()]
        changed = f", {len(self.changed)} values changed" if self.changed else ""
        return (
            f"PKSimModel({self.name!r}, {self.contents.form}: {kinds.count(MOLECULE)} amounts of "
            f"{', '.join(self.molecules[:4])}{' ...' if len(self.molecules) > 4 else ''}; "
            f"{kinds.count(PARAMETER)} parameters, "
            f"{kinds.count(OBSERVER)} observers, {len(self.ode.events)} events{changed})"
        )

    def amounts(self, pattern: str = "**") -> ParameterTable:
        """Amounts of molecules at the start [µmol] whose path fits a pattern; errors as
        in :meth:`parameters`.
        """
        return ParameterTable(self._parameter(p) for p in self._fitting(pattern, (MOLECULE,)))

    # -- units ----------------------------------------------------------------------------------

    def _molecule_of(self, path: str) -> str | None:
        """Name of the molecule that a quantity belongs to."""
        parts = path.split(DELIMITER)
        for i in range(len(parts), 0, -1):
            ahead = self.quantities.get(DELIMITER.join(parts[:i]))
            if ahead is not None and ahead.kind == MOLECULE:
                return parts[i - 1]
        named = (p for p in reversed(parts) if f"{p}{DELIMITER}Molecular weight" in self.quantities)
        return next(named, None)

    def molar_mass(self, path: str) -> Expression | None:
        """Molar mass [mg/µmol] of the molecule that a quantity belongs to; None: not known."""
        molecule = self._molecule_of(path)
        weight = f"{molecule}{DELIMITER}Molecular weight"
        if molecule is None or weight not in self.quantities:
            return None
        factor = MOLAR_MASS.get(plain(self.quantities[weight].unit))
        value = self._values_at_start[weight]
        return mul(factor, symbol(weight)) if factor and np.isfinite(value) and value > 0 else None

    def measure(self, path: str, unit: str) -> tuple[str, Expression] | None:
        """What a quantity is ("amount" or "concentration"), and the factor to mg or µmol
        (per litre); None: neither.
        """
        known = MASS.get(plain(self.quantities[path].unit))
        if known is None:
            return None
        kind, factor, molar = known
        weight = self.molar_mass(path)
        wanted = unit == "mol"
        if molar == wanted:
            return kind, number(factor)
        if weight is None:
            return None
        return kind, mul(factor, weight) if molar else number(factor) / weight

    def fit_outputs(self) -> tuple[str, ...]:
        """Paths of what can be observed as a concentration: molecules, and quantities
        that are one.
        """
        known = (self.measure(p, "mg") for p in self.quantities)
        kinds = zip(self.quantities, known, strict=True)
        return tuple(
            p for p, m in kinds if m is not None and (m[0] == "concentration" or self._beside(p))
        )

    def unit_of_results(self, paths: Sequence[str], unit: str | None) -> str:
        """mg or mol; mg needs every molecular weight, and is the default where they are known.

        Raises
        ------
        InputError : mg, of a molecule without molecular weight
        """
        if unit is not None:
            check_choice("unit", unit, ("mg", "mol"))
        without = [p for p in paths if self.measure(p, "mol") and not self.measure(p, "mg")]
        if unit == "mg" and without:
            raise InputError(
                "unit",
                "mg",
                f"'mol': the molecular weight is not known of {without[0]}",
                hint="or set it: model.set({'<molecule>|Molecular weight': '350 g/mol'})",
            )
        return unit or ("mol" if without else "mg")

    def sides(self, path: str) -> tuple[str, ...]:
        """The quantity itself and, of a molecule, its concentration."""
        beside = self._beside(path)
        return (path,) if beside is None else (path, beside)

    def _beside(self, path: str) -> str | None:
        """Path of a molecule's concentration."""
        beside = f"{path}{DELIMITER}Concentration"
        molecule = self.quantities[path].kind == MOLECULE
        return beside if molecule and beside in self.quantities else None

    def observed(self, name: str, assembled: AssembledModel) -> Expression:
        """A concentration [mg/L] over states, time and given values."""
        path = self._beside(name) or name
        kind, factor = self.measure(path, "mg")
        assert kind == "concentration"
        names = {n: self.expression(n, assembled) for n in symbols(factor)}
        return mul(self.expression(path, assembled), substitute([factor], names)[0])


__all__ = ["PKSimModel", "given"]
